"""Texts to vectors."""

from routellm_core.embedders.base import Embedder

__all__ = ["Embedder"]
