"""Ask another model, too, after a sampled share of calls: in the background, on its own account."""

from __future__ import annotations

import atexit
import json
import logging
import random
import threading
from contextvars import Context
from dataclasses import replace
from time import monotonic, perf_counter, sleep, time
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakSet

from routellm_core.errors import BudgetExceededError, ConfigurationError, RouterError
from routellm_core.monitoring.call_notes import ShadowRecord
from routellm_core.monitoring.sinks import is_round
from routellm_core.plan.budget import Budget
from routellm_core.plan.shadow_settings import OtherAnswer, ShadowSettings
from routellm_core.policy.workers import Workers
from routellm_core.types import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from routellm_core.answers.content import Answer, Prompt
    from routellm_core.experts import Expert, ExpertTable
    from routellm_core.monitoring.monitor import Monitor
    from routellm_core.plan.calls import RoutedCall
    from routellm_core.types import Decision

__all__ = ["Shadow", "ShadowedCall", "is_chosen", "make_shadow"]

logger = logging.getLogger(__name__)

EXIT_DRAIN_S = 2.0
"""How long the end of the process waits for models that are being asked."""

_SETTLES_S = 0.05
"""How long after its answer a call is left alone: by then the answer is with its caller."""
_NOT_CHOSEN = ("override", "sticky", "own_effort", "capability", "budget", "breaker_open")
"""Reasons of decisions that are not the router's, so that nothing is learnt of the router."""
_MAX_CHUNKS = 50_000
_OVERHEAD = 100
"""Characters of a message's JSON besides its words, at most."""

_shadows: WeakSet[Shadow] = WeakSet()


class ShadowedCall:
    """A call that was sampled: what its answer is, once it has one.

    Parameters
    ----------
    shadow
        Asks the other model.
    experts
        All models.
    """

    __slots__ = ("_chunks", "_experts", "_shadow", "is_answered")

    def __init__(self, shadow: Shadow, experts: ExpertTable) -> None:
        self._shadow: Shadow | None = shadow
        self._experts = experts
        self._chunks: list[Any] | None = [] if shadow.keeps_texts else None
        self.is_answered = False
        """Whether the call has ended with an answer."""

    @property
    def share(self) -> float | None:
        """How probable it was that the call is sampled; None once it is left alone."""
        return None if self._shadow is None else self._shadow.settings.share

    def skip(self) -> None:
        """Leave the call alone."""
        self._shadow = None

    def note(self, chunk: Any) -> None:
        """Keep a chunk that was given out."""
        if self._chunks is not None:
            self._chunks.append(chunk)
            if len(self._chunks) > _MAX_CHUNKS:
                self._chunks = None

    def take(self, call: RoutedCall[Any, Any], answer: Any = None) -> None:
        """Have the other model asked, once; never wait and never raise.

        Parameters
        ----------
        call
            Over by now.
        answer
            The whole answer; None for the chunks that were noted.
        """
        shadow, self._shadow = self._shadow, None
        if shadow is not None and self.is_answered and call.ask_other is not None:
            shadow.take(_Job(call, self._experts, answer, self._chunks, monotonic()))


class _Job(NamedTuple):
    call: RoutedCall[Any, Any]
    experts: ExpertTable
    answer: Any
    chunks: Sequence[Any] | None
    answered_s: float


class Shadow:
    """Sample calls, and ask another model what they asked.

    Parameters
    ----------
    settings
        How often, and within which limits.
    monitor
        Writes the answers to its logs.

    Raises
    ------
    ConfigurationError
        If no sink of the monitor keeps answers.
    """

    def __init__(self, settings: ShadowSettings, monitor: Monitor | None) -> None:
        if monitor is None or not monitor.keeps_notes:
            raise ConfigurationError(
                "`shadow` needs a log for the other model's answers: pass the path of a JSONL log "
                "as `monitor`, or a `Monitor` with one."
            )
        self.settings = settings
        self.monitor = monitor
        self.budget = None
        if settings.budget_usd is not None:
            self.budget = Budget(settings.budget_usd, over="refuse")
            self.budget.pricing = monitor.pricing
        self.n_answered = self.n_failed = self.n_late = 0
        """How often the other model answered, failed, and took longer than the timeout."""
        self.n_dropped = self.n_over_budget = 0
        """Of how many calls it was not asked: the queue was full, or the budget used up."""
        self._random = random.Random(settings.seed)  # noqa: S311  # nosec B311 - no secret
        self._workers = Workers(
            threads=settings.concurrency, waiting=settings.concurrency + settings.queue_size
        )
        self._n_pending = 0
        self._changed = threading.Condition()
        if not self.keeps_texts:
            logger.warning(
                "Shadow answers are logged without their texts, so that nobody can label them: "
                "allow the log to keep prompts, `Monitor(..., keep_prompt_chars=100_000)`."
            )
        _shadows.add(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Shadow:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return Shadow, (self.settings, self.monitor)

    @property
    def keeps_texts(self) -> bool:
        """Whether the log may hold prompts and answers."""
        return self.monitor.keep_prompt_chars > 0

    def draw(self, decision: Decision, experts: ExpertTable) -> ShadowedCall | None:
        """Return a call's shadow; None for a call that is not sampled."""
        if self._random.random() >= self.settings.share:
            return None
        if not is_chosen(decision.reason) or not _others(decision, experts):
            return None
        return ShadowedCall(self, experts)

    def take(self, job: _Job) -> None:
        """Ask the other model in the background, unless too many calls wait; never raise."""
        with self._changed:
            self._n_pending += 1
        try:
            self._workers.start(lambda: self._run(job))
        except (RouterError, RuntimeError):  # no place, or no thread at the interpreter's end
            self.n_dropped += 1
            self._left()
            if is_round(self.n_dropped):
                logger.warning("Shadow asks lag behind: %d calls left out.", self.n_dropped)

    def drain(self, *, timeout_s: float = 5.0) -> bool:
        """Wait until every sampled call is done with; return whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: self._n_pending <= 0, timeout_s)

    def _left(self) -> None:
        with self._changed:
            self._n_pending -= 1
            self._changed.notify_all()

    def _run(self, job: _Job) -> None:
        try:
            sleep(max(0.0, job.answered_s + _SETTLES_S - monotonic()))
            # In a context of its own: the caller's may hold tracers and counters of tokens.
            Context().run(self._ask, job)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is no caller's
            self._failed(error)
        finally:
            self._left()

    def _failed(self, error: BaseException) -> None:
        self.n_failed += 1
        if is_round(self.n_failed):
            logger.warning(
                "A shadow ask failed with %s; %d did so far.", type(error).__name__, self.n_failed
            )

    def _ask(self, job: _Job) -> None:
        decision = job.call.decision
        others = _others(decision, job.experts)
        expert = self._random.choice(others)
        share = self.settings.share / len(others)
        asked = replace(decision, route=expert.name, model=expert.label)
        reservation = None
        if self.budget is not None:
            try:
                n_chars = len(job.call.prompt().text)
                _, reservation = self.budget.reserve(asked, cheapest=expert, prompt_chars=n_chars)
            except BudgetExceededError:
                self.n_over_budget += 1
                return
        began_at, began_s = time(), perf_counter()
        told: OtherAnswer | None = None
        error: BaseException | None = None
        try:
            assert job.call.ask_other is not None  # noqa: S101 - `ShadowedCall.take` saw to it
            said: Any = job.call.ask_other(expert.name, timeout_s=self.settings.timeout_s)
            if not isinstance(said, OtherAnswer):
                raise TypeError(f"An `OtherAnswer` was expected, got {type(said).__name__}.")
            told = said
        except BaseException as failure:  # noqa: BLE001 - written down
            error = failure
            self._failed(error)
        seconds = perf_counter() - began_s
        if reservation is not None:
            if told is None:
                reservation.release()
            else:
                reservation.settle(expert.label, told.usage)
        record = self._record(told, error, asked, share=share, seconds=seconds, began_at=began_at)
        self.monitor.write_note(replace(record, **self._texts(job, told, expert)))

    def _record(
        self,
        told: OtherAnswer | None,
        error: BaseException | None,
        asked: Decision,
        *,
        share: float,
        seconds: float,
        began_at: float,
    ) -> ShadowRecord:
        is_late = seconds > self.settings.timeout_s
        self.n_late += is_late
        self.n_answered += told is not None
        usage = (None if told is None else told.usage) or Usage()
        return ShadowRecord(
            call_id=asked.call_id,
            started_at=round(began_at, 6),
            outcome="late" if is_late else "failed" if told is None else "answered",
            route=asked.route,
            model=asked.model,
            share=share,
            ms=round(seconds * 1e3, 4),
            error=None if error is None else type(error).__name__,
            answered_model=usage.model,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cost_usd=self.monitor.pricing.cost_usd(asked.model, usage),
        )

    def _texts(self, job: _Job, told: OtherAnswer | None, expert: Expert) -> dict[str, Any]:
        """Return what was asked and answered, where all of it may be kept."""
        limit = self.monitor.keep_prompt_chars
        if told is None or not limit or (job.answer is None and not job.chunks):
            return {}
        call = job.call
        given = job.answer if job.answer is not None else call.merged(job.chunks or ())
        prompt, decision = call.prompt(), call.decision
        texts = _text_of(call.answer_of(given)), _text_of(told.answer)
        messages = json.loads(json.dumps(list(prompt.conversation()), default=str))
        n_chars = len(json.dumps(messages, ensure_ascii=False)) - _OVERHEAD * len(messages)
        # A part of a text is another text.
        if max(len(prompt.text), n_chars, *map(len, texts)) > limit:
            return {}
        names = (decision.model, expert.label)
        if names[0] == names[1]:
            names = (decision.route, expert.name)
        alone = _is_alone(prompt, messages)
        return {
            "prompt": prompt.text,
            "messages": None if alone else tuple(messages),
            "answers": dict(zip(names, texts, strict=True)),
        }


def make_shadow(value: Any, monitor: Monitor | None) -> Shadow | None:
    """Return what an adapter's argument `shadow` means; None for no shadow.

    Raises
    ------
    ConfigurationError
        If it is neither a share nor `ShadowSettings`, or nothing keeps its answers.
    """
    if value is None or value is False or value == 0.0:
        return None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = ShadowSettings(share=float(value))
    if not isinstance(value, ShadowSettings):
        raise ConfigurationError(
            f"`shadow` must be a share in [0, 1] or `ShadowSettings`, got {type(value).__name__}."
        )
    return Shadow(value, monitor)


def is_chosen(reason: str) -> bool:
    """Return whether a decision with this reason is the router's, so that it may be sampled."""
    return reason.partition(":")[0] not in _NOT_CHOSEN


def _others(decision: Decision, experts: ExpertTable) -> list[Expert]:
    """Return the experts that could have taken a call and did not."""
    # Of a pair both can, or the router would not have chosen; `order` may hold one alone.
    able = experts.names if experts.is_pair else decision.order or experts.names
    return [expert for expert in experts if expert.name != decision.route and expert.name in able]


def _text_of(answer: Answer) -> str:
    """Return an answer in words, with the calls of tools that it asks for."""
    calls = []
    for call in answer.tool_calls:
        said = call.arguments
        said = said if isinstance(said, str) else json.dumps(said, default=str)
        calls.append(f"{call.name}({said})")
    return "\n".join(filter(None, [answer.text or answer.refusal or "", *calls]))


def _is_alone(prompt: Prompt, messages: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether a conversation is no more than its text."""
    return len(messages) == 1 and messages[0].get("content") == prompt.text


@atexit.register
def _drain_all() -> None:
    until = monotonic() + EXIT_DRAIN_S
    for shadow in list(_shadows):
        shadow.drain(timeout_s=max(0.0, until - monotonic()))
