"""Read prompts, as many as there are, in the memory of a few."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from routellm_core.errors import PromptError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["BadLine", "NumberedPrompt", "PromptReader", "json_field", "plain_text"]

_CHUNK_BYTES = 256 * 1024
_REMEMBERED = 10


@dataclass(frozen=True, slots=True)
class NumberedPrompt:
    """A prompt and the line it stands in, counted from 1."""

    line: int
    text: str


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that holds no prompt, counted from 1, and why not."""

    line: int
    why: str


def plain_text(line: str) -> str:
    """Return the line itself: the parser of a file with one prompt per line."""
    return line


def json_field(name: str) -> Callable[[str], str]:
    """Return a parser of JSON lines that takes the text in one field of each.

    The parser raises `ValueError` for a line that is no JSON object, or has no text there.

    Examples
    --------
    >>> json_field("prompt")('{"prompt": "Hello!"}')
    'Hello!'
    """

    def parse(line: str) -> str:
        try:
            value = json.loads(line)
        except RecursionError:
            raise ValueError("nested too deeply") from None
        except ValueError as error:
            raise ValueError(f"not JSON: {error}") from None
        if not isinstance(value, dict):
            raise ValueError(f"not an object, but {_kind(value)}")
        if name not in value:
            raise ValueError(f"no field {name!r}")
        text = value[name]
        if not isinstance(text, str):
            raise ValueError(f"field {name!r} is not text, but {_kind(text)}")
        return text

    return parse


@dataclass(slots=True)
class PromptReader:
    """Iterate over batches of prompts, no more of them in memory than one chunk of bytes holds.

    A batch is what one read returned: from a pipe that is what its writer has written so far, so
    that a slow writer's prompts are not kept waiting. Blank lines are passed over. A line that
    holds no prompt is counted, and remembered if it is among the first ten.

    Parameters
    ----------
    stream
        Bytes, UTF-8, lines ended by a newline.
    parse
        Returns a line's prompt, or raises `ValueError`.
    strict
        Whether a line that holds no prompt raises instead of being counted.
    source
        Name of the input, for messages.
    """

    stream: BinaryIO
    parse: Callable[[str], str] = plain_text
    strict: bool = False
    source: str = "the input"
    n_bytes: int = field(default=0, init=False)
    """Bytes read so far."""
    n_bad: int = field(default=0, init=False)
    """Lines so far that hold no prompt."""
    first_bad: list[BadLine] = field(default_factory=list, init=False)
    """The first ten of them."""

    def __iter__(self) -> Iterator[list[NumberedPrompt]]:
        """Yield non-empty batches, in order.

        Raises
        ------
        PromptError
            If `strict` and a line holds no prompt; the prompts before it were yielded.
        """
        number = 0
        for lines in self._lines():
            batch: list[NumberedPrompt] = []
            for raw in lines:
                number += 1
                try:
                    text = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r")
                    if text.strip():
                        batch.append(NumberedPrompt(number, self.parse(text)))
                except ValueError as error:
                    bad = BadLine(number, _why(error))
                    if self.strict:
                        if batch:
                            yield batch
                        raise PromptError(
                            f"Line {number} of {self.source} holds no prompt: {bad.why}."
                        ) from None
                    self.n_bad += 1
                    if len(self.first_bad) < _REMEMBERED:
                        self.first_bad.append(bad)
            if batch:
                yield batch

    def _lines(self) -> Iterator[list[bytes]]:
        """Yield the complete lines of each chunk, and at last the line without a newline."""
        read = getattr(self.stream, "read1", self.stream.read)
        begun: list[bytes] = []
        while chunk := read(_CHUNK_BYTES):
            self.n_bytes += len(chunk)
            first, newline, rest = chunk.partition(b"\n")
            begun.append(first)
            if not newline:
                continue
            *lines, last = rest.split(b"\n")
            yield [b"".join(begun), *lines]
            begun = [last]
        if any(begun):
            yield [b"".join(begun)]


def _why(error: ValueError) -> str:
    return "not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false"}
    return "null" if value is None else names.get(type(value), "a number")
