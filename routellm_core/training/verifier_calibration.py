"""Calibrating a verifier on rows of one's own, and measuring whether that helps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from routellm_core._numbers import bad_number
from routellm_core.answers.score_calibration import ScoreCalibration, calibrated
from routellm_core.calibration.logistic import fit_logistic
from routellm_core.calibration.probability import fit_isotonic, fit_platt
from routellm_core.errors import ConfigurationError
from routellm_core.evaluation.metrics import brier, ece
from routellm_core.training.examples import split_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from routellm_core.answers.verifier import Verifier

__all__ = ["CalibratedScores", "CalibrationMethod", "calibrate_verifier"]

CalibrationMethod = Literal["isotonic", "platt"]

_ENOUGH_FOR_ISOTONIC = 1000


@dataclass(frozen=True, slots=True)
class CalibratedScores:
    """A calibration, and what it does on held-out rows.

    Parameters
    ----------
    verifier
        The calibrated one, or the one that was given, where calibrating it did not help.
    calibration
        Fitted on all rows; None where it did not help.
    figures
        Of the held-out rows: `n_fit`, `n_held_out`, `ece` and `brier` of the scores as they are,
        `calibrated_ece` and `calibrated_brier` of a calibration that was fitted without these rows.
    reason
        Why there is no calibration, as a sentence; None where there is one.
    """

    verifier: Verifier
    calibration: ScoreCalibration | None
    figures: Mapping[str, Any]
    reason: str | None = None


def calibrate_verifier(
    verifier: Verifier,
    *,
    prompts: Sequence[str],
    scores: ArrayLike,
    quality: ArrayLike,
    win_rates: ArrayLike | None = None,
    method: CalibrationMethod | None = None,
    held_out_share: float = 0.3,
    seed: int = 0,
) -> CalibratedScores:
    """Learn what a verifier's scores mean: the probability that an answer is good enough.

    Where win rates are given, they count as well: an answer to a hard prompt is less often good
    at the same score. The calibration is kept only where, on rows that it has not seen, its
    expected calibration error is lower than the scores' own, and its Brier score is not higher.

    Parameters
    ----------
    prompts
        The prompts of n rows; rows of one prompt are held out together.
    scores
        Shape (n,), in [0, 1]: the verifier's scores of the rows' answers.
    quality
        Shape (n,), in [0, 1]: 1 where the answer is good enough; soft labels are fine.
    win_rates
        Shape (n,), in [0, 1]: the router's win rates of the prompts.
    method
        "isotonic" for any rising map, "platt" for a logistic one; by default isotonic from 1,000
        rows on, below which it follows chance.
    held_out_share
        In (0, 1): the share of the prompts that are measured on. In the end all rows are fitted.
    seed
        Which prompts are held out.

    Raises
    ------
    ConfigurationError
        If an argument cannot be used.
    DataError
        If there are too few prompts to hold some out.

    References
    ----------
    Niculescu-Mizil and Caruana, Predicting good probabilities with supervised learning, 2005, for
    the number of rows.
    """
    values, labels = _unit(scores, "scores", len(prompts)), _unit(quality, "quality", len(prompts))
    rates = None if win_rates is None else _unit(win_rates, "win_rates", len(prompts))
    known = list(get_args(CalibrationMethod))
    if method is not None and method not in known:
        raise ConfigurationError(f"`method` must be one of {', '.join(known)}, got {method!r}.")
    if method is None:
        method = "isotonic" if len(values) >= _ENOUGH_FOR_ISOTONIC else "platt"
    fit, held = split_rows(prompts, validation_share=held_out_share, seed=seed)

    def fitted(rows: NDArray[np.int64]) -> ScoreCalibration:
        part = None if rates is None else rates[rows]
        return _fitted(verifier.name, values[rows], labels[rows], part, method)

    before = values[held]
    after = fitted(fit)(before, None if rates is None else rates[held])
    figures = {
        "n_fit": len(fit),
        "n_held_out": len(held),
        "ece": ece(before, labels[held]),
        "calibrated_ece": ece(after, labels[held]),
        "brier": brier(before, labels[held]),
        "calibrated_brier": brier(after, labels[held]),
    }
    reason = _objection(figures, fitted(fit))
    if reason is not None:
        return CalibratedScores(verifier, None, figures, reason)
    settings = {"method": method, "seed": seed, "n": len(values)}
    last = fitted(np.arange(len(values)))
    kept = ScoreCalibration(
        last.verifier, last.by_score, last.by_both, last.curve, {**settings, "metrics": figures}
    )
    return CalibratedScores(calibrated(verifier, kept), kept, figures)


def _fitted(
    name: str,
    scores: NDArray[np.float64],
    labels: NDArray[np.float64],
    win_rates: NDArray[np.float64] | None,
    method: CalibrationMethod,
) -> ScoreCalibration:
    fit = fit_isotonic if method == "isotonic" else fit_platt
    alone = fit(scores, labels)
    if win_rates is None:
        return ScoreCalibration(name, alone)
    inputs = np.column_stack([scores, win_rates])
    both = fit_logistic(inputs, labels)
    if not both.weights[0] > 0.0:  # the win rate tells all that the score does
        return ScoreCalibration(name, alone)
    curve = fit_isotonic(both(inputs), labels) if method == "isotonic" else None
    return ScoreCalibration(name, alone, both, curve)


def _objection(figures: Mapping[str, Any], calibration: ScoreCalibration) -> str | None:
    if np.ptp(calibration.by_score.knots[:, 1]) <= 0.0:
        return "Higher scores do not go with better answers: nothing can be calibrated."
    for name, what in (("ece", "expected calibration error"), ("brier", "Brier score")):
        before, after = figures[name], figures[f"calibrated_{name}"]
        if after > before or (name == "ece" and after == before):
            return (
                f"Calibration does not help on the {figures['n_held_out']:,} held-out rows: their "
                f"{what} is {before:.4f} before and {after:.4f} after."
            )
    return None


def _unit(values: ArrayLike, name: str, n: int) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.shape != (n,):
        raise ConfigurationError(f"`{name}` must have shape ({n},), got {array.shape}.")
    bad = bad_number(array, low=0.0, high=1.0)
    if bad:
        raise ConfigurationError(f"`{name}` must lie in [0, 1], got {bad}.")
    return array
