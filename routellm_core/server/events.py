"""Server-sent events of a streamed answer: cut them apart, and tell when an answer begins."""

from __future__ import annotations

import json
import re
from typing import Any

from routellm_core.policy import shows_something
from routellm_core.server.errors import UpstreamError
from routellm_core.types import Usage

__all__ = [
    "DONE",
    "EventSplitter",
    "StreamProgress",
    "adds_blanks",
    "begins_answer",
    "event",
    "event_json",
    "usage_of",
]

DONE = b"data: [DONE]\n\n"
"""The event that ends a whole answer."""

MAX_EVENT_BYTES = 8 * 2**20
"""A longer event is not waited for."""

_END = re.compile(rb"\r?\n\r?\n|\r\r")
_FINISH = re.compile(rb'"finish_reason"\s*:\s*"[^"]')
_UNFINISHED = frozenset({"", "none", "null"})
"""What servers write for a reason while there is none; DashScope's says "null"."""
_DONE = re.compile(rb"^data:[ \t]*\[DONE\][ \t]*$", re.MULTILINE)


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

    def rest(self) -> bytes:
        """Return the last event of a stream that ended without a blank line; b"" for none.

        What was cut off within an event is dropped.
        """
        left, self._begun = self._begun.strip(), b""
        if not left:
            return b""
        try:
            whole = _DONE.search(left) is not None or event_json(left) is not None
        except UpstreamError:
            return b""
        return left + b"\n\n" if whole else b""


class StreamProgress:
    """Follow the blocks of events of one streamed answer, and tell how it ended.

    Parameters
    ----------
    n_choices
        How many answers were asked for.
    """

    __slots__ = ("_finished", "_n_choices", "done", "finish_reason", "usage")

    def __init__(self, n_choices: int = 1) -> None:
        self.done = False
        """Whether the model said that nothing follows."""
        self.finish_reason: str | None = None
        """Why the latest choice to end did so."""
        self.usage: Usage | None = None
        """What the answer used, as far as it was told."""
        self._n_choices = n_choices
        self._finished: set[Any] = set()

    @property
    def complete(self) -> bool:
        """Whether nothing is missing: the model said so, or every choice has its end."""
        return self.done or len(self._finished) >= self._n_choices

    def read(self, block: bytes) -> bytes:
        """Note what a block says; return it without what follows the end."""
        end = _DONE.search(block)
        if end is not None:
            self.done = True
            block = block[: end.start()] + DONE
        # Most blocks hold a few words and none of these, and are not parsed.
        if b'"prompt_tokens"' in block or _FINISH.search(block):
            for raw in block.split(b"\n\n"):
                self._note(event_json(raw))
        return block

    def _note(self, chunk: Any) -> None:
        self.usage = usage_of(chunk) or self.usage
        for choice in _choices(chunk):
            reason = str(choice.get("finish_reason") or "").strip()
            if reason.lower() not in _UNFINISHED:
                self._finished.add(choice.get("index"))
                self.finish_reason = reason


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
    """Return whether a chunk says more than who speaks: words, thoughts, or a call of a tool.

    Examples
    --------
    >>> begins_answer({"choices": [{"delta": {"role": "assistant", "content": ""}}]})
    False
    >>> begins_answer({"choices": [{"delta": {"content": "Hi"}}]})
    True
    """
    return any(map(shows_something, _added(chunk)))


def adds_blanks(chunk: Any) -> bool:
    r"""Return whether a chunk adds anything to an answer, be it only blanks.

    Examples
    --------
    >>> adds_blanks({"choices": [{"delta": {"role": "assistant", "content": "\n"}}]})
    True
    """
    return any(_added(chunk))


def _added(chunk: Any) -> list[Any]:
    deltas = [choice.get("delta") for choice in _choices(chunk)]
    return [
        value
        for delta in deltas
        if isinstance(delta, dict)
        for name, value in delta.items()
        if name != "role"
    ]


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


def _choices(chunk: Any) -> list[dict[str, Any]]:
    choices = chunk.get("choices") if isinstance(chunk, dict) else None
    return [c for c in choices if isinstance(c, dict)] if isinstance(choices, list) else []
