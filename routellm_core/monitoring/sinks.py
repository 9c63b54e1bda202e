"""Where records go, and how they get there without anybody waiting."""

from __future__ import annotations

import errno
import logging
import os
import threading
from abc import ABC, abstractmethod
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from routellm_core.monitoring.call_notes import CallNote
    from routellm_core.monitoring.records import CallRecord

__all__ = ["CallbackSink", "Delivery", "Sink", "failure_of", "is_round"]

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Sink(ABC):
    """Take records. What it raises is counted and logged, and hurts no call.

    `write` is called from one thread at a time, never the call's own, unless the sink is durable.
    """

    durable: bool = False
    """Whether the call itself writes the record, before it returns its answer."""

    uses_context: bool = False
    """Whether `write` must run in the caller's context variables, as trace exporters do."""

    takes_notes: bool = False
    """Whether `write_note` keeps what is said of a call after its record."""

    @abstractmethod
    def write(self, record: CallRecord) -> None:
        """Take one record."""

    def write_note(self, note: CallNote) -> None:  # noqa: B027
        """Take what another model or a user said of a call; most sinks have no place for it.

        It may be called from several threads at once.
        """

    def flush(self) -> None:  # noqa: B027 - most sinks keep nothing back
        """Hand on whatever is kept back."""

    def close(self) -> None:  # noqa: B027
        """Release what is held."""

    def gauges(self) -> Mapping[str, Callable[[], float]]:
        """Return values that other sinks of the same monitor may show, by name."""
        return {}


class CallbackSink(Sink):
    """Call a function with each record.

    Parameters
    ----------
    function
        Takes a record; what it returns is ignored.
    """

    def __init__(self, function: Callable[[CallRecord], object]) -> None:
        self._function = function

    def write(self, record: CallRecord) -> None:
        """Call the function."""
        self._function(record)


class Delivery(Generic[T]):
    """Bring items to one consumer in a thread of its own, and drop them when it lags too far.

    Parameters
    ----------
    consume
        Called with one item at a time, in order.
    name
        Of the thread, and in the log.
    size
        How many items may wait, at least 1.
    """

    def __init__(self, consume: Callable[[T], None], *, name: str, size: int) -> None:
        self._consume = consume
        self._name = name
        self._size = size
        self._queue: SimpleQueue[T | threading.Event] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._pid = 0
        self._lock = threading.Lock()
        self.n_delivered = 0
        self.n_dropped = 0
        self.n_failed = 0

    def put(self, item: T) -> None:
        """Hand an item over; never waits and never raises."""
        if self._pid != os.getpid():
            self._start()
        if self._queue.qsize() >= self._size:
            self._drop()
        else:
            self._queue.put(item)

    def flush(self, *, timeout_s: float) -> bool:
        """Wait until everything put before is consumed; return whether it is."""
        if self._pid != os.getpid():
            return True
        reached = threading.Event()
        self._queue.put(reached)
        return reached.wait(timeout_s)

    def _start(self) -> None:
        """Start the thread, in this process; a fork leaves its parent's behind."""
        with self._lock:
            if self._pid == os.getpid():
                return
            if self._pid:
                self._queue = SimpleQueue()
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._pid = os.getpid()
            self._thread.start()

    def _run(self) -> None:
        queue = self._queue
        while True:
            item = queue.get()
            if isinstance(item, threading.Event):
                item.set()
                continue
            try:
                self._consume(item)
            except Exception as error:  # noqa: BLE001 - no consumer's fault stops the others
                self._failed(error)
            else:
                self.n_delivered += 1

    def _drop(self) -> None:
        self.n_dropped += 1
        if is_round(self.n_dropped):
            logger.warning("%s lags behind: %d records dropped.", self._name, self.n_dropped)

    def _failed(self, error: Exception) -> None:
        self.n_failed += 1
        if is_round(self.n_failed):
            logger.warning(
                "%s failed with %s; %d records lost.",
                self._name,
                failure_of(error),
                self.n_failed,
            )

    def discard(self) -> None:
        """Forget what waits."""
        while True:
            try:
                item = self._queue.get_nowait()
            except Empty:
                return
            if isinstance(item, threading.Event):
                item.set()


def is_round(n: int) -> bool:
    """Return whether n is 1, 10, 100 and so on: often enough to be said."""
    while n % 10 == 0:
        n //= 10
    return n == 1


def failure_of(error: Exception) -> str:
    """Return an error's class and system code: its message may hold what the record holds."""
    number = error.errno if isinstance(error, OSError) else None
    name = type(error).__name__
    return name if number is None else f"{name} ({errno.errorcode.get(number, number)})"
