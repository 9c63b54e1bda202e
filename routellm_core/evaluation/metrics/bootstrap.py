"""Intervals by resampling prompts, all rounds at once.

A statistic is a function of weights: shape (r, n), how often each of n prompts was drawn in each
of r rounds, to r numbers. Routers that are compared see the same draws.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from routellm_core._numbers import check_fraction
from routellm_core.errors import ConfigurationError
from routellm_core.evaluation.metrics.arrays import Floats, checked, same_length
from routellm_core.evaluation.metrics.curves import area, first_crossing, ranked

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = [
    "Interval",
    "Statistic",
    "apgr_of",
    "bootstrap_interval",
    "bootstrap_rounds",
    "cpt_of",
    "curve_of",
    "interval_of",
    "mean_of",
    "paired_difference",
    "quality_of",
    "ratio_of",
]

Statistic: TypeAlias = Callable[[Floats], Floats]
"""From weights (r, n) to values (r,), or (r, k) for k statistics; NaN where a round has none."""

_CHUNK = 2**21
"""How many weights are held at once: 16 MB."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A percentile interval.

    Parameters
    ----------
    low, high
        Its ends; NaN when no round had a value.
    confidence
        In (0, 1).
    rounds, undefined
        How many rounds were drawn, and in how many of them the statistic had no value, as APGR has
        none where the weak model happened to win.
    """

    low: float
    high: float
    confidence: float
    rounds: int
    undefined: int


def bootstrap_rounds(statistic: Statistic, *, n: int, rounds: int = 1000, seed: int = 0) -> Floats:
    """Return the statistic in every round.

    Parameters
    ----------
    statistic
        A function of weights, as `apgr_of` returns.
    n
        How many prompts there are; each round draws n of them with replacement.
    rounds
        At least 1.
    seed
        The same seed gives the same draws, for pairing.

    Returns
    -------
    Shape (rounds,), or (rounds, k) for k statistics.

    Raises
    ------
    ConfigurationError
        If `n` or `rounds` is below 1.
    """
    if n < 1 or rounds < 1:
        raise ConfigurationError(f"`n` and `rounds` must be at least 1, got {n!r} and {rounds!r}.")
    rng = np.random.default_rng(seed)
    size = max(1, _CHUNK // n)
    values = []
    for start in range(0, rounds, size):
        r = min(size, rounds - start)
        draws = rng.integers(0, n, size=(r, n)) + n * np.arange(r)[:, None]
        weights = np.bincount(draws.ravel(), minlength=r * n).reshape(r, n)
        values.append(statistic(weights.astype(np.float64)))
    return np.concatenate(values)


def bootstrap_interval(
    statistic: Statistic,
    *,
    n: int,
    rounds: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Return the percentile interval of a statistic over resampled prompts.

    Raises
    ------
    ConfigurationError
        If `confidence` is outside (0, 1), or as `bootstrap_rounds`.

    Examples
    --------
    >>> bootstrap_interval(mean_of([1.0, 1.0]), n=2, rounds=10).low
    1.0
    """
    values = bootstrap_rounds(statistic, n=n, rounds=rounds, seed=seed)
    return interval_of(values, confidence=confidence)


def interval_of(values: Floats, *, confidence: float = 0.95) -> Interval:
    """Return the percentile interval of a statistic's rounds, shape (rounds,).

    Raises
    ------
    ConfigurationError
        If `confidence` is outside (0, 1).
    """
    check_fraction(confidence, name="confidence", within="(0, 1)")
    defined = values[~np.isnan(values)]
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(defined, [tail, 1.0 - tail]) if defined.size else (np.nan, np.nan)
    return Interval(float(low), float(high), confidence, len(values), len(values) - len(defined))


def paired_difference(first: Statistic, second: Statistic) -> Statistic:
    """Return the statistic `first - second`, both on the same draws."""
    return lambda weights: first(weights) - second(weights)


def apgr_of(scores: ArrayLike, *, weak: ArrayLike, strong: ArrayLike) -> Statistic:
    """Return APGR as a function of weights; see `apgr`."""
    curve = _curve_of(scores, weak, strong)

    def statistic(weights: Floats) -> Floats:
        return area(*curve(weights))

    return statistic


def cpt_of(
    scores: ArrayLike, *, weak: ArrayLike, strong: ArrayLike, target: float = 0.5
) -> Statistic:
    """Return CPT as a function of weights; see `cpt`."""
    curve = _curve_of(scores, weak, strong)

    def statistic(weights: Floats) -> Floats:
        shares, gains = curve(weights)
        return np.where(np.isnan(gains[:, -1]), np.nan, first_crossing(shares, gains, target))

    return statistic


def curve_of(
    scores: ArrayLike, *, weak: ArrayLike, strong: ArrayLike, targets: Sequence[float]
) -> Statistic:
    """Return APGR and the CPT of each of k targets as a function of weights: (r, n) -> (r, 1 + k).

    One pass over the draws for all of them.
    """
    curve = _curve_of(scores, weak, strong)

    def statistic(weights: Floats) -> Floats:
        shares, gains = curve(weights)
        undefined = np.isnan(gains[:, -1])
        columns = [area(shares, gains)]
        for target in targets:
            crossings = first_crossing(shares, gains, target)
            columns.append(np.where(undefined, np.nan, crossings))
        return np.column_stack(columns)

    return statistic


def quality_of(
    scores: ArrayLike, *, weak: ArrayLike, strong: ArrayLike, threshold: float
) -> Statistic:
    """Return mean quality at a fixed threshold as a function of weights."""
    score_values = checked(scores, name="scores")
    weak_values, strong_values = checked(weak, name="weak"), checked(strong, name="strong")
    same_length(scores=score_values, weak=weak_values, strong=strong_values)
    return mean_of(np.where(score_values >= threshold, strong_values, weak_values))


def mean_of(values: ArrayLike) -> Statistic:
    """Return the mean of per-prompt values as a function of weights."""
    checked_values = checked(values, name="values")

    def statistic(weights: Floats) -> Floats:
        means: Floats = weights @ checked_values / weights.sum(axis=1)
        return means

    return statistic


def ratio_of(parts: ArrayLike, wholes: ArrayLike) -> Statistic:
    """Return a ratio of sums as a function of weights, NaN where nothing was drawn of the whole.

    Parameters
    ----------
    parts, wholes
        Shape (n,): numerator and denominator of each of n groups that are drawn whole.

    Examples
    --------
    >>> ratio_of([1.0, 1.0], [1.0, 3.0])(np.array([[1.0, 1.0]])).tolist()
    [0.5]
    """
    numerators, denominators = checked(parts, name="parts"), checked(wholes, name="wholes")
    same_length(parts=numerators, wholes=denominators)

    def statistic(weights: Floats) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios: Floats = (weights @ numerators) / (weights @ denominators)
        return ratios

    return statistic


def _curve_of(
    scores: ArrayLike, weak: ArrayLike, strong: ArrayLike
) -> Callable[[Floats], tuple[Floats, Floats]]:
    """Return weights (r, n) -> shares and PGR, both (r, s + 1); PGR is NaN without a gap."""
    score_values = checked(scores, name="scores")
    weak_values, strong_values = checked(weak, name="weak"), checked(strong, name="strong")
    same_length(scores=score_values, weak=weak_values, strong=strong_values)
    ranking = ranked(score_values)
    gains = (strong_values - weak_values)[ranking.order]
    last = ranking.ends - 1

    def curve(weights: Floats) -> tuple[Floats, Floats]:
        ordered = weights[:, ranking.order]
        shares = np.zeros((len(weights), len(last) + 1))
        gained = np.zeros_like(shares)
        shares[:, 1:] = np.cumsum(ordered, axis=1)[:, last]
        gained[:, 1:] = np.cumsum(ordered * gains, axis=1)[:, last]
        gap = gained[:, -1:]
        with np.errstate(divide="ignore", invalid="ignore"):
            recovered = np.where(gap > 0.0, gained / gap, np.nan)
        return shares / shares[:, -1:], recovered

    return curve
