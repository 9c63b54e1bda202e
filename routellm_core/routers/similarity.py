"""Cosine similarity to many stored vectors, as fast as memory can be read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from routellm_core.embedders.base import unit_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["CosineIndex", "nearest"]

# Twice the product's rounding error, so that copies stay together.
_TIE = 1e-6


class CosineIndex:
    """Compare vectors with n stored ones.

    Parameters
    ----------
    columns
        Shape (d, n), float32: the stored vectors, each of length 1, as columns. In this layout a
        product with one vector reads memory in order, and is a third faster than in the other.
    """

    def __init__(self, columns: NDArray[np.float32]) -> None:
        self.columns = np.ascontiguousarray(columns, dtype=np.float32)

    @classmethod
    def of(cls, embeddings: NDArray[Any]) -> CosineIndex:
        """Index embeddings of shape (n, d), of any length each."""
        return cls(unit_rows(embeddings).T)

    def __len__(self) -> int:
        return int(self.columns.shape[1])

    @property
    def dimension(self) -> int:
        """Length d of a vector."""
        return int(self.columns.shape[0])

    def similarities(self, embeddings: NDArray[Any]) -> NDArray[np.float32]:
        """Return the cosines of k embeddings with the stored ones: (k, d) -> (k, n).

        A vector of zeros has similarity 0 with all.
        """
        units = unit_rows(embeddings)
        # For one vector, the matrix-vector routine is faster than the matrix-matrix one.
        product = units @ self.columns if len(units) != 1 else (units[0] @ self.columns)[None]
        similarities: NDArray[np.float32] = product
        return similarities


def nearest(similarities: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Return the positions of the k highest similarities, and of those as high as the k-th.

    Parameters
    ----------
    similarities
        Shape (n,), n >= 1.
    k
        At least 1; more than n is n. Differences up to 1e-6 are none.
    """
    place = max(0, len(similarities) - k)
    lowest = np.partition(similarities, place)[place] - _TIE
    chosen: NDArray[np.int64] = np.flatnonzero(similarities >= lowest)
    return chosen
