"""Server-sent events of a streamed answer: cut them apart, and tell when an answer begins."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from routellm_core.monitoring.token_counts import read_usage
from routellm_core.policy import shows_something
from routellm_core.server.errors import UpstreamError

if TYPE_CHECKING:
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
    """Cut a stream of bytes into whole events.

    A blank line ends an event, and the data lines of one event are one text. Some servers end their
    events with one newline only: a data line that is a whole JSON document, or the last word, is an
    event of its own, because no data line after it could belong to it.
    """

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
            raw = data[start : end.start()]
            if _may_be_several(raw):
                events += _parted(raw)
            else:
                events.append(raw + b"\n\n")
            start = end.end()
        self._begun = data[start:]
        if self._begun and (_is_line(self._begun) or _may_be_several(self._begun)):
            events += self._begun_apart()
        if len(self._begun) > MAX_EVENT_BYTES:
            raise UpstreamError("The model sent an event without an end.", status=502)
        return events

    def _begun_apart(self) -> list[bytes]:
        """Return those of the lines so far that make events; keep what may still go on."""
        *events, last = _parted(self._begun)
        if _is_line(self._begun) and _is_whole(last):
            self._begun = b""
            return [*events, last]
        lines = self._begun.rstrip(b"\r\n")
        self._begun = last.removesuffix(b"\n\n") + self._begun[len(lines) :]
        return events

    def rest(self) -> list[bytes]:
        """Return the last events of a stream that ended without a blank line.

        What was cut off within an event is dropped.
        """
        left, self._begun = self._begun.strip(), b""
        return [raw for raw in _parted(left) if _is_whole(raw)] if left else []


def _is_line(raw: bytes) -> bool:
    return raw.endswith((b"\n", b"\r"))


def _may_be_several(raw: bytes) -> bool:
    return b"\ndata:" in raw or b"\rdata:" in raw


def _parted(raw: bytes) -> list[bytes]:
    """Return the events of lines without a blank one between them, each ended by one."""
    events: list[list[bytes]] = [[]]
    has_data = is_ended = False
    for line in filter(None, raw.splitlines()):
        is_data = line.startswith(b"data:")
        if is_ended and (is_data or line.startswith(b"event:")):
            events.append([])
            has_data = is_ended = False
        events[-1].append(line)
        if is_data and not has_data:
            has_data, is_ended = True, _is_whole(line)
    return [b"\n".join(lines) + b"\n\n" for lines in events]


def _is_whole(raw: bytes) -> bool:
    """Return whether an event is the last word, or holds a JSON document."""
    try:
        return _DONE.search(raw) is not None or isinstance(event_json(raw), (dict, list))
    except UpstreamError:
        return False


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
    >>> usage_of({"model": "m", "usage": {"prompt_tokens": 3, "completion_tokens": 5}}).model
    'm'
    """
    counts = answer.get("usage") if isinstance(answer, dict) else None
    if not isinstance(counts, dict):
        return None
    model = answer.get("model")
    return read_usage(counts, model=model if isinstance(model, str) else None)


def _choices(chunk: Any) -> list[dict[str, Any]]:
    choices = chunk.get("choices") if isinstance(chunk, dict) else None
    return [c for c in choices if isinstance(c, dict)] if isinstance(choices, list) else []
