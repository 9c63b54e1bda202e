"""Server-sent events of a streamed answer: cut them apart, and tell when an answer begins."""

from __future__ import annotations

import json
import re
from typing import Any

from routellm_core.server.errors import UpstreamError, reported_error
from routellm_core.types import Usage

__all__ = [
    "DONE",
    "EventSplitter",
    "begins_answer",
    "event",
    "event_json",
    "is_last",
    "usage_in",
    "usage_of",
]

DONE = b"data: [DONE]\n\n"
"""The event that ends a whole answer."""

MAX_EVENT_BYTES = 8 * 2**20
"""A longer event is not waited for."""

_END = re.compile(rb"\r?\n\r?\n|\r\r")
_FINISH = re.compile(rb'"finish_reason"\s*:\s*"')


class EventSplitter:
    """Cut a stream of bytes into whole events."""

    __slots__ = ("_begun",)

    def __init__(self) -> None:
        self._begun = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the events that are complete now, each ended by one blank line.

        Raises
        ------
        UpstreamError
            If an event never ends.
        """
        data = self._begun + data if self._begun else data
        events: list[bytes] = []
        start = 0
        for end in _END.finditer(data):
            events.append(data[start : end.start()] + b"\n\n")
            start = end.end()
        self._begun = data[start:]
        if len(self._begun) > MAX_EVENT_BYTES:
            raise UpstreamError("The model sent an event without an end.", status=502)
        return events


def event(value: Any) -> bytes:
    """Return an event with a JSON value."""
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def event_json(raw: bytes) -> Any:
    """Return what an event says; None for a comment, and for the last one.

    Raises
    ------
    UpstreamError
        If it says something that is not JSON.
    """
    lines = (line for line in raw.splitlines() if line.startswith(b"data:"))
    data = b"\n".join(line[5:].strip() for line in lines)
    if not data or data == b"[DONE]":
        return None
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise UpstreamError("The model streamed something that is not JSON.", status=502) from None


def begins_answer(chunk: Any) -> bool:
    """Return whether a chunk says more than who speaks: content, a call of a tool, or an end.

    Raises
    ------
    UpstreamError
        If the chunk is an error.

    Examples
    --------
    >>> begins_answer({"choices": [{"delta": {"role": "assistant", "content": ""}}]})
    False
    >>> begins_answer({"choices": [{"delta": {"content": "Hi"}}]})
    True
    """
    error = reported_error(chunk)
    if error is not None:
        raise UpstreamError(
            f"The model failed: {error.get('message')}",
            status=502,
            code=error["code"] if isinstance(error.get("code"), str) else None,
        )
    choices = chunk.get("choices") if isinstance(chunk, dict) else None
    for choice in choices if isinstance(choices, list) else ():
        if not isinstance(choice, dict):
            continue
        delta = choice.get("delta")
        said = delta.items() if isinstance(delta, dict) else ()
        if choice.get("finish_reason") or any(v for name, v in said if name != "role"):
            return True
    return False


def is_last(block: bytes) -> bool:
    """Return whether a block of events holds a choice's end, after which nothing is missing."""
    return _FINISH.search(block) is not None


def usage_of(answer: Any) -> Usage | None:
    """Return what an answer or a chunk says it used, and its model; None when it does not say.

    Examples
    --------
    >>> usage_of({"model": "m", "usage": {"prompt_tokens": 3, "completion_tokens": 5}})
    Usage(input_tokens=3, output_tokens=5, model='m')
    """
    counts = answer.get("usage") if isinstance(answer, dict) else None
    if not isinstance(counts, dict):
        return None
    read, written = counts.get("prompt_tokens"), counts.get("completion_tokens")
    if not (isinstance(read, int) and isinstance(written, int)):
        return None
    model = answer.get("model")
    return Usage(read, written, model if isinstance(model, str) else None)


def usage_in(block: bytes) -> Usage | None:
    """Return the usage that a block of events holds; None for most blocks, at little cost."""
    if b'"prompt_tokens"' not in block:
        return None
    found = None
    for raw in block.split(b"\n\n"):
        if b'"prompt_tokens"' in raw:
            found = usage_of(event_json(raw)) or found
    return found
