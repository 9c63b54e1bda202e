"""Texts to vectors."""

from routellm_core.embedders.base import AsyncEmbedder, Embedder
from routellm_core.embedders.cached import CachedEmbedder
from routellm_core.embedders.frameworks import FrameworkEmbedder
from routellm_core.embedders.joined import JoinedEmbedder
from routellm_core.embedders.litellm import LiteLLMEmbedder
from routellm_core.embedders.loading import load_embedder
from routellm_core.embedders.sentence_transformers import SentenceTransformersEmbedder

__all__ = [
    "AsyncEmbedder",
    "CachedEmbedder",
    "Embedder",
    "FrameworkEmbedder",
    "JoinedEmbedder",
    "LiteLLMEmbedder",
    "SentenceTransformersEmbedder",
    "load_embedder",
]
