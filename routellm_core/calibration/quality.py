"""A threshold that keeps a share of the strong model's quality, with a guarantee."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from routellm_core._numbers import bad_number, check_fraction
from routellm_core.calibration.share import ShareInterval, check_confidence, share_interval
from routellm_core.calibration.thresholds import check_win_rates
from routellm_core.errors import ConfigurationError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from routellm_core.types import WinRates

__all__ = ["QualityTarget", "calibrate_quality", "check_min_quality", "lower_bound"]

_CANDIDATES = 50
_LEARN_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class QualityTarget:
    """A threshold for a quality floor.

    Parameters
    ----------
    threshold
        A call goes to the strong model when its win rate reaches it.
    strong_share
        What that threshold sends to the strong model, of the prompts that it was made of.
    interval
        Of that share among all calls like those.
    quality, quality_low
        Share of the strong model's mean quality that is kept: measured, and the lower bound that
        holds with `interval.confidence`.
    n_prompts
        How many prompts there were.
    warning
        Why the floor leaves nothing to save; empty when it does.
    """

    threshold: float
    strong_share: float
    interval: ShareInterval
    quality: float
    quality_low: float
    n_prompts: int
    warning: str = ""


def calibrate_quality(
    win_rates: WinRates,
    *,
    weak: ArrayLike,
    strong: ArrayLike,
    min_quality: float,
    confidence: float = 0.95,
    seed: int = 0,
) -> QualityTarget:
    """Return a high threshold that still keeps a share of the strong model's quality.

    With the stated confidence over calibrations, the mean quality at the threshold is at least
    `min_quality` times all-strong's, for prompts drawn like these and whatever their distribution.

    Parameters
    ----------
    win_rates
        Shape (n,).
    weak, strong
        Quality of each model's answer to each prompt, shape (n,), in [0, 1].
    min_quality
        In (0, 1]: 0.95 keeps 95 % of the strong model's mean quality.
    confidence
        In (0, 1).
    seed
        Which tenth of the prompts proposes the thresholds, and the order of the others.

    Returns
    -------
    Threshold 0, all-strong, with a warning when nothing above it could be shown to keep the floor.

    Raises
    ------
    ConfigurationError
        If an argument is outside its range.

    References
    ----------
    Fixed-sequence testing: Angelopoulos et al., Learn then Test, arXiv:2110.01052. The test of each
    threshold: Waudby-Smith and Ramdas, Estimating means of bounded random variables by betting,
    arXiv:2010.09686.

    Examples
    --------
    >>> rates = np.linspace(0, 1, 1000)
    >>> target = calibrate_quality(
    ...     rates, weak=rates < 0.5, strong=np.ones(1000), min_quality=0.95)
    >>> 0.4 < target.strong_share < 0.5
    True
    """
    check_win_rates(win_rates)
    check_confidence(confidence)
    check_min_quality(min_quality)
    n = len(win_rates)
    weak_values = _qualities(weak, n=n, name="weak")
    strong_values = _qualities(strong, n=n, name="strong")
    order = np.random.default_rng(seed).permutation(n)
    n_learn = math.ceil(_LEARN_SHARE * n)
    learn, test = order[:n_learn], order[n_learn:]
    threshold = _last_certified(
        _candidates(win_rates[learn]),
        (win_rates[test], weak_values[test], strong_values[test]),
        min_quality=min_quality,
        confidence=confidence,
    )
    return _target(threshold, win_rates, weak_values, strong_values, order, confidence)


def check_min_quality(min_quality: float) -> None:
    """Refuse a share of quality outside (0, 1].

    Raises
    ------
    ConfigurationError
        If it is.
    """
    check_fraction(min_quality, name="min_quality", within="(0, 1]")


def lower_bound(values: NDArray[np.float64], *, confidence: float) -> float:
    """Return a lower bound of the mean of which values in [0, 1] are independent draws.

    It holds with the stated confidence, for any distribution and any number of values. The order
    of the values matters, and must not depend on them.
    """
    low, high = 0.0, float(values.mean()) if values.size else 0.0
    while high - low > 1e-6:
        middle = (low + high) / 2.0
        if _exceeds(values, middle, confidence=confidence):
            low = middle
        else:
            high = middle
    return low


def _last_certified(
    candidates: NDArray[np.float64],
    held_out: tuple[WinRates, NDArray[np.float64], NDArray[np.float64]],
    *,
    min_quality: float,
    confidence: float,
) -> float:
    """Test thresholds upwards from all-strong, and stop at the first that fails."""
    win_rates, weak, strong = held_out
    certified = 0.0
    for threshold in candidates.tolist():
        routed = np.where(win_rates >= threshold, strong, weak)
        # The floor holds where the mean of routed - floor * strong, in [-floor, 1], is above 0.
        scaled = (routed - min_quality * strong + min_quality) / (1.0 + min_quality)
        if not _exceeds(scaled, min_quality / (1.0 + min_quality), confidence=confidence):
            break
        certified = threshold
    return certified


def _candidates(win_rates: WinRates) -> NDArray[np.float64]:
    """Return thresholds to test, ascending, and one above every win rate but 1."""
    levels = np.linspace(0.0, 1.0, _CANDIDATES + 1)
    found = np.append(np.quantile(win_rates, levels, method="higher"), 1.0)
    return np.unique(found)


def _exceeds(values: NDArray[np.float64], mean: float, *, confidence: float) -> bool:
    """Return whether bets against "the true mean is at most `mean`" multiply 1 to 1 / (1 - c)."""
    n = len(values)
    if n == 0 or mean >= 1.0:
        return False
    goal = math.log(1.0 / (1.0 - confidence))
    before = np.arange(1, n + 1)
    # Mean and variance of the values before each one, drawn towards 1/2 and 1/4 at the start.
    means = (0.5 + np.cumsum(values)) / (before + 1)
    variances = (0.25 + np.cumsum(np.square(values - means))) / (before + 1)
    known = np.concatenate([[0.25], variances[:-1]])
    bets = np.minimum(np.sqrt(2.0 * goal / (n * known)), 0.75 / max(mean, 1e-12))
    wealth = np.cumsum(np.log1p(bets * (values - mean)))
    return bool(wealth.max() >= goal)


def _target(
    threshold: float,
    win_rates: WinRates,
    weak: NDArray[np.float64],
    strong: NDArray[np.float64],
    order: NDArray[np.intp],
    confidence: float,
) -> QualityTarget:
    chosen = win_rates >= threshold
    routed = np.where(chosen, strong, weak)
    best = float(strong.mean())
    # The loss against the strong model lies in [-1, 1].
    change = lower_bound(((routed - strong)[order] + 1.0) / 2.0, confidence=confidence) * 2.0 - 1.0
    share = float(chosen.mean())
    return QualityTarget(
        threshold=threshold,
        strong_share=share,
        interval=share_interval(win_rates, threshold=threshold, confidence=confidence),
        quality=float(routed.mean()) / best if best > 0.0 else math.nan,
        quality_low=max(0.0, 1.0 + change / best) if best > 0.0 else math.nan,
        n_prompts=len(win_rates),
        warning=""
        if share < 1.0
        else (
            f"No threshold could be shown to keep the floor on {len(win_rates)} prompts, so all "
            "calls go to the strong model. Lower the floor, or calibrate on more outcomes."
        ),
    )


def _qualities(values: ArrayLike, *, n: int, name: str) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.shape != (n,):
        raise ConfigurationError(
            f"`{name}` must be {n} numbers in [0, 1], one per prompt, got shape {array.shape}."
        )
    bad = bad_number(array, low=0.0, high=1.0)
    if bad:
        raise ConfigurationError(f"`{name}` must lie in [0, 1], got {bad}.")
    return array
