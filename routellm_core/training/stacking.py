"""Weights of several routers, by stacked regression on win rates they gave to unseen prompts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from routellm_core.errors import ConfigurationError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from routellm_core.types import WinRates

__all__ = ["stacked_weights"]

# Small beside any difference of Brier scores that matters: members alike share their weight.
_RIDGE = 1e-6
_TOLERANCE = 1e-10
_MAX_ROUNDS = 20


def stacked_weights(win_rates: NDArray[np.float64], labels: WinRates) -> NDArray[np.float64]:
    """Return the weights of the weighted mean with the lowest Brier score.

    Parameters
    ----------
    win_rates
        Shape (k, n): what each of k routers gave n prompts that it had not seen.
    labels
        Shape (n,), in [0, 1]: what came out, ties one half.

    Returns
    -------
    Shape (k,), at least 0, with the sum 1. Routers with equal win rates have equal weights.

    Raises
    ------
    ConfigurationError
        If the shapes do not fit together, or there is no router or no prompt.

    Notes
    -----
    On the simplex the mean's error is D a with D = win_rates - labels, so that the problem is the
    point of smallest length in the convex hull of k points. With u >= 0 that minimises
    |D u|^2 + (sum(u) - 1)^2, a = u / sum(u) solves it (Lawson and Hanson, Solving Least Squares
    Problems, 1974, chapter 23, which also has the method for u).

    References
    ----------
    Breiman, Stacked regressions, 1996.

    Examples
    --------
    >>> labels = np.array([1.0, 0.0])
    >>> stacked_weights(np.array([[0.8, 0.2], [0.5, 0.5]]), labels).round(6)
    array([1., 0.])
    """
    if win_rates.ndim != 2 or win_rates.shape[1:] != labels.shape or not win_rates.size:
        raise ConfigurationError(
            "Stacking needs win rates of shape (k, n) and n labels, k and n at least 1, got shapes "
            f"{win_rates.shape} and {labels.shape}."
        )
    errors = win_rates - labels
    k = len(errors)
    # (k, k): 1 + the products of the errors.
    matrix = errors @ errors.T / len(labels) + _RIDGE * np.eye(k) + 1.0
    found = _not_negative(matrix)
    weights: NDArray[np.float64] = found / found.sum()
    return weights


def _not_negative(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the u >= 0 that minimises u' M u / 2 - sum(u), for a positive definite M: (k, k)."""
    k = len(matrix)
    found, used = np.zeros(k), np.zeros(k, dtype=np.bool_)
    # Rounding could make a weight come and go for ever.
    for _ in range(_MAX_ROUNDS * k):
        gains = np.where(used, -np.inf, 1.0 - matrix @ found)
        if not gains.max() > _TOLERANCE:
            break
        used[gains.argmax()] = True
        while True:
            wanted = np.zeros(k)
            wanted[used] = np.linalg.solve(matrix[np.ix_(used, used)], np.ones(used.sum()))
            below = used & (wanted <= 0.0)
            if not below.any():
                found = wanted
                break
            # Go towards the wanted point until the first weight is 0, and leave that one out.
            steps = np.full(k, np.inf)
            steps[below] = found[below] / np.maximum(found[below] - wanted[below], 1e-300)
            found = found + steps.min() * (wanted - found)
            used &= steps > steps.min()
            found[~used] = 0.0
    return found
