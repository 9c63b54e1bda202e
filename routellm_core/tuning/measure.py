"""What labels are worth, measured on prompts that a router has not seen."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from routellm_core.errors import DataError
from routellm_core.evaluation.metrics.bootstrap import (
    apgr_of,
    bootstrap_interval,
    mean_of,
    paired_difference,
)
from routellm_core.labeling.agreement import Interval

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from routellm_core.evaluation.metrics.bootstrap import Statistic
    from routellm_core.routers.base import Router
    from routellm_core.training.examples import PairExamples
    from routellm_core.training.trained import Trained
    from routellm_core.types import WinRates

__all__ = ["CrossFit", "NoLoss", "cross_fit", "gap_recovered", "no_loss"]

_TINY = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class CrossFit:
    """Win rates of labelled prompts, each by routers that were fitted without it.

    Parameters
    ----------
    examples
        n prompts with the qualities of both models' answers.
    weights
        Shape (n,): how many prompts of the log each stands for.
    prior
        Shape (n,): of the router before adaptation.
    full
        Shape (n,): of the router adapted to the labels.
    ranks
        Shape (n,): what ranks the prompts, see `Trained.scores`.
    """

    examples: PairExamples
    weights: NDArray[np.float64]
    prior: WinRates
    full: WinRates
    ranks: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class NoLoss:
    """What can go to the weak model without a measurable loss of quality.

    A threshold is chosen on one half of the prompts, as the highest that keeps all-strong's mean
    quality there, and measured on the other half; and the other way round. While the loss can be
    told from none, a tenth less goes to the weak model. Few prompts tell little: look at the
    interval of the loss.

    Parameters
    ----------
    weak_share
        The share of calls for the weak model, in [0, 1].
    loss
        How much lower the mean quality is than all-strong's, with a 95 % bootstrap interval over
        prompts that holds 0 or is below it.
    cost_saving
        The share of all-strong's cost that is saved; None where a price is unknown.
    """

    weak_share: float
    loss: Interval
    cost_saving: float | None = None


def cross_fit(
    adapted: Trained, *, prior: Router, weights: Mapping[str, float] | None = None
) -> CrossFit:
    """Collect what an adapted router and its prior say of unseen prompts.

    Parameters
    ----------
    adapted
        What `train_adapted` returned for this prior.
    prior
        The router before adaptation.
    weights
        By prompt, see `CrossFit`; by default all 1.
    """
    examples, full, ranks = adapted.validation, adapted.win_rates, adapted.scores
    if examples is None or full is None or ranks is None:
        raise DataError("The trained router says nothing of the prompts that were held back.")
    known = weights or {}
    return CrossFit(
        examples=examples,
        weights=np.array([known.get(prompt, 1.0) for prompt in examples.prompts]),
        prior=prior.raw_win_rates(examples.prompts),
        full=full,
        ranks=ranks,
    )


def gap_recovered(fit: CrossFit, scores: NDArray[np.float64], *, seed: int = 0) -> Interval:
    """Return APGR of scores on the prompts of a cross-fit, with a 95 % bootstrap interval.

    NaN where the strong model is not better on these prompts.
    """
    return _estimate(_apgr(fit, scores), n=len(scores), seed=seed)


def gain_over_prior(fit: CrossFit, *, seed: int = 0) -> Interval:
    """Return how much higher APGR is than the prior's, on the same prompts."""
    gain = paired_difference(_apgr(fit, fit.ranks), _apgr(fit, fit.prior))
    return _estimate(gain, n=len(fit.full), seed=seed)


def no_loss(fit: CrossFit, *, cost_ratio: float | None = None, seed: int = 0) -> NoLoss:
    """Return what can go to the weak model at no loss; see `NoLoss`.

    Parameters
    ----------
    cost_ratio
        The cost of a weak call as a share of a strong call's.
    """
    n = len(fit.full)
    gaps = fit.examples.strong - fit.examples.weak
    side = np.random.default_rng(seed).permutation(n) % 2
    below = [_free(fit, side == half) for half in (0, 1)]
    for tenths in range(10, -1, -1):
        thresholds = [_cut(scores, tenths / 10) for scores in below]
        # Each prompt meets the threshold of the half that it is not in.
        to_weak = fit.full < np.array(thresholds)[1 - side]
        losses = np.where(to_weak, gaps, 0.0)
        loss = _estimate(_weighted(mean_of(losses), fit.weights), n=n, seed=seed)
        if not loss.low > 0.0:
            break
    share = float(np.average(to_weak, weights=fit.weights))
    return NoLoss(share, loss, None if cost_ratio is None else share * (1.0 - cost_ratio))


def _free(fit: CrossFit, rows: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the win rates, ascending, up to the highest at which nothing is lost on average.

    The next higher one, or infinity, comes last.
    """
    scores = fit.full[rows]
    losses = (fit.weights * (fit.examples.strong - fit.examples.weak))[rows]
    order = np.argsort(scores, kind="stable")
    lost = np.cumsum(losses[order])
    ordered = np.append(scores[order], math.inf)
    # Prompts of one win rate go together.
    ends = np.flatnonzero(ordered[1:] > ordered[:-1])
    free = ends[lost[ends] <= _TINY]
    return ordered[: int(free[-1]) + 2] if free.size else ordered[:1]


def _cut(ordered: NDArray[np.float64], part: float) -> float:
    """Return the threshold below which a part of all but the last win rates lies, 0 for none."""
    place = math.floor(part * (len(ordered) - 1))
    return float(ordered[place]) if place else 0.0


def _apgr(fit: CrossFit, scores: NDArray[np.float64]) -> Statistic:
    found = apgr_of(scores, weak=fit.examples.weak, strong=fit.examples.strong)
    return _weighted(found, fit.weights)


def _weighted(statistic: Statistic, weights: NDArray[np.float64]) -> Statistic:
    """Return a statistic of the prompts that the drawn ones stand for."""
    return lambda drawn: statistic(drawn * weights)


def _estimate(statistic: Statistic, *, n: int, seed: int) -> Interval:
    value = float(statistic(np.ones((1, n)))[0])
    spread = bootstrap_interval(statistic, n=n, seed=seed)
    return Interval(value, spread.low, spread.high)
