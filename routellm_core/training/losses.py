"""What a fit makes small: cross-entropies of outcomes and of battles."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[np.float64]

__all__ = ["BattleLoss", "QualityLoss"]


class QualityLoss:
    """Cross-entropy of each model's quality, graded ones included.

    Parameters
    ----------
    quality
        Shape (n, m), in [0, 1]; NaN where a model did not answer, which then counts nothing.
    """

    def __init__(self, quality: Array) -> None:
        self._known = np.isfinite(quality)
        self._quality = np.where(self._known, quality, 0.0)

    def mean_logits(self, rows: NDArray[np.int64]) -> Array:
        """Return the log odds of each model's mean quality on some rows: (m,)."""
        counts = self._known[rows].sum(axis=0)
        means = (self._quality[rows].sum(axis=0) + 0.5) / (counts + 1.0)
        logits: Array = np.log(means / (1.0 - means))
        return logits

    def __call__(self, logits: Array, rows: NDArray[np.int64]) -> tuple[float, Array]:
        """Return the mean loss and its gradient."""
        known, quality = self._known[rows], self._quality[rows]
        count = max(1, int(known.sum()))
        losses = np.where(known, np.logaddexp(0.0, logits) - quality * logits, 0.0)
        gradient = np.where(known, _logistic(logits) - quality, 0.0) / count
        return float(losses.sum() / count), gradient


class BattleLoss:
    """Cross-entropy of battles, ties half: one model's logit against another's.

    Parameters
    ----------
    model_a, model_b
        Shape (n,), columns of the logits.
    score_a
        Shape (n,), in [0, 1].
    """

    def __init__(
        self, model_a: NDArray[np.int64], model_b: NDArray[np.int64], score_a: Array
    ) -> None:
        self._a, self._b, self._score = model_a, model_b, score_a

    def __call__(self, logits: Array, rows: NDArray[np.int64]) -> tuple[float, Array]:
        """Return the mean loss and its gradient."""
        places, a, b, score = np.arange(len(rows)), self._a[rows], self._b[rows], self._score[rows]
        difference = logits[places, a] - logits[places, b]
        loss = float(np.mean(np.logaddexp(0.0, difference) - score * difference))
        gradient = np.zeros_like(logits)
        slope = (_logistic(difference) - score) / len(rows)
        gradient[places, a] = slope
        gradient[places, b] = -slope
        return loss, gradient


def _logistic(logits: Array) -> Array:
    values: Array = 0.5 + 0.5 * np.tanh(0.5 * logits)
    return values
