"""Log-probabilities of an answer's tokens, from wherever a provider puts them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from routellm_core.answers.content import Token
from routellm_core.errors import VerifierError

__all__ = ["LEAST_LOGPROB", "read_tokens"]

LEAST_LOGPROB = math.log(1e-10)
"""What a lower log-probability counts as: OpenAI writes -9999 for whatever is not among the top."""

_ROUNDING = 0.01
_DEEPEST = 8

# Where an answer keeps its log-probabilities, from the outside to the inside.
_AROUND = (
    "raw",  # LlamaIndex
    "response_metadata",  # LangChain
    "generation_info",
    "choices",
    "candidates",  # Gemini
    "output",  # OpenAI's Responses
    "details",  # Text Generation Inference
    "logprobs",
    "logprobs_result",
    "logprobsResult",
    "completion_probabilities",  # llama.cpp
    "content",
    "tokens",
)


def read_tokens(answer: Any) -> tuple[Token, ...]:
    """Return the tokens of an answer with their log-probabilities.

    Parameters
    ----------
    answer
        A response, or a part of one, as mappings and lists or as objects with attributes: of
        OpenAI (Chat, Completions, Responses) and what imitates it (vLLM, LiteLLM, Together,
        Fireworks, Groq, Ollama), of Gemini, Cohere, Text Generation Inference or llama.cpp; a
        LangChain message; a LlamaIndex response, whose `raw` is read. Of several choices the first
        one counts.

    Returns
    -------
    Empty when there are no log-probabilities. One below `LEAST_LOGPROB` counts as that.

    Raises
    ------
    VerifierError
        If a log-probability is NaN or positive.

    Examples
    --------
    >>> read_tokens({"logprobs": {"content": [{"token": "Hi", "logprob": -0.25}]}})
    (Token(text='Hi', logprob=-0.25, top=()),)
    """
    return tuple(_found(answer, 0))


def _found(value: Any, depth: int) -> list[Token]:
    if depth > _DEEPEST or value is None or isinstance(value, (str, bytes, int, float)):
        return []
    if isinstance(value, (list, tuple)):
        return _of_list(value, depth)
    for read in (_columns, _gemini):
        tokens = read(value)
        if tokens:
            return tokens
    for name in _AROUND:
        tokens = _found(_get(value, name), depth + 1)
        if tokens:
            return tokens
    return []


def _of_list(values: Sequence[Any], depth: int) -> list[Token]:
    if values and all(_is_token(value) for value in values):
        return [token for value in values for token in _tokens_of(value)]
    # Choices, candidates, or the parts of an answer: the first that has any.
    for value in values:
        tokens = [] if isinstance(value, (list, tuple)) else _found(value, depth + 1)
        if tokens:
            return tokens
    return []


def _is_token(value: Any) -> bool:
    if not isinstance(_first(value, "token", "text", "content"), str):
        return False
    return _first(value, *_LOGPROB) is not None or _are_numbers(_get(value, "logprobs"))


def _are_numbers(values: Any) -> bool:
    listed = isinstance(values, (list, tuple)) and bool(values)
    return listed and all(isinstance(value, (int, float)) for value in values)


_LOGPROB = ("logprob", "logProbability", "log_probability")


def _tokens_of(value: Any) -> Iterator[Token]:
    text = _first(value, "token", "text", "content")
    several = _get(value, "logprobs")
    if _are_numbers(several):  # Cohere: the tokens of one piece of text
        for place, logprob in enumerate(several):
            yield Token(text if place == 0 else "", _number(logprob))
        return
    top = tuple(
        (str(_first(other, "token", "text")), _number(_first(other, *_LOGPROB)))
        for other in _first(value, "top_logprobs") or ()
    )
    yield Token(text, _number(_first(value, *_LOGPROB)), top)


def _columns(value: Any) -> list[Token]:
    """Read `tokens` beside `token_logprobs`, as OpenAI's older interface has them."""
    texts, logprobs = _get(value, "tokens"), _get(value, "token_logprobs")
    if not (isinstance(texts, (list, tuple)) and isinstance(logprobs, (list, tuple))):
        return []
    tops = _get(value, "top_logprobs")
    alternatives = tops if isinstance(tops, (list, tuple)) else []
    return [
        # The first token of an echoed prompt has no probability.
        Token(str(text), _number(logprob), _alternatives(top))
        for text, logprob, top in zip_longest(texts, logprobs, alternatives)
        if logprob is not None
    ]


def _alternatives(top: Any) -> tuple[tuple[str, float], ...]:
    if not isinstance(top, Mapping):
        return ()
    return tuple((str(text), _number(logprob)) for text, logprob in top.items())


def _gemini(value: Any) -> list[Token]:
    chosen = _first(value, "chosenCandidates", "chosen_candidates")
    if not isinstance(chosen, (list, tuple)):
        return []
    tops = _first(value, "topCandidates", "top_candidates") or []
    tokens = []
    for token, top in zip_longest(chosen, tops):
        if token is None:
            break
        others = _get(top, "candidates") or ()
        alternatives = tuple(
            (str(_get(other, "token")), _number(_first(other, *_LOGPROB))) for other in others
        )
        tokens.append(
            Token(str(_get(token, "token") or ""), _number(_first(token, *_LOGPROB)), alternatives)
        )
    return tokens


def _number(value: Any) -> float:
    # Gemini leaves out a log-probability of 0.
    number = 0.0 if value is None else float(value)
    if math.isnan(number) or number > _ROUNDING:
        raise VerifierError(
            f"A log-probability must be at most 0, and the answer has {number!r}. Are these "
            "probabilities?"
        )
    return min(0.0, max(LEAST_LOGPROB, number))


def _first(value: Any, *names: str) -> Any:
    return next((found for name in names if (found := _get(value, name)) is not None), None)


def _get(value: Any, name: str) -> Any:
    if isinstance(value, Mapping):
        return value.get(name)
    return getattr(value, name, None)
