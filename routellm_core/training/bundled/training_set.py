"""Everything that the recipe fits on, embedded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from routellm_core.training.bundled.failed_runs import without_failed_runs
from routellm_core.training.bundled.outcomes import FitSettings, Fitted, fit_outcomes

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from routellm_core.embedders.bundled import BundledEmbedder
    from routellm_core.training.bundled.sources import Source
    from routellm_core.training.bundled.topics import Seed

__all__ = ["TrainingSet"]


@dataclass(frozen=True, slots=True, eq=False)
class TrainingSet:
    """Everything that is fitted on, embedded.

    Parameters
    ----------
    sources, embeddings
        All sources, also those that may not ship, each with its (n, d) embeddings.
    seeds, seed_embeddings
        The seed prompts to fit on; their topics are those fitted without them.
    held_out, held_out_embeddings
        The other seed prompts.
    embedder
        What made the embeddings.
    dropped
        How many prompts of each source repeat a benchmark's.
    """

    sources: list[Source]
    embeddings: list[NDArray[np.float32]]
    seeds: list[Seed]
    seed_embeddings: NDArray[np.float32]
    held_out: list[Seed]
    held_out_embeddings: NDArray[np.float32]
    embedder: BundledEmbedder
    dropped: dict[str, int]

    def fit(
        self,
        settings: FitSettings,
        *,
        rows: Sequence[NDArray[np.bool_]],
        without_models: Sequence[str] = (),
    ) -> Fitted:
        """Fit the outcome model on some prompts of each source, and on all seed prompts.

        Parameters
        ----------
        settings
            Penalties and weights.
        rows
            For every source, which of its prompts: shape (n,).
        without_models
            Models whose outcomes are left away.
        """
        sources, embeddings = [], []
        for source, embedded, mask in zip(self.sources, self.embeddings, rows, strict=True):
            if mask.any():
                kept = without_failed_runs(source.select(mask).without_models(without_models))
                sources.append(kept)
                embeddings.append(embedded[mask])
        return fit_outcomes(
            sources,
            embeddings,
            self.seeds,
            self.seed_embeddings,
            parts=self.embedder.parts,
            settings=settings,
        )
