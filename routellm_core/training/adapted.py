"""Training `adapted`: a few labels of one's own correct a router that is there already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from routellm_core.embedders.bundled import BundledEmbedder
from routellm_core.errors import ConfigurationError
from routellm_core.routers._correction import Correction, log_lengths
from routellm_core.routers.adapted import AdaptedRouter
from routellm_core.routers.base import Router
from routellm_core.routers.loading import load_router
from routellm_core.training.examples import check_models, check_signal, embed_all, pair_examples
from routellm_core.training.folds import folds_of
from routellm_core.training.layers import standardise
from routellm_core.training.trained import trained

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from routellm_core.embedders.base import Embedder
    from routellm_core.training.examples import TrainingData
    from routellm_core.training.trained import Trained
    from routellm_core.types import ModelPair, WinRates

__all__ = ["Deviations", "fit_correction", "train_adapted"]

_LEAST_NOISE = 0.05
_TINY = 1e-9


@dataclass(frozen=True, slots=True)
class Deviations:
    """How far a correction is expected to go before a label is seen: standard deviations.

    All are of the quality gap, strong minus weak, in [-1, 1], and fixed: below 100 labels a choice
    by leave-one-out does harm.

    Parameters
    ----------
    embedding
        Of the part that is linear in the embedding, over typical prompts.
    rescaling
        Of the parts that are linear in the prior's gap and in the length, each for one standard
        deviation of these.
    bias
        Of the constant, which is all but free: how much better a strong model is on average differs
        from pair to pair.
    """

    embedding: float = 0.1
    rescaling: float = 0.01
    bias: float = 1.0

    def __post_init__(self) -> None:
        for name in ("embedding", "rescaling", "bias"):
            value = getattr(self, name)
            if not 0.0 <= value < np.inf:
                raise ConfigurationError(
                    f"The deviation of `{name}` must be a number from 0 on, got {value!r}."
                )


def train_adapted(
    data: TrainingData,
    *,
    pair: ModelPair,
    prior: str | Path | Router = "mf",
    embedder: Embedder | None = None,
    embedding_deviation: float = 0.1,
    rescaling_deviation: float = 0.01,
    validation_share: float = 0.2,
    seed: int = 0,
    show_progress: bool = False,
) -> Trained:
    """Correct a router by labels of one's own; a few dozen of them help already.

    The correction of the quality gap is a ridge regression in closed form, with prior deviations
    that do not depend on the labels. In the end it is fitted to all of them. What is measured is
    measured by folds: each prompt is scored by a fit that did not see it.

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
    validation_share
        The share of the prompts in a fold.
    seed
        Which prompts share a fold. The router that is kept does not depend on it.

    Returns
    -------
    The router and, besides the usual figures, `prior_apgr` and `prior_brier`: those of the prior
    alone, on the same prompts.

    Raises
    ------
    DataError
        If no prompt was answered by both models, or they differ by the same on all of them.
    UnknownModelError
        If the data does not know a model of the pair.
    ConfigurationError
        If a deviation is negative, or `validation_share` outside (0, 1).
    """
    deviations = Deviations(embedding=embedding_deviation, rescaling=rescaling_deviation)
    check_models(data, pair)
    examples = pair_examples(data, pair)
    check_signal(examples, pair)
    n = len(examples.prompts)
    folds = folds_of(n, share=validation_share, seed=seed)
    prior = prior if isinstance(prior, Router) else load_router(str(prior))
    if embedder is None:
        embedder = getattr(prior, "embedder", None) or BundledEmbedder()
    embeddings = embed_all(embedder, examples.prompts, show_progress=show_progress)
    lengths = log_lengths(examples.prompts)

    def router_of(correction: Correction) -> AdaptedRouter:
        return AdaptedRouter(prior=prior, correction=correction, embedder=embedder, pair=pair)

    rates = router_of(no_correction(embeddings.shape[1])).prior_win_rates(
        examples.prompts, embeddings
    )

    def fitted(rows: NDArray[np.int64]) -> Correction:
        return fit_correction(
            rates[rows], lengths[rows], embeddings[rows], examples.labels[rows], deviations
        )

    held = np.concatenate([inside for _, inside in folds])
    scores = np.concatenate(
        [
            fitted(outside).win_rates(rates[inside], lengths[inside], embeddings[inside])
            for outside, inside in folds
        ]
    )
    validation = examples.select(held)
    before = trained(prior, validation, settings={}, win_rates=rates[held]).metrics
    return trained(
        router_of(fitted(np.arange(n))),
        validation,
        settings=_settings(prior, deviations) | {"seed": seed, "n_train": n},
        metrics={f"prior_{name}": before[name] for name in ("apgr", "brier")},
        # Of the routers that had not seen these prompts.
        win_rates=scores,
    )


def fit_correction(
    prior: WinRates,
    lengths: NDArray[np.float64],
    embeddings: NDArray[Any],
    labels: WinRates,
    deviations: Deviations,
) -> Correction:
    """Fit a correction of a router's win rates, by ridge regression in closed form.

    Parameters
    ----------
    prior
        Shape (n,): the win rates that are corrected.
    lengths
        Shape (n,): see `log_lengths`.
    embeddings
        Shape (n, d).
    labels
        Shape (n,), in [0, 1]: soft labels, see `PairExamples`.
    deviations
        How far the correction may go.

    Notes
    -----
    With independent normal weights of these deviations and noise of the labels' variance, the
    posterior mean. The embedding is standardised and divided by the square root of d, so that the
    deviation means the same for every embedder.
    """
    n, d = embeddings.shape
    if not n:
        return no_correction(d)
    scaled = standardise(embeddings)
    base = Correction(scaled.mean, scaled.scale, np.zeros(d))
    gaps = 2.0 * prior - 1.0
    (gap_mean, gap_scale), (length_mean, length_scale) = _moments(gaps), _moments(lengths)
    design = np.column_stack(
        [
            np.full(n, deviations.bias),
            (gaps - gap_mean) / gap_scale * deviations.rescaling,
            (lengths - length_mean) / length_scale * deviations.rescaling,
            base.standardised(embeddings) * (deviations.embedding / np.sqrt(d)),
        ]
    )
    observed = 2.0 * labels - 1.0
    noise = max(float(observed.var()), _LEAST_NOISE)
    solution = _ridge(design, observed - gaps, noise)
    prior_weight = float(solution[1]) * deviations.rescaling / gap_scale
    length_weight = float(solution[2]) * deviations.rescaling / length_scale
    bias = float(solution[0]) * deviations.bias
    return Correction(
        scaled.mean,
        scaled.scale,
        solution[3:] * (deviations.embedding / np.sqrt(d)),
        bias=bias - prior_weight * gap_mean - length_weight * length_mean,
        prior_weight=prior_weight,
        length_weight=length_weight,
    )


def no_correction(d: int) -> Correction:
    """Return the correction of embeddings of length d that changes nothing."""
    return Correction(np.zeros(d), np.ones(d), np.zeros(d))


def _ridge(
    design: NDArray[np.float64], targets: NDArray[np.float64], noise: float
) -> NDArray[np.float64]:
    """Return the minimum of |design w - targets|^2 / noise + |w|^2: (n, k), (n,) -> (k,)."""
    n, k = design.shape
    if n < k:
        dual = np.linalg.solve(design @ design.T + noise * np.eye(n), targets)
        return np.asarray(design.T @ dual)
    return np.asarray(np.linalg.solve(design.T @ design + noise * np.eye(k), design.T @ targets))


def _moments(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return mean and deviation; 1 in place of a deviation that is all but 0."""
    deviation = float(values.std())
    return float(values.mean()), deviation if deviation > _TINY else 1.0


def _settings(prior: Router, deviations: Deviations) -> dict[str, Any]:
    return {
        "prior": prior.name,
        "prior_checkpoint": prior.checkpoint_id,
        "embedding_deviation": deviations.embedding,
        "rescaling_deviation": deviations.rescaling,
    }
