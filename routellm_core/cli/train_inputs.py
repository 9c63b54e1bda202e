"""What commands that write a checkpoint from outcomes share: the folder, and how data is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from routellm_core.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["check_free", "reading_of"]


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
