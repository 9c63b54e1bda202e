"""Training `cluster`: spherical k-means, and each cluster's mean outcomes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from routellm_core.embedders.base import unit_rows
from routellm_core.errors import ConfigurationError
from routellm_core.routers.cluster import ClusterRouter
from routellm_core.routers.similarity import CosineIndex
from routellm_core.training.prepared import prepare
from routellm_core.training.trained import trained

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from routellm_core.embedders.base import Embedder
    from routellm_core.training.examples import TrainingData
    from routellm_core.training.trained import Trained
    from routellm_core.types import ModelPair, WinRates

__all__ = ["spherical_kmeans", "train_cluster"]

_SIZES = (4, 8, 16, 32, 64, 128)
_MAX_ROUNDS = 50


def train_cluster(
    data: TrainingData,
    *,
    pair: ModelPair,
    embedder: Embedder,
    sizes: Sequence[int] = _SIZES,
    prior: float = 5.0,
    validation_share: float = 0.2,
    seed: int = 0,
    show_progress: bool = False,
) -> Trained:
    """Find clusters of prompts and each model's quality in each.

    In the end the validation prompts' outcomes count in their clusters, too. What is measured is
    measured before.

    Parameters
    ----------
    data
        Outcomes of any number of models, or battles of the pair.
    sizes
        The numbers of clusters to choose from, by the Brier score on validation prompts.
    prior
        How many outcomes of a model's overall mean are added to each cluster.
    validation_share, seed
        How many prompts are held back, and which.

    Raises
    ------
    DataError
        If there are too few prompts.
    UnknownModelError
        If the data does not know a model of the pair.
    """
    if not sizes or min(sizes) < 1 or prior < 0.0:
        raise ConfigurationError(
            f"`sizes` must be numbers from 1 on and `prior` at least 0, got {list(sizes)!r} and "
            f"{prior!r}."
        )
    known = prepare(
        data, pair, embedder, share=validation_share, seed=seed, show_progress=show_progress
    )
    units = unit_rows(known.embeddings)

    rows = known.train

    def router_of(
        centres: NDArray[np.float32], rows: NDArray[np.int64], members: NDArray[np.int64]
    ) -> ClusterRouter:
        return ClusterRouter(
            centres=CosineIndex(centres.T),
            table=_table(known.quality[rows], members, len(centres), prior),
            embedder=embedder,
            models=known.models,
            pair=pair,
        )

    found: list[tuple[float, NDArray[np.float32], WinRates]] = []
    for size in dict.fromkeys(min(size, len(rows)) for size in sizes):
        centres, members = spherical_kmeans(units[rows], size, seed=seed)
        win_rates = known.score(router_of(centres, rows, members))
        error = float(np.mean((win_rates - known.validation.labels) ** 2))
        found.append((error, centres, win_rates))
    _, centres, win_rates = min(found, key=lambda one: one[0])
    rows = known.everything
    return trained(
        router_of(centres, rows, (units[rows] @ centres.T).argmax(axis=1)),
        known.validation,
        settings={"clusters": len(centres), "prior": prior, "seed": seed, "n_train": len(rows)},
        # Of the router that had not seen these prompts.
        win_rates=win_rates,
    )


def spherical_kmeans(
    units: NDArray[np.float32], size: int, *, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return centres of length 1, at most `size` of them, and each row's nearest.

    Parameters
    ----------
    units
        Shape (n, d), rows of length 1.
    """
    rng = np.random.default_rng(seed)
    centres = units[_spread(units, size, rng)]
    members = np.full(len(units), -1)
    for _ in range(_MAX_ROUNDS):
        nearest = (units @ centres.T).argmax(axis=1)
        if (nearest == members).all():
            break
        members = nearest
        sums = np.zeros((len(centres), units.shape[1]))
        np.add.at(sums, members, units)
        used = np.flatnonzero(np.bincount(members, minlength=len(centres)))
        centres = unit_rows(sums[used])
    return centres, (units @ centres.T).argmax(axis=1)


def _spread(units: NDArray[np.float32], size: int, rng: np.random.Generator) -> list[int]:
    """Choose start centres far from each other: k-means++."""
    chosen = [int(rng.integers(len(units)))]
    distance = np.maximum(0.0, 1.0 - units @ units[chosen[0]]).astype(np.float64)
    while len(chosen) < size and distance.sum() > 1e-6:
        row = int(rng.choice(len(units), p=distance / distance.sum()))
        chosen.append(row)
        distance = np.minimum(distance, np.maximum(0.0, 1.0 - units @ units[row]))
    return chosen


def _table(
    quality: NDArray[np.float64], members: NDArray[np.int64], size: int, prior: float
) -> NDArray[np.float64]:
    answered = np.isfinite(quality)
    filled = np.where(answered, quality, 0.0)
    means = filled.sum(axis=0) / answered.sum(axis=0)
    sums, counts = np.zeros((size, quality.shape[1])), np.zeros((size, quality.shape[1]))
    np.add.at(sums, members, filled)
    np.add.at(counts, members, answered)
    table: NDArray[np.float64] = (sums + prior * means) / np.maximum(counts + prior, 1e-12)
    return np.where(counts + prior > 0.0, table, means)
