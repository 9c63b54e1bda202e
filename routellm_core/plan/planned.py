"""The state of a call that follows a plan: drafts, their scores, and the steps that are over."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from routellm_core.errors import EmptyAnswerError
from routellm_core.plan.attempts import Attempts
from routellm_core.plan.steps import THE_PLAN_DECIDES, Ask, AskAll, Report, verifier_step
from routellm_core.policy.faults import fault_of
from routellm_core.types import StepRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from routellm_core.answers.content import Answer
    from routellm_core.answers.steps import Request
    from routellm_core.answers.verifier import Score, Verifier
    from routellm_core.plan.steps import Plan
    from routellm_core.types import Decision, Usage

__all__ = ["Draft", "OnVerifierError", "PlannedAttempts"]

logger = logging.getLogger(__name__)

OnVerifierError = Literal["accept", "next"]
"""What follows a draft that could not be scored."""


class Draft(NamedTuple):
    """A whole answer that has not been given out.

    Parameters
    ----------
    answer
        In the caller's own form.
    decision
        Who wrote it.
    score
        The verifier's, in [0, 1]; None when it has none.
    usage
        What it used; None when nobody counts.
    seconds
        From asking to its end, where others were asked at the same time.
    """

    answer: Any
    decision: Decision
    score: float | None
    usage: Usage | None
    seconds: float | None = None


class PlannedAttempts(Attempts):
    """Follow one call through the steps of a plan.

    A rejected draft is followed by the plan's next step, as a failure is. Where no further model
    may be asked, the best draft is the answer: see `given`.

    Parameters
    ----------
    decision
        The plan's first step, as a decision.
    plan
        Yields the steps.
    affords
        Whether a further model may be asked where there is a draft already, by the model's name.
    on_verifier_error
        Whether a draft that could not be scored is the answer.
    options
        Those of `Attempts`.

    Raises
    ------
    CircuitOpenError
        If no model may be asked.
    """

    __slots__ = (
        "_affords",
        "_best",
        "_best_place",
        "_n_steps",
        "_outcome",
        "_over_budget",
        "_plan",
        "_step_started",
        "given",
        "on_verifier_error",
        "step",
        "steps",
    )

    steps: list[StepRecord]

    def __init__(
        self,
        decision: Decision,
        *,
        plan: Plan,
        affords: Callable[[str], bool] = lambda _: True,
        on_verifier_error: OnVerifierError = "next",
        **options: Any,
    ) -> None:
        self.given: Draft | None = None
        self.on_verifier_error = on_verifier_error
        self.steps = []
        self._affords = affords
        self._best: Draft | None = None
        self._best_place = 0
        self._n_steps = 1
        self._over_budget = False
        self._plan = plan
        self._outcome = Report()
        self.step: Ask | AskAll | None = None
        self._step_started = 0.0
        super().__init__(decision, **options)

    @property
    def may_escalate(self) -> bool:
        """Whether an error could still lead to another model, or to an earlier draft."""
        return not self._committed

    @property
    def verifier(self) -> Verifier | None:  # type: ignore[override]
        """What scores the whole answer of this step before it is given out."""
        step = self.step
        return step.verifier if isinstance(step, Ask) and not self._committed else None

    def judged(
        self, score: Score, answer: Any, usage: Usage | None = None, *, is_whole: bool = True
    ) -> bool:
        """Report the score of this step's whole answer; return whether the call has its answer.

        Parameters
        ----------
        score
            The verifier's.
        answer
            The draft, in the caller's own form.
        usage
            What it used.
        is_whole
            Whether the draft was read to its end; one that was not is never the answer.

        Returns
        -------
        True if `given` is the answer: this draft, or the best of all where no further model may be
        asked. False to ask again with the new `decision`.

        Raises
        ------
        EmptyAnswerError
            If no draft was read to its end, and no further model may be asked.
        """
        draft = Draft(answer, self.decision, score.value, usage)
        step, verifier = self.step, self.verifier
        name = "" if verifier is None else verifier.name
        if isinstance(step, Ask) and score.value >= step.accept:
            return self._accepted(draft, f"accepted:{name}")
        report = Report(score=score.value)
        return self._rejected(draft, report, f"rejected:{name}", is_whole=is_whole)

    def malformed(self, score: Score, answer: Any, usage: Usage | None = None) -> bool:
        """Report an answer without the form that was asked for; return what `judged` returns.

        It is never the answer: its tool calls must not be made.

        Raises
        ------
        EmptyAnswerError
            If there is no other draft, and no further model may be asked.
        """
        draft = Draft(answer, self.decision, score.value, usage)
        report = Report(score=score.value)
        return self._rejected(draft, report, "rejected:schema", is_whole=False)

    def unjudged(self, error: Exception, answer: Any, usage: Usage | None = None) -> bool:
        """Report that the verifier failed on this step's answer; return what `judged` returns."""
        draft = Draft(answer, self.decision, None, usage)
        reason = f"verifier_error:{type(error).__name__}"
        logger.warning("The answer of model %r was not scored (%s).", draft.decision.model, reason)
        if self.on_verifier_error == "accept":
            return self._accepted(draft, reason)
        return self._rejected(draft, Report(error=error), reason)

    def branch(self, name: str) -> Attempts:
        """Return the state of one of the calls that this step makes at once.

        Raises
        ------
        CircuitOpenError
            If the expert's breaker is open.
        """
        expert = self._experts[name]
        decision = replace(self.decision, route=name, model=expert.label, order=(name,))
        return Attempts(
            decision,
            experts=self._experts,
            worth_escalating=self._worth_escalating,
            retry=self._retry,
            breakers=self._breakers,
            clock=self._clock,
            jitter=self._jitter,
        )

    def chosen(
        self,
        drafts: Sequence[Draft],
        best: int,
        *,
        late: Sequence[Decision] = (),
        reason: str = "best_of",
    ) -> None:
        """Report the drafts of a step that asked several experts.

        Parameters
        ----------
        drafts
            Those that came.
        best
            The place of the one that is the answer.
        late
            Who had not answered when the time was up.
        reason
            For the record.
        """
        order = self.decision.order
        for place, draft in enumerate(drafts):
            self.decision = draft.decision
            outcome = "accepted" if place == best else "rejected"
            self._note_step(outcome, score=draft.score, usage=draft.usage, seconds=draft.seconds)
        for self.decision in late:
            self._note_step("late")
        self.given = drafts[best]
        self.decision = replace(self.given.decision, reason=reason, order=order)

    def note_verifier(self, request: Request, answer: Answer) -> None:
        """Note what a verifier asked a model."""
        self.steps.append(verifier_step(request, answer, self.decision, self._experts))

    def succeeded(self, usage: Usage | None = None) -> None:
        """Report that the answer is complete, and what it used; once more does nothing."""
        given = self.given
        if given is None and not (self.steps and self.steps[-1].outcome == "answered"):
            self._note_step("answered", usage=usage)
        super().succeeded(usage if given is None else given.usage)

    def close(self, usage: Usage | None = None) -> None:
        """Report that nobody waits for the answer any more."""
        given = self.given
        if self._on_end is not None and given is None:
            self._note_step("abandoned", usage=usage)
        super().close(usage if given is None else given.usage)
        self._plan.close()

    def failed(self, error: BaseException, usage: Usage | None = None) -> bool:
        """Report an error; return whether to try again with the new `decision` after `wait_s`.

        On False `given` is the answer, if it is a draft; otherwise the caller raises the error.
        """
        self._outcome = Report(error=error)
        self._note_step(f"failed:{type(error).__name__}", usage=usage)
        if self._goes_on(error):
            return True
        if not self._gives_best(error):
            self._end("failed" if isinstance(error, Exception) else "abandoned", usage, error)
        return False

    def _pause(self, error: Exception) -> float | None:
        # Each of several experts has had its own tries.
        return None if isinstance(self.step, AskAll) else super()._pause(error)

    def _starts(self) -> bool:
        self.step = self._affordable(next(self._plan))
        self._step_started = self._clock()
        return isinstance(self.step, AskAll) or super()._starts()

    def _affordable(self, step: Ask | AskAll) -> Ask | AskAll:
        """Return the step without those experts beside the first that the budget does not allow."""
        if not isinstance(step, AskAll):
            return step
        first, *others = step.experts
        allowed = (name for name in others if self._affords(self._experts[name].label))
        return step._replace(experts=(first, *allowed))

    def _advance(self, reason: str) -> bool:
        before = self.decision
        if self.remaining_s == 0.0:
            return False
        while (step := self._following()) is not None:
            name = step.experts[0] if isinstance(step, AskAll) else step.expert
            if self._best is not None and not self._affords(self._experts[name].label):
                self._over_budget = True
                break
            self._turn_to(name, reason)
            if not self._breakers or isinstance(step, AskAll) or self._enter():
                self.step, self._step_started = self._affordable(step), self._clock()
                self._note_turn(before, reason)
                return True
            self._outcome = Report(error=self._circuit_open())
        self.decision = before
        return False

    def _note_turn(self, before: Decision, reason: str) -> None:
        if not reason.startswith("rejected:"):
            super()._note_turn(before, reason)
            return
        self.wait_s, self._until = 0.0, None
        self._retries_left = self._retry.retries
        logger.info("Draft of %r: %s; asking %r.", before.model, reason, self.decision.model)

    def _following(self) -> Ask | AskAll | None:
        try:
            step = self._plan.send(self._outcome)
        except StopIteration:
            return None
        self._n_steps += 1
        return step

    def _accepted(self, draft: Draft, reason: str) -> bool:
        self._release_permit()
        self._note_step("accepted", score=draft.score, usage=draft.usage)
        self.decision = replace(draft.decision, reason=reason)
        self.given = draft
        return True

    def _rejected(
        self, draft: Draft, report: Report, reason: str, *, is_whole: bool = True
    ) -> bool:
        self._release_permit()
        self._note_step("rejected", score=draft.score, usage=draft.usage)
        best = self._best
        if is_whole and (best is None or (draft.score or 0.0) > (best.score or 0.0)):
            self._best, self._best_place = draft, len(self.steps) - 1
        self._outcome = report
        n_steps = self._n_steps
        if self._advance(reason):
            return False
        if not self._gives_best(None):
            raise EmptyAnswerError(
                f"The answer of model {draft.decision.model!r} cannot be given out ({reason}), and "
                "no other model may be asked."
            )
        decides = isinstance(self.step, Ask) and self.step.accept == THE_PLAN_DECIDES
        ended = self._n_steps == n_steps and not self._over_budget and self.remaining_s != 0.0
        if decides and ended:
            # The plan had nothing more to ask: it is content with the best so far.
            self.decision = replace(self.decision, reason=reason.replace("rejected:", "accepted:"))
        return True

    def _gives_best(self, error: BaseException | None) -> bool:
        """Make the best draft the answer, where there is one and nothing better can come."""
        best = self._best
        if best is None or self._committed:
            return False
        if error is not None and not another_may_answer(error):
            return False
        if self._over_budget:
            reason = "budget"
        elif self.remaining_s == 0.0:
            reason = "deadline"
        elif error is None:
            reason = "best_draft"
        else:
            reason = f"best_draft:{type(error).__name__}"
        self.decision = replace(best.decision, reason=reason)
        self.given = best
        self.steps[self._best_place] = replace(self.steps[self._best_place], outcome="accepted")
        return True

    def _note_step(
        self,
        outcome: str,
        *,
        score: float | None = None,
        usage: Usage | None = None,
        seconds: float | None = None,
    ) -> None:
        now, decision = self._clock(), self.decision
        self.steps.append(
            StepRecord(
                decision.route,
                decision.model,
                outcome,
                score,
                now - self._step_started if seconds is None else seconds,
                usage,
            )
        )
        if seconds is None and outcome != "late":
            self._step_started = now


def another_may_answer(error: BaseException) -> bool:
    """Return whether an answer may hide this error: not a cancellation, nor a wrong setting."""
    return isinstance(error, Exception) and fault_of(error) != "configuration"
