"""Count the answers that are running, and let them end when the server is asked to."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from routellm_core.server.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Drain"]


class Drain:
    """Admit answers up to a number, none once draining, and end those that outlast the grace.

    Parameters
    ----------
    max_concurrency
        Answers at a time.
    """

    def __init__(self, max_concurrency: int) -> None:
        self._max = max_concurrency
        self._running: set[Callable[[], None]] = set()
        self._idle: asyncio.Event | None = None
        self.draining = False
        """Whether new answers are refused because the server is going to stop."""

    @property
    def n_running(self) -> int:
        """How many answers are running."""
        return len(self._running)

    @contextmanager
    def admitted(self, end: Callable[[], None]) -> Iterator[None]:
        """Hold a place while an answer runs.

        Parameters
        ----------
        end
            Called when the grace is over; it is to end the answer soon.

        Raises
        ------
        ApiError
            If there is no place, or the server is going to stop.
        """
        if self.draining:
            raise ApiError(
                "The server is shutting down.",
                status=503,
                code="shutting_down",
                headers={"retry-after": "1", "connection": "close"},
            )
        if len(self._running) >= self._max:
            raise ApiError(
                f"The server is busy with {self._max} answers.",
                status=429,
                code="too_many_requests",
                headers={"retry-after": "1"},
            )
        self._running.add(end)
        try:
            yield
        finally:
            self._running.discard(end)
            if self._idle is not None and not self._running:
                self._idle.set()

    async def drain(self, grace_s: float) -> int:
        """Refuse new answers, wait for those that run, and end them after `grace_s` seconds.

        Returns
        -------
        How many had to be ended.
        """
        self.draining = True
        self._idle = asyncio.Event()
        if self._running:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._idle.wait(), grace_s)
        left = list(self._running)
        for end in left:
            end()
        if left:
            # Time to say so to the clients; one that does not read is not waited for.
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._idle.wait(), 1.0)
        return len(left)
