"""The page of `routellm evaluate --strategy`: every strategy on dollars and on time."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from routellm_core.evaluation.report.html import document, figure, html_row, html_table
from routellm_core.evaluation.report.svg import Chart, line_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from routellm_core.evaluation.figures import Estimate
    from routellm_core.evaluation.strategy_measure import AxisFigures, StrategyResults

__all__ = ["render_strategy_page", "write_strategy_page"]

_READING = (
    "One random half of the prompts chose each strategy's settings, the other half measured them. "
    "Calls may be split between settings, and with each model alone. <b>APGR</b> is the mean "
    "quality from the weak model's price to the strong one's, 0 % at the weak model's quality and "
    "100 % at the strong one's; <b>over predict</b> the difference to the predictive strategy on "
    "the same draws. Small: 95 % bootstrap intervals over prompts."
)


def write_strategy_page(found: Sequence[tuple[str, str, StrategyResults]], path: Path) -> Path:
    """Write the page and return its path.

    Parameters
    ----------
    found
        Name of the table, label of the router, and what was measured.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render_strategy_page(found), encoding="utf-8")
    return path


def render_strategy_page(found: Sequence[tuple[str, str, StrategyResults]]) -> str:
    """Return the page as HTML."""
    parts = "".join(_section(name, router, results) for name, router, results in found)
    return document("Strategies", f"<h1>Strategies</h1><p>{_READING}</p>{parts}")


def _section(name: str, router: str, found: StrategyResults) -> str:
    figures = [figure("Quality over money.", _chart(found, axis="usd"))]
    if all(row.ms is not None for row in found.strategies):
        figures.append(figure("Quality over time.", _chart(found, axis="ms")))
    legend = "".join(
        f"<li>{line_key(place)}{escape(row.name)}</li>"
        for place, row in enumerate(found.strategies)
    )
    return (
        f"<h2>{escape(name)}</h2><p>{found.n_measured:,} prompts measured. Router: "
        f"{escape(router)}. Models: {escape(', '.join(found.models))}.</p>{_table(found)}"
        f'<ul class="legend">{legend}</ul><div class="figures">{"".join(figures)}</div>'
    )


def _table(found: StrategyResults) -> str:
    timed = all(row.ms is not None for row in found.strategies)
    head = ["strategy", "APGR, dollars", "over predict", "at 25 %", "at 50 %", "at 75 %"]
    rows = []
    for row in found.strategies:
        usd = row.usd
        over = "" if usd.over_predict is None else _cell(usd.over_predict)
        cells = [_cell(usd.gain), over, *map(_cell, usd.at_budgets)]
        if timed and row.ms is not None:
            cells.append(_cell(row.ms.gain))
        css = "baseline" if row.name in ("random", "oracle", "length") else ""
        rows.append(html_row(row.name, cells, css=css))
    return html_table([*head, *(["APGR, time"] if timed else [])], rows)


def _chart(found: StrategyResults, *, axis: str) -> str:
    curves: list[AxisFigures] = [
        curve for row in found.strategies if (curve := getattr(row, axis)) is not None
    ]
    scale = 1000.0 if axis == "usd" else 1.0
    points = [point for curve in curves for point in curve.points]
    prices, heights = [p.price * scale for p in points], [p.quality for p in points]
    low, high = min(prices), max(prices)
    bottom, top = min(heights), max(heights)
    margin = 0.05 * max(top - bottom, 1e-9)
    chart = Chart(
        (low, high if high > low else low + 1.0),
        (bottom - margin, top + margin),
        title=f"Quality of strategies over {'dollars' if axis == 'usd' else 'milliseconds'}",
    )
    label = "US dollars for 1,000 calls" if axis == "usd" else "milliseconds a call"
    chart.axes(x_label=label, y_label="quality", percent_y=True)
    for place, curve in enumerate(curves):
        chart.line(
            [point.price * scale for point in curve.points],
            [point.quality for point in curve.points],
            series=place,
        )
    return chart.render()


def _cell(estimate: Estimate) -> str:
    if estimate.value is None:
        return "–"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.1%}"
    return f"{estimate.value:.1%}<small>{estimate.low:.1%} – {estimate.high:.1%}</small>"
