"""How far judges agree beyond chance, and what a judge's errors do to a rate."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from routellm_core.errors import ConfigurationError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Interval",
    "agreement",
    "cohen_kappa",
    "corrected_rate",
    "krippendorff_alpha",
    "wilson_interval",
]

_Z = 1.959963984540054  # of 95 %


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with a 95 % interval; all NaN when there is nothing to estimate from."""

    value: float
    low: float
    high: float


def wilson_interval(successes: float, n: float) -> Interval:
    """Return a share and its Wilson interval.

    Examples
    --------
    >>> found = wilson_interval(8, 10)
    >>> round(found.low, 4), round(found.high, 4)
    (0.4902, 0.9433)
    """
    if n <= 0:
        return Interval(math.nan, math.nan, math.nan)
    rate, z2 = successes / n, _Z**2
    centre = (rate + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z / (1 + z2 / n) * math.sqrt(rate * (1 - rate) / n + z2 / (4 * n * n))
    return Interval(rate, max(centre - half, 0.0), min(centre + half, 1.0))


def agreement(first: Sequence[Hashable], second: Sequence[Hashable]) -> Interval:
    """Return the share of items that two judges label alike, with its Wilson interval."""
    _check_lengths(first, second)
    same = sum(a == b for a, b in zip(first, second, strict=True))
    return wilson_interval(same, len(first))


def cohen_kappa(first: Sequence[Hashable], second: Sequence[Hashable]) -> Interval:
    """Return two judges' agreement beyond chance: 1 is perfect, 0 is chance.

    The interval is that of the large-sample standard error. NaN when both gave one and the same
    label throughout, which says nothing of chance.

    References
    ----------
    Cohen, 1960; Fleiss, Cohen and Everitt, Large sample standard errors of kappa, 1969.

    Examples
    --------
    >>> cohen_kappa("yynn", "yynn").value
    1.0
    """
    _check_lengths(first, second)
    labels = {label: i for i, label in enumerate(dict.fromkeys([*first, *second]))}
    n = len(first)
    if n == 0 or len(labels) < 2:
        return Interval(math.nan, math.nan, math.nan)
    table = np.zeros((len(labels), len(labels)))
    for a, b in zip(first, second, strict=True):
        table[labels[a], labels[b]] += 1
    table /= n
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    observed, chance = float(np.trace(table)), float(rows @ columns)
    kappa = min((observed - chance) / (1 - chance), 1.0)  # without the last digit's rounding
    diagonal = np.diag(table) @ (1 - (rows + columns) * (1 - kappa)) ** 2
    sums = (columns[:, None] + rows[None, :]) ** 2
    off = (1 - kappa) ** 2 * float((table * sums).sum() - np.diag(table) @ np.diag(sums))
    spread = float(diagonal) + off - (kappa - chance * (1 - kappa)) ** 2
    error = math.sqrt(max(spread, 0.0) / n) / (1 - chance)
    return Interval(kappa, max(kappa - _Z * error, -1.0), min(kappa + _Z * error, 1.0))


def krippendorff_alpha(ratings: ArrayLike, *, level: str = "nominal") -> float:
    """Return the agreement beyond chance of any number of judges, with missing ratings.

    Parameters
    ----------
    ratings
        Shape (judges, items), numbers; NaN where a judge rated no item.
    level
        "nominal" for labels, "interval" for grades.

    Returns
    -------
    1 for perfect agreement, 0 for chance; NaN when no item has two ratings, or all are equal.

    References
    ----------
    Krippendorff, Computing Krippendorff's alpha-reliability, 2011.

    Examples
    --------
    >>> krippendorff_alpha([[1, 2, 1], [1, 2, 1]])
    1.0
    """
    if level not in ("nominal", "interval"):
        raise ConfigurationError(f"`level` must be 'nominal' or 'interval', got {level!r}.")
    table = np.asarray(ratings, dtype=np.float64)
    if table.ndim != 2:
        raise ConfigurationError(f"`ratings` must have shape (judges, items), got {table.shape}.")
    units = [column[~np.isnan(column)] for column in table.T]
    units = [unit for unit in units if len(unit) > 1]
    if not units:
        return math.nan
    pooled = np.concatenate(units)
    within = sum(_differences(unit, level) / (len(unit) - 1) for unit in units) / len(pooled)
    between = _differences(pooled, level) / (len(pooled) * (len(pooled) - 1))
    return math.nan if between == 0 else float(1 - within / between)


def _differences(values: NDArray[np.float64], level: str) -> float:
    """Return the sum over all ordered pairs of values of how much they differ."""
    n = len(values)
    if level == "interval":
        return float(2 * n * np.sum((values - values.mean()) ** 2))
    counts = np.unique(values, return_counts=True)[1]
    return float(n * n - np.sum(counts**2))


def corrected_rate(
    successes: int, n: int, *, hits: int, positives: int, rejections: int, negatives: int
) -> Interval:
    """Return the true rate behind a judge that errs, from a sample that people judged as well.

    Parameters
    ----------
    successes, n
        How often the judge said yes, of how many.
    hits, positives
        Of the items to which people said yes, how often the judge did (sensitivity).
    rejections, negatives
        Of the items to which people said no, how often the judge did (specificity).

    Raises
    ------
    ConfigurationError
        If a count does not fit its total, or people's sample lacks one of the two kinds, or the
        judge is no better than chance.

    References
    ----------
    Rogan and Gladen, 1978; interval of Lang and Reiczigel, Confidence limits for prevalence of
    disease adjusted for estimated sensitivity and specificity, 2014.

    Examples
    --------
    >>> found = corrected_rate(500, 1000, hits=90, positives=100, rejections=80, negatives=100)
    >>> round(found.value, 4)
    0.4286
    """
    for part, whole in ((successes, n), (hits, positives), (rejections, negatives)):
        if not 0 <= part <= whole or whole == 0:
            raise ConfigurationError(
                f"Counts must lie in [0, total] of at least 1, got {part} of {whole}."
            )
    rate, sensitivity, specificity = successes / n, hits / positives, rejections / negatives
    if sensitivity + specificity <= 1.0:
        raise ConfigurationError(
            f"The judge is no better than chance: sensitivity {sensitivity:.3f} and specificity "
            f"{specificity:.3f} must add up to more than 1. Use another judge."
        )
    value = (rate + specificity - 1) / (sensitivity + specificity - 1)
    n_adj, pos_adj, neg_adj = n + _Z**2, positives + 2, negatives + 2
    rate_adj = (successes + _Z**2 / 2) / n_adj
    se, sp = (hits + 1) / pos_adj, (rejections + 1) / neg_adj
    slope = se + sp - 1
    centre = (rate_adj + sp - 1) / slope
    spread_se, spread_sp = se * (1 - se) / pos_adj, sp * (1 - sp) / neg_adj
    shift = 2 * _Z**2 * (centre * spread_se - (1 - centre) * spread_sp)
    spread = rate_adj * (1 - rate_adj) / n_adj
    spread += centre**2 * spread_se + (1 - centre) ** 2 * spread_sp
    half = _Z * math.sqrt(spread) / slope
    low, high = (min(max(centre + shift + side * half, 0.0), 1.0) for side in (-1, 1))
    return Interval(min(max(value, 0.0), 1.0), low, high)


def _check_lengths(first: Sequence[Hashable], second: Sequence[Hashable]) -> None:
    if len(first) != len(second):
        raise ConfigurationError(
            f"Two judges must have labelled the same items, got {len(first)} and {len(second)}."
        )
