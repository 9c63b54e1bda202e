"""How far voters agree with each other."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING

import numpy as np

from routellm_core.evaluation.metrics.bootstrap import bootstrap_interval, ratio_of
from routellm_core.labeling.agreement import Interval, cohen_kappa, krippendorff_alpha

if TYPE_CHECKING:
    from collections.abc import Iterable

    from routellm_core.labeling.judgments.votes import Vote

__all__ = ["KindAgreement", "VoteAgreement", "vote_agreement"]

_NUMBER = re.compile(r"_[0-9]+\Z")
_MAX_KINDS = 6
_TIE = 0.5

_Item = tuple[str, int, str, str]
"""A question, its turn and two models in order of their names: what two judges may both judge."""


@dataclass(frozen=True, slots=True)
class KindAgreement:
    """How far two kinds of judges agree, or the judges of one kind with each other.

    Parameters
    ----------
    kinds
        The two kinds, the same twice for one.
    n_pairs, n_decided
        Pairs of votes of different judges on the same two answers, and those of which neither is a
        tie.
    agreement, decided_agreement
        The share of equal votes, with ties and without, each with a 95 % bootstrap interval over
        questions.
    beyond_chance
        Krippendorff's alpha of the judges of one kind; of two kinds Cohen's kappa over the pairs.
        1 is perfect, 0 is chance; ties are a vote of their own.
    """

    kinds: tuple[str, str]
    n_pairs: int
    n_decided: int
    agreement: Interval
    decided_agreement: Interval
    beyond_chance: float


@dataclass(frozen=True, slots=True)
class VoteAgreement:
    """How far judges agree.

    Parameters
    ----------
    n_items
        Pairs of answers on which two judges or more voted.
    all_judges
        All judges with each other.
    kinds
        The same by kind: a judge's name without a number at its end, so that "expert_17" is an
        "expert". Empty where there is one kind, or more than 6 of them.
    """

    n_items: int
    all_judges: KindAgreement
    kinds: tuple[KindAgreement, ...]


def vote_agreement(votes: Iterable[Vote], *, seed: int = 0) -> VoteAgreement | None:
    """Return how far judges agree; None where no two of them voted on the same two answers.

    Several votes of one judge on the same two answers count as one, their mean.

    Parameters
    ----------
    votes
        Of any models, not only of different groups.
    seed
        Of the bootstrap.
    """
    items = _items(votes)
    n_items = sum(len(said) > 1 for said in items.values())
    if not n_items:
        return None
    kind_of = {judge: _NUMBER.sub("", judge) for said in items.values() for judge in said}
    kinds = sorted(set(kind_of.values()))
    everybody = _agreement(items, dict.fromkeys(kind_of, "all"), ("all", "all"), seed=seed)
    by_kind = [
        _agreement(items, kind_of, pair, seed=seed)
        for pair in combinations_with_replacement(kinds, 2)
        if 1 < len(kinds) <= _MAX_KINDS
    ]
    return VoteAgreement(n_items, everybody, tuple(one for one in by_kind if one.n_pairs))


def _items(votes: Iterable[Vote]) -> dict[_Item, dict[str, float]]:
    """Return each judge's vote by item: 1 for the first model by name, 0 for the other, 0.5."""
    scores: dict[_Item, dict[str, list[float]]] = {}
    for vote in votes:
        first, second = sorted((vote.model_a, vote.model_b))
        score = vote.score_a if vote.model_a == first else 1.0 - vote.score_a
        item = (vote.question, vote.turn, first, second)
        scores.setdefault(item, {}).setdefault(vote.judge, []).append(score)
    return {
        item: {judge: _verdict(math.fsum(found) / len(found)) for judge, found in said.items()}
        for item, said in scores.items()
    }


def _verdict(mean: float) -> float:
    return _TIE if mean == _TIE else float(mean > _TIE)


def _agreement(
    items: dict[_Item, dict[str, float]],
    kind_of: dict[str, str],
    kinds: tuple[str, str],
    *,
    seed: int,
) -> KindAgreement:
    # By question: equal pairs, all pairs, and the same of decided votes.
    counts: dict[str, np.ndarray] = {}
    pairs: Counter[tuple[float, float]] = Counter()
    for item, said in items.items():
        found = _pairs(said, kind_of, kinds)
        if not found:
            continue
        pairs.update(found)
        equal = sum(n for (a, b), n in found.items() if a == b)
        decided = sum(n for pair, n in found.items() if _TIE not in pair)
        equal_decided = sum(n for (a, b), n in found.items() if a == b != _TIE)
        row = counts.setdefault(item[0], np.zeros(4))
        row += (equal, sum(found.values()), equal_decided, decided)
    table = np.array(list(counts.values())) if counts else np.zeros((1, 4))
    return KindAgreement(
        kinds=kinds,
        n_pairs=int(table[:, 1].sum()),
        n_decided=int(table[:, 3].sum()),
        agreement=_ratio(table[:, 0], table[:, 1], seed=seed),
        decided_agreement=_ratio(table[:, 2], table[:, 3], seed=seed),
        beyond_chance=_beyond_chance(items, kind_of, kinds, pairs),
    )


def _pairs(
    said: dict[str, float], kind_of: dict[str, str], kinds: tuple[str, str]
) -> Counter[tuple[float, float]]:
    """Return how often each pair of votes of two judges of these kinds occurs on one item."""
    first, second = (
        Counter(vote for judge, vote in said.items() if kind_of[judge] == kind) for kind in kinds
    )
    found: Counter[tuple[float, float]] = Counter()
    for a, n_a in first.items():
        for b, n_b in second.items():
            if kinds[0] != kinds[1]:
                found[a, b] += n_a * n_b
            elif a == b:
                found[a, b] += n_a * (n_a - 1) // 2
            elif a < b:
                found[a, b] += n_a * n_b
    return +found


def _ratio(parts: np.ndarray, wholes: np.ndarray, *, seed: int) -> Interval:
    if not wholes.sum():
        return Interval(math.nan, math.nan, math.nan)
    spread = bootstrap_interval(ratio_of(parts, wholes), n=len(parts), seed=seed)
    return Interval(float(parts.sum() / wholes.sum()), spread.low, spread.high)


def _beyond_chance(
    items: dict[_Item, dict[str, float]],
    kind_of: dict[str, str],
    kinds: tuple[str, str],
    pairs: Counter[tuple[float, float]],
) -> float:
    if kinds[0] != kinds[1]:
        listed = list(pairs.elements())
        return cohen_kappa([a for a, _ in listed], [b for _, b in listed]).value
    judges = {
        judge: row for row, judge in enumerate(j for j, k in kind_of.items() if k == kinds[0])
    }
    if not judges:
        return math.nan
    ratings = np.full((len(judges), len(items)), np.nan)
    for column, said in enumerate(items.values()):
        for judge, vote in said.items():
            if judge in judges:
                ratings[judges[judge], column] = vote
    return krippendorff_alpha(ratings)
