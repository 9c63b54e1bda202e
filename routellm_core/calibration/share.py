"""A threshold for a share of strong calls, and the interval in which the true share lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from routellm_core._numbers import check_fraction
from routellm_core.calibration.beta import beta_binomial_interval, beta_quantile
from routellm_core.calibration.thresholds import check_share, check_win_rates, threshold_for
from routellm_core.errors import ConfigurationError

if TYPE_CHECKING:
    from routellm_core.routers.base import Router
    from routellm_core.types import WinRates

__all__ = [
    "ShareInterval",
    "ShareTarget",
    "calibrate_share",
    "check_confidence",
    "future_share_interval",
    "router_share_interval",
    "share_interval",
]


@dataclass(frozen=True, slots=True)
class ShareInterval:
    """Where the true share of strong calls lies.

    Parameters
    ----------
    low, high
        In [0, 1].
    confidence
        How often such an interval holds the truth.
    """

    low: float
    high: float
    confidence: float


@dataclass(frozen=True, slots=True)
class ShareTarget:
    """A threshold for a share of strong calls.

    Parameters
    ----------
    threshold
        A call goes to the strong model when its win rate reaches it.
    strong_share
        What that threshold sends to the strong model, of the prompts that it was made of.
    interval
        Of the share among all calls like those.
    n_prompts
        How many prompts there were.
    warning
        Why the share is not the one that was asked for; empty when it is.
    """

    threshold: float
    strong_share: float
    interval: ShareInterval
    n_prompts: int
    warning: str = ""


def calibrate_share(
    win_rates: WinRates, *, strong_share: float, confidence: float = 0.95
) -> ShareTarget:
    """Return the threshold for a share of strong calls, with its interval.

    Parameters
    ----------
    win_rates
        Shape (n,), n >= 1, in any order: scores of prompts like those to come.
    strong_share
        In (0, 1].
    confidence
        In (0, 1).

    Raises
    ------
    ConfigurationError
        If an argument is outside its range.

    Examples
    --------
    >>> target = calibrate_share(np.linspace(0, 1, 1001), strong_share=0.3)
    >>> [round(v, 3) for v in (target.threshold, target.interval.low, target.interval.high)]
    [0.701, 0.271, 0.328]
    """
    check_win_rates(win_rates)
    threshold = threshold_for(win_rates, strong_share=strong_share)
    achieved = float((win_rates >= threshold).mean())
    return ShareTarget(
        threshold=threshold,
        strong_share=achieved,
        interval=share_interval(win_rates, threshold=threshold, confidence=confidence),
        n_prompts=len(win_rates),
        warning=_tie_warning(win_rates, threshold, asked=strong_share, achieved=achieved),
    )


def share_interval(
    win_rates: WinRates, *, threshold: float, confidence: float = 0.95
) -> ShareInterval:
    """Return where the share of strong calls lies, among all calls like these.

    It holds whatever the distribution of win rates is, for prompts drawn independently.

    Parameters
    ----------
    win_rates
        Shape (n,), in any order.
    threshold
        Fixed beforehand, or picked from these win rates by `threshold_for`.
    confidence
        In (0, 1).

    Raises
    ------
    ConfigurationError
        If an argument is outside its range.

    Notes
    -----
    With k of n win rates at or above a threshold that is one of them, and no tie there, the true
    share is Beta(k, n - k + 1): the law of an order statistic. Otherwise k is a binomial count, and
    the interval is that of Clopper and Pearson, a little wider.
    """
    check_win_rates(win_rates)
    check_confidence(confidence)
    n = len(win_rates)
    k = int((win_rates >= threshold).sum())
    tail = (1.0 - confidence) / 2.0
    continuous = int((win_rates == threshold).sum()) == 1
    low = beta_quantile(tail, k, n - k + 1) if k else 0.0
    if continuous:
        high = beta_quantile(1.0 - tail, k, n - k + 1)
    else:
        high = beta_quantile(1.0 - tail, k + 1, n - k) if k < n else 1.0
    return ShareInterval(low, high, confidence)


def router_share_interval(
    router: Router, *, strong_share: float, confidence: float = 0.95
) -> ShareInterval:
    """Return where the true share lies when a router is asked for one, by its stored calibration.

    For calls like the prompts that the calibration was made of.

    Parameters
    ----------
    router
        A calibrated router.
    strong_share
        In (0, 1].
    confidence
        In (0, 1).

    Returns
    -------
    The share itself, twice, for a router whose win rates are known without any prompt.

    Raises
    ------
    ConfigurationError
        If an argument is outside its range, or the router has no calibration.

    Examples
    --------
    >>> from routellm_core import load_router
    >>> router_share_interval(load_router("random"), strong_share=0.3).high
    0.3
    """
    check_share(strong_share)
    check_confidence(confidence)
    calibration = router.calibration
    if calibration is None:
        raise ConfigurationError(
            f"This {router.name!r} router stores no calibration. Calibrate it on your own prompts."
        )
    n = calibration.n_prompts
    if n == 0:
        return ShareInterval(strong_share, strong_share, confidence)
    k = min(n, max(1, round(strong_share * n)))
    tail = (1.0 - confidence) / 2.0
    low, high = (beta_quantile(level, k, n - k + 1) for level in (tail, 1.0 - tail))
    return ShareInterval(low, high, confidence)


def future_share_interval(
    win_rates: WinRates, *, threshold: float, n_calls: int, confidence: float = 0.95
) -> ShareInterval:
    """Return where the share of strong calls among the next calls lies.

    Wider than `share_interval`, because few calls scatter around even a known share. For
    monitoring: a live share outside its 99 % interval means that the prompts have changed.

    Parameters
    ----------
    win_rates, threshold, confidence
        As for `share_interval`.
    n_calls
        How many calls, at least 1.

    Raises
    ------
    ConfigurationError
        If an argument is outside its range.

    Notes
    -----
    With k of n at or above the threshold, the count among the next calls is beta-binomial with
    parameters k and n - k + 1.
    """
    check_win_rates(win_rates)
    check_confidence(confidence)
    if n_calls < 1:
        raise ConfigurationError(f"`n_calls` must be at least 1, got {n_calls!r}.")
    n = len(win_rates)
    k = int((win_rates >= threshold).sum())
    low, high = beta_binomial_interval(
        n_calls, max(k, 0.5), max(n - k + 1, 0.5), confidence=confidence
    )
    return ShareInterval(low / n_calls, high / n_calls, confidence)


def check_confidence(confidence: float) -> None:
    """Refuse a confidence outside (0, 1).

    Raises
    ------
    ConfigurationError
        If it is.
    """
    check_fraction(confidence, name="confidence", within="(0, 1)")


def _tie_warning(win_rates: WinRates, threshold: float, *, asked: float, achieved: float) -> str:
    """Return what ties do to a share, when they move it by more than a point."""
    if abs(achieved - asked) <= max(0.01, 1.0 / len(win_rates)):
        return ""
    tied = threshold
    if achieved > asked:
        other = float(np.nextafter(threshold, np.inf))
    else:
        other = tied = float(win_rates[win_rates < threshold].max())
    return (
        f"A strong share of {asked:.1%} cannot be reached, because "
        f"{(win_rates == tied).mean():.1%} of the win rates equal {tied:.6g}. Threshold "
        f"{threshold:.6g} sends {achieved:.1%} to the strong model, and {other:.6g} sends "
        f"{(win_rates >= other).mean():.1%}."
    )
