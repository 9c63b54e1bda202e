"""What more labels would bring, from how the router got better with those that are there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from routellm_core.evaluation.metrics import apgr_of, bootstrap_rounds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from routellm_core.training.examples import PairExamples
    from routellm_core.types import WinRates

    Rows = NDArray[np.int64]

__all__ = ["Fits", "NextLabels", "next_labels_gain"]

# How many fits with which part of a fold's labels.
_PARTS = ((4, 2), (2, 2), (1, 1))
_LEAST = 20
# By what APGR grows with e times as many labels: mean and deviation over six collections, each at
# two to four steps from 30 to 3,000 labels. See docs/results.md.
_USUAL_SLOPE = 0.018
_USUAL_DEVIATION = 0.016
# How far the slope that comes may be from the one before: no curve is straight.
_BEND = 0.01
_NORMAL = 1.96


class Fits(Protocol):
    """What is fitted to some of n labelled prompts and scores others."""

    examples: PairExamples

    def rates(self, labelled: Rows, scored: Rows) -> WinRates:
        """Return the win rates of some rows by a fit to the labels of others."""


@dataclass(frozen=True, slots=True)
class NextLabels:
    """What more labels would bring.

    Parameters
    ----------
    n
        How many more.
    apgr_gain
        What they would add to the APGR.
    low, high
        The 95 % interval of that.
    """

    n: int
    apgr_gain: float
    low: float
    high: float


def next_labels_gain(
    fits: Fits, folds: Sequence[tuple[Rows, Rows]], *, extra: int, seed: int = 0
) -> NextLabels | None:
    """Extrapolate the learning curve by more labels.

    Every fold is scored by fits to a quarter, to half and to all of the other labels. A line is
    laid through APGR over the logarithm of their number; its slope is combined with what is usual
    on other tasks, each by its precision, and followed from n to n + extra. With 30 labels the
    usual slope decides nearly alone, with some thousands the measured one.

    Parameters
    ----------
    fits
        What learns.
    folds
        The rows outside and inside of each.
    extra
        How many labels more, at least 1.
    seed
        Of the parts and of the interval.

    Returns
    -------
    The gain, None with fewer than 20 labels, or where the strong model is no better on the prompts
    that are scored. The interval holds what is not known of the slope; it takes the line to go on
    straight.
    """
    n = len(fits.examples.prompts)
    held = fits.examples.select(np.concatenate([inside for _, inside in folds]))
    if n < _LEAST or not float((held.strong - held.weak).mean()) > 0.0:
        return None
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(outside) for outside, _ in folds]
    statistics, places = [], []
    for part, repeats in _PARTS:
        for repeat in range(repeats):
            scores = np.concatenate(list(_scores(fits, folds, orders, part, repeat)))
            statistics.append(apgr_of(scores, weak=held.weak, strong=held.strong))
            places.append(-math.log(part))
    off = np.array(places) - np.mean(places)
    factors = off / (off @ off)

    def curve(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.stack([statistic(weights) for statistic in statistics])

    points = curve(np.ones((1, len(held.prompts))))[:, 0]
    drawn = bootstrap_rounds(
        lambda weights: factors @ curve(weights), n=len(held.prompts), seed=seed
    )
    slope, deviation = _combined(float(factors @ points), _variance(points, off, drawn))
    along = math.log((n + extra) / n)
    reach = _NORMAL * deviation * along
    return NextLabels(extra, slope * along, slope * along - reach, slope * along + reach)


def _variance(
    points: NDArray[np.float64], off: NDArray[np.float64], drawn: NDArray[np.float64]
) -> float:
    """Return the variance of the next slope: of what was scored, fitted to, and of the bend.

    Parameters
    ----------
    points
        Shape (k,): the curve.
    off
        Shape (k,): where its points lie, around 0.
    drawn
        Slopes on prompts that were drawn anew; NaN where these have no gap to recover.
    """
    line = points.mean() + off * float(off @ points) / float(off @ off)
    around = float(((points - line) ** 2).sum()) / (len(points) - 2)
    # Where few prompts leave hardly a gap, APGR has no end: quantiles do not mind.
    low, high = np.nanquantile(drawn, [0.16, 0.84])
    return float((high - low) / 2.0) ** 2 + around / float(off @ off) + _BEND**2


def _combined(slope: float, variance: float) -> tuple[float, float]:
    """Return mean and deviation of the slope, after what is usual and what was measured."""
    usual, measured = 1.0 / _USUAL_DEVIATION**2, 1.0 / variance
    mean = (usual * _USUAL_SLOPE + measured * slope) / (usual + measured)
    return mean, 1.0 / math.sqrt(usual + measured)


def _scores(
    fits: Fits,
    folds: Sequence[tuple[Rows, Rows]],
    orders: Sequence[Rows],
    part: int,
    repeat: int,
) -> Iterator[NDArray[np.float64]]:
    """Yield each fold's scores by a fit to the `repeat`-th of `part` parts of the others."""
    everything = np.arange(len(fits.examples.prompts))
    for order, (_, inside) in zip(orders, folds, strict=True):
        size = len(order) // part
        rates = fits.rates(order[repeat * size : (repeat + 1) * size], everything)
        # A fold with high labels leaves low ones to its fit, whose win rates are all lower for it:
        # of several folds together, only what is left without the mean tells one prompt from
        # another.
        yield rates[inside] - rates.mean()
