"""`routellm adapt`: a few labels correct a router that is there already."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated

import typer

from routellm_core.cli.train import train
from routellm_core.cli.train_inputs import (
    ColumnsOption,
    ForceOption,
    QualityScaleOption,
    ReportJsonOption,
    StrictRowsOption,
)

__all__ = ["adapt"]


def adapt(
    *,
    data: Annotated[
        str,
        typer.Option(metavar="FILE", help="Outcomes or battles, as `routellm train` reads them."),
    ],
    pair: Annotated[
        tuple[str, str],
        typer.Option(metavar="STRONG WEAK", help="The two models, as the data spells them."),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where the checkpoint goes.")
    ],
    prior: Annotated[
        str,
        typer.Option(
            metavar="ROUTER",
            help="What is corrected: a registered name, a folder, or a name on the Hub.",
        ),
    ] = "mf",
    embedder: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="bundled, sentence-transformers:MODEL, litellm:MODEL, or several joined by +.",
        ),
    ] = "bundled",
    validation_share: Annotated[
        float, typer.Option(metavar="SHARE", help="How many prompts are held back at a time.")
    ] = 0.2,
    seed: Annotated[int, typer.Option(help="Of the order in which prompts are held back.")] = 0,
    leave_out: Annotated[
        list[str] | None,
        typer.Option(
            "--leave-out",
            metavar="FILE",
            help="What the router will be measured on, as for `routellm train`.",
        ),
    ] = None,
    columns: ColumnsOption = None,
    scale: QualityScaleOption = None,
    strict: StrictRowsOption = False,
    force: ForceOption = False,
    json: ReportJsonOption = False,
) -> None:
    """Correct a router by labels of your own, from a few dozen on.

    The same as `routellm train adapted`.
    """
    train(
        "adapted",
        data=data,
        pair=pair,
        out=out,
        embedder=embedder,
        validation_share=validation_share,
        seed=seed,
        setting=[f"prior={json_module.dumps(prior)}"],
        leave_out=leave_out,
        columns=columns,
        scale=scale,
        strict=strict,
        force=force,
        json=json,
    )
