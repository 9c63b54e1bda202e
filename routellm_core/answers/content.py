"""What a verifier reads: a prompt, and the answer to it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from routellm_core._numbers import check_fraction
from routellm_core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from routellm_core.types import Usage

__all__ = ["Answer", "Prompt", "Token", "ToolCall", "as_answer", "as_prompt"]


@dataclass(frozen=True, slots=True)
class Token:
    """A token of an answer, and how probable its model took it to be.

    Parameters
    ----------
    text
        The token's characters.
    logprob
        Natural logarithm of its probability, finite and at most 0.
    top
        The most probable tokens at this place and their log-probabilities, in any order; empty
        when they were not asked for.

    Raises
    ------
    ConfigurationError
        If `logprob` is not finite or positive.
    """

    text: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        if not (math.isfinite(self.logprob) and self.logprob <= 0.0):
            raise ConfigurationError(
                f"`logprob` must be finite and at most 0, got {self.logprob!r}."
            )


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool that an answer asks for.

    Parameters
    ----------
    name
        The tool.
    arguments
        Its arguments: an object, or the JSON text of one as the model wrote it.
    """

    name: str
    arguments: Mapping[str, Any] | str


@dataclass(frozen=True, slots=True)
class Prompt:
    """What was asked.

    Parameters
    ----------
    text
        The user's words.
    win_rate
        The router's win rate in [0, 1]; None when no router was asked.
    messages
        The whole conversation in OpenAI's shape, for verifiers that draw more answers; empty for
        `text` alone.
    schema
        The form that the answer must have: a JSON schema, a pydantic model, a `TypedDict` or any
        other type that pydantic validates; None for free text.
    tools
        JSON schemas (or pydantic models) of the tools' arguments by the tools' names; None when
        there are no tools.
    tool_choice
        None or "auto" when the model is free, "none" when it must not call a tool, "required" or
        "any" when it must call one, or the name of the tool that it must call.

    Raises
    ------
    ConfigurationError
        If `win_rate` lies outside [0, 1].
    """

    text: str
    win_rate: float | None = None
    messages: tuple[Mapping[str, Any], ...] = ()
    schema: Any = None
    tools: Mapping[str, Any] | None = None
    tool_choice: str | None = None

    def __post_init__(self) -> None:
        if self.win_rate is not None:
            check_fraction(self.win_rate, name="win_rate", within="[0, 1]")

    def conversation(self) -> tuple[Mapping[str, Any], ...]:
        """Return the messages, or `text` as the only one."""
        return self.messages or ({"role": "user", "content": self.text},)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model answered.

    Parameters
    ----------
    text
        Its words.
    tokens
        Its tokens with their log-probabilities; empty when the provider did not send any.
    tool_calls
        The calls of tools that it asks for.
    finish_reason
        Why the model stopped, in its provider's words.
    refusal
        The model's own words of refusal, where its provider keeps them apart.
    usage
        What it used; None where nobody says.
    """

    text: str
    tokens: tuple[Token, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str | None = None
    refusal: str | None = None
    usage: Usage | None = None

    @property
    def logprobs(self) -> Sequence[float]:
        """The log-probabilities of its tokens."""
        return [token.logprob for token in self.tokens]


def as_prompt(prompt: Prompt | str) -> Prompt:
    """Return a prompt for a text.

    Raises
    ------
    ConfigurationError
        If it is neither.
    """
    if isinstance(prompt, str):
        return Prompt(prompt)
    if not isinstance(prompt, Prompt):
        raise ConfigurationError(
            f"`prompt` must be a text or a `Prompt`, got a {type(prompt).__name__}."
        )
    return prompt


def as_answer(answer: Answer | str) -> Answer:
    """Return an answer for a text.

    Raises
    ------
    ConfigurationError
        If it is neither.
    """
    if isinstance(answer, str):
        return Answer(answer)
    if not isinstance(answer, Answer):
        raise ConfigurationError(
            f"`answer` must be a text or an `Answer`, got a {type(answer).__name__}."
        )
    return answer
