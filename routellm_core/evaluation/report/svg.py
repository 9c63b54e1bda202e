"""Charts as SVG text: axes in data coordinates, marks, labels.

A chart is 360 units wide, which is a phone's width, so that its text is as large there as on a
wide screen. Colours are CSS variables of the page.
"""

from __future__ import annotations

from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["COLOURS", "Chart", "colour", "line_key", "ticks"]

COLOURS = 6
"""How many series colours the page has; further series begin again, dashed."""

_WIDTH = 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 20, 12, 42
_DASHES = ("", "5 3", "2 2")


def colour(index: int) -> str:
    """Return the CSS colour of a series."""
    return f"var(--series-{index % COLOURS})"


def line_key(index: int) -> str:
    """Return a short line as a chart draws a series', for a legend."""
    return (
        f'<svg class="key" viewBox="0 0 26 6" aria-hidden="true"><path d="M0 3 h26" '
        f'stroke="{colour(index)}" stroke-width="3" stroke-dasharray="{_dash(index)}"/></svg>'
    )


def _dash(index: int) -> str:
    return _DASHES[index // COLOURS % len(_DASHES)]


def ticks(low: float, high: float, *, n: int = 5) -> list[float]:
    """Return round numbers that cover a range, about n of them.

    Examples
    --------
    >>> ticks(0.63, 0.81, n=4)
    [0.65, 0.7, 0.75, 0.8]
    """
    if not high > low:
        return [low]
    rough = (high - low) / n
    power = 10.0 ** np.floor(np.log10(rough))
    step = next(power * m for m in (1.0, 2.0, 2.5, 5.0, 10.0) if power * m >= rough * 0.999)
    first, last = np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9)
    return [float(round(k * step, 12)) + 0.0 for k in np.arange(first, last + 1)]


class Chart:
    """A chart to which marks are added, in data coordinates.

    Parameters
    ----------
    x, y
        The ranges that the axes show.
    height
        In units of which the width has 360.
    title
        What the figure shows, for those who cannot see it.
    """

    def __init__(
        self,
        x: tuple[float, float],
        y: tuple[float, float],
        *,
        title: str,
        height: int = 270,
    ) -> None:
        self._x, self._y, self._height = x, y, height
        self._title = title
        self._marks: list[str] = []

    def axes(
        self,
        *,
        x_label: str,
        y_label: str,
        percent_x: bool = False,
        percent_y: bool = False,
    ) -> None:
        """Draw grid, tick labels and axis labels."""
        bottom, right = self._height - _BOTTOM, _WIDTH - _RIGHT
        x_ticks, y_ticks = ticks(*self._x), ticks(*self._y)
        for value in y_ticks:
            y = self._py(value)
            self._marks.append(
                f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
            )
            self._text(_LEFT - 6, y + 4, _label(value, y_ticks, percent_y), anchor="end")
        for value in x_ticks:
            x = self._px(value)
            self._marks.append(
                f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{bottom}"/>'
            )
            self._text(x, bottom + 15, _label(value, x_ticks, percent_x), anchor="middle")
        middle = (_LEFT + _WIDTH - _RIGHT) / 2
        self._text(middle, self._height - 6, x_label, anchor="middle", css="axis")
        centre = (_TOP + bottom) / 2
        self._marks.append(
            f'<text class="axis" text-anchor="middle" transform="translate(10 {centre:.1f}) '
            f'rotate(-90)">{escape(y_label)}</text>'
        )

    def line(
        self, x: Sequence[float], y: Sequence[float], *, series: int, dashed: bool = False
    ) -> None:
        """Draw a line of a series' colour and, unless `dashed` says so, of its dashes."""
        points = " ".join(f"{self._px(a):.1f},{self._py(b):.1f}" for a, b in zip(x, y, strict=True))
        dash = _DASHES[1] if dashed else _dash(series)
        self._marks.append(
            f'<polyline points="{points}" fill="none" stroke="{colour(series)}" '
            f'stroke-width="2" stroke-linejoin="round" stroke-dasharray="{dash}"/>'
        )

    def reference(self, x: Sequence[float], y: Sequence[float]) -> None:
        """Draw a thin grey dashed line to compare with."""
        points = " ".join(f"{self._px(a):.1f},{self._py(b):.1f}" for a, b in zip(x, y, strict=True))
        self._marks.append(f'<polyline class="reference" points="{points}"/>')

    def point(self, x: float, y: float, *, css: str, note: str = "", anchor: str = "start") -> None:
        """Draw a dot, with a note beside it."""
        a, b = self._px(x), self._py(y)
        self._marks.append(f'<circle class="{css}" cx="{a:.1f}" cy="{b:.1f}" r="4"/>')
        if note:
            shift = 7 if anchor == "start" else -7
            self._text(a + shift, b + 4, note, anchor=anchor, css="note")

    def dots(
        self, x: Sequence[float], y: Sequence[float], sizes: Sequence[float], *, series: int
    ) -> None:
        """Draw dots of given radii."""
        for a, b, r in zip(x, y, sizes, strict=True):
            self._marks.append(
                f'<circle cx="{self._px(a):.1f}" cy="{self._py(b):.1f}" r="{r:.1f}" '
                f'fill="{colour(series)}" fill-opacity="0.75"/>'
            )

    def interval(self, x: float, low: float, high: float, *, series: int) -> None:
        """Draw a thin upright line between two values."""
        a = self._px(x)
        self._marks.append(
            f'<line x1="{a:.1f}" x2="{a:.1f}" y1="{self._py(high):.1f}" y2="{self._py(low):.1f}" '
            f'stroke="{colour(series)}" stroke-opacity="0.35"/>'
        )

    def bars(self, edges: Sequence[float], heights: Sequence[float], *, series: int) -> None:
        """Draw adjoining bars between edges, from zero up."""
        base = self._py(max(0.0, self._y[0]))
        for left, right, height in zip(edges[:-1], edges[1:], heights, strict=True):
            x, top = self._px(left), self._py(height)
            self._marks.append(
                f'<rect x="{x + 0.5:.1f}" y="{top:.1f}" '
                f'width="{max(0.5, self._px(right) - x - 1):.1f}" '
                f'height="{max(0.0, base - top):.1f}" fill="{colour(series)}"/>'
            )

    def render(self) -> str:
        """Return the SVG element."""
        title = escape(self._title)
        return (
            f'<svg viewBox="0 0 {_WIDTH} {self._height}" role="img" aria-label="{title}">'
            f"<title>{title}</title>{''.join(self._marks)}</svg>"
        )

    def _px(self, value: float) -> float:
        low, high = self._x
        return _LEFT + (value - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT)

    def _py(self, value: float) -> float:
        low, high = self._y
        return (
            self._height - _BOTTOM - (value - low) / (high - low) * (self._height - _TOP - _BOTTOM)
        )

    def _text(self, x: float, y: float, text: str, *, anchor: str, css: str = "tick") -> None:
        self._marks.append(
            f'<text class="{css}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">'
            f"{escape(text)}</text>"
        )


def _label(value: float, others: Sequence[float], percent: bool) -> str:
    """Return a tick's number, with as many digits as tell it from its neighbours."""
    step = min((b - a for a, b in pairwise(others)), default=1.0)
    scaled, step = (value * 100.0, step * 100.0) if percent else (value, step)
    digits = max(0, -int(np.floor(np.log10(step) + 1e-9)))
    if abs(step * 10.0**digits - round(step * 10.0**digits)) > 1e-6:
        digits += 1
    if digits > 4:
        return f"{scaled:.3g}"
    return f"{scaled:,.{digits}f}" + (" %" if percent else "")
