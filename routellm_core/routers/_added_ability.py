"""A new model's factors in an `mf` router."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from routellm_core.routers._ability import Ability, GaussianPrior, fit_ability

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from routellm_core.routers._outcome_model import OutcomeModel
    from routellm_core.routers.added import Evidence

__all__ = ["ability_names", "fit_added", "known_abilities", "with_one"]


def fit_added(model: OutcomeModel, evidence: Evidence) -> tuple[Ability, float]:
    """Return a new model's (ease, abilities) with their covariance, and the prompts' shift.

    The prior is normal, with the trained models' mean (or the ability of `evidence.like`) and
    covariance. Outcomes of trained models on the same prompts move all log-odds by one number, so
    that prompts of a kind that is easier than the router expects do not make the new model abler
    than it is; its variance is added to the ease's.
    """
    demands = model.demands(evidence.embeddings)
    parameters = known_abilities(model)
    n = len(parameters) - model.n_added
    start = None if evidence.like is None else parameters[model.models.index(evidence.like)]
    strength = 1.0 if evidence.prior is None else evidence.prior
    prior = GaussianPrior.of_population(parameters[:n], strength=strength, mean=start)
    shift = _prompt_shift(model.logits(demands), evidence.known, spread=parameters[:n, 0].std())
    moved = float(shift.parameters[0])
    fitted = fit_ability(with_one(demands), evidence.quality, prior, offset=moved)
    covariance = fitted.covariance.copy()
    covariance[0, 0] += shift.covariance[0, 0]
    return Ability(fitted.parameters, covariance), moved


def ability_names(model: OutcomeModel) -> tuple[str, ...]:
    """Return what the fitted numbers are called."""
    return ("ease", *(f"ability {number + 1}" for number in range(model.abilities.shape[1])))


def known_abilities(model: OutcomeModel) -> NDArray[np.float64]:
    """Return every model's (ease, abilities): (m, 1 + k)."""
    return np.column_stack([model.eases, model.abilities]).astype(np.float64)


def with_one(demands: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return what (ease, abilities) are multiplied with: (n, k) -> (n, 1 + k)."""
    return np.column_stack([np.ones(len(demands)), demands.astype(np.float64)])


def _prompt_shift(
    logits: NDArray[np.float32], known: NDArray[np.float64], *, spread: float
) -> Ability:
    """Return how much easier n prompts were for m models than their log-odds say: (n, m) twice.

    Its prior is normal around 0, with the deviation of the models' eases.
    """
    seen = np.isfinite(known)
    if not seen.any():
        return Ability(np.zeros(1), np.zeros((1, 1)))
    offset = logits[seen].astype(np.float64)
    prior = GaussianPrior(np.zeros(1), np.array([[spread]]))
    return fit_ability(np.ones((len(offset), 1)), known[seen], prior, offset=offset)
