"""How believable win rates are as probabilities: ECE, Brier, NLL, AUROC, reliability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from routellm_core.errors import ConfigurationError
from routellm_core.evaluation.metrics.arrays import Floats, checked, checked_unit, same_length

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "BinRule",
    "BrierParts",
    "Reliability",
    "auroc",
    "brier",
    "brier_parts",
    "ece",
    "mce",
    "nll",
    "oracle_scores",
    "reliability",
    "win_labels",
]

BinRule = Literal["width", "mass"]
"""Bins of equal width, or of (nearly) equal numbers of prompts."""

_CLIP = 1e-12


@dataclass(frozen=True, slots=True)
class Reliability:
    """Predicted against observed win rates, by bin; empty bins are left out.

    Parameters
    ----------
    predicted, observed
        Shape (b,): the bin's mean win rate and mean label.
    counts
        Shape (b,): its number of prompts.
    """

    predicted: Floats
    observed: Floats
    counts: NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class BrierParts:
    """The Brier score's parts: `reliability - resolution + uncertainty`, up to in-bin variance.

    Parameters
    ----------
    reliability
        Lower is better: squared distance of predictions from what happened.
    resolution
        Higher is better: how far the bins' outcomes spread.
    uncertainty
        Of the labels alone.
    """

    reliability: float
    resolution: float
    uncertainty: float


def win_labels(*, weak: ArrayLike, strong: ArrayLike) -> Floats:
    """Return 1 where the strong model's answer is better, 0 where it is worse, 1/2 on ties.

    Parameters
    ----------
    weak, strong
        Quality of the answers, shape (n,), in the same order.

    Examples
    --------
    >>> win_labels(weak=[0, 1, 1], strong=[1, 1, 0]).tolist()
    [1.0, 0.5, 0.0]
    """
    weak_values, strong_values = checked(weak, name="weak"), checked(strong, name="strong")
    same_length(weak=weak_values, strong=strong_values)
    labels: Floats = (np.sign(strong_values - weak_values) + 1.0) / 2.0
    return labels


def oracle_scores(*, weak: ArrayLike, strong: ArrayLike) -> Floats:
    """Return the best possible scores: prompts ranked by what the strong model adds.

    No scores have a higher APGR, or a higher quality at any share.

    Returns
    -------
    Shape (n,), in [0, 1], ascending in `strong - weak`; ties keep equal scores.

    Examples
    --------
    >>> oracle_scores(weak=[0, 1, 1], strong=[1, 1, 0]).tolist()
    [1.0, 0.5, 0.0]
    """
    weak_values, strong_values = checked(weak, name="weak"), checked(strong, name="strong")
    same_length(weak=weak_values, strong=strong_values)
    gains = strong_values - weak_values
    span = gains.max() - gains.min()
    if span == 0.0:
        return np.full(len(gains), 0.5)
    scores: Floats = (gains - gains.min()) / span
    return scores


def reliability(
    win_rates: ArrayLike, labels: ArrayLike, *, bins: int = 15, rule: BinRule = "width"
) -> Reliability:
    """Return predicted against observed win rates by bin.

    Parameters
    ----------
    win_rates, labels
        Shape (n,), in [0, 1]; soft labels, ties 1/2, are fine.
    bins
        How many bins, at least 1.
    rule
        "width" splits [0, 1] evenly, the last bin closed; "mass" splits the sorted prompts evenly
        and never splits tied win rates.

    Raises
    ------
    ConfigurationError
        If an argument cannot be used.
    """
    predicted, observed = _pair(win_rates, labels)
    if bins < 1 or rule not in ("width", "mass"):
        raise ConfigurationError(
            f"`bins` must be at least 1 and `rule` 'width' or 'mass', got {bins!r} and {rule!r}."
        )
    if rule == "width":
        index = np.minimum((predicted * bins).astype(np.intp), bins - 1)
    else:
        # A prompt's place is that of the first prompt with the same win rate.
        place = np.searchsorted(np.sort(predicted), predicted, side="left")
        index = (place * bins) // len(predicted)
    counts = np.bincount(index, minlength=bins)
    kept = counts > 0
    sums = [np.bincount(index, weights=v, minlength=bins)[kept] for v in (predicted, observed)]
    return Reliability(sums[0] / counts[kept], sums[1] / counts[kept], counts[kept])


def ece(
    win_rates: ArrayLike, labels: ArrayLike, *, bins: int = 15, rule: BinRule = "width"
) -> float:
    """Return the expected calibration error: the mean distance of predicted from observed.

    Returns
    -------
    In [0, 1]; 0 is perfect. Small samples push it up, because distances never cancel.

    References
    ----------
    Guo et al., On Calibration of Modern Neural Networks, arXiv:1706.04599; 15 bins of equal width.

    Examples
    --------
    >>> ece([0.5, 0.5], [1.0, 0.0])
    0.0
    """
    table = reliability(win_rates, labels, bins=bins, rule=rule)
    return float(np.average(np.abs(table.observed - table.predicted), weights=table.counts))


def mce(
    win_rates: ArrayLike, labels: ArrayLike, *, bins: int = 15, rule: BinRule = "width"
) -> float:
    """Return the calibration error of the worst bin."""
    table = reliability(win_rates, labels, bins=bins, rule=rule)
    return float(np.abs(table.observed - table.predicted).max())


def brier(win_rates: ArrayLike, labels: ArrayLike) -> float:
    """Return the mean squared distance of win rates from labels, a proper score; lower is better.

    Examples
    --------
    >>> brier([1.0, 0.5], [1.0, 0.0])
    0.125
    """
    predicted, observed = _pair(win_rates, labels)
    return float(np.square(predicted - observed).mean())


def brier_parts(win_rates: ArrayLike, labels: ArrayLike, *, bins: int = 15) -> BrierParts:
    """Return the Brier score's reliability, resolution and uncertainty.

    They add up to the Brier score exactly when all win rates in a bin are equal.

    References
    ----------
    Murphy, A New Vector Partition of the Probability Score, 1973.
    """
    table = reliability(win_rates, labels, bins=bins)
    _, observed = _pair(win_rates, labels)
    base = observed.mean()
    return BrierParts(
        reliability=float(
            np.average(np.square(table.predicted - table.observed), weights=table.counts)
        ),
        resolution=float(np.average(np.square(table.observed - base), weights=table.counts)),
        uncertainty=float(np.square(observed - base).mean()),
    )


def nll(win_rates: ArrayLike, labels: ArrayLike) -> float:
    """Return the mean negative log-likelihood in nats, a proper score; lower is better.

    Win rates are kept 1e-12 away from 0 and 1, so that one certain error costs 27.6 and not
    everything.

    Examples
    --------
    >>> round(nll([0.5], [1.0]), 4)
    0.6931
    """
    predicted, observed = _pair(win_rates, labels)
    clipped = np.clip(predicted, _CLIP, 1.0 - _CLIP)
    return float(-(observed * np.log(clipped) + (1.0 - observed) * np.log1p(-clipped)).mean())


def auroc(scores: ArrayLike, positives: ArrayLike) -> float:
    """Return the probability that a positive prompt outscores a negative one, ties half.

    Parameters
    ----------
    scores
        Shape (n,).
    positives
        Shape (n,), booleans: usually whether the strong model's answer is strictly better.

    Raises
    ------
    ConfigurationError
        If there is no positive or no negative prompt.

    Examples
    --------
    >>> auroc([0.9, 0.5, 0.5], [True, True, False])
    0.75
    """
    values = checked(scores, name="scores")
    positive = np.asarray(positives, dtype=bool)
    same_length(scores=values, positives=checked(positive, name="positives"))
    below = np.sort(values[~positive])
    above = values[positive]
    if above.size == 0 or below.size == 0:
        raise ConfigurationError("AUROC needs at least one positive and one negative prompt.")
    wins = np.searchsorted(below, above, side="left") + np.searchsorted(below, above, side="right")
    return float(wins.sum() / (2.0 * above.size * below.size))


def _pair(win_rates: ArrayLike, labels: ArrayLike) -> tuple[Floats, Floats]:
    predicted = checked_unit(win_rates, name="win_rates")
    observed = checked_unit(labels, name="labels")
    same_length(win_rates=predicted, labels=observed)
    return predicted, observed
