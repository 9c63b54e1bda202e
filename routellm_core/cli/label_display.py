"""How labelling looks in a terminal: its progress, its estimate and its report."""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING

from routellm_core.cli.console import notes, results

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from rich.console import Console

    from routellm_core.labeling.agreement import Interval
    from routellm_core.labeling.estimate import Estimate
    from routellm_core.labeling.human_sample import JudgeAgreement
    from routellm_core.labeling.labelling import LabelJob
    from routellm_core.labeling.reports import LabelReport
    from routellm_core.labeling.running import Progress as Step

__all__ = ["progress_of", "share_text", "show_estimate", "show_labels", "show_report"]


@contextmanager
def progress_of(n_prompts: int) -> Iterator[Callable[[Step], None]]:
    """Draw a bar with the money spent and the time left, and yield what moves it."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("Labelling"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[spent]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=notes(), disable=not notes().is_terminal) as bar:
        task = bar.add_task("", total=n_prompts, spent="")

        def tell(step: Step) -> None:
            bar.update(task, completed=step.n_done, spent=f"{step.spent_usd:.4f} USD")

        yield tell


def show_estimate(found: Estimate) -> None:
    """Print what labelling will take."""
    from rich.table import Table

    console = results()
    prompts = "1 prompt" if found.n_prompts == 1 else f"{found.n_prompts:,} prompts"
    console.print(f"{prompts}; nobody was asked.")
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("model", "calls", "paid before", "cost USD"):
        table.add_column(name, justify="left" if name == "model" else "right")
    for one in found.models:
        table.add_row(one.model, f"{one.n_calls:,}", f"{one.n_paid:,}", _usd(one.cost_usd))
    table.add_row("together", f"{found.n_calls:,}", "", _usd(found.cost_usd))
    console.print(table)
    if found.spent_usd:
        console.print(f"Spent before: {_usd(found.spent_usd)} USD.")
    if found.problems:
        n_left = sum(found.problems.values())
        console.print(
            f"{n_left:,} of {found.n_prompts:,} prompts will get no label: "
            f"{_reasons(found.problems)}."
        )
    if "no reference" in found.problems:
        console.print(
            "Known answers stand in a field as `reference` or `expected_output`; name another with "
            "`--reference-field`.",
            soft_wrap=True,
        )


def _reasons(problems: Mapping[str, int]) -> str:
    return ", ".join(f"{n:,} with {reason}" for reason, n in problems.items())


def show_report(report: LabelReport, job: LabelJob) -> None:
    """Print what labelling found, and what to do next."""
    console = results()
    console.print(
        f"{report.n_labelled:,} of {report.n_prompts:,} prompts labelled: {report.n_rows:,} rows "
        f"in {job.out}",
        markup=False, soft_wrap=True,
    )  # fmt: skip
    left = report.n_prompts - report.n_labelled - sum(report.problems.values())
    reasons = [_reasons(report.problems)] if report.problems else []
    reasons += [f"{left:,} not reached"] if left else []
    if reasons:
        console.print(f"Without a label: {', '.join(reasons)}.")
    failed = f", {report.n_failed_calls:,} failed" if report.n_failed_calls else ""
    unknown = ", ".join(report.unknown_prices)
    console.print(
        f"Calls: {report.n_calls:,}{failed}; spent {report.spent_usd:.4f} USD in all"
        + (f", without {unknown}, whose price is unknown." if unknown else "."),
        markup=False, soft_wrap=True,
    )  # fmt: skip
    show_labels(console, report)
    if report.agreement is not None:
        _show_agreement(console, report.agreement)
    _show_next(console, report, job)


def show_labels(console: Console, report: LabelReport) -> None:
    """Print which answers were better, and how consistent the judge was."""
    for pair in report.pairs:
        console.print(
            f"{pair.model_a} better {pair.a:.1%}, tie {pair.tie:.1%}, {pair.model_b} better "
            f"{pair.b:.1%} ({pair.n:,} battles)",
            markup=False, soft_wrap=True,
        )  # fmt: skip
    for model, quality in (report.qualities or {}).items():
        console.print(f"{model}: mean quality {quality:.3f}", markup=False, soft_wrap=True)
    bias = report.position_bias
    if bias is not None:
        console.print(
            f"Judge: {report.n_inconsistent / report.n_verdicts:.1%} of verdicts change with the "
            f"order; bias to the first answer {bias.value:+.3f} ({bias.low:+.3f} to "
            f"{bias.high:+.3f})."
        )


def _show_agreement(console: Console, found: JudgeAgreement) -> None:
    if not found.n:
        console.print("People judged none of these prompts: there is no agreement to tell.")
        return
    console.print(
        f"Judge and people, {found.n:,} labels: agreement {share_text(found.agreement)}, kappa "
        f"{_number(found.kappa)}"
    )
    console.print(
        f"Without ties, {found.n_decided:,} labels: agreement "
        f"{share_text(found.decided_agreement)}, kappa {_number(found.decided_kappa)}"
    )
    if found.corrected is not None:
        console.print(f"Corrected for the judge's errors: {share_text(found.corrected)}")
    if not found.is_telling:
        console.print("Too few labels to tell the judge from chance: have 20 or more.")


def _show_next(console: Console, report: LabelReport, job: LabelJob) -> None:
    models = job.settings.models or tuple(report.qualities or ())
    if report.n_with_all is not None and len(models) > 1 and report.n_with_all < report.n_labelled:
        console.print(
            f"{report.n_with_all:,} prompts have an outcome of every model, which a pair is "
            "trained on."
        )
    if report.n_rows and len(models) == 2:
        strong, weak = models
        console.print(
            f"Next: routellm adapt --data {job.out} --pair {strong} {weak} --out my-router",
            markup=False, soft_wrap=True,
        )  # fmt: skip


def _usd(value: float) -> str:
    return "unknown" if math.isnan(value) else f"{value:,.4f}"


def share_text(found: Interval) -> str:
    """Return a share and its interval in percent; "-" where it is not known."""
    if math.isnan(found.value):
        return "-"
    return f"{found.value:.1%} ({found.low:.1%} to {found.high:.1%})"


def _number(found: Interval) -> str:
    if math.isnan(found.value):
        return "-"
    return f"{found.value:.2f} ({found.low:.2f} to {found.high:.2f})"
