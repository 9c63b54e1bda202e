"""What a run of labelling found, in figures."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from routellm_core._numbers import json_value
from routellm_core.labeling.agreement import Interval, wilson_interval
from routellm_core.labeling.label_rows import BattleRow, OutcomeRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from routellm_core.labeling.human_sample import JudgeAgreement
    from routellm_core.labeling.label_rows import LabelRow
    from routellm_core.labeling.plans import Labelled

__all__ = ["Figures", "LabelReport", "PairShares", "label_figures", "position_bias", "problems_of"]


@dataclass(frozen=True, slots=True)
class PairShares:
    """Which of two models' answers are better, as shares of all prompts.

    Parameters
    ----------
    model_a, model_b
        The models.
    n
        Their battles.
    a, tie, b
        Shares that add up to 1, soft labels counted by their probabilities: an inconsistent
        verdict is half a win or no win of each.
    """

    model_a: str
    model_b: str
    n: int
    a: float
    tie: float
    b: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelReport:
    """What came of a run.

    Parameters
    ----------
    n_prompts, n_labelled
        Prompts that were to be labelled, and those that are.
    problems
        How many have no label, by reason.
    n_rows
        Rows that training can read.
    n_calls, n_failed_calls
        Calls that this run paid for, and those that failed for good.
    spent_usd
        What was spent, earlier runs included; calls whose answer a kill lost count with the most
        that they can have cost.
    unknown_prices
        Models whose calls are in no sum.
    capped
        Why the cap stopped the run; "" when it did not.
    pairs
        Of battles: how they went.
    qualities
        Of outcomes: each model's mean quality.
    n_with_all
        Of outcomes: prompts with one of every model, which training a pair needs.
    n_verdicts, n_inconsistent, position_bias
        In mode "pairwise": verdicts in both orders, those whose orders disagree, and how much
        oftener than half the first answer wins.
    agreement
        With people; None without a sample.
    """

    n_prompts: int
    n_labelled: int
    problems: Mapping[str, int]
    n_rows: int
    n_calls: int = 0
    n_failed_calls: int = 0
    spent_usd: float = 0.0
    unknown_prices: Sequence[str] = ()
    capped: str = ""
    pairs: Sequence[PairShares] = ()
    qualities: Mapping[str, float] | None = None
    n_with_all: int | None = None
    n_verdicts: int = 0
    n_inconsistent: int = 0
    position_bias: Interval | None = None
    agreement: JudgeAgreement | None = None

    def values(self) -> dict[str, object]:
        """Return the report for JSON, with None for what is not known."""
        return {name: json_value(value) for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class Figures:
    """The part of a report that labels alone decide; see `LabelReport`."""

    pairs: tuple[PairShares, ...]
    qualities: Mapping[str, float] | None
    n_with_all: int | None


def label_figures(rows: Sequence[Sequence[LabelRow]], weights: Sequence[float]) -> Figures:
    """Return what labels say of all prompts.

    Parameters
    ----------
    rows
        Of each prompt.
    weights
        How many prompts each stands for, above 0.
    """
    weighted = [(row, weight) for some, weight in zip(rows, weights, strict=True) for row in some]
    battles = [(row, weight) for row, weight in weighted if isinstance(row, BattleRow)]
    outcomes = [(row, weight) for row, weight in weighted if isinstance(row, OutcomeRow)]
    pairs = tuple(
        _shares([one for one in battles if (one[0].model_a, one[0].model_b) == pair])
        for pair in dict.fromkeys((row.model_a, row.model_b) for row, _ in battles)
    )
    if not outcomes:
        return Figures(pairs, None, None)
    models = sorted({row.model for row, _ in outcomes})
    means = {
        model: _mean([(row.quality, weight) for row, weight in outcomes if row.model == model])
        for model in models
    }
    n_with_all = sum(len(some) == len(models) for some in rows)
    return Figures(pairs, means, n_with_all)


def _shares(battles: Sequence[tuple[BattleRow, float]]) -> PairShares:
    first = battles[0][0]
    # A score between a tie and a win is so much of each.
    a = _mean([(max(2.0 * row.score_a - 1.0, 0.0), weight) for row, weight in battles])
    b = _mean([(max(1.0 - 2.0 * row.score_a, 0.0), weight) for row, weight in battles])
    return PairShares(first.model_a, first.model_b, len(battles), a, 1.0 - a - b, b)


def _mean(values: Iterable[tuple[float, float]]) -> float:
    listed = list(values)
    total = math.fsum(weight for _, weight in listed)
    return math.fsum(value * weight for value, weight in listed) / total


def position_bias(labelled: Iterable[Labelled]) -> tuple[int, int, Interval | None]:
    """Return verdicts in both orders, inconsistent ones, and the bias towards the first answer.

    The bias is P(the first answer wins) - 1/2, ties counted half, with a Wilson interval over all
    verdicts: 0 for a judge that does not see the order, 1/2 for one that always says "A". Equal
    answers, about which nobody was asked, do not count.
    """
    verdicts = [
        verdict
        for one in labelled
        for (a, b), found in one.verdicts.items()
        for said_a, said_b, verdict in zip(one.answers[a], one.answers[b], found, strict=True)
        if said_a.text.strip() != said_b.text.strip()
    ]
    if not verdicts:
        return 0, 0, None
    first_wins = math.fsum(verdict.first + 1.0 - verdict.second for verdict in verdicts)
    rate = wilson_interval(first_wins, 2 * len(verdicts))
    bias = Interval(rate.value - 0.5, rate.low - 0.5, rate.high - 0.5)
    return len(verdicts), sum(not verdict.is_consistent for verdict in verdicts), bias


def problems_of(labelled: Iterable[Labelled]) -> dict[str, int]:
    """Return how many have no label, by reason."""
    return dict(Counter(one.problem for one in labelled if one.problem))
