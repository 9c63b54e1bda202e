"""Make win rates believable as probabilities: isotonic regression and Platt scaling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from routellm_core._numbers import bad_number, first_descent
from routellm_core.calibration.logistic import sigmoid
from routellm_core.calibration.thresholds import check_win_rates
from routellm_core.errors import ConfigurationError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from routellm_core.types import WinRates

__all__ = ["ProbabilityMap", "fit_isotonic", "fit_platt"]

_EDGE = 1e-6
_KNOTS = 256


@dataclass(frozen=True, slots=True, eq=False)
class ProbabilityMap:
    """A non-decreasing map from a router's win rates to observed ones.

    Straight lines between its knots, flat outside them. Fit it on prompts that the router was not
    trained on, and judge it on others again.

    Parameters
    ----------
    knots
        Shape (k, 2), k >= 1: a win rate and what it means, the first strictly ascending, the second
        not descending, both in [0, 1].
    """

    knots: NDArray[np.float64]

    def __post_init__(self) -> None:
        knots = self.knots
        if knots.ndim != 2 or knots.shape[1:] != (2,) or not len(knots):
            raise ConfigurationError(
                f"A probability map needs ascending pairs in [0, 1], got shape {knots.shape}."
            )
        bad = (
            bad_number(knots, low=0.0, high=1.0)
            or first_descent(knots[:, 0], strictly=True)
            or first_descent(knots[:, 1])
        )
        if bad:
            raise ConfigurationError(
                f"A probability map needs ascending pairs in [0, 1], got {bad}."
            )

    def __call__(self, win_rates: WinRates) -> WinRates:
        """Return the observed win rates: (n,) -> (n,)."""
        return np.interp(win_rates, self.knots[:, 0], self.knots[:, 1])


def fit_isotonic(win_rates: WinRates, labels: ArrayLike) -> ProbabilityMap:
    """Fit the best non-decreasing map.

    Parameters
    ----------
    win_rates
        Shape (n,), n >= 1, in [0, 1].
    labels
        Shape (n,), in [0, 1]: 1 where the strong model's answer was better, ties 1/2.

    Raises
    ------
    ConfigurationError
        If an argument cannot be used.

    Notes
    -----
    Blocks of equal fitted value are joined at their centres (Oron and Flournoy, centered isotonic
    regression, arXiv:1701.05964) and not kept as steps, so that win rates which differ keep
    differing and can still be told apart by a threshold.

    Examples
    --------
    >>> fit_isotonic(np.array([0.2, 0.4, 0.9]), [0.0, 1.0, 0.5]).knots.tolist()
    [[0.2, 0.0], [0.65, 0.75]]
    """
    observed = _labels(win_rates, labels)
    values, inverse = np.unique(win_rates, return_inverse=True)
    counts = np.bincount(inverse).astype(np.float64)
    means = np.bincount(inverse, weights=observed) / counts
    blocks: list[list[float]] = []  # weight, mean win rate, mean label
    for weight, value, mean in zip(counts.tolist(), values.tolist(), means.tolist(), strict=True):
        blocks.append([weight, value, mean])
        while len(blocks) > 1 and blocks[-2][2] >= blocks[-1][2]:
            last, before = blocks.pop(), blocks.pop()
            total = last[0] + before[0]
            pooled = [(last[0] * last[part] + before[0] * before[part]) / total for part in (1, 2)]
            blocks.append([total, *pooled])
    knots = np.clip(np.array([block[1:] for block in blocks]), 0.0, 1.0)
    return ProbabilityMap(knots)


def fit_platt(win_rates: WinRates, labels: ArrayLike) -> ProbabilityMap:
    """Fit a logistic curve over the win rates' logits: two parameters, for few prompts.

    Parameters
    ----------
    win_rates, labels
        As for `fit_isotonic`.

    Returns
    -------
    The curve at up to 256 of the win rates' quantiles. Where higher win rates go with lower labels,
    the best non-decreasing curve: the labels' mean.

    Raises
    ------
    ConfigurationError
        If an argument cannot be used.

    References
    ----------
    Platt, Probabilistic outputs for support vector machines, 1999, here with soft labels and a
    slight pull of the slope towards 0.
    """
    observed = _labels(win_rates, labels)
    logits = _logit(win_rates)
    slope, intercept = _logistic(logits, observed)
    if slope <= 0.0:
        return ProbabilityMap(np.array([[0.5, observed.mean()]]))
    places = np.unique(np.quantile(win_rates, np.linspace(0.0, 1.0, _KNOTS)))
    heights = sigmoid(slope * _logit(places) + intercept)
    return ProbabilityMap(np.column_stack([places, np.maximum.accumulate(heights)]))


def _logistic(logits: NDArray[np.float64], labels: NDArray[np.float64]) -> tuple[float, float]:
    """Return slope and intercept of least log-loss, by damped Newton steps."""
    centre, scale = logits.mean(), max(float(logits.std()), 1e-12)
    design = np.column_stack([(logits - centre) / scale, np.ones(len(logits))])
    ridge = np.diag([1e-3, 1e-9])
    weights = np.zeros(2)
    for _ in range(50):
        predicted = sigmoid(design @ weights)
        gradient = design.T @ (predicted - labels) + ridge @ weights
        spread = np.maximum(predicted * (1.0 - predicted), 1e-9)
        step = np.linalg.solve((design * spread[:, None]).T @ design + ridge, gradient)
        weights -= np.clip(step, -2.0, 2.0)
        if np.abs(step).max() < 1e-10:
            break
    slope = float(weights[0] / scale)
    return slope, float(weights[1] - slope * centre)


def _labels(win_rates: WinRates, labels: ArrayLike) -> NDArray[np.float64]:
    check_win_rates(win_rates)
    observed = np.asarray(labels, dtype=np.float64)
    if observed.shape != win_rates.shape:
        raise ConfigurationError(
            f"`labels` must be {len(win_rates)} numbers in [0, 1], got shape {observed.shape}."
        )
    bad = bad_number(observed, low=0.0, high=1.0)
    if bad:
        raise ConfigurationError(f"`labels` must lie in [0, 1], got {bad}.")
    return observed


def _logit(values: NDArray[np.float64]) -> NDArray[np.float64]:
    clipped = np.clip(values, _EDGE, 1.0 - _EDGE)
    logits: NDArray[np.float64] = np.log(clipped) - np.log1p(-clipped)
    return logits
