"""A few threads for routers, which are waited for up to a limit."""

from __future__ import annotations

import os
import threading
from contextvars import copy_context
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from weakref import finalize

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
    those who gave up on it, and an idle thread ends with this object. Made for the short way there
    and back: an event loop hears of a result in one step.

    Parameters
    ----------
    threads
        How many calls may run at once.
    waiting
        How many calls may run or wait for a thread.
    """

    __slots__ = ("__weakref__", "_crew", "_threads", "_waiting")

    def __init__(self, *, threads: int, waiting: int) -> None:
        self._threads = threads
        self._waiting = waiting
        self._crew = self._new_crew()

    def _new_crew(self) -> _Crew:
        crew = _Crew()
        finalize(self, crew.dismiss).atexit = False
        return crew

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

    def start(self, call: Callable[[], object]) -> None:
        """Run a call that nobody waits for, and that raises nothing.

        Raises
        ------
        RouterError
            If too many calls wait already.
        """
        self._submit(_Job(call, _tell_nobody))

    def _submit(self, job: _Job[T]) -> None:
        crew = self._crew
        if crew.pid != os.getpid():
            # A fork leaves its parent's threads behind.
            crew = self._crew = self._new_crew()
        with crew.lock:
            if crew.n_pending >= self._waiting:
                raise RouterError(f"The router is still busy with {self._waiting} earlier calls.")
            if crew.n_threads < min(crew.n_pending + 1, self._threads):
                # May fail, where the system has no more threads: before the call is counted.
                threading.Thread(target=crew.work, name="routellm", daemon=True).start()
                crew.n_threads += 1
            crew.n_pending += 1
        crew.jobs.put(job)


class _Crew:
    """Be what the threads share: no more, so that they end with the object that began them."""

    __slots__ = ("jobs", "lock", "n_pending", "n_threads", "pid")

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.lock = threading.Lock()
        self.jobs: SimpleQueue[_Job[Any] | None] = SimpleQueue()
        self.n_pending = 0
        self.n_threads = 0

    def work(self) -> None:
        while (job := self.jobs.get()) is not None:
            job.run()
            # Before anybody hears of it, so that the next call finds this thread idle.
            with self.lock:
                self.n_pending -= 1
            job.tell()
            # What it holds is not kept until the next job comes.
            del job

    def dismiss(self) -> None:
        for _ in range(self.n_threads):
            self.jobs.put(None)


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


def _tell_nobody() -> None:
    """Nobody waits."""


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
