"""Our own logs as rows: calls, and what is said of them in later lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from routellm_core.data.rows import numbered_rows
from routellm_core.errors import DataError
from routellm_core.monitoring.jsonl import log_files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from routellm_core.data.rows import RowSource

__all__ = ["LoggedNotes", "is_call_record", "is_note", "log_parts", "read_notes", "whole_prompt"]

_OF_A_RECORD = frozenset({"call_id", "decided_route", "prompt_chars"})
_KINDS = ("shadow", "outcome")


@dataclass(frozen=True, slots=True)
class LoggedNotes:
    """What a log says of calls after their records.

    Parameters
    ----------
    scores
        In [0, 1], by call: what the user said last.
    shadows
        By call: the row of the other model's answer, with its texts.
    """

    scores: Mapping[str, float] = field(default_factory=dict)
    shadows: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def is_call_record(row: Mapping[str, Any]) -> bool:
    """Return whether a row is the record of a call."""
    return row.keys() >= _OF_A_RECORD


def is_note(row: Mapping[str, Any]) -> bool:
    """Return whether a row is an outcome, or what another model answered."""
    return row.get("kind") in _KINDS and "call_id" in row


def whole_prompt(row: Mapping[str, Any]) -> str | None:
    """Return the prompt of a call's record; None where it is not there, or only its beginning."""
    prompt = row.get("prompt")
    whole = isinstance(prompt, str) and prompt.strip() and len(prompt) >= row["prompt_chars"]
    return prompt if whole else None


def log_parts(source: RowSource) -> list[RowSource]:
    """Return a log's files, the oldest first: those that rotation renamed, then the path."""
    if not isinstance(source, (str, Path)):
        return [source]
    parts = [path for path in log_files(source) if path.is_file() and path.stat().st_size]
    return list(parts) or [source]


def read_notes(source: RowSource) -> LoggedNotes | None:
    """Return what a log says of calls after their records; None where the source is no such log.

    Parameters
    ----------
    source
        A log of a `Monitor`, with the files that rotation renamed, or anything else.
    """
    scores: dict[str, float] = {}
    shadows: dict[str, Mapping[str, Any]] = {}
    is_log = False
    for row in _rows(source):
        if not is_log and not (is_call_record(row) or is_note(row)):
            return None
        is_log = True
        if not is_note(row):
            continue
        if row["kind"] == "shadow" and isinstance(row.get("answers"), Mapping):
            shadows[str(row["call_id"])] = row
        score = row.get("score")
        if isinstance(score, (int, float)) and 0.0 <= score <= 1.0:
            scores[str(row["call_id"])] = float(score)
    return LoggedNotes(scores, shadows) if is_log else None


def _rows(source: RowSource) -> Iterator[Mapping[str, Any]]:
    for part in log_parts(source):
        for _, row in numbered_rows(part):
            if not isinstance(row, DataError):
                yield row
