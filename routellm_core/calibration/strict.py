"""How often the strong model's answer is strictly better at a win rate, with an interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from routellm_core.calibration.beta import beta_quantile
from routellm_core.calibration.probability import fit_isotonic
from routellm_core.errors import ConfigurationError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from routellm_core.types import WinRates

__all__ = ["fit_strict"]

_KNOTS = 21
_MIN_NEAR = 30


def fit_strict(
    win_rates: WinRates, *, weak: ArrayLike, strong: ArrayLike, confidence: float = 0.95
) -> NDArray[np.float64]:
    """Return P(strong answer strictly better | win rate) with an interval: shape (k, 4).

    At k <= 21 quantiles of the win rates. The probability is an isotonic regression's; the interval
    is Clopper and Pearson's of the nearest tenth of the prompts, or of 30 if that is more. It holds
    at each win rate on its own.

    Parameters
    ----------
    win_rates
        Shape (n,), n >= 1, in [0, 1], of prompts that the router was not fitted on.
    weak, strong
        Quality of the two models' answers, shape (n,).
    confidence
        Of the interval, in (0, 1).

    Returns
    -------
    Columns: win rate, strictly ascending; the probability, not descending; its interval's ends.

    Raises
    ------
    ConfigurationError
        If the shapes differ.

    Examples
    --------
    >>> found = fit_strict(np.array([0.1, 0.2, 0.8, 0.9]), weak=[1, 1, 0, 0], strong=[1, 1, 1, 1])
    >>> found[[0, -1], 1].tolist()
    [0.0, 1.0]
    """
    better = np.asarray(strong, dtype=np.float64) > np.asarray(weak, dtype=np.float64)
    if better.shape != win_rates.shape or not win_rates.size:
        raise ConfigurationError(
            f"There must be two qualities for each of {win_rates.shape} win rates, at least one, "
            f"got shape {better.shape}."
        )
    order = np.argsort(win_rates, kind="stable")
    rates, labels = win_rates[order], better[order]
    n = len(rates)
    knots = np.unique(np.quantile(rates, np.linspace(0.0, 1.0, _KNOTS)))
    near = min(n, max(_MIN_NEAR, n // 10))
    starts = np.clip(np.searchsorted(rates, knots) - near // 2, 0, n - near)
    sums = np.concatenate([[0], np.cumsum(labels)])
    counts = (sums[starts + near] - sums[starts]).tolist()
    tail = (1.0 - confidence) / 2.0
    low = [beta_quantile(tail, k, near - k + 1) if k else 0.0 for k in counts]
    high = [beta_quantile(1.0 - tail, k + 1, near - k) if k < near else 1.0 for k in counts]
    probability = fit_isotonic(rates, labels)(knots)
    return np.column_stack(
        [knots, probability, np.minimum(low, probability), np.maximum(high, probability)]
    )
