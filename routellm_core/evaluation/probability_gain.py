"""What calibrating win rates as probabilities gains, on prompts that it was not fitted on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from routellm_core.calibration import fit_isotonic, fit_platt
from routellm_core.errors import ConfigurationError
from routellm_core.evaluation.measure import probabilities

if TYPE_CHECKING:
    from routellm_core.calibration import ProbabilityMap
    from routellm_core.evaluation.figures import Probabilities
    from routellm_core.evaluation.metrics.arrays import Floats

__all__ = ["Method", "ProbabilityGain", "fit_probability"]

Method = Literal["isotonic", "platt"]

_FITS = {"isotonic": fit_isotonic, "platt": fit_platt}


@dataclass(frozen=True, slots=True)
class ProbabilityGain:
    """ECE, Brier score and NLL of held-out prompts, before and after.

    Parameters
    ----------
    method
        How the map was fitted.
    n_fitted, n_held_out
        How many prompts the map was fitted on for this table, and on how many it was judged.
    before, after
        The figures.
    """

    method: Method
    n_fitted: int
    n_held_out: int
    before: Probabilities
    after: Probabilities

    @property
    def helps(self) -> bool:
        """Whether the map lowers the Brier score of the held-out prompts."""
        return self.after.brier < self.before.brier


def fit_probability(
    win_rates: Floats, labels: Floats, *, method: Method = "isotonic", seed: int = 0
) -> tuple[ProbabilityMap, ProbabilityGain]:
    """Return a map fitted on all prompts, and what one fitted on half of them gains on the others.

    Parameters
    ----------
    win_rates, labels
        Shape (n,), n >= 2, in [0, 1]; see `win_labels`.
    method
        "isotonic" needs some hundred prompts, "platt" some dozen.
    seed
        Which half.

    Raises
    ------
    ConfigurationError
        If there are fewer than 2 prompts, or the method is not known.
    """
    fit = _FITS.get(method)
    if fit is None or len(win_rates) < 2:
        raise ConfigurationError(
            f"A probability map needs 2 prompts and one of {', '.join(_FITS)}, got "
            f"{len(win_rates)} prompts and {method!r}."
        )
    order = np.random.default_rng(seed).permutation(len(win_rates))
    fitted, held_out = np.array_split(order, 2)
    half = fit(win_rates[fitted], labels[fitted])
    gain = ProbabilityGain(
        method=method,
        n_fitted=len(fitted),
        n_held_out=len(held_out),
        before=probabilities(win_rates[held_out], labels[held_out]),
        after=probabilities(half(win_rates[held_out]), labels[held_out]),
    )
    return fit(win_rates, labels), gain
