"""k nearest neighbours: how the models did on prompts like this one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from routellm_core._numbers import bad_number
from routellm_core.checkpoints import Checkpoint
from routellm_core.errors import CheckpointError, ConfigurationError
from routellm_core.routers._added_neighbours import AddedNeighbours, stored_neighbours
from routellm_core.routers._residuals import Residuals
from routellm_core.routers.added import nearest_models
from routellm_core.routers.model_adder import ModelAdder
from routellm_core.routers.quality import QualityRouter, quality_settings
from routellm_core.routers.similarity import CosineIndex, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from typing_extensions import Self

    from routellm_core.embedders.base import Embedder
    from routellm_core.routers.added import AddedModel, Evidence
    from routellm_core.types import Calibration, ModelPair

__all__ = ["KNNRouter"]


class KNNRouter(QualityRouter, ModelAdder):
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
    added
        For each model that was added after training, the last of `models`, its own neighbours.

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
        added: Sequence[AddedNeighbours] = (),
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
        self._added = tuple(added)
        self._means = self._filled.sum(axis=0, dtype=np.float64) / self._known.sum(axis=0)

    def _quality(self, embeddings: NDArray[Any]) -> NDArray[np.float64]:
        fitted = self._fitted_quality(embeddings)
        if not self._added:
            return fitted
        columns = list(fitted.T)
        for added in self._added:
            start = fitted.mean(axis=1) if added.like is None else columns[added.like]
            columns.append(added.predict(embeddings, start))
        return np.column_stack(columns)

    def _fitted_quality(self, embeddings: NDArray[Any]) -> NDArray[np.float64]:
        """Predict the quality of the models that were there before any was added."""
        similarities = self._index.similarities(embeddings)
        quality = np.empty((len(embeddings), self._outcomes.shape[1]))
        for row, near in zip(quality, similarities, strict=True):
            chosen = nearest(near, self.k)
            counts = self._known[chosen].sum(axis=0)
            sums = self._filled[chosen].sum(axis=0, dtype=np.float64)
            row[:] = np.where(counts > 0, sums / np.maximum(counts, 1), self._means)
        return quality

    def _add(self, name: str, evidence: Evidence) -> AddedModel:
        n, like = len(evidence), evidence.like
        predicted = self._predicted(evidence.embeddings)
        start = self._start(predicted, like)
        # The same share of the own prompts as of the index, so that neighbours are as near.
        k = min(n, max(1, round(self.k * n / len(self._index))))
        added = AddedNeighbours(
            like=None if like is None else self._models.index(like),
            index=CosineIndex.of(evidence.embeddings),
            residuals=Residuals.of(evidence, start=start, predicted=predicted),
            k=k,
        )
        own = added.predict(evidence.embeddings, start)
        # A guess has no prompts on which models could be compared.
        guess = (like,) if like is not None and not n else None
        closest = guess or nearest_models(own, predicted, self._models)
        self._added = (*self._added, added)
        self._models = (*self._models, name)
        return added.residuals.report(name, like=like, nearest=closest)

    def _predicted(self, embeddings: NDArray[Any]) -> NDArray[np.float64]:
        """Predict the quality of every model on any number of prompts, in parts: (n, m)."""
        starts = range(0, len(embeddings), 64)
        parts = [self._quality(embeddings[i : i + 64]) for i in starts]
        return np.concatenate([np.empty((0, len(self._models))), *parts])

    def _start(self, predicted: NDArray[np.float64], like: str | None) -> NDArray[np.float64]:
        """Return the quality that a new model starts from: (n, m) -> (n,)."""
        if like is not None:
            return predicted[:, self._models.index(like)]
        means: NDArray[np.float64] = predicted[:, : self._outcomes.shape[1]].mean(axis=1)
        return means

    def _to_checkpoint(self) -> Checkpoint:
        parameters: dict[str, Any] = {"k": self.k}
        tensors: dict[str, NDArray[Any]] = {
            "embeddings": self._index.columns,
            "quality": self._filled,
            "known": self._known,
        }
        if self._added:
            parameters["added"] = [added.parameters() for added in self._added]
        for number, added in enumerate(self._added):
            tensors[f"added.{number}.embeddings"] = added.index.columns
            tensors[f"added.{number}.residuals"] = added.residuals.values
        return Checkpoint(**self._common(parameters), tensors=tensors)

    @classmethod
    def _from_checkpoint(cls, checkpoint: Checkpoint, **options: Any) -> Self:
        settings = quality_settings(checkpoint, **options)
        columns = checkpoint.tensor("embeddings", shape=(None, None))
        added = stored_neighbours(checkpoint, settings["models"])
        shape = (columns.shape[1], len(settings["models"]) - len(added))
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
        quality = np.where(known, quality, np.nan)
        return cls(index=CosineIndex(columns), quality=quality, k=k, added=added, **settings)
