"""Score texts within a deadline, whatever the router does."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from routellm_core._numbers import bad_number
from routellm_core.errors import ConfigurationError, RouterError
from routellm_core.policy.workers import Workers
from routellm_core.routers.base import Router

if TYPE_CHECKING:
    from collections.abc import Sequence


__all__ = ["Scorer", "timeouts"]

WORKERS = 16
"""Threads that score at once."""

WAITING = 256
"""Calls that may score or wait for a thread; further ones do without a win rate at once."""


def timeouts() -> tuple[type[Exception], ...]:
    """Return the classes of a deadline that passed.

    Before Python 3.11 `wait_for` raises a class of its own, for which a decision that raises
    nothing need not import asyncio.
    """
    if sys.version_info >= (3, 11):
        return (TimeoutError,)
    import asyncio

    return (TimeoutError, asyncio.TimeoutError)


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
    models
        Names of m models as the router knows them: it is then asked for their qualities, one row
        of m numbers for each text. None for win rates.

    Raises
    ------
    ConfigurationError
        If the deadline is not above 0.
    """

    __slots__ = ("_deadline_s", "_models", "_router", "_workers", "is_inline")

    def __init__(
        self, router: Router, *, deadline_s: float | None, models: Sequence[str] | None = None
    ) -> None:
        if deadline_s is not None and not deadline_s > 0.0:
            raise ConfigurationError(f"`router_deadline_s` must be above 0, got {deadline_s!r}.")
        self._router = router
        self._models = models
        self._deadline_s = deadline_s
        self.is_inline = router.inline and type(router).awin_rates is Router.awin_rates
        """Whether the event loop may wait for one text's win rate without a detour."""
        self._workers = Workers(threads=WORKERS, waiting=WAITING)

    def win_rate(self, text: str) -> Any:
        """Return the win rate, or the qualities, of one text, as `win_rates` does for many."""
        return self._one(self.win_rates((text,)))

    async def awin_rate(self, text: str) -> Any:
        """Return the win rate of one text, as `awin_rates` does for many."""
        return self._one(await self.awin_rates((text,)))

    def win_rates(self, texts: Sequence[str]) -> Any:
        """Return the win rates of n texts, or their qualities: shape (n,) or (n, m).

        Raises
        ------
        TimeoutError
            If the deadline passed.
        RouterError
            If too many calls wait for the router already.
        """
        if self._deadline_s is None or self._router.inline:
            return self._ask(texts)
        ask = partial(self._ask, texts)
        return self._workers.run(ask, timeout_s=self._deadline_s * len(texts))

    async def awin_rates(self, texts: Sequence[str]) -> Any:
        """Return the win rates of n texts, as `win_rates` does, off the event loop."""
        router = self._router
        if self._models is not None:
            ask = partial(self._ask, texts)
            if self._deadline_s is None:
                from asyncio import to_thread

                return await to_thread(ask)
            return await self._workers.arun(ask, timeout_s=self._deadline_s * len(texts))
        if self._deadline_s is None or (router.inline and len(texts) == 1):
            return await router.awin_rates(texts)
        timeout_s = self._deadline_s * len(texts)
        if type(router).awin_rates is not Router.awin_rates:
            from asyncio import wait_for

            return await wait_for(router.awin_rates(texts), timeout_s)
        return await self._workers.arun(partial(router.win_rates, texts), timeout_s=timeout_s)

    def _ask(self, texts: Sequence[str]) -> Any:
        if self._models is None:
            return self._router.win_rates(texts)
        qualities = np.asarray(self._router.qualities(texts, self._models))
        shape = (len(texts), len(self._models))
        bad = bad_number(qualities, low=0.0, high=1.0) if qualities.shape == shape else "that"
        if bad:
            raise RouterError(
                f"Router {self._router.name!r} must rate {shape[1]} models by numbers in [0, 1], "
                f"shape {shape}, got {bad} in shape {qualities.shape}."
            )
        return qualities

    def _one(self, values: Any) -> Any:
        return float(values[0]) if self._models is None else values[0]
