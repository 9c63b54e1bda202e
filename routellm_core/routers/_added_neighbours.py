"""A new model in a `knn` router: neighbours among its own prompts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from routellm_core.errors import CheckpointError
from routellm_core.routers._residuals import Residuals
from routellm_core.routers.similarity import CosineIndex, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from routellm_core.checkpoints import Checkpoint

__all__ = ["AddedNeighbours", "stored_neighbours"]


@dataclass(frozen=True, slots=True, eq=False)
class AddedNeighbours:
    """Predict a new model's quality from a start and its own outcomes nearby.

    The prediction is the start's on the same prompt, plus the mean residual of all n own prompts,
    plus what the k nearest of them add to that, shrunk.

    Parameters
    ----------
    like
        Position of the model that is the start; None for the mean of all trained models.
    index
        The n own prompts, n >= 0.
    residuals
        Of the own prompts.
    k
        How many are a neighbourhood, at most n.
    """

    like: int | None
    index: CosineIndex
    residuals: Residuals
    k: int

    def predict(self, embeddings: NDArray[Any], start: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the quality on n prompts, given the start's: (n, d), (n,) -> (n,)."""
        quality = start + self.residuals.shift
        if self.k:
            for row, near in enumerate(self.index.similarities(embeddings)):
                quality[row] += self.residuals.beyond(nearest(near, self.k))
        return np.clip(quality, 0.0, 1.0)

    def parameters(self) -> dict[str, Any]:
        """Return the scalar settings as a checkpoint names them."""
        return {
            "like": self.like,
            "k": self.k,
            "prior": self.residuals.prior,
            "prompt_shift": self.residuals.prompt_shift,
        }


def stored_neighbours(checkpoint: Checkpoint, models: Sequence[str]) -> list[AddedNeighbours]:
    """Return what a checkpoint says of the models that were added after training.

    Raises
    ------
    CheckpointError
        If a setting or a tensor is missing, or has another shape or range.
    """
    settings = checkpoint.parameters.get("added", [])
    if not isinstance(settings, list) or len(settings) > max(0, len(models) - 2):
        raise CheckpointError(
            f"Parameter `added` must list settings of at most {max(0, len(models) - 2)} models."
        )
    n_trained = len(models) - len(settings)
    return [
        _stored(checkpoint, one, number, n_known=n_trained + number)
        for number, one in enumerate(settings)
    ]


def _stored(checkpoint: Checkpoint, settings: Any, number: int, *, n_known: int) -> AddedNeighbours:
    columns = checkpoint.tensor(f"added.{number}.embeddings", shape=(None, None))
    residuals = checkpoint.tensor(f"added.{number}.residuals", shape=(columns.shape[1],))
    if not isinstance(settings, dict):
        raise CheckpointError(f"Parameter `added` must list objects, got {settings!r}.")
    like, k = settings.get("like"), settings.get("k")
    numbers: list[Any] = [settings.get("prior"), settings.get("prompt_shift")]
    if not (
        (like is None or (type(like) is int and 0 <= like < n_known))
        and (type(k) is int and 0 <= k <= columns.shape[1])
        and all(type(value) in (int, float) for value in numbers)
        and numbers[0] > 0.0
    ):
        raise CheckpointError(f"The settings of added model {number} are damaged: {settings!r}.")
    prior, moved = map(float, numbers)
    found = Residuals(residuals.astype(np.float64), prior, moved)
    return AddedNeighbours(like, CosineIndex(columns), found, k)
