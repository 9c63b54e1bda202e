"""A log of records: one JSON object per line, appended so that no crash tears another's line."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from routellm_core.data.rows import BadRowCount
from routellm_core.errors import ConfigurationError, DataError
from routellm_core.monitoring.call_notes import read_note
from routellm_core.monitoring.records import CallRecord
from routellm_core.monitoring.sinks import Sink

if TYPE_CHECKING:
    from collections.abc import Iterator

    from routellm_core.monitoring.call_notes import CallNote

__all__ = ["JsonlSink", "LogReader", "log_files"]

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
_LOOK_EVERY = 64


class JsonlSink(Sink):
    """Append records to a file, readable by its owner only.

    Each record is one write to a file opened for appending, so that several threads and processes
    may share the log, and a process that is killed leaves at most its last line unfinished. The
    next line then starts on a line of its own.

    Parameters
    ----------
    path
        The file; its folder must exist.
    max_bytes
        When the file has grown to this size it is renamed to "<name>.<time>.<process>" and a new
        one begun; None for never.
    keep
        How many renamed files are kept, at least 1.
    durable
        Whether each call writes its own record before it returns, so that not even a kill loses
        it: the default. False for a file system that may make a write wait, such as a network's:
        records are then written a moment later by a thread, and a kill loses those in between.

    Raises
    ------
    ConfigurationError
        If an argument has a value that cannot be used.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        max_bytes: int | None = 256 * 2**20,
        keep: int = 16,
        durable: bool = True,
    ) -> None:
        if max_bytes is not None and max_bytes < 1:
            raise ConfigurationError(f"`max_bytes` must be at least 1, got {max_bytes!r}.")
        if keep < 1:
            raise ConfigurationError(f"`keep` must be at least 1, got {keep!r}.")
        self.path = Path(path)
        if not self.path.absolute().parent.is_dir():
            raise ConfigurationError(f"The log's folder does not exist: {str(self.path.parent)!r}.")
        self._max_bytes = max_bytes
        self._keep = keep
        self.durable = durable
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._file: int | None = None
        self._pid = 0
        self._size = 0
        self._until_look = 0

    def __getstate__(self) -> dict[str, Any]:
        kept = ("path", "_max_bytes", "_keep", "durable")
        return {name: getattr(self, name) for name in kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._reset()

    def write(self, record: CallRecord) -> None:
        """Append one line."""
        self.append(record.to_json())

    def append(self, line: str) -> None:
        """Append a record that is a line of JSON already, without its line break."""
        raw = f"{line}\n".encode("ascii")
        with self._lock:
            try:
                file = self._open()  # may set the size
                self._size += _write(file, raw)
            except OSError:
                # A full disk leaves half a line. Opening the file again looks at its end, so that
                # the next record starts on a line of its own.
                self._close()
                raise
            if self._max_bytes is not None and self._size >= self._max_bytes:
                self._rotate()

    takes_notes = True

    def write_note(self, note: CallNote) -> None:
        """Append a note to the log."""
        self.append(note.to_json())

    def close(self) -> None:
        """Close the file; a later record opens it again."""
        with self._lock:
            self._close()

    def _open(self) -> int:
        self._until_look -= 1
        if self._file is not None and self._pid == os.getpid():
            if self._until_look > 0:
                return self._file
            self._until_look = _LOOK_EVERY
            if self._is_current(self._file):
                return self._file
            self._close()
        self._file = os.open(self.path, _FLAGS, 0o600)
        self._pid = os.getpid()
        self._until_look = _LOOK_EVERY
        self._size = os.fstat(self._file).st_size
        if self._size and not _ends_with_break(self._file):
            _write(self._file, b"\n")
        return self._file

    def _is_current(self, file: int) -> bool:
        """Return whether the path still names the open file, which another process may rename."""
        mine = os.fstat(file)
        self._size = mine.st_size
        try:
            named = os.stat(self.path)
        except FileNotFoundError:
            return False
        return (mine.st_ino, mine.st_dev) == (named.st_ino, named.st_dev)

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def _rotate(self) -> None:
        file = self._file
        if file is None or not self._is_current(file):
            self._close()
            return
        self._close()
        stamp = f"{time.time_ns():020d}.{os.getpid()}"
        try:
            os.rename(self.path, self.path.with_name(f"{self.path.name}.{stamp}"))
        except OSError:
            # Held open by another process, where the system forbids renaming such a file.
            return
        for old in log_files(self.path)[: -self._keep - 1]:
            old.unlink(missing_ok=True)


def log_files(path: str | Path) -> list[Path]:
    """Return the files of a log, oldest first: those that rotation renamed, then the path."""
    path = Path(path)
    prefix = path.name + "."
    siblings = path.absolute().parent.iterdir() if path.absolute().parent.is_dir() else iter(())
    renamed = [
        path.with_name(found.name)
        for found in siblings
        if found.name.startswith(prefix)
        and all(part.isdigit() for part in found.name[len(prefix) :].split("."))
    ]
    return [*sorted(renamed, key=lambda found: found.name), path]


class LogReader:
    """Read the records of a log, oldest file first.

    Parameters
    ----------
    path
        The log; renamed files beside it belong to it.

    Raises
    ------
    DataError
        If there is no such file.
    """

    def __init__(self, path: str | Path) -> None:
        self._files = [file for file in log_files(path) if file.is_file()]
        if not self._files:
            raise DataError(f"There is no log {str(path)!r}.")
        self.n_lines = 0
        """Lines so far that are not blank."""
        self.bad = BadRowCount()
        """Those that are no record, such as one that a crash cut off."""
        self.notes: list[CallNote] | None = None
        """What users and other models said of calls, as far as it is read; None to read past it."""

    @property
    def n_bad(self) -> int:
        """How many of the lines so far are no record."""
        return self.bad.n

    def __iter__(self) -> Iterator[CallRecord]:
        for file in self._files:
            with file.open("rb") as lines:
                for number, line in enumerate(lines, start=1):
                    if not line.strip():
                        continue
                    self.n_lines += 1
                    try:
                        yield CallRecord.from_json(line)
                    except DataError as error:
                        if not self._is_note(line):
                            self.bad.add(number, str(error))

    def _is_note(self, line: bytes) -> bool:
        """Return whether a line that is no record is a note; keep it where notes are kept."""
        try:
            note = read_note(line)
        except DataError:
            return False
        if self.notes is not None:
            self.notes.append(note)
        return True


def _write(file: int, raw: bytes) -> int:
    """Write everything, in one piece where the system takes it so; return its length."""
    done = os.write(file, raw)
    while done < len(raw):
        done += os.write(file, raw[done:])
    return done


def _ends_with_break(file: int) -> bool:
    # The next write goes to the end all the same: the file is open for appending.
    os.lseek(file, -1, os.SEEK_END)
    return os.read(file, 1) == b"\n"
