"""Whether a LiteLLM model name can be asked at all, told when the model is built."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from routellm_core._litellm import quiet_litellm
from routellm_core.errors import ConfigurationError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["check_model"]

# The variables of which LiteLLM takes any as the key, where it has no other way to credentials.
# Azure, Bedrock, Vertex AI and servers of one's own are left out: they have profiles, tokens and
# identities that only a call can try. The first is the one that a user is told.
_KEYS: Mapping[str, tuple[str, ...]] = {
    "anthropic": ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"),
    "cerebras": ("CEREBRAS_API_KEY", "CEREBRAS_ADMIN_KEY"),
    "cohere": ("COHERE_API_KEY", "CO_API_KEY"),
    "deepinfra": ("DEEPINFRA_API_KEY", "DEEPINFRA_ADMIN_KEY"),
    "deepseek": ("DEEPSEEK_API_KEY",),
    "fireworks_ai": (
        "FIREWORKS_API_KEY",
        "FIREWORKS_AI_API_KEY",
        "FIREWORKSAI_API_KEY",
        "FIREWORKS_AI_TOKEN",
    ),
    "gemini": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    "groq": ("GROQ_API_KEY",),
    "mistral": ("MISTRAL_API_KEY", "MISTRAL_AZURE_API_KEY"),
    "openai": ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY"),
    "openrouter": ("OPENROUTER_API_KEY", "OR_API_KEY"),
    "perplexity": ("PERPLEXITY_API_KEY", "PERPLEXITYAI_API_KEY", "PERPLEXITY_ADMIN_KEY"),
    "together_ai": (
        "TOGETHERAI_API_KEY",
        "TOGETHER_API_KEY",
        "TOGETHER_AI_API_KEY",
        "TOGETHER_AI_TOKEN",
    ),
    "xai": ("XAI_API_KEY",),
}


def check_model(
    model: str,
    *,
    role: str,
    api_key: object = None,
    base_url: object = None,
    key_needed: bool = True,
) -> None:
    """Refuse a LiteLLM model name that certainly cannot be asked: without a provider or a key.

    Whatever may still be right passes, and is told by the first call: an address of one's own,
    providers with profiles or identities, keys that LiteLLM holds. LiteLLM is imported only for
    the name of a provider that is not one of the most common.

    Parameters
    ----------
    model
        A name such as "openai/gpt-4o-mini". One without a "/" is not checked.
    role
        "strong" or "weak", for messages.
    api_key, base_url
        What was passed for this model; None for nothing.
    key_needed
        Whether a missing key is refused; False where each request may bring its own.

    Raises
    ------
    ConfigurationError
        If the provider is unknown or its key is missing.
    """
    provider, slash, _ = model.partition("/")
    if not slash or base_url:
        return
    if provider not in _KEYS:
        _check_provider(provider, model, role)
    elif key_needed and not api_key and not _has_key(provider):
        name = _KEYS[provider][0]
        raise ConfigurationError(
            f"The `{role}` model {model!r} needs a key, and none was found. Set the environment "
            f"variable {name}, or pass the key with `api_key`."
        )


def _check_provider(provider: str, model: str, role: str) -> None:
    with quiet_litellm() as litellm:
        try:
            litellm.get_llm_provider(model)
        except litellm.exceptions.BadRequestError:
            known = sorted(str(getattr(name, "value", name)) for name in litellm.provider_list)
        else:
            return
    if provider not in known:
        raise ConfigurationError(
            f"LiteLLM knows no provider {provider!r}, of the `{role}` model {model!r}."
            f"{did_you_mean(provider, known)} Write 'provider/model', as in 'openai/gpt-4o-mini', "
            "or pass the address of an OpenAI-compatible server and write 'openai/model'."
        )


def _has_key(provider: str) -> bool:
    """Return whether a key may be found, or another address with its own rules."""
    prefix = provider.partition("_")[0].upper()
    if any(os.environ.get(name) for name in _KEYS[provider]) or any(
        value and name.startswith(prefix) and name.endswith(("_API_BASE", "_BASE_URL"))
        for name, value in os.environ.items()
    ):
        return True
    litellm = sys.modules.get("litellm")
    places = ("api_key", "api_base", f"{provider}_key", "secret_manager_client")
    return any(getattr(litellm, place, None) for place in places)
