"""Whether an answer is right, by a known answer and without a judge."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from routellm_core.errors import ConfigurationError, did_you_mean
from routellm_core.labeling.code_checks import passes_tests

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["COMPARISONS", "is_right"]

_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
_CHOICE = re.compile(r"\(?\b([A-J])\b\)?")
_STATED = re.compile(r"(?i:answer|option|choice)(?i:\s+is)?\s{0,3}[:=]?\s{0,3}\*{0,2}\(?([A-J])\b")
_BREAK = re.compile(r"[\W_]+")


def is_right(answer: str, reference: str, *, comparison: str) -> bool:
    """Return whether an answer is the known one.

    Parameters
    ----------
    answer, reference
        Two texts.
    comparison
        - "exact": equal but for blanks around them.
        - "normalised": equal in letters and digits, without case.
        - "contains": the known answer's words stand in the answer, one after another.
        - "number": the last number of each is the same; commas group thousands.
        - "choice": the letter A to J that the answer chooses is the known one.
        - "code": the Python code of the answer passes the tests that the known answer is. It is
          run; see `passes_tests`.

    Raises
    ------
    ConfigurationError
        If there is no such comparison.

    Examples
    --------
    >>> is_right("So it costs $1,250.00.", "1250", comparison="number")
    True
    >>> is_right("A is wrong. The answer is (C).", "C", comparison="choice")
    True
    """
    if comparison not in COMPARISONS:
        known = list(COMPARISONS)
        raise ConfigurationError(
            f"Unknown comparison {comparison!r}.{did_you_mean(comparison, known)} "
            f"Comparisons: {', '.join(known)}."
        )
    return COMPARISONS[comparison](answer, reference)


def _exact(answer: str, reference: str) -> bool:
    return answer.strip() == reference.strip()


def _normalised(answer: str, reference: str) -> bool:
    return _words(answer) == _words(reference)


def _contains(answer: str, reference: str) -> bool:
    wanted = _words(reference)
    return bool(wanted) and f" {wanted} " in f" {_words(answer)} "


def _number(answer: str, reference: str) -> bool:
    said, known = _last_number(answer), _last_number(reference)
    return said is not None and known is not None and abs(said - known) <= 1e-6 * max(1, abs(known))


def _choice(answer: str, reference: str) -> bool:
    known = _CHOICE.search(reference.strip().upper()[:8])
    return known is not None and _letter(answer) == known.group(1)


def _letter(answer: str) -> str | None:
    """Return the letter that is stated as the answer, else the only one, else None."""
    stated = _STATED.findall(answer)
    if stated:
        return str(stated[-1])
    if answer.strip().strip("().*").upper() in tuple("ABCDEFGHIJ"):
        return answer.strip().strip("().*").upper()
    named = set(_CHOICE.findall(answer)) - {"A", "I"}  # which are words as well
    return named.pop() if len(named) == 1 else None


def _last_number(text: str) -> float | None:
    found = _NUMBER.findall(text)
    return float(found[-1].replace(",", "")) if found else None


def _words(text: str) -> str:
    return _BREAK.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip()


COMPARISONS: dict[str, Callable[[str, str], bool]] = {
    "exact": _exact,
    "normalised": _normalised,
    "contains": _contains,
    "number": _number,
    "choice": _choice,
    "code": passes_tests,
}
"""By name: from an answer and the known one to whether it is right."""
