"""Training `auto`: every router that the data allows, of which the best is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from routellm_core.embedders.bundled import BundledEmbedder
from routellm_core.evaluation.metrics import apgr, apgr_of, bootstrap_interval, brier
from routellm_core.routers.base import Router
from routellm_core.routers.ensemble import EnsembleRouter
from routellm_core.routers.loading import load_router
from routellm_core.training.adapted import AdaptedFits
from routellm_core.training.correction import Deviations
from routellm_core.training.examples import check_models, check_signal, has_signal, pair_examples
from routellm_core.training.folds import centred, folds_of
from routellm_core.training.members import MEMBER_TRAINERS
from routellm_core.training.progress import steps
from routellm_core.training.remembered import RememberedEmbedder
from routellm_core.training.stacking import stacked_weights
from routellm_core.training.trained import trained

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from routellm_core.embedders.base import Embedder
    from routellm_core.training.examples import PairExamples, TrainingData
    from routellm_core.training.trained import Trained
    from routellm_core.types import ModelPair, WinRates

    Rows = NDArray[np.int64]

__all__ = ["train_auto"]

_SINGLE = ("adapted", "mlp", "knn", "cluster", "mf")
_ENSEMBLE = "ensemble"
# A router from scratch holds a fifth of them back, which must be two at least.
_LEAST_OUTSIDE = 16
_WEIGHT_FOLDS = 5


def train_auto(
    data: TrainingData,
    *,
    pair: ModelPair,
    embedder: Embedder | None = None,
    prior: str | Path | Router = "mf",
    validation_share: float = 0.2,
    seed: int = 0,
    show_progress: bool = False,
) -> Trained:
    """Train every router that the data allows, and keep the one with the lowest Brier score.

    Tried are `adapted`, `mlp`, `knn`, `cluster`, `mf` and the mean of these with stacked weights,
    `ensemble`; with fewer than 25 labels, or where a fold's labels do not differ, `adapted` alone.
    They are compared by folds on prompts that they did not see. The figures of the result are those
    of the whole procedure, choice included, by folds around these: what is tried most luckily does
    not look better than it is.

    Parameters
    ----------
    data
        Outcomes or battles; prompts that both models of the pair answered are compared on.
    embedder
        By default the bundled one.
    prior
        What `adapted` corrects: see `train_adapted`.
    validation_share
        The share of the prompts in a fold, inside and outside.
    seed
        Of the folds and of every fit.

    Returns
    -------
    The router and, besides the usual figures, `chosen`, its kind; `apgr_low` and `apgr_high`, the
    95 % interval; `prior_apgr` and `prior_brier`, those of the prior alone on the same prompts;
    and `tried`, the same figures of each kind, as they led to the choice. An APGR is None where the
    strong model is no better on the prompts held back.

    Raises
    ------
    DataError
        If no prompt was answered by both models, or they differ by the same on all of them.
    UnknownModelError
        If the data does not know a model of the pair.
    ConfigurationError
        If `validation_share` is outside (0, 1).
    """
    check_models(data, pair)
    check_signal(pair_examples(data, pair), pair)
    search = _Search(
        data,
        pair,
        embedder=embedder or BundledEmbedder(),
        prior=prior if isinstance(prior, Router) else load_router(str(prior)),
        share=validation_share,
        seed=seed,
        show_progress=show_progress,
    )
    everything = np.arange(len(search.examples.prompts))
    around = search.folds(everything)
    held = np.concatenate([inside for _, inside in around])
    rates = np.concatenate(
        [
            search.fit(search.choice(outside), outside).raw_win_rates(search.texts(inside))
            for outside, inside in steps(around, "folds", show=show_progress)
        ]
    )
    choice = search.choice(everything)
    validation = search.examples.select(held)
    prior_rates = search.adapted.prior_rates[held]
    before = _figures(prior_rates, prior_rates, validation)
    figures = _figures(centred(rates, _fold_numbers(around)), rates, validation)
    return trained(
        search.fit(choice, everything, kept=True),
        search.examples.select(choice.held),
        settings={
            "trainer": "auto",
            "prior": search.prior.name,
            "seed": seed,
            "n_train": len(everything),
        },
        metrics={
            **figures,
            "n_validation": len(held),
            "prior_apgr": before["apgr"],
            "prior_brier": before["brier"],
            "chosen": choice.name,
            "weights": dict(choice.weights),
            "tried": choice.tried,
        },
        # Of routers of the kept kind, each on prompts that it had not seen.
        win_rates=choice.win_rates,
        scores=choice.scores,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Choice:
    """The kind of router that is kept, and what led to it."""

    name: str
    weights: Mapping[str, float]
    """Of the members, where it is an ensemble."""
    tried: dict[str, dict[str, float | None]]
    held: Rows
    win_rates: WinRates
    scores: NDArray[np.float64]
    """What ranks the prompts that are held back."""


class _Search:
    """Fits of every kind to some of n labelled prompts."""

    def __init__(
        self,
        data: TrainingData,
        pair: ModelPair,
        *,
        embedder: Embedder,
        prior: Router,
        share: float,
        seed: int,
        show_progress: bool,
    ) -> None:
        self.examples = pair_examples(data, pair)
        self.prior = prior
        self._data, self._pair, self._embedder = data, pair, embedder
        self._share, self._seed = share, seed
        self._known = RememberedEmbedder(embedder, data.prompts, show_progress=show_progress)
        self._place = {prompt: row for row, prompt in enumerate(self.examples.prompts)}
        self.adapted = AdaptedFits(
            data.of_pair(pair),
            pair,
            prior=prior,
            embedder=self._known,
            deviations=Deviations(),
            seed=seed,
        )

    def folds(self, rows: Rows) -> list[tuple[Rows, Rows]]:
        """Return the rows outside and inside of each fold."""
        found = folds_of(len(rows), share=self._share, seed=self._seed)
        return [(rows[outside], rows[inside]) for outside, inside in found]

    def choice(self, rows: Rows) -> _Choice:
        """Compare all kinds by folds of these rows."""
        folds = self.folds(rows)
        held = np.concatenate([inside for _, inside in folds])
        examples = self.examples.select(held)
        rates = {
            name: np.concatenate(
                [
                    self._fit(name, outside).raw_win_rates(self.texts(inside))
                    for outside, inside in folds
                ]
            )
            for name in self._names(folds)
        }
        weights: dict[str, float] = {}
        if len(rates) > 1:
            stacked = np.stack(list(rates.values()))
            stack = zip(rates, stacked_weights(stacked, examples.labels), strict=True)
            weights = {name: float(weight) for name, weight in stack if weight > 0.0}
            rates[_ENSEMBLE] = _unseen_mean(stacked, examples.labels, seed=self._seed)
        scores = {name: centred(found, _fold_numbers(folds)) for name, found in rates.items()}
        tried = {name: _figures(scores[name], rates[name], examples) for name in rates}
        best = min(rates, key=lambda name: brier(rates[name], examples.labels))
        used = weights if best == _ENSEMBLE else {}
        return _Choice(best, used, tried, held, rates[best], scores[best])

    def fit(self, choice: _Choice, rows: Rows, *, kept: bool = False) -> Router:
        """Return a router of the chosen kind that is fitted to these rows.

        Parameters
        ----------
        kept
            Whether it has to score other prompts than those of the search.
        """
        if not choice.weights:
            return self._fit(choice.name, rows, kept=kept)
        members = {name: self._fit(name, rows, kept=kept) for name in choice.weights}
        return EnsembleRouter(members, weights=list(choice.weights.values()))

    def texts(self, rows: Rows) -> list[str]:
        """Return the prompts of these rows."""
        return [self.examples.prompts[row] for row in rows]

    def _fit(self, name: str, rows: Rows, *, kept: bool = False) -> Router:
        if name == "adapted" and not kept:
            return self.adapted.router(rows)
        options: dict[str, Any] = {"prior": self.prior} if name == "adapted" else {}
        return MEMBER_TRAINERS[name](
            self._without_others(rows),
            pair=self._pair,
            embedder=self._embedder if kept else self._known,
            seed=self._seed,
            **options,
        ).router

    def _without_others(self, rows: Rows) -> TrainingData:
        """Return the data without the prompts that both models answered and that are held back."""
        out = set(self.examples.prompts) - set(self.texts(rows))
        return self._data.select(np.array([prompt not in out for prompt in self._data.prompts]))

    def _names(self, folds: Sequence[tuple[Rows, Rows]]) -> tuple[str, ...]:
        """Return what can be trained on each part of these labels."""
        parts = [outside for outside, _ in folds]
        few = min(map(len, parts)) < _LEAST_OUTSIDE
        alike = not all(has_signal(self.examples.select(part)) for part in parts)
        return _SINGLE[:1] if few or alike else _SINGLE


def _unseen_mean(win_rates: NDArray[np.float64], labels: WinRates, *, seed: int) -> WinRates:
    """Return each prompt's mean under weights that were fitted to others: (k, n), (n,) -> (n,)."""
    part = np.random.default_rng(seed).permutation(len(labels)) % _WEIGHT_FOLDS
    found = np.empty(len(labels))
    for number in np.unique(part):
        others, own = part != number, part == number
        found[own] = stacked_weights(win_rates[:, others], labels[others]) @ win_rates[:, own]
    return np.clip(found, 0.0, 1.0)


def _fold_numbers(folds: Sequence[tuple[Rows, Rows]]) -> Rows:
    """Return the fold of each prompt that is held back, in order."""
    return np.repeat(np.arange(len(folds)), [len(inside) for _, inside in folds])


def _figures(
    scores: NDArray[np.float64], win_rates: WinRates, examples: PairExamples
) -> dict[str, float | None]:
    """Return APGR with its 95 % interval, None where there is no gap, and Brier score."""
    strong, weak = examples.strong, examples.weak
    found: dict[str, float | None] = {"apgr": None, "apgr_low": None, "apgr_high": None}
    if float((strong - weak).mean()) > 0.0:
        statistic = apgr_of(scores, weak=weak, strong=strong)
        interval = bootstrap_interval(statistic, n=len(scores))
        found = {
            "apgr": apgr(scores, weak=weak, strong=strong),
            "apgr_low": interval.low,
            "apgr_high": interval.high,
        }
    return {**found, "brier": float(brier(win_rates, examples.labels))}
