"""Rows out of text: JSON lines, JSON documents, CSV, and plain lines of one prompt each."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Mapping
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

from routellm_core.data.files import line_batches, text_file, undecodable
from routellm_core.data.tables import rows_of_table
from routellm_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["TEXT_FORMATS", "NumberedRow", "as_row"]

NumberedRow: TypeAlias = "tuple[int, Mapping[str, Any] | DataError]"
"""A row and the line it starts on, from 1; the error in place of a row that is none."""

_CSV_ROWS_AT_ONCE = 512
_NESTED = re.compile(r'\s*\{\s*"(?:[^"\\]|\\.){0,200}"\s*:\s*[\[{]')
_BETWEEN_VALUES = re.compile(r"[\s,]*")


def as_row(value: Any) -> Mapping[str, Any] | DataError:
    """Return a value that is a row, or the error that it is none."""
    if isinstance(value, Mapping):
        return value
    return DataError(f"the row must be an object, got {type(value).__name__}.")


def _plain_rows(stream: BinaryIO, name: str) -> Iterator[list[NumberedRow]]:
    number = 0
    for lines in line_batches(stream, name=name):
        yield [
            (line, _undecoded(text) or {"prompt": text})
            for line, text in enumerate(lines, number + 1)
            if text.strip()
        ]
        number += len(lines)


def _json_rows(stream: BinaryIO, name: str) -> Iterator[list[NumberedRow]]:
    """Yield rows of JSON lines as they arrive, or of one document, which is read whole.

    The first line tells them apart: what it begins and does not end is a document, an array of
    rows or rows that are spread over several lines. An object that is all of the file may be a
    table, see `rows_of_table`; its rows are counted from 1.
    """
    batches = line_batches(stream, name=name)
    begun: list[list[str]] = []
    for lines in batches:
        begun.append(lines)
        first = next((line for line in lines if line.strip()), None)
        if first is not None:
            if _begins_a_document(first):
                begun += batches
                rows = _document_rows("\n".join(chain.from_iterable(begun)))
                if rows is not None:
                    table = _table_rows(rows)
                    yield rows if table is None else table
                    return
            elif _may_be_a_table(first):
                # Only the end of the file tells it from the first of many rows.
                begun += _up_to_the_next_row(batches, begun)
                table = _table_of(begun)
                if table is not None:
                    yield table
                    return
            break
    number = 0
    for lines in chain(begun, batches):
        yield [
            (line, _undecoded(text) or _decoded(text))
            for line, text in enumerate(lines, number + 1)
            if text.strip()
        ]
        number += len(lines)


def _may_be_a_table(line: str) -> bool:
    """Return whether a line is an object whose first value is an object or a list."""
    return _NESTED.match(line) is not None and rows_of_table(_loaded(line)) is not None


def _up_to_the_next_row(
    batches: Iterator[list[str]], begun: Iterable[list[str]]
) -> Iterator[list[str]]:
    """Yield batches until there are two rows."""
    n_rows = sum(bool(line.strip()) for lines in begun for line in lines)
    while n_rows < 2 and (lines := next(batches, None)) is not None:
        yield lines
        n_rows += sum(bool(line.strip()) for line in lines)


def _table_of(begun: Iterable[list[str]]) -> list[NumberedRow] | None:
    """Return the rows of the table that a file of one line is; None if it is none."""
    lines = [line for line in chain.from_iterable(begun) if line.strip()]
    if len(lines) != 1 or undecodable(lines[0]):
        return None
    return _table_rows([(1, as_row(_loaded(lines[0])))])


def _table_rows(rows: list[NumberedRow]) -> list[NumberedRow] | None:
    """Return the rows of the table that is all of a file, numbered from 1."""
    table = rows_of_table(rows[0][1]) if len(rows) == 1 else None
    if table is None:
        return None
    return [(number, as_row(row)) for number, row in enumerate(table, start=1)]


def _loaded(text: str) -> Any:
    """Return the value of a JSON text; None where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _begins_a_document(line: str) -> bool:
    """Return whether a line is an array, or the beginning of a value that goes on after it."""
    if line.lstrip().startswith("["):
        return True
    try:
        json.loads(line)
    except json.JSONDecodeError as error:
        return error.pos >= len(line.rstrip())
    except (ValueError, RecursionError):
        pass
    return False


def _document_rows(text: str) -> list[NumberedRow] | None:
    """Return the elements of a JSON array, or values one after another; None if it is neither."""
    decoder = json.JSONDecoder()
    position = len(text) - len(text.lstrip())
    is_array = text.startswith("[", position)
    position += is_array
    rows: list[NumberedRow] = []
    line, counted = 1, 0
    while True:
        match = _BETWEEN_VALUES.match(text, position)
        position = match.end() if match else position
        if position == len(text) or (is_array and text[position] == "]"):
            break
        line, counted = line + text.count("\n", counted, position), position
        try:
            value, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            return None
        rows.append((line, as_row(value)))
    closed = position < len(text) and not text[position + 1 :].strip()
    return rows if closed == is_array else None


def _decoded(text: str) -> Mapping[str, Any] | DataError:
    try:
        return as_row(json.loads(text))
    except RecursionError:
        return DataError("not valid JSON: nested too deeply.")
    except ValueError as error:
        return DataError(f"not valid JSON: {error}.")


def _csv_rows(stream: BinaryIO, name: str) -> Iterator[list[NumberedRow]]:
    rows = _numbered_csv(stream, name)
    while batch := list(islice(rows, _CSV_ROWS_AT_ONCE)):
        yield batch


def _numbered_csv(stream: BinaryIO, name: str) -> Iterator[NumberedRow]:
    file = text_file(stream, name=name)
    try:
        header = file.readline()
        reader = csv.reader(chain([header], file), delimiter=_delimiter(header))
        names = [cell.strip() for cell in _next_row(reader) or []]
        start = 2
        while (cells := _next_row(reader)) is not None:
            if cells:
                yield start, _csv_row(names, cells)
            start = reader.line_num + 1
    except (csv.Error, UnicodeDecodeError, OSError, EOFError) as error:
        raise DataError(f"{name} is not readable CSV: {error}.") from error
    finally:
        file.detach()


def _next_row(reader: Any) -> list[str] | None:
    # The module's limit of 128 KiB a field is shorter than a long prompt. It is global, so it is
    # put back before anybody else runs.
    limit = csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    try:
        return next(reader, None)
    finally:
        csv.field_size_limit(limit)


def _csv_row(names: list[str], cells: list[str]) -> Mapping[str, Any] | DataError:
    if len(cells) != len(names):
        return DataError(
            f"the number of fields is wrong: the header has {len(names)}, got {len(cells)}."
        )
    return _undecoded("\n".join(cells)) or dict(zip(names, cells, strict=True))


def _delimiter(header: str) -> str:
    """Return what separates a header's names: a comma, or what spreadsheets write elsewhere."""
    return max(",;\t", key=header.count)


def _undecoded(text: str) -> DataError | None:
    fault = undecodable(text)
    return DataError(f"{fault}.") if fault else None


TEXT_FORMATS: dict[str, Callable[[BinaryIO, str], Iterable[list[NumberedRow]]]] = {
    ".csv": _csv_rows,
    ".json": _json_rows,
    ".jsonl": _json_rows,
    ".log": _plain_rows,
    ".ndjson": _json_rows,
    ".text": _plain_rows,
    ".tsv": _csv_rows,
    ".txt": _plain_rows,
}
"""By suffix: from a stream and its name to batches of rows."""
