"""Rows of a table, from wherever they come, each with the line it stands on.

JSON, CSV and plain text need the standard library only; Parquet needs pyarrow, and data
sets of the Hugging Face Hub need `datasets`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

from routellm_core._optional import require
from routellm_core.data.files import format_of, opened
from routellm_core.data.formats import TEXT_FORMATS, as_row
from routellm_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from routellm_core.data.formats import NumberedRow

__all__ = [
    "MAX_LINES", "MAX_SHOWN", "BadRowCount", "BadRows", "RowReport", "RowSource", "numbered_rows",
    "parse_rows", "row_batches", "source_name", "stream_batches",
]  # fmt: skip

MAX_SHOWN = 10
"""How many reasons a report shows."""
MAX_LINES = 5
"""How many lines it names for each."""

RowSource: TypeAlias = "str | Path | Iterable[Mapping[str, Any]]"
"""A file, the name of a data set on the Hugging Face Hub, or the rows themselves."""

_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+(:[\w.-]+)?")
_VALUE = re.compile(r", got |: ")
_ROWS_AT_ONCE = 512
_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BadRows:
    """Rows that could not be used for one reason.

    Parameters
    ----------
    reason
        What is wrong with the first of them, in words.
    lines
        The first `MAX_LINES` lines of the file on which such rows start, from 1; for Parquet and
        data sets the rows' numbers, from 1.
    n
        How many there are.
    """

    reason: str
    lines: tuple[int, ...]
    n: int

    def __str__(self) -> str:
        shown = ", ".join(map(str, self.lines))
        more = f" and {self.n - len(self.lines):,} more" if self.n > len(self.lines) else ""
        return f"line{'s' * (self.n > 1)} {shown}{more}: {self.reason}"


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
        The bad rows by reason, in order of appearance, at most `MAX_SHOWN` reasons.
    notes
        What is odd about the good rows.
    """

    n_rows: int
    n_bad: int
    shown: tuple[BadRows, ...] = ()
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = []
        if self.n_bad:
            lines.append(f"{self.n_bad:,} of {self.n_rows:,} rows are bad and were left out.")
            lines += [f"  {rows}" for rows in self.shown]
            hidden = self.n_bad - sum(rows.n for rows in self.shown)
            lines += [f"  and {hidden:,} for other reasons"] if hidden else []
        return "\n".join([*lines, *self.notes])


class BadRowCount:
    """A count of bad rows, by reason, in the memory of a few."""

    def __init__(self) -> None:
        self.n = 0
        self._kinds: dict[str, tuple[str, list[int], int]] = {}

    def add(self, line: int, reason: str) -> None:
        """Count a row. Reasons that differ only in the value they got are one."""
        self.n += 1
        kind = _VALUE.split(reason, maxsplit=1)[0]
        if kind not in self._kinds and len(self._kinds) == MAX_SHOWN:
            return
        first, lines, n = self._kinds.get(kind, (reason, [], 0))
        if len(lines) < MAX_LINES:
            lines.append(line)
        self._kinds[kind] = first, lines, n + 1

    def report(self, n_rows: int, *, notes: tuple[str, ...] = ()) -> RowReport:
        """Return what was counted, of `n_rows` good and bad rows."""
        shown = tuple(BadRows(first, tuple(ls), n) for first, ls, n in self._kinds.values())
        return RowReport(n_rows, self.n, shown, notes)


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
    n_rows, bad = 0, BadRowCount()
    for line, row in numbered_rows(source):
        try:
            if isinstance(row, DataError):
                raise row
            parse(row, n_rows)
        except DataError as error:
            if strict:
                raise DataError(f"{source_name(source)}, line {line}: {error}") from error
            bad.add(line, str(error))
        n_rows += 1
    report = bad.report(n_rows)
    if n_rows == bad.n:
        raise DataError(
            f"{source_name(source)} holds no usable row."
            + (f" {report}" if bad.n else " It is empty.")
        )
    if bad.n:
        _LOGGER.warning("%s: %s", source_name(source), report)
    return report


def numbered_rows(source: RowSource) -> Iterator[NumberedRow]:
    """Yield every row with its line number, or the error in place of a row that is none.

    Raises
    ------
    DataError
        If the source does not exist, or is of a kind that is not read.
    MissingDependencyError
        If reading its kind needs a library that is not installed.
    """
    for batch in row_batches(source):
        yield from batch


def row_batches(source: RowSource) -> Iterator[list[NumberedRow]]:
    """Yield the rows of `numbered_rows` as they arrive: lists of any length, empty ones included.

    Files of lines and CSV are read in constant memory; a JSON document is read whole.

    Raises
    ------
    DataError, MissingDependencyError
        As `numbered_rows`.
    """
    if not isinstance(source, (str, Path)):
        yield from _by_number(map(as_row, source))
        return
    path, suffix = Path(source), format_of(source)
    if path.is_dir():
        yield from _by_number(_saved_data_set(path))
    elif path.exists():
        if suffix == ".parquet":
            yield from _by_number(_parquet(path))
            return
        with opened(path) as stream:
            yield from stream_batches(stream, suffix, name=repr(str(path)))
    elif isinstance(source, str) and _HUB_NAME.fullmatch(source) and not path.suffix:
        yield from _by_number(_hub_data_set(source))
    else:
        raise DataError(
            f"{str(source)!r} is no file, no folder, and no data set's name like 'owner/name'."
        )


def stream_batches(stream: BinaryIO, suffix: str, *, name: str) -> Iterator[list[NumberedRow]]:
    """Yield the rows of a stream as they arrive.

    Parameters
    ----------
    stream
        Bytes that `decompressed` has unpacked.
    suffix
        The format, one of `TEXT_FORMATS`.
    name
        Of the stream, for messages.

    Raises
    ------
    DataError
        If the suffix is another one, or the stream is damaged.
    """
    if suffix not in TEXT_FORMATS:
        known = ", ".join(sorted([*TEXT_FORMATS, ".parquet"]))
        raise DataError(f"{name} must end in one of {known}, got {suffix!r}.")
    yield from TEXT_FORMATS[suffix](stream, name)


def _by_number(rows: Iterable[Mapping[str, Any] | DataError]) -> Iterator[list[NumberedRow]]:
    numbered = enumerate(rows, start=1)
    while batch := list(islice(numbered, _ROWS_AT_ONCE)):
        yield batch


def _parquet(path: Path) -> Iterator[Mapping[str, Any]]:
    pyarrow = require("pyarrow", extra="eval")
    parquet = require("pyarrow.parquet", extra="eval")
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=4096):
                yield from batch.to_pylist()
    except (pyarrow.ArrowInvalid, OSError) as error:
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


def source_name(source: RowSource) -> str:
    """Return how messages call a source."""
    return repr(str(source)) if isinstance(source, (str, Path)) else "The rows"
