"""What a plan asks for, and what it is told.

A plan is a generator: it yields the next expert to ask and is sent what came of it, until it ends.
It does no input or output, and it does not know who drives it.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from routellm_core.types import StepRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from routellm_core.answers.content import Answer, Prompt
    from routellm_core.answers.steps import Plan as ScoringPlan
    from routellm_core.answers.steps import Request
    from routellm_core.answers.verifier import Score, Verifier
    from routellm_core.experts import ExpertTable
    from routellm_core.types import Decision

    Choose: TypeAlias = Callable[[Prompt, Sequence[Answer]], ScoringPlan[Sequence[Score]]]

__all__ = ["THE_PLAN_DECIDES", "Ask", "AskAll", "Plan", "Report", "verifier_step"]


THE_PLAN_DECIDES = math.inf


class Ask(NamedTuple):
    """Ask one expert.

    Parameters
    ----------
    expert
        Its name.
    verifier
        Scores the whole answer before it is given out; None to give it out as it comes.
    accept
        An answer whose score is at least this high is the answer to the call. With
        `THE_PLAN_DECIDES` the plan is told every score, and ends where the best answer so far is
        the answer.
    """

    expert: str
    verifier: Verifier | None = None
    accept: float = 0.0


class AskAll(NamedTuple):
    """Ask several experts at once, and give out the answer with the highest score.

    Parameters
    ----------
    experts
        Their names; a name may stand there more than once, for several samples of one model.
    choose
        Plans the scores of the answers that came, one for each, in their order.
    limit_s
        Seconds after which the best of the answers that have come is given; None for no limit.
    """

    experts: tuple[str, ...]
    choose: Choose
    limit_s: float | None = None


class Report(NamedTuple):
    """What came of the last step.

    Parameters
    ----------
    score
        In [0, 1]: of an answer that was rejected; None when there is no score.
    error
        The error of an expert that gave no answer, or of the verifier; None when there is none.
    """

    score: float | None = None
    error: BaseException | None = None


def verifier_step(
    request: Request, answer: Answer, decision: Decision, experts: ExpertTable
) -> StepRecord:
    """Return the record of what a verifier asked: its purpose is the outcome.

    Parameters
    ----------
    request, answer
        What was asked, and what came.
    decision
        Who wrote the draft, for a request that names no model.
    experts
        Resolve a name.
    """
    named, usage = request.model, answer.usage
    if named is None:
        return StepRecord(decision.route, decision.model, request.purpose, usage=usage)
    if not isinstance(named, str):  # a framework's own model
        said = None if usage is None else usage.model
        return StepRecord("", said or type(named).__name__, request.purpose, usage=usage)
    if named in experts:
        return StepRecord(named, experts[named].model, request.purpose, usage=usage)
    return StepRecord("", named, request.purpose, usage=usage)


Plan: TypeAlias = Generator["Ask | AskAll", Report, None]
"""Yields steps until there is nothing left to try."""
