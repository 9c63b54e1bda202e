"""Calibrations that travel with a checkpoint: made once, read for every application."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from routellm_core.calibration.cost import check_max_cost
from routellm_core.calibration.probability import ProbabilityMap
from routellm_core.calibration.quality import calibrate_quality, check_min_quality
from routellm_core.calibration.strict import fit_strict
from routellm_core.calibration.thresholds import CalibrationWarning, check_win_rates
from routellm_core.checkpoints import notes_folder, read_checkpoint, write_checkpoint
from routellm_core.errors import ConfigurationError
from routellm_core.types import Calibration

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

    from routellm_core.routers.base import Router
    from routellm_core.types import WinRates

__all__ = [
    "FLOORS",
    "CallTokens",
    "calibration_of",
    "cost_threshold",
    "quality_threshold",
    "with_calibration",
]

FLOORS = tuple(round(0.80 + 0.005 * step, 3) for step in range(40))
"""The quality floors that a calibration on outcomes answers: 0.800 to 0.995."""

_QUANTILES = 1001


@dataclass(frozen=True, slots=True)
class CallTokens:
    """Tokens of each of n calls.

    Parameters
    ----------
    prompt
        Shape (n,), tokens read.
    strong, weak
        Shape (n,), tokens that each model would write.
    """

    prompt: NDArray[np.float64]
    strong: NDArray[np.float64]
    weak: NDArray[np.float64]


def calibration_of(
    win_rates: WinRates,
    *,
    source: str,
    weak: ArrayLike | None = None,
    strong: ArrayLike | None = None,
    tokens: CallTokens | None = None,
    probability: ProbabilityMap | None = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> Calibration:
    """Return what a checkpoint stores of n scored prompts.

    Parameters
    ----------
    win_rates
        Shape (n,), n >= 1.
    source
        What the prompts were, in words.
    weak, strong
        Quality of the two models' answers, shape (n,), in [0, 1]; both or neither. With them,
        `min_quality` can be asked for, and decisions tell how often the strong model is better.
    tokens
        With them, `max_cost` can be asked for.
    probability
        A map fitted on outcomes.
    confidence, seed
        Of the quality floors, each on its own.

    Raises
    ------
    ConfigurationError
        If an argument cannot be used.
    """
    check_win_rates(win_rates)
    if (weak is None) != (strong is None):
        raise ConfigurationError(
            "Pass the quality of both models, `weak` and `strong`, or neither."
        )
    floors: list[tuple[float, float]] = []
    better = None
    if weak is not None and strong is not None:
        better = fit_strict(win_rates, weak=weak, strong=strong)
        for floor in FLOORS:
            found = calibrate_quality(
                win_rates,
                weak=weak,
                strong=strong,
                min_quality=floor,
                confidence=confidence,
                seed=seed,
            )
            floors.append((floor, found.threshold))
    levels = np.linspace(0.0, 1.0, min(_QUANTILES, max(2, len(win_rates))))
    return Calibration(
        quantiles=np.quantile(win_rates, levels),
        n_prompts=len(win_rates),
        source=source,
        quality_floors=np.array(floors) if floors else None,
        tokens=None if tokens is None else _tokens_by_quantile(win_rates, tokens, len(levels) - 1),
        probability=None if probability is None else probability.knots,
        better=better,
    )


def with_calibration(router: Router, calibration: Calibration, folder: str | Path) -> Path:
    """Write the router as a checkpoint that stores this calibration, and return its folder.

    The router keeps its scale, unless the calibration brings one of its own: `on_percentiles` makes
    percentiles of the prompts whose raw win rates are calibrated.

    Raises
    ------
    ConfigurationError
        If the router cannot be saved.
    CheckpointError
        If the folder holds something that is not a checkpoint.
    """
    written = router.save(folder)
    notes = notes_folder(written)
    if calibration.scale is None and router.calibration is not None:
        calibration = replace(calibration, scale=router.calibration.scale)
    write_checkpoint(replace(read_checkpoint(notes), calibration=calibration), notes)
    return written


def quality_threshold(router: Router, *, min_quality: float) -> float:
    """Return the highest threshold that was shown to keep a share of the strong model's quality.

    Parameters
    ----------
    router
        A router whose calibration was made of outcomes.
    min_quality
        In (0, 1]. It is rounded up to the next floor that was tested; above the last one all calls
        go to the strong model, with a `CalibrationWarning`.

    Raises
    ------
    ConfigurationError
        If `min_quality` is outside (0, 1], or the calibration knows no outcomes.
    """
    check_min_quality(min_quality)
    calibration = router.calibration
    if calibration is None or calibration.quality_floors is None:
        raise ConfigurationError(
            f"`min_quality` needs a router calibrated on outcomes, and this {router.name!r} router "
            "is not. Run `routellm calibrate --outcomes FILE --save FOLDER`, or pass `threshold`."
        )
    floors, thresholds = calibration.quality_floors.T
    index = int(np.searchsorted(floors, min_quality - 1e-9))
    threshold = float(thresholds[index]) if index < len(floors) else 0.0
    if threshold <= calibration.quantiles[0]:
        warnings.warn(
            f"No threshold was shown to keep {min_quality:.1%} of the strong model's quality, so "
            "all calls go to the strong model.",
            CalibrationWarning,
            stacklevel=2,
        )
    return threshold


def cost_threshold(
    router: Router,
    *,
    max_cost: float,
    strong_usd: tuple[float, float],
    weak_usd: tuple[float, float],
    call_tokens: tuple[float, float] | None = None,
    answer_tokens: tuple[float, float] | None = None,
) -> float:
    """Return the lowest threshold whose mean cost of a call stays within a target.

    Parameters
    ----------
    router
        A calibrated router.
    max_cost
        Mean cost of a call, in US dollars.
    strong_usd, weak_usd
        Each model's price of a token read and of a token written, in US dollars.
    call_tokens
        Mean tokens read and written by a call; by default what the calibration has counted.
    answer_tokens
        Mean tokens that the strong and the weak model write, where these are known to differ from
        that: reasoning counts as written.

    Returns
    -------
    When even all-weak costs more, 1 with a `CalibrationWarning`.

    Raises
    ------
    ConfigurationError
        If a number is not positive, or neither the calibration nor the caller knows the tokens.
    """
    check_max_cost(max_cost)
    calibration = router.calibration
    if calibration is None:
        raise ConfigurationError(
            f"`max_cost` needs a calibrated router, and this {router.name!r} router stores no "
            "calibration. Pass `threshold` instead."
        )
    tokens = _tokens(calibration, call_tokens, name=router.name)
    if answer_tokens is not None:
        tokens = np.column_stack([tokens[:, :1], np.tile(answer_tokens, (len(tokens), 1))])
    strong = tokens[:, 0] * strong_usd[0] + tokens[:, 1] * strong_usd[1]
    weak = tokens[:, 0] * weak_usd[0] + tokens[:, 2] * weak_usd[1]
    # From the highest win rates down: what k of the q - 1 equal cells at the strong model cost.
    extra = np.concatenate([[0.0], np.cumsum((strong - weak)[::-1])]) / len(tokens)
    costs = np.maximum.accumulate(weak.mean() + extra)
    if costs[0] > max_cost * (1.0 + 1e-9):
        warnings.warn(
            f"A mean cost of {max_cost:.6g} US dollars a call is out of reach: all-weak costs "
            f"{costs[0]:.6g}.",
            CalibrationWarning,
            stacklevel=2,
        )
        return 1.0
    shares = np.linspace(0.0, 1.0, len(costs))
    affordable = np.flatnonzero(costs <= max_cost)
    last = int(affordable[-1]) if affordable.size else 0
    share = float(shares[last])
    if last + 1 < len(costs):
        part = (max_cost - costs[last]) / (costs[last + 1] - costs[last])
        share += float(min(1.0, part) * (shares[last + 1] - shares[last]))
    levels = np.linspace(0.0, 1.0, calibration.quantiles.size)
    return float(np.interp(1.0 - share, levels, calibration.quantiles))


def _tokens(
    calibration: Calibration, call_tokens: tuple[float, float] | None, *, name: str
) -> NDArray[np.float64]:
    if call_tokens is not None:
        read, written = call_tokens
        if not (read >= 0.0 and written >= 0.0 and read + written > 0.0):
            raise ConfigurationError(
                "`call_tokens` must be the mean tokens read and written by a call, got "
                f"{call_tokens!r}."
            )
        cells = calibration.quantiles.size - 1
        return np.tile(np.array([read, written, written], dtype=np.float64), (cells, 1))
    if calibration.tokens is None:
        raise ConfigurationError(
            f"`max_cost` needs to know how long calls are, and the calibration of this {name!r} "
            "router has not counted tokens. Pass `call_tokens=(read, written)`, the mean of a "
            "call, or calibrate on your own calls with `routellm calibrate --save FOLDER`."
        )
    return calibration.tokens


def _tokens_by_quantile(win_rates: WinRates, tokens: CallTokens, cells: int) -> NDArray[np.float64]:
    """Return the mean tokens between two quantiles: (cells, 3)."""
    table = np.column_stack([tokens.prompt, tokens.strong, tokens.weak])
    if len(table) != len(win_rates):
        raise ConfigurationError(
            f"Tokens must be counted for {len(win_rates)} calls, got {len(table)}."
        )
    ordered = table[np.argsort(win_rates, kind="stable")]
    sums = np.concatenate([np.zeros((1, 3)), np.cumsum(ordered, axis=0)])
    edges = np.linspace(0.0, len(ordered), cells + 1)
    places = np.arange(len(ordered) + 1)
    at_edges = np.column_stack([np.interp(edges, places, sums[:, c]) for c in range(3)])
    means: NDArray[np.float64] = np.diff(at_edges, axis=0) / np.diff(edges)[:, None]
    return np.maximum(means, 0.0)
