"""LiteLLM's table of models, read without a network and, where possible, without LiteLLM."""

from __future__ import annotations

import json
import sys
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from routellm_core._litellm import import_litellm

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["table_entries"]

_TEMPLATE = "sample_spec"  # documents the table's format, and is no model
_SHIPPED_TABLE = "model_prices_and_context_window_backup.json"
# LangChain's provider names where LiteLLM's differ.
_PROVIDERS = {
    "azure_openai": "azure",
    "bedrock_converse": "bedrock",
    "google_genai": "gemini",
    "google_vertexai": "vertex_ai",
    "mistralai": "mistral",
    "together": "together_ai",
}


def table_entries(model: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the table's entries for a model, the surest first, each with its name in the table.

    The table is the one in memory when LiteLLM is imported already, else the copy that LiteLLM
    ships.

    Parameters
    ----------
    model
        A name as LiteLLM writes it ("gpt-4o", "openai/gpt-4o"), or as LangChain does
        ("openai:gpt-4o"). A provider that is named must be the table's.

    Raises
    ------
    MissingDependencyError
        If LiteLLM is not installed.
    """
    table = _table()
    for name, provider in _spellings(model):
        entry = table.get(name)
        if not isinstance(entry, dict) or name == _TEMPLATE:
            continue
        if provider is None or _is_of(entry, provider):
            yield name, entry


def _spellings(model: str) -> Iterator[tuple[str, str | None]]:
    """Yield names to look up, each with the provider that its entry must have."""
    yield model, None
    head, colon, tail = model.partition(":")
    if colon and "/" not in head:
        provider = _PROVIDERS.get(head, head)
        yield f"{provider}/{tail}", None
        yield tail, provider
        return
    head, slash, tail = model.partition("/")
    if slash:
        yield tail, head


def _is_of(entry: Mapping[str, Any], provider: str) -> bool:
    stated = str(entry.get("litellm_provider", ""))
    # "vertex_ai-language-models" is "vertex_ai", "bedrock_converse" is "bedrock".
    return stated == provider or stated.startswith((f"{provider}-", f"{provider}_"))


def _table() -> Mapping[str, Any]:
    litellm = sys.modules.get("litellm")
    table = getattr(litellm, "model_cost", None)
    return table if isinstance(table, dict) else _shipped_table()


@lru_cache(maxsize=1)
def _shipped_table() -> Mapping[str, Any]:
    spec = find_spec("litellm")
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder) / _SHIPPED_TABLE
        if path.is_file():
            table: dict[str, Any] = json.loads(path.read_bytes())
            return table
    table = import_litellm().model_cost
    return table if isinstance(table, dict) else {}
