"""Outcomes: how well each model answered each prompt, and at what price."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from routellm_core._numbers import bad_number
from routellm_core.data.columns import check_scale, renamed, scale_advice
from routellm_core.data.messages import prompt_field
from routellm_core.data.rows import RowReport, parse_rows, source_name
from routellm_core.errors import ConfigurationError, DataError, UnknownModelError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from routellm_core.data.rows import RowSource
    from routellm_core.types import ModelPair

__all__ = [
    "Outcomes",
    "check_names",
    "column_of",
    "model_field",
    "number_field",
    "read_outcomes",
    "sameness",
    "text_field",
]

_LOGGER = logging.getLogger(__name__)

# A few qualities above 1 are bad rows; more of them are another scale.
_FEW = 5
_SAME = 1e-12


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
        bad = bad_number(self.quality, low=0.0, high=1.0, nan=True)
        if bad:
            raise ConfigurationError(f"`quality` must lie in [0, 1] or be NaN, got {bad}.")
        bad = bad_number(self.cost, low=0.0, nan=True)
        if bad:
            raise ConfigurationError(f"`cost` must be at least 0 or NaN, got {bad}.")

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


def read_outcomes(
    source: RowSource,
    *,
    strict: bool = False,
    columns: Mapping[str, str] | None = None,
    scale: tuple[float, float] | None = None,
    also: Callable[[str, str, Mapping[str, Any]], None] | None = None,
) -> Outcomes:
    """Read rows of (prompt, model, quality) and, if known, cost.

    Parameters
    ----------
    source
        A file ending in .jsonl, .json, .csv, .tsv or .parquet, the name of a data set on the
        Hugging Face Hub, or the rows themselves. `quality` lies in [0, 1], true and false
        included; `cost` is in US dollars. Several rows of one prompt and model are averaged, by
        their `weight` above 0 where they have one, else 1. Where there is no `prompt`, the last
        user message of `messages` or `conversations` is.
    strict
        Stop at the first bad row instead of leaving bad rows out.
    columns
        The source's own names of columns, by ours: `{"prompt": "question"}`.
    scale
        The lowest and the highest quality, where they are grades: (1, 5) makes 1 a 0 and 5 a 1. By
        default (0, 1).
    also
        Reads further fields: called with the prompt, the model and the row of each answer whose
        own fields are good. A `DataError` makes the row a bad one.

    Raises
    ------
    DataError
        If the source cannot be read, or holds no usable row, or `strict` met a bad row, or the
        qualities are on another scale, or two models' names differ in case only.
    ConfigurationError
        If the scale is not two rising numbers.

    Examples
    --------
    >>> rows = [{"prompt": "1+1?", "model": "big", "quality": 1, "cost": 0.01},
    ...         {"prompt": "1+1?", "model": "small", "quality": 0.5}]
    >>> read_outcomes(rows).quality
    array([[1. , 0.5]])
    """
    cells: dict[tuple[str, str], list[_Cell]] = {}
    low, high = (0.0, 1.0) if scale is None else scale
    check_scale((low, high))
    too_high: list[float] = []
    lowest = math.inf

    def parse(row: Mapping[str, Any], _: int) -> None:
        nonlocal lowest
        row = renamed(row, columns or {})
        prompt, model = prompt_field(row), model_field(row, "model")
        try:
            grade = number_field(row, "quality", low=low, high=high)
        except DataError:
            if scale is None:
                too_high.extend(_beyond_one(row.get("quality")))
            raise
        lowest = min(lowest, grade)
        quality = (grade - low) / (high - low)
        cost = _optional(row, "cost", math.nan)
        weight = _optional(row, "weight", 1.0)
        if weight == 0.0:
            raise DataError("`weight` must be above 0, got 0: leave the row out.")
        if also is not None:
            also(prompt, model, row)
        cells.setdefault((prompt, model), []).append(_Cell(quality, cost, weight))

    try:
        report = parse_rows(source, parse, strict=strict)
    except DataError as error:
        raise DataError(f"{error}{_scale_advice(lowest, too_high)}") from error
    n_good = report.n_rows - report.n_bad
    if len(too_high) > n_good or len(too_high) >= max(_FEW, report.n_rows / 10):
        raise DataError(
            f"{source_name(source)} has {len(too_high):,} qualities above 1 beside {n_good:,} in "
            f"[0, 1].{_scale_advice(lowest, too_high)}"
        )
    outcomes = _table(cells, report)
    for note in outcomes.report.notes:
        _LOGGER.warning("%s: %s", source_name(source), note)
    return outcomes


class _Cell(NamedTuple):
    """A row's figures."""

    quality: float
    cost: float
    weight: float


def _optional(row: Mapping[str, Any], name: str, default: float) -> float:
    if row.get(name) in (None, ""):
        return default
    return number_field(row, name, low=0.0, high=math.inf)


def _table(cells: Mapping[tuple[str, str], list[_Cell]], report: RowReport) -> Outcomes:
    prompts = tuple(dict.fromkeys(prompt for prompt, _ in cells))
    models = check_names({model for _, model in cells})
    rows_of = {prompt: row for row, prompt in enumerate(prompts)}
    columns_of = {model: column for column, model in enumerate(models)}
    quality = np.full((len(prompts), len(models)), np.nan)
    cost = quality.copy()
    n_conflicts = 0
    for (prompt, model), values in cells.items():
        cell = rows_of[prompt], columns_of[model]
        qualities = [value.quality for value in values]
        n_conflicts += len(set(qualities)) > 1
        quality[cell] = np.average(qualities, weights=[value.weight for value in values])
        known = [value.cost for value in values if not math.isnan(value.cost)]
        cost[cell] = np.mean(known) if known else math.nan
    if n_conflicts:
        conflicts = (
            f"{n_conflicts:,} answers were given different qualities in several rows of one prompt "
            "and model: their mean is taken."
        )
        report = replace(report, notes=(*report.notes, conflicts))
    return Outcomes(prompts, models, quality, cost, report)


def _beyond_one(value: Any) -> list[float]:
    """Return a quality that is a number above 1, or nothing."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return []
    return [number] if 1.0 < number < math.inf else []


def _scale_advice(lowest: float, too_high: Sequence[float]) -> str:
    """Return what to do about qualities on another scale; "" where none is above 1."""
    return scale_advice(min(lowest, *too_high), max(too_high)) if too_high else ""


def check_names(models: Iterable[str]) -> tuple[str, ...]:
    """Return model names in order.

    Raises
    ------
    DataError
        If two differ in nothing but case, so that one model may be spelt in two ways.
    """
    ordered = tuple(sorted(models))
    seen: dict[str, str] = {}
    for model in ordered:
        other = seen.setdefault(model.casefold(), model)
        if other != model:
            raise DataError(
                f"Are {other!r} and {model!r} one model? The data holds both. Spell it in one way, "
                "or give two models names that differ in more than case."
            )
    return ordered


def column_of(model: str, models: Sequence[str]) -> int:
    """Return a model's position.

    Raises
    ------
    UnknownModelError
        If it is not among the models.
    """
    try:
        return list(models).index(model.strip())
    except ValueError:
        raise UnknownModelError(
            f"Unknown model {model!r}.{did_you_mean(model, list(models))} "
            f"Known models: {', '.join(models)}."
        ) from None


def sameness(differences: NDArray[np.float64], pair: ModelPair) -> str | None:
    """Return a sentence on two models that differ by the same everywhere; None for any others.

    Parameters
    ----------
    differences
        Shape (n,): the strong model's quality minus the weak one's, on any scale, by prompt.
    pair
        The two.

    Examples
    --------
    >>> from routellm_core import ModelPair
    >>> print(sameness(np.zeros(3), ModelPair(strong="big", weak="small")))
    'big' and 'small' are equally good on all 3 prompts that both answered.
    """
    if not len(differences) or float(np.ptp(differences)) > _SAME:
        return None
    strong, weak, all_prompts = pair.strong, pair.weak, f"all {len(differences)} prompts"
    if abs(differences[0]) <= _SAME:
        return f"{strong!r} and {weak!r} are equally good on {all_prompts} that both answered."
    better, worse = (strong, weak) if differences[0] > 0.0 else (weak, strong)
    return (
        f"{strong!r} and {weak!r} differ by the same on {all_prompts} that both answered: "
        f"{better!r} is always better than {worse!r}."
    )


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


def model_field(row: Mapping[str, Any], name: str) -> str:
    """Return a model's name, without the blanks around it.

    Raises
    ------
    DataError
        If it is missing, no text, or blank.
    """
    return text_field(row, name).strip()


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
    if math.isnan(number):
        raise DataError(f"`{name}` must be a number, got {value!r}: leave the row out.")
    if not low <= number <= high or math.isinf(number):
        raise DataError(f"`{name}` must lie in [{low}, {high}], got {value!r}.")
    return number
