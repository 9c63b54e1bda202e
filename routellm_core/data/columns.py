"""A file's own names of columns and scale of grades, and what to do where they are not ours."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from routellm_core.errors import ConfigurationError, DataError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = [
    "check_columns",
    "check_scale",
    "map_advice",
    "parse_map",
    "parse_scale",
    "renamed",
    "scale_advice",
]

_NAMES = (
    "prompt", "model", "quality", "cost", "weight", "model_a", "model_b", "winner", "score_a",
    "answer", "win_rate", "logprob", "finish_reason",
)  # fmt: skip
# What others call the columns of outcomes, and of a battle's prompt.
_OFTEN = {
    "prompt": (
        "question", "query", "input", "instruction", "request", "user_input", "user_prompt", "text",
        "task",
    ),
    "model": ("model_name", "model_id", "llm", "engine", "system"),
    "quality": (
        "score", "grade", "rating", "correct", "correctness", "is_correct", "accuracy", "reward",
        "label", "stars", "points", "mark",
    ),
}  # fmt: skip
_CONVERSATIONS = {"prompt": ("messages", "conversations", "conversation", "conversation_a")}
# Grades that people give: stars, marks, percents.
_TOPS = (5, 10, 100)


def renamed(row: Mapping[str, Any], columns: Mapping[str, str]) -> Mapping[str, Any]:
    """Return a row with its columns under our names as well.

    Parameters
    ----------
    columns
        The row's own name of a column, by ours: `{"prompt": "question"}`.
    """
    if not columns:
        return row
    return {**row, **{name: row[own] for name, own in columns.items() if own in row}}


def check_columns(row: Mapping[str, Any], columns: Mapping[str, str]) -> None:
    """Refuse columns that a row does not have.

    Raises
    ------
    DataError
        If one is missing.
    ConfigurationError
        If a name is not ours.
    """
    for name, own in columns.items():
        if name not in _NAMES:
            raise ConfigurationError(
                f"`--map` (`columns`) names {', '.join(_NAMES)}, got {name!r}."
                f"{did_you_mean(name, list(_NAMES))}"
            )
        if own not in row:
            raise DataError(
                f"No column {own!r} to read as `{name}`.{did_you_mean(own, list(map(str, row)))} "
                f"Columns of the first row: {', '.join(map(str, row))}."
            )


def map_advice(found: Iterable[Any], needed: Sequence[str]) -> str:
    """Say which columns were found, and how to name those that are needed; "" if all are there."""
    names = [str(name) for name in found]
    missing = [
        name
        for name in needed
        if name not in names and not any(each in names for each in _CONVERSATIONS.get(name, ()))
    ]
    if not missing:
        return ""
    by_name = {name.casefold(): name for name in reversed(names)}
    guesses = {
        name: next((by_name[each] for each in _OFTEN[name] if each in by_name), "COLUMN")
        for name in missing
    }
    options = " ".join(f"--map {name}={own}" for name, own in guesses.items())
    columns = ", ".join(f'"{name}": "{own}"' for name, own in guesses.items())
    return (
        f"Columns of the first row: {', '.join(names)}. If the data is there under other names, "
        f"say so: `{options}`, in Python `columns={{{columns}}}`."
    )


def parse_map(texts: Iterable[str]) -> dict[str, str]:
    """Return columns' own names by ours, from texts as "prompt=question".

    Raises
    ------
    ConfigurationError
        If a text is not of this form, or two are for one name.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, own = (part.strip() for part in text.partition("="))
        if not (name and equals and own):
            raise ConfigurationError(
                f"`--map` takes NAME=COLUMN, as prompt=question, got {text!r}."
            )
        if name in found:
            raise ConfigurationError(f"`--map` names {name!r} twice: {found[name]!r} and {own!r}.")
        found[name] = own
    return found


def parse_scale(text: str) -> tuple[float, float]:
    """Return a scale written as LOW:HIGH.

    Raises
    ------
    ConfigurationError
        If it is not two rising numbers.
    """
    low, colon, high = text.partition(":")
    try:
        found = (float(low), float(high))
    except ValueError:
        found = (math.nan, math.nan)
    if not (colon and -math.inf < found[0] < found[1] < math.inf):
        raise ConfigurationError(f"`scale` must be LOW:HIGH, as 1:5, got {text!r}.")
    return found


def check_scale(scale: tuple[float, float]) -> None:
    """Refuse a scale that is not two rising numbers.

    Raises
    ------
    ConfigurationError
        If it is none.
    """
    if not -math.inf < scale[0] < scale[1] < math.inf:
        raise ConfigurationError(f"`scale` must be two rising numbers, got {scale!r}.")


def scale_advice(lowest: float, highest: float) -> str:
    """Say on which scale qualities seem to be, and how to have them read; "" up to 1.

    Examples
    --------
    >>> scale_advice(1.0, 5.0).partition(":")[0]
    ' The qualities go from 1 to 5'
    """
    if not highest > 1.0:
        return ""
    found = f" The qualities go from {lowest:g} to {highest:g}"
    top = next((top for top in _TOPS if highest <= top), None)
    if top is None or lowest < 0.0:
        return f"{found}: name the scale, `--scale LOW:HIGH`, in Python `scale=(LOW, HIGH)`."
    low = 1 if lowest >= 1.0 else 0
    return (
        f"{found}: if they are grades from {low} to {top}, say so: `--scale {low}:{top}` for "
        f"`routellm train` and `adapt`, in Python `scale=({low}, {top})`."
    )
