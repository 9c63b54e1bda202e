"""Leave out runs whose answers were not understood: they say nothing of what a model can do."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from routellm_core.training.bundled.abilities import prior_abilities

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from routellm_core.training.bundled.sources import Source

__all__ = ["without_failed_runs"]

_MISFIT = 1.5
_SLOPE = 0.7
_MIN_PROMPTS = 25
# Built to answer over retrieved passages, and run without any.
_MISUSED = frozenset({"llama3-chatqa-1.5-8b", "llama3-chatqa-1.5-70b"})


def without_failed_runs(source: Source) -> Source:
    """Return the source without misused models and without runs that went wrong.

    A run is one model on one task. Its log-odds of being right are compared with what the task's
    other runs, the model's other runs and its general ability suggest; a run more than 1.5 below
    that is taken for a failure of format, such as a letter that was not found in the answer.
    """
    source = source.without_models(_MISUSED)
    tasks = np.array(source.tasks)
    names = sorted(set(source.tasks))
    log_odds = np.array([_log_odds(source.quality[tasks == name]) for name in names])
    misfit = log_odds - _SLOPE * prior_abilities(source.models)
    misfit -= _median(misfit, axis=1)
    misfit -= np.clip(_median(misfit, axis=0), -1.0, 1.0)
    misfit -= _median(misfit, axis=1)
    quality = source.quality.copy()
    for row, column in zip(*np.nonzero(misfit < -_MISFIT), strict=True):
        quality[tasks == names[row], column] = np.nan
    return replace(source, quality=quality)


def _log_odds(quality: NDArray[np.float64]) -> NDArray[np.float64]:
    answered = (~np.isnan(quality)).sum(axis=0)
    mean = (np.nansum(quality, axis=0) + 1.0) / (answered + 2.0)
    return np.where(answered >= _MIN_PROMPTS, np.log(mean / (1.0 - mean)), np.nan)


def _median(values: NDArray[np.float64], *, axis: int) -> NDArray[np.float64]:
    """Return medians of what is known, 0 where nothing is."""
    known = ~np.isnan(values)
    filled = np.where(known.any(axis=axis, keepdims=True), values, 0.0)
    medians: NDArray[np.float64] = np.nanmedian(filled, axis=axis, keepdims=True)
    return medians
