"""The labelling of one prompt in each mode, as the calls that it needs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import TYPE_CHECKING, Literal, TypeVar

from routellm_core.labeling.answers import answers_plan
from routellm_core.labeling.logged import LoggedPrompt, transcript
from routellm_core.labeling.pairwise import PairVerdict, pairwise_plan
from routellm_core.labeling.route_labels import route_call, route_plan
from routellm_core.labeling.scores import score_plan, score_quality

if TYPE_CHECKING:
    from collections.abc import Sequence

    from routellm_core.labeling.calls import Plan, Reply
    from routellm_core.labeling.settings import LabelSettings

__all__ = ["Labelled", "Problem", "labelling_plan"]

T = TypeVar("T")

Problem = Literal["", "no answer", "no verdict", "no reference", "no feedback"]
"""Why a prompt has no label: "" when it has one. "no verdict" is one that could not be read, or did
not come."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """What was found of one prompt; which fields are filled depends on the mode.

    Parameters
    ----------
    prompt
        The prompt.
    problem
        See `Problem`.
    answers
        By model: its answers.
    verdicts
        By pair of models: the verdict on each pair of answers.
    scores
        Of the weak model's answers beside the strong one's, 1 to 5.
    qualities
        By model: the quality of each answer, in [0, 1].
    route
        The route that the judge guessed.
    """

    prompt: LoggedPrompt
    problem: Problem = ""
    answers: Mapping[str, Sequence[Reply]] = field(default_factory=dict)
    verdicts: Mapping[tuple[str, str], Sequence[PairVerdict]] = field(default_factory=dict)
    scores: Sequence[int] = ()
    qualities: Mapping[str, Sequence[float]] = field(default_factory=dict)
    route: str = ""

    def cost_usd(self, model: str) -> float:
        """Return what an answer of a model cost on average; NaN when it is not known."""
        costs = [reply.cost_usd for reply in self.answers.get(model, ())]
        return math.fsum(costs) / len(costs) if costs else math.nan


def labelling_plan(prompt: LoggedPrompt, settings: LabelSettings) -> Plan[Labelled]:
    """Plan the label of a prompt."""
    return _with_verdict_tokens(_PLANS[settings.mode](prompt, settings), settings.judge_tokens)


def _with_verdict_tokens(plan: Plan[T], max_tokens: int) -> Plan[T]:
    replies: Sequence[Reply | None] | None = None
    while True:
        try:
            calls = next(plan) if replies is None else plan.send(replies)
        except StopIteration as end:
            result: T = end.value
            return result
        replies = yield [
            replace(call, max_tokens=max_tokens) if call.purpose == "verdict" else call
            for call in calls
        ]


def _pairwise(prompt: LoggedPrompt, settings: LabelSettings) -> Plan[Labelled]:
    answers = yield from _answers(prompt, settings)
    if answers is None:
        return Labelled(prompt, "no answer")
    asked = transcript(prompt)
    verdicts: dict[tuple[str, str], list[PairVerdict]] = {}
    for pair in combinations(settings.models, 2):
        verdicts[pair] = []
        for a, b in zip(*(answers[model] for model in pair), strict=True):
            verdict = yield from pairwise_plan(
                str(settings.judge), asked, a.text, b.text,
                max_chars=settings.max_chars, redact=settings.redact,
            )  # fmt: skip
            if verdict is None:
                return Labelled(prompt, "no verdict", answers)
            verdicts[pair].append(verdict)
    return Labelled(prompt, answers=answers, verdicts=verdicts)


def _score(prompt: LoggedPrompt, settings: LabelSettings) -> Plan[Labelled]:
    answers = yield from _answers(prompt, settings)
    if answers is None:
        return Labelled(prompt, "no answer")
    if settings.rates_pair:
        return (yield from _score_beside(prompt, settings, answers))
    texts = [reply.text for model in settings.models for reply in answers[model]]
    scores = yield from score_plan(
        str(settings.judge), transcript(prompt), texts,
        reference=prompt.reference, max_chars=settings.max_chars, redact=settings.redact,
    )  # fmt: skip
    known = [score_quality(score) for score in scores if score is not None]
    if len(known) < len(scores):
        return Labelled(prompt, "no verdict", answers)
    each = iter(known)
    qualities = {model: [next(each) for _ in answers[model]] for model in settings.models}
    return Labelled(prompt, answers=answers, qualities=qualities)


def _score_beside(
    prompt: LoggedPrompt, settings: LabelSettings, answers: Mapping[str, Sequence[Reply]]
) -> Plan[Labelled]:
    strong, weak = settings.models
    scores: list[int] = []
    for best, said in zip(answers[strong], answers[weak], strict=True):
        (score,) = yield from score_plan(
            str(settings.judge), transcript(prompt), [said.text],
            reference=best.text, max_chars=settings.max_chars, redact=settings.redact,
        )  # fmt: skip
        if score is None:
            return Labelled(prompt, "no verdict", answers)
        scores.append(score)
    return Labelled(prompt, answers=answers, scores=scores)


def _reference(prompt: LoggedPrompt, settings: LabelSettings) -> Plan[Labelled]:
    if prompt.reference is None:
        return Labelled(prompt, "no reference")
    answers = yield from _answers(prompt, settings)
    if answers is None:
        return Labelled(prompt, "no answer")
    return Labelled(prompt, answers=answers)


def _route(prompt: LoggedPrompt, settings: LabelSettings) -> Plan[Labelled]:
    call = route_call(
        str(settings.judge), transcript(prompt), examples=settings.examples,
        max_chars=settings.max_chars, redact=settings.redact,
    )  # fmt: skip
    label = yield from route_plan(call)
    return Labelled(prompt, route=label) if label else Labelled(prompt, "no verdict")


def _feedback(prompt: LoggedPrompt, settings: LabelSettings) -> Plan[Labelled]:
    yield from ()
    models = settings.models or tuple(prompt.feedback)
    if not any(prompt.feedback.get(model) for model in models):
        return Labelled(prompt, "no feedback")
    return Labelled(prompt)


def _answers(prompt: LoggedPrompt, settings: LabelSettings) -> Plan[dict[str, list[Reply]] | None]:
    return (
        yield from answers_plan(
            prompt, settings.models, max_tokens=settings.max_tokens,
            n_samples=settings.n_answers, redact=settings.redact,
        )
    )  # fmt: skip


_PLANS = {
    "pairwise": _pairwise,
    "score": _score,
    "reference": _reference,
    "route": _route,
    "feedback": _feedback,
}
