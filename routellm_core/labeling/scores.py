"""How good one answer is, 1 to 5, beside the strong model's where there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from routellm_core.answers.rubrics import (
    rating_form,
    rating_question,
    rating_value,
    read_rating,
)
from routellm_core.labeling.verdicts import verdict_call, verdicts_plan

if TYPE_CHECKING:
    from routellm_core.labeling.calls import Call, Plan

__all__ = ["read_score", "score_call", "score_plan", "score_quality"]


def score_call(
    judge: str, prompt: str, answer: str, *, reference: str | None, max_chars: int, redact: bool
) -> Call:
    """Return the call that rates an answer, beside a reference answer where there is one."""
    text = rating_question(prompt, answer, reference=reference, max_chars=max_chars, redact=redact)
    return verdict_call(judge, text, template="score-1")


def score_plan(
    judge: str,
    prompt: str,
    answers: list[str],
    *,
    reference: str | None = None,
    max_chars: int = 12_000,
    redact: bool = True,
) -> Plan[list[int | None]]:
    """Plan the scores of answers; None for each that could not be read."""
    calls = [
        score_call(judge, prompt, answer, reference=reference, max_chars=max_chars, redact=redact)
        for answer in answers
    ]
    return (yield from verdicts_plan(calls, read_score, form=rating_form()))


def read_score(text: str) -> int | None:
    """Return the score that a text states, None where it states none.

    Examples
    --------
    >>> read_score('{"score": 4}'), read_score("3"), read_score('{"score": 9}')
    (4, 3, None)
    """
    return read_rating(text)


def score_quality(score: float) -> float:
    """Return a score as a quality in [0, 1].

    Examples
    --------
    >>> score_quality(1), score_quality(4)
    (0.0, 0.75)
    """
    return rating_value(score)
