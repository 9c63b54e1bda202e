"""Whom to ask next when a model fails: the state of one call.

It does no input or output. A caller asks for the decision, makes the call, and reports what
happened; sync and async callers drive the same object. One call, one machine: nothing is shared
but the breakers.
"""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from routellm_core._litellm import Quiet
from routellm_core._warnings import ignore_third_party_warnings
from routellm_core.errors import CircuitOpenError
from routellm_core.plan.retrying import NO_RETRIES
from routellm_core.plan.waiting import wait_within
from routellm_core.policy.faults import fault_of, retry_after_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from typing import TypeAlias

    from routellm_core.answers.verifier import Verifier
    from routellm_core.experts import ExpertTable
    from routellm_core.plan.breaker import Breaker, Permit
    from routellm_core.plan.retrying import RetrySettings
    from routellm_core.plan.shadow import ShadowedCall
    from routellm_core.plan.steps import Ask, AskAll
    from routellm_core.types import Decision, Outcome, StepRecord, Usage

    Ending: TypeAlias = Callable[["Attempts", Outcome, Usage | None, BaseException | None], None]

__all__ = ["Attempts", "FailedAttempt"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

_EARLY_S = 0.05
"""How long before the deadline a timer for it may fire."""

LONGEST_WAIT_S = 60.0
"""Without a deadline, a provider that asks for a longer pause is not waited for."""


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """One attempt that did not lead to an answer."""

    route: str
    model: str
    error: str
    """Class of the error; its message may hold secrets."""


class Attempts:
    """Follow one call from its decision to its answer.

    Until the first content or tool-call chunk reached the caller, a failed model is followed by
    the next one in the decision's order, or in the table; after it, never. So the strong model
    never falls back to the weak one. A cancellation is never an occasion to try again. A model
    whose breaker is open is not asked.

    Parameters
    ----------
    decision
        Where the call goes first.
    experts
        All models.
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
        "_experts",
        "_is_over",
        "_jitter",
        "_last_error",
        "_on_end",
        "_permit",
        "_quiet",
        "_rest",
        "_retries_left",
        "_retry",
        "_started",
        "_until",
        "_worth_escalating",
        "committed_s",
        "decision",
        "failures",
        "wait_s",
    )

    step: Ask | AskAll | None = None
    """The current step of a plan; None without a plan."""
    steps: Sequence[StepRecord] = ()
    """The steps of a plan that are over, in order."""
    given: Any = None
    """The `Draft` that is the answer, once one is; None without a plan."""
    verifier: Verifier | None = None
    """What scores the whole answer of this step before it is given out."""
    shadow: ShadowedCall | None = None
    """Of a sampled call, after which another model is asked, too."""

    def __init__(
        self,
        decision: Decision,
        *,
        experts: ExpertTable,
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
        self._experts = experts
        self._worth_escalating = worth_escalating
        self._retry = retry
        self._retries_left = retry.retries
        self._breakers = breakers or {}
        self._clock = clock
        self._jitter = jitter
        self._started = clock() if retry.deadline_s is not None else 0.0
        self._until: float | None = None
        """When this attempt must have content, on the clock; None before anybody waits for it."""
        self._is_over = False
        self._committed = False
        self.committed_s: float | None = None
        """When content first reached the caller, on the machine's clock; None if nobody asks."""
        self._on_end: Ending | None = None
        self._last_error: BaseException | None = None
        self._permit: Permit | None = None
        self._rest: tuple[str, ...] | None = None
        self._quiet: Quiet | None = None
        if not self._starts():
            raise self._circuit_open()
        self._on_end = on_end
        if self.may_escalate:
            self._quiet = Quiet()  # its advice is on a failure that nobody would see

    @property
    def may_escalate(self) -> bool:
        """Whether an error could still lead to another model."""
        return not self._committed and bool(self._remaining())

    @property
    def remaining_s(self) -> float | None:
        """Seconds until the deadline, at least 0; None when there is no deadline."""
        if self._retry.deadline_s is None:
            return None
        if self._is_over:
            return 0.0
        return max(0.0, self._started + self._retry.deadline_s - self._clock())

    @property
    def attempt_s(self) -> float | None:
        """Seconds that this attempt may take until its first content; None for any time."""
        timeout_s, remaining_s = self._retry.attempt_timeout_s, self.remaining_s
        if timeout_s is None or remaining_s is None:
            return remaining_s if timeout_s is None else timeout_s
        return min(timeout_s, remaining_s)

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
        if self._until is None:
            self._until = self._clock() + seconds
        return await self._timed(answer, max(0.0, self._until - self._clock()))

    async def before_deadline(self, answer: Awaitable[T]) -> T:
        """Wait for something until the call's deadline.

        Raises
        ------
        TimeoutError
            If that is over; what was waited for is then cancelled.
        """
        seconds = self.remaining_s
        return await (answer if seconds is None else self._timed(answer, seconds))

    async def _timed(self, answer: Awaitable[T], seconds: float) -> T:
        try:
            return await wait_within(answer, seconds)
        except TimeoutError:
            remaining = self.remaining_s
            # The timers of some event loops fire early, by the time that a callback takes.
            self._is_over = remaining is not None and remaining < _EARLY_S
            raise

    def commit(self) -> None:
        """Note that content reached the caller: from here on every error is final."""
        if not self._committed and self._on_end is not None:
            self.committed_s = self._clock()
        self._committed = True
        self._end_quiet()

    @property
    def is_committed(self) -> bool:
        """Whether content reached the caller."""
        return self._committed

    def succeeded(self, usage: Usage | None = None) -> None:
        """Report that the answer is complete, and what it used."""
        self._release_permit()
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

    def give_up(self) -> None:
        """Let no further attempt begin: nobody waits for the answer any more."""
        self._retries_left, self._rest = 0, ()

    def __del__(self) -> None:
        # A call that was begun and never made, as in a batch that is given up, holds nothing.
        self.close()

    def _goes_on(self, error: BaseException) -> bool:
        self._until = None
        self._report(error)
        decision = self.decision
        self.failures.append(FailedAttempt(decision.route, decision.model, type(error).__name__))
        _chain(error, self._last_error)
        self._last_error = error
        if self._committed or not isinstance(error, Exception):
            return False
        pause = self._pause(error)
        if pause is not None and (not self._breakers or self._enter()):
            self.wait_s = pause
            return True
        return self._worth_escalating(error) and self._advance(f"escalation:{type(error).__name__}")

    def _end_quiet(self) -> None:
        if self._quiet is not None:
            self._quiet.end()
            self._quiet = None

    def _end(
        self, outcome: Outcome, usage: Usage | None, error: BaseException | None = None
    ) -> None:
        self._end_quiet()
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

    def _release_permit(self) -> None:
        if self._permit is not None:
            self._permit.succeeded()
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

    def _remaining(self) -> tuple[str, ...]:
        """Return the experts that may follow this one, without a plan."""
        if self._rest is None:
            route, order = self.decision.route, self.decision.order
            if not order:
                self._rest = self._experts.after(route)
            elif route in order:
                self._rest = order[order.index(route) + 1 :]
            else:
                after = self._experts.after(route)
                self._rest = tuple(name for name in after if name in order)
        return self._rest

    def _starts(self) -> bool:
        """Enter the first model's breaker, or turn to another model; return whether one may be."""
        return not self._breakers or self._enter() or self._advance("breaker_open")

    def _advance(self, reason: str) -> bool:
        """Turn to the next model that may be asked; return whether there is one."""
        before = self.decision
        if self.remaining_s == 0.0:
            return False
        while rest := self._remaining():
            self._rest = rest[1:]
            self._turn_to(rest[0], reason)
            if not self._breakers or self._enter():
                self._note_turn(before, reason)
                return True
        self.decision = before
        return False

    def _turn_to(self, name: str, reason: str) -> None:
        expert = self._experts[name]
        self.decision = replace(self.decision, route=name, model=expert.label, reason=reason)

    def _note_turn(self, before: Decision, reason: str) -> None:
        self.wait_s, self._until = 0.0, None
        self._retries_left = self._retry.retries
        if not self.may_escalate:
            self._end_quiet()
        logger.warning(
            "Model %r failed (%s); falling back to %r.", before.model, reason, self.decision.model
        )

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
