"""Anthropic's marks for prompt caches, which other providers' APIs do not know.

Content blocks and arguments with `cache_control` reach a model as they are, unless its integration
is one of a provider that would refuse them: then it gets copies without.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import BaseMessage

from langchain_routellm.messages import read_messages

__all__ = ["refuses_marks", "unmarked_arguments", "unmarked_input", "unmarked_message"]

T = TypeVar("T", bound=BaseMessage)

_MARK = "cache_control"
_REFUSING = frozenset(
    {
        "langchain_cohere", "langchain_deepseek", "langchain_fireworks", "langchain_google_genai",
        "langchain_groq", "langchain_huggingface", "langchain_mistralai", "langchain_ollama",
        "langchain_openai", "langchain_perplexity", "langchain_together", "langchain_xai",
    }
)  # fmt: skip
"""Integrations whose providers have no such field. LiteLLM's and OpenRouter's translate it."""
_TAKING_NAMES = ("anthropic", "claude")
"""Parts of a model's name that is Anthropic's, behind another API's client."""


def refuses_marks(model: BaseChatModel) -> bool:
    """Return whether a model's API is known to take no `cache_control`."""
    packages = {kind.__module__.partition(".")[0] for kind in type(model).__mro__}
    if packages.isdisjoint(_REFUSING):
        return False
    name = str(getattr(model, "model_name", None) or getattr(model, "model", "")).lower()
    return not any(part in name for part in _TAKING_NAMES)


def unmarked_arguments(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return a call's arguments without a mark; the same where there is none."""
    if _MARK not in arguments:
        return arguments
    return {name: value for name, value in arguments.items() if name != _MARK}


def unmarked_input(model_input: LanguageModelInput) -> LanguageModelInput:
    """Return a call's input without marks; the same where there are none."""
    if isinstance(model_input, str):
        return model_input
    messages = read_messages(model_input)
    if not any(map(_is_marked, messages)):
        return model_input
    return [unmarked_message(message) for message in messages]


def unmarked_message(message: T) -> T:
    """Return a message without marks on its blocks, a copy where it has any."""
    if not _is_marked(message):
        return message
    blocks = [
        {name: value for name, value in block.items() if name != _MARK}
        if isinstance(block, Mapping)
        else block
        for block in message.content
    ]
    return message.model_copy(update={"content": blocks})


def _is_marked(message: BaseMessage) -> bool:
    content: str | Sequence[Any] = message.content
    return not isinstance(content, str) and any(
        isinstance(block, Mapping) and _MARK in block for block in content
    )
