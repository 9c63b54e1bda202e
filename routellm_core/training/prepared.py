"""Prompts, embeddings and qualities, split: what the trainers over an embedder share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from routellm_core.data.battles import Battles
from routellm_core.errors import DataError
from routellm_core.training.examples import (
    PairExamples,
    check_models,
    check_signal,
    embed_all,
    pair_examples,
    split_rows,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from routellm_core.data.outcomes import Outcomes
    from routellm_core.embedders.base import Embedder
    from routellm_core.routers.embedding import EmbeddingRouter
    from routellm_core.training.examples import TrainingData
    from routellm_core.types import ModelPair, WinRates

__all__ = ["Prepared", "prepare", "seen_by_both"]


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """n prompts of m models.

    Parameters
    ----------
    models
        m names.
    embeddings
        Shape (n, d).
    quality
        Shape (n, m), NaN where a model did not answer.
    train
        Positions of the training prompts.
    held
        Positions of the validation prompts that both models of the pair answered.
    validation
        The same prompts, as examples of the pair.
    """

    models: tuple[str, ...]
    embeddings: NDArray[np.float32]
    quality: NDArray[np.float64]
    train: NDArray[np.int64]
    held: NDArray[np.int64]
    validation: PairExamples

    @property
    def everything(self) -> NDArray[np.int64]:
        """Positions of the training and of the validation prompts, for the fit that is kept."""
        return np.concatenate([self.train, self.held])

    def score(self, router: EmbeddingRouter) -> WinRates:
        """Return a router's win rates on the validation prompts, without embedding them again."""
        return router.score_embeddings(self.embeddings[self.held])


def prepare(
    data: TrainingData,
    pair: ModelPair,
    embedder: Embedder,
    *,
    share: float,
    seed: int,
    show_progress: bool,
) -> Prepared:
    """Embed and split outcomes; battles are first turned into outcomes of the pair."""
    check_models(data, pair)
    outcomes: Outcomes = data.of_pair(pair) if isinstance(data, Battles) else data
    check_signal(pair_examples(outcomes, pair), pair)
    train, held = split_rows(outcomes.prompts, validation_share=share, seed=seed)
    both, examples = seen_by_both(outcomes, pair, held)
    known = np.isfinite(outcomes.quality[train]).any(axis=0)
    columns = np.flatnonzero(known)
    models = tuple(outcomes.models[column] for column in columns)
    missing = {pair.strong, pair.weak} - set(models)
    if missing:
        raise DataError(f"No training prompt was answered by {sorted(missing)}.")
    return Prepared(
        models=models,
        embeddings=embed_all(embedder, outcomes.prompts, show_progress=show_progress),
        quality=outcomes.quality[:, columns],
        train=train,
        held=both,
        validation=examples,
    )


def seen_by_both(
    outcomes: Outcomes, pair: ModelPair, rows: NDArray[Any]
) -> tuple[NDArray[np.int64], PairExamples]:
    """Return those of the rows that both models answered, and these as examples.

    Raises
    ------
    DataError
        If there is none.
    """
    columns = [outcomes.models.index(model) for model in (pair.strong, pair.weak)]
    quality = outcomes.quality[:, columns]
    kept = rows[np.isfinite(quality[rows]).all(axis=1)]
    if not kept.size:
        raise DataError(
            f"No validation prompt was answered by both {pair.strong!r} and {pair.weak!r}."
        )
    prompts = tuple(outcomes.prompts[row] for row in kept)
    return kept, PairExamples(prompts, quality[kept, 0], quality[kept, 1])
