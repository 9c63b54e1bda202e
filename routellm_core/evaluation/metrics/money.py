"""What routing is worth in money: AIQ, CostSave, and the RouterArena score."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from routellm_core._numbers import percent_hint
from routellm_core.errors import ConfigurationError
from routellm_core.evaluation.metrics.arrays import Floats, checked, same_length
from routellm_core.evaluation.metrics.curves import area, cost_quality_curve

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["aiq", "arena_score", "cost_save", "hull", "performance_gain"]

_ARENA_MAX_USD = 200.0
_ARENA_MIN_USD = 0.0044
_ARENA_BETA = 0.1


def hull(costs: ArrayLike, quality: ArrayLike) -> tuple[Floats, Floats]:
    """Return the non-decreasing convex hull of points: what randomising between them reaches.

    Parameters
    ----------
    costs, quality
        Shape (k,), in any order; one point per model or per threshold.

    Returns
    -------
    Costs and qualities of the corners, shape (h,) each, both strictly ascending. Right of the last
    corner quality stays flat; left of the first there is none.

    References
    ----------
    Hu et al., RouterBench, arXiv:2403.12031.

    Examples
    --------
    >>> hull([1.0, 2.0, 3.0], [0.0, 0.1, 1.0])
    (array([1., 3.]), array([0., 1.]))
    """
    cost_values, quality_values = checked(costs, name="costs"), checked(quality, name="quality")
    same_length(costs=cost_values, quality=quality_values)
    # By cost, and among equal costs the best first.
    order = np.lexsort((-quality_values, cost_values))
    corners: list[tuple[float, float]] = []
    for cost, value in zip(
        cost_values[order].tolist(), quality_values[order].tolist(), strict=True
    ):
        if corners and value <= corners[-1][1]:
            continue  # costs as much or more, and is no better
        while len(corners) >= 2 and _below(corners[-2], corners[-1], (cost, value)):
            corners.pop()
        corners.append((cost, value))
    return np.array([c for c, _ in corners]), np.array([q for _, q in corners])


def aiq(
    costs: ArrayLike,
    quality: ArrayLike,
    *,
    cost_min: float | None = None,
    cost_max: float | None = None,
) -> float:
    """Return the average improvement in quality: the hull's mean height over a range of costs.

    Parameters
    ----------
    costs, quality
        Shape (k,), k >= 1: one point per threshold of a router, or per model for the zero router.
    cost_min, cost_max
        The range, by default the points' own. Compare routers over one common range.

    Returns
    -------
    In the unit of `quality`. Over an empty range, the hull's height there.

    Raises
    ------
    ConfigurationError
        If the range starts before the cheapest point, or is reversed.

    References
    ----------
    Hu et al., RouterBench, arXiv:2403.12031.

    Notes
    -----
    RouterBench's `AIQ.py` divides by the largest cost instead of the range's width, and fails on
    two points, the strong/weak pair.

    Examples
    --------
    >>> aiq([1.0, 3.0], [0.0, 1.0])
    0.5
    """
    corners, heights = hull(costs, quality)
    all_costs = checked(costs, name="costs")
    low = float(all_costs.min()) if cost_min is None else cost_min
    high = float(all_costs.max()) if cost_max is None else cost_max
    if not low <= high or low < corners[0]:
        raise ConfigurationError(
            f"The range of costs must be ascending and start at {corners[0]:.6g} or later, got "
            f"`cost_min` {low!r} and `cost_max` {high!r}."
        )
    inside = corners[(corners > low) & (corners < high)]
    grid = np.concatenate([[low], inside, [high]])
    values = np.interp(grid, corners, heights)
    if low == high:
        return float(values[0])
    return float(area(grid, values)) / (high - low)


def cost_save(
    scores: ArrayLike,
    *,
    weak: ArrayLike,
    strong: ArrayLike,
    weak_cost: ArrayLike = 0.0,
    strong_cost: ArrayLike = 1.0,
    router_cost: float = 0.0,
    margin: float = 0.0,
) -> float:
    """Return the largest saving against all-strong at a quality no more than `margin` below it.

    Parameters
    ----------
    scores, weak, strong
        Shape (n,), in the same order.
    weak_cost, strong_cost
        A scalar or shape (n,); with the default, money is the share of strong calls.
    router_cost
        What asking the router adds to every call.
    margin
        How much mean quality may be lost, >= 0, in the qualities' unit.

    Returns
    -------
    A share of the all-strong cost; 0 when nothing cheaper keeps the quality. The threshold is
    chosen on the same prompts, so that the number flatters; calibrate on one half and read the
    saving off the other to know what to expect.

    Raises
    ------
    ConfigurationError
        If an argument cannot be used, or the strong model costs nothing.

    References
    ----------
    CostSave, LLMRouterBench, arXiv:2601.07206; there the quality to keep is the best single
    model's.

    Examples
    --------
    >>> cost_save([0.9, 0.1], weak=[0, 1], strong=[1, 1])
    0.5
    """
    if not margin >= 0.0:
        raise ConfigurationError(f"`margin` must be at least 0, got {margin!r}.")
    curve = cost_quality_curve(
        scores,
        weak=weak,
        strong=strong,
        weak_cost=weak_cost,
        strong_cost=strong_cost,
        router_cost=router_cost,
    )
    all_strong = float(curve.cost[-1]) - router_cost
    if not all_strong > 0.0:
        raise ConfigurationError(f"All-strong must cost more than 0, got {all_strong!r}.")
    # Sums over thousands of prompts differ in the last digits.
    kept = curve.quality >= curve.quality[-1] - margin - 1e-12 * max(1.0, abs(curve.quality[-1]))
    cheapest = float(curve.cost[kept].min())
    return max(0.0, 1.0 - cheapest / all_strong)


def performance_gain(scores: ArrayLike, *, weak: ArrayLike, strong: ArrayLike) -> float:
    """Return how far the best threshold beats the better of the two models, relative to it.

    Returns
    -------
    0 when routing never beats the better model. Chosen on the same prompts, so that it flatters.

    Raises
    ------
    ConfigurationError
        If the better model's mean quality is not above 0.

    References
    ----------
    PerfGain, LLMRouterBench, arXiv:2601.07206.

    Examples
    --------
    >>> performance_gain([0.9, 0.1], weak=[0, 1], strong=[1, 0])
    1.0
    """
    curve = cost_quality_curve(scores, weak=weak, strong=strong)
    best_single = float(max(curve.quality[0], curve.quality[-1]))
    if not best_single > 0.0:
        raise ConfigurationError(f"The better model's quality must exceed 0, got {best_single!r}.")
    return float(curve.quality.max() / best_single - 1.0)


def arena_score(accuracy: float, cost_usd_per_1k: float) -> float:
    """Return RouterArena's blend of accuracy and log-cost.

    Parameters
    ----------
    accuracy
        In [0, 1].
    cost_usd_per_1k
        Dollars per 1,000 queries, router included, in [0.0044, 200].

    Returns
    -------
    In [0, 1], higher is better; cost weighs a tenth of accuracy.

    Raises
    ------
    ConfigurationError
        If an argument is outside its range.

    References
    ----------
    RouterArena, arXiv:2510.00202, and its `compute_scores.py`.

    Examples
    --------
    >>> round(arena_score(0.7, 1.0), 4)
    0.6744
    """
    if not (0.0 <= accuracy <= 1.0 and _ARENA_MIN_USD <= cost_usd_per_1k <= _ARENA_MAX_USD):
        raise ConfigurationError(
            f"`accuracy` must lie in [0, 1] and `cost_usd_per_1k` in [{_ARENA_MIN_USD}, "
            f"{_ARENA_MAX_USD}], got {accuracy!r} and {cost_usd_per_1k!r}."
            f"{percent_hint(accuracy)}"
        )
    span = np.log2(_ARENA_MAX_USD) - np.log2(_ARENA_MIN_USD)
    thrift = float((np.log2(_ARENA_MAX_USD) - np.log2(cost_usd_per_1k)) / span)
    if accuracy == 0.0 or thrift == 0.0:
        return 0.0
    return (1.0 + _ARENA_BETA) * accuracy * thrift / (_ARENA_BETA * accuracy + thrift)


def _below(
    left: tuple[float, float], middle: tuple[float, float], right: tuple[float, float]
) -> bool:
    """Return whether the middle point lies on or below the line from left to right."""
    return (middle[1] - left[1]) * (right[0] - left[0]) <= (right[1] - left[1]) * (
        middle[0] - left[0]
    )
