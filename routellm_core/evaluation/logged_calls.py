"""Prompts out of what people have: files of prompts, OpenAI-format calls, LangSmith runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from routellm_core.data.rows import RowReport, parse_rows
from routellm_core.errors import DataError
from routellm_core.policy import read_turn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from routellm_core.data.rows import RowSource
    from routellm_core.policy import Role
    from routellm_core.types import Modality

__all__ = ["LoggedCalls", "read_logged_calls"]

_PLAIN = {".txt", ".text", ".log"}
_NESTED = ("body", "request", "inputs", "input", "kwargs", "data")
_TEXT_FIELDS = ("prompt", "question", "query", "input", "text", "content", "instruction")
_READ_TOKENS = ("prompt_tokens", "input_tokens")
_WRITTEN_TOKENS = ("completion_tokens", "output_tokens")
_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "humanmessage": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "aimessage": "assistant",
    "tool": "tool",
    "function": "tool",
    "toolmessage": "tool",
    "systemmessage": "system",
}
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
        A file of rows (.jsonl, .json, .csv, .parquet), a plain text file with one prompt a line
        (.txt), a data set's name, or the rows. A row is one of:

        - a prompt under "prompt", "question", "query", "input", "text" or "instruction";
        - a call in OpenAI's format, with "messages", alone or inside "body" (batch files),
          "request" or "input" (proxies' logs);
        - a LangSmith run, with "inputs" that hold messages or a text, LangChain's serialised
          messages included.
    field
        The field of the prompt, when it is another one; dots go down: "inputs.ticket".

    Raises
    ------
    DataError
        If the source cannot be read, or no row has a prompt.
    """
    prompts: list[str] = []
    tokens: list[tuple[float, float]] = []

    def parse(row: Mapping[str, Any], _: int) -> None:
        prompt, n_chars = _prompt(row, field)
        prompts.append(prompt)
        read = _number(row, _READ_TOKENS)
        written = _number(row, _WRITTEN_TOKENS)
        tokens.append((n_chars / _CHARS_PER_TOKEN if np.isnan(read) else read, written))

    if isinstance(source, (str, Path)) and Path(source).suffix.lower() in _PLAIN:
        report = _plain_text(Path(source), parse)
    else:
        report = parse_rows(source, parse, strict=False)
    table = np.array(tokens, dtype=np.float64)
    return LoggedCalls(tuple(prompts), table[:, 0], table[:, 1], report)


def _plain_text(path: Path, parse: Any) -> RowReport:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{str(path)!r} cannot be read: {error}.") from error
    filled = [line for line in lines if line.strip()]
    if not filled:
        raise DataError(f"{str(path)!r} holds no prompts.")
    for index, line in enumerate(filled):
        parse({"prompt": line}, index)
    return RowReport(len(filled), 0)


def _prompt(row: Mapping[str, Any], field: str | None) -> tuple[str, int]:
    """Return a row's prompt, and how many characters the call reads."""
    found: Any = row
    if field is not None:
        for part in field.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
    text, n_chars = _text_in(found, depth=0)
    if not text.strip():
        where = f"under {field!r}" if field else "in a field that is known"
        raise DataError(f"the row has no prompt {where}. Its fields: {', '.join(map(str, row))}.")
    return text, n_chars


def _text_in(value: Any, *, depth: int) -> tuple[str, int]:
    """Return the text to route that a value holds, and all its characters; "" for none."""
    if isinstance(value, str):
        return value, len(value)
    if depth > _DEPTH or not isinstance(value, (Mapping, list)):
        return "", 0
    if isinstance(value, list):
        return _conversation(value, depth=depth)
    messages = value.get("messages")
    if isinstance(messages, list) and messages:
        return _conversation(messages, depth=depth)
    for name in _TEXT_FIELDS:
        if isinstance(value.get(name), str) and value[name].strip():
            return value[name], len(value[name])
    for name in _NESTED:
        text, n_chars = _text_in(value.get(name), depth=depth + 1)
        if text.strip():
            return text, n_chars
    return "", 0


def _conversation(messages: list[Any], *, depth: int) -> tuple[str, int]:
    """Return what of a list of messages is routed; LangSmith wraps the list in another one."""
    if messages and isinstance(messages[0], list):
        return _text_in(messages[0], depth=depth + 1)
    kept = [message for message in messages if isinstance(message, Mapping)]
    if not kept:
        return "", 0
    turn = read_turn(kept, _LoggedMessages())
    return turn.text, turn.n_chars


class _LoggedMessages:
    """Read messages as OpenAI, LangChain and LangSmith write them."""

    def role(self, message: Mapping[str, Any]) -> Role:
        stated = message.get("role") or message.get("type") or ""
        if stated in ("constructor", ""):
            names = message.get("id")
            stated = names[-1] if isinstance(names, list) and names else ""
        return _ROLES.get(str(stated).lower(), "assistant")

    def text(self, message: Mapping[str, Any]) -> str:
        content = self._content(message)
        if isinstance(content, str):
            return content
        blocks: Sequence[Any] = content if isinstance(content, list) else ()
        texts = [
            block if isinstance(block, str) else block.get("text")
            for block in blocks
            if isinstance(block, (str, Mapping))
        ]
        return "\n".join(text for text in texts if isinstance(text, str))

    def modalities(self, message: Mapping[str, Any]) -> frozenset[Modality]:  # noqa: ARG002
        return frozenset()

    def record(self, message: Mapping[str, Any]) -> None:  # noqa: ARG002
        return None

    def _content(self, message: Mapping[str, Any]) -> Any:
        for inner in ("kwargs", "data"):
            if "content" not in message and isinstance(message.get(inner), Mapping):
                return message[inner].get("content")
        return message.get("content")


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
