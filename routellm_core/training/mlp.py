"""Training `mlp`: a small network, in NumPy."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from routellm_core.embedders.base import unit_rows
from routellm_core.routers.mlp import MLPRouter
from routellm_core.training.layers import FitSettings, fit_layers, standardise
from routellm_core.training.losses import QualityLoss
from routellm_core.training.prepared import prepare
from routellm_core.training.progress import report_epochs
from routellm_core.training.trained import trained

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from routellm_core.embedders.base import Embedder
    from routellm_core.training.examples import TrainingData
    from routellm_core.training.trained import Trained
    from routellm_core.types import ModelPair

__all__ = ["train_mlp"]


def train_mlp(
    data: TrainingData,
    *,
    pair: ModelPair,
    embedder: Embedder,
    hidden: tuple[int, ...] = (64,),
    learning_rate: float = 1e-3,
    weight_decay: float = 3.0,
    max_epochs: int = 100,
    patience: int = 8,
    validation_share: float = 0.2,
    seed: int = 0,
    show_progress: bool = False,
) -> Trained:
    """Fit a multilayer perceptron to the models' qualities, with early stopping.

    In the end it is fitted to all prompts, for as many epochs as were best. What is measured is
    measured before.

    Parameters
    ----------
    data
        Outcomes of any number of models, graded or not, or battles of the pair.
    hidden
        Sizes of the hidden layers.
    learning_rate, weight_decay, max_epochs, patience
        See `routellm_core.training.layers.FitSettings`.
    validation_share, seed
        How many prompts are held back to stop early and to measure the router, and which.

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
    units = unit_rows(known.embeddings)
    loss_of = QualityLoss(known.quality)
    settings = FitSettings(
        sizes=hidden,
        relu=True,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        max_epochs=max_epochs,
        patience=patience,
        seed=seed,
    )

    def fitted(
        rows: NDArray[np.int64], settings: FitSettings, label: str
    ) -> tuple[MLPRouter, float, int]:
        scaled = standardise(units[rows])
        weights, loss, epochs = fit_layers(
            scaled(units),
            len(known.models),
            loss=loss_of,
            bias=loss_of.mean_logits(rows),
            train=rows,
            validation=known.held,
            settings=settings,
            progress=report_epochs(label, show=show_progress),
        )
        weights[0] = scaled.undone(*weights[0])
        layers = [(weight.astype(np.float32), bias.astype(np.float32)) for weight, bias in weights]
        router = MLPRouter(layers=layers, embedder=embedder, models=known.models, pair=pair)
        return router, loss, epochs

    measured, loss, epochs = fitted(known.train, settings, "mlp")
    rows = known.everything
    router, _, _ = fitted(rows, replace(settings, max_epochs=epochs), "mlp, all prompts")
    return trained(
        router,
        known.validation,
        settings={"hidden": list(hidden), "seed": seed, "n_train": len(rows)},
        metrics={"validation_loss": loss, "epochs": epochs},
        # Of the router that had not seen these prompts.
        win_rates=known.score(measured),
    )
