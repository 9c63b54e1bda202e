"""A threshold for a mean cost of a call."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from routellm_core._numbers import bad_number
from routellm_core.calibration.share import ShareInterval, check_confidence, share_interval
from routellm_core.calibration.thresholds import check_win_rates
from routellm_core.errors import ConfigurationError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from routellm_core.types import WinRates

__all__ = ["CostTarget", "calibrate_cost", "check_max_cost"]

_CHUNK = 2**21


@dataclass(frozen=True, slots=True)
class CostTarget:
    """A threshold for a mean cost of a call.

    Parameters
    ----------
    threshold
        A call goes to the strong model when its win rate reaches it.
    strong_share
        What that threshold sends to the strong model, of the prompts that it was made of.
    interval
        Of that share among all calls like those.
    cost, cost_low, cost_high
        Mean cost of a call at that threshold, with the interval of the same confidence.
    n_prompts
        How many prompts there were.
    warning
        Why the cost is out of reach; empty when it is not.
    """

    threshold: float
    strong_share: float
    interval: ShareInterval
    cost: float
    cost_low: float
    cost_high: float
    n_prompts: int
    warning: str = ""


def calibrate_cost(
    win_rates: WinRates,
    *,
    weak_cost: ArrayLike,
    strong_cost: ArrayLike,
    max_cost: float,
    router_cost: float = 0.0,
    confidence: float = 0.95,
    rounds: int = 2000,
    seed: int = 0,
) -> CostTarget:
    """Return the lowest threshold whose mean cost of a call stays within a target.

    Parameters
    ----------
    win_rates
        Shape (n,), n >= 1: scores of prompts like those to come.
    weak_cost, strong_cost
        What each call costs if it goes to that model, a scalar or shape (n,): long prompts cost
        more, and may be routed otherwise than short ones. Any currency.
    max_cost
        Mean cost of a call, router included, in that currency. A monthly budget is this times the
        calls of a month.
    router_cost
        What asking the router adds to every call.
    confidence
        In (0, 1).
    rounds, seed
        Of the bootstrap that gives the costs' interval.

    Returns
    -------
    All-weak with a warning when even that costs more; all-strong when that costs no more.

    Raises
    ------
    ConfigurationError
        If an argument is outside its range.

    Notes
    -----
    The share's interval is exact for any distribution. The cost's is a percentile bootstrap at the
    threshold found: distribution-free too, and exact only for many prompts.

    Examples
    --------
    >>> target = calibrate_cost(
    ...     np.array([0.1, 0.4, 0.2, 0.3]), weak_cost=1.0, strong_cost=9.0, max_cost=5.0)
    >>> target.threshold, target.cost
    (0.3, 5.0)
    """
    check_win_rates(win_rates)
    check_confidence(confidence)
    check_max_cost(max_cost)
    n = len(win_rates)
    weak = _costs(weak_cost, n=n, name="weak_cost") + router_cost
    strong = _costs(strong_cost, n=n, name="strong_cost") + router_cost
    threshold = _lowest_threshold(win_rates, weak, strong - weak, max_cost)
    routed = np.where(win_rates >= threshold, strong, weak)
    low, high = _mean_interval(routed, confidence=confidence, rounds=rounds, seed=seed)
    cost = float(routed.mean())
    warning = ""
    if cost > max_cost * (1.0 + 1e-9):
        warning = (
            f"A mean cost of {max_cost:.6g} a call is out of reach: all-weak costs {cost:.6g}."
        )
    return CostTarget(
        threshold=threshold,
        strong_share=float((win_rates >= threshold).mean()),
        interval=share_interval(win_rates, threshold=threshold, confidence=confidence),
        cost=cost,
        cost_low=low,
        cost_high=high,
        n_prompts=n,
        warning=warning,
    )


def check_max_cost(max_cost: float) -> None:
    """Refuse a cost that is not a positive number.

    Raises
    ------
    ConfigurationError
        If it is not.
    """
    if not (isinstance(max_cost, (int, float)) and 0.0 < max_cost < math.inf):
        raise ConfigurationError(f"`max_cost` must be a positive number, got {max_cost!r}.")


def _lowest_threshold(
    win_rates: WinRates,
    weak: NDArray[np.float64],
    extra: NDArray[np.float64],
    max_cost: float,
) -> float:
    """Return the lowest win rate from which all calls can go to the strong model."""
    order = np.argsort(-win_rates, kind="stable")
    ordered = win_rates[order]
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    costs = weak.mean() + np.cumsum(extra[order])[ends] / len(win_rates)
    affordable = np.flatnonzero(costs <= max_cost * (1.0 + 1e-12))
    if not affordable.size:
        return float(min(1.0, np.nextafter(ordered[0], np.inf)))
    return float(ordered[ends[affordable[-1]]])


def _costs(values: ArrayLike, *, n: int, name: str) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.shape not in ((), (n,)):
        raise ConfigurationError(
            f"`{name}` must be one number of at least 0 or {n} of them, got shape {array.shape}."
        )
    bad = bad_number(array, low=0.0)
    if bad:
        raise ConfigurationError(f"`{name}` must be finite and at least 0, got {bad}.")
    return np.broadcast_to(array, (n,))


def _mean_interval(
    values: NDArray[np.float64], *, confidence: float, rounds: int, seed: int
) -> tuple[float, float]:
    rng = np.random.default_rng(seed)
    n = len(values)
    size = max(1, _CHUNK // n)
    means = [
        values[rng.integers(0, n, size=(min(size, rounds - start), n))].mean(axis=1)
        for start in range(0, rounds, size)
    ]
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(np.concatenate(means), [tail, 1.0 - tail])
    return float(low), float(high)
