"""`routellm add-model`: a new model in a trained router, and the prompts that tell most of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from routellm_core.cli.console import notes, print_json, results
from routellm_core.cli.train_inputs import (
    ColumnsOption,
    QualityScaleOption,
    ReportJsonOption,
    StrictRowsOption,
    check_free,
    reading_of,
)
from routellm_core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from routellm_core.routers import AddedModel

__all__ = ["add_model"]


def add_model(
    router: Annotated[
        str,
        typer.Argument(
            metavar="ROUTER",
            help="mf, or the checkpoint of an mf, cluster or knn router: a folder, or a name on "
            "the Hub.",
        ),
    ],
    name: Annotated[str, typer.Argument(metavar="NAME", help="How the new model is called.")],
    *,
    outcomes: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Outcomes (prompt, model, quality) of the new model on a few dozen prompts or "
            "more. Those of models that the router knows, on the same prompts, tell how easy the "
            "prompts are.",
        ),
    ] = None,
    like: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="A known model that the new one starts from. Without outcomes: a guess.",
        ),
    ] = None,
    prior: Annotated[
        float | None,
        typer.Option(
            metavar="NUMBER",
            help="How much the start counts: for mf a factor, by default 1; for cluster and knn a "
            "number of prompts, by default 5.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FOLDER", help="Where the checkpoint goes."),
    ] = None,
    choose: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Add nothing, but write N prompts whose outcomes would tell much, as JSON lines "
            "that want a `quality` each.",
        ),
    ] = None,
    prompts: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="What --choose chooses among: prompts or logged calls, as for `routellm label`.",
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(metavar="N", min=0, help="Of the prompts that --choose looks at.")
    ] = 0,
    columns: ColumnsOption = None,
    scale: QualityScaleOption = None,
    strict: StrictRowsOption = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a checkpoint.")] = False,
    json: ReportJsonOption = False,
) -> None:
    """Add a model to a trained router from few outcomes, without training anew.

    What the router says of all other models stays the same. The new model's name can then be a
    strong or a weak model, or an expert, wherever the checkpoint is used.
    """
    if choose is not None or prompts is not None:
        given = {"outcomes": outcomes, "out": out, "prior": prior}
        _choose(router, name, choose, prompts, like=like, seed=seed, refused=given)
        return
    if out is None:
        raise ConfigurationError("Pass `--out FOLDER`: where the router with the new model goes.")
    check_free(out, force=force)
    from routellm_core.data import read_outcomes
    from routellm_core.routers import load_router
    from routellm_core.routers.model_adder import model_adder

    adder = model_adder(load_router(router))
    rows = None
    if outcomes is not None:
        rows = read_outcomes(outcomes, strict=strict, **reading_of(columns, scale))
    report = adder.add_model(name, rows, like=like, prior=prior)
    folder = adder.save(out)
    if report.is_guess:
        notes().print(
            f"A guess: nothing was measured of {report.name!r}, which is taken to be like "
            f"{report.like!r}.",
            style="yellow",
            markup=False,
            soft_wrap=True,
        )
    if json:
        print_json({"checkpoint": str(folder), **report.values()})
    else:
        _show(report, folder)


def _choose(
    router: str,
    name: str,
    n: int | None,
    prompts: str | None,
    *,
    like: str | None,
    seed: int,
    refused: Mapping[str, object],
) -> None:
    """Write the prompts to answer, as rows of outcomes without their quality."""
    for option, value in refused.items():
        if value is not None:
            raise ConfigurationError(
                f"`--choose` only chooses prompts and takes no `--{option}`. Let the new model "
                "answer them, and add it by another command."
            )
    if n is None or prompts is None:
        missing = "`--choose N`" if n is None else "`--prompts FILE`"
        raise ConfigurationError(f"Choosing prompts needs {missing}, too.")
    from routellm_core.evaluation.logged_calls import read_logged_calls
    from routellm_core.routers import choose_prompts, load_router

    logged = read_logged_calls(prompts).prompts
    chosen = choose_prompts(load_router(router), logged, n, like=like, seed=seed)
    for position in chosen.tolist():
        print_json({"prompt": logged[position], "model": name})


def _show(report: AddedModel, folder: Path) -> None:
    from rich.table import Table

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_row("prompts", f"{report.n_prompts:,}")
    for parameter, value, error in zip(
        report.parameters, report.ability, report.standard_error, strict=True
    ):
        table.add_row(parameter, f"{value:+.3f} ± {error:.3f}")
    if report.prompt_shift:
        table.add_row("prompts easier than expected by", f"{report.prompt_shift:+.3f}")
    table.add_row("nearest known models", ", ".join(report.nearest))
    console = results()
    console.print(f"Added {report.name!r}, each figure with its standard error:", markup=False)
    console.print(table)
    console.print(f"Checkpoint: {folder}", markup=False, soft_wrap=True)
