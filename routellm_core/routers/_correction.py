"""What labels of one's own add to another router's win rates, as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from routellm_core._numbers import bad_number
from routellm_core.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from routellm_core.checkpoints import Checkpoint
    from routellm_core.types import WinRates

__all__ = ["Correction", "log_lengths"]

_BOUND = 5.0
_SCALARS = ("bias", "prior_weight", "length_weight")


@dataclass(frozen=True, slots=True, eq=False)
class Correction:
    """A linear function that is added to the quality gap which a prior router expects.

    With w_0 the prior's win rate, g_0 = 2 w_0 - 1 its gap, c the number of characters and
    z(x) = clip((e(x) - mean) / scale, -5, 5), the corrected gap is
    g_0 + bias + prior_weight g_0 + length_weight ln(1 + c) + weights . z(x).

    Parameters
    ----------
    mean, scale
        Shape (d,), scale positive: how embeddings are standardised.
    weights
        Shape (d,).
    bias, prior_weight, length_weight
        Numbers. All of them and `weights` are 0 where there is nothing to correct.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    weights: NDArray[np.float64]
    bias: float = 0.0
    prior_weight: float = 0.0
    length_weight: float = 0.0

    @property
    def dimension(self) -> int:
        """Length d of an embedding."""
        return len(self.weights)

    def win_rates(
        self, prior: WinRates, lengths: NDArray[np.float64], embeddings: NDArray[Any]
    ) -> WinRates:
        """Return the corrected win rates, cut to [0, 1].

        Parameters
        ----------
        prior
            Shape (n,): the prior's win rates.
        lengths
            Shape (n,): see `log_lengths`.
        embeddings
            Shape (n, d).
        """
        added = self.standardised(embeddings) @ self.weights
        added += self.bias + self.prior_weight * (2.0 * prior - 1.0) + self.length_weight * lengths
        corrected: WinRates = np.clip(prior + 0.5 * added, 0.0, 1.0)
        return corrected

    def standardised(self, embeddings: NDArray[Any]) -> NDArray[np.float64]:
        """Return the embeddings as the weights take them: (n, d) -> (n, d)."""
        scaled = (np.asarray(embeddings, dtype=np.float64) - self.mean) / self.scale
        return np.clip(scaled, -_BOUND, _BOUND, out=scaled)

    def parameters(self) -> dict[str, float]:
        """Return the numbers as a checkpoint names them."""
        return {name: getattr(self, name) for name in _SCALARS}

    def tensors(self) -> dict[str, NDArray[np.float64]]:
        """Return the arrays as a checkpoint names them."""
        return {"mean": self.mean, "scale": self.scale, "weights": self.weights}

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> Correction:
        """Read numbers and arrays, and check that they fit together.

        Raises
        ------
        CheckpointError
            If one is missing, has another shape or is not finite, or a scale is not positive.
        """
        weights = checkpoint.tensor("weights", shape=(None,))
        scale = checkpoint.tensor("scale", shape=weights.shape)
        bad = bad_number(scale, low=np.nextafter(0.0, 1.0))
        if bad:
            raise CheckpointError(f"Tensor 'scale' must be positive, got {bad}.")
        numbers = {}
        for name in _SCALARS:
            value = checkpoint.parameters.get(name)
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise CheckpointError(f"Parameter `{name}` must be a number, got {value!r}.")
            numbers[name] = float(value)
        return cls(checkpoint.tensor("mean", shape=weights.shape), scale, weights, **numbers)


def log_lengths(prompts: Sequence[str]) -> NDArray[np.float64]:
    """Return ln(1 + number of characters) of n prompts: shape (n,)."""
    return np.log1p(np.array([len(prompt) for prompt in prompts], dtype=np.float64))
