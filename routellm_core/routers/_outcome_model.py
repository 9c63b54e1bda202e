"""What models can do and what prompts demand, as arrays: the weights of the `mf` router."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from routellm_core._numbers import bad_number
from routellm_core.errors import CheckpointError
from routellm_core.routers.added import added_count

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from routellm_core.checkpoints import Checkpoint

__all__ = ["OutcomeModel"]


@dataclass(frozen=True, slots=True, eq=False)
class OutcomeModel:
    """Predict each of m models' probability of being right from a prompt's embedding.

    p_m(x) = logistic(eases[m] + abilities[m] . demands(x)), where
    demands(x) = clip((e(x) - mean) / scale, -bound, bound) @ projection.

    Parameters
    ----------
    models
        m names.
    mean, scale
        Shape (d,), scale positive: how embeddings are standardised.
    bound
        Positive: where standardised embeddings are clipped.
    projection
        Shape (d, k).
    abilities
        Shape (m, k).
    eases
        Shape (m,): each model's log-odds of being right on a prompt of no special demands.
    n_added
        How many models, the last ones, were added after the fit.
    """

    models: tuple[str, ...]
    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    bound: float
    projection: NDArray[np.float32]
    abilities: NDArray[np.float32]
    eases: NDArray[np.float32]
    n_added: int = 0

    @property
    def dimension(self) -> int:
        """Length d of an embedding."""
        return len(self.mean)

    def demands(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what prompts ask of a model: (n, d) -> (n, k)."""
        return self._standardised(embeddings) @ self.projection

    def quality(self, demands: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return every model's probability of being right: (n, k) -> (n, m)."""
        return _logistic(self.logits(demands))

    def logits(self, demands: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return every model's log-odds of being right: (n, k) -> (n, m)."""
        n = len(self.models) - self.n_added
        fitted: NDArray[np.float32] = demands @ self.abilities[:n].T + self.eases[:n]
        if not self.n_added:
            return fitted
        # Each by itself: a matrix product of another shape may round the same column otherwise.
        added = [
            demands @ ability + ease
            for ability, ease in zip(self.abilities[n:], self.eases[n:], strict=True)
        ]
        return np.column_stack([fitted, *added])

    def with_model(self, name: str, *, ability: NDArray[np.floating], ease: float) -> OutcomeModel:
        """Return the same model with one more column, whose ability has shape (k,)."""
        return replace(
            self,
            models=(*self.models, name),
            abilities=np.vstack([self.abilities, ability]).astype(np.float32),
            eases=np.append(self.eases, ease).astype(np.float32),
            n_added=self.n_added + 1,
        )

    def pair_factors(
        self, strong: int, weak: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return what is left of the factors for one pair: (d, 2) and (2,), strong first."""
        pair = [strong, weak]
        return self.projection @ self.abilities[pair].T, self.eases[pair]

    def pair_win_rates(
        self,
        embeddings: NDArray[np.float32],
        factors: tuple[NDArray[np.float32], NDArray[np.float32]],
    ) -> NDArray[np.float64]:
        """Return P(strong better) + P(tie) / 2 of independent answers: (n, d) -> (n,).

        That is p_s (1 - p_w) + (p_s p_w + (1 - p_s) (1 - p_w)) / 2 = (1 + p_s - p_w) / 2.
        """
        vectors, eases = factors
        right = _logistic(self._standardised(embeddings) @ vectors + eases)
        win_rates: NDArray[np.float64] = 0.5 * (1.0 + right[:, 0] - right[:, 1])
        return win_rates

    def win_rates_of(
        self, demands: NDArray[np.float32], *, strong: int, weak: int
    ) -> NDArray[np.float64]:
        """Return a pair's win rates from demands: (n, k) -> (n,)."""
        right = self.quality(demands)
        win_rates: NDArray[np.float64] = 0.5 * (1.0 + right[:, strong] - right[:, weak])
        return win_rates

    def parameters(self) -> dict[str, Any]:
        """Return the scalar settings as a checkpoint names them."""
        parameters = {"form": "abilities", "models": list(self.models), "bound": self.bound}
        return {**parameters, "n_added": self.n_added} if self.n_added else parameters

    def tensors(self) -> dict[str, NDArray[np.float32]]:
        """Return the arrays as a checkpoint names them."""
        return {
            "mean": self.mean,
            "scale": self.scale,
            "projection": self.projection,
            "abilities": self.abilities,
            "eases": self.eases,
        }

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint, models: tuple[str, ...]) -> OutcomeModel:
        """Read the arrays of a checkpoint and check that they fit together.

        Raises
        ------
        CheckpointError
            If one is missing or has another shape, or a scale or the bound is not positive.
        """
        mean = checkpoint.tensor("mean", shape=(None,))
        d = len(mean)
        projection = checkpoint.tensor("projection", shape=(d, None))
        bound = checkpoint.parameters.get("bound")
        scale = checkpoint.tensor("scale", shape=(d,))
        if isinstance(bound, bool) or not isinstance(bound, (int, float)) or not bound > 0.0:
            raise CheckpointError(f"Parameter `bound` must be a positive number, got {bound!r}.")
        bad = bad_number(scale, low=np.nextafter(0.0, 1.0))
        if bad:
            raise CheckpointError(f"Tensor 'scale' must be positive, got {bad}.")
        return cls(
            models=models,
            mean=mean,
            scale=scale,
            bound=float(bound),
            projection=projection,
            abilities=checkpoint.tensor("abilities", shape=(len(models), projection.shape[1])),
            eases=checkpoint.tensor("eases", shape=(len(models),)),
            n_added=added_count(checkpoint, n_models=len(models)),
        )

    def _standardised(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        scaled = (embeddings - self.mean) / self.scale
        clipped: NDArray[np.float32] = np.minimum(np.maximum(scaled, -self.bound), self.bound)
        return clipped


def _logistic(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    # Written so that large logits do not overflow.
    right: NDArray[np.float64] = 0.5 * (1.0 + np.tanh(0.5 * logits.astype(np.float64)))
    return right
