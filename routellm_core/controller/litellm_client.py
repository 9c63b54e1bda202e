"""Reach LiteLLM, the library that speaks to every provider."""

from routellm_core._optional import import_litellm

__all__ = ["import_litellm"]
