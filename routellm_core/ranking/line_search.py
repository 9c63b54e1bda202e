"""The line search of Moré and Thuente, one step at a time.

References
----------
J. J. Moré, D. J. Thuente, "Line search algorithms with guaranteed sufficient decrease", ACM
Transactions on Mathematical Software 20 (1994), 286-307. Section numbers below are the paper's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["CURVATURE", "DECREASE", "LineSearch", "Trial"]

DECREASE = 1e-3
"""The share of the first-order decrease that a step must bring."""

CURVATURE = 0.9
"""The share of the first slope, in size, that a step may leave."""

_MAX_STEP = 1e10
_RELATIVE_WIDTH = 0.1


class Trial(NamedTuple):
    """A step along the direction, the function there, and its slope there."""

    step: float
    value: float
    slope: float


@dataclass(slots=True)
class LineSearch:
    """Find a step that decreases the function enough and flattens it enough.

    Parameters
    ----------
    start
        The trial of step 0, with a slope below 0.
    step
        The first step to try.
    """

    start: Trial
    step: float
    _low: Trial = field(init=False)
    _high: Trial = field(init=False)
    _bracketed: bool = field(init=False, default=False)
    _first_stage: bool = field(init=False, default=True)
    _width: float = field(init=False, default=_MAX_STEP)
    _width_before: float = field(init=False, default=2.0 * _MAX_STEP)
    _smallest: float = field(init=False, default=0.0)
    _largest: float = field(init=False)

    def __post_init__(self) -> None:
        self._low = self._high = self.start
        self._largest = 5.0 * self.step

    def advance(self, value: float, slope: float) -> bool:
        """Take the function and its slope at `step`; say whether to stop, or set the next `step`.

        The search also stops where rounding leaves nothing to gain.
        """
        trial = Trial(self.step, value, slope)
        line = DECREASE * self.start.slope
        bound = self.start.value + trial.step * line
        if self._first_stage and value <= bound and slope >= 0.0:
            self._first_stage = False
        if self._is_over(trial, bound=bound, line=line):
            return True
        if self._first_stage and bound < value <= self._low.value:
            # Section 3: until the first stage is over, search the function less its bound's line.
            low, high, trial = (
                Trial(t.step, t.value - t.step * line, t.slope - line)
                for t in (self._low, self._high, trial)
            )
            low, high, step = self._next(low, high, trial)
            self._low, self._high = (
                Trial(t.step, t.value + t.step * line, t.slope + line) for t in (low, high)
            )
        else:
            self._low, self._high, step = self._next(self._low, self._high, trial)
        self.step = self._safe(step, trial.step)
        return False

    def _is_over(self, trial: Trial, *, bound: float, line: float) -> bool:
        if trial.value <= bound and abs(trial.slope) <= CURVATURE * -self.start.slope:
            return True
        if trial.step >= _MAX_STEP and trial.value <= bound and trial.slope <= line:
            return True
        return self._bracketed and self._is_narrow(trial.step)

    def _is_narrow(self, step: float) -> bool:
        return (
            step <= self._smallest
            or step >= self._largest
            or self._largest - self._smallest <= _RELATIVE_WIDTH * self._largest
        )

    def _next(self, low: Trial, high: Trial, trial: Trial) -> tuple[Trial, Trial, float]:
        """Return the new ends of the interval and the next step: section 4."""
        opposite = trial.slope * math.copysign(1.0, low.slope) < 0.0
        if trial.value > low.value:
            step = _between(low, trial)
            self._bracketed = True
        elif opposite:
            step = _past_the_minimum(low, trial)
            self._bracketed = True
        elif abs(trial.slope) < abs(low.slope):
            step = self._extrapolated(low, high, trial)
        elif self._bracketed:
            step = _cubic(high, trial)
        else:
            step = self._largest if trial.step > low.step else self._smallest
        if trial.value > low.value:
            return low, trial, step
        return trial, (low if opposite else high), step

    def _extrapolated(self, low: Trial, high: Trial, trial: Trial) -> float:
        cubic = _cubic_beyond(low, trial)
        if cubic is None:
            cubic = self._largest if trial.step > low.step else self._smallest
        secant = _secant(low, trial)
        cubic_is_nearer = abs(cubic - trial.step) < abs(secant - trial.step)
        if not self._bracketed:
            step = secant if cubic_is_nearer else cubic
            return min(max(step, self._smallest), self._largest)
        step = cubic if cubic_is_nearer else secant
        limit = trial.step + 0.66 * (high.step - trial.step)
        return min(limit, step) if trial.step > low.step else max(limit, step)

    def _safe(self, step: float, tried: float) -> float:
        low, high = self._low.step, self._high.step
        if self._bracketed:
            if abs(high - low) >= 0.66 * self._width_before:
                step = low + 0.5 * (high - low)
            self._width_before, self._width = self._width, abs(high - low)
            self._smallest, self._largest = min(low, high), max(low, high)
        else:
            self._smallest = step + 1.1 * (step - low)
            self._largest = step + 4.0 * (step - low)
        step = min(max(step, 0.0), _MAX_STEP)
        if self._bracketed and self._is_narrow(step):
            return low
        return step if step != tried else low


def _cubic_root(low: Trial, trial: Trial) -> tuple[float, float]:
    """Return theta and the signed gamma of the cubic through two trials."""
    theta = 3.0 * (low.value - trial.value) / (trial.step - low.step) + low.slope + trial.slope
    scale = max(abs(theta), abs(low.slope), abs(trial.slope))
    inside = (theta / scale) ** 2 - (low.slope / scale) * (trial.slope / scale)
    return theta, scale * math.sqrt(max(0.0, inside))


def _secant(low: Trial, trial: Trial) -> float:
    share = trial.slope / (trial.slope - low.slope)
    return trial.step + share * (low.step - trial.step)


def _between(low: Trial, trial: Trial) -> float:
    """Return the step when the trial is higher: the minimum lies between."""
    theta, gamma = _cubic_root(low, trial)
    if trial.step < low.step:
        gamma = -gamma
    share = (gamma - low.slope + theta) / (gamma - low.slope + gamma + trial.slope)
    width = trial.step - low.step
    cubic = low.step + share * width
    chord = (low.value - trial.value) / width + low.slope
    quadratic = low.step + low.slope / chord / 2.0 * width
    if abs(cubic - low.step) < abs(quadratic - low.step):
        return cubic
    return cubic + (quadratic - cubic) / 2.0


def _cubic(other: Trial, trial: Trial) -> float:
    theta, gamma = _cubic_root(other, trial)
    if trial.step > other.step:
        gamma = -gamma
    share = (gamma - trial.slope + theta) / (gamma - trial.slope + gamma + other.slope)
    return trial.step + share * (other.step - trial.step)


def _past_the_minimum(low: Trial, trial: Trial) -> float:
    """Return the step when the slope changed its sign: the minimum was passed."""
    cubic, secant = _cubic(low, trial), _secant(low, trial)
    return cubic if abs(cubic - trial.step) > abs(secant - trial.step) else secant


def _cubic_beyond(low: Trial, trial: Trial) -> float | None:
    """Return the cubic's minimum beyond the trial, or None when it has none there."""
    theta, gamma = _cubic_root(low, trial)
    if trial.step > low.step:
        gamma = -gamma
    share = (gamma - trial.slope + theta) / (gamma + (low.slope - trial.slope) + gamma)
    if share < 0.0 and gamma != 0.0:
        return trial.step + share * (low.step - trial.step)
    return None
