"""A circuit breaker: stop asking a model that keeps failing, and find out when it is back.

Closed, every call may pass. After enough failures within a window it opens: no call passes until
the cooldown is over. Then it is half open: one call passes as a probe, and its outcome closes the
breaker or opens it again.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

from routellm_core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Breaker", "BreakerSettings", "BreakerState", "Permit"]

BreakerState = Literal["closed", "open", "half_open"]


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """When a breaker opens, and for how long.

    Parameters
    ----------
    failures
        Failures within the window that open it, at least 1.
    window_s
        Seconds, above 0, after which a failure is forgotten.
    cooldown_s
        Seconds, above 0, that it stays open at least.

    Raises
    ------
    ConfigurationError
        If a number is out of its range.
    """

    failures: int = 5
    window_s: float = 60.0
    cooldown_s: float = 5.0

    def __post_init__(self) -> None:
        if self.failures < 1:
            raise ConfigurationError(f"`failures` must be at least 1, got {self.failures!r}.")
        for name in ("window_s", "cooldown_s"):
            if not getattr(self, name) > 0.0:
                raise ConfigurationError(f"`{name}` must be above 0, got {getattr(self, name)!r}.")


class Permit:
    """The right to make one call; its holder reports the outcome exactly once."""

    __slots__ = ("_breaker", "generation", "is_probe")

    def __init__(self, breaker: Breaker, generation: int, *, is_probe: bool) -> None:
        self._breaker = breaker
        self.generation = generation
        self.is_probe = is_probe

    def succeeded(self) -> None:
        """Report an answer."""
        self._breaker._report(self, failed=False)

    def failed(self, *, retry_after_s: float = 0.0) -> None:
        """Report a failure of the provider, and the pause in seconds that it asked for."""
        self._breaker._report(self, failed=True, retry_after_s=retry_after_s)

    def dropped(self) -> None:
        """Report a call that says nothing of the provider: cancelled, or a bad request."""
        self._breaker._drop(self)


class Breaker:
    """Guard one model. Safe to share between threads and event loops.

    Parameters
    ----------
    settings
        When it opens.
    clock
        Seconds from any origin, never going back.
    """

    def __init__(
        self,
        settings: BreakerSettings | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings or BreakerSettings()
        self._clock = clock
        self._lock = Lock()
        self._failures: deque[float] = deque()
        self._open_until: float | None = None
        self._probing = False
        # Counts the openings, so that an older call's success does not close a newer opening.
        self._generation = 0

    @property
    def state(self) -> BreakerState:
        """Whether calls pass, do not, or only one as a probe."""
        if self._open_until is None:
            return "closed"
        return "open" if self._clock() < self._open_until else "half_open"

    @property
    def retry_in_s(self) -> float:
        """Seconds until a probe may pass; 0 unless the breaker is open."""
        return 0.0 if self._open_until is None else max(0.0, self._open_until - self._clock())

    def enter(self) -> Permit | None:
        """Return a permit for one call, or None when it must not be made."""
        with self._lock:
            state = self.state
            if state == "closed":
                return Permit(self, self._generation, is_probe=False)
            if state == "open" or self._probing:
                return None
            self._probing = True
            return Permit(self, self._generation, is_probe=True)

    def _report(self, permit: Permit, *, failed: bool, retry_after_s: float = 0.0) -> None:
        if not failed and self._open_until is None and not self._failures:
            return
        with self._lock:
            if permit.is_probe and permit.generation == self._generation:
                self._probing = False
            if failed:
                self._count_failure(permit, retry_after_s)
            elif permit.generation == self._generation:
                self._failures.clear()
                if permit.is_probe:
                    self._open_until = None

    def _count_failure(self, permit: Permit, retry_after_s: float) -> None:
        now = self._clock()
        cooldown_s = max(self.settings.cooldown_s, retry_after_s)
        if self._open_until is not None:
            # Of overlapping cooldowns the latest end counts.
            self._open_until = max(self._open_until, now + cooldown_s)
            if permit.is_probe:
                self._generation += 1
            return
        self._failures.append(now)
        while self._failures[0] <= now - self.settings.window_s:
            self._failures.popleft()
        if len(self._failures) >= self.settings.failures:
            self._failures.clear()
            self._open_until = now + cooldown_s
            self._generation += 1

    def _drop(self, permit: Permit) -> None:
        if permit.is_probe:
            with self._lock:
                if permit.generation == self._generation:
                    self._probing = False

    def __getstate__(self) -> dict[str, Any]:
        """Keep the settings only: a copy in another process starts closed."""
        return {"settings": self.settings}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["settings"])  # type: ignore[misc]
