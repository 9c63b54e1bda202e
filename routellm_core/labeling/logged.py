"""A prompt and everything that a log says of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from routellm_core.labeling.calls import Message

__all__ = ["LoggedPrompt", "Signal", "SignalKind", "is_same_model", "merged", "transcript"]

SignalKind = Literal["rating", "retry", "edit"]
"""What a user did: rate the answer, ask again, or correct it."""

# LangChain writes "provider:model"; Ollama's own "qwen3:8b" has a colon, too.
_PROVIDERS = frozenset(
    {
        "anthropic", "azure_ai", "azure_openai", "bedrock", "bedrock_converse", "cohere",
        "deepseek", "fireworks", "google_genai", "google_vertexai", "groq", "huggingface", "ibm",
        "mistralai", "nvidia", "ollama", "openai", "perplexity", "together", "xai",
    }
)  # fmt: skip
_SNAPSHOT = re.compile(r"[-@](\d{4}-\d{2}-\d{2}|\d{8})$")
_SPEAKERS = {"system": "System", "user": "User", "assistant": "Assistant"}


@dataclass(frozen=True, slots=True)
class Signal:
    """A sign of how good an answer was to its user.

    Parameters
    ----------
    kind
        See `SignalKind`.
    quality
        In [0, 1].
    weight
        How much it says, above 0; a rating says 1.
    """

    kind: SignalKind
    quality: float
    weight: float


@dataclass(frozen=True, slots=True)
class LoggedPrompt:
    """A prompt, and what its log says of it.

    Parameters
    ----------
    prompt
        The text that routing looks at.
    messages
        The conversation up to the answer, for the models; empty for the prompt alone.
    answers
        By model: answers that the log holds.
    reference
        The known answer; None when there is none.
    feedback
        By model: what its users did with its answers.
    """

    prompt: str
    messages: tuple[Message, ...] = ()
    answers: Mapping[str, str] = field(default_factory=dict)
    reference: str | None = None
    feedback: Mapping[str, tuple[Signal, ...]] = field(default_factory=dict)

    def named(self, models: Sequence[str]) -> LoggedPrompt:
        """Return the same under the given names, where the log spells a model in another way."""

        def name(logged: str) -> str:
            if logged in models:
                return logged
            return next((model for model in models if is_same_model(logged, model)), logged)

        answers: dict[str, str] = {}
        feedback: dict[str, tuple[Signal, ...]] = {}
        for logged, answer in self.answers.items():
            answers.setdefault(name(logged), answer)
        for logged, signals in self.feedback.items():
            feedback[name(logged)] = (*feedback.get(name(logged), ()), *signals)
        return replace(self, answers=answers, feedback=feedback)


def merged(prompts: Iterable[LoggedPrompt]) -> list[LoggedPrompt]:
    """Return prompts, one for each text and conversation, in the order of their first places.

    The first answer of a model and the first reference count; feedback is collected.
    """
    found: dict[tuple[object, ...], LoggedPrompt] = {}
    for one in prompts:
        key = (one.prompt, tuple(tuple(sorted(message.items())) for message in one.messages))
        known = found.get(key)
        found[key] = one if known is None else _joined(known, one)
    return list(found.values())


def _joined(first: LoggedPrompt, second: LoggedPrompt) -> LoggedPrompt:
    feedback = dict(first.feedback)
    for model, signals in second.feedback.items():
        feedback[model] = (*feedback.get(model, ()), *signals)
    return replace(
        first,
        answers={**second.answers, **first.answers},
        reference=second.reference if first.reference is None else first.reference,
        feedback=feedback,
    )


def is_same_model(first: str, second: str) -> bool:
    """Return whether two names are of one model: with or without a provider, or dated.

    Examples
    --------
    >>> is_same_model("openai/gpt-4o", "gpt-4o-2024-08-06")
    True
    >>> is_same_model("gpt-4o", "gpt-4o-mini")
    False
    """
    return bool(_spellings(first) & _spellings(second))


def _spellings(name: str) -> set[str]:
    name = name.strip().casefold()
    found = {name}
    provider, colon, model = name.partition(":")
    if colon and provider in _PROVIDERS:
        found.add(model)
    _, slash, model = name.partition("/")
    if slash:
        found.add(model)
    return found | {_SNAPSHOT.sub("", one) for one in found}


def transcript(prompt: LoggedPrompt) -> str:
    r"""Return what the models were asked, in one text: the prompt, or the conversation to it.

    Examples
    --------
    >>> said = ({"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"})
    >>> transcript(LoggedPrompt("Hi", said))
    'System: Be kind.\n\nUser: Hi'
    """
    if not prompt.messages:
        return prompt.prompt
    return "\n\n".join(
        f"{_SPEAKERS.get(message['role'], message['role'])}: {message['content']}"
        for message in prompt.messages
    )
