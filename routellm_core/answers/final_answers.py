"""What an answer comes down to: its number, its letter, its words, its last line."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["choice_of", "final_answer", "is_choice", "number_of", "words_of"]

_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
_ONLY_NUMBER = re.compile(r"[^\w-]{0,3}(-?\d[\d,]*(?:\.\d+)?)[^\w]{0,3}")
_CHOICE = re.compile(r"\(?\b([A-J])\b\)?")
_STATED = re.compile(r"(?i:answer|option|choice)(?i:\s+is)?\s{0,3}[:=]?\s{0,3}\*{0,2}\(?([A-J])\b")
_ONLY_CHOICE = re.compile(r"\W{0,3}([A-Ja-j])\W{0,3}")
_BREAK = re.compile(r"[\W_]+")
_BOXED = re.compile(r"\\boxed\{([^{}]{1,200})\}")
# GSM8K's mark, and the word for an answer in the bundled router's twelve languages.
_MARKED = re.compile(
    r"(?i)(?:####|\b(?:answer|antwort|réponse|respuesta|resposta|risposta|ответ)\b"
    r"|答案|答え|답|الإجابة|الجواب|उत्तर)"
    r"(?:\s{1,3}(?:is|lautet|ist|est|es|é|è|هي|هو|है)\b|是|は|은|는)?\s{0,3}[:：=]?\s{0,3}"
    r"([^\n]{1,200})"
)
_LONGEST_LINE = 60
"""Characters: a longer last line is a sentence among others."""


def final_answer(text: str) -> str | None:
    r"""Return what an answer comes down to, in a form in which equal answers are equal.

    That is what `\\boxed{}` holds, else what follows the last "answer is", "answer:" or "####" on
    its line, else the last line if it has at most 60 characters.

    Returns
    -------
    A number without grouping and needless zeros, a letter from a to j, or words without case and
    punctuation; None where there is none of these, as in an essay.

    Examples
    --------
    >>> final_answer("6 * 7 = 42, so the answer is 42.0."), final_answer("42")
    ('42', '42')
    >>> final_answer("The answer is (C)."), final_answer("Because of this:\n\nNew  York!")
    ('c', 'new york')
    """
    stripped = text.strip()
    for marks in (_BOXED, _MARKED):
        found = marks.findall(stripped)
        if found and _canonical(found[-1]):
            return _canonical(found[-1])
    last = stripped.rpartition("\n")[2]
    return (_canonical(last) or None) if len(last) <= _LONGEST_LINE else None


def _canonical(text: str) -> str:
    text = text.strip()
    number = _ONLY_NUMBER.fullmatch(text)
    if number is not None:
        return f"{float(number.group(1).replace(',', '')):.10g}"
    letter = _ONLY_CHOICE.fullmatch(text)
    return letter.group(1).lower() if letter is not None else words_of(text)


def choice_of(text: str) -> str | None:
    """Return the letter A to J that is stated as the answer, else the only one, else None.

    Examples
    --------
    >>> choice_of("A is wrong. The answer is (C)."), choice_of("Who knows?")
    ('C', None)
    """
    stated = _STATED.findall(text)
    if stated:
        return str(stated[-1])
    if text.strip().strip("().*").upper() in tuple("ABCDEFGHIJ"):
        return text.strip().strip("().*").upper()
    named = set(_CHOICE.findall(text)) - {"A", "I"}  # which are words as well
    return named.pop() if len(named) == 1 else None


def is_choice(text: str, reference: str) -> bool:
    """Return whether a text chooses the letter that a known answer begins with."""
    known = _CHOICE.search(reference.strip().upper()[:8])
    return known is not None and choice_of(text) == known.group(1)


def number_of(text: str) -> float | None:
    """Return the last number of a text, in which commas group thousands.

    Examples
    --------
    >>> number_of("2 of them cost $1,250.00."), number_of("none")
    (1250.0, None)
    """
    found = _NUMBER.findall(text)
    return float(found[-1].replace(",", "")) if found else None


def words_of(text: str) -> str:
    """Return a text's letters and digits, without case, one blank between words."""
    return _BREAK.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip()
