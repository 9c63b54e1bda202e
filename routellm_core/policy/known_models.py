"""What models can take, from LiteLLM's table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from routellm_core.errors import MissingDependencyError
from routellm_core.experts.capabilities import Capabilities
from routellm_core.model_table import table_entries

if TYPE_CHECKING:
    from collections.abc import Mapping

    from routellm_core.types import Modality

__all__ = ["known_capabilities"]

_FLAGS: Mapping[str, Modality] = {
    "supports_vision": "image",
    "supports_image_input": "image",
    "supports_audio_input": "audio",
    "supports_video_input": "video",
    "supports_pdf_input": "file",
}


def known_capabilities(model: str) -> Capabilities:
    """Return what a model can take, as far as LiteLLM's table knows; the rest is assumed to work.

    No network is used. An unknown model, or one for which the table states prices only, can take
    everything; so can all models where LiteLLM is not installed.

    Parameters
    ----------
    model
        A name as LiteLLM writes it ("openai/gpt-4o"), or as LangChain does ("openai:gpt-4o").

    Examples
    --------
    >>> "image" in known_capabilities("openai/gpt-3.5-turbo").modalities
    False
    """
    try:
        entry = next((entry for _, entry in table_entries(model)), None)
    except MissingDependencyError:
        entry = None
    if entry is None:
        return Capabilities()
    window = entry.get("max_input_tokens")
    return Capabilities(
        modalities=_modalities(entry),
        # Many entries of models that call tools lack the flag: only a stated no is one.
        tools=entry.get("supports_function_calling") is not False,
        context_window=window if isinstance(window, int) and window > 0 else None,
    )


def _modalities(entry: Mapping[str, Any]) -> frozenset[Modality]:
    """Return what an entry says; a flag that is missing beside others means no."""
    everything = Capabilities().modalities
    listed = entry.get("supported_modalities") or ()
    if not listed and not any(key.startswith("supports_") for key in entry):
        return everything
    flagged = {modality for flag, modality in _FLAGS.items() if entry.get(flag) is True}
    return everything & (flagged | set(listed))
