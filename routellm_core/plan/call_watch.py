"""What becomes of one call: its budget is settled, and its end is handed to the monitor."""

from __future__ import annotations

from time import perf_counter, time
from typing import TYPE_CHECKING

from routellm_core.monitoring.endings import Ending, call_id, next_call_number
from routellm_core.types import VERIFIER_OUTCOMES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from routellm_core.plan.attempts import Attempts, FailedAttempt
    from routellm_core.plan.budget import Reservation
    from routellm_core.plan.guards import Guards
    from routellm_core.plan.shadow import ShadowedCall
    from routellm_core.policy.decider import Decider
    from routellm_core.types import Decision, Outcome, StepRecord, Usage

__all__ = ["CallWatch"]

_PAID = ("rejected", "late")
"""Outcomes of steps whose model was paid, beside the answer's own."""


class CallWatch:
    """Note what becomes of one call; what can wait is left to `ending`, where nobody waits."""

    __slots__ = (
        "_attempts_failed",
        "_committed_s",
        "_decider",
        "_ended_s",
        "_error",
        "_guards",
        "_is_partial",
        "_number",
        "_outcome",
        "_shadow_share",
        "_started_at",
        "_started_s",
        "_steps",
        "_text",
        "_usage",
        "begun_s",
        "decided",
        "decision",
        "on_answer",
        "reservation",
        "shadowed",
    )

    def __init__(
        self,
        guards: Guards,
        decision: Decision,
        decider: Decider,
        text: str,
        started_s: float | None,
    ) -> None:
        self._guards = guards
        self._decider = decider
        self._text = text
        self._started_at = time()
        self.begun_s = now = perf_counter()
        self._started_s = now if started_s is None else started_s
        if guards.monitor is not None:
            self._number = number = next_call_number()
            decision = decision.of_call(call_id(number))
        self.decided = self.decision = decision
        self.reservation: Reservation | None = None
        self.on_answer: Callable[[str, str, Usage | None], None] | None = None
        self.shadowed: ShadowedCall | None = None
        self._attempts_failed: Sequence[FailedAttempt] = ()
        self._committed_s: float | None = None
        self._is_partial = False
        self._steps: tuple[StepRecord, ...] = ()
        self._shadow_share: float | None = None

    def ended(
        self,
        attempts: Attempts,
        outcome: Outcome,
        usage: Usage | None,
        error: BaseException | None,
    ) -> None:
        """Settle the call's budget and hand its end to the monitor."""
        self.decision = attempts.decision
        self._attempts_failed = attempts.failures
        self._steps = tuple(attempts.steps)
        self._committed_s = attempts.committed_s
        self._is_partial = attempts.is_committed and outcome != "answered"
        if self.shadowed is not None:
            self.shadowed.is_answered = outcome == "answered"
            self._shadow_share = self.shadowed.share if outcome == "answered" else None
        if self.reservation is not None:
            drafts = [(s.model, s.usage) for s in attempts.steps if s.outcome in _PAID]
            asked = [(s.model, s.usage) for s in attempts.steps if s.outcome in VERIFIER_OUTCOMES]
            if outcome == "failed" and not attempts.is_committed:
                self.reservation.fail(drafts, asked)
            else:
                self.reservation.settle(self.decision.model, usage, drafts, asked)
        if self.on_answer is not None:
            for step in attempts.steps:
                if step.outcome == "rejected":
                    self.on_answer(step.expert, step.model, step.usage)
            if outcome == "answered":
                self.on_answer(self.decision.route, self.decision.model, usage)
        self._hand_over(outcome, usage, error)

    def refused(self, error: Exception) -> None:
        """Note a call for which no model was asked."""
        if self.reservation is not None:
            self.reservation.release()
        self._hand_over("refused", None, error)

    def _hand_over(
        self, outcome: Outcome, usage: Usage | None, error: BaseException | None
    ) -> None:
        monitor = self._guards.monitor
        if monitor is not None:
            self._ended_s = perf_counter()
            self._outcome: Outcome = outcome
            self._usage = usage
            # The class only: an error holds frames, and its message may hold secrets.
            self._error = None if error is None else type(error).__name__
            monitor.note(self.ending)

    def ending(self) -> Ending:
        """Return what the monitor makes a record of."""
        policy, started_s, committed_s = self._decider.policy, self._started_s, self._committed_s
        failed = self._attempts_failed
        finished = self._outcome in ("answered", "abandoned") and self._error is None
        # In the order of its fields: by name it would take twice as long.
        return Ending(
            self._number,
            self._started_at - (self.begun_s - started_s),
            self._outcome,
            self.decision,
            self.decided,
            policy.strong_model,
            policy.weak_model,
            self._decider.router.checkpoint_id,
            self.begun_s - started_s,
            self._ended_s - started_s,
            None if committed_s is None else committed_s - started_s,
            len(failed) + finished + _n_rejected(self._steps),
            tuple([f"{attempt.route}:{attempt.error}" for attempt in failed]) if failed else (),
            self._error,
            self._is_partial,
            self._usage,
            self._text,
            self._steps,
            0.0
            if self.decision.reason == "own_effort"
            else policy.experts.more_tokens(self.decision.route),
            self._shadow_share,
        )


def _n_rejected(steps: Sequence[StepRecord]) -> int:
    return sum(step.outcome == "rejected" for step in steps) if steps else 0
