"""The playground's drawings, as SVG: a dial for a win rate, a histogram for many."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from routellm_core.types import WinRates

__all__ = ["STYLE", "dial", "histogram"]

_RADIUS = 80.0
_BINS = 20

STYLE = """
.dials {display: flex; flex-wrap: wrap; gap: 16px; justify-content: center}
.dial {flex: 0 1 240px; text-align: center; border: 1px solid var(--border-color-primary);
  border-radius: 12px; padding: 12px 8px 14px}
.dial svg {width: 100%; max-width: 220px; height: auto; display: block; margin: 0 auto}
.dial h3 {margin: 0; font-size: 15px; font-weight: 600}
.route {display: inline-block; border-radius: 999px; padding: 3px 14px; font-weight: 600;
  color: #fff; font-size: 14px}
.route.strong, .key.strong {background: #9d3bb5}
.route.weak, .key.weak {background: #0f766e}
.route.none {background: #6b7280}
.why {color: var(--body-text-color); opacity: .75; font-size: 13px; margin-top: 6px;
  overflow-wrap: anywhere}
.summary {font-size: 16px; margin: 4px 0 10px; text-align: center}
.key {display: inline-block; width: 11px; height: 11px; border-radius: 3px; margin: 0 4px 0 12px}
.chart svg {width: 100%; max-width: 600px; height: auto; display: block; margin: 0 auto}
.rows {width: 100%; border-collapse: collapse; font-size: 14px; margin-top: 12px}
.rows td {padding: 5px 8px !important; border: 0 !important; vertical-align: top;
  border-top: 1px solid var(--border-color-primary) !important; overflow-wrap: anywhere}
.rows td:not(:last-child) {white-space: nowrap; overflow-wrap: normal; width: 1%}
.rows, .rows tr {border: 0 !important}
.legend {white-space: nowrap}
"""


def dial(name: str, *, win_rate: float | None, threshold: float, why: str = "") -> str:
    """Return a half-circle with the win rate as its needle and the threshold as a mark.

    Parameters
    ----------
    name
        Of the router.
    win_rate
        In [0, 1]; None when there is nothing to show yet.
    threshold
        In [0, 1].
    why
        Shown below instead of the numbers.
    """
    route = "none" if win_rate is None else "strong" if win_rate >= threshold else "weak"
    needle = "" if win_rate is None else _needle(win_rate)
    shown = "–" if win_rate is None else f"{win_rate:.3f}"
    below = why or ("" if win_rate is None else _comparison(win_rate, threshold))
    label = "no prompt yet" if win_rate is None else route
    return f"""<div class="dial"><h3>{escape(name)}</h3>
<svg viewBox="0 0 220 128" role="img" aria-label="win rate {shown}, threshold {threshold:.3f}">
<path d="{_arc(0.0, threshold)}" fill="none" stroke="#0f766e" stroke-width="16" opacity=".8"/>
<path d="{_arc(threshold, 1.0)}" fill="none" stroke="#9d3bb5" stroke-width="16" opacity=".8"/>
{_mark(threshold)}{needle}
<text x="110" y="88" text-anchor="middle" font-size="26" font-weight="700"
 fill="currentColor">{shown}</text>
<text x="24" y="126" font-size="11" fill="currentColor">weak</text>
<text x="196" y="126" font-size="11" text-anchor="end" fill="currentColor">strong</text>
</svg><span class="route {route}">{label}</span><div class="why">{escape(below)}</div></div>"""


def histogram(win_rates: WinRates, *, threshold: float) -> str:
    """Return the counts of n win rates in 20 bins, with the threshold as a line."""
    counts, _ = np.histogram(win_rates, bins=_BINS, range=(0.0, 1.0))
    tallest = max(1, int(counts.max()))
    width = 440.0 / _BINS
    bars = []
    for index, count in enumerate(counts.tolist()):
        height = 170.0 * count / tallest
        strong = (index + 0.5) / _BINS >= threshold
        bars.append(
            f'<rect x="{20 + index * width + 1:.1f}" y="{200 - height:.1f}" '
            f'width="{width - 2:.1f}" height="{height:.1f}" rx="2" '
            f'fill="{"#9d3bb5" if strong else "#0f766e"}"><title>{count}</title></rect>'
        )
    at = 20 + 440.0 * threshold
    ticks = "".join(
        f'<text x="{20 + 440 * tick / 4:.0f}" y="222" font-size="14" text-anchor="middle" '
        f'fill="currentColor">{tick / 4:g}</text>'
        for tick in range(5)
    )
    line = (
        f'<line x1="{at:.1f}" x2="{at:.1f}" y1="18" y2="204" stroke="currentColor" '
        'stroke-width="2" stroke-dasharray="6 4"/>'
    )
    return (
        '<div class="chart"><svg viewBox="0 0 480 230" role="img" '
        f'aria-label="Histogram of {len(win_rates)} win rates">{"".join(bars)}{line}'
        f'<line x1="20" x2="460" y1="201" y2="201" stroke="currentColor" opacity=".4"/>{ticks}'
        "</svg></div>"
    )


def _point(rate: float, radius: float) -> tuple[float, float]:
    angle = math.pi * (1.0 - rate)
    return 110.0 + radius * math.cos(angle), 110.0 - radius * math.sin(angle)


def _arc(start: float, end: float) -> str:
    (x1, y1), (x2, y2) = _point(start, _RADIUS), _point(end, _RADIUS)
    return f"M {x1:.2f} {y1:.2f} A {_RADIUS} {_RADIUS} 0 0 1 {x2:.2f} {y2:.2f}"


def _mark(threshold: float) -> str:
    (x1, y1), (x2, y2) = _point(threshold, _RADIUS - 13), _point(threshold, _RADIUS + 13)
    return (
        f'<line x1="{x1:.2f}" y1="{y1:.2f}" x2="{x2:.2f}" y2="{y2:.2f}" '
        'stroke="currentColor" stroke-width="3"/>'
    )


def _needle(rate: float) -> str:
    x, y = _point(rate, _RADIUS)
    return f'<circle cx="{x:.2f}" cy="{y:.2f}" r="9" fill="currentColor" stroke="#fff"/>'


def _comparison(win_rate: float, threshold: float) -> str:
    sign = "≥" if win_rate >= threshold else "<"
    return f"{win_rate:.3f} {sign} threshold {threshold:.3f}"
