"""Training `adapted`: a few labels of one's own correct a router that is there already."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from routellm_core.embedders.bundled import BundledEmbedder
from routellm_core.errors import ConfigurationError, did_you_mean
from routellm_core.routers._correction import log_lengths
from routellm_core.routers.adapted import AdaptedRouter
from routellm_core.routers.base import Router
from routellm_core.routers.loading import load_router
from routellm_core.training.cluster import train_cluster
from routellm_core.training.correction import Deviations, fit_correction, no_correction
from routellm_core.training.examples import (
    check_models,
    check_signal,
    has_signal,
    pair_examples,
)
from routellm_core.training.folds import folds_of
from routellm_core.training.knn import train_knn
from routellm_core.training.mlp import train_mlp
from routellm_core.training.next_labels import next_labels_gain
from routellm_core.training.progress import steps
from routellm_core.training.remembered import RememberedEmbedder
from routellm_core.training.trained import measured, trained

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from routellm_core.data.outcomes import Outcomes
    from routellm_core.embedders.base import Embedder
    from routellm_core.training.examples import TrainingData
    from routellm_core.training.trained import Trained
    from routellm_core.types import ModelPair, WinRates

__all__ = ["AdaptedFits", "scratch_share", "train_adapted"]

_FROM_SCRATCH: dict[str, Callable[..., Trained]] = {
    "mlp": train_mlp,
    "knn": train_knn,
    "cluster": train_cluster,
}


def train_adapted(
    data: TrainingData,
    *,
    pair: ModelPair,
    prior: str | Path | Router = "mf",
    embedder: Embedder | None = None,
    embedding_deviation: float = 0.1,
    rescaling_deviation: float = 0.03,
    from_scratch: Sequence[str] = tuple(_FROM_SCRATCH),
    next_labels: int = 0,
    validation_share: float = 0.2,
    seed: int = 0,
    show_progress: bool = False,
) -> Trained:
    """Correct a router by labels of one's own; a few dozen of them help already.

    The correction of the quality gap is a ridge regression in closed form, with prior deviations
    that do not depend on the labels. With more than 10 labels, the corrected win rate is averaged
    with those of routers trained from scratch: see `scratch_share`. In the end everything is fitted
    to all labels. What is measured is measured by folds: each prompt is scored by a fit that did
    not see it.

    Parameters
    ----------
    data
        Outcomes or battles of the pair, graded or not; prompts that both models answered count.
    prior
        What is corrected: a registered name, by default the bundled router, a checkpoint's folder,
        "owner/name" on the Hub, or a router.
    embedder
        What the correction is linear in; by default the prior's, or else the bundled one.
    embedding_deviation, rescaling_deviation
        See `Deviations`.
    from_scratch
        Which routers are trained from scratch, of "mlp", "knn" and "cluster"; () for none.
    next_labels
        With how many more labels the gain in APGR is foretold, from fits to parts of those that
        are there, which take five times as long; 0 for not at all.
    validation_share
        The share of the prompts in a fold.
    seed
        Which prompts share a fold, and of the routers from scratch.

    Returns
    -------
    The router and, besides the usual figures, `prior_apgr` and `prior_brier`: those of the prior
    alone, on the same prompts; and `next_labels`, what was asked for: see `next_labels_gain`.

    Raises
    ------
    DataError
        If no prompt was answered by both models, or they differ by the same on all of them.
    UnknownModelError
        If the data does not know a model of the pair.
    ConfigurationError
        If a deviation or `next_labels` is negative, `validation_share` outside (0, 1), or a router
        of `from_scratch` is not known.
    """
    deviations = Deviations(embedding=embedding_deviation, rescaling=rescaling_deviation)
    _check_trainers(from_scratch)
    if type(next_labels) is not int or next_labels < 0:
        raise ConfigurationError(
            f"`next_labels` must be a whole number from 0 on, got {next_labels!r}."
        )
    check_models(data, pair)
    outcomes = data.of_pair(pair)
    check_signal(pair_examples(outcomes, pair), pair)
    folds = folds_of(len(outcomes), share=validation_share, seed=seed)
    prior = prior if isinstance(prior, Router) else load_router(str(prior))
    if embedder is None:
        embedder = getattr(prior, "embedder", None) or BundledEmbedder()
    fitting = AdaptedFits(
        outcomes,
        pair,
        prior=prior,
        embedder=embedder,
        deviations=deviations,
        from_scratch=from_scratch,
        seed=seed,
        show_progress=show_progress,
    )
    everything = np.arange(len(outcomes))
    found = [
        (fitting.rates(outside, everything), inside)
        for outside, inside in steps(folds, "folds", show=show_progress)
    ]
    held = np.concatenate([inside for _, inside in folds])
    validation = fitting.examples.select(held)
    before = measured(fitting.prior_rates[held], validation)
    metrics: dict[str, Any] = {f"prior_{name}": before[name] for name in ("apgr", "brier")}
    if next_labels:
        gain = next_labels_gain(fitting, folds, extra=next_labels, seed=seed)
        metrics["next_labels"] = None if gain is None else asdict(gain)
    router = fitting.router(everything)
    return trained(
        router,
        validation,
        settings={
            "prior": prior.name,
            "prior_checkpoint": prior.checkpoint_id,
            "embedding_deviation": deviations.embedding,
            "rescaling_deviation": deviations.rescaling,
            "from_scratch": list(router.scratch),
            "scratch_share": router.scratch_share,
            "seed": seed,
            "n_train": len(outcomes),
        },
        metrics=metrics,
        # Of the routers that had not seen these prompts.
        win_rates=np.concatenate([rates[inside] for rates, inside in found]),
        # As `centred`, by the means of all prompts, which are less noisy than those of a fold.
        scores=np.concatenate([rates[inside] - rates.mean() for rates, inside in found]),
    )


def scratch_share(n: int) -> float:
    """Return how much routers from scratch count beside the corrected prior, with n labels.

    0.8 log(n / 10) / log(100), cut to [0, 0.8]: nothing up to 10 labels, 0.4 with 100, and 0.8 from
    1,000 on. Chosen by holding out sources: see docs/results.md.

    Examples
    --------
    >>> [round(scratch_share(n), 2) for n in (10, 30, 100, 1000, 5000)]
    [0.0, 0.19, 0.4, 0.8, 0.8]
    """
    return 0.8 * min(1.0, max(0.0, math.log(max(n, 1) / 10.0) / math.log(100.0)))


class AdaptedFits:
    """Fits to some of n labelled prompts, which are embedded and scored by the prior once."""

    def __init__(
        self,
        outcomes: Outcomes,
        pair: ModelPair,
        *,
        prior: Router,
        embedder: Embedder,
        deviations: Deviations,
        from_scratch: Sequence[str] = tuple(_FROM_SCRATCH),
        seed: int,
        show_progress: bool = False,
    ) -> None:
        self.examples = pair_examples(outcomes, pair)
        self._outcomes, self._pair, self._prior = outcomes, pair, prior
        self._embedder, self._deviations = embedder, deviations
        self._from_scratch, self._seed = from_scratch, seed
        prompts = self.examples.prompts
        self._known = RememberedEmbedder(embedder, prompts, show_progress=show_progress)
        self._embeddings = self._known.embed(prompts)
        self._lengths = log_lengths(prompts)
        untouched = AdaptedRouter(
            prior=prior,
            correction=no_correction(self._embeddings.shape[1]),
            embedder=embedder,
            pair=pair,
        )
        self.prior_rates = untouched.prior_win_rates(prompts, self._embeddings)

    def router(self, rows: NDArray[np.int64]) -> AdaptedRouter:
        """Return the router that is fitted to these rows."""
        scratch = self._scratch(rows)
        return AdaptedRouter(
            prior=self._prior,
            correction=fit_correction(
                self.prior_rates[rows],
                self._lengths[rows],
                self._embeddings[rows],
                self.examples.labels[rows],
                self._deviations,
            ),
            embedder=self._embedder,
            pair=self._pair,
            scratch=scratch,
            scratch_share=scratch_share(len(rows)) if scratch else 0.0,
        )

    def score(self, router: AdaptedRouter, rows: NDArray[np.int64]) -> WinRates:
        """Return a router's win rates on these rows, without embedding them again."""
        prompts = self.examples.select(rows).prompts
        return router.score_known(prompts, self._embeddings[rows], self.prior_rates[rows])

    def rates(self, labelled: NDArray[np.int64], scored: NDArray[np.int64]) -> WinRates:
        """Return the win rates of some rows by a fit to the labels of others."""
        return self.score(self.router(labelled), scored)

    def _scratch(self, rows: NDArray[np.int64]) -> dict[str, Any]:
        if not scratch_share(len(rows)) or not has_signal(self.examples.select(rows)):
            return {}
        data = self._outcomes.select(rows)
        found: dict[str, Any] = {}
        for name in self._from_scratch:
            train = _FROM_SCRATCH[name]
            router: Any = train(data, pair=self._pair, embedder=self._known, seed=self._seed).router
            # It was trained on vectors of these prompts alone.
            router.embedder = self._embedder
            found[name] = router
        return found


def _check_trainers(names: Sequence[str]) -> None:
    for name in [names] if isinstance(names, str) else names:
        if name not in _FROM_SCRATCH or isinstance(names, str):
            raise ConfigurationError(
                f"`from_scratch` must be routers of {', '.join(_FROM_SCRATCH)}, got {name!r}."
                f"{did_you_mean(str(name), list(_FROM_SCRATCH))}"
            )
