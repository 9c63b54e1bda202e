"""A model's ability from a few outcomes: MAP logistic regression with a Gaussian prior."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Ability", "GaussianPrior", "fit_ability", "logistic"]

_MAX_STEPS = 100
_MAX_HALVINGS = 40
_SMALL = 1e-10
# A shrunk covariance counts as if this many models more than there are parameters had been seen
# with uncorrelated parameters.
_EXTRA_MODELS = 2


@dataclass(frozen=True, slots=True, eq=False)
class GaussianPrior:
    """A normal distribution of p parameters, of which only r may vary.

    The parameters are mean + factor @ z with z standard normal, so that the covariance is
    factor @ factor.T. What is the same in every known model stays the same in a new one.

    Parameters
    ----------
    mean
        Shape (p,).
    factor
        Shape (p, r), r <= p.
    """

    mean: NDArray[np.float64]
    factor: NDArray[np.float64]

    @classmethod
    def of_population(
        cls,
        parameters: NDArray[np.float64],
        *,
        strength: float = 1.0,
        mean: NDArray[np.float64] | None = None,
    ) -> GaussianPrior:
        """Return the distribution that m known models suggest.

        The covariance is the sample's, shrunk to its diagonal as if p + 2 more models with
        uncorrelated parameters had been seen: with few models, correlations are chance.

        Parameters
        ----------
        parameters
            Shape (m, p), m >= 2.
        strength
            Positive: how many times as much the prior counts.
        mean
            Shape (p,): the centre, in place of the population's.
        """
        m, p = parameters.shape
        sample = np.cov(parameters, rowvar=False).reshape(p, p)
        weight = (m - 1) / (m - 1 + p + _EXTRA_MODELS)
        covariance = weight * sample + (1.0 - weight) * np.diag(np.diag(sample))
        values, vectors = np.linalg.eigh(covariance)
        kept = values > _SMALL * max(float(values[-1]), _SMALL)
        factor = vectors[:, kept] * np.sqrt(values[kept] / strength)
        centre = parameters.mean(axis=0) if mean is None else mean
        return cls(np.asarray(centre, dtype=np.float64), factor)


@dataclass(frozen=True, slots=True, eq=False)
class Ability:
    """A fitted ability: the mode of the posterior, and its curvature there.

    Parameters
    ----------
    parameters
        Shape (p,).
    covariance
        Shape (p, p): of the normal distribution that has the posterior's mode and curvature.
    """

    parameters: NDArray[np.float64]
    covariance: NDArray[np.float64]

    @property
    def standard_errors(self) -> NDArray[np.float64]:
        """The posterior's standard deviation of each parameter: (p,)."""
        errors: NDArray[np.float64] = np.sqrt(np.maximum(np.diag(self.covariance), 0.0))
        return errors


def fit_ability(
    design: NDArray[np.float64],
    quality: NDArray[np.float64],
    prior: GaussianPrior,
    *,
    offset: NDArray[np.float64] | float = 0.0,
) -> Ability:
    """Return the most probable parameters b of P(right | x) = logistic(offset + x . b).

    Newton's method with step halving; the posterior is log-concave, so that there is one mode.

    Parameters
    ----------
    design
        Shape (n, p), n >= 0: the prompts' x. Without prompts, the prior is returned.
    quality
        Shape (n,), in [0, 1]: a quality between counts as that share of a right answer, which
        makes the standard errors too large rather than too small.
    prior
        Of the parameters.
    offset
        Shape (n,), or one number: log-odds that are known.

    References
    ----------
    Laplace's approximation for logistic regression: Bishop, Pattern Recognition and Machine
    Learning, 2006, section 4.5.
    """
    varied = design @ prior.factor  # (n, p) @ (p, r) -> (n, r)
    fixed = design @ prior.mean + offset
    z = np.zeros(prior.factor.shape[1])
    loss = _loss(z, varied, fixed, quality)
    for _ in range(_MAX_STEPS):
        right = logistic(fixed + varied @ z)
        gradient = varied.T @ (right - quality) + z
        step = np.linalg.solve(_curvature(varied, right), gradient)
        for _ in range(_MAX_HALVINGS):
            if _loss(z - step, varied, fixed, quality) <= loss:
                break
            step = 0.5 * step
        z = z - step
        loss = _loss(z, varied, fixed, quality)
        if not step.size or float(np.abs(step).max()) < _SMALL:
            break
    inverse = np.linalg.inv(_curvature(varied, logistic(fixed + varied @ z)))
    return Ability(prior.mean + prior.factor @ z, prior.factor @ inverse @ prior.factor.T)


def logistic(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1 / (1 + exp(-logits)), without overflow."""
    values: NDArray[np.float64] = 0.5 * (1.0 + np.tanh(0.5 * logits))
    return values


def _loss(
    z: NDArray[np.float64],
    varied: NDArray[np.float64],
    fixed: NDArray[np.float64],
    quality: NDArray[np.float64],
) -> float:
    logits = fixed + varied @ z
    return float(np.sum(np.logaddexp(0.0, logits) - quality * logits) + 0.5 * z @ z)


def _curvature(varied: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return minus the second derivative of the log posterior: (r, r)."""
    weights = right * (1.0 - right)
    curvature: NDArray[np.float64] = np.eye(varied.shape[1]) + (varied.T * weights) @ varied
    return curvature
