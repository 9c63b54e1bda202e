"""How much oftener voters prefer a superior model's answer to an inferior one's, by question."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from routellm_core.evaluation.metrics.bootstrap import bootstrap_interval, ratio_of
from routellm_core.labeling.agreement import Interval, wilson_interval

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterable, Sequence

    from routellm_core.labeling.judgments.votes import Vote

__all__ = [
    "CategoryShare",
    "GroupVote",
    "Question",
    "Ranking",
    "category_shares",
    "group_votes",
    "rank_questions",
    "share_of",
]

_FEW_JUDGES = 5


@dataclass(frozen=True, slots=True)
class GroupVote:
    """A vote between a superior and an inferior model.

    Parameters
    ----------
    vote
        As it was read.
    score
        1 where the superior model's answer is better, 0 where the inferior one's is, 0.5 for a tie.
    """

    vote: Vote
    score: float


@dataclass(frozen=True, slots=True)
class Question:
    """A question, and what the votes say of its difficulty.

    Parameters
    ----------
    question, turn, prompt, category
        As in its votes.
    n_votes, n_judges
        Votes between a superior and an inferior model, and who gave them.
    superior_share
        The share of them for the superior model, a tie being one half, with a 95 % interval: the
        Wilson interval where no vote is a tie or there are fewer than 5 judges, else the bootstrap
        interval over judges, since the votes of one judge are not independent.
    difficulty
        That share, drawn towards the mean of all questions by as much as its few votes ask for.
    """

    question: str
    turn: int
    prompt: str
    category: str
    n_votes: int
    n_judges: int
    superior_share: Interval
    difficulty: float


@dataclass(frozen=True, slots=True)
class Ranking:
    """Questions by difficulty.

    Parameters
    ----------
    questions
        The hardest first; of equally difficult ones the first in the data.
    mean
        The share of all votes for the superior model.
    prior_votes
        The weight of that mean in every question's difficulty, in votes: 0 where questions differ
        as much as single votes do, infinite where the votes do not tell them apart.
    """

    questions: tuple[Question, ...]
    mean: float
    prior_votes: float


@dataclass(frozen=True, slots=True)
class CategoryShare:
    """The questions of one category.

    Parameters
    ----------
    category
        Its name.
    n_questions, n_votes
        How many questions and votes there are.
    superior_share
        The share of the votes for the superior model, with a 95 % bootstrap interval over
        questions.
    """

    category: str
    n_questions: int
    n_votes: int
    superior_share: Interval


def group_votes(
    votes: Iterable[Vote], superior: Collection[str], inferior: Collection[str]
) -> list[GroupVote]:
    """Return the votes between the two groups; those within a group say nothing of difficulty."""
    found = []
    for vote in votes:
        if vote.model_a in superior and vote.model_b in inferior:
            found.append(GroupVote(vote, vote.score_a))
        elif vote.model_b in superior and vote.model_a in inferior:
            found.append(GroupVote(vote, 1.0 - vote.score_a))
    return found


def rank_questions(votes: Sequence[GroupVote], *, seed: int = 0) -> Ranking:
    """Rank questions, each turn by itself, from the hardest to the easiest.

    Parameters
    ----------
    votes
        At least one.
    seed
        Of the bootstrap over judges.

    Notes
    -----
    The difficulty is (n p + M m) / (n + M) with the question's share p of n votes, the mean m of
    all votes, and M = (1 - r) / r, r being the intraclass correlation of the votes by analysis of
    variance. For votes without ties that is the posterior mean under a beta prior whose two
    parameters are fitted by moments and add up to M.
    """
    groups: dict[tuple[str, int], list[GroupVote]] = {}
    for one in votes:
        groups.setdefault((one.vote.question, one.vote.turn), []).append(one)
    scores = [np.array([one.score for one in group]) for group in groups.values()]
    mean = float(np.concatenate(scores).mean())
    prior_votes = _prior_votes(scores)
    found = [_question(group, mean, prior_votes, seed=seed) for group in groups.values()]
    found.sort(key=lambda one: (-one.difficulty, -one.superior_share.value))
    return Ranking(tuple(found), mean, prior_votes)


def share_of(votes: Iterable[tuple[Hashable, float]], *, seed: int = 0) -> Interval:
    """Return the mean of scores, with a 95 % bootstrap interval over the groups they come in.

    Parameters
    ----------
    votes
        Each score in [0, 1] with its group: a question, or a judge.
    """
    sums: dict[Hashable, list[float]] = {}
    for group, score in votes:
        total = sums.setdefault(group, [0.0, 0.0])
        total[0] += score
        total[1] += 1.0
    if not sums:
        return Interval(math.nan, math.nan, math.nan)
    table = np.array(list(sums.values()))
    value = float(table[:, 0].sum() / table[:, 1].sum())
    spread = bootstrap_interval(ratio_of(table[:, 0], table[:, 1]), n=len(table), seed=seed)
    return Interval(value, spread.low, spread.high)


def category_shares(votes: Sequence[GroupVote], *, seed: int = 0) -> tuple[CategoryShare, ...]:
    """Return the share of votes for the superior model by category, the largest first."""
    groups: dict[str, list[GroupVote]] = {}
    for one in votes:
        groups.setdefault(one.vote.category or "other", []).append(one)
    found = [
        CategoryShare(
            category=name,
            n_questions=len({one.vote.question for one in group}),
            n_votes=len(group),
            superior_share=share_of([(one.vote.question, one.score) for one in group], seed=seed),
        )
        for name, group in groups.items()
    ]
    return tuple(sorted(found, key=lambda one: -one.superior_share.value))


def _question(
    group: Sequence[GroupVote], mean: float, prior_votes: float, *, seed: int
) -> Question:
    first = group[0].vote
    scores = [one.score for one in group]
    judges = {one.vote.judge for one in group}
    n, share = len(scores), math.fsum(scores) / len(scores)
    if 0.5 not in scores or len(judges) < _FEW_JUDGES:
        interval = wilson_interval(math.fsum(scores), n)
    else:
        interval = share_of([(one.vote.judge, one.score) for one in group], seed=seed)
    weight = 0.0 if math.isinf(prior_votes) else n / (n + prior_votes)
    return Question(
        question=first.question,
        turn=first.turn,
        prompt=first.prompt,
        category=first.category,
        n_votes=n,
        n_judges=len(judges),
        superior_share=interval,
        difficulty=mean + weight * (share - mean),
    )


def _prior_votes(scores: Sequence[np.ndarray]) -> float:
    """Return M of `rank_questions`."""
    sizes = np.array([len(group) for group in scores], dtype=np.float64)
    n, k = float(sizes.sum()), len(scores)
    if k < 2 or n <= k:
        return math.inf
    means = np.array([group.mean() for group in scores])
    mean = float(sizes @ means / n)
    between = float(sizes @ (means - mean) ** 2) / (k - 1)
    within = sum(float(((group - group.mean()) ** 2).sum()) for group in scores) / (n - k)
    size = (n - float(sizes @ sizes) / n) / (k - 1)
    if between <= within:
        return math.inf
    # (1 - r) / r for r = (between - within) / (between + (size - 1) within)
    return size * within / (between - within)
