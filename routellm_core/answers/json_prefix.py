"""JSON that is still being written: whether it can become valid."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["JSONGuide", "JSONPrefix", "unfenced"]

MAX_DEPTH = 200
"""The deepest nesting, which is the limit of pydantic's parser as well."""

_FENCE = "```"
_BLANKS = " \t\n\r"
_ESCAPED = frozenset('"\\/bfnrtu')
_HEX = frozenset("0123456789abcdefABCDEF")
_LITERALS = {"t": "true", "f": "false", "n": "null"}

# From a state of a number and a kind of character to the next state.
_NUMBER = {
    ("-", "0"): "zero",
    ("-", "d"): "int",
    ("int", "0"): "int",
    ("int", "d"): "int",
    ("zero", "."): "dot",
    ("int", "."): "dot",
    ("dot", "0"): "frac",
    ("dot", "d"): "frac",
    ("frac", "0"): "frac",
    ("frac", "d"): "frac",
    ("zero", "e"): "e",
    ("int", "e"): "e",
    ("frac", "e"): "e",
    ("e", "+"): "sign",
    ("e", "-"): "sign",
    ("e", "0"): "exp",
    ("e", "d"): "exp",
    ("sign", "0"): "exp",
    ("sign", "d"): "exp",
    ("exp", "0"): "exp",
    ("exp", "d"): "exp",
}
_KINDS = {**dict.fromkeys("123456789", "d"), "0": "0", ".": ".", "e": "e", "E": "e", "+": "+",
          "-": "-"}  # fmt: skip
_WHOLE = frozenset({"zero", "int", "frac", "exp"})


class JSONGuide(Protocol):
    """What follows the values of a text, and may object to each."""

    def opened(self, kind: str) -> bool:
        """Return whether an "object" or an "array" may start here."""
        ...

    def closed(self) -> None:
        """Go back to the value around the one that ended."""
        ...

    def named(self, key: str) -> bool:
        """Return whether the object may have a member of this name."""
        ...

    def scalar(self, kind: str, text: str | None) -> bool:
        """Return whether a value may stand here.

        Parameters
        ----------
        kind
            "string", "number", "boolean" or "null".
        text
            The JSON text of the whole value; None when it has only begun.
        """
        ...


class JSONPrefix:
    """A JSON text that arrives in parts, alone or inside one fence of Markdown.

    Parameters
    ----------
    guide
        Objects to values that the text may not hold; None for any JSON.

    Examples
    --------
    >>> prefix = JSONPrefix()
    >>> prefix.feed('{"a": [1, tr') is None
    True
    >>> prefix.feed("y")
    'not JSON from character 12 on'
    """

    def __init__(self, guide: JSONGuide | None = None) -> None:
        self._guide = guide
        self._state: Callable[[str], bool] = self._start
        self._open: list[str] = []
        self._fence = ""
        self._token: list[str] = []
        self._number = ""
        self._rest = ""
        self._is_key = False
        self._escape = 0
        self._read = 0
        self._fault: str | None = None

    def feed(self, text: str) -> str | None:
        """Read more characters; return why no valid JSON can come of it, or None."""
        for character in text:
            if self._fault is not None:
                break
            if not self._state(character):
                self._fault = self._fault or f"not JSON from character {self._read} on"
            self._read += 1
        return self._fault

    # Each state takes a character, and returns whether it may stand there.

    def _start(self, character: str) -> bool:
        if character == "`":
            self._fence, self._state = "`", self._opening_fence
            return True
        return self._value(character)

    def _opening_fence(self, character: str) -> bool:
        if character == "\n":
            if self._fence.strip().lower() not in (_FENCE, f"{_FENCE}json"):
                return False
            self._state = self._value
            return True
        self._fence += character
        said = self._fence.rstrip().lower()
        return f"{_FENCE}json".startswith(said)

    def _value(self, character: str) -> bool:
        if character in _BLANKS:
            return True
        if character in "{[":
            return self._opens("object" if character == "{" else "array")
        if character == '"':
            self._token, self._state, self._is_key = [character], self._string, False
            return self._may("string", None)
        if character in _LITERALS:
            self._token, self._rest = [character], _LITERALS[character][1:]
            self._state = self._literal
            return self._may("null" if character == "n" else "boolean", None)
        if character == "-" or (character.isascii() and character.isdigit()):
            self._token, self._state = [character], self._digits
            self._number = {"-": "-", "0": "zero"}.get(character, "int")
            return self._may("number", None)
        return False

    def _first_element(self, character: str) -> bool:
        return self._closes() if character == "]" else self._value(character)

    def _first_key(self, character: str) -> bool:
        return self._closes() if character == "}" else self._key(character)

    def _key(self, character: str) -> bool:
        if character == '"':
            self._token, self._state, self._is_key = [character], self._string, True
            return True
        return character in _BLANKS

    def _colon(self, character: str) -> bool:
        if character == ":":
            self._state = self._value
            return True
        return character in _BLANKS

    def _after(self, character: str) -> bool:
        if character in _BLANKS:
            return True
        if not self._open:
            return self._end(character)
        inside = self._open[-1]
        if character == ",":
            self._state = self._key if inside == "object" else self._value
            return True
        return character == ("}" if inside == "object" else "]") and self._closes()

    def _end(self, character: str) -> bool:
        """Take what may follow the whole value: the end of the fence."""
        if character in _BLANKS:
            return True
        if character == "`" and self._fence and self._rest != _FENCE:
            self._rest += character
            self._state = self._closing_fence
            return True
        return False

    def _closing_fence(self, character: str) -> bool:
        if self._rest != _FENCE:
            self._rest += character
            return character == "`"
        return character in _BLANKS

    def _string(self, character: str) -> bool:
        self._token.append(character)
        if self._escape:
            if self._escape == 5:  # what stands after the backslash
                self._escape = 4 if character == "u" else 0
                return character in _ESCAPED
            self._escape -= 1
            return character in _HEX
        if character == "\\":
            self._escape = 5
            return True
        if character == '"':
            return self._ends_string()
        return character >= " "

    def _ends_string(self) -> bool:
        text = "".join(self._token)
        if not self._is_key:
            return self._ends("string", text)
        self._state = self._colon
        return self._guide is None or self._guide.named(json.loads(text)) or self._refused()

    def _literal(self, character: str) -> bool:
        if character != self._rest[0]:
            return False
        self._token.append(character)
        self._rest = self._rest[1:]
        if self._rest:
            return True
        text = "".join(self._token)
        return self._ends("null" if text == "null" else "boolean", text)

    def _digits(self, character: str) -> bool:
        following = _NUMBER.get((self._number, _KINDS.get(character, "")))
        if following is not None:
            self._number = following
            self._token.append(character)
            return True
        # The character after a number belongs to what is around it.
        return (
            self._number in _WHOLE
            and self._ends("number", "".join(self._token))
            and self._state(character)
        )

    def _opens(self, kind: str) -> bool:
        if len(self._open) == MAX_DEPTH:
            return self._refused(f"nested deeper than {MAX_DEPTH}")
        self._open.append(kind)
        self._state = self._first_key if kind == "object" else self._first_element
        return self._guide is None or self._guide.opened(kind) or self._refused()

    def _closes(self) -> bool:
        self._open.pop()
        self._settle()
        if self._guide is not None:
            self._guide.closed()
        return True

    def _ends(self, kind: str, text: str) -> bool:
        self._settle()
        return self._may(kind, text)

    def _settle(self) -> None:
        self._rest = ""
        self._state = self._after

    def _may(self, kind: str, text: str | None) -> bool:
        return self._guide is None or self._guide.scalar(kind, text) or self._refused()

    def _refused(self, why: str = "not of the schema") -> bool:
        self._fault = f"{why} from character {self._read} on"
        return False


def unfenced(text: str) -> str:
    r"""Return the JSON text inside one fence of Markdown, or the text as it is.

    Examples
    --------
    >>> unfenced('```json\n{"a": 1}\n```'), unfenced('{"a": 1}')
    ('{"a": 1}', '{"a": 1}')
    """
    stripped = text.strip()
    if not (stripped.startswith(_FENCE) and stripped.endswith(_FENCE) and len(stripped) > 6):
        return stripped
    first, _, rest = stripped[: -len(_FENCE)].partition("\n")
    return rest.strip() if first.strip().lower() in (_FENCE, f"{_FENCE}json") else stripped
