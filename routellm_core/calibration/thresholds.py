"""From the share of calls that may go to the strong model to a threshold."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from routellm_core._numbers import bad_number, check_fraction
from routellm_core.errors import ConfigurationError

if TYPE_CHECKING:
    from routellm_core.routers.base import Router
    from routellm_core.types import WinRates

__all__ = [
    "CalibrationWarning",
    "check_share",
    "check_win_rates",
    "router_threshold",
    "threshold_advice",
    "threshold_for",
    "threshold_share",
]

_MIN_SHARE = 0.01
"""A threshold that sends no more than this share one way does nothing worth a router."""

_SHARE = 0.3
"""What advice shows as an example."""


class CalibrationWarning(UserWarning):
    """Say that a share, a cost or a quality was asked for that cannot be reached."""


def threshold_for(win_rates: WinRates, *, strong_share: float) -> float:
    """Return the threshold that sends a share of these prompts to the strong model.

    Of n prompts, the round(`strong_share` * n) with the highest win rates go to the strong model.
    Prompts with the same win rate go the same way: where others are tied with the last of these,
    either all of them go or none, whichever comes nearer to the share; at least one prompt goes.

    Parameters
    ----------
    win_rates
        Shape (n,), n >= 1, in any order.
    strong_share
        In (0, 1].

    Returns
    -------
    A threshold t: a prompt goes to the strong model when its win rate is >= t. When the share is
    so small that no prompt of the n may go, the smallest number above all of them, at most 1.

    Raises
    ------
    ConfigurationError
        If the share is outside (0, 1], or there are no win rates.

    Examples
    --------
    >>> threshold_for(np.array([0.1, 0.4, 0.2, 0.3]), strong_share=0.5)
    0.3
    >>> threshold_for(np.array([0.1, 0.1, 0.1, 0.3, 0.4]), strong_share=0.6)
    0.3
    """
    check_share(strong_share)
    n = len(win_rates)
    if n == 0:
        raise ConfigurationError("A threshold needs the win rate of at least one prompt, got none.")
    k = min(n, math.floor(strong_share * n + 0.5))
    ordered = np.sort(win_rates)
    if k == 0:
        return float(min(1.0, np.nextafter(ordered[-1], np.inf)))
    threshold = ordered[n - k]
    n_at_least = n - int(np.searchsorted(ordered, threshold, side="left"))
    n_above = n - int(np.searchsorted(ordered, threshold, side="right"))
    if n_above > 0 and k - n_above < n_at_least - k:
        threshold = ordered[n - n_above]
    return float(threshold)


def router_threshold(router: Router, *, strong_share: float) -> float:
    """Return the threshold at which a router sends a share of typical calls to the strong model.

    The share holds for prompts like those that the router's stored calibration was made of.

    Parameters
    ----------
    router
        A router with a stored calibration.
    strong_share
        In (0, 1].

    Raises
    ------
    ConfigurationError
        If the share is outside (0, 1], or the router has no calibration.
    """
    check_share(strong_share)
    calibration = router.calibration
    if calibration is None:
        raise ConfigurationError(
            f"`strong_share` needs a calibrated router, and this {router.name!r} router stores no "
            "calibration. Pass `threshold` instead."
        )
    quantiles = calibration.quantiles
    levels = np.linspace(0.0, 1.0, quantiles.size)
    threshold = float(np.interp(1.0 - strong_share, levels, quantiles))
    # The levels that share this quantile are tied win rates, which go one way.
    tied = levels[quantiles == threshold]
    if (
        tied.size > 1
        and tied[-1] < 1.0
        and strong_share - (1.0 - tied[-1]) < (1.0 - tied[0]) - strong_share
    ):
        threshold = float(np.nextafter(threshold, np.inf))
    return threshold


def threshold_share(router: Router, *, threshold: float) -> float | None:
    """Return the share of typical calls that a threshold sends to the strong model.

    None for a router without a calibration, or whose win rates are known without any prompt.
    """
    calibration = router.calibration
    if calibration is None or calibration.n_prompts == 0:
        return None
    quantiles = calibration.quantiles
    index = int(np.searchsorted(quantiles, threshold, side="left"))
    if index == 0:
        return 1.0
    if index == quantiles.size:
        return 0.0
    low, high = quantiles[index - 1 : index + 1]
    level = (index - 1 + (threshold - low) / (high - low)) / (quantiles.size - 1)
    return float(1.0 - level)


def threshold_advice(router: Router, *, threshold: float) -> str:
    """Return what is wrong with a threshold that sends nearly all calls one way; "" if nothing is.

    Thresholds of 0 and 1 are deliberate.
    """
    share = threshold_share(router, threshold=threshold)
    if share is None or threshold in (0.0, 1.0) or _MIN_SHARE < share < 1.0 - _MIN_SHARE:
        return ""
    assert router.calibration is not None  # noqa: S101 - for the type checker
    low, high = router.calibration.quantiles[[0, -1]]
    gives = (
        f"router {router.name!r} gives percentiles of its calibration prompts"
        if router.scale == "percentile"
        else f"on its calibration prompts, router {router.name!r} gives win rates from {low:.3f} "
        f"to {high:.3f}"
    )
    which, model = (share, "strong") if share > 0.5 else (1.0 - share, "weak")
    n_calls = "all" if which == 1.0 else f"about {which:.1%} of"
    better = router_threshold(router, strong_share=_SHARE)
    return (
        f"Threshold {threshold:g} sends {n_calls} calls to the {model} model: {gives}. Threshold "
        f"{better:.3f} sends {_SHARE:.0%} to the strong model, as `strong_share={_SHARE}` does."
    )


def check_win_rates(win_rates: WinRates) -> None:
    """Refuse what is not n >= 1 numbers in [0, 1].

    Raises
    ------
    ConfigurationError
        If it is not.
    """
    if win_rates.ndim != 1 or not win_rates.size:
        raise ConfigurationError(
            "Win rates must be at least one number in [0, 1], got an array of shape "
            f"{win_rates.shape}."
        )
    bad = bad_number(win_rates, low=0.0, high=1.0)
    if bad:
        raise ConfigurationError(f"Win rates must lie in [0, 1], got {bad}.")


def check_share(strong_share: float) -> None:
    """Refuse a share outside (0, 1].

    Raises
    ------
    ConfigurationError
        If it is.
    """
    check_fraction(strong_share, name="strong_share", within="(0, 1]")
