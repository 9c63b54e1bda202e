"""The monitor: one record of each call, to every sink, at no call's expense."""

from __future__ import annotations

import atexit
import logging
import secrets
from collections.abc import Callable
from contextvars import Context, copy_context
from pathlib import Path
from time import monotonic, time
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import WeakSet

from routellm_core.errors import ConfigurationError
from routellm_core.monitoring.call_notes import OutcomeRecord, score_of
from routellm_core.monitoring.endings import Ending, Pricing, RecordMaker
from routellm_core.monitoring.jsonl import JsonlSink
from routellm_core.monitoring.lines import LineMaker
from routellm_core.monitoring.sinks import CallbackSink, Delivery, Sink, failure_of, is_round

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from routellm_core.monitoring.call_notes import CallNote, Score
    from routellm_core.monitoring.prices import Price

__all__ = ["Monitor", "as_monitor"]

logger = logging.getLogger(__name__)

EXIT_FLUSH_S = 2.0
"""How long the end of the process waits for records on their way."""

_monitors: WeakSet[Monitor] = WeakSet()


_Item: TypeAlias = "tuple[Callable[[], Ending], Context | None]"


class Monitor:
    """Record every call.

    A JSONL log is written by the call itself, in a few microseconds, so that a kill loses nothing.
    For other sinks records are made and delivered in threads of the monitor's, one for each sink:
    one that raises or hangs loses its own records, which are counted, and nothing else.

    Parameters
    ----------
    sinks
        Sinks, functions that take a `CallRecord`, or paths of JSONL logs.
    queue_size
        How many records may wait for one sink, at least 1; further ones are dropped.
    prices
        Prices that LiteLLM's table lacks or that were negotiated, by model name.
    router_usd
        US dollars that one decision costs; 0 for a router that runs here.
    hash_key
        Secret of 16 to 64 bytes for the digests of prompts. By default random, so that digests of
        different processes cannot be compared.
    keep_prompt_chars
        How many characters of each routed text are kept in its record. 0, the default, keeps no
        text; replaying a log with another router needs it.

    Raises
    ------
    ConfigurationError
        If an argument has a value that cannot be used.

    Examples
    --------
    >>> records = []
    >>> monitor = Monitor(records.append)
    >>> monitor.flush()
    True
    """

    def __init__(
        self,
        *sinks: Sink | Callable[..., object] | str | Path,
        queue_size: int = 10_000,
        prices: Mapping[str, Price] | None = None,
        router_usd: float = 0.0,
        hash_key: bytes | None = None,
        keep_prompt_chars: int = 0,
    ) -> None:
        if queue_size < 1:
            raise ConfigurationError(f"`queue_size` must be at least 1, got {queue_size!r}.")
        if not router_usd >= 0.0:
            raise ConfigurationError(f"`router_usd` must be at least 0, got {router_usd!r}.")
        if keep_prompt_chars < 0:
            raise ConfigurationError(
                f"`keep_prompt_chars` must be at least 0, got {keep_prompt_chars!r}."
            )
        if hash_key is not None and not 16 <= len(hash_key) <= 64:
            raise ConfigurationError(
                f"`hash_key` must have 16 to 64 bytes, got {len(hash_key)} bytes."
            )
        self.sinks: tuple[Sink, ...] = tuple(_as_sink(sink) for sink in sinks)
        self._options: dict[str, Any] = {
            "queue_size": queue_size,
            "prices": prices,
            "router_usd": router_usd,
            "keep_prompt_chars": keep_prompt_chars,
        }
        maker = RecordMaker(
            Pricing(prices), router_usd, hash_key or secrets.token_bytes(32), keep_prompt_chars
        )
        self._make = maker.record
        self._line = LineMaker(maker).line
        self.pricing = maker.pricing
        """Prices of the models."""
        self.keep_prompt_chars = keep_prompt_chars
        self._price = maker.pricing.price
        self._n_notes_failed = 0
        self._durable = [sink for sink in self.sinks if sink.durable]
        self._deliveries = [
            Delivery(self._consumer(sink), name=_named(sink), size=queue_size)
            for sink in self.sinks
            if not sink.durable
        ]
        self._keeps_context = any(sink.uses_context for sink in self.sinks)
        self._n_durable_failed = [0] * len(self._durable)
        for sink in self.sinks:
            for name, read in sink.gauges().items():
                self.watch(name, {}, read)
        _monitors.add(self)

    def __repr__(self) -> str:
        return f"Monitor({', '.join(type(sink).__name__ for sink in self.sinks)})"

    def __deepcopy__(self, memo: dict[int, Any]) -> Monitor:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        # Without the key: a copy in another process has one of its own.
        return _rebuilt, (self.sinks, self._options)

    @property
    def n_lost(self) -> int:
        """Records that did not reach a sink, over all sinks."""
        lost = sum(delivery.n_dropped + delivery.n_failed for delivery in self._deliveries)
        return lost + sum(self._n_durable_failed) + self._n_notes_failed

    @property
    def keeps_notes(self) -> bool:
        """Whether a sink keeps outcomes and shadow answers, as a JSONL log does."""
        return any(sink.takes_notes for sink in self.sinks)

    def note(self, ending: Callable[[], Ending]) -> None:
        """Take the end of a call, as a function that works it out when somebody has the time.

        Never waits for a sink that is not durable, and never raises.
        """
        context = copy_context() if self._keeps_context else None
        for delivery in self._deliveries:
            delivery.put((ending, context))
        if self._durable:
            self._write_now(ending)

    def record_outcome(self, call_id: str, score: Score, *, comment: str | None = None) -> None:
        """Write down how good an answer was, beside the record of its call.

        Of several outcomes of one call the last counts.

        Parameters
        ----------
        call_id
            Where the answer carries its decision: "call_id".
        score
            In [0, 1], or a thumb: "up" or True is 1, "down" or False is 0.
        comment
            In the user's words, at most 2,000 characters.

        Raises
        ------
        ConfigurationError
            If a value cannot be used, or no sink keeps outcomes.
        """
        if not self.keeps_notes:
            raise ConfigurationError(
                f"No sink of {self!r} keeps outcomes. Give the monitor the path of a JSONL log."
            )
        self.write_note(
            OutcomeRecord(
                call_id=call_id, recorded_at=time(), score=score_of(score), comment=comment
            )
        )

    def write_note(self, note: CallNote) -> None:
        """Hand on what was said of a call after its record; what a sink raises is counted."""
        for sink in self.sinks:
            if sink.takes_notes:
                try:
                    sink.write_note(note)
                except Exception as error:  # noqa: BLE001 - no sink's fault is the caller's
                    self._n_notes_failed += 1
                    if is_round(self._n_notes_failed):
                        logger.warning(
                            "%s failed with %s; %d notes lost.",
                            _named(sink), failure_of(error), self._n_notes_failed,
                        )  # fmt: skip

    def prepare(self, models: Iterable[str]) -> None:
        """Look prices up now, when a call of its own would have to wait for that otherwise."""
        if self._durable:
            for model in models:
                self._price(model)

    def watch(self, name: str, labels: Mapping[str, str], read: Callable[[], float]) -> None:
        """Offer a value that can be read at any time, such as a breaker's state, to the sinks."""
        for sink in self.sinks:
            offer = getattr(sink, "watch", None)
            if offer is not None:
                offer(name, labels, read)

    def flush(self, *, timeout_s: float = 5.0) -> bool:
        """Wait until every record so far is delivered; return whether it is."""
        until = monotonic() + timeout_s
        arrived = [
            delivery.flush(timeout_s=max(0.0, until - monotonic())) for delivery in self._deliveries
        ]
        for sink in self.sinks:
            if all(arrived):
                _quietly(sink.flush)
        return all(arrived)

    def close(self, *, timeout_s: float = 5.0) -> bool:
        """Deliver what there is and release the sinks; return whether everything arrived."""
        arrived = self.flush(timeout_s=timeout_s)
        for sink in self.sinks:
            _quietly(sink.close)
        return arrived

    def _consumer(self, sink: Sink) -> Callable[[_Item], None]:
        def consume(item: _Item) -> None:
            ending, context = item
            record = self._make(ending())
            if context is None or not sink.uses_context:
                sink.write(record)
            else:
                # A copy, because a context can be entered only once at a time.
                context.copy().run(sink.write, record)

        return consume

    def _write_now(self, ending: Callable[[], Ending]) -> None:
        for place, sink in enumerate(self._durable):
            try:
                if isinstance(sink, JsonlSink):
                    sink.append(self._line(ending()))
                else:
                    sink.write(self._make(ending()))
            except Exception as error:  # noqa: BLE001 - no sink's fault is the caller's
                self._n_durable_failed[place] += 1
                n_failed = self._n_durable_failed[place]
                if is_round(n_failed):
                    logger.warning(
                        "%s failed with %s; %d records lost.",
                        _named(sink),
                        failure_of(error),
                        n_failed,
                    )


def as_monitor(value: Any) -> Monitor | None:
    """Return the monitor that an argument means: one, a path, a function, a sink, or several.

    Raises
    ------
    ConfigurationError
        If it is none of these.

    Examples
    --------
    >>> as_monitor(print)
    Monitor(CallbackSink)
    """
    if value is None or isinstance(value, Monitor):
        return value
    return Monitor(*value) if isinstance(value, (list, tuple)) else Monitor(value)


def _rebuilt(sinks: tuple[Sink, ...], options: dict[str, Any]) -> Monitor:
    return Monitor(*sinks, **options)


def _as_sink(value: Any) -> Sink:
    if isinstance(value, Sink):
        return value
    if isinstance(value, (str, Path)):
        return JsonlSink(value)
    if callable(value):
        return CallbackSink(value)
    raise ConfigurationError(
        "A sink must be a `Sink`, a function, or the path of a JSONL log, got "
        f"{type(value).__name__}."
    )


def _named(sink: Sink) -> str:
    name = type(sink).__name__
    return f"{name} {str(sink.path)!r}" if isinstance(sink, JsonlSink) else name


def _quietly(action: Callable[[], object]) -> None:
    try:
        action()
    except Exception as error:  # noqa: BLE001 - no sink's fault is the caller's
        logger.warning("A sink failed with %s.", type(error).__name__)


@atexit.register
def _flush_all() -> None:
    for monitor in list(_monitors):
        monitor.flush(timeout_s=EXIT_FLUSH_S)
