"""A call of a model that labelling pays for, and what comes back."""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TypeAlias, TypeVar

__all__ = ["Call", "Message", "Plan", "Reply", "user_message"]

T = TypeVar("T")

Message: TypeAlias = "dict[str, str]"
"""A chat message: `role` and `content`."""

Plan: TypeAlias = "Generator[Sequence[Call], Sequence[Reply | None], T]"
"""The labelling of one prompt: yields the calls that it needs next, which may run together, and
receives their replies in the same order, None for a call that failed for good."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request to a model.

    Parameters
    ----------
    model
        A LiteLLM model name.
    messages
        The conversation.
    max_tokens
        The most tokens that the answer may have; bounds the price.
    purpose
        What it is for: "answer" or "verdict".
    template
        The name and version of the template that made the messages.
    sample
        Which of several answers to the same request this is.
    temperature
        0 for verdicts and single answers.
    """

    model: str
    messages: tuple[Message, ...]
    max_tokens: int
    purpose: str = "answer"
    template: str = ""
    sample: int = 0
    temperature: float = 0.0

    @property
    def key(self) -> str:
        """A digest of everything that decides the answer; equal calls have equal keys.

        Examples
        --------
        >>> messages = (user_message("1 + 1?"),)
        >>> Call("m", messages, 9).key == Call("m", messages, 9).key
        True
        >>> Call("m", messages, 9).key == Call("m", messages, 9, sample=1).key
        False
        """
        parts = [
            self.model, self.messages, self.max_tokens, self.purpose, self.template, self.sample,
            self.temperature,
        ]  # fmt: skip
        return blake2b(json.dumps(parts).encode("ascii"), digest_size=16).hexdigest()

    @property
    def n_bytes(self) -> int:
        """The length of the messages in UTF-8, which bounds their number of tokens."""
        return sum(len(m["content"].encode("utf-8", "surrogatepass")) for m in self.messages)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer.

    Parameters
    ----------
    text
        Its words.
    input_tokens, output_tokens
        As the provider counted them; None when it did not.
    cost_usd
        What it cost; NaN when the model's price is unknown.
    """

    text: str
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float = float("nan")


def user_message(text: str) -> Message:
    """Return a message from the user."""
    return {"role": "user", "content": text}
