"""Embeddings that several fits share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from routellm_core.embedders.base import identity_of
from routellm_core.training.examples import embed_all

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from routellm_core.embedders.base import Embedder

__all__ = ["RememberedEmbedder"]


class RememberedEmbedder:
    """The vectors of prompts that were embedded once, under their embedder's identity.

    Parameters
    ----------
    embedder
        What embeds the prompts, equal ones once.
    prompts
        All that will be asked for.
    """

    def __init__(
        self, embedder: Embedder, prompts: Sequence[str], *, show_progress: bool = False
    ) -> None:
        unique = list(dict.fromkeys(prompts))
        self.identity = identity_of(embedder)
        self._vectors = embed_all(embedder, unique, show_progress=show_progress)
        self._rows = {prompt: row for row, prompt in enumerate(unique)}

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors of known prompts: (n, d)."""
        return self._vectors[[self._rows[text] for text in texts]]
