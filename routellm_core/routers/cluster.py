"""Clusters: domains found without labels, and how the models do in each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from routellm_core._numbers import bad_number
from routellm_core.checkpoints import Checkpoint
from routellm_core.errors import CheckpointError
from routellm_core.routers._residuals import Residuals
from routellm_core.routers.added import added_count, nearest_models
from routellm_core.routers.model_adder import ModelAdder
from routellm_core.routers.quality import QualityRouter, quality_settings
from routellm_core.routers.similarity import CosineIndex

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from typing_extensions import Self

    from routellm_core.embedders.base import Embedder
    from routellm_core.routers.added import AddedModel, Evidence
    from routellm_core.types import Calibration, ModelPair

__all__ = ["ClusterRouter"]


class ClusterRouter(QualityRouter, ModelAdder):
    r"""Predict a model's quality by its mean over the cluster that the prompt falls into.

    A prompt x falls into the cluster whose centre has the highest cosine with its embedding, the
    first of equals; its models' qualities are Q[c(x)].

    Parameters
    ----------
    centres
        The c cluster centres, as columns.
    table
        Shape (c, m), in [0, 1]: the quality Q of each model in each cluster.
    n_added
        How many models, the last ones, were added after training.
    embedder, models, pair, calibration
        See `QualityRouter`.

    References
    ----------
    k-means after Lloyd, on the unit sphere: Dhillon, Modha, "Concept decompositions for large
    sparse text data using clustering", Machine Learning 42 (2001).
    """

    name: ClassVar[str] = "cluster"

    def __init__(
        self,
        *,
        centres: CosineIndex,
        table: NDArray[np.floating],
        embedder: Embedder,
        models: Sequence[str],
        pair: ModelPair,
        calibration: Calibration | None = None,
        n_added: int = 0,
    ) -> None:
        super().__init__(
            embedder,
            dimension=centres.dimension,
            models=models,
            pair=pair,
            calibration=calibration,
        )
        self._centres = centres
        self._table = np.asarray(table, dtype=np.float64)
        self._n_added = n_added

    def clusters(self, prompts: Sequence[str]) -> NDArray[np.int64]:
        """Return the cluster of every prompt: (n,), integers in [0, c)."""
        parts = [self._nearest(part) for part in self._embedded(prompts)] if prompts else []
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)

    def _nearest(self, embeddings: NDArray[Any]) -> NDArray[np.int64]:
        nearest: NDArray[np.int64] = self._centres.similarities(embeddings).argmax(axis=1)
        return nearest

    def _quality(self, embeddings: NDArray[Any]) -> NDArray[np.float64]:
        quality: NDArray[np.float64] = self._table[self._nearest(embeddings)]
        return quality

    def _add(self, name: str, evidence: Evidence) -> AddedModel:
        start = self._start(evidence.like)
        clusters = self._nearest(evidence.embeddings)
        residuals = Residuals.of(evidence, start=start[clusters], predicted=self._table[clusters])
        local = [residuals.beyond(np.flatnonzero(clusters == c)) for c in range(len(start))]
        column = np.clip(start + residuals.shift + local, 0.0, 1.0)
        report = residuals.report(
            name, like=evidence.like, nearest=nearest_models(column, self._table, self._models)
        )
        self._table = np.column_stack([self._table, column])
        self._n_added += 1
        self._models = (*self._models, name)
        return report

    def _start(self, like: str | None) -> NDArray[np.float64]:
        """Return the quality in each cluster that a new model starts from: (c,)."""
        if like is not None:
            return self._table[:, self._models.index(like)]
        n_trained = len(self._models) - self._n_added
        means: NDArray[np.float64] = self._table[:, :n_trained].mean(axis=1)
        return means

    def _to_checkpoint(self) -> Checkpoint:
        return Checkpoint(
            **self._common({"n_added": self._n_added} if self._n_added else {}),
            tensors={"centres": self._centres.columns, "quality": self._table},
        )

    @classmethod
    def _from_checkpoint(cls, checkpoint: Checkpoint, **options: Any) -> Self:
        settings = quality_settings(checkpoint, **options)
        columns = checkpoint.tensor("centres", shape=(None, None))
        table = checkpoint.tensor("quality", shape=(columns.shape[1], len(settings["models"])))
        bad = bad_number(table, low=0.0, high=1.0)
        if bad:
            raise CheckpointError(f"The stored qualities must lie in [0, 1], got {bad}.")
        n_added = added_count(checkpoint, n_models=len(settings["models"]))
        return cls(centres=CosineIndex(columns), table=table, n_added=n_added, **settings)
