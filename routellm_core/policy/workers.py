"""A few threads for routers, which are waited for up to a limit."""

from __future__ import annotations

import os
import threading
from contextvars import copy_context
from queue import SimpleQueue
from typing import TYPE_CHECKING, Generic, TypeVar

from routellm_core.errors import RouterError

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future
    from collections.abc import Callable

__all__ = ["Workers"]

T = TypeVar("T")


class Workers:
    """Run calls in threads, and stop waiting for them in time.

    A thread is begun only when all others are busy, so that calls one after the other find one
    thread whose caches are warm. What hangs in a thread neither holds up the interpreter's end nor
    those who gave up on it. Made for the short way there and back: an event loop hears of a result
    in one step.

    Parameters
    ----------
    threads
        How many calls may run at once.
    waiting
        How many calls may run or wait for a thread.
    """

    __slots__ = ("_lock", "_n_pending", "_n_threads", "_pid", "_queue", "_threads", "_waiting")

    def __init__(self, *, threads: int, waiting: int) -> None:
        self._threads = threads
        self._waiting = waiting
        self._pid = 0
        self._lock = threading.Lock()
        self._begin()

    def _begin(self) -> None:
        self._queue: SimpleQueue[_Job[object]] = SimpleQueue()
        self._n_pending = 0
        self._n_threads = 0

    def run(self, call: Callable[[], T], *, timeout_s: float) -> T:
        """Return what `call` returns, or raise what it raises.

        Raises
        ------
        RouterError
            If too many calls wait already.
        TimeoutError
            If it takes longer than `timeout_s`; it runs on, and nobody hears of it.
        """
        landed = threading.Lock()
        landed.acquire()
        job = _Job(call, landed.release)
        self._submit(job)
        try:
            if not landed.acquire(timeout=min(timeout_s, threading.TIMEOUT_MAX)):
                raise TimeoutError(f"No result within {timeout_s:g} s.")
        finally:
            job.wanted = False
        return job.result()

    async def arun(self, call: Callable[[], T], *, timeout_s: float) -> T:
        """Return what `call` returns, as `run` does, without blocking the event loop."""
        from asyncio import get_running_loop

        loop = get_running_loop()
        landed: Future[None] = loop.create_future()
        job = _Job(call, _Bell(loop, landed).ring)
        self._submit(job)
        deadline = loop.call_later(timeout_s, _expire, landed, timeout_s)
        try:
            await landed
        finally:
            job.wanted = False
            deadline.cancel()
        return job.result()

    def _submit(self, job: _Job[T]) -> None:
        with self._lock:
            if self._pid != os.getpid():
                # A fork leaves its parent's threads behind.
                self._pid = os.getpid()
                self._begin()
            if self._n_pending >= self._waiting:
                raise RouterError(f"The router is still busy with {self._waiting} earlier calls.")
            self._n_pending += 1
            if self._n_threads < min(self._n_pending, self._threads):
                threading.Thread(target=self._work, name="routellm", daemon=True).start()
                self._n_threads += 1
        self._queue.put(job)  # type: ignore[arg-type]

    def _work(self) -> None:
        queue = self._queue
        while True:
            job = queue.get()
            job.run()
            # Before anybody hears of it, so that the next call finds this thread idle.
            with self._lock:
                self._n_pending -= 1
            job.tell()


class _Job(Generic[T]):
    """Be one call, and later its result."""

    __slots__ = ("_call", "_context", "_error", "_value", "tell", "wanted")

    _value: T

    def __init__(self, call: Callable[[], T], tell: Callable[[], None]) -> None:
        self._call = call
        self._context = copy_context()
        self._error: BaseException | None = None
        self.tell = tell
        self.wanted = True

    def run(self) -> None:
        if not self.wanted:
            return
        try:
            self._value = self._context.run(self._call)
        except BaseException as error:  # noqa: BLE001 - raised where somebody waits
            self._error = error

    def result(self) -> T:
        if self._error is not None:
            raise self._error
        return self._value


class _Bell:
    """Wake the coroutine that waits, from another thread."""

    __slots__ = ("_landed", "_loop")

    def __init__(self, loop: AbstractEventLoop, landed: Future[None]) -> None:
        self._loop = loop
        self._landed = landed

    def ring(self) -> None:
        try:
            self._loop.call_soon_threadsafe(_land, self._landed)
        except RuntimeError:
            # The loop was closed meanwhile: nobody waits.
            return


def _land(landed: Future[None]) -> None:
    if not landed.done():
        landed.set_result(None)


def _expire(landed: Future[None], timeout_s: float) -> None:
    if not landed.done():
        landed.set_exception(TimeoutError(f"No result within {timeout_s:g} s."))
