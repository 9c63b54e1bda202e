"""Rows of a table, from wherever they come, each with the line it stands on.

JSON lines, JSON arrays and CSV need the standard library only; Parquet needs pyarrow, and data
sets of the Hugging Face Hub need `datasets`.
"""

from __future__ import annotations

import csv
import json
import logging
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from routellm_core._optional import require
from routellm_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["MAX_SHOWN", "BadRow", "RowReport", "RowSource", "numbered_rows", "parse_rows"]

MAX_SHOWN = 10
"""How many bad rows a report shows."""

RowSource: TypeAlias = "str | Path | Iterable[Mapping[str, Any]]"
"""A file, the name of a data set on the Hugging Face Hub, or the rows themselves."""

_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+(:[\w.-]+)?")
_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that could not be used.

    Parameters
    ----------
    line
        Line of the file on which the row starts, from 1; for Parquet and data sets the row's
        number, from 1.
    reason
        What is wrong with it, in words.
    """

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class RowReport:
    """How many rows were read, and what was wrong with those that were not.

    Parameters
    ----------
    n_rows
        All rows, good and bad.
    n_bad
        The bad ones.
    shown
        The first `MAX_SHOWN` bad rows.
    """

    n_rows: int
    n_bad: int
    shown: tuple[BadRow, ...] = ()

    def __str__(self) -> str:
        lines = [f"{self.n_bad} of {self.n_rows} rows are bad and were left out."]
        lines += [f"  line {row.line}: {row.reason}" for row in self.shown]
        if self.n_bad > len(self.shown):
            lines.append(f"  and {self.n_bad - len(self.shown)} more")
        return "\n".join(lines)


def parse_rows(
    source: RowSource, parse: Callable[[Mapping[str, Any], int], None], *, strict: bool
) -> RowReport:
    """Give every row to `parse`, and report those that it refused.

    Parameters
    ----------
    source
        See `RowSource`.
    parse
        Takes a row and its position among all rows, from 0. It raises `DataError` for a bad row.
    strict
        Stop at the first bad row.

    Raises
    ------
    DataError
        If the source cannot be read, holds no rows or only bad ones, or `strict` met a bad row.
    """
    n_rows, n_bad, shown = 0, 0, list[BadRow]()
    for line, row in numbered_rows(source):
        try:
            if isinstance(row, DataError):
                raise row
            parse(row, n_rows)
        except DataError as error:
            if strict:
                raise DataError(f"{_name(source)}, line {line}: {error}") from error
            n_bad += 1
            if len(shown) < MAX_SHOWN:
                shown.append(BadRow(line, str(error)))
        n_rows += 1
    report = RowReport(n_rows, n_bad, tuple(shown))
    if n_rows == n_bad:
        raise DataError(
            f"{_name(source)} holds no usable row." + (f" {report}" if n_bad else " It is empty.")
        )
    if n_bad:
        _LOGGER.warning("%s: %s", _name(source), report)
    return report


def numbered_rows(source: RowSource) -> Iterator[tuple[int, Mapping[str, Any] | DataError]]:
    """Yield every row with its line number, or the error in place of a row that is none.

    Raises
    ------
    DataError
        If the source does not exist, or is of a kind that is not read.
    MissingDependencyError
        If reading its kind needs a library that is not installed.
    """
    if not isinstance(source, (str, Path)):
        yield from enumerate(map(_mapping, source), start=1)
        return
    path = Path(source)
    if path.is_dir():
        yield from enumerate(_saved_data_set(path), start=1)
    elif path.is_file():
        reader = _READERS.get(path.suffix.lower())
        if reader is None:
            raise DataError(
                f"{str(path)!r} must end in one of {', '.join(sorted(_READERS))}, "
                f"got {path.suffix!r}."
            )
        yield from reader(path)
    elif isinstance(source, str) and _HUB_NAME.fullmatch(source) and not path.suffix:
        yield from enumerate(_hub_data_set(source), start=1)
    else:
        raise DataError(
            f"{str(source)!r} is no file, no folder, and no data set's name like 'owner/name'."
        )


def _mapping(row: Any) -> Mapping[str, Any] | DataError:
    if isinstance(row, Mapping):
        return row
    return DataError(f"the row must be an object, got {type(row).__name__}.")


def _json_lines(path: Path) -> Iterator[tuple[int, Mapping[str, Any] | DataError]]:
    with path.open("rb") as file:
        for line, raw in enumerate(file, start=1):
            text = raw.removeprefix(b"\xef\xbb\xbf").strip()
            if text:
                yield line, _decoded(text)


def _decoded(text: bytes) -> Mapping[str, Any] | DataError:
    try:
        return _mapping(json.loads(text))
    except (ValueError, RecursionError) as error:
        return DataError(f"not valid JSON: {error}.")


def _json_array(path: Path) -> Iterator[tuple[int, Mapping[str, Any] | DataError]]:
    try:
        rows = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise DataError(f"{str(path)!r} is not valid JSON: {error}.") from error
    if not isinstance(rows, list):
        raise DataError(f"{str(path)!r} must hold a JSON array of rows.")
    return enumerate(map(_mapping, rows), start=1)


def _csv(path: Path) -> Iterator[tuple[int, Mapping[str, Any] | DataError]]:
    # The module's limit of 128 KiB a field is shorter than a long prompt. It is global, so it is
    # put back before anybody else runs.
    limit = csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    rows: list[tuple[int, Mapping[str, Any] | DataError]] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            start = 2
            for row in reader:
                short = None in row or None in row.values()
                rows.append((start, DataError("the number of fields is wrong.") if short else row))
                start = reader.line_num + 1
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{str(path)!r} is not readable CSV: {error}.") from error
    finally:
        csv.field_size_limit(limit)
    return iter(rows)


def _parquet(path: Path) -> Iterator[tuple[int, Mapping[str, Any] | DataError]]:
    pyarrow = require("pyarrow", extra="eval")
    parquet = require("pyarrow.parquet", extra="eval")
    try:
        with parquet.ParquetFile(path) as file:
            number = 0
            for batch in file.iter_batches(batch_size=4096):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except pyarrow.ArrowInvalid as error:
        raise DataError(f"{str(path)!r} is not readable Parquet: {error}.") from error


def _saved_data_set(folder: Path) -> Iterable[Mapping[str, Any]]:
    datasets = require("datasets", extra="eval")
    try:
        found = datasets.load_from_disk(str(folder))
    except FileNotFoundError as error:
        raise DataError(f"{str(folder)!r} is a folder, but no saved data set: {error}") from error
    return _only_split(found, str(folder))


def _hub_data_set(name: str) -> Iterable[Mapping[str, Any]]:
    datasets = require("datasets", extra="eval")
    name, _, split = name.partition(":")
    found = datasets.load_dataset(name, split=split or None)
    return _only_split(found, name)


def _only_split(found: Any, name: str) -> Iterable[Mapping[str, Any]]:
    rows: Iterable[Mapping[str, Any]] = found
    if isinstance(found, dict):
        if len(found) > 1 and "train" not in found:
            raise DataError(f"{name!r} has the splits {sorted(found)}. Name one: '{name}:SPLIT'.")
        rows = found["train" if "train" in found else next(iter(found))]
    return rows


def _name(source: RowSource) -> str:
    return repr(str(source)) if isinstance(source, (str, Path)) else "The rows"


_READERS: dict[str, Callable[[Path], Iterator[tuple[int, Mapping[str, Any] | DataError]]]] = {
    ".csv": _csv,
    ".json": _json_array,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".parquet": _parquet,
}
