"""The report's page: tables, figures, and how to read them."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from routellm_core.evaluation.figures import TARGETS
from routellm_core.evaluation.report.charts import (
    cost_chart,
    domain_cell,
    histogram_chart,
    reliability_chart,
    share_chart,
)
from routellm_core.evaluation.report.html import document, figure, html_row, html_table
from routellm_core.evaluation.report.svg import line_key

if TYPE_CHECKING:
    from routellm_core.evaluation.figures import Estimate, Measurement
    from routellm_core.evaluation.results import BenchmarkResults, Results

__all__ = ["render_page", "write_page"]

_READING = (
    "A router gives each prompt a win rate: the probability that the strong model's answer is the "
    "better one. Prompts at or above a threshold go to the strong model. <b>PGR</b> is the share "
    "of the gap between all-weak and all-strong quality that routing recovers, <b>APGR</b> its "
    "average over all shares of strong calls (a random router has 50 %), and <b>CPT(x)</b> the "
    "smallest share of strong calls that recovers x of the gap. Small numbers below a figure are "
    "its 95 % bootstrap interval over prompts."
)
_COLUMNS = (
    "<b>Quality</b> is the mean with half of the calls at the strong model: a router's with the "
    "threshold of one half of the prompts, on the other. <b>AUROC</b> tells how well win rates "
    "find the prompts on which the strong model is strictly better (½ is chance). <b>Saved at no "
    "loss</b> is the largest saving against all-strong at its quality; it is picked on the same "
    "prompts and so flatters. <b>AIQ − AIQ₀</b> is how far the hull of quality over cost lies "
    "above randomising between the models. <b>APGR, grid 10</b> is APGR over 0, 10, …, 100 %, as "
    "published tables have it. Grey rows need no router; the oracle asks the strong model only "
    "where its answer is better."
)


def write_page(results: Results, path: str | Path) -> Path:
    """Write the report and return its path."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render_page(results), encoding="utf-8")
    return path


def render_page(results: Results) -> str:
    """Return the report as one HTML page."""
    environment = results.environment
    command = f"<p><code>{escape(environment.command)}</code></p>" if environment.command else ""
    names = ", ".join(benchmark.name for benchmark in results.benchmarks)
    body = (
        f"<h1>Routing report</h1><p>{_READING}</p><p>{_COLUMNS}</p>"
        f"{''.join(_benchmark(benchmark) for benchmark in results.benchmarks)}"
        "<h2>How this was computed</h2>"
        f"{command}"
        f'<p class="muted">{results.rounds:,} bootstrap rounds, seed {results.seed}. '
        f"routellm-plugins {escape(environment.routellm_plugins)}, NumPy "
        f"{escape(environment.numpy)}, Python {escape(environment.python)}, "
        f"{escape(environment.machine)}. Every figure can be computed again from the results "
        "file with <code>routellm verify</code>.</p>"
    )
    return document(f"Routing report: {names}", body)


def _benchmark(benchmark: BenchmarkResults) -> str:
    removed = f", {benchmark.n_removed:,} contaminated ones left out" if benchmark.n_removed else ""
    cost = cost_chart(benchmark)
    figures = [
        figure(
            "Quality over strong calls. Grey: what a random router reaches.",
            share_chart(benchmark),
        )
    ]
    if cost is not None:
        figures.append(figure("Quality over money. Grey: the models at random.", cost))
    return (
        f"<h2>{escape(benchmark.name)}</h2>"
        f"<p>{benchmark.n:,} prompts{removed}. Strong: {escape(benchmark.strong_model)}. "
        f"Weak: {escape(benchmark.weak_model)}.</p>"
        f"{_overlap(benchmark)}{_table(benchmark)}{_legend(benchmark)}"
        f'<div class="figures">{"".join(figures)}</div>'
        f"<h3>Calibrated shares on held-out prompts</h3>{_shares(benchmark)}"
        f"<h3>Win rates</h3>{_win_rates(benchmark)}"
        f"{_robustness(benchmark)}{_domains(benchmark)}"
    )


def _table(benchmark: BenchmarkResults) -> str:
    percent = benchmark.quality_range == (0.0, 1.0)
    head = (
        ["router", "APGR"]
        + [f"CPT({target:.0%})" for target in TARGETS]
        + ["quality", "AUROC", "saved at no loss", "AIQ − AIQ₀", "APGR, grid 10", "prompts/s"]
    )
    rows = []
    for baseline in benchmark.baselines:
        known = ["" if x is None else _share(x) for x in (baseline.apgr, baseline.cpt_50)]
        cells = [known[0], "", known[1], "", _quality(baseline.quality, percent)]
        cells += [""] * (len(head) - 1 - len(cells))
        rows.append(html_row(baseline.name, cells, css="baseline"))
    for router in benchmark.routers:
        m = router.measurement
        gain = None if m.aiq is None or m.aiq_zero is None else m.aiq - m.aiq_zero
        cells = [_interval(m.apgr), *(_interval(estimate) for estimate in m.cpt)]
        cells += [
            _quality_interval(_at_half(m), percent),
            "–" if m.auroc is None else f"{m.auroc:.3f}",
            _share(m.cost_save),
            "–" if gain is None else f"{gain:+.4f}",
            _share(m.apgr_grid_10),
            "cached" if router.prompts_per_second is None else f"{router.prompts_per_second:,.0f}",
        ]
        rows.append(html_row(router.label, cells))
    return html_table(head, rows)


def _shares(benchmark: BenchmarkResults) -> str:
    percent = benchmark.quality_range == (0.0, 1.0)
    head = ["router", "asked", "achieved, and promised", "quality", "threshold"]
    rows = []
    for router in benchmark.routers:
        for index, point in enumerate(router.measurement.shares):
            cells = [
                f"{point.asked:.0%}",
                f"{point.achieved:.1%}<small>{point.low:.1%} – {point.high:.1%}</small>",
                _quality_interval(point.quality, percent),
                f"{point.threshold:.4f}",
            ]
            rows.append(html_row(router.label if index == 0 else "", cells))
    return (
        "<p>The threshold comes from a random half of every domain; share and quality are those "
        "of the other half. Small: the 95 % interval that calibration promised for the true share, "
        f"and the bootstrap interval of the quality.</p>{html_table(head, rows)}"
    )


def _win_rates(benchmark: BenchmarkResults) -> str:
    figures, rows = [], []
    for index, router in enumerate(benchmark.routers):
        name = escape(router.label)
        figures.append(
            figure(f"<b>{name}</b>: win rates given", histogram_chart(router, series=index))
        )
        figures.append(
            figure(
                f"<b>{name}</b>: reliability. Dashed: as given. Dots: after calibration. "
                "Grey: perfect.",
                reliability_chart(router, series=index),
            )
        )
        for label, p in (
            ("as given", router.measurement.raw),
            ("calibrated", router.measurement.calibrated),
        ):
            cells = [label, f"{p.ece:.4f}", f"{p.ece_equal_mass:.4f}", f"{p.mce:.3f}"]
            rows.append(html_row(router.label, [*cells, f"{p.brier:.4f}", f"{p.nll:.4f}"]))
    head = ["router", "win rates", "ECE", "ECE, equal mass", "MCE", "Brier", "NLL"]
    return (
        "<p>Calibrated win rates are those of each half under the isotonic map that was fitted on "
        "the other; labels are 1 where the strong model's answer is better, ½ on ties.</p>"
        f'{html_table(head, rows)}<div class="figures">{"".join(figures)}</div>'
    )


def _robustness(benchmark: BenchmarkResults) -> str:
    rows = [
        html_row(
            router.label,
            [row.change, f"{row.n:,}", f"{row.rank_change:.1%}", f"{row.flips:.1%}"],
        )
        for router in benchmark.routers
        for row in router.robustness
    ]
    if not rows:
        return ""
    head = ["router", "changed", "prompts", "mean change of rank", "flips"]
    return (
        "<h3>Robustness</h3><p>Win rates of the same requests in other words. Ranks are among this "
        "benchmark's win rates; a flip is a request that changes sides of the threshold which 30 % "
        f"of them reach.</p>{html_table(head, rows)}"
    )


def _domains(benchmark: BenchmarkResults) -> str:
    if len(benchmark.domain_names) < 2:
        return ""
    low, high = benchmark.quality_range
    percent = (low, high) == (0.0, 1.0)
    blocks = []
    for index, router in enumerate(benchmark.routers):
        cells = "".join(
            domain_cell(row, low=low, high=high, percent=percent)
            for row in router.measurement.slices
        )
        opened = " open" if index == 0 else ""
        blocks.append(
            f"<details{opened}><summary>{escape(router.label)}</summary>"
            f'<div class="domains">{cells}</div></details>'
        )
    faults = "".join(
        f'<p class="warning"><b>{escape(name.replace("_", " "))}</b>: {escape(why)}.</p>'
        for name, why in benchmark.faults.items()
    )
    return (
        "<h3>Domains</h3><p>At the threshold that sends half of all calls to the strong model.</p>"
        f'{faults}<ul class="legend">'
        '<li><i class="dot" style="background:var(--weak)"></i>weak</li>'
        '<li><i class="dot" style="background:var(--strong)"></i>strong</li>'
        f'<li><i class="bar"></i>routed</li></ul>{"".join(blocks)}'
    )


def _overlap(benchmark: BenchmarkResults) -> str:
    overlap = benchmark.overlap
    if overlap is None:
        return ""
    found = overlap.n_exact + overlap.n_near
    text = (
        f"{overlap.n_exact:,} of the {overlap.n_test:,} benchmark prompts equal one of "
        f"{overlap.n_train:,} training prompts, and {overlap.n_near:,} more are near one "
        f"(similarity of at least {overlap.threshold:g})."
    )
    css = "warning" if found else "muted"
    shown = "".join(f"<li>{escape(text)}</li>" for text in overlap.shown)
    listed = f"<details><summary>Which</summary><ul>{shown}</ul></details>" if shown else ""
    return f'<p class="{css}">{text}</p>{listed}'


def _legend(benchmark: BenchmarkResults) -> str:
    items = "".join(
        f"<li>{line_key(index)}{escape(router.label)}</li>"
        for index, router in enumerate(benchmark.routers)
    )
    return f'<ul class="legend">{items}</ul>'


def _interval(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return _share(estimate.value)
    return f"{_share(estimate.value)}<small>{estimate.low:.1%} – {estimate.high:.1%}</small>"


def _at_half(measurement: Measurement) -> Estimate:
    """Return the held-out quality with half of the calls at the strong model."""
    return next(point.quality for point in measurement.shares if point.asked == 0.5)


def _quality_interval(quality: Estimate, percent: bool) -> str:
    if quality.low is None or quality.high is None:
        return _quality(quality.value, percent)
    low, high = _quality(quality.low, percent), _quality(quality.high, percent)
    return f"{_quality(quality.value, percent)}<small>{low} – {high}</small>"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _quality(value: float | None, percent: bool) -> str:
    if value is None:
        return "–"
    return f"{value:.1%}" if percent else f"{value:.2f}"
