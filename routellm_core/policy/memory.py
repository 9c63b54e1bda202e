"""What the latest texts scored, so that a turn of several calls asks the router once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import Future
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from routellm_core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Hashable

    from routellm_core.policy.scoring import Scorer

__all__ = ["RecentValues", "ScoreMemory"]

K = TypeVar("K")
V = TypeVar("V")

_LONG_CHARS = 512


class RecentValues(Generic[K, V]):
    """Keep the values that were used last, from any thread.

    Parameters
    ----------
    size
        How many are kept, at least 0; the one unused for longest goes first.

    Examples
    --------
    >>> recent = RecentValues[str, int](size=2)
    >>> for name in "abc":
    ...     recent.put(name, ord(name))
    >>> recent.get("a"), recent.get("c")
    (None, 99)
    """

    __slots__ = ("_lock", "_size", "_values")

    def __init__(self, *, size: int) -> None:
        if isinstance(size, bool) or not isinstance(size, int) or size < 0:
            raise ConfigurationError(f"`size` must be an integer of at least 0, got {size!r}.")
        self._size = size
        self._values: OrderedDict[K, V] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: K) -> V | None:
        """Return the value, which then counts as used; None when it is not kept."""
        with self._lock:
            value = self._values.get(key)
            if value is not None:
                self._values.move_to_end(key)
            return value

    def put(self, key: K, value: V) -> None:
        """Keep a value, instead of any other under this key."""
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            while len(self._values) > self._size:
                self._values.popitem(last=False)


class ScoreMemory:
    """Ask a router about each of the latest texts once.

    A router is a pure function of the text, so a remembered win rate is the win rate. Coroutines
    that ask for the same text at the same time share one answer; threads may each ask.

    Parameters
    ----------
    scorer
        Asks the router.
    size
        How many win rates are remembered; 0 for none.
    """

    __slots__ = ("_flights", "_recent", "_scorer", "_size")

    def __init__(self, scorer: Scorer, *, size: int) -> None:
        self._scorer = scorer
        self._size = size
        self._recent: RecentValues[Hashable, Any] = RecentValues(size=size)
        # `Future` of `concurrent.futures`, because it belongs to no event loop.
        self._flights: dict[Hashable, Future[Any]] = {}

    def win_rate(self, text: str) -> Any:
        """Return the win rate of a text."""
        if not self._size:
            return self._scorer.win_rate(text)
        key = _key(text)
        known = self._recent.get(key)
        if known is None:
            known = self._scorer.win_rate(text)
            self._recent.put(key, known)
        return known

    async def awin_rate(self, text: str) -> Any:
        """Return the win rate of a text without blocking the event loop."""
        if not self._size:
            return await self._scorer.awin_rate(text)
        key = _key(text)
        while (known := self._recent.get(key)) is None:
            mine: Future[Any] = Future()
            flight = self._flights.setdefault(key, mine)
            if flight is mine:
                return await self._fly(key, text, mine)
            known = await _landed(flight)
            if known is not None:
                return known
        return known

    async def _fly(self, key: Hashable, text: str, flight: Future[Any]) -> Any:
        """Ask the router on behalf of everybody who waits for this text."""
        known = None
        try:
            known = await self._scorer.awin_rate(text)
            self._recent.put(key, known)
            return known
        finally:
            # None, after an error or a cancellation: those who wait ask for themselves.
            del self._flights[key]
            flight.set_result(known)


async def _landed(flight: Future[Any]) -> Any:
    from asyncio import shield, wrap_future

    # Shielded, because one who stops waiting must not cancel what the others wait for.
    return await shield(wrap_future(flight))


def _key(text: str) -> Hashable:
    """Return the text, or a digest of a long one, which is not worth keeping."""
    if len(text) <= _LONG_CHARS:
        return text
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
