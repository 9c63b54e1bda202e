"""`no_refusal`: whether an answer begins by refusing."""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from routellm_core.answers.refusal_phrases import REFUSALS
from routellm_core.answers.verifier import Score, Verifier, Watch, check_level

if TYPE_CHECKING:
    from collections.abc import Sequence

    from routellm_core.answers.content import Answer, Prompt, Token

__all__ = ["no_refusal", "refusal_language"]

_READ = 400
"""Characters at the beginning of an answer that are looked at."""
_OPENERS = 4
"""Openers that may stand before a refusal."""

# Accents, Arabic vowel signs and hamzas, the Arabic lengthening sign, the Devanagari nukta.
_DROPPED = {*range(0x300, 0x370), *range(0x64B, 0x656), 0x640, 0x670, 0x93C}

Slot: TypeAlias = "dict[str, tuple[str, ...]]"
"""Alternatives by their first letter; "" for the empty one."""


class _Language(NamedTuple):
    openers: Slot
    starts: tuple[tuple[Slot, ...], ...]
    exceptions: tuple[str, ...]


def no_refusal() -> Verifier:
    """Score 0 an answer that begins by refusing, in any of twelve languages, and 1 any other.

    Only the beginning is read: apologies and the like, and then words such as "I cannot help" or
    "je ne peux pas répondre". A stream is rejected as soon as these are there. A refusal that the
    provider keeps apart from the text scores 0 as well; an answer that calls a tool scores 1.

    The languages are those of the bundled router: Arabic, Chinese, English, French, German, Hindi,
    Italian, Japanese, Korean, Portuguese, Russian and Spanish.

    Examples
    --------
    >>> no_refusal().score("Who won?", "I'm sorry, but I can’t help with that.")
    Score(value=0.0, reason='a refusal (en)', raw=None)
    """
    return _NoRefusal()


def refusal_language(text: str) -> str | None:
    """Return the language (ISO 639-1) in which a text begins by refusing; None if it does not.

    Examples
    --------
    >>> refusal_language("Lo siento, pero no puedo ayudarte con eso.")
    'es'
    >>> refusal_language("I can't help but admire your garden.") is None
    True
    """
    return _Beginning(text).refusal(whole=True)


class _NoRefusal(Verifier):
    name = "no_refusal"

    def _score(self, prompt: Prompt, answer: Answer) -> Score:  # noqa: ARG002
        if answer.refusal:
            return Score(0.0, "a refusal")
        language = None if answer.tool_calls else refusal_language(answer.text)
        return Score(1.0, "no refusal") if language is None else _refused(language)

    def watch(self, prompt: Prompt | str, *, accept: float) -> Watch | None:  # noqa: ARG002
        return _RefusalWatch() if check_level(accept) > 0.0 else None


class _RefusalWatch(Watch):
    def __init__(self) -> None:
        self._text = ""
        self._decided = False
        self._score: Score | None = None

    def feed(self, text: str = "", tokens: Sequence[Token] = ()) -> Score | None:  # noqa: ARG002
        if not self._decided and text:
            self._text += text[:_READ]
            beginning = _Beginning(self._text)
            language = beginning.refusal(whole=False)
            if language is not None:
                self._score = _refused(language)
            self._decided = language is not None or not beginning.is_open
        return self._score


def _refused(language: str) -> Score:
    return Score(0.0, f"a refusal ({language})")


class _Beginning:
    """The first words of an answer, and what can still become of them.

    Parameters
    ----------
    text
        The answer so far.
    """

    def __init__(self, text: str) -> None:
        self._text = _letters(text[:_READ])
        # More could follow, as far as it would be read.
        self.is_open = len(text) < _READ

    def refusal(self, *, whole: bool) -> str | None:
        """Return the language of the refusal that stands there, None for none so far.

        Afterwards `is_open` tells whether more text could make one.

        Parameters
        ----------
        whole
            Whether nothing follows.
        """
        could_become = False
        for name, language in _languages().items():
            found = _opened(self._text, language, _OPENERS, whole=whole)
            if found:
                return name
            could_become |= found is None
        self.is_open = self.is_open and could_become
        return None


def _opened(text: str, language: _Language, openers: int, *, whole: bool) -> bool | None:
    """Return whether a refusal stands at the start; None when more text could make one."""
    if any(text.startswith(each) for each in language.exceptions):
        return False
    found = [_filled(text, slots) for slots in language.starts]
    if any(found):
        could_be_excepted = any(each.startswith(text) for each in language.exceptions)
        return None if could_be_excepted and not whole else True
    undecided = None in found
    undecided |= not text
    for opener in language.openers.get(text[:1], ()) if openers else ():
        if text.startswith(opener):
            after = _opened(text[len(opener) :], language, openers - 1, whole=whole)
            if after:
                return True
            undecided |= after is None
        else:
            undecided |= opener.startswith(text)
    return None if undecided else False


def _filled(text: str, slots: tuple[Slot, ...]) -> bool | None:
    """Return whether the text begins with one alternative of each slot in turn; None: not yet."""
    if not slots:
        return True
    undecided = not text
    for alternative in (*slots[0].get(text[:1], ()), *slots[0].get("", ())):
        if text.startswith(alternative):
            found = _filled(text[len(alternative) :], slots[1:])
            if found:
                return True
            undecided |= found is None
        else:
            undecided |= alternative.startswith(text)
    return None if undecided else False


def _letters(text: str) -> str:
    """Return a text's letters and digits only, without case and accents."""
    decomposed = unicodedata.normalize("NFKD", text).casefold()
    return "".join(
        character
        for character in decomposed
        if ord(character) not in _DROPPED
        and (character.isalnum() or unicodedata.category(character)[0] == "M")
    )


@cache
def _languages() -> dict[str, _Language]:
    return {
        name: _Language(
            _slot(phrases.openers),
            tuple(tuple(_slot(slot) for slot in slots) for slots in phrases.starts),
            tuple(_letters(each) for each in phrases.exceptions.split("|") if each),
        )
        for name, phrases in REFUSALS.items()
    }


def _slot(alternatives: str) -> Slot:
    found: dict[str, dict[str, None]] = {}
    for each in alternatives.split("|"):
        letters = _letters(each)
        found.setdefault(letters[:1], {})[letters] = None
    return {first: tuple(several) for first, several in found.items()}
