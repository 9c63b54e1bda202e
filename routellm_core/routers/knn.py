"""k nearest neighbours: how the models did on prompts like this one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from routellm_core._numbers import bad_number
from routellm_core.checkpoints import Checkpoint
from routellm_core.errors import CheckpointError, ConfigurationError
from routellm_core.routers.quality import QualityRouter, quality_settings
from routellm_core.routers.similarity import CosineIndex

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from typing_extensions import Self

    from routellm_core.embedders.base import Embedder
    from routellm_core.types import Calibration, ModelPair

__all__ = ["KNNRouter"]

_TIE = 1e-6


class KNNRouter(QualityRouter):
    r"""Predict a model's quality by its mean over the k most similar training prompts.

    Similarity is the cosine of embeddings. Prompts as similar as the k-th, up to 1e-6, are all
    taken: with copies in the training data, more than k. A prompt similar to nothing, such as a
    blank one, gets the mean over all. A model without an outcome on any neighbour gets its mean
    over all prompts.

    Parameters
    ----------
    index
        The training prompts' embeddings, n columns.
    quality
        Shape (n, m), in [0, 1], NaN where there is no outcome.
    k
        How many neighbours, >= 1; at most n are used.
    embedder, models, pair, calibration
        See `QualityRouter`.

    Raises
    ------
    ConfigurationError
        If `k` is below 1.

    References
    ----------
    Hu et al., RouterBench, arXiv:2403.12031, section 4; Stripelis et al., TensorOpera Router,
    arXiv:2408.12320. The tie rule is ours.
    """

    name: ClassVar[str] = "knn"

    def __init__(
        self,
        *,
        index: CosineIndex,
        quality: NDArray[np.floating],
        k: int,
        embedder: Embedder,
        models: Sequence[str],
        pair: ModelPair,
        calibration: Calibration | None = None,
    ) -> None:
        super().__init__(
            embedder,
            dimension=index.dimension,
            models=models,
            pair=pair,
            calibration=calibration,
        )
        if k < 1:
            raise ConfigurationError(f"`k` must be at least 1, got {k!r}.")
        self.k = k
        self._index = index
        self._outcomes = np.asarray(quality, dtype=np.float32)
        self._known = np.isfinite(self._outcomes)
        unseen = np.flatnonzero(~np.any(self._known, axis=0))
        if unseen.size:
            raise ConfigurationError(
                "Every model needs an outcome on at least one prompt, and "
                f"{models[int(unseen[0])]!r} has none."
            )
        self._filled = np.where(self._known, self._outcomes, np.float32(0.0))
        self._means = self._filled.sum(axis=0, dtype=np.float64) / self._known.sum(axis=0)

    def _quality(self, embeddings: NDArray[Any]) -> NDArray[np.float64]:
        similarities = self._index.similarities(embeddings)
        place = max(0, len(self._index) - self.k)
        quality = np.empty((len(embeddings), len(self._models)))
        for row, near in zip(quality, similarities, strict=True):
            # Twice the product's rounding error, so that copies stay together.
            lowest = np.partition(near, place)[place] - _TIE
            chosen = np.flatnonzero(near >= lowest)
            counts = self._known[chosen].sum(axis=0)
            sums = self._filled[chosen].sum(axis=0, dtype=np.float64)
            row[:] = np.where(counts > 0, sums / np.maximum(counts, 1), self._means)
        return quality

    def _to_checkpoint(self) -> Checkpoint:
        return Checkpoint(
            **self._common({"k": self.k}),
            tensors={
                "embeddings": self._index.columns,
                "quality": self._filled,
                "known": self._known,
            },
        )

    @classmethod
    def _from_checkpoint(cls, checkpoint: Checkpoint, **options: Any) -> Self:
        settings = quality_settings(checkpoint, **options)
        columns = checkpoint.tensor("embeddings", shape=(None, None))
        shape = (columns.shape[1], len(settings["models"]))
        quality = checkpoint.tensor("quality", shape=shape)
        known = checkpoint.tensor("known", shape=shape)
        if known.dtype != np.bool_:
            raise CheckpointError(f"Tensor 'known' must hold booleans, got {known.dtype}.")
        bad = bad_number(quality, low=0.0, high=1.0)
        if bad:
            raise CheckpointError(f"The stored outcomes must lie in [0, 1], got {bad}.")
        k = checkpoint.parameters.get("k")
        if type(k) is not int or k < 1:
            raise CheckpointError(f"The checkpoint's `k` must be at least 1, got {k!r}.")
        return cls(
            index=CosineIndex(columns), quality=np.where(known, quality, np.nan), k=k, **settings
        )
