"""Fitting the correction of another router's win rates: a ridge regression in closed form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from routellm_core.errors import ConfigurationError
from routellm_core.routers._correction import Correction
from routellm_core.training.layers import standardise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from routellm_core.types import WinRates

__all__ = ["Deviations", "fit_correction", "no_correction"]

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
    rescaling: float = 0.03
    bias: float = 1.0

    def __post_init__(self) -> None:
        for name in ("embedding", "rescaling", "bias"):
            value = getattr(self, name)
            if not 0.0 <= value < np.inf:
                raise ConfigurationError(
                    f"The deviation of `{name}` must be a number from 0 on, got {value!r}."
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
