"""Whether an answer is right, by a known answer and without a judge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from routellm_core.answers.final_answers import is_choice, number_of, words_of
from routellm_core.errors import ConfigurationError, did_you_mean
from routellm_core.labeling.code_checks import passes_tests

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["COMPARISONS", "is_right"]


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
    return words_of(answer) == words_of(reference)


def _contains(answer: str, reference: str) -> bool:
    wanted = words_of(reference)
    return bool(wanted) and f" {wanted} " in f" {words_of(answer)} "


def _number(answer: str, reference: str) -> bool:
    said, known = number_of(answer), number_of(reference)
    return said is not None and known is not None and abs(said - known) <= 1e-6 * max(1, abs(known))


COMPARISONS: dict[str, Callable[[str, str], bool]] = {
    "exact": _exact,
    "normalised": _normalised,
    "contains": _contains,
    "number": _number,
    "choice": is_choice,
    "code": passes_tests,
}
"""By name: from an answer and the known one to whether it is right."""
