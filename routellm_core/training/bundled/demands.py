"""The outcome model: what a prompt demands, what a model can do, and whether it is right.

A model m answers prompt x rightly with probability

    p_m(x) = logistic(b_m + a_m . d(x)),   d(x) = projection^T standardise(e(x)),

where e is the embedder, d(x) the k demands, a_m the abilities and b_m the ease of model m:
multidimensional item response theory whose items are described by their text (Reckase 2009).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["DemandModel", "OutcomeBlock", "Standardiser", "fit_demands", "logistic"]

_STEPS = 12
_TOLERANCE = 1e-5


@dataclass(frozen=True, slots=True)
class OutcomeBlock:
    """The outcomes of one source: n prompts, each answered by some of m models.

    Parameters
    ----------
    features
        Shape (n, d), standardised.
    quality
        Shape (n, m), in [0, 1]; NaN where a model did not answer.
    abilities
        Shape (m, k).
    weight
        How much the source counts, whatever its size.
    pooled
        Whether the eases are drawn to a line in general ability, the last column of `abilities`,
        with one slope for all pooled blocks: what separates models more in one source than in
        another is then looked for in the prompts.
    """

    features: NDArray[np.float64]
    quality: NDArray[np.float64]
    abilities: NDArray[np.float64]
    weight: float
    pooled: bool = False


@dataclass(frozen=True, slots=True)
class DemandModel:
    """Fitted demands and eases.

    Parameters
    ----------
    projection
        Shape (d, k): from standardised features to demands.
    eases
        For every block, shape (m,).
    """

    projection: NDArray[np.float64]
    eases: list[NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Standardiser:
    """Brings features to mean 0 and standard deviation 1, and bounds what lies far out.

    Parameters
    ----------
    mean, scale
        Shape (d,).
    bound
        Standardised features are clipped to [-bound, bound].
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    bound: float = 3.0

    @classmethod
    def fit(cls, features: NDArray[np.floating], *, bound: float = 3.0) -> Standardiser:
        """Measure means and standard deviations; a feature that hardly varies keeps its unit."""
        deviation = features.std(axis=0, dtype=np.float64)
        scale = np.where(deviation > 1e-3, deviation, 1.0)
        return cls(features.mean(axis=0, dtype=np.float64), scale, bound)

    def __call__(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """Standardise features: (n, d) -> (n, d)."""
        return np.clip((features - self.mean) / self.scale, -self.bound, self.bound)


def logistic(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1 / (1 + exp(-logits)), without overflow."""
    values: NDArray[np.float64] = 0.5 * (1.0 + np.tanh(0.5 * logits))
    return values


def fit_demands(
    blocks: Sequence[OutcomeBlock],
    *,
    penalties: NDArray[np.float64],
    centre: NDArray[np.float64] | None = None,
    ease_penalty: float = 0.0,
) -> DemandModel:
    """Fit projection and eases by Newton's method on the penalised log-likelihood.

    Parameters
    ----------
    blocks
        At least one; all with the same d and k.
    penalties
        Shape (d, k): ridge penalty of every entry of the projection.
    centre
        Shape (d, k): where the penalty pulls to; by default 0.
    ease_penalty
        Penalty on the eases' distance from the line of the pooled blocks.
    """
    d, k = penalties.shape
    prior = np.zeros((d, k)) if centre is None else centre
    total = sum(block.weight for block in blocks)
    weights = [_weights(block) / total for block in blocks]
    projection = prior.copy()
    eases = [_start(block) for block in blocks]
    for _ in range(_STEPS):
        gradient = -(penalties * (projection - prior)).ravel()
        curvature = np.diag(penalties.ravel())
        parts = []
        lines = _ease_lines(blocks, eases)
        for block, weight, ease, line in zip(blocks, weights, eases, lines, strict=True):
            pull = ease_penalty * block.weight / total if block.pooled else 0.0
            part = _newton_part(block, weight, ease, projection, line=line, pull=pull)
            gradient += part.gradient
            curvature += part.curvature
            parts.append(part)
        step = np.linalg.solve(curvature, gradient)
        projection = projection + step.reshape(d, k)
        eases = [
            ease + part.ease_gradient - part.coupling.T @ step
            for ease, part in zip(eases, parts, strict=True)
        ]
        if float(np.abs(step).max()) < _TOLERANCE:
            break
    return DemandModel(projection, eases)


@dataclass(frozen=True, slots=True)
class _Part:
    gradient: NDArray[np.float64]
    curvature: NDArray[np.float64]
    ease_gradient: NDArray[np.float64]
    coupling: NDArray[np.float64]


def _newton_part(
    block: OutcomeBlock,
    weight: NDArray[np.float64],
    ease: NDArray[np.float64],
    projection: NDArray[np.float64],
    *,
    line: NDArray[np.float64],
    pull: float,
) -> _Part:
    """Return one block's gradient and curvature, its eases eliminated (Schur complement)."""
    x, abilities = block.features, block.abilities
    d, k = projection.shape
    predicted = logistic(x @ projection @ abilities.T + ease)
    residual = weight * (np.nan_to_num(block.quality) - predicted)
    slope = weight * predicted * (1.0 - predicted) + 1e-9 * weight
    gradient = (x.T @ (residual @ abilities)).reshape(d, k)
    curvature = np.empty((d, k, d, k))
    for i in range(k):
        for j in range(i + 1):
            both = slope @ (abilities[:, i] * abilities[:, j])
            curvature[:, i, :, j] = curvature[:, j, :, i] = (x * both[:, None]).T @ x
    ease_curvature = slope.sum(axis=0) + pull + 1e-12
    cross = ((x.T @ slope)[:, None, :] * abilities.T[None]).reshape(d * k, -1)
    coupling = cross / ease_curvature
    ease_gradient = residual.sum(axis=0) - pull * (ease - line)
    return _Part(
        gradient=gradient.ravel() - coupling @ ease_gradient,
        curvature=curvature.reshape(d * k, d * k) - coupling @ cross.T,
        ease_gradient=ease_gradient / ease_curvature,
        coupling=coupling,
    )


def _ease_lines(
    blocks: Sequence[OutcomeBlock], eases: Sequence[NDArray[np.float64]]
) -> list[NDArray[np.float64]]:
    """Return the eases on a line in general ability: own intercepts, one slope by least squares."""
    general = [block.abilities[:, -1] for block in blocks]
    weights = [block.weight * block.pooled for block in blocks]
    centred = [own - own.mean() for own in general]
    products = [float(own @ ease) for own, ease in zip(centred, eases, strict=True)]
    squares = [float(own @ own) for own in centred]
    slope = float(np.dot(weights, products)) / max(float(np.dot(weights, squares)), 1e-9)
    return [ease.mean() + slope * own for own, ease in zip(centred, eases, strict=True)]


def _weights(block: OutcomeBlock) -> NDArray[np.float64]:
    answered = ~np.isnan(block.quality)
    return block.weight * answered / max(int(answered.sum()), 1)


def _start(block: OutcomeBlock) -> NDArray[np.float64]:
    answered = ~np.isnan(block.quality)
    mean = np.nansum(block.quality, axis=0) / np.maximum(answered.sum(axis=0), 1)
    mean = np.clip(mean, 0.01, 0.99)
    start: NDArray[np.float64] = np.log(mean / (1.0 - mean))
    return start
