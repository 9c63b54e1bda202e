"""The figures of the report."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np

from routellm_core.evaluation.report.svg import Chart

if TYPE_CHECKING:
    from collections.abc import Sequence

    from routellm_core.evaluation.figures import Slice
    from routellm_core.evaluation.results import BenchmarkResults, RouterResults

__all__ = ["cost_chart", "domain_cell", "histogram_chart", "reliability_chart", "share_chart"]

_CELL_WIDTH, _CELL_HEIGHT, _CELL_PAD = 280, 22, 8


def share_chart(benchmark: BenchmarkResults) -> str:
    """Return quality over the share of strong calls, all routers in one figure."""
    weak, strong, oracle = (
        _baseline(benchmark, name) for name in ("all weak", "all strong", "oracle")
    )
    chart = Chart(
        (0.0, 1.0),
        _range([weak, strong, oracle, *_qualities(benchmark)]),
        title=f"Quality over the share of strong calls, {benchmark.name}",
    )
    chart.axes(
        x_label="share of calls to the strong model",
        y_label=_quality_label(benchmark),
        percent_x=True,
        percent_y=_in_percent(benchmark),
    )
    chart.reference([0.0, 1.0], [weak, strong])
    for index, router in enumerate(benchmark.routers):
        curve = router.measurement.curve
        chart.line(curve.shares, curve.quality, series=index)
    oracle_share = next(b.strong_share for b in benchmark.baselines if b.name == "oracle")
    near_right = (oracle_share or 0.0) > 0.7
    chart.point(
        oracle_share or 0.0,
        oracle,
        css="oracle",
        note="oracle",
        anchor="end" if near_right else "start",
    )
    chart.point(0.0, weak, css="anchor")
    chart.point(1.0, strong, css="anchor")
    return chart.render()


def cost_chart(benchmark: BenchmarkResults) -> str | None:
    """Return quality over dollars per 1,000 calls, or None where costs are not known."""
    curves = [router.measurement.curve for router in benchmark.routers]
    costs = [np.array(curve.cost) * 1000.0 for curve in curves if curve.cost is not None]
    if not costs:
        return None
    low, high = min(float(c.min()) for c in costs), max(float(c.max()) for c in costs)
    if not high > low:
        return None
    chart = Chart(
        (max(0.0, low - 0.05 * (high - low)), high),
        _range(_qualities(benchmark)),
        title=f"Quality over cost, {benchmark.name}",
    )
    chart.axes(
        x_label="US dollars per 1,000 calls",
        y_label=_quality_label(benchmark),
        percent_y=_in_percent(benchmark),
    )
    first = curves[0]
    chart.reference([costs[0][0], costs[0][-1]], [first.quality[0], first.quality[-1]])
    for index, (curve, cost) in enumerate(zip(curves, costs, strict=True)):
        chart.line(cost.tolist(), curve.quality, series=index)
    return chart.render()


def histogram_chart(router: RouterResults, *, series: int) -> str:
    """Return how many prompts have which win rate."""
    histogram = router.measurement.histogram
    counts = histogram.counts
    share = np.array(counts) / sum(counts)
    margin = 0.03 * (histogram.high - histogram.low)
    chart = Chart(
        (max(0.0, histogram.low - margin), min(1.0, histogram.high + margin)),
        (0.0, float(share.max()) * 1.08),
        title=f"Win rates of {router.label}",
        height=260,
    )
    chart.axes(x_label="win rate", y_label="share of prompts", percent_y=True)
    edges = np.linspace(histogram.low, histogram.high, len(counts) + 1)
    chart.bars(edges.tolist(), share.tolist(), series=series)
    return chart.render()


def reliability_chart(router: RouterResults, *, series: int) -> str:
    """Return predicted against observed win rates, before and after calibration.

    A dot's area is its bin's number of prompts; filled ones are after calibration.
    """
    chart = Chart(
        (0.0, 1.0), (0.0, 1.0), title=f"Reliability of {router.label}'s win rates", height=260
    )
    chart.axes(x_label="predicted win rate", y_label="observed win rate")
    chart.reference([0.0, 1.0], [0.0, 1.0])
    raw, mapped = router.measurement.reliability_raw, router.measurement.reliability_calibrated
    chart.line(raw.predicted, raw.observed, series=series, dashed=True)
    total = sum(mapped.counts)
    sizes = [2.5 + 9.0 * float(np.sqrt(count / total)) for count in mapped.counts]
    chart.dots(mapped.predicted, mapped.observed, sizes, series=series)
    return chart.render()


def domain_cell(row: Slice, *, low: float, high: float, percent: bool) -> str:
    """Return one domain: weak, routed and strong quality on a line, and its share of calls."""

    def place(value: float) -> float:
        return _CELL_PAD + (value - low) / (high - low) * (_CELL_WIDTH - 2 * _CELL_PAD)

    middle = _CELL_HEIGHT / 2
    weak, strong, routed = place(row.weak), place(row.strong), place(row.quality)
    numbers = ", ".join(
        f"{name} {_number(value, percent)}"
        for name, value in (("weak", row.weak), ("routed", row.quality), ("strong", row.strong))
    )
    fault = f' <span class="fault" title="{escape(row.fault)}">⚠</span>' if row.fault else ""
    return (
        f'<div class="domain"><div class="name"><span>{escape(row.domain.replace("_", " "))}{fault}'
        f'</span><span class="muted">n {row.n:,} · {row.strong_share:.0%} strong</span></div>'
        f'<svg viewBox="0 0 {_CELL_WIDTH} {_CELL_HEIGHT}" role="img" aria-label="{numbers}">'
        f"<title>{numbers}</title>"
        f'<line class="rail" x1="{_CELL_PAD}" x2="{_CELL_WIDTH - _CELL_PAD}" y1="{middle}" '
        f'y2="{middle}"/>'
        f'<line class="span" x1="{weak:.1f}" x2="{strong:.1f}" y1="{middle}" y2="{middle}"/>'
        f'<circle class="weak" cx="{weak:.1f}" cy="{middle}" r="5"/>'
        f'<circle class="strong" cx="{strong:.1f}" cy="{middle}" r="5"/>'
        f'<path class="routed" d="M{routed:.1f} {middle - 8} v16"/></svg>'
        f'<div class="numbers">{numbers}</div></div>'
    )


def _baseline(benchmark: BenchmarkResults, name: str) -> float:
    return next(row.quality for row in benchmark.baselines if row.name == name)


def _qualities(benchmark: BenchmarkResults) -> list[float]:
    return [value for router in benchmark.routers for value in router.measurement.curve.quality]


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = 0.06 * (high - low) or 0.5
    return low - margin, high + margin


def _in_percent(benchmark: BenchmarkResults) -> bool:
    return benchmark.quality_range == (0.0, 1.0)


def _quality_label(benchmark: BenchmarkResults) -> str:
    if _in_percent(benchmark):
        return "mean quality"
    low, high = benchmark.quality_range
    return f"mean score, {low:g} to {high:g}"


def _number(value: float, percent: bool) -> str:
    return f"{value:.1%}" if percent else f"{value:.2f}"
