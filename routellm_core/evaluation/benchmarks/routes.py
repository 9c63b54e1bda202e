"""Prompts with the route that each should take, as a benchmark and as examples."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from routellm_core.data.routes import SUPERIOR, read_route
from routellm_core.data.rows import numbered_rows
from routellm_core.errors import DataError
from routellm_core.evaluation.benchmarks.base import Benchmark, LoadedBenchmark
from routellm_core.evaluation.logged_calls import prompt_of
from routellm_core.types import ModelPair

__all__ = ["LabelledPrompt", "RouteLabels", "read_labelled_prompts"]


@dataclass(frozen=True, slots=True)
class LabelledPrompt:
    """A prompt and its route.

    Parameters
    ----------
    prompt
        The prompt.
    label
        "ROUTE_TO_SUPERIOR" or "ROUTE_TO_INFERIOR".
    category
        What kind of prompt it is; "all" where the row does not say.
    """

    prompt: str
    label: str
    category: str = "all"


def read_labelled_prompts(source: str | Path) -> list[LabelledPrompt]:
    """Read rows of a prompt and its `label`, and maybe its `category`.

    Raises
    ------
    DataError
        If the source cannot be read or is empty, or a row lacks a prompt or a label.
    """
    found = []
    for line, row in numbered_rows(source):
        try:
            if isinstance(row, DataError):
                raise row
            label = read_route(str(row.get("label")))
            if label is None:
                raise DataError(
                    "`label` must be ROUTE_TO_SUPERIOR or ROUTE_TO_INFERIOR, got "
                    f"{row.get('label')!r}."
                )
            found.append(
                LabelledPrompt(prompt_of(row)[0], label, str(row.get("category") or "all"))
            )
        except DataError as error:
            raise DataError(f"{str(source)!r}, line {line}: {error}") from error
    if not found:
        raise DataError(f"{str(source)!r} is empty.")
    return found


class RouteLabels(Benchmark):
    """Prompts with a `label`, as `routellm analyze` writes them.

    The strong model's quality is 1 on every prompt, the weak model's is 0 on those labelled
    ROUTE_TO_SUPERIOR and 1 on the others. Then AUROC tells how well win rates separate the two
    labels, and PGR is the share of ROUTE_TO_SUPERIOR prompts that are sent to the strong model.
    """

    name: ClassVar[str] = "routes"

    def load(self, path: str | Path, *, pair: ModelPair | None = None) -> LoadedBenchmark:
        """Read the labels; `pair` only names the models."""
        rows = read_labelled_prompts(Path(path))
        needs_strong = np.array([row.label == SUPERIOR for row in rows])
        return LoadedBenchmark(
            name=Path(path).stem,
            pair=pair or ModelPair(strong="superior", weak="inferior"),
            prompts=tuple(row.prompt for row in rows),
            weak=1.0 - needs_strong,
            strong=np.ones(len(rows)),
            domains=tuple(row.category for row in rows),
        )
