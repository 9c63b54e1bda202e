"""What every embedder is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Embedder"]


@runtime_checkable
class Embedder(Protocol):
    """Turn texts into vectors.

    Any object with this method will do. If it also has a string attribute `identity`, checkpoints
    record it and refuse to be used with an embedder of another identity.
    """

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one vector for each of n texts: shape (n, d), float32, finite."""
        ...
