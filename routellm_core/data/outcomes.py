"""Outcomes: how well each model answered each prompt, and at what price."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from routellm_core.data.rows import RowReport, parse_rows
from routellm_core.errors import ConfigurationError, DataError, UnknownModelError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from routellm_core.data.rows import RowSource
    from routellm_core.types import ModelPair

__all__ = ["Outcomes", "column_of", "number_field", "read_outcomes", "text_field"]


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """What each of m models made of each of n prompts.

    Parameters
    ----------
    prompts
        n different prompts, in the order in which they were first seen.
    models
        m model names, sorted.
    quality
        Shape (n, m), in [0, 1], higher is better; NaN where a model did not answer a prompt.
    cost
        Shape (n, m), US dollars a call, >= 0; NaN where it is not known.
    report
        What was read, and which rows were bad.
    """

    prompts: tuple[str, ...]
    models: tuple[str, ...]
    quality: NDArray[np.float64]
    cost: NDArray[np.float64]
    report: RowReport

    def __post_init__(self) -> None:
        shape = (len(self.prompts), len(self.models))
        for name in ("quality", "cost"):
            array = getattr(self, name)
            if array.shape != shape:
                raise ConfigurationError(f"`{name}` must have shape {shape}, got {array.shape}.")

    def __len__(self) -> int:
        return len(self.prompts)

    def select(self, rows: NDArray[Any] | Sequence[int]) -> Outcomes:
        """Return the outcomes of some prompts, by position or by mask."""
        positions = np.arange(len(self.prompts))[np.asarray(rows)]
        prompts = tuple(self.prompts[position] for position in positions)
        return Outcomes(
            prompts, self.models, self.quality[positions], self.cost[positions], self.report
        )

    def of_pair(self, pair: ModelPair) -> Outcomes:
        """Return the prompts that both models answered, with columns (strong, weak).

        Raises
        ------
        UnknownModelError
            If a model is not among `models`.
        DataError
            If no prompt was answered by both.
        """
        columns = [column_of(model, self.models) for model in (pair.strong, pair.weak)]
        quality, cost = self.quality[:, columns], self.cost[:, columns]
        both = np.flatnonzero(np.isfinite(quality).all(axis=1))
        if not both.size:
            raise DataError(f"No prompt was answered by both {pair.strong!r} and {pair.weak!r}.")
        prompts = tuple(self.prompts[row] for row in both)
        return Outcomes(prompts, (pair.strong, pair.weak), quality[both], cost[both], self.report)


def read_outcomes(source: RowSource, *, strict: bool = False) -> Outcomes:
    """Read rows of (prompt, model, quality) and, if known, cost.

    Parameters
    ----------
    source
        A file ending in .jsonl, .json, .csv or .parquet, the name of a data set on the Hugging
        Face Hub, or the rows themselves. `quality` lies in [0, 1], true and false included;
        `cost` is in US dollars. Several rows of one prompt and model are averaged.
    strict
        Stop at the first bad row instead of leaving bad rows out.

    Raises
    ------
    DataError
        If the source cannot be read, or holds no usable row, or `strict` met a bad row.

    Examples
    --------
    >>> rows = [{"prompt": "1+1?", "model": "big", "quality": 1, "cost": 0.01},
    ...         {"prompt": "1+1?", "model": "small", "quality": 0.5}]
    >>> read_outcomes(rows).quality
    array([[1. , 0.5]])
    """
    cells: dict[tuple[str, str], list[tuple[float, float]]] = {}

    def parse(row: Mapping[str, Any], _: int) -> None:
        prompt, model = text_field(row, "prompt"), text_field(row, "model")
        quality = number_field(row, "quality", low=0.0, high=1.0)
        missing = row.get("cost") in (None, "")
        cost = math.nan if missing else number_field(row, "cost", low=0.0, high=math.inf)
        cells.setdefault((prompt, model), []).append((quality, cost))

    report = parse_rows(source, parse, strict=strict)
    prompts = tuple(dict.fromkeys(prompt for prompt, _ in cells))
    models = tuple(sorted({model for _, model in cells}))
    rows_of = {prompt: row for row, prompt in enumerate(prompts)}
    columns_of = {model: column for column, model in enumerate(models)}
    quality = np.full((len(prompts), len(models)), np.nan)
    cost = quality.copy()
    for (prompt, model), values in cells.items():
        cell = rows_of[prompt], columns_of[model]
        quality[cell] = np.mean([value for value, _ in values])
        known = [value for _, value in values if not math.isnan(value)]
        cost[cell] = np.mean(known) if known else math.nan
    return Outcomes(prompts, models, quality, cost, report)


def column_of(model: str, models: Sequence[str]) -> int:
    """Return a model's position.

    Raises
    ------
    UnknownModelError
        If it is not among the models.
    """
    try:
        return list(models).index(model)
    except ValueError:
        raise UnknownModelError(
            f"Unknown model {model!r}.{did_you_mean(model, list(models))} "
            f"Known models: {', '.join(models)}."
        ) from None


def text_field(row: Mapping[str, Any], name: str) -> str:
    """Return a field that must be a text with something in it.

    Raises
    ------
    DataError
        If it is missing, no text, or blank.
    """
    value = row.get(name)
    if not isinstance(value, str):
        found = "nothing" if value is None else type(value).__name__
        raise DataError(f"`{name}` must be a text, got {found}.")
    if not value.strip():
        raise DataError(f"`{name}` is blank.")
    return value


def number_field(row: Mapping[str, Any], name: str, *, low: float, high: float) -> float:
    """Return a field that must be a number in [low, high]; true is 1 and false is 0.

    Raises
    ------
    DataError
        If it is missing, no number, or outside.
    """
    value = row.get(name)
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        value = value.strip().lower() == "true"
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise DataError(f"`{name}` must be a number, got {value!r}.") from None
    if not low <= number <= high or math.isinf(number):
        raise DataError(f"`{name}` must lie in [{low}, {high}], got {value!r}.")
    return number
