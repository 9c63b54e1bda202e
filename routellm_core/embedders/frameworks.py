"""Embedders that an application has already: LangChain's and LlamaIndex's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from routellm_core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["FrameworkEmbedder"]

_METHODS = {
    "embed_documents": "aembed_documents",  # LangChain's `Embeddings`
    "get_text_embedding_batch": "aget_text_embedding_batch",  # LlamaIndex's `BaseEmbedding`
}


class FrameworkEmbedder:
    """Embed texts by a LangChain `Embeddings` or a LlamaIndex `BaseEmbedding`.

    Parameters
    ----------
    embeddings
        The framework's object.
    identity
        What checkpoints record, for example "openai:text-embedding-3-small". It has to be said,
        because neither framework says which model is behind an object.

    Raises
    ------
    ConfigurationError
        If the object is neither.
    """

    def __init__(self, embeddings: Any, *, identity: str) -> None:
        found = [name for name in _METHODS if callable(getattr(embeddings, name, None))]
        if not found:
            raise ConfigurationError(
                "`embeddings` must be a LangChain `Embeddings` or a LlamaIndex `BaseEmbedding`, got"
                f" {type(embeddings).__name__}."
            )
        self.embeddings, self.identity, self._method = embeddings, identity, found[0]

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one vector for each of n texts: shape (n, d), float32."""
        vectors = getattr(self.embeddings, self._method)(list(texts))
        return np.array(vectors, dtype=np.float32)

    async def aembed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return what `embed` returns, by the framework's own async method."""
        vectors = await getattr(self.embeddings, _METHODS[self._method])(list(texts))
        return np.array(vectors, dtype=np.float32)
