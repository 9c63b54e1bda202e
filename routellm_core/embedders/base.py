"""What every embedder is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from routellm_core._numbers import bad_number
from routellm_core.errors import RouterError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["AsyncEmbedder", "Embedder", "check_embeddings", "identity_of", "unit_rows"]


@runtime_checkable
class Embedder(Protocol):
    """Turn texts into vectors.

    Any object with this method will do. If it also has a string attribute `identity`, checkpoints
    record it and refuse to be used with an embedder of another identity.
    """

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one vector for each of n texts: shape (n, d), float32, finite."""
        ...


@runtime_checkable
class AsyncEmbedder(Embedder, Protocol):
    """An embedder that can wait for its vectors without a thread."""

    async def aembed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return what `embed` returns."""
        ...


def identity_of(embedder: Embedder) -> str | None:
    """Return what a checkpoint records of an embedder; None when it does not say who it is."""
    identity = getattr(embedder, "identity", None)
    return identity if isinstance(identity, str) else None


def check_embeddings(embeddings: Any, *, n: int, dimension: int | None = None) -> NDArray[Any]:
    """Return an embedder's vectors, after a look at each.

    Parameters
    ----------
    embeddings
        What the embedder returned for n texts.
    dimension
        The length d that a vector must have; any when None.

    Returns
    -------
    Shape (n, d), float32, or float64 where the embedder returned that.

    Raises
    ------
    RouterError
        If the shape is another one, or a number is a NaN or an infinity.
    """
    array = np.asarray(embeddings)
    if array.dtype != np.float64:
        array = array.astype(np.float32, copy=False)
    if array.ndim != 2 or array.shape != (n, dimension or array.shape[1]):
        raise RouterError(
            f"The embedder must return shape ({n}, {dimension or 'd'}), got {array.shape}."
        )
    bad = bad_number(array)
    if bad:
        raise RouterError(f"The embedder returned a NaN or an infinity: {bad}.")
    return array


def unit_rows(vectors: NDArray[Any]) -> NDArray[np.float32]:
    """Scale every row of (n, d) to length 1, in float32; a row of zeros stays one."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    units: NDArray[np.float32] = (vectors / np.where(lengths > 0.0, lengths, 1.0)).astype(
        np.float32
    )
    return units
