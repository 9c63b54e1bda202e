"""Logistic regression with a penalty, for any number of inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from routellm_core._numbers import bad_number
from routellm_core.errors import ConfigurationError
from routellm_core.ranking.lbfgs import minimize

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["LogisticMap", "fit_logistic", "fit_logistics", "sigmoid"]

_BOUND = 5.0
_TINY = 1e-9
_TOLERANCE = 1e-6
_MOST_STEPS = 500


@dataclass(frozen=True, slots=True, eq=False)
class LogisticMap:
    """A probability as a logistic function of p inputs.

    With z = clip((x - mean) / scale, -5, 5) it is 1 / (1 + exp(-(bias + weights . z))). An input
    that is NaN is not known, and stands at its mean.

    Parameters
    ----------
    mean, scale
        Shape (p,), scale positive.
    weights
        Shape (p,).
    bias
        The log-odds at the mean.

    Raises
    ------
    ConfigurationError
        If the shapes differ, a number is not finite, or a scale is not positive.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    weights: NDArray[np.float64]
    bias: float

    def __post_init__(self) -> None:
        arrays = (self.mean, self.scale, self.weights)
        if len({array.shape for array in arrays}) > 1 or self.weights.ndim != 1:
            raise ConfigurationError(
                f"Mean, scale and weights must have one shape (p,), got "
                f"{', '.join(str(array.shape) for array in arrays)}."
            )
        bad = bad_number(np.append(np.concatenate(arrays), self.bias)) or bad_number(
            self.scale, low=np.nextafter(0.0, 1.0)
        )
        if bad:
            raise ConfigurationError(f"A logistic map needs finite numbers, got {bad}.")

    def __call__(self, inputs: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the probabilities: (n, p) -> (n,)."""
        logits = _standardised(inputs, self.mean, self.scale) @ self.weights + self.bias
        return sigmoid(logits)


def fit_logistic(
    inputs: NDArray[np.floating], labels: ArrayLike, *, ridge: ArrayLike = 1.0
) -> LogisticMap:
    """Fit the weights of least log-loss plus penalty.

    Parameters
    ----------
    inputs
        Shape (n, p), n >= 1; NaN for what is not known.
    labels
        Shape (n,), in [0, 1]; soft ones are fine.
    ridge
        At least 0, one number or one for each input: the penalty is the sum of
        ridge / 2 * weight^2 over the standardised inputs, beside the sum of n log-losses.

    Raises
    ------
    ConfigurationError
        If the shapes do not fit together, or a label lies outside [0, 1].

    Examples
    --------
    >>> fitted = fit_logistic(np.array([[0.0], [1.0], [2.0], [3.0]]), [0, 0, 1, 1])
    >>> fitted(np.array([[0.0], [1.5], [3.0]])).round(2)
    array([0.22, 0.5 , 0.78])
    """
    width = np.shape(inputs)[1]
    (fitted,) = fit_logistics(
        inputs, labels, ridges=np.broadcast_to(np.asarray(ridge, dtype=np.float64), (1, width))
    )
    return fitted


def fit_logistics(
    inputs: NDArray[np.floating], labels: ArrayLike, *, ridges: NDArray[np.float64]
) -> list[LogisticMap]:
    """Fit one map for each of k penalties at once.

    Parameters
    ----------
    inputs, labels
        As for `fit_logistic`.
    ridges
        Shape (k, p): a penalty for each input.

    Raises
    ------
    ConfigurationError
        As `fit_logistic`.
    """
    targets = np.asarray(labels, dtype=np.float64)
    n, p = inputs.shape
    if not n or targets.shape != (n,) or ridges.shape[1:] != (p,):
        raise ConfigurationError(
            f"Inputs (n, p), labels (n,) and ridges (k, p) must fit together, got {inputs.shape}, "
            f"{targets.shape} and {ridges.shape}."
        )
    bad = bad_number(targets, low=0.0, high=1.0)
    if bad:
        raise ConfigurationError(f"`labels` must lie in [0, 1], got {bad}.")
    mean, scale = _moments(inputs)
    standard = _standardised(inputs, mean, scale)
    # The bias is not pulled, but for a hair: labels that are all alike would send it to infinity.
    penalties = np.column_stack([ridges, np.full(len(ridges), 1e-3)]) / n

    def loss(
        points: NDArray[np.float64], rows: NDArray[np.intp]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        logits = points[:, :-1] @ standard.T + points[:, -1:]  # (r, p) @ (p, n) -> (r, n)
        # ln(1 + exp(z)) - y z, written so that large logits do not overflow.
        losses = np.logaddexp(0.0, logits) - targets * logits
        errors = (sigmoid(logits) - targets) / n
        gradients = np.column_stack([errors @ standard, errors.sum(axis=1)])
        pull = penalties[rows] * points
        return losses.mean(axis=1) + 0.5 * (pull * points).sum(axis=1), gradients + pull

    points = minimize(
        loss, k=len(ridges), p=p + 1, tolerance=_TOLERANCE, max_iterations=_MOST_STEPS
    )
    return [LogisticMap(mean, scale, point[:-1], float(point[-1])) for point in points]


def sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1 / (1 + exp(-logits)), of any shape."""
    # The logistic function, written so that large logits do not overflow.
    return np.asarray(0.5 * (1.0 + np.tanh(logits / 2.0)))


def _moments(inputs: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and deviation of what is known of each input; 0 and 1 where nothing is."""
    known = np.isfinite(inputs)
    counts = np.maximum(known.sum(axis=0), 1)
    values = np.where(known, inputs, 0.0).astype(np.float64)
    mean = values.sum(axis=0) / counts
    deviation = np.sqrt(np.where(known, np.square(values - mean), 0.0).sum(axis=0) / counts)
    return mean, np.where(deviation > _TINY, deviation, 1.0)


def _standardised(
    inputs: NDArray[np.floating], mean: NDArray[np.float64], scale: NDArray[np.float64]
) -> NDArray[np.float64]:
    standard = (np.asarray(inputs, dtype=np.float64) - mean) / scale
    return np.clip(np.where(np.isnan(standard), 0.0, standard), -_BOUND, _BOUND)
