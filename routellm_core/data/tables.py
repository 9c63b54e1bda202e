"""Tables that one JSON object holds: by columns, by rows, or split, as pandas writes them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["rows_of_table"]

_NUMBER = re.compile(r"-?[0-9]{1,18}")
_SPEAKERS = ("role", "from", "type")


def rows_of_table(value: Any) -> list[Any] | None:
    """Return the rows of a JSON document that is one table; None for any other.

    Parameters
    ----------
    value
        What `DataFrame.to_json` writes: columns by name, each an object of values by row number
        (its default) or a list of values; an object of rows by row number ("index"); `columns` and
        `data` ("split"); `schema` and `data` ("table"). An object with one conversation, whose
        messages are a list as well, is a row and no table.

    Examples
    --------
    >>> rows_of_table({"prompt": {"0": "Hi", "1": "Bye"}, "label": {"0": 0, "1": 1}})
    [{'prompt': 'Hi', 'label': 0}, {'prompt': 'Bye', 'label': 1}]
    >>> rows_of_table({"prompt": ["Hi", "Bye"], "label": [0, 1]})
    [{'prompt': 'Hi', 'label': 0}, {'prompt': 'Bye', 'label': 1}]
    >>> rows_of_table({"messages": [{"role": "user", "content": "Hi"}]}) is None
    True
    """
    if not isinstance(value, Mapping) or not value:
        return None
    for read in (_split, _indexed, _numbered_columns, _listed_columns):
        rows = read(value)
        if rows is not None:
            return rows
    return None


def _split(value: Mapping[str, Any]) -> list[Any] | None:
    names, data = value.get("columns"), value.get("data")
    if not isinstance(data, list):
        return None
    if isinstance(value.get("schema"), Mapping) and len(value) == 2:
        return data
    if not isinstance(names, list) or not value.keys() <= {"columns", "index", "data"}:
        return None
    if not all(isinstance(cells, list) and len(cells) == len(names) for cells in data):
        return None
    return [dict(zip(map(str, names), cells, strict=True)) for cells in data]


def _indexed(value: Mapping[str, Any]) -> list[Any] | None:
    """Return rows that stand under their numbers."""
    if not all(map(_NUMBER.fullmatch, value)):
        return None
    rows = list(value.values())
    return rows if all(isinstance(row, Mapping) for row in rows) else None


def _numbered_columns(value: Mapping[str, Any]) -> list[Any] | None:
    columns = list(value.values())
    if not all(isinstance(column, Mapping) for column in columns):
        return None
    numbers = columns[0].keys()
    if any(column.keys() != numbers for column in columns):
        return None
    if not all(map(_NUMBER.fullmatch, numbers)):
        return None
    return [{name: value[name][number] for name in value} for number in numbers]


def _listed_columns(value: Mapping[str, Any]) -> list[Any] | None:
    columns = list(value.values())
    if not all(isinstance(column, list) for column in columns):
        return None
    if len({len(column) for column in columns}) > 1 or any(map(_is_conversation, columns)):
        return None
    return [dict(zip(value, cells, strict=True)) for cells in zip(*columns, strict=True)]


def _is_conversation(column: list[Any]) -> bool:
    """Return whether a list holds the messages, or the parts, of one conversation."""
    return any(isinstance(cell, Mapping) and any(n in cell for n in _SPEAKERS) for cell in column)
