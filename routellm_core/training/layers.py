"""Small networks, fitted by Adam in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[np.float64]
    Weights: TypeAlias = list[tuple[Array, Array]]

__all__ = ["FitSettings", "Standardised", "fit_layers", "standardise"]

LossOf = Callable[["Array", "NDArray[np.int64]"], "tuple[float, Array]"]
"""Takes logits (n, m) and their rows, and returns the mean loss and its gradient (n, m)."""

_BETA_1, _BETA_2, _TINY = 0.9, 0.999, 1e-8


@dataclass(frozen=True, slots=True)
class FitSettings:
    """How a network is fitted.

    Parameters
    ----------
    sizes
        Outputs of the layers between input and output.
    relu
        Whether max(0, .) follows these layers; without it the network is a factorisation.
    learning_rate, weight_decay, batch_size, max_epochs
        Of Adam with decoupled weight decay.
    patience
        How many epochs without a better validation loss end the fit.
    seed
        Of start and order.
    """

    sizes: tuple[int, ...]
    relu: bool
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    batch_size: int = 128
    max_epochs: int = 100
    patience: int = 8
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Standardised:
    """How inputs were brought to mean 0 and deviation 1.

    Parameters
    ----------
    mean, scale
        Shape (d,).
    """

    mean: Array
    scale: Array

    def __call__(self, inputs: NDArray[np.floating]) -> Array:
        """Standardise inputs: (n, d) -> (n, d)."""
        scaled: Array = (inputs - self.mean) / self.scale
        return scaled

    def undone(self, weight: Array, bias: Array) -> tuple[Array, Array]:
        """Return a first layer that takes inputs as they were."""
        weight = weight / self.scale[:, None]
        return weight, bias - self.mean @ weight


def standardise(inputs: NDArray[np.floating]) -> Standardised:
    """Measure mean and deviation; an input that hardly varies keeps its unit."""
    deviation = inputs.std(axis=0, dtype=np.float64)
    typical = float(np.median(deviation)) or 1.0
    scale = np.where(deviation > 1e-3 * typical, deviation, typical)
    return Standardised(inputs.mean(axis=0, dtype=np.float64), scale)


def fit_layers(
    inputs: Array,
    outputs: int,
    *,
    loss: LossOf,
    train: NDArray[np.int64],
    validation: NDArray[np.int64],
    settings: FitSettings,
    bias: Array | None = None,
    progress: Callable[[int, float], None] | None = None,
) -> tuple[Weights, float, int]:
    """Return the weights with the lowest validation loss, that loss, and the epoch that had it.

    Parameters
    ----------
    inputs
        Shape (n, d), standardised.
    train, validation
        Rows of the inputs.
    bias
        Shape (m,): where the outputs start, by default at 0.
    progress
        Called after every epoch with its number, from 1, and its validation loss.
    """
    rng = np.random.default_rng(settings.seed)
    weights = _start((inputs.shape[1], *settings.sizes, outputs), settings, rng)
    if bias is not None:
        weights[-1][1][...] = bias
    moments = [[np.zeros_like(part) for part in layer for _ in range(2)] for layer in weights]
    best = [(weight.copy(), bias.copy()) for weight, bias in weights]
    best_loss, best_epoch, step = np.inf, 0, 0
    for epoch in range(1, settings.max_epochs + 1):
        order = rng.permutation(train)
        # Few examples go in smaller batches, so that an epoch has at least 32 steps.
        size = max(1, min(settings.batch_size, len(order) // 32))
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            step += 1
            _step(weights, moments, _gradients(weights, inputs[rows], rows, loss, settings), step,
                  settings)  # fmt: skip
        value, _ = loss(_forward(weights, inputs[validation], settings)[-1], validation)
        if progress is not None:
            progress(epoch, value)
        if value < best_loss - 1e-6:
            best_loss, best_epoch = value, epoch
            best = [(weight.copy(), bias.copy()) for weight, bias in weights]
        elif epoch - best_epoch >= settings.patience:
            break
    return best, float(best_loss), best_epoch


def _start(sizes: tuple[int, ...], settings: FitSettings, rng: np.random.Generator) -> Weights:
    gain = 2.0 if settings.relu else 1.0
    return [
        (rng.normal(scale=np.sqrt(gain / rows), size=(rows, columns)), np.zeros(columns))
        for rows, columns in pairwise(sizes)
    ]


def _forward(weights: Weights, inputs: Array, settings: FitSettings) -> list[Array]:
    """Return the input and every layer's output."""
    values = [inputs]
    for number, (weight, bias) in enumerate(weights, start=1):
        value = values[-1] @ weight + bias
        last = number == len(weights)
        values.append(np.maximum(value, 0.0) if settings.relu and not last else value)
    return values


def _gradients(
    weights: Weights,
    inputs: Array,
    rows: NDArray[np.int64],
    loss: LossOf,
    settings: FitSettings,
) -> Weights:
    values = _forward(weights, inputs, settings)
    _, gradient = loss(values[-1], rows)
    gradients: Weights = []
    for number in range(len(weights) - 1, -1, -1):
        gradients.append((values[number].T @ gradient, gradient.sum(axis=0)))
        if number:
            gradient = gradient @ weights[number][0].T
            if settings.relu:
                gradient = gradient * (values[number] > 0.0)
    return gradients[::-1]


def _step(
    weights: Weights,
    moments: list[list[Array]],
    gradients: Weights,
    step: int,
    settings: FitSettings,
) -> None:
    """Move the weights, in place, by one step of Adam."""
    rate = settings.learning_rate * np.sqrt(1.0 - _BETA_2**step) / (1.0 - _BETA_1**step)
    for layer, moment, gradient in zip(weights, moments, gradients, strict=True):
        layer[0][...] *= 1.0 - settings.learning_rate * settings.weight_decay
        for part, first, second, slope in zip(
            layer, moment[::2], moment[1::2], gradient, strict=True
        ):
            first += (1.0 - _BETA_1) * (slope - first)
            second += (1.0 - _BETA_2) * (slope * slope - second)
            part -= rate * first / (np.sqrt(second) + _TINY)
