"""`routellm tune`: from a log to a router of your own, within a budget."""

from __future__ import annotations

import json as json_module
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from routellm_core.cli.console import notes, print_json, results
from routellm_core.cli.label_display import share_text
from routellm_core.cli.label_inputs import (
    NEAR,
    cap_of,
    check_cap,
    chosen_prompts,
    read_log,
    sample_of,
    settings_of,
)
from routellm_core.cli.label_options import asker_of, prices_of
from routellm_core.cli.label_steps import tell_estimate, writing

if TYPE_CHECKING:
    from rich.console import Console

    from routellm_core.labeling.agreement import Interval
    from routellm_core.tuning import TuneReport

__all__ = ["tune"]


def tune(
    log: Annotated[
        str,
        typer.Argument(metavar="LOG", help="Prompts, as `routellm label` reads them."),
    ],
    *,
    strong: Annotated[
        str, typer.Option(metavar="NAME", help="The strong model, as LiteLLM names it.")
    ],
    weak: Annotated[str, typer.Option(metavar="NAME", help="The weak model.")],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            metavar="FOLDER",
            help="Where the router goes. Labels are kept in FOLDER.labels.jsonl, paid answers in "
            "FOLDER.labels.jsonl.journal, from which the same command goes on, and the report in "
            "FOLDER.report.json.",
        ),
    ],
    judge: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who judges; best none of the two.")
    ] = None,
    max_cost: Annotated[
        float | None,
        typer.Option(
            metavar="USD",
            min=0.0,
            help="What all runs into FOLDER together may spend; inf for no limit.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it will take, and ask nobody.")
    ] = False,
    sample: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Label N prompts; by default all, in random order, or as many as the money pays.",
        ),
    ] = None,
    mode: Annotated[
        str,
        typer.Option(
            "--mode",
            "-m",
            metavar="MODE",
            help="pairwise, score, reference or route, as for label.",
        ),
    ] = "pairwise",
    prior: Annotated[
        str,
        typer.Option(
            metavar="ROUTER",
            help="What is adapted: a registered name, a folder, or a name on the Hub.",
        ),
    ] = "mf",
    price: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL=IN:OUT",
            help="A price in US dollars per million tokens read and written, where LiteLLM's table "
            "has none. May be repeated.",
        ),
    ] = None,
    human_sample: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="What people said of some of the prompts; a judge at chance stops the run.",
        ),
    ] = None,
    field: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The field of the prompt; use dots for nested fields."),
    ] = None,
    reference_field: Annotated[
        str | None, typer.Option(metavar="NAME", help="The field of the known answer.")
    ] = None,
    logged_model: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Whose answers the log holds, where it does not say."),
    ] = None,
    base_url: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[MODEL=]URL", help="Where all models are, or one of them. May be repeated."
        ),
    ] = None,
    max_tokens: Annotated[
        int, typer.Option(metavar="N", min=1, help="The most tokens of an answer.")
    ] = 1024,
    judge_tokens: Annotated[
        int, typer.Option(metavar="N", min=1, help="The most tokens of a verdict.")
    ] = 64,
    concurrency: Annotated[
        int, typer.Option(metavar="N", min=1, help="The most calls at a time.")
    ] = 8,
    redact: Annotated[
        bool,
        typer.Option(
            "--redact/--no-redact",
            help="Keep what looks like a key or a password from models and judge.",
        ),
    ] = True,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Of every random choice.")] = 0,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Go on with a judge at chance and with labels that speak against training; "
            "replace a checkpoint that is not a run's.",
        ),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Write the report as JSON.")] = False,
) -> None:
    """Make a router of a log: label prompts, adapt the bundled router, calibrate, measure.

    It is `routellm label`, `adapt` and `calibrate` in one. Every answer is on disk before the next
    call begins: after an interruption the same command goes on, and pays for nothing twice but
    calls that were in flight. Keys come from the providers' environment variables.
    """
    from routellm_core.labeling.labelling import LabelJob
    from routellm_core.tuning import TuneJob, labels_path
    from routellm_core.tuning import tune as run

    settings = settings_of(
        mode=mode, models=(strong, weak), judge=judge, max_tokens=max_tokens,
        judge_tokens=judge_tokens, redact=redact,
    )  # fmt: skip
    people = sample_of(human_sample, settings)
    logged = read_log(
        log, near=NEAR, people=people, field=field, reference_field=reference_field,
        model=logged_model, feedback=None,
    )  # fmt: skip
    rows, shares = chosen_prompts(logged, sample, people, seed=seed)
    labelling = LabelJob(
        prompts=[logged[row] for row in rows],
        settings=settings,
        out=labels_path(out),
        max_cost_usd=cap_of(max_cost),
        prices=prices_of(price or []),
        places=rows,
        shares=shares,
        sample=people,
        concurrency=concurrency,
        force=force,
    )
    job = TuneJob(
        labelling=labelling, prompts=[one.prompt for one in logged], out=out, prior=prior,
        seed=seed, force=force,
    )  # fmt: skip
    if dry_run:
        tell_estimate(labelling, json=json)
        return
    check_cap(labelling, max_cost)
    with writing(len(labelling.prompts)) as tell:
        report = run(job, asker=asker_of(base_url or []), on_progress=tell)
    _tell(report, json=json)


def _tell(report: TuneReport, *, json: bool) -> None:
    values = report.values()
    written = Path(report.checkpoint)
    written.with_name(f"{written.name}.report.json").write_text(
        json_module.dumps(values, indent=1) + "\n", encoding="utf-8"
    )
    for doubt in report.doubts:
        notes().print(doubt, style="yellow", markup=False, soft_wrap=True)
    if json:
        print_json(values)
    else:
        _show(report)
    if report.labelling.capped:
        notes().print(f"[yellow]Stopped:[/] {report.labelling.capped}", soft_wrap=True)


def _show(report: TuneReport) -> None:
    from routellm_core.cli.label_display import show_labels

    console = results()
    labelling = report.labelling
    console.print(
        f"{report.n_labels:,} of {labelling.n_prompts:,} prompts have a label; spent "
        f"{labelling.spent_usd:.4f} USD in all.",
        markup=False, soft_wrap=True,
    )  # fmt: skip
    show_labels(console, labelling)
    console.print(f"Gap recovered (APGR): {share_text(report.gap_recovered)}")
    console.print(f"  by the router before: {share_text(report.prior_gap_recovered)}")
    console.print(f"  gain: {_points(report.gain)}")
    _show_savings(console, report)
    found = report.next_100_labels
    if found is not None and not math.isnan(found.value):
        console.print(f"The next 100 labels would bring: {_points(found)}")
    console.print(f"Router: {report.checkpoint}", markup=False, soft_wrap=True)
    share = 1.0 - report.no_loss.weak_share
    console.print(
        f"Next: routellm route --checkpoint {report.checkpoint} --strong-share {share:.2f} PROMPT",
        markup=False, soft_wrap=True,
    )  # fmt: skip


def _show_savings(console: Console, report: TuneReport) -> None:
    found = report.no_loss
    saved = "" if found.cost_saving is None else f" and saves {found.cost_saving:.1%} of the cost"
    console.print(
        f"At no measurable loss the weak model takes {found.weak_share:.1%} of the calls{saved}; "
        f"quality lost: {_points(found.loss)}"
    )


def _points(found: Interval) -> str:
    if math.isnan(found.value):
        return "-"
    value, low, high = (100.0 * one for one in (found.value, found.low, found.high))
    return f"{value:+.1f} points ({low:+.1f} to {high:+.1f})"
