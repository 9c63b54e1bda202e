"""What the demonstration asks: two models, real ones or offline stand-ins, behind one question."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from routellm_core._litellm import import_litellm
from routellm_core.cli.failures import provider_words
from routellm_core.errors import ConfigurationError
from routellm_core.experts import Variant

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from routellm_core.types import DecisionRecord

__all__ = ["Answer", "Ask", "Tier", "stand_in_text"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for one prompt.

    Parameters
    ----------
    record
        The decision record that the answer carried; None when there is no answer.
    text
        The answer's words.
    input_tokens, output_tokens
        What the model says it read and wrote; None when it does not say.
    cause
        What the call raised; None when there is an answer.
    """

    record: DecisionRecord | None
    text: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cause: BaseException | None = None

    @property
    def error(self) -> str | None:
        """Why there is no answer, in one line, the error's class first."""
        if self.cause is None:
            return None
        return f"{type(self.cause).__name__}: {provider_words(self.cause)}"


class Ask(Protocol):
    """Send prompts through a routed model of one framework."""

    def __call__(self, prompts: Sequence[str]) -> Generator[Answer, None, None]:
        """Yield one answer per prompt, in order; ask a few at a time."""
        ...


@dataclass(frozen=True, slots=True)
class Tier:
    """One of the two models, as the user named it.

    Parameters
    ----------
    name
        As LiteLLM ("openai/gpt-4o") or LangChain ("openai:gpt-4o") writes it.
    stand_in
        Whether an offline stand-in answers in this model's place.
    url
        Base URL of the server to ask instead of the provider's own.
    key_env
        The environment variable that holds the key for `url`.
    effort
        How much the model is to think: its `reasoning_effort`; None for its own.
    """

    name: str
    stand_in: bool = False
    url: str | None = None
    key_env: str | None = None
    effort: str | None = None

    def __post_init__(self) -> None:
        if self.url is None and self.key_env is not None:
            raise ConfigurationError(
                f"A key from {self.key_env!r} needs the URL that it is for; without one, the "
                "provider's own variable is read."
            )
        if self.key_env is not None and not os.environ.get(self.key_env):
            raise ConfigurationError(f"The environment variable {self.key_env!r} is not set.")

    @property
    def label(self) -> str:
        """The name, with the effort where there is one."""
        return self.name if self.effort is None else f"{self.name} (reasoning_effort={self.effort})"

    def at_effort(self, model: Any) -> Any:
        """Return a model of a framework, or its name, as it is to think."""
        return model if self.effort is None else Variant(model, reasoning_effort=self.effort)

    @property
    def litellm_name(self) -> str:
        """The name for LiteLLM; behind a URL, that of an OpenAI-compatible server by default."""
        head, colon, tail = self.name.partition(":")
        name = f"{head}/{tail}" if colon and "/" not in head else self.name
        if self.url is None:
            return name
        known = {str(getattr(p, "value", p)) for p in import_litellm().provider_list}
        # "Qwen/Qwen3-8B" names no provider, and neither does the "qwen3:8b" of a local server.
        return name if name.partition("/")[0] in known else f"openai/{self.name}"

    @property
    def key(self) -> str:
        """The key for `url`: that of `key_env`, else a placeholder, never another server's key."""
        return os.environ[self.key_env] if self.key_env else "none"


def stand_in_text(name: str) -> str:
    """Return the one answer that a stand-in gives."""
    return f"[Stand-in for {name}: canned text, no model was asked.]"
