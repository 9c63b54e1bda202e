"""The quality that one more US dollar must buy, for a mean cost or a mean quality."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from routellm_core._numbers import bad_number
from routellm_core.errors import ConfigurationError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["CostWeight", "quality_per_usd_for"]


class CostWeight(NamedTuple):
    """A weight of cost, and what it comes to on the prompts that it was computed from.

    Parameters
    ----------
    quality_per_usd
        For `Predict`.
    mean_cost, mean_quality
        Of a call, in US dollars and in [0, 1].
    next_mean_cost
        Of the next smaller weight, which passes `max_cost`; None where nothing costs more.
    mix
        In [0, 1): the share of calls that the next smaller weight may decide so that the mean
        cost is `max_cost` exactly.
    """

    quality_per_usd: float
    mean_cost: float
    mean_quality: float
    next_mean_cost: float | None
    mix: float


def quality_per_usd_for(
    quality: NDArray[np.float64],
    cost: NDArray[np.float64],
    *,
    max_cost: float | None = None,
    min_quality: float | None = None,
) -> CostWeight:
    """Return the exact weight for a mean cost, or the largest that keeps a mean quality.

    Mean cost and mean quality are step functions of the weight. Their steps are the slopes of each
    prompt's upper hull of (cost, quality), so that sorting them gives the answer without a search:
    O(n m log(n m)).

    Parameters
    ----------
    quality, cost
        Shape (n, m): of m experts on n prompts, in [0, 1] and in US dollars, at least 0.
    max_cost
        Mean cost of a call that must not be passed.
    min_quality
        Mean quality that must be kept, in place of `max_cost`.

    Raises
    ------
    ConfigurationError
        If an array cannot be used, or not exactly one goal is given, or no weight reaches it.

    Examples
    --------
    >>> quality = np.array([[0.2, 0.9], [0.8, 0.9]])
    >>> cost = np.array([[1.0, 3.0], [1.0, 3.0]])
    >>> quality_per_usd_for(quality, cost, max_cost=2.0).mean_quality
    0.85
    """
    _check(quality, cost)
    if (max_cost is None) == (min_quality is None):
        raise ConfigurationError("Pass either `max_cost` or `min_quality`.")
    n = len(quality)
    start_cost, start_quality, moves = _moves(quality, cost)
    slopes = moves[:, 0]
    # The steps, from the largest weight on: what is bought at each slope.
    edges = np.flatnonzero(np.diff(slopes, prepend=np.inf) != 0.0)
    bought = np.add.reduceat(moves[:, 1:], edges) if len(edges) else np.empty((0, 2))
    costs = start_cost + np.concatenate([[0.0], np.cumsum(bought[:, 0])])
    qualities = start_quality + np.concatenate([[0.0], np.cumsum(bought[:, 1])])
    # A weight equal to a slope does not buy it: of equals the cheaper is asked.
    weights = np.concatenate([slopes[edges], [0.0]])
    if max_cost is not None:
        fitting = np.flatnonzero(costs <= max_cost * n * (1.0 + 1e-12))
        if not fitting.size:
            raise ConfigurationError(
                f"`max_cost` must be at least {costs[0] / n:.6g} US dollars, the mean cost of the "
                f"cheapest expert, got {max_cost!r}."
            )
        place = int(fitting[-1])
    else:
        fitting = np.flatnonzero(qualities >= float(min_quality or 0.0) * n * (1.0 - 1e-12))
        if not fitting.size:
            raise ConfigurationError(
                f"`min_quality` must be at most {qualities[-1] / n:.6g}, the mean quality of the "
                f"best expert for each prompt, got {min_quality!r}."
            )
        place = int(fitting[0])
    after = float(costs[place + 1]) / n if place + 1 < len(costs) else None
    mean = float(costs[place]) / n
    mix = 0.0
    if max_cost is not None and after is not None:
        mix = min(max(0.0, (max_cost - mean) / (after - mean)), float(np.nextafter(1.0, 0.0)))
    return CostWeight(float(weights[place]), mean, float(qualities[place]) / n, after, mix)


def _moves(
    quality: NDArray[np.float64], cost: NDArray[np.float64]
) -> tuple[float, float, NDArray[np.float64]]:
    """Return the sums at an infinite weight, and what each smaller weight buys.

    Returns
    -------
    Cost and quality of the cheapest experts; rows (slope, cost, quality), the largest slope first.
    """
    start_cost = start_quality = 0.0
    moves: list[tuple[float, float, float]] = []
    for qualities, costs in zip(quality.tolist(), cost.tolist(), strict=True):
        # The best of the cheapest, then the upper hull to the right.
        order = sorted(range(len(costs)), key=lambda m: (costs[m], -qualities[m]))
        hull = [order[0]]
        for m in order[1:]:
            if qualities[m] <= qualities[hull[-1]]:
                continue
            while len(hull) > 1 and _slope(hull[-1], m, qualities, costs) >= _slope(
                hull[-2], hull[-1], qualities, costs
            ):
                hull.pop()
            hull.append(m)
        start_cost += costs[hull[0]]
        start_quality += qualities[hull[0]]
        moves += [
            (
                _slope(a, b, qualities, costs),
                costs[b] - costs[a],
                qualities[b] - qualities[a],
            )
            for a, b in pairwise(hull)
        ]
    moves.sort(key=lambda move: -move[0])
    return start_cost, start_quality, np.array(moves, dtype=np.float64).reshape(-1, 3)


def _slope(a: int, b: int, qualities: list[float], costs: list[float]) -> float:
    rise, run = qualities[b] - qualities[a], costs[b] - costs[a]
    return rise / run if run > 0.0 else np.inf


def _check(quality: NDArray[np.float64], cost: NDArray[np.float64]) -> None:
    if quality.ndim != 2 or not quality.size or cost.shape != quality.shape:
        raise ConfigurationError(
            "`quality` and `cost` must be numbers of one shape (prompts, experts), got shapes "
            f"{quality.shape} and {cost.shape}."
        )
    bad = bad_number(quality, low=0.0, high=1.0)
    if bad:
        raise ConfigurationError(f"`quality` must lie in [0, 1], got {bad}.")
    bad = bad_number(cost, low=0.0)
    if bad:
        raise ConfigurationError(f"`cost` must be finite and at least 0, got {bad}.")
