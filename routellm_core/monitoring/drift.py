"""Tell whether prompts still look like those that the router was calibrated on."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from routellm_core._numbers import check_fraction
from routellm_core.calibration.beta import beta_binomial_interval
from routellm_core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from routellm_core.types import Calibration, WinRates

__all__ = ["Baseline", "Drift", "DriftLimits"]

_BINS = 10
_EXACT = 10**9
"""Stands for the number of prompts behind a calibration that is a known distribution."""


@dataclass(frozen=True, slots=True)
class DriftLimits:
    """What counts as drift.

    Parameters
    ----------
    psi
        Population stability indices above this do; 0.2 is the usual rule.
    ks_p
        So do Kolmogorov-Smirnov tests with a p-value below this; small, because a monitor tests
        again and again.
    share_confidence
        And strong shares outside the interval that holds this part of all windows.
    """

    psi: float = 0.2
    ks_p: float = 1e-4
    share_confidence: float = 0.99

    def __post_init__(self) -> None:
        if not self.psi > 0.0:
            raise ConfigurationError(f"`psi` must be above 0, got {self.psi!r}.")
        for name in ("ks_p", "share_confidence"):
            check_fraction(getattr(self, name), name=name, within="(0, 1)")


@dataclass(frozen=True, slots=True)
class Drift:
    """How far a window of win rates lies from the baseline.

    Parameters
    ----------
    n_calls
        Size of the window.
    psi
        Population stability index over the baseline's deciles.
    ks, ks_p
        The Kolmogorov-Smirnov distance, in [0, 1], and how likely chance makes it as large.
    strong_share
        Share of win rates at or above the threshold; None without a threshold.
    share_band
        Where that share is expected; None without a threshold.
    signs
        Which of "psi", "ks" and "strong_share" passed their limits.
    """

    n_calls: int
    psi: float
    ks: float
    ks_p: float
    strong_share: float | None
    share_band: tuple[float, float] | None
    signs: tuple[str, ...]


class Baseline:
    """The win rates that are expected, to hold windows of win rates against.

    Parameters
    ----------
    win_rates
        Shape (n,), ascending: quantiles at evenly spaced levels, or the win rates themselves.
    n_prompts
        How many prompts they stand for; 0 for a distribution that is known exactly.

    Raises
    ------
    ConfigurationError
        If there are fewer than two.
    """

    def __init__(self, win_rates: WinRates, *, n_prompts: int) -> None:
        if len(win_rates) < 2:
            raise ConfigurationError(
                f"A baseline needs at least 2 win rates, got {len(win_rates)}."
            )
        self.n_prompts = n_prompts or _EXACT
        levels = np.linspace(0.0, 1.0, len(win_rates))
        # Of equal quantiles the last level counts: the share at or below a value.
        self._values, first = np.unique(win_rates, return_index=True)
        self._levels = np.append(levels[first[1:] - 1], 1.0)
        self._below = levels[first]
        self._edges = np.unique(np.quantile(win_rates, np.linspace(0.0, 1.0, _BINS + 1))[1:-1])

    @classmethod
    def of(cls, calibration: Calibration) -> Baseline:
        """Return the baseline that a router's calibration is."""
        return cls(calibration.quantiles, n_prompts=calibration.n_prompts)

    def share_at_least(self, threshold: float) -> float:
        """Return the expected share of win rates at or above a threshold."""
        return 1.0 - float(self._expected(np.array([threshold]), at=self._below)[0])

    def drift(
        self,
        win_rates: WinRates,
        *,
        threshold: float | None = None,
        limits: DriftLimits | None = None,
    ) -> Drift:
        """Hold a window against the baseline.

        Parameters
        ----------
        win_rates
            Shape (n,), n >= 1, in any order.
        threshold
            From which win rates went to the strong model.
        limits
            What counts as drift.

        References
        ----------
        The index and its limit of 0.2: credit scoring's folklore, as Yurdakul, "Statistical
        Properties of Population Stability Index", 2018, examines it.
        """
        limits = limits or DriftLimits()
        n = len(win_rates)
        if n < 1:
            raise ConfigurationError("A window needs at least 1 win rate, got none.")
        psi = self._psi(win_rates)
        ks = self._ks(win_rates)
        p = _ks_p(ks, n, self.n_prompts)
        share, band = None, None
        if threshold is not None:
            share = float((win_rates >= threshold).mean())
            band = self._band(threshold, n, limits.share_confidence)
        signs = {
            "psi": psi > limits.psi,
            "ks": p < limits.ks_p,
            "strong_share": share is not None
            and band is not None
            and not band[0] <= share <= band[1],
        }
        raised = tuple(name for name, is_raised in signs.items() if is_raised)
        return Drift(n, psi, ks, p, share, band, raised)

    def _psi(self, win_rates: WinRates) -> float:
        found = np.bincount(
            np.searchsorted(self._edges, win_rates, side="left"), minlength=len(self._edges) + 1
        )
        expected = np.diff(
            np.concatenate([[0.0], self._expected(self._edges, at=self._levels), [1.0]])
        )
        # Half a call in an empty bin, so that the logarithm exists.
        found_share = np.maximum(found, 0.5) / len(win_rates)
        expected = np.maximum(expected, 0.5 / min(self.n_prompts, 10_000))
        return float(((found_share - expected) * np.log(found_share / expected)).sum())

    def _ks(self, win_rates: WinRates) -> float:
        values = np.unique(np.concatenate([win_rates, self._values]))
        ordered = np.sort(win_rates)
        # Both steps of a jump count: up to a value, and just below it.
        up_to = np.searchsorted(ordered, values, side="right") / len(win_rates)
        below = np.searchsorted(ordered, values, side="left") / len(win_rates)
        distances = np.concatenate(
            [
                up_to - self._expected(values, at=self._levels),
                below - self._expected(values, at=self._below),
            ]
        )
        return float(np.abs(distances).max())

    def _expected(self, values: WinRates, *, at: WinRates) -> WinRates:
        """Return the expected share below each value, or up to it: what `at` says where it jumps.

        Between two of the baseline's values the share rises from "up to the left one" to "below
        the right one".
        """
        last = len(self._values) - 1
        left = np.clip(np.searchsorted(self._values, values, side="right") - 1, 0, last)
        right = np.minimum(left + 1, last)
        width = np.maximum(self._values[right] - self._values[left], 1e-300)
        part = np.clip((values - self._values[left]) / width, 0.0, 1.0)
        shares = self._levels[left] + (self._below[right] - self._levels[left]) * part
        shares = np.where(values == self._values[left], at[left], shares)
        shares = np.where(values < self._values[0], 0.0, shares)
        expected: WinRates = np.where(values > self._values[last], 1.0, shares)
        return expected

    def _band(self, threshold: float, n: int, confidence: float) -> tuple[float, float]:
        k = self.share_at_least(threshold) * self.n_prompts
        low, high = beta_binomial_interval(
            n, max(k, 0.5), max(self.n_prompts - k + 1.0, 0.5), confidence=confidence
        )
        return low / n, high / n


class Window:
    """The latest win rates.

    Parameters
    ----------
    size
        How many, at least 1.
    """

    def __init__(self, size: int) -> None:
        self._win_rates: deque[float] = deque(maxlen=size)

    def __len__(self) -> int:
        return len(self._win_rates)

    @property
    def is_full(self) -> bool:
        """Whether every further win rate pushes one out."""
        return len(self._win_rates) == self._win_rates.maxlen

    def add(self, win_rate: float) -> None:
        """Take one in."""
        self._win_rates.append(win_rate)

    def win_rates(self) -> WinRates:
        """Return them, oldest first."""
        return np.array(self._win_rates, dtype=np.float64)


def _ks_p(distance: float, n: int, m: int) -> float:
    """Return the chance of a two-sample distance at least as large, asymptotically.

    References
    ----------
    Stephens, "Use of the Kolmogorov-Smirnov, Cramer-von Mises and Related Statistics Without
    Extensive Tables", 1970.
    """
    root = math.sqrt(n * m / (n + m))
    scaled = (root + 0.12 + 0.11 / root) * distance
    if scaled < 0.2:
        return 1.0
    terms: Sequence[float] = [
        (-1.0) ** (k - 1) * math.exp(-2.0 * (k * scaled) ** 2) for k in range(1, 101)
    ]
    return min(1.0, max(0.0, 2.0 * sum(terms)))
