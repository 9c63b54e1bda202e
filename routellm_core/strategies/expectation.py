"""The expected maximum of independent normal variables."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["expected_maximum"]

_NODES = 400
_REACH = 8.0


def expected_maximum(means: Sequence[float], spreads: Sequence[float]) -> float:
    """Return the expected maximum of independent normal variables.

    Parameters
    ----------
    means
        m >= 1 numbers.
    spreads
        m standard deviations, at least 0.

    Returns
    -------
    For two variables Clark's closed form; for more the integral of 1 - F, where F is the product
    of the variables' distribution functions, by the trapezoidal rule.

    References
    ----------
    Clark, The greatest of a finite set of random variables, Operations Research 9 (1961).

    Examples
    --------
    >>> round(expected_maximum([0.0, 0.0], [1.0, 1.0]), 6)
    0.56419
    """
    if len(means) == 1:
        return means[0]
    if len(means) == 2:
        return _clark(means[0], means[1], math.hypot(*spreads))
    low = max(m - _REACH * s for m, s in zip(means, spreads, strict=True))
    high = max(m + _REACH * s for m, s in zip(means, spreads, strict=True))
    if high <= low:
        return max(means)
    width = (high - low) / _NODES
    total = 0.0
    for node in range(_NODES + 1):
        x, below = low + node * width, 1.0
        for mean, spread in zip(means, spreads, strict=True):
            below *= _normal(x - mean, spread)
        total += (1.0 - below) * (0.5 if node in (0, _NODES) else 1.0)
    return low + width * total


def _clark(first: float, second: float, spread: float) -> float:
    if spread == 0.0:
        return max(first, second)
    z = (first - second) / spread
    density = math.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    return first * _normal(z, 1.0) + second * _normal(-z, 1.0) + spread * density


def _normal(distance: float, spread: float) -> float:
    if spread == 0.0:
        return 1.0 if distance >= 0.0 else 0.0
    return 0.5 * math.erfc(-distance / (spread * math.sqrt(2.0)))
