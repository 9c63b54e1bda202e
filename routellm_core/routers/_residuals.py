"""How a new model's outcomes differ from what known models lead one to expect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from routellm_core.routers.added import AddedModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from routellm_core.routers.added import Evidence

__all__ = ["DEFAULT_PRIOR", "Residuals"]

DEFAULT_PRIOR = 5.0
"""How many prompts a start counts as, where nobody says."""

_WORST_VARIANCE = 0.25
"""Of a quality in [0, 1]."""


@dataclass(frozen=True, slots=True, eq=False)
class Residuals:
    """A new model's qualities on n prompts, minus those of a start.

    Parameters
    ----------
    values
        Shape (n,), without the prompts' shift.
    prior
        How many prompts with a residual of 0 are added to the mean, and to a neighbourhood how many
        with the mean residual.
    prompt_shift
        The mean residual of known models on the same prompts.
    """

    values: NDArray[np.float64]
    prior: float
    prompt_shift: float = 0.0

    @classmethod
    def of(
        cls, evidence: Evidence, *, start: NDArray[np.float64], predicted: NDArray[np.float64]
    ) -> Residuals:
        """Return the residuals from a start, shape (n,), where known models' qualities are (n, m).

        Outcomes of known models on the same prompts are taken into account as the new model's are:
        their mean residual, shrunk, is how much easier the prompts are than the router expects.
        """
        prior = DEFAULT_PRIOR if evidence.prior is None else evidence.prior
        seen = np.isfinite(evidence.known)
        beyond = evidence.known[seen] - predicted[seen]
        moved = float(beyond.sum() / (len(beyond) + prior))
        return cls(evidence.quality - start - moved, prior, moved)

    @property
    def shift(self) -> float:
        """The mean residual, shrunk towards 0."""
        return float(self.values.sum() / (len(self.values) + self.prior))

    @property
    def standard_error(self) -> float:
        """Of the shift; the prior's prompts count with the largest variance of a quality."""
        n = len(self.values) + self.prior
        squares = ((self.values - self.shift) ** 2).sum() + self.prior * _WORST_VARIANCE
        return float(np.sqrt(squares) / n)

    def beyond(self, chosen: NDArray[np.int64]) -> float:
        """Return what prompts of one neighbourhood add to the shift: their mean, shrunk to it."""
        near = self.values[chosen]
        return float((near - self.shift).sum() / (len(near) + self.prior))

    def report(self, name: str, *, like: str | None, nearest: tuple[str, ...]) -> AddedModel:
        """Return what is kept of the new model."""
        return AddedModel(
            name=name,
            n_prompts=len(self.values),
            parameters=("shift",),
            ability=(self.shift,),
            standard_error=(self.standard_error,),
            prompt_shift=self.prompt_shift,
            nearest=nearest,
            like=like,
        )
