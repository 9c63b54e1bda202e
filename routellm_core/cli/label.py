"""`routellm label`: from a log without labels to battles or outcomes, within a budget."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from routellm_core.cli.console import notes, print_json
from routellm_core.cli.label_inputs import (
    NEAR,
    cap_of,
    check_cap,
    chosen_prompts,
    read_log,
    sample_of,
    settings_of,
)
from routellm_core.cli.label_options import asker_of, examples_of, models_of, prices_of
from routellm_core.cli.label_steps import run_labelling, tell_estimate

if TYPE_CHECKING:
    from routellm_core.labeling.labelling import LabelJob
    from routellm_core.labeling.reports import LabelReport

__all__ = ["label"]


def label(
    log: Annotated[
        str,
        typer.Argument(
            metavar="LOG",
            help="Prompts, with the answers, known answers and feedback beside them: calls in "
            "OpenAI's format, LangSmith or Langfuse exports, the log of a `Monitor`, or rows of "
            "your own, as .jsonl, .json, .csv, .tsv or .parquet; a .txt with one prompt a line; a "
            "data set on the Hugging Face Hub.",
        ),
    ],
    *,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="Where the labels go, as JSON lines. Paid answers are kept in FILE.journal, from "
            "which the same command goes on.",
        ),
    ],
    mode: Annotated[
        str,
        typer.Option(
            "--mode",
            "-m",
            metavar="MODE",
            help="pairwise: a judge compares two answers, in both orders; score: it rates them 1 "
            "to 5; reference: the log's known answers decide; route: the judge guesses from the "
            "prompt alone; feedback: users' thumbs, retries and edits decide.",
        ),
    ] = "pairwise",
    strong: Annotated[
        str | None, typer.Option(metavar="NAME", help="The strong model, as LiteLLM names it.")
    ] = None,
    weak: Annotated[str | None, typer.Option(metavar="NAME", help="The weak model.")] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="One more model, or one of several. May be repeated."),
    ] = None,
    judge: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who judges; best none of the models.")
    ] = None,
    max_cost: Annotated[
        float | None,
        typer.Option(
            metavar="USD",
            min=0.0,
            help="What all runs into FILE together may spend; inf for no limit.",
        ),
    ] = None,
    price: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL=IN:OUT",
            help="A price in US dollars per million tokens read and written, where LiteLLM's table "
            "has none. May be repeated.",
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
            help="Label N prompts, chosen over all kinds and more where the route is open. By "
            "default all, in random order, or as many as the money pays.",
        ),
    ] = None,
    near_duplicates: Annotated[
        float | None,
        typer.Option(
            metavar="SIMILARITY",
            min=0.5,
            max=1.0,
            help="Of prompts at least this similar only one is labelled; 1 for equal ones. By "
            "default 0.8, and all are labelled in mode feedback, where it costs nothing.",
        ),
    ] = None,
    answers: Annotated[
        int,
        typer.Option(metavar="K", min=1, help="Answers of each model to each prompt."),
    ] = 1,
    soft: Annotated[
        str | None,
        typer.Option(
            metavar="KIND",
            help="Make one soft label of a pair's answers: det, prob or trans. For score and "
            "reference.",
        ),
    ] = None,
    comparison: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="For reference: exact, normalised, contains, number, choice, or code, for which "
            "the known answer is tests that the answer's code must pass.",
        ),
    ] = "normalised",
    run_code: Annotated[
        bool,
        typer.Option(
            "--run-code",
            help="Allow code: what models wrote is run here with your rights. Use a container.",
        ),
    ] = False,
    examples: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="For route: prompts with their `label`, to show."),
    ] = None,
    human_sample: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="What people said of some of the prompts: battles, outcomes or labels. These are "
            "judged first; a judge at chance stops the run.",
        ),
    ] = None,
    rating: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="For feedback: one more field or key of ratings. Repeatable."
        ),
    ] = None,
    scale: Annotated[
        str | None,
        typer.Option(metavar="LOW:HIGH", help="For feedback: the scale of grades, as 1:5."),
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
        int,
        typer.Option(
            metavar="N",
            min=1,
            help="The most tokens of a verdict; a judge that reasons needs more.",
        ),
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
    seed: Annotated[int, typer.Option(help="Of the choice of prompts and of their order.")] = 0,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Go on with a judge at chance; replace a FILE that is not a run's."
        ),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Write the report as JSON.")] = False,
) -> None:
    """Label the prompts of a log, for `routellm train`.

    Every answer is on disk before the next call begins: after an interruption the same command
    goes on, and pays for nothing twice but calls that were in flight. Keys come from the providers'
    environment variables.
    """
    from routellm_core.data.columns import parse_scale
    from routellm_core.labeling.feedback import FeedbackReader
    from routellm_core.labeling.labelling import LabelJob

    settings = settings_of(
        mode=mode, models=models_of(strong, weak, model), judge=judge, max_tokens=max_tokens,
        judge_tokens=judge_tokens, n_answers=answers, soft=soft, comparison=comparison,
        run_code=run_code, examples=examples_of(examples), redact=redact,
    )  # fmt: skip
    reader = FeedbackReader(rating or (), scale=None if scale is None else parse_scale(scale))
    people = sample_of(human_sample, settings)
    logged = read_log(
        log, field=field, reference_field=reference_field, model=logged_model,
        feedback=reader if mode == "feedback" else None, people=people,
        near=near_duplicates if near_duplicates or mode == "feedback" else NEAR,
    )  # fmt: skip
    rows, shares = chosen_prompts(logged, sample, people, seed=seed)
    job = LabelJob(
        prompts=[logged[row] for row in rows],
        settings=settings,
        out=out,
        max_cost_usd=cap_of(max_cost),
        prices=prices_of(price or []),
        places=rows,
        shares=shares,
        sample=people,
        concurrency=concurrency,
        force=force,
    )
    if dry_run:
        tell_estimate(job, json=json)
        return
    check_cap(job, max_cost)
    report = run_labelling(job, asker_of(base_url or []))
    _tell_report(report, job, json=json)


def _tell_report(report: LabelReport, job: LabelJob, *, json: bool) -> None:
    from routellm_core.cli.label_display import show_report

    if json:
        print_json({"labels": str(job.out), **report.values()})
    else:
        show_report(report, job)
    if report.capped:
        notes().print(f"[yellow]Stopped:[/] {report.capped}", soft_wrap=True)
