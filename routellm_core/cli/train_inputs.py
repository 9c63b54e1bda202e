"""What commands that write a checkpoint from outcomes share: the folder, and how data is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from routellm_core.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "ColumnsOption",
    "ForceOption",
    "QualityScaleOption",
    "ReportJsonOption",
    "StrictRowsOption",
    "check_free",
    "reading_of",
]

ColumnsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        metavar="NAME=COLUMN",
        help="What FILE calls a column, as prompt=question. Repeatable.",
    ),
]
QualityScaleOption = Annotated[
    str | None,
    typer.Option(
        "--scale", metavar="LOW:HIGH", help="The scale of qualities that are grades, as 1:5."
    ),
]
StrictRowsOption = Annotated[bool, typer.Option("--strict", help="Stop at the first bad row.")]
ForceOption = Annotated[
    bool,
    typer.Option(
        "--force",
        help="Warn where the data speaks against training, and go on; replace a checkpoint.",
    ),
]
ReportJsonOption = Annotated[bool, typer.Option("--json", help="Write the report as JSON.")]


def check_free(folder: Path, *, force: bool) -> None:
    """Refuse a folder that holds something, before anything is made for it."""
    from routellm_core.checkpoints import check_target

    if folder.is_file():
        raise ConfigurationError(f"`--out` must be a folder, got the file {str(folder)!r}.")
    check_target(folder)
    if (folder / "config.json").exists() and not force:
        raise ConfigurationError(
            f"{str(folder)!r} holds a checkpoint already. Choose another folder with `--out`; "
            "`--force` replaces it."
        )


def reading_of(columns: list[str] | None, scale: str | None) -> dict[str, Any]:
    """Return how the data names its columns, and on which scale its qualities are."""
    from routellm_core.data.columns import parse_map, parse_scale

    return {
        "columns": parse_map(columns or []),
        "scale": None if scale is None else parse_scale(scale),
    }
