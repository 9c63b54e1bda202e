"""Prompts out of what people have: files of prompts, OpenAI-format calls, LangSmith runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from routellm_core.data.messages import CONVERSATION_FIELDS, LoggedMessages, are_messages
from routellm_core.data.rows import RowReport, parse_rows, source_name
from routellm_core.errors import DataError
from routellm_core.monitoring.call_logs import is_call_record, is_note
from routellm_core.policy import read_turn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from routellm_core.data.rows import RowSource

__all__ = ["LoggedCalls", "LoggedInput", "input_of", "prompt_of", "read_logged_calls"]

_NESTED = ("body", "request", "inputs", "input", "kwargs", "data")
_TEXT_FIELDS = ("prompt", "question", "query", "input", "text", "content", "instruction")
_MAY_BE_MESSAGES = frozenset({*CONVERSATION_FIELDS, "prompt"})
# Tables hold a conversation, or a run's input, as JSON in a text.
_MAY_BE_JSON = frozenset({*_MAY_BE_MESSAGES, *_NESTED})
_READ_TOKENS = ("prompt_tokens", "input_tokens")
_WRITTEN_TOKENS = ("completion_tokens", "output_tokens")
_CHARS_PER_TOKEN = 4.0
_DEPTH = 6


@dataclass(frozen=True, slots=True, eq=False)
class LoggedCalls:
    """What n logged calls were about.

    Parameters
    ----------
    prompts
        The text that routing looks at: the last user message of a conversation.
    prompt_tokens
        Tokens read by each call, shape (n,): as logged, else a quarter of the characters.
    output_tokens
        Tokens written by each call, shape (n,); NaN where the log does not say.
    report
        What was read, and which rows were bad.
    """

    prompts: tuple[str, ...]
    prompt_tokens: NDArray[np.float64]
    output_tokens: NDArray[np.float64]
    report: RowReport

    def __len__(self) -> int:
        return len(self.prompts)


def read_logged_calls(source: RowSource, *, field: str | None = None) -> LoggedCalls:
    """Read the prompts of logged calls.

    Parameters
    ----------
    source
        A file of rows (.jsonl, .json, .csv, .tsv, .parquet), a plain text file with one prompt a
        line (.txt), each as it is or in .gz, .bz2 or .xz, a data set's name, or the rows. A row is
        one of:

        - a prompt under "prompt", "question", "query", "input", "text" or "instruction";
        - a call in OpenAI's format, with "messages", alone or inside "body" (batch files),
          "request" or "input" (proxies' logs), or in ShareGPT's, with "conversations";
        - a LangSmith run or a Langfuse observation, with "inputs" or "input" that hold messages
          or a text, LangChain's serialised messages included;
        - a record of a `Monitor` that keeps whole prompts.

        In tables, messages and inputs may be JSON in a text.
    field
        The field of the prompt, when it is another one; use dots for nested fields:
        "inputs.ticket".

    Raises
    ------
    DataError
        If the source cannot be read, or no row has a prompt.
    """
    prompts: list[str] = []
    tokens: list[tuple[float, float]] = []

    def parse(row: Mapping[str, Any], _: int) -> None:
        if is_note(row):  # of a call that has a row of its own
            return
        prompt, n_chars = prompt_of(row, field)
        prompts.append(prompt)
        read = _number(row, _READ_TOKENS)
        written = _number(row, _WRITTEN_TOKENS)
        tokens.append((n_chars / _CHARS_PER_TOKEN if np.isnan(read) else read, written))

    report = parse_rows(source, parse, strict=False)
    if not prompts:
        raise DataError(f"{source_name(source)} holds what was said of calls, and no call.")
    table = np.array(tokens, dtype=np.float64)
    return LoggedCalls(tuple(prompts), table[:, 0], table[:, 1], report)


@dataclass(frozen=True, slots=True)
class LoggedInput:
    """What a logged call was asked.

    Parameters
    ----------
    text
        What routing looks at.
    n_chars
        Characters that the call reads.
    messages
        The conversation, as logged; empty for a bare prompt.
    """

    text: str
    n_chars: int
    messages: tuple[Mapping[str, Any], ...] = ()


_NOTHING = LoggedInput("", 0)


def prompt_of(row: Mapping[str, Any], field: str | None = None) -> tuple[str, int]:
    """Return a row's prompt, and how many characters the call reads.

    Raises
    ------
    DataError
        If it has none, or a record of our own holds only its beginning.
    """
    found = input_of(row, field)
    return found.text, found.n_chars


def input_of(row: Mapping[str, Any], field: str | None = None) -> LoggedInput:
    """Return what a row was asked; see `prompt_of`."""
    found: Any = row
    if field is not None:
        for part in field.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
    if field in (None, "prompt") and is_call_record(row):
        _check_record(row)
    asked = _input_in(found, depth=0)
    if not asked.text.strip():
        where = f"under {field!r}" if field else "in a field that is known"
        raise DataError(f"the row has no prompt {where}. Its fields: {', '.join(map(str, row))}.")
    return asked


def _check_record(row: Mapping[str, Any]) -> None:
    """Refuse a call record without its whole prompt: its beginning is another prompt."""
    prompt, n_chars = row.get("prompt"), row["prompt_chars"]
    n_kept = len(prompt) if isinstance(prompt, str) else 0
    if isinstance(n_chars, int) and n_kept < n_chars:
        raise DataError(
            f"the call record holds {n_kept:,} of its prompt's {n_chars:,} characters. Log whole "
            "prompts with `Monitor(..., keep_prompt_chars=100_000)`."
        )


def _input_in(value: Any, *, depth: int) -> LoggedInput:
    """Return what a value holds; an empty text for nothing."""
    if isinstance(value, str):
        return LoggedInput(value, len(value))
    if depth > _DEPTH or not isinstance(value, (Mapping, list)):
        return _NOTHING
    if isinstance(value, list):
        return _conversation(value, depth=depth)
    for name in (*CONVERSATION_FIELDS, *_TEXT_FIELDS):
        found = value.get(name)
        if isinstance(found, list) and name in _MAY_BE_MESSAGES and found:
            return _conversation(found, depth=depth)
        if isinstance(found, str) and found.strip():
            return _decoded(found, name, depth=depth) or LoggedInput(found, len(found))
    for name in _NESTED:
        found = value.get(name)
        if isinstance(found, str):
            asked = _decoded(found, name, depth=depth) or LoggedInput(found, len(found))
        else:
            asked = _input_in(found, depth=depth + 1)
        if asked.text.strip():
            return asked
    return _NOTHING


def _decoded(text: str, name: str, *, depth: int) -> LoggedInput | None:
    """Return what JSON in a text holds; None for a text that is meant as it is.

    A user may well ask about JSON: a prompt is decoded only where it holds messages.
    """
    if name not in _MAY_BE_JSON or text.lstrip()[:1] not in ("[", "{"):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    asked = _input_in(value, depth=depth + 1)
    wraps = isinstance(value, Mapping) and name in ("inputs", "body", "request", "kwargs")
    return asked if asked.text.strip() and (are_messages(asked.messages) or wraps) else None


def _conversation(messages: list[Any], *, depth: int) -> LoggedInput:
    """Return a list of messages and its text; LangSmith wraps the list in another one."""
    if messages and isinstance(messages[0], list):
        return _input_in(messages[0], depth=depth + 1)
    kept = tuple(message for message in messages if isinstance(message, Mapping))
    if not kept:
        return _NOTHING
    turn = read_turn(kept, LoggedMessages())
    return LoggedInput(turn.text, turn.n_chars, kept)


def _number(row: Mapping[str, Any], names: Sequence[str]) -> float:
    """Return a count of tokens from a row or from its usage, or NaN."""
    response = row.get("response")
    inner = response.get("body") if isinstance(response, Mapping) else None
    places = [row, row.get("usage"), row.get("extra")]
    for outer in (response, inner, row.get("outputs")):
        if isinstance(outer, Mapping):
            places += [outer, outer.get("usage"), outer.get("usage_metadata")]
    for place in places:
        for name in names:
            value = place.get(name) if isinstance(place, Mapping) else None
            if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0:
                return float(value)
    return float("nan")
