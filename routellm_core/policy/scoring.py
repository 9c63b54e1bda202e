"""Score texts within a deadline, whatever the router does."""

from __future__ import annotations

import sys
from contextvars import copy_context
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Any

from routellm_core.errors import ConfigurationError, RouterError
from routellm_core.routers.base import Router

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future, ThreadPoolExecutor

    from routellm_core.types import WinRates

__all__ = ["TIMEOUTS", "Scorer"]

TIMEOUTS: tuple[type[Exception], ...] = (TimeoutError,)
if sys.version_info < (3, 11):
    # Before Python 3.11 each library has a class of its own.
    import asyncio
    import concurrent.futures

    TIMEOUTS = (TimeoutError, asyncio.TimeoutError, concurrent.futures.TimeoutError)

WORKERS = 16
"""Threads that score at once."""

WAITING = 256
"""Calls that may score or wait for a thread; further ones do without a win rate at once."""


class Scorer:
    """Ask a router, and stop waiting at the deadline.

    A router that scores inline is trusted to be fast and asked directly. Any other is asked in a
    thread of a pool of its own, where it may have to wait its turn; when the deadline passes, the
    late answer is dropped.

    Parameters
    ----------
    router
        Scores the texts.
    deadline_s
        Seconds, above 0, for one text; a batch of n has n times as long. None means no deadline.

    Raises
    ------
    ConfigurationError
        If the deadline is not above 0.
    """

    __slots__ = ("_deadline_s", "_free", "_pool", "_router", "is_inline")

    def __init__(self, router: Router, *, deadline_s: float | None) -> None:
        if deadline_s is not None and not deadline_s > 0.0:
            raise ConfigurationError(f"`router_deadline_s` must be above 0, got {deadline_s!r}.")
        self._router = router
        self._deadline_s = deadline_s
        self.is_inline = router.inline and type(router).awin_rates is Router.awin_rates
        """Whether the event loop may wait for one text's win rate without a detour."""
        self._pool: ThreadPoolExecutor | None = None
        self._free = BoundedSemaphore(WAITING)

    def win_rate(self, text: str) -> float:
        """Return the win rate of one text, as `win_rates` does for many."""
        return float(self.win_rates((text,))[0])

    async def awin_rate(self, text: str) -> float:
        """Return the win rate of one text, as `awin_rates` does for many."""
        return float((await self.awin_rates((text,)))[0])

    def win_rates(self, texts: Sequence[str]) -> WinRates:
        """Return the win rates of n texts.

        Raises
        ------
        TimeoutError
            If the deadline passed.
        RouterError
            If too many calls wait for the router already.
        """
        if self._deadline_s is None or self._router.inline:
            return self._router.win_rates(texts)
        future = self._submit(texts)
        try:
            return future.result(self._deadline_s * len(texts))
        finally:
            future.cancel()

    async def awin_rates(self, texts: Sequence[str]) -> WinRates:
        """Return the win rates of n texts, as `win_rates` does, off the event loop."""
        router = self._router
        if self._deadline_s is None or (router.inline and len(texts) == 1):
            return await router.awin_rates(texts)
        from asyncio import wait_for, wrap_future

        native = type(router).awin_rates is not Router.awin_rates
        answer: Any = router.awin_rates(texts) if native else wrap_future(self._submit(texts))
        win_rates: WinRates = await wait_for(answer, self._deadline_s * len(texts))
        return win_rates

    def _submit(self, texts: Sequence[str]) -> Future[WinRates]:
        if not self._free.acquire(blocking=False):
            raise RouterError(
                f"Router {self._router.name!r} is still busy with {WAITING} earlier calls."
            )
        try:
            if self._pool is None:
                from concurrent.futures import ThreadPoolExecutor

                self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="routellm")
            future = self._pool.submit(copy_context().run, self._router.win_rates, texts)
        except BaseException:
            self._free.release()
            raise
        future.add_done_callback(lambda _: self._free.release())
        return future
