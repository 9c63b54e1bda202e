"""Several embedders as one: what one of them does not see, another may."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from routellm_core.embedders.base import check_embeddings, identity_of, unit_rows
from routellm_core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from routellm_core.embedders.base import Embedder

__all__ = ["JoinedEmbedder"]


class JoinedEmbedder:
    """Put the vectors of several embedders one behind the other, each scaled to length 1.

    The cosine of two joined vectors is the mean of their parts' cosines.

    Parameters
    ----------
    embedders
        At least two.

    Raises
    ------
    ConfigurationError
        If there are fewer.

    Examples
    --------
    >>> from routellm_core.testing import HashingEmbedder
    >>> joined = JoinedEmbedder(HashingEmbedder(dimension=4), HashingEmbedder(dimension=8))
    >>> joined.embed(["Hello."]).shape
    (1, 12)
    """

    def __init__(self, *embedders: Embedder) -> None:
        if len(embedders) < 2:
            raise ConfigurationError(f"Joining takes at least 2 embedders, got {len(embedders)}.")
        self._embedders = embedders
        names = [identity_of(embedder) for embedder in embedders]
        self.identity = None if None in names else "+".join(name for name in names if name)
        """The parts' identities, joined by "+"; None when one of them has none."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one vector for each of n texts: shape (n, d_1 + d_2 + ...)."""
        parts = [
            unit_rows(check_embeddings(embedder.embed(texts), n=len(texts)))
            for embedder in self._embedders
        ]
        return np.concatenate(parts, axis=1)
