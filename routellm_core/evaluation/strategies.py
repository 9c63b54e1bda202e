"""Strategies on one axis of dollars: what each reaches on answered prompts.

Every function takes arrays over the same n prompts: qualities in [0, 1] and costs in US dollars of
the weak and of the strong model's answers, win rates of a router, and scores that a verifier gave
the weak model's answers.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from routellm_core._numbers import check_fraction
from routellm_core.errors import ConfigurationError
from routellm_core.evaluation.metrics.arrays import Floats, checked, same_length
from routellm_core.evaluation.metrics.curves import cost_quality_curve
from routellm_core.evaluation.metrics.money import hull

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "AcceptLevel",
    "PairOutcomes",
    "StrategyCurve",
    "accept_level_for",
    "best_of_curve",
    "break_even_rejection",
    "cascade_curve",
    "experts_curve",
    "hybrid_curve",
    "oracle_curve",
    "predictive_curve",
    "quality_at_cost",
]

_QUANTILES = 9


class StrategyCurve(NamedTuple):
    """What a strategy reaches at each of its levels.

    Parameters
    ----------
    name
        The strategy's.
    cost, quality
        Shape (k,): mean cost of a call in US dollars, and mean quality.
    levels
        One for each point: a threshold, an acceptance level, or several numbers.
    """

    name: str
    cost: Floats
    quality: Floats
    levels: Sequence[object]


class PairOutcomes(NamedTuple):
    """What both models made of n prompts.

    Parameters
    ----------
    weak, strong
        Shape (n,), qualities in [0, 1].
    weak_usd, strong_usd
        Shape (n,), US dollars, at least 0.
    """

    weak: Floats
    strong: Floats
    weak_usd: Floats
    strong_usd: Floats

    @classmethod
    def of(
        cls, weak: ArrayLike, strong: ArrayLike, weak_usd: ArrayLike, strong_usd: ArrayLike
    ) -> PairOutcomes:
        """Return checked outcomes; a cost may be one number for all.

        Raises
        ------
        ConfigurationError
            If the lengths differ, or a value is not finite.
        """
        values = [checked(weak, name="weak"), checked(strong, name="strong")]
        n = same_length(weak=values[0], strong=values[1])
        for name, usd in (("weak_usd", weak_usd), ("strong_usd", strong_usd)):
            values.append(checked(np.broadcast_to(usd, (n,)), name=name))
        return cls(*values)

    def select(self, rows: NDArray[np.intp]) -> PairOutcomes:
        """Return the outcomes of some prompts."""
        return PairOutcomes(*(values[rows] for values in self))


def predictive_curve(win_rates: ArrayLike, pair: PairOutcomes) -> StrategyCurve:
    """Return the curve of every threshold on the win rate."""
    curve = cost_quality_curve(
        win_rates,
        weak=pair.weak,
        strong=pair.strong,
        weak_cost=pair.weak_usd,
        strong_cost=pair.strong_usd,
    )
    return StrategyCurve("predict", curve.cost, curve.quality, curve.thresholds.tolist())


def cascade_curve(
    scores: ArrayLike, pair: PairOutcomes, *, verifier_usd: ArrayLike = 0.0
) -> StrategyCurve:
    """Return the curve of every acceptance level.

    Parameters
    ----------
    scores
        Shape (n,): the verifier's, of the weak model's answers.
    pair
        The outcomes.
    verifier_usd
        What scoring an answer costs.

    Returns
    -------
    From accepting everything to accepting nothing, in which case the weak model's answers and the
    verifier are paid for on top of the strong model's.
    """
    values = checked(scores, name="scores")
    draft = pair.weak_usd + np.asarray(verifier_usd, dtype=np.float64)
    curve = cost_quality_curve(
        -values,
        weak=pair.weak,
        strong=pair.strong,
        weak_cost=draft,
        strong_cost=draft + pair.strong_usd,
    )
    # An answer is accepted from its own score on: the level is the next higher score.
    distinct = np.unique(values)
    levels = [*distinct.tolist(), float(np.nextafter(distinct[-1], np.inf))]
    return StrategyCurve("cascade", curve.cost, curve.quality, levels)


def hybrid_curve(
    win_rates: ArrayLike,
    scores: ArrayLike,
    pair: PairOutcomes,
    *,
    verifier_usd: ArrayLike = 0.0,
    fitted_on: NDArray[np.intp] | None = None,
) -> StrategyCurve:
    """Return the curve of the best bands and levels.

    Bands and levels are quantiles of the prompts in `fitted_on`; those on the hull there are
    measured on the other prompts, so that choosing them costs nothing in honesty.

    Parameters
    ----------
    win_rates, scores, pair, verifier_usd
        As above.
    fitted_on
        Row numbers; every second row by default.

    Returns
    -------
    One point for each corner of the hull, with `(low, high, accept)` as its level.
    """
    rates, values = checked(win_rates, name="win_rates"), checked(scores, name="scores")
    n = same_length(win_rates=rates, scores=values, weak=pair.weak)
    rows = np.arange(0, n, 2) if fitted_on is None else np.asarray(fitted_on)
    rest = np.setdiff1d(np.arange(n), rows)
    if not len(rows) or not len(rest):
        raise ConfigurationError(f"`fitted_on` must leave prompts to measure on, got all {n}.")
    usd = np.broadcast_to(np.asarray(verifier_usd, dtype=np.float64), (n,))
    places = np.linspace(0.0, 1.0, _QUANTILES)
    ends = np.append(np.quantile(rates[rows], places), np.nextafter(rates.max(), np.inf))
    accepts = np.append(np.quantile(values[rows], places), np.nextafter(values.max(), np.inf))
    settings = [
        (low, high, accept)
        for low, high, accept in product(ends.tolist(), ends.tolist(), accepts.tolist())
        if low <= high
    ]
    tried = np.array(
        [_hybrid(rates[rows], values[rows], pair.select(rows), usd[rows], s) for s in settings]
    )
    corner_cost, _ = hull(tried[:, 0], tried[:, 1])
    best = [
        max(np.flatnonzero(tried[:, 0] == cost).tolist(), key=lambda place: tried[place, 1])
        for cost in corner_cost
    ]
    chosen = [settings[place] for place in best]
    points = np.array(
        [_hybrid(rates[rest], values[rest], pair.select(rest), usd[rest], s) for s in chosen]
    )
    order = np.argsort(points[:, 0], kind="stable")
    return StrategyCurve(
        "hybrid", points[order, 0], points[order, 1], [chosen[place] for place in order]
    )


def best_of_curve(
    scores: ArrayLike, quality: ArrayLike, cost: ArrayLike, *, verifier_usd: float = 0.0
) -> StrategyCurve:
    """Return the one point of asking every expert and keeping the best answer by score.

    Parameters
    ----------
    scores, quality, cost
        Shape (n, m): of m experts' answers, the cheapest first.
    verifier_usd
        What scoring one answer costs.
    """
    values, qualities, costs = (np.asarray(a, dtype=np.float64) for a in (scores, quality, cost))
    chosen = qualities[np.arange(len(values)), values.argmax(axis=1)]
    mean_cost = costs.sum(axis=1).mean() + verifier_usd * values.shape[1]
    return StrategyCurve("best_of", np.array([mean_cost]), np.array([chosen.mean()]), [None])


def experts_curve(
    estimates: ArrayLike, quality: ArrayLike, cost: ArrayLike, *, points: int = 200
) -> StrategyCurve:
    """Return the curve of the quality that one more US dollar must buy, over N experts.

    Parameters
    ----------
    estimates
        Shape (n, m): what the router expects of each expert.
    quality, cost
        Shape (n, m): what each made of it, at what price.
    points
        How many weights are tried at most; all that change anything where there are fewer.
    """
    expected, qualities, costs = (
        np.asarray(a, dtype=np.float64) for a in (estimates, quality, cost)
    )
    rows = np.arange(len(expected))
    slopes = []
    for a in range(expected.shape[1]):
        for b in range(expected.shape[1]):
            dearer = costs[:, b] > costs[:, a]
            rise, run = expected[:, b] - expected[:, a], costs[:, b] - costs[:, a]
            slopes.append(rise[dearer] / run[dearer])
    weights = np.unique(np.concatenate([[0.0], *slopes]))
    weights = np.append(weights[weights >= 0.0], np.inf)
    if len(weights) > points:
        weights = weights[np.linspace(0, len(weights) - 1, points).round().astype(int)]
    cheapest = costs.argmin(axis=1)
    spent, reached = [], []
    for weight in weights:
        best = cheapest if np.isinf(weight) else (expected - weight * costs).argmax(axis=1)
        spent.append(costs[rows, best].mean())
        reached.append(qualities[rows, best].mean())
    order = np.argsort(spent, kind="stable")
    return StrategyCurve(
        "experts",
        np.array(spent)[order],
        np.array(reached)[order],
        weights[order].tolist(),
    )


def oracle_curve(pair: PairOutcomes) -> StrategyCurve:
    """Return the curve of a router that knows both answers' qualities, at one price for each."""
    gained = pair.strong - pair.weak
    extra = np.maximum(pair.strong_usd - pair.weak_usd, 1e-300)
    best = predictive_curve(gained / extra, pair)
    corners, heights = hull(best.cost, best.quality)
    return StrategyCurve("oracle", corners, heights, [None] * len(corners))


def quality_at_cost(curve: StrategyCurve, usd: float) -> float:
    """Return the quality that a strategy reaches at a mean cost, by mixing its levels.

    Returns
    -------
    NaN where even its cheapest level costs more.
    """
    corners, heights = hull(curve.cost, curve.quality)
    if usd < corners[0] * (1.0 - 1e-12):
        return float("nan")
    return float(np.interp(usd, corners, heights))


def break_even_rejection(*, weak_usd: float, strong_usd: float, verifier_usd: float = 0.0) -> float:
    """Return the share of rejected answers from which on a cascade costs more than all-strong.

    Examples
    --------
    >>> break_even_rejection(weak_usd=1.0, strong_usd=10.0)
    0.9
    """
    if not strong_usd > 0.0:
        raise ConfigurationError(f"`strong_usd` must be above 0, got {strong_usd!r}.")
    return max(0.0, 1.0 - (weak_usd + verifier_usd) / strong_usd)


class AcceptLevel(NamedTuple):
    """An acceptance level for a goal, and what it comes to.

    Parameters
    ----------
    accept
        For `Cascade`.
    cost, quality
        Means on the prompts that it was made of.
    rejected
        The share of answers that it rejects.
    break_even
        The share of rejected answers from which on all-strong is cheaper.
    """

    accept: float
    cost: float
    quality: float
    rejected: float
    break_even: float


def accept_level_for(
    scores: ArrayLike,
    pair: PairOutcomes,
    *,
    verifier_usd: float = 0.0,
    max_cost: float | None = None,
    min_quality: float | None = None,
) -> AcceptLevel:
    """Return the exact acceptance level for a mean cost or a mean quality.

    Parameters
    ----------
    scores, pair, verifier_usd
        As for `cascade_curve`.
    max_cost
        Mean cost of a call in US dollars that must not be passed: the best quality within it.
    min_quality
        In (0, 1], in place of `max_cost`: the share of the strong model's quality to keep, at the
        lowest cost.

    Raises
    ------
    ConfigurationError
        If not exactly one goal is given, or no level reaches it.
    """
    if (max_cost is None) == (min_quality is None):
        raise ConfigurationError("Pass either `max_cost` or `min_quality`.")
    values = checked(scores, name="scores")
    curve = cascade_curve(values, pair, verifier_usd=verifier_usd)
    if max_cost is not None:
        fitting = np.flatnonzero(curve.cost <= max_cost)
        wanted = f"`max_cost` must be at least {curve.cost.min():.6g} US dollars, got {max_cost!r}."
        best = fitting[curve.quality[fitting].argmax()] if fitting.size else None
    else:
        check_fraction(min_quality, name="min_quality", within="(0, 1]")
        floor = float(min_quality or 0.0) * float(pair.strong.mean())
        fitting = np.flatnonzero(curve.quality >= floor - 1e-12)
        wanted = (
            f"`min_quality` must be at most {curve.quality.max() / pair.strong.mean():.6g}, got "
            f"{min_quality!r}."
        )
        best = fitting[curve.cost[fitting].argmin()] if fitting.size else None
    if best is None:
        raise ConfigurationError(wanted)
    accept = float(np.asarray(curve.levels)[best])
    return AcceptLevel(
        accept,
        float(curve.cost[best]),
        float(curve.quality[best]),
        float((values < accept).mean()),
        break_even_rejection(
            weak_usd=float(pair.weak_usd.mean()),
            strong_usd=float(pair.strong_usd.mean()),
            verifier_usd=verifier_usd,
        ),
    )


def _hybrid(
    rates: Floats,
    scores: Floats,
    pair: PairOutcomes,
    verifier_usd: Floats,
    setting: tuple[float, float, float],
) -> tuple[float, float]:
    low, high, accept = setting
    at_once = rates >= high
    checked_too = (rates >= low) & ~at_once
    rejected = checked_too & (scores < accept)
    strong = at_once | rejected
    cost = np.where(at_once, 0.0, pair.weak_usd) + np.where(strong, pair.strong_usd, 0.0)
    cost += np.where(checked_too, verifier_usd, 0.0)
    return float(cost.mean()), float(np.where(strong, pair.strong, pair.weak).mean())
