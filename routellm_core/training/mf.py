"""Training `mf` on your own outcomes or battles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from routellm_core.data.battles import Battles
from routellm_core.errors import ConfigurationError, DataError
from routellm_core.routers._battle_model import BattleModel
from routellm_core.routers._outcome_model import OutcomeModel
from routellm_core.routers.mf import MatrixFactorizationRouter
from routellm_core.training.examples import (
    check_models,
    check_signal,
    embed_all,
    pair_examples,
    split_rows,
)
from routellm_core.training.layers import FitSettings, fit_layers, standardise
from routellm_core.training.losses import BattleLoss, QualityLoss
from routellm_core.training.prepared import prepare
from routellm_core.training.progress import report_epochs
from routellm_core.training.trained import trained

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from routellm_core.embedders.base import Embedder
    from routellm_core.training.examples import TrainingData
    from routellm_core.training.trained import Trained
    from routellm_core.types import ModelPair

__all__ = ["train_mf"]

_BOUND = 3.0


def train_mf(
    data: TrainingData,
    *,
    pair: ModelPair,
    embedder: Embedder,
    rank: int = 16,
    learning_rate: float = 1e-3,
    weight_decay: float = 3.0,
    max_epochs: int = 100,
    patience: int = 8,
    validation_share: float = 0.2,
    seed: int = 0,
    show_progress: bool = False,
) -> Trained:
    """Fit a matrix factorisation: what prompts demand, times what models are able to do.

    Parameters
    ----------
    data
        Outcomes or battles of any number of models. Battles between other models teach what
        prompts demand, too; any two of the models can be the pair later.
    rank
        k >= 1, how many demands.
    learning_rate, weight_decay, max_epochs, patience
        See `routellm_core.training.layers.FitSettings`.
    validation_share, seed
        How many prompts are held back to stop early and to measure the router, and which.

    Raises
    ------
    DataError
        If there are too few prompts, or none in the validation part is of the pair.
    UnknownModelError
        If the data does not know a model of the pair.
    """
    if rank < 1:
        raise ConfigurationError(f"`rank` must be at least 1, got {rank!r}.")
    fit = FitSettings(
        sizes=(rank,),
        relu=False,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        max_epochs=max_epochs,
        patience=patience,
        seed=seed,
    )
    teach = _from_battles if isinstance(data, Battles) else _from_outcomes
    return teach(data, pair, embedder, fit, validation_share, show_progress)


def _from_outcomes(
    data: TrainingData,
    pair: ModelPair,
    embedder: Embedder,
    fit: FitSettings,
    share: float,
    show_progress: bool,
) -> Trained:
    known = prepare(data, pair, embedder, share=share, seed=fit.seed, show_progress=show_progress)
    scaled = standardise(known.embeddings[known.train])
    loss_of = QualityLoss(known.quality)
    weights, loss, epochs = fit_layers(
        np.clip(scaled(known.embeddings), -_BOUND, _BOUND),
        len(known.models),
        loss=loss_of,
        bias=loss_of.mean_logits(known.train),
        train=known.train,
        validation=known.held,
        settings=fit,
        progress=report_epochs("mf", show=show_progress),
    )
    (projection, shift), (abilities, eases) = weights
    model = OutcomeModel(
        models=known.models,
        mean=scaled.mean.astype(np.float32),
        scale=scaled.scale.astype(np.float32),
        bound=_BOUND,
        projection=projection.astype(np.float32),
        abilities=abilities.T.astype(np.float32),
        eases=(eases + shift @ abilities).astype(np.float32),
    )
    router = MatrixFactorizationRouter(model, pair=pair, embedder=embedder)
    return trained(
        router,
        known.validation,
        settings={"rank": fit.sizes[0], "seed": fit.seed, "n_train": len(known.train)},
        metrics={"validation_loss": loss, "epochs": epochs},
        win_rates=known.score(router),
    )


def _from_battles(
    data: TrainingData,
    pair: ModelPair,
    embedder: Embedder,
    fit: FitSettings,
    share: float,
    show_progress: bool,
) -> Trained:
    if not isinstance(data, Battles):  # pragma: no cover - the caller looked
        raise DataError("Battles are needed.")
    check_models(data, pair)
    if len(data.models) == 2:
        check_signal(pair_examples(data, pair), pair)
    train, held = split_rows(data.prompts, validation_share=share, seed=fit.seed)
    validation = data.select(held).of_pair(pair)
    embeddings = embed_all(embedder, data.prompts, show_progress=show_progress)
    scaled = standardise(embeddings[train])
    weights, loss, epochs = fit_layers(
        scaled(embeddings),
        len(data.models),
        loss=BattleLoss(data.model_a, data.model_b, data.score_a),
        train=train,
        validation=held,
        settings=fit,
        progress=report_epochs("mf", show=show_progress),
    )
    router = MatrixFactorizationRouter(
        _battle_model(data.models, *scaled.undone(*weights[0]), *weights[1]),
        pair=pair,
        embedder=embedder,
    )
    from routellm_core.training.examples import PairExamples

    examples = PairExamples(validation.prompts, *validation.quality.T)
    return trained(
        router,
        examples,
        settings={"rank": fit.sizes[0], "seed": fit.seed, "n_train": len(train)},
        metrics={"validation_loss": loss, "epochs": epochs},
    )


def _battle_model(
    models: tuple[str, ...],
    projection: NDArray[np.float64],
    shift: NDArray[np.float64],
    abilities: NDArray[np.float64],
    eases: NDArray[np.float64],
) -> BattleModel:
    """Return the fitted layers as factors, the first layer's shift in the eases."""
    return BattleModel(
        models=models,
        projection=projection.astype(np.float32),
        abilities=abilities.T.astype(np.float32),
        eases=(eases + shift @ abilities).astype(np.float32),
    )
