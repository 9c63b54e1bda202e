"""`judge`: a model's rating of an answer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from routellm_core.answers.rubrics import (
    QUALITY_SCALE,
    Scale,
    rating_form,
    rating_question,
    rating_value,
    read_rating,
)
from routellm_core.answers.steps import Request
from routellm_core.answers.verifier import Score, Verifier
from routellm_core.errors import ConfigurationError, VerifierError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from routellm_core.answers.content import Answer, Prompt, Token
    from routellm_core.answers.steps import Ask, Plan

__all__ = ["judge"]

_MOST_ALTERNATIVES = 20
"""The most that OpenAI sends."""
_LEAST_MASS = 0.5
"""What the labels' probabilities must add up to, for their mean to be meant."""
_AROUND_LABEL = " \t\n\r\"'`*{}[]():,."


def judge(
    model: Any = None,
    *,
    scale: Scale = QUALITY_SCALE,
    rubric: str | None = None,
    max_tokens: int = 64,
    max_chars: int = 12_000,
    redact: bool = True,
    ask: Ask | None = None,
) -> Verifier:
    """Score an answer by a model's rating of it.

    The judge reads the prompt and the answer, and never who wrote it. Its rating is the mean over
    the scale's numbers by their probabilities, where it sends these; else the number that it
    states. A verdict that cannot be read is asked for once more, and then is an error.

    Parameters
    ----------
    model
        Who judges: whatever `ask` can ask. Judges prefer their own answers: take another model
        than those of the route.
    scale
        The lowest and the highest rating.
    rubric
        What the ratings mean, in sentences; by default how correct and complete an answer is.
    max_tokens
        The most tokens of a verdict; a judge that reasons needs more than 64.
    max_chars
        The most characters of prompt and answer that are read; the middle is left out.
    redact
        Whether what looks like a key or a password is kept from the judge.
    ask
        Asks; by default the function that the score is asked with.

    Returns
    -------
    A verifier whose `raw` is the rating on the scale.

    Raises
    ------
    ConfigurationError
        If the scale does not ascend from 0 or more, or a limit is below 1.

    References
    ----------
    Liu et al., G-Eval, arXiv:2303.16634, for the mean by probabilities.

    Examples
    --------
    >>> judge(ask=lambda request: '{"score": 4}').score("2 + 2?", "4, I think.")
    Score(value=0.75, reason='rated 4 of 5', raw=4.0)
    """
    low, high = scale
    if not (isinstance(low, int) and isinstance(high, int) and 0 <= low < high):
        raise ConfigurationError(
            f"`scale` must be two whole numbers, the first at least 0 and the second higher, got "
            f"{scale!r}."
        )
    for name, value in (("max_tokens", max_tokens), ("max_chars", max_chars)):
        if value < 1:
            raise ConfigurationError(f"`{name}` must be at least 1, got {value!r}.")
    alternatives = high - low + 1 if high < 10 else 0
    request = Request(
        (), model, max_tokens=max_tokens, purpose="verdict", ask=ask,
        top_logprobs=min(alternatives, _MOST_ALTERNATIVES) or None,
    )  # fmt: skip
    question = {"scale": scale, "rubric": rubric, "max_chars": max_chars, "redact": redact}
    return _Judge(request, (low, high), question)


class _Judge(Verifier):
    name = "judge"

    def __init__(self, request: Request, scale: Scale, question: dict[str, Any]) -> None:
        self._request, self._scale, self._question = request, scale, question

    def _plan(self, prompt: Prompt, answer: Answer) -> Plan[Score]:
        text = rating_question(prompt.text, answer.text, **self._question)
        messages: tuple[dict[str, str], ...] = ({"role": "user", "content": text},)
        (reply,) = yield [self._asked(messages)]
        if read_rating(reply.text, scale=self._scale) is None:
            again = f"That cannot be read. Answer with nothing but {rating_form(self._scale)}."
            messages = (
                *messages,
                {"role": "assistant", "content": reply.text[:2000] or "(nothing)"},
                {"role": "user", "content": again},
            )
            (reply,) = yield [self._asked(messages)]
        return self._verdict(reply)

    def _asked(self, messages: tuple[dict[str, str], ...]) -> Request:
        first = self._request
        return Request(
            messages, first.model, max_tokens=first.max_tokens, purpose=first.purpose,
            top_logprobs=first.top_logprobs, ask=first.ask,
        )  # fmt: skip

    def _verdict(self, reply: Answer) -> Score:
        stated = read_rating(reply.text, scale=self._scale)
        if stated is None:
            raise VerifierError(
                "The judge's verdict could not be read, twice. It must be "
                f"{rating_form(self._scale)}; a judge that reasons may need a higher `max_tokens`."
            )
        mean = _expected(reply.tokens, stated, self._scale) if self._request.top_logprobs else None
        rating = float(stated) if mean is None else mean
        value = min(1.0, max(0.0, rating_value(rating, scale=self._scale)))
        return Score(value, f"rated {rating:.3g} of {self._scale[1]}", rating)


def _expected(tokens: Sequence[Token], stated: int, scale: Scale) -> float | None:
    """Return the mean rating by the probabilities at the stated one; None where they are unknown.

    Probabilities of one label, written with and without a blank, add up.
    """
    labels = {str(rating): rating for rating in range(scale[0], scale[1] + 1)}
    places = [token for token in tokens if token.text.strip(_AROUND_LABEL) == str(stated)]
    if not places or not places[-1].top:
        return None
    chances: dict[int, float] = {}
    for text, logprob in places[-1].top:
        label = labels.get(text.strip(_AROUND_LABEL))
        if label is not None:
            chances[label] = chances.get(label, 0.0) + math.exp(logprob)
    mass = sum(chances.values())
    if mass < _LEAST_MASS:
        return None
    return sum(label * chance for label, chance in chances.items()) / mass
