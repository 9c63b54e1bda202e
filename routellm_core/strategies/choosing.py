"""Score answers by each other: the one that most agree with."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from routellm_core.answers.final_answers import final_answer, words_of
from routellm_core.answers.similarity import bert_sim
from routellm_core.answers.steps import Invocation
from routellm_core.answers.verifier import Score

if TYPE_CHECKING:
    from collections.abc import Sequence

    from routellm_core.answers.content import Answer, Prompt
    from routellm_core.answers.steps import Plan

__all__ = ["consensus", "vote"]


def consensus(prompt: Prompt, answers: Sequence[Answer]) -> Plan[Sequence[Score]]:  # noqa: ARG001
    """Score each answer by its mean similarity to the others: minimum Bayes risk.

    References
    ----------
    Kumar and Byrne (2004), Minimum Bayes-risk decoding. Similarity is `bert_sim`, negative ones
    as 0. Two answers are as like each other as they can be: the first wins.
    """
    texts = [answer.text for answer in answers]
    pairs = [(i, j) for i in range(len(texts)) for j in range(i + 1, len(texts))]
    left, right = [texts[i] for i, _ in pairs], [texts[j] for _, j in pairs]
    (similar,) = yield [Invocation(bert_sim, (left, right))]
    sums = [0.0] * len(texts)
    for (i, j), value in zip(pairs, similar, strict=True):
        clipped = min(1.0, max(0.0, float(value)))
        sums[i] += clipped
        sums[j] += clipped
    return [Score(total / (len(texts) - 1), "mean similarity to the others") for total in sums]


def vote(prompt: Prompt, answers: Sequence[Answer]) -> Plan[Sequence[Score]]:  # noqa: ARG001
    """Score each answer by the share of answers that come down to the same final answer.

    References
    ----------
    Wang et al. (2023), Self-consistency, arXiv:2203.11171.
    """
    yield from ()
    finals: list[Any] = [final_answer(answer.text) or words_of(answer.text) for answer in answers]
    counts = Counter(finals)
    return [
        Score(counts[final] / len(finals), f"{counts[final]} of {len(finals)} agree")
        for final in finals
    ]
