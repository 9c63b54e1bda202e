"""Training `knn`: choosing k."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from routellm_core.errors import ConfigurationError
from routellm_core.routers.knn import KNNRouter
from routellm_core.routers.similarity import CosineIndex
from routellm_core.training.prepared import prepare
from routellm_core.training.trained import trained

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from routellm_core.embedders.base import Embedder
    from routellm_core.training.examples import TrainingData
    from routellm_core.training.trained import Trained
    from routellm_core.types import ModelPair

__all__ = ["train_knn"]

_SIZES = (1, 3, 5, 10, 20, 40, 80, 160, 320)


def train_knn(
    data: TrainingData,
    *,
    pair: ModelPair,
    embedder: Embedder,
    sizes: Sequence[int] = _SIZES,
    validation_share: float = 0.2,
    seed: int = 0,
    show_progress: bool = False,
) -> Trained:
    """Index the prompts, with a k of low validation error.

    The validation prompts are indexed in the end, too. What is measured is measured without them.

    Parameters
    ----------
    data
        Outcomes of any number of models, or battles of the pair.
    sizes
        The k to choose from: the largest whose Brier score on the validation prompts is within one
        standard error of the best. More neighbours make finer steps of the win rate.
    validation_share, seed
        How many prompts are held back to choose k and to measure the router, and which.

    Raises
    ------
    DataError
        If there are too few prompts.
    UnknownModelError
        If the data does not know a model of the pair.
    """
    known = prepare(
        data, pair, embedder, share=validation_share, seed=seed, show_progress=show_progress
    )
    if not sizes or min(sizes) < 1:
        raise ConfigurationError(f"`sizes` must be numbers from 1 on, got {list(sizes)!r}.")

    def router_of(rows: NDArray[np.int64], index: CosineIndex, k: int) -> KNNRouter:
        return KNNRouter(
            index=index,
            quality=known.quality[rows],
            k=k,
            embedder=embedder,
            models=known.models,
            pair=pair,
        )

    index = CosineIndex.of(known.embeddings[known.train])
    scores = {
        k: known.score(router_of(known.train, index, k))
        for k in dict.fromkeys(min(size, len(known.train)) for size in sizes)
    }
    errors = {k: (rates - known.validation.labels) ** 2 for k, rates in scores.items()}
    k = _largest_of_the_best(errors)
    rows = known.everything
    return trained(
        router_of(rows, CosineIndex.of(known.embeddings[rows]), k),
        known.validation,
        settings={"k": k, "seed": seed, "n_train": len(rows)},
        metrics={"brier_by_k": {str(size): float(each.mean()) for size, each in errors.items()}},
        # Of the router that had not seen these prompts.
        win_rates=scores[k],
    )


def _largest_of_the_best(errors: dict[int, NDArray[np.float64]]) -> int:
    best = min(errors, key=lambda k: float(errors[k].mean()))
    n = len(errors[best])
    return max(
        k
        for k, each in errors.items()
        if each.mean() - errors[best].mean() <= (each - errors[best]).std() / np.sqrt(n)
    )
