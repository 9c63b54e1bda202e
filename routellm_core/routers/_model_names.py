"""Which trained model a common name stands for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from routellm_core.errors import UnknownModelError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["NEAREST", "find_model", "name_key", "resolve_model"]

_LARGE = "gemini-1.5-pro-002"
_FAST = "gemini-1.5-flash-002"
_70B = "Meta-Llama-3_1-70B-Instruct"
_8B = "Meta-Llama-3_1-8B-Instruct"
_3B = "llama3.2-3b"

NEAREST: dict[str, str] = {
    "gpt-5-nano": _8B,
    "gpt-5-mini": _FAST,
    "gpt-5": _LARGE,
    "gpt-4.1-nano": _8B,
    "gpt-4.1-mini": _FAST,
    "gpt-4.1": _LARGE,
    "gpt-4o-mini": _FAST,
    "gpt-4o": _LARGE,
    "gpt-4": "gpt-4-0613",
    "gpt-3.5": "gpt-3.5-turbo-0613",
    "chatgpt-4o": _LARGE,
    "gpt-oss-120b": _LARGE,
    "gpt-oss-20b": _FAST,
    "o1-mini": _FAST,
    "o1": _LARGE,
    "o3-mini": _FAST,
    "o3": _LARGE,
    "o4-mini": _FAST,
    "claude-haiku": _FAST,
    "claude-sonnet": _LARGE,
    "claude-opus": _LARGE,
    "claude-3-haiku": "Qwen1.5-72B-Chat",
    "claude-3-5-haiku": _FAST,
    "claude-3-sonnet": "jamba-1.5-large",
    "claude-3-opus": _LARGE,
    "claude-3-5-sonnet": _LARGE,
    "claude-3-7-sonnet": _LARGE,
    "claude-instant": "gpt-3.5-turbo-0613",
    "claude-2": "Qwen1.5-72B-Chat",
    "gemini-flash-lite": _8B,
    "gemini-flash": _FAST,
    "gemini-pro": _LARGE,
    "gemini-1.5-flash-8b": _8B,
    "gemini-1.5-flash": _FAST,
    "gemini-1.5-pro": _LARGE,
    "gemini-2.0-flash-lite": _8B,
    "gemini-2.0-flash": _FAST,
    "gemini-2.0-pro": _LARGE,
    "gemini-2.5-flash-lite": _8B,
    "gemini-2.5-flash": _FAST,
    "gemini-2.5-pro": _LARGE,
    "gemini-3-flash": _FAST,
    "gemini-3-pro": _LARGE,
    "gemma-2-9b": "gemma-2-9b-it",
    "gemma-2-27b": "Qwen1.5-72B-Chat",
    "gemma-3-1b": "gemma3-1b",
    "gemma-3-4b": "gemma3-4b",
    "gemma-3-12b": _8B,
    "gemma-3-27b": _70B,
    "llama-2-7b": "meta-llama--Llama-2-7b-chat-hf",
    "llama-2-13b": "meta-llama--Llama-2-13b-chat-hf",
    "llama-2-70b": "meta-llama--Llama-2-70b-chat-hf",
    "llama-3": _8B,
    "llama-3-8b": _8B,
    "llama-3-70b": _70B,
    "llama-3.1-8b": _8B,
    "llama-3.1-70b": _70B,
    "llama-3.1-405b": _LARGE,
    "llama-3.2-1b": "llama3.2-1b",
    "llama-3.2-3b": _3B,
    "llama-3.2-11b": _8B,
    "llama-3.2-90b": _70B,
    "llama-3.3-70b": _70B,
    "llama-4-maverick": _LARGE,
    "llama-4-scout": _70B,
    "mixtral-8x7b": "Mixtral-8x7B-Instruct-v0.1",
    "mixtral-8x22b": "Qwen1.5-72B-Chat",
    "mistral-7b": "Mistral-7B-Instruct-v0.2",
    "mistral-small": "Qwen1.5-72B-Chat",
    "mistral-medium": _70B,
    "mistral-large": _70B,
    "ministral": _8B,
    "command-r-plus": "Qwen1.5-72B-Chat",
    "command-r": "Mixtral-8x7B-Instruct-v0.1",
    "jamba": "jamba-1.5-large",
    "phi-3": "Phi-3-mini-4k-instruct",
    "phi-4": _FAST,
    "qwen1.5-7b": "Qwen1.5-7B-Chat",
    "qwen1.5-72b": "Qwen1.5-72B-Chat",
    "qwen2-7b": "qwen2.5-7b-instruct",
    "qwen2.5-7b": "qwen2.5-7b-instruct",
    "qwen2.5-14b": _FAST,
    "qwen2.5-32b": _FAST,
    "qwen2.5-72b": _70B,
    "qwen2-72b": _70B,
    "qwen3-8b": "qwen2.5-7b-instruct",
    "qwen3-32b": _70B,
    "qwen3-235b": _LARGE,
    "qwen-turbo": "qwen2.5-7b-instruct",
    "qwen-plus": _70B,
    "qwen-max": _LARGE,
    "deepseek-coder": "DeepSeek-Coder-V2",
    "deepseek-chat": _LARGE,
    "deepseek-v2": "DeepSeek-Coder-V2",
    "deepseek-v3": _LARGE,
    "deepseek-r1": _LARGE,
    "deepseek-reasoner": _LARGE,
    "grok": _LARGE,
    "nova-micro": _8B,
    "nova-lite": _FAST,
    "nova-pro": _70B,
}
"""Beginnings of common names, each with the trained model nearest in published accuracy on general
knowledge and reasoning. The longest matching beginning counts."""

_SEPARATORS = re.compile(r"[-_. ]+")
_WORDING = (("meta-", ""), ("claude-4-", "claude-"), ("llama3", "llama-3"), ("llama2", "llama-2"))
_CLAUDE = re.compile(r"claude-(opus|sonnet|haiku)-?\d.*|claude-\d+(?:-\d+)?-(opus|sonnet|haiku).*")


def resolve_model(
    name: str, trained: Sequence[str], *, names: Mapping[str, str] | None = None
) -> str:
    """Return the trained model that a name stands for.

    In this order: a name of the caller's own, a trained model's name (in any case, with any of
    "-", "_", "." between its parts), and the longest beginning in `NEAREST`. A provider in front
    of the name, as in "openai:gpt-4o" or "together_ai/meta-llama/Llama-3-8b", is left away.

    Parameters
    ----------
    name
        Any model name.
    trained
        The names that may be returned.
    names
        Names of the caller's own, each with a trained model.

    Raises
    ------
    UnknownModelError
        If the name stands for no trained model.

    Examples
    --------
    >>> resolve_model("openai:gpt-4o-mini-2024-07-18", ["gemini-1.5-flash-002"])
    'gemini-1.5-flash-002'
    """
    own = dict(names or {})
    if name in own and own[name] not in trained:
        raise _unknown(own[name], trained)
    found = find_model(name, trained, names=own)
    if found is None:
        raise _unknown(name, trained)
    return found


def find_model(
    name: str, trained: Sequence[str], *, names: Mapping[str, str] | None = None
) -> str | None:
    """Return what `resolve_model` returns, or None where the name stands for no trained model."""
    own = dict(names or {})
    if name in own:
        return own[name] if own[name] in trained else None
    by_key = {name_key(model): model for model in trained}
    for candidate in _candidates(name):
        if candidate in by_key:
            return by_key[candidate]
    for candidate in _candidates(name):
        starts = [start for start in NEAREST if _starts(candidate, name_key(start))]
        for start in sorted(starts, key=len, reverse=True):
            if NEAREST[start] in trained:
                return NEAREST[start]
    return None


def _candidates(name: str) -> list[str]:
    bare = name.strip()
    found = [bare, re.split(r"[:/]", bare, maxsplit=1)[-1], re.split(r"[:/]", bare)[-1]]
    last = bare.rsplit("/", maxsplit=1)[-1]
    # Amazon Bedrock puts region and vendor in front with dots, and a revision behind a colon.
    found.append(re.sub(r"^(?:[a-z]{2}\.)?[a-z0-9]+\.(?=[a-z])", "", last).split(":")[0])
    # Ollama puts the size behind a colon.
    found.insert(1, last.replace(":", "-"))
    keys = []
    for text in found:
        key = name_key(text)
        for old, new in _WORDING:
            key = key.replace(old, new)
        keys += [name_key(text), key]
        family = _CLAUDE.fullmatch(key)
        if family:
            keys.append(f"claude-{family.group(1) or family.group(2)}")
    return list(dict.fromkeys(keys))


def name_key(name: str) -> str:
    """Return what names of one model have in common, whatever their case and separators.

    Examples
    --------
    >>> name_key("GPT_4 0613")
    'gpt-4-0613'
    """
    return _SEPARATORS.sub("-", name.lower()).strip("-")


def _starts(name: str, start: str) -> bool:
    return name == start or (name.startswith(start) and not name[len(start)].isalnum())


def _unknown(name: str, trained: Sequence[str]) -> UnknownModelError:
    known = sorted({*trained, *NEAREST})
    return UnknownModelError(
        f"Unknown model {name!r}.{did_you_mean(name, known)} Pass `model_names={{{name!r}: ...}}` "
        f"with the trained model that it is most like: {', '.join(sorted(trained))}."
    )
