"""Quality against the share of strong calls, and against dollars: PGR, APGR, CPT."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from routellm_core._numbers import check_fraction
from routellm_core.errors import ConfigurationError
from routellm_core.evaluation.metrics.arrays import Floats, checked, same_length

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Curve",
    "Ranking",
    "apgr",
    "apgr_grid",
    "area",
    "cost_quality_curve",
    "cpt",
    "first_crossing",
    "pgr",
    "quality_at",
    "ranked",
]


@dataclass(frozen=True, slots=True)
class Curve:
    """Every point that some threshold reaches, from all-weak to all-strong.

    Parameters
    ----------
    thresholds
        Shape (s + 1,), descending: infinity for all-weak, then the s distinct scores.
    shares
        Shape (s + 1,), ascending from 0 to 1: the share of strong calls.
    quality
        Shape (s + 1,): mean quality, in the qualities' unit.
    cost
        Shape (s + 1,): mean cost of a call, in the costs' unit.
    """

    thresholds: Floats
    shares: Floats
    quality: Floats
    cost: Floats


class Ranking(NamedTuple):
    """Prompts from the highest score down, and where each group of ties ends."""

    order: NDArray[np.intp]
    """Shape (n,)."""
    ends: NDArray[np.intp]
    """Shape (s,), ascending, the last one n: how many prompts score at least the j-th value."""


def pgr(score: float, *, weak: float, strong: float) -> float:
    """Return the share of the weak-to-strong quality gap that a router recovers.

    Parameters
    ----------
    score, weak, strong
        Mean quality on one benchmark, all in that benchmark's unit.

    Returns
    -------
    0 at weak quality, 1 at strong; outside [0, 1] when the router does worse or better than both.

    Raises
    ------
    ConfigurationError
        If `strong` does not exceed `weak`: there is no gap to recover.

    References
    ----------
    "Performance gap recovered", Ong et al., RouteLLM, arXiv:2406.18665.

    Examples
    --------
    >>> pgr(0.75, weak=0.5, strong=1.0)
    0.5
    """
    if not strong > weak:
        raise ConfigurationError(f"`strong` ({strong!r}) must exceed `weak` ({weak!r}).")
    return (score - weak) / (strong - weak)


def apgr(scores: ArrayLike, *, weak: ArrayLike, strong: ArrayLike) -> float:
    """Return the PGR averaged over every share of strong calls from 0 to 1.

    The integral is exact: the trapezoid rule over all points that some threshold reaches.

    Parameters
    ----------
    scores, weak, strong
        Shape (n,), in the same order.

    Returns
    -------
    1/2 for a random router on average; below for a router that errs; above 1 only when the weak
    model is the better one on some prompts and the router knows which.

    Raises
    ------
    ConfigurationError
        If the lengths differ, a value is not finite, or the strong model is not better on average.

    References
    ----------
    Ong et al., arXiv:2406.18665, average over 10 shares instead; see `apgr_grid`.

    Examples
    --------
    >>> apgr([0.9, 0.1], weak=[0, 1], strong=[1, 1])
    0.75
    """
    curve = _unit_curve(scores, weak, strong)
    return float(area(curve.shares, curve.quality))


def apgr_grid(scores: ArrayLike, *, weak: ArrayLike, strong: ArrayLike, steps: int = 10) -> float:
    """Return the APGR over a grid of shares, to compare with published tables.

    PGR is read off at the shares 0, 1/steps, ..., 1 and joined by straight lines.

    Parameters
    ----------
    scores, weak, strong
        Shape (n,), in the same order.
    steps
        How many cells the grid has, at least 1; the paper's tables use 10.

    Raises
    ------
    ConfigurationError
        As `apgr`, or if `steps` is below 1.

    Notes
    -----
    RouteLLM's `evaluate.py` computes the same from quantiles of the scores, which fails when
    scores repeat. Without ties both agree to about 1/n.

    Examples
    --------
    >>> apgr_grid([0.9, 0.1], weak=[0, 1], strong=[1, 1])
    0.75
    """
    if steps < 1:
        raise ConfigurationError(f"`steps` must be at least 1, got {steps!r}.")
    curve = _unit_curve(scores, weak, strong)
    grid = np.linspace(0.0, 1.0, steps + 1)
    return float(area(grid, np.interp(grid, curve.shares, curve.quality)))


def cpt(
    scores: ArrayLike, *, weak: ArrayLike, strong: ArrayLike, target: float = 0.5
) -> float | None:
    """Return the smallest share of strong calls whose PGR reaches a target.

    Parameters
    ----------
    scores, weak, strong
        Shape (n,), in the same order.
    target
        The PGR to reach, 0.5 for the field's CPT(50 %).

    Returns
    -------
    In [0, 1], on the straight line between the last point below the target and the first one that
    reaches it; None when no share reaches it, which takes a target above 1.

    Raises
    ------
    ConfigurationError
        As `apgr`, or if `target` is not a number.

    Notes
    -----
    RouteLLM's `evaluate.py` interpolates shares over qualities, which is right only where the curve
    never falls: qualities 60, 66, 64, 70, 69, 78, 80 at 0, 15, 30, 45, 60, 80, 100 % reach half of
    the gap at 45 %, and that code says 62 %.

    Examples
    --------
    >>> cpt([0.9, 0.1], weak=[0, 0], strong=[1, 1], target=0.5)
    0.5
    """
    if not np.isfinite(target):
        raise ConfigurationError(f"`target` must be a finite number, got {target!r}.")
    curve = _unit_curve(scores, weak, strong)
    share = float(first_crossing(curve.shares[None], curve.quality[None], target)[0])
    return None if np.isnan(share) else share


def quality_at(
    scores: ArrayLike, *, weak: ArrayLike, strong: ArrayLike, strong_share: float
) -> float:
    """Return the mean quality when exactly a share of the calls goes to the strong model.

    Inside a group of ties the calls that go are drawn at random; the result is the expectation.

    Raises
    ------
    ConfigurationError
        If the share is outside [0, 1], or the arrays cannot be used.

    Examples
    --------
    >>> quality_at([0.9, 0.1], weak=[0, 0], strong=[1, 1], strong_share=0.25)
    0.25
    """
    check_fraction(strong_share, name="strong_share", within="[0, 1]")
    curve = cost_quality_curve(scores, weak=weak, strong=strong)
    return float(np.interp(strong_share, curve.shares, curve.quality))


def cost_quality_curve(
    scores: ArrayLike,
    *,
    weak: ArrayLike,
    strong: ArrayLike,
    weak_cost: ArrayLike = 0.0,
    strong_cost: ArrayLike = 1.0,
    router_cost: float = 0.0,
) -> Curve:
    """Return mean quality and mean cost at every threshold that matters.

    Parameters
    ----------
    scores, weak, strong
        Shape (n,), in the same order.
    weak_cost, strong_cost
        Cost of each call if it went to that model: a scalar or shape (n,). With the default, cost
        is the share of strong calls.
    router_cost
        What asking the router adds to every call.

    Returns
    -------
    One point per distinct score, and all-weak before them.

    Raises
    ------
    ConfigurationError
        If the lengths differ, or a value is not finite.

    Examples
    --------
    >>> cost_quality_curve([0.9, 0.1, 0.1], weak=[0, 0, 1], strong=[1, 1, 1]).shares.round(2)
    array([0.  , 0.33, 1.  ])
    """
    score_values = checked(scores, name="scores")
    weak_values, strong_values = checked(weak, name="weak"), checked(strong, name="strong")
    n = same_length(scores=score_values, weak=weak_values, strong=strong_values)
    weak_costs = checked(np.broadcast_to(weak_cost, (n,)), name="weak_cost")
    strong_costs = checked(np.broadcast_to(strong_cost, (n,)), name="strong_cost")
    ranking = ranked(score_values)
    gained = _accumulated(strong_values - weak_values, ranking)
    spent = _accumulated(strong_costs - weak_costs, ranking)
    distinct = score_values[ranking.order][ranking.ends - 1]
    return Curve(
        thresholds=np.concatenate([[np.inf], distinct]),
        shares=np.concatenate([[0.0], ranking.ends / n]),
        quality=weak_values.mean() + gained / n,
        cost=weak_costs.mean() + spent / n + router_cost,
    )


def ranked(scores: Floats) -> Ranking:
    """Return the prompts from the highest score down, with the ends of the groups of ties."""
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True)) + 1
    return Ranking(order, ends)


def area(shares: Floats, values: Floats) -> Floats:
    """Return the trapezoid integral along the last axis: (..., s + 1) -> (...,)."""
    middles = (values[..., 1:] + values[..., :-1]) / 2.0
    integral: Floats = np.asarray((middles * np.diff(shares, axis=-1)).sum(axis=-1))
    return integral


def first_crossing(shares: Floats, values: Floats, target: float) -> Floats:
    """Return where each row first reaches the target, on straight lines; NaN where it never does.

    Parameters
    ----------
    shares, values
        Shape (r, s + 1), shares ascending.
    target
        One number for all rows.

    Returns
    -------
    Shape (r,).
    """
    # Sums over thousands of prompts differ in the last digits.
    reached = values >= target - 1e-12 * max(1.0, abs(target))
    rows = np.arange(len(values))
    after = reached.argmax(axis=1)
    before = np.maximum(after - 1, 0)
    rise = values[rows, after] - values[rows, before]
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.where(rise > 0.0, (target - values[rows, before]) / rise, 1.0)
    run = shares[rows, after] - shares[rows, before]
    crossing: Floats = np.where(reached.any(axis=1), shares[rows, before] + part * run, np.nan)
    return crossing


def _unit_curve(scores: ArrayLike, weak: ArrayLike, strong: ArrayLike) -> Curve:
    """Return the curve with quality as PGR: 0 at all-weak and 1 at all-strong."""
    weak_values, strong_values = checked(weak, name="weak"), checked(strong, name="strong")
    same_length(weak=weak_values, strong=strong_values)
    gap = float((strong_values - weak_values).mean())
    if not gap > 0.0:
        raise ConfigurationError(
            f"`strong` (mean {strong_values.mean():.4g}) must exceed `weak` (mean "
            f"{weak_values.mean():.4g}): there is no gap to recover."
        )
    gains = (strong_values - weak_values) / gap
    return cost_quality_curve(scores, weak=np.zeros_like(gains), strong=gains)


def _accumulated(values: Floats, ranking: Ranking) -> Floats:
    """Return the sums over the prompts above each threshold, from none to all: (s + 1,)."""
    sums = np.cumsum(values[ranking.order])[ranking.ends - 1]
    return np.concatenate([[0.0], sums])
