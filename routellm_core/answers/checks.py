"""`check`: a function of your own as a verifier, and functions that are often wanted."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from inspect import isawaitable, iscoroutinefunction
from typing import TYPE_CHECKING, Any, TypeAlias

from routellm_core.answers.schema_forms import json_value
from routellm_core.answers.steps import Invocation
from routellm_core.answers.verifier import Score, Verifier
from routellm_core.errors import ConfigurationError, VerifierError
from routellm_core.policy.answers import is_cut_off

if TYPE_CHECKING:
    from routellm_core.answers.content import Answer, Prompt
    from routellm_core.answers.steps import Plan

__all__ = ["Predicate", "check", "has_length", "is_complete", "is_json", "is_python", "matches"]

Predicate: TypeAlias = "Callable[[Prompt, Answer], Any]"
"""Takes a `Prompt` and an `Answer`, and returns a truth value, a number in [0, 1] or a `Score`; or
something that awaits one of these."""

_FENCED = re.compile(r"```[^\n`]*\n([^`]*)```")


def check(function: Predicate, *, name: str | None = None, in_thread: bool = False) -> Verifier:
    r"""Make a verifier of a function.

    Parameters
    ----------
    function
        Takes a `Prompt` and an `Answer`. What it returns is the score: true is 1, false is 0.
        Asynchronous functions are awaited by `ascore`.
    name
        What records call it; by default the function's own name.
    in_thread
        Whether `ascore` runs it in a thread: for what takes long, such as a unit test.

    Raises
    ------
    ConfigurationError
        If it is no function.

    Examples
    --------
    >>> verifier = check(lambda prompt, answer: "4" in answer.text, name="has_four")
    >>> verifier.score("2 + 2?", "It is 4.").value
    1.0
    >>> check(matches(r"\d+")).score("2 + 2?", "four")
    Score(value=0.0, reason='no match', raw=None)
    """
    if not callable(function):
        raise ConfigurationError(
            f"`check` takes a function of a prompt and an answer, got {function!r}."
        )
    return _Check(function, name or str(getattr(function, "__name__", "check")), in_thread)


class _Check(Verifier):
    def __init__(self, function: Predicate, name: str, in_thread: bool) -> None:
        self.name, self._function = name, function
        # A call of a quick function costs less than the way to a thread and back.
        self._apart = in_thread or iscoroutinefunction(function)

    def _plan(self, prompt: Prompt, answer: Answer) -> Plan[Score]:
        if self._apart:
            (found,) = yield [Invocation(self._function, (prompt, answer))]
        else:
            found = self._function(prompt, answer)
            if isawaitable(found):  # of a function that does not look asynchronous
                waiting = found
                (found,) = yield [Invocation(lambda: waiting)]
        return self._score_of(found)

    def _score_of(self, found: Any) -> Score:
        if isinstance(found, Score):
            return found
        if isinstance(found, (int, float)) and not isinstance(found, bool):
            return Score(float(found), f"scored by {self.name}")
        if found is None or not hasattr(found, "__bool__"):
            raise VerifierError(
                f"The function of verifier {self.name!r} must return a truth value, a number in "
                f"[0, 1] or a `Score`, got {found!r}."
            )
        return Score(float(bool(found)), "passed" if found else "failed")


def is_json(prompt: Prompt, answer: Answer) -> Score:  # noqa: ARG001
    """Return whether an answer is JSON, alone or in one fence of Markdown."""
    _, fault = json_value(answer.text)
    return Score(1.0, "JSON") if fault is None else Score(0.0, fault)


def is_python(prompt: Prompt, answer: Answer) -> Score:  # noqa: ARG001
    """Return whether an answer's fenced code, or else the whole answer, is Python's syntax.

    The code is parsed and not run.
    """
    blocks = _FENCED.findall(answer.text) or [answer.text]
    try:
        for block in blocks:
            ast.parse(block)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Score(0.0, "not Python")
    return Score(1.0, "Python")


def is_complete(prompt: Prompt, answer: Answer) -> Score:  # noqa: ARG001
    """Return whether an answer holds something and was not cut off by a limit of tokens."""
    if is_cut_off(answer.finish_reason):
        return Score(0.0, "cut off")
    said = bool(answer.text.strip() or answer.tool_calls)
    return Score(float(said), "complete" if said else "empty")


def has_length(*, min_chars: int = 1, max_chars: int | None = None) -> Predicate:
    """Return a function that tells whether an answer has an allowed length.

    Parameters
    ----------
    min_chars, max_chars
        In characters, blanks around the answer not counted; None for no limit.

    Raises
    ------
    ConfigurationError
        If no length is allowed.
    """
    if min_chars < 0 or (max_chars is not None and max_chars < min_chars):
        raise ConfigurationError(
            f"`min_chars` must be at least 0 and at most `max_chars`, got {min_chars!r} and "
            f"{max_chars!r}."
        )

    def length(prompt: Prompt, answer: Answer) -> Score:  # noqa: ARG001
        n = len(answer.text.strip())
        if n < min_chars:
            return Score(0.0, "too short")
        long = max_chars is not None and n > max_chars
        return Score(0.0, "too long") if long else Score(1.0, "of an allowed length")

    return length


def matches(pattern: str | re.Pattern[str]) -> Predicate:
    """Return a function that tells whether a regular expression is found in an answer.

    Parameters
    ----------
    pattern
        Searched, not anchored. Every answer is put to it, so that it should take linear time.

    Raises
    ------
    ConfigurationError
        If it is no regular expression.
    """
    try:
        found = pattern if isinstance(pattern, re.Pattern) else re.compile(pattern)
    except (re.error, TypeError) as error:
        raise ConfigurationError(f"`pattern` is no regular expression: {error}.") from error

    def match(prompt: Prompt, answer: Answer) -> Score:  # noqa: ARG001
        hit = found.search(answer.text) is not None
        return Score(float(hit), "a match" if hit else "no match")

    return match
