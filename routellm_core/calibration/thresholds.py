"""From the share of calls that may go to the strong model to a threshold."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from routellm_core.errors import ConfigurationError

if TYPE_CHECKING:
    from routellm_core.routers.base import Router
    from routellm_core.types import WinRates

__all__ = [
    "CalibrationWarning",
    "check_share",
    "check_win_rates",
    "router_threshold",
    "threshold_for",
]


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


def check_win_rates(win_rates: WinRates) -> None:
    """Refuse what is not n >= 1 numbers in [0, 1].

    Raises
    ------
    ConfigurationError
        If it is not.
    """
    # Written so that NaN fails it.
    if (
        win_rates.ndim != 1
        or not win_rates.size
        or not (win_rates.min() >= 0.0 and win_rates.max() <= 1.0)
    ):
        raise ConfigurationError(
            "Win rates must be at least one number in [0, 1], got an array of shape "
            f"{win_rates.shape}."
        )


def check_share(strong_share: float) -> None:
    """Refuse a share outside (0, 1].

    Raises
    ------
    ConfigurationError
        If it is.
    """
    if not (isinstance(strong_share, (int, float)) and 0.0 < strong_share <= 1.0):
        raise ConfigurationError(f"`strong_share` must lie in (0, 1], got {strong_share!r}.")
