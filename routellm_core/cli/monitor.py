"""`routellm monitor`: a log of calls in figures, over time."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from routellm_core.cli.console import notes, print_json, results
from routellm_core.cli.display import bar
from routellm_core.cli.settings import CheckpointOption, open_router
from routellm_core.errors import ConfigurationError, DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from routellm_core.labeling.shadow_estimates import ShadowEstimates
    from routellm_core.monitoring import CallNote, CallRecord, LogReader
    from routellm_core.monitoring.drift import Baseline
    from routellm_core.monitoring.summary import LogSummary, PeriodSummary

__all__ = ["monitor", "records_of", "report_bad_records"]

_DRIFTING = 0.2


def monitor(
    log: Annotated[str, typer.Argument(metavar="LOG", help="The JSONL log of a `Monitor`.")],
    *,
    period: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", help="Length of a period. By default some thirty cover the log."
        ),
    ] = None,
    router: Annotated[
        str | None,
        typer.Option(
            "--router",
            "-r",
            metavar="NAME",
            help="Measure drift from this router's calibration instead of the log's begin.",
        ),
    ] = None,
    checkpoint: CheckpointOption = None,
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="What `routellm label` made of this log: estimate from the shadow answers how "
            "much quality is kept.",
        ),
    ] = None,
    plot: Annotated[
        str | None, typer.Option(metavar="PATH", help="Draw the figures to a PNG, SVG or PDF file.")
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Write one JSON object per period, then the total.")
    ] = False,
) -> None:
    """Show what calls did over time: share, cost, savings, latency and drift."""
    from routellm_core.monitoring import LogReader
    from routellm_core.monitoring.summary import summarise

    if period is not None and not period > 0.0:
        raise ConfigurationError(f"`--period` must be above 0, got {period!r}.")
    baseline = _baseline(router, checkpoint)
    reader = LogReader(log)
    reader.notes = []
    records = list(records_of(reader, log))
    summary = summarise(records, period_s=period, baseline=baseline)
    if plot is not None:
        _draw(summary, Path(plot))
    if json:
        for found in summary.periods:
            print_json({"period": asdict(found)})
        print_json({"total": asdict(summary.total), "period_s": summary.period_s})
    else:
        _show(summary)
    if reader.notes or labels is not None:
        _estimate(records, reader.notes, labels, json=json)
    report_bad_records(reader, log)


def _estimate(
    records: list[CallRecord], notes: list[CallNote], labels: str | None, *, json: bool
) -> None:
    from routellm_core.labeling.shadow_estimates import estimate_shadows
    from routellm_core.training import read_data

    found = estimate_shadows(records, notes, None if labels is None else read_data(labels))
    if json:
        print_json({"shadow": _plain(found)})
        return
    console = results()
    console.print()
    if found.n_sampled or labels is not None:
        console.print(
            f"Shadow answers: {found.n_sampled:,} of {found.n_calls:,} routed calls sampled, "
            f"{found.n_answered:,} answered, {found.n_labelled:,} labelled."
        )
    for name, figure, style in (
        ("quality kept", found.quality_kept, ".1%"),
        ("other model better", found.other_better, ".1%"),
        ("saved USD", found.saved_usd, ",.4f"),
    ):
        if figure is not None and found.n_answered:
            low, high = format(figure.low, style), format(figure.high, style)
            console.print(f"  {name}: {figure.value:{style}} ({low} to {high})", highlight=False)
    if found.n_rated or found.n_orphans:
        means = ", ".join(f"{route} {mean:.2f}" for route, mean in found.ratings.items())
        calls = "1 call" if found.n_rated == 1 else f"{found.n_rated:,} calls"
        console.print(f"Users rated {calls}: {means or '-'}.", highlight=False)
    if found.n_orphans:
        notes_ = f"{found.n_orphans:,} outcomes belong to no call of this log."
        console.print(notes_, highlight=False)


def _plain(found: ShadowEstimates) -> dict[str, Any]:
    values = asdict(found)
    for name in ("other_better", "quality_kept", "saved_usd"):
        figure = getattr(found, name)
        values[name] = None if figure is None else figure._asdict()
    return values


def records_of(reader: LogReader, log: str) -> Iterator[CallRecord]:
    """Yield a log's records.

    Raises
    ------
    DataError
        If it holds none.
    """
    n = 0
    for n, record in enumerate(reader, start=1):  # noqa: B007 - counted
        yield record
    if not n:
        why = str(reader.bad.report(reader.n_lines)) if reader.n_bad else "It is empty."
        raise DataError(f"{log!r} holds no record of a call. {why}")


def report_bad_records(reader: LogReader, log: str) -> None:
    """Say on stderr which lines held no record."""
    if reader.n_bad:
        lines = "1 line" if reader.n_bad == 1 else f"{reader.n_bad} lines"
        why = "\n".join(f"  {rows}" for rows in reader.bad.report(reader.n_lines).shown)
        said = f"Left out {lines} of {log} without a record.\n{why}"
        notes().print(said, soft_wrap=True, markup=False)


def _baseline(router: str | None, checkpoint: str | None) -> Baseline | None:
    from routellm_core.monitoring.drift import Baseline

    if router is None and checkpoint is None:
        return None
    opened = open_router(router, checkpoint=checkpoint)
    if opened.calibration is None:
        raise ConfigurationError(
            f"Router {opened.name!r} is not calibrated, so drift cannot be measured from it."
        )
    return Baseline.of(opened.calibration)


def _show(summary: LogSummary) -> None:
    from rich.table import Table

    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("from (UTC)", no_wrap=True)
    for name in ("calls", "failed"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("strong", no_wrap=True)
    for name in ("cost USD", "saved", "p50 ms", "p95 ms", "PSI"):
        table.add_column(name, justify="right", no_wrap=True)
    for found in summary.periods:
        table.add_row(*_row(_when(found.started_at), found))
    if len(summary.periods) > 1:
        table.add_section()
        table.add_row(*_row("total", summary.total), style="bold")
    results().print(table)
    if summary.total.n_unpriced:
        answers = summary.total.n_unpriced
        notes().print(f"{answers} answers have no known price; no cost counts them.")


def _row(name: str, found: PeriodSummary) -> list[Any]:
    from rich.text import Text

    share = Text(bar(found.strong_share, width=6), style="magenta")
    share.append(f" {found.strong_share:5.1%}", style="default")
    drift = Text("-")
    if found.psi is not None:
        drift = Text(f"{found.psi:.3f}", style="red" if found.psi > _DRIFTING else "default")
    return [
        name,
        f"{found.n_calls:,}",
        f"{found.n_failed:,}",
        share,
        f"{found.cost_usd:,.4f}",
        f"{found.saved_usd:,.4f}",
        f"{found.call_ms_p50:,.0f}",
        f"{found.call_ms_p95:,.0f}",
        drift,
    ]


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M")


def _draw(summary: LogSummary, path: Path) -> None:
    from routellm_core._optional import require

    if path.suffix not in (".png", ".svg", ".pdf"):
        raise ConfigurationError(f"`--plot` must end in .png, .svg or .pdf, got {str(path)!r}.")
    # A figure of its own: nothing global, and no display.
    figure = require("matplotlib.figure", extra="eval").Figure(
        figsize=(9, 11), layout="constrained"
    )
    times = [datetime.fromtimestamp(p.started_at, timezone.utc) for p in summary.periods]
    panels = (
        ("strong share", {"": [p.strong_share for p in summary.periods]}),
        (
            "US dollars a period",
            {
                "cost": [p.cost_usd for p in summary.periods],
                "saved": [p.saved_usd for p in summary.periods],
            },
        ),
        (
            "milliseconds a call",
            {
                "median": [p.call_ms_p50 for p in summary.periods],
                "95th percentile": [p.call_ms_p95 for p in summary.periods],
            },
        ),
        ("drift (PSI)", {"": [float("nan") if p.psi is None else p.psi for p in summary.periods]}),
    )
    for axes, (title, lines) in zip(figure.subplots(len(panels), sharex=True), panels, strict=True):
        for label, values in lines.items():
            axes.plot(times, values, marker=".", label=label)
        axes.set_ylabel(title)
        axes.set_ylim(bottom=min(0.0, *axes.get_ylim()))
        axes.grid(alpha=0.3)
        if len(lines) > 1:
            axes.legend()
    axes.axhline(_DRIFTING, linestyle="--", color="tab:red", linewidth=1)
    axes.tick_params(axis="x", rotation=30)
    figure.savefig(path)
