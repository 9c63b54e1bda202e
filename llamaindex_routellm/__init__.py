"""Cost-aware routing as a drop-in LlamaIndex model."""

from llamaindex_routellm.base import RoutedLLM

__all__ = ["RoutedLLM"]
