"""Training `sw_ranking`: building its index."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from routellm_core.data.battles import Battles
from routellm_core.errors import DataError
from routellm_core.routers.sw_ranking import SimilarityWeightedRouter
from routellm_core.training.examples import (
    PairExamples,
    check_models,
    check_signal,
    embed_all,
    pair_examples,
    split_rows,
)
from routellm_core.training.trained import trained

if TYPE_CHECKING:
    from routellm_core.embedders.base import Embedder
    from routellm_core.training.examples import TrainingData
    from routellm_core.training.trained import Trained
    from routellm_core.types import ModelPair

__all__ = ["battles_of", "train_sw_ranking"]


def train_sw_ranking(
    data: TrainingData,
    *,
    pair: ModelPair,
    embedder: Embedder,
    n_tiers: int = 10,
    validation_share: float = 0.1,
    seed: int = 0,
    show_progress: bool = False,
) -> Trained:
    """Index battles; outcomes become battles between every two models that answered a prompt.

    Parameters
    ----------
    data
        Battles, or outcomes: the probability that model a wins is (1 + q_a - q_b) / 2.
    n_tiers
        How many groups of models; at most as many as there are models.
    validation_share, seed
        How many prompts are held back to measure the router, and which.

    Raises
    ------
    DataError
        If there are too few prompts, or none in the validation part is of the pair.
    UnknownModelError
        If the data does not know a model of the pair.
    """
    battles = data if isinstance(data, Battles) else battles_of(data)
    check_models(battles, pair)
    if len(battles.models) == 2:
        check_signal(pair_examples(battles, pair), pair)
    train, held = split_rows(battles.prompts, validation_share=validation_share, seed=seed)
    validation = battles.select(held).of_pair(pair)
    kept = battles.select(train)
    prompts = list(dict.fromkeys(kept.prompts))
    place = {prompt: row for row, prompt in enumerate(prompts)}
    embeddings = embed_all(embedder, prompts, show_progress=show_progress)
    router = SimilarityWeightedRouter.from_battles(
        kept,
        embedder=embedder,
        embeddings=embeddings[[place[prompt] for prompt in kept.prompts]],
        pair=pair,
        n_tiers=min(n_tiers, len(battles.models)),
    )
    return trained(
        router,
        PairExamples(validation.prompts, *validation.quality.T),
        settings={"n_tiers": n_tiers, "seed": seed, "n_train": len(kept)},
        metrics={"tiers": router.tiers},
    )


def battles_of(data: TrainingData) -> Battles:
    """Return outcomes as battles between every two models that answered a prompt.

    Raises
    ------
    DataError
        If no prompt was answered by two models.
    """
    if isinstance(data, Battles):
        return data
    rows, firsts, seconds = [], [], []
    for row, known in enumerate(np.isfinite(data.quality)):
        answered = np.flatnonzero(known)
        for place, first in enumerate(answered):
            for second in answered[place + 1 :]:
                rows.append(row)
                firsts.append(int(first))
                seconds.append(int(second))
    if not rows:
        raise DataError("No prompt was answered by two models.")
    model_a, model_b = np.array(firsts), np.array(seconds)
    quality = data.quality
    return Battles(
        prompts=tuple(data.prompts[row] for row in rows),
        models=data.models,
        model_a=model_a,
        model_b=model_b,
        score_a=0.5 * (1.0 + quality[rows, model_a] - quality[rows, model_b]),
        positions=np.array(rows),
        report=data.report,
    )
