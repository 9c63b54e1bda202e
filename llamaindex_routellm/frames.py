"""Read the question out of a text that one of LlamaIndex's templates was filled in with."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from llamaindex_routellm.templates import default_pieces, wrapper_pieces

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llamaindex_routellm.templates import Pieces

__all__ = ["asked_within", "framed_question", "load_frames"]

_SHORTEST_HEAD = 8
_SHORTEST_FOOT = 5
_LONGEST_FOOT = 500

_FORMATS = (
    ("\nHere's a JSON schema to follow:\n", "do not repeat the schema."),
    ("\nThe output should be ONLY JSON formatted as a JSON instance.\n", "...\n]"),
)
"""How the instructions begin and end that LlamaIndex's output parsers append to a prompt."""


class Frame(NamedTuple):
    """The fixed words around the question of a template.

    Parameters
    ----------
    head
        How the text begins, without white space at the ends.
    before
        What stands right before the question; "" when `is_first`.
    after
        The pieces that follow the question, in order: at least one, and the last may be "".
    is_first
        Whether no other variable stands before the question.
    """

    head: str
    before: str
    after: tuple[str, ...]
    is_first: bool

    def question(self, text: str) -> str | None:
        """Return what stands in the frame; None when the frame does not fit.

        What was retrieved may look like a part of the frame, and stands before the question more
        often than after it: a question between two variables is searched for from the end.
        """
        if not text.startswith(self.head):
            return None
        if self.is_first and len(self.after) > 1:
            return self._from_the_left(text)
        return self._from_the_right(text)

    def _from_the_left(self, text: str) -> str | None:
        start = position = len(self.head)
        end = -1
        for piece in (*self.after[:-1], self.after[-1].rstrip()):
            at = text.find(piece, position)
            if at < 0:
                return None
            end = at if end < 0 else end
            position = at + len(piece)
        return text[start:end].strip() or None

    def _from_the_right(self, text: str) -> str | None:
        start = len(self.head)
        end = _foot_at(text, self.after[-1], start)
        for piece in reversed(self.after[:-1]):
            end = text.rfind(piece, start, end) if end >= 0 else end
        at = text.rfind(self.before, start, end) if end >= 0 and not self.is_first else start
        if end < 0 or at < 0:
            return None
        return text[at + len(self.before) : end].strip() or None


def load_frames() -> None:
    """Read LlamaIndex's default templates, which `framed_question` and `asked_within` know.

    The first time this imports its engines and agents, some of which read their prompts from disk.
    """
    _default_frames()
    _wrapper_frames()


def framed_question(text: str) -> str | None:
    """Return what is asked in a text that LlamaIndex has put words around; None in other texts.

    These are the words of a default template and the instructions of an output parser.
    """
    table = _default_frames()
    words = _without_format(text.lstrip())
    if words.startswith(table.heads) or _end(words).endswith(table.feet):
        question = _first_fit(table.frames, words.rstrip())
        if question is not None:
            return question
    # Before an output parser's instructions stands what was asked, in whatever template.
    return words.strip() or None if len(words) < len(text.strip()) else None


def asked_within(question: str) -> str | None:
    """Return the question in one that an engine has put words around; None in any other."""
    inner = _first_fit(_wrapper_frames(), question.strip())
    return framed_question(question) if inner is None else inner


class _Table(NamedTuple):
    """Frames, and how texts that fit any begin and, for those without a head, end."""

    frames: tuple[Frame, ...]
    heads: tuple[str, ...]
    feet: tuple[str, ...]


@lru_cache(maxsize=1)
def _default_frames() -> _Table:
    heads, feet, usable = [], [], []
    for frame in _sorted_frames(default_pieces()):
        foot = frame.after[-1].strip()
        if len(frame.head) >= _SHORTEST_HEAD:
            heads.append(frame.head)
        elif len(foot) >= _SHORTEST_FOOT:
            feet.append(foot)
        else:
            # The question and nothing else.
            continue
        usable.append(frame)
    return _Table(tuple(usable), tuple(dict.fromkeys(heads)), tuple(dict.fromkeys(feet)))


@lru_cache(maxsize=1)
def _wrapper_frames() -> tuple[Frame, ...]:
    return tuple(map(_frame, wrapper_pieces()))


def _sorted_frames(templates: Iterable[Pieces]) -> tuple[Frame, ...]:
    """Return the frames of templates, those with more fixed words first."""
    n_chars: dict[Frame, int] = {}
    for pieces in templates:
        n_chars[_frame(pieces)] = sum(map(len, pieces.fixed))
    return tuple(sorted(n_chars, key=lambda frame: -n_chars[frame]))


def _frame(pieces: Pieces) -> Frame:
    at = pieces.names.index(pieces.question)
    head, before, after = pieces.fixed[0], pieces.fixed[at], pieces.fixed[at + 1 :]
    if at == 0:
        before = ""
    elif before.startswith("\n") and before.strip():
        # Where images stand between text blocks there are fewer blank lines.
        before = "\n" + before.lstrip("\n")
    return Frame(head.strip(), before, after, is_first=at == 0)


def _first_fit(frames: Iterable[Frame], text: str) -> str | None:
    return next((q for frame in frames if (q := frame.question(text)) is not None), None)


def _foot_at(text: str, foot: str, start: int) -> int:
    """Return where the end of a frame begins; -1 when it is not there."""
    short = foot.rstrip()
    if text.endswith(short):
        return max(start, len(text) - len(short))
    # Something was appended. With its white space the end is found more surely.
    at = text.rfind(foot, start)
    return at if at >= 0 else text.rfind(short, start)


def _without_format(text: str) -> str:
    """Return a prompt without an output parser's instructions at its end."""
    for beginning, ending in _FORMATS:
        if _end(text).endswith(ending):
            at = text.rfind(beginning)
            text = text if at < 0 else text[:at]
    return text


def _end(text: str) -> str:
    """Return the last words of a text, of any length, without white space after them."""
    return text[-_LONGEST_FOOT:].rstrip()
