"""From raw win rates to percentiles: the share of typical prompts that a prompt exceeds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from routellm_core.errors import ConfigurationError
from routellm_core.types import Calibration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

__all__ = ["on_percentiles", "percentile_scale", "stored_calibration"]

_LEVELS = 1001


def percentile_scale(win_rates: ArrayLike) -> NDArray[np.float64]:
    """Return the map from raw win rates to percentiles of n prompts: shape (k, 2).

    A percentile is the share of the prompts that a win rate exceeds, those of the same win rate
    counting half. The map is a line through k <= 1003 points, ascends strictly from (0, 0) to (1,
    1), and so keeps the order of prompts: it leaves room below the lowest win rate and above the
    highest.

    Parameters
    ----------
    win_rates
        Shape (n,), n >= 1, in [0, 1], in any order.

    Examples
    --------
    >>> scale = percentile_scale([0.2, 0.3, 0.4, 0.5, 0.6])
    >>> np.interp([0.3, 0.45], *scale.T).tolist()
    [0.25, 0.625]
    """
    n_levels = min(_LEVELS, max(2, np.size(win_rates)))
    quantiles = np.quantile(np.asarray(win_rates, dtype=np.float64), np.linspace(0, 1, n_levels))
    return _scale_of(quantiles)


def on_percentiles(calibration: Calibration) -> Calibration:
    """Return a calibration of raw win rates as one of percentiles of the same prompts.

    Thresholds and probabilities that it stores keep their prompts.
    """
    scale = _scale_of(calibration.quantiles)

    def scaled(raw: NDArray[np.float64]) -> NDArray[np.float64]:
        values: NDArray[np.float64] = np.interp(raw, *scale.T)
        return values

    floors, probability, better = (
        calibration.quality_floors,
        calibration.probability,
        calibration.better,
    )
    return replace(
        calibration,
        quantiles=np.maximum.accumulate(scaled(calibration.quantiles)),
        quality_floors=None
        if floors is None
        else np.column_stack([floors[:, 0], scaled(floors[:, 1])]),
        probability=None
        if probability is None
        else np.column_stack([scaled(probability[:, 0]), probability[:, 1]]),
        better=None if better is None else np.column_stack([scaled(better[:, 0]), better[:, 1:]]),
        scale=scale,
    )


def stored_calibration(stored: Mapping[str, Any], arrays: Mapping[str, Any]) -> Calibration:
    """Return a calibration; one that states no scale was written before there were percentiles."""
    named = dict(stored)
    scale = named.pop("scale", None)
    calibration = Calibration(**named, **arrays)
    if scale not in (None, "percentile", "probability") or (
        (scale == "percentile") != (calibration.scale is not None)
    ):
        raise ConfigurationError(f"the calibration's scale is {scale!r}")
    return on_percentiles(calibration) if scale is None else calibration


def _scale_of(quantiles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the map of quantiles at evenly spaced levels from 0 to 1."""
    values, first, counts = np.unique(quantiles, return_index=True, return_counts=True)
    last = max(1, quantiles.size - 1)
    levels = (first + (counts - 1) / 2.0) / last
    # A prompt may lie outside the calibration's: a quarter of a level is left at either end.
    room = 0.25 / last
    inner = np.column_stack([values, np.clip(levels, room, 1.0 - room)])
    below, above = [[0.0, 0.0]] if values[0] > 0.0 else [], [[1.0, 1.0]] if values[-1] < 1.0 else []
    return np.array([*below, *inner.tolist(), *above])
