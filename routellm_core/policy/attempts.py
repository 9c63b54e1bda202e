"""What to try next when a model fails: the attempt machine.

It does no input or output. A caller asks for the decision, makes the call, and reports what
happened; sync and async callers drive the same object. One call, one machine: nothing is shared
but the breakers.
"""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from routellm_core._warnings import ignore_third_party_warnings
from routellm_core.errors import CircuitOpenError, ConfigurationError
from routellm_core.policy.faults import fault_of, retry_after_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from typing import TypeAlias

    from routellm_core.policy.breaker import Breaker, Permit
    from routellm_core.types import Decision, Outcome, Usage

    Ending: TypeAlias = Callable[["Attempts", Outcome, Usage | None, BaseException | None], None]

__all__ = ["Attempts", "FailedAttempt", "RetrySettings", "escalation_filter"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

LONGEST_WAIT_S = 60.0
"""Without a deadline, a provider that asks for a longer pause is not waited for."""


@dataclass(frozen=True, slots=True)
class RetrySettings:
    """How often and how long one call may be tried.

    Parameters
    ----------
    retries
        Further tries of the same model after a transient fault, at least 0. Provider clients
        retry by themselves; ask for retries here where they do not.
    backoff_s, max_backoff_s
        The first pause and the longest, in seconds, at least 0. Pauses double and are drawn
        between half and all of their length.
    deadline_s
        Seconds, above 0, after which no further attempt begins; None means never. Where calls are
        asynchronous an attempt without content is given up then, too.
    attempt_timeout_s
        Seconds, above 0, that one attempt may take until its first content; None means any time.
        It holds where calls are asynchronous. A synchronous call cannot be given up from outside:
        set the timeout of the model's own client, which bounds both kinds.

    Raises
    ------
    ConfigurationError
        If a number is out of its range.
    """

    retries: int = 0
    backoff_s: float = 0.5
    max_backoff_s: float = 8.0
    deadline_s: float | None = None
    attempt_timeout_s: float | None = None

    def __post_init__(self) -> None:
        for name in ("retries", "backoff_s", "max_backoff_s"):
            if not getattr(self, name) >= 0:
                raise ConfigurationError(
                    f"`{name}` must be at least 0, got {getattr(self, name)!r}."
                )
        for name in ("deadline_s", "attempt_timeout_s"):
            value = getattr(self, name)
            if value is not None and not value > 0.0:
                raise ConfigurationError(f"`{name}` must be above 0, got {value!r}.")


NO_RETRIES = RetrySettings()


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """One attempt that did not lead to an answer."""

    route: str
    model: str
    error: str
    """Class of the error; its message may hold secrets."""


def escalation_filter(
    escalate_on: tuple[type[BaseException], ...] | None,
) -> Callable[[BaseException], bool]:
    """Return the test that an error must pass for another model to be tried.

    Parameters
    ----------
    escalate_on
        None: errors that another model may not have, as `fault_of` tells them ("transient",
        "capacity" and "answer"). Otherwise exactly these classes; () means never.
    """
    if escalate_on is None:
        return lambda error: fault_of(error) in ("transient", "capacity", "answer")
    return lambda error: isinstance(error, escalate_on)


class Attempts:
    """Follow one call from its decision to its answer.

    Until the first content or tool-call chunk reached the caller, a failed weak model is followed
    by the strong one; after it, never. The strong model never falls back to the weak one, and a
    cancellation is never an occasion to try again. A weak model whose breaker is open is not
    asked at all.

    Parameters
    ----------
    decision
        Where the call goes first.
    strong_model
        Name of the strong model, for the record of an escalation.
    worth_escalating
        The test that an error must pass.
    retry
        Tries of the same model, and the total deadline.
    breakers
        The breaker of each route that has one.
    on_end
        Told once how the call ended, with what its answer used and the error that was final.
    clock, jitter
        Seconds from any origin; numbers in [0, 1).

    Raises
    ------
    CircuitOpenError
        If no model may be asked.
    """

    __slots__ = (
        "_breakers",
        "_clock",
        "_committed",
        "_jitter",
        "_last_error",
        "_on_end",
        "_permit",
        "_retries_left",
        "_retry",
        "_started",
        "_strong_model",
        "_until",
        "_worth_escalating",
        "committed_s",
        "decision",
        "failures",
        "wait_s",
    )

    def __init__(
        self,
        decision: Decision,
        *,
        strong_model: str,
        worth_escalating: Callable[[BaseException], bool],
        retry: RetrySettings = NO_RETRIES,
        breakers: Mapping[str, Breaker] | None = None,
        on_end: Ending | None = None,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        ignore_third_party_warnings()
        self.decision = decision
        self.wait_s = 0.0
        """Seconds to wait before the next attempt."""
        self.failures: list[FailedAttempt] = []
        """The attempts that failed, in order."""
        self._strong_model = strong_model
        self._worth_escalating = worth_escalating
        self._retry = retry
        self._retries_left = retry.retries
        self._breakers = breakers or {}
        self._clock = clock
        self._jitter = jitter
        self._started = clock() if retry.deadline_s is not None else 0.0
        self._until: float | None = None
        """When this attempt must have content, on the clock; None before anybody waits for it."""
        self._committed = False
        self.committed_s: float | None = None
        """When content first reached the caller, on the machine's clock; None if nobody asks."""
        self._on_end: Ending | None = None
        self._last_error: BaseException | None = None
        self._permit: Permit | None = None
        if self._breakers and not self._enter() and not self._escalate("breaker_open"):
            raise self._circuit_open()
        self._on_end = on_end

    @property
    def may_escalate(self) -> bool:
        """Whether an error could still lead to the strong model."""
        return not self._committed and self.decision.route != "strong"

    @property
    def remaining_s(self) -> float | None:
        """Seconds until the deadline, at least 0; None when there is no deadline."""
        if self._retry.deadline_s is None:
            return None
        return max(0.0, self._started + self._retry.deadline_s - self._clock())

    @property
    def attempt_s(self) -> float | None:
        """Seconds that this attempt may take until its first content; None for any time."""
        limits = (self._retry.attempt_timeout_s, self.remaining_s)
        return min((limit for limit in limits if limit is not None), default=None)

    async def within(self, answer: Awaitable[T]) -> T:
        """Wait for an answer, or for its first content, as long as this attempt may take.

        Several waits of one attempt, as for chunks without content, share its time.

        Raises
        ------
        TimeoutError
            If that is over; the answer is then cancelled.
        """
        seconds = self.attempt_s
        if seconds is None:
            return await answer
        import asyncio

        if self._until is None:
            self._until = self._clock() + seconds
        seconds = max(0.0, self._until - self._clock())

        if hasattr(asyncio, "timeout"):  # stays in the caller's task, which older Pythons cannot
            async with asyncio.timeout(seconds):
                return await answer
        try:
            return await asyncio.wait_for(answer, seconds)
        except asyncio.TimeoutError:  # a class of its own before Python 3.11
            raise TimeoutError(f"No answer within {seconds:g} s.") from None

    def commit(self) -> None:
        """Note that content reached the caller: from here on every error is final."""
        if not self._committed and self._on_end is not None:
            self.committed_s = self._clock()
        self._committed = True

    @property
    def is_committed(self) -> bool:
        """Whether content reached the caller."""
        return self._committed

    def succeeded(self, usage: Usage | None = None) -> None:
        """Report that the answer is complete, and what it used."""
        if self._permit is not None:
            self._permit.succeeded()
            self._permit = None
        self._end("answered", usage)

    def close(self, usage: Usage | None = None) -> None:
        """Report that nobody waits for the answer any more.

        Does nothing when the outcome is known, so that every caller may end with it.
        """
        if self._permit is not None:
            self._permit.dropped()
            self._permit = None
        self._end("abandoned", usage)

    def failed(self, error: BaseException, usage: Usage | None = None) -> bool:
        """Report an error; return whether to try again with the new `decision` after `wait_s`.

        On False the caller raises the error as it is; earlier errors are chained to it.
        """
        again = self._goes_on(error)
        if not again:
            self._end("failed" if isinstance(error, Exception) else "abandoned", usage, error)
        return again

    def __del__(self) -> None:
        # A call that was begun and never made, as in a batch that is given up, holds nothing.
        self.close()

    def _goes_on(self, error: BaseException) -> bool:
        self._until = None
        self._report(error)
        self.failures.append(
            FailedAttempt(self.decision.route, self.decision.model, type(error).__name__)
        )
        _chain(error, self._last_error)
        self._last_error = error
        if self._committed or not isinstance(error, Exception):
            return False
        pause = self._pause(error)
        if pause is not None and (not self._breakers or self._enter()):
            self.wait_s = pause
            return True
        return self._worth_escalating(error) and self._escalate(
            f"escalation:{type(error).__name__}"
        )

    def _end(
        self, outcome: Outcome, usage: Usage | None, error: BaseException | None = None
    ) -> None:
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            on_end(self, outcome, usage, error)

    def _report(self, error: BaseException) -> None:
        if self._permit is None:
            return
        if fault_of(error) in ("transient", "answer"):
            self._permit.failed(retry_after_s=retry_after_of(error) or 0.0)
        else:
            self._permit.dropped()
        self._permit = None

    def _pause(self, error: Exception) -> float | None:
        """Return the pause before another try of the same model; None when there is none."""
        if self._retries_left <= 0 or fault_of(error) != "transient":
            return None
        done = self._retry.retries - self._retries_left
        longest = min(self._retry.backoff_s * 2.0**done, self._retry.max_backoff_s)
        asked = retry_after_of(error) or 0.0
        pause = max(asked, longest * (0.5 + 0.5 * self._jitter()))
        remaining = self.remaining_s
        if pause > (LONGEST_WAIT_S if remaining is None else remaining):
            return None
        self._retries_left -= 1
        return pause

    def _escalate(self, reason: str) -> bool:
        """Turn to the strong model, if that is a change and may be asked; return whether so."""
        failed = self.decision
        if failed.route == "strong" or self.remaining_s == 0.0:
            return False
        self.decision = replace(failed, route="strong", model=self._strong_model, reason=reason)
        if self._breakers and not self._enter():
            self.decision = failed
            return False
        self.wait_s = 0.0
        self._retries_left = self._retry.retries
        logger.warning(
            "Model %r is passed over (%s); trying %r.", failed.model, reason, self._strong_model
        )
        return True

    def _enter(self) -> bool:
        breaker = self._breakers.get(self.decision.route)
        if breaker is None:
            return True
        self._permit = breaker.enter()
        return self._permit is not None

    def _circuit_open(self) -> CircuitOpenError:
        waits = {route: round(breaker.retry_in_s, 1) for route, breaker in self._breakers.items()}
        return CircuitOpenError(
            f"Model {self.decision.model!r} failed repeatedly and is not asked for now. Seconds "
            f"until another try, by route: {waits}."
        )


def _chain(error: BaseException, earlier: BaseException | None) -> None:
    """Hang the earlier error at the end of the later one's chain of causes."""
    if earlier is None or earlier is error:
        return
    last, seen = error, {id(error), id(earlier)}
    while True:
        following = last.__cause__ or last.__context__
        if following is None:
            last.__context__ = earlier
            return
        if id(following) in seen:
            return
        seen.add(id(following))
        last = following
