"""What training gives: a router, and how good it is on prompts it did not see."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from routellm_core._scales import on_percentiles
from routellm_core.calibration.stored import calibration_of
from routellm_core.checkpoints import notes_folder, read_checkpoint, write_checkpoint
from routellm_core.errors import ConfigurationError, DataError
from routellm_core.evaluation.metrics import apgr, auroc, brier, nll

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from routellm_core.routers.base import Router
    from routellm_core.training.examples import PairExamples
    from routellm_core.types import Calibration, WinRates

__all__ = ["Trained", "measured", "trained"]

_ENOUGH = 100


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained router, not written yet.

    Parameters
    ----------
    router
        Ready to score, on the scale of its calibration.
    calibration
        Its win rates on the validation prompts: percentiles.
    metrics
        Measured on the validation prompts: `apgr` (None where the models are equally good there),
        `auroc`, `brier` and `nll` of the win rates, the mean qualities, and what the trainer adds.
    settings
        What it was trained with, JSON values only.
    validation, win_rates
        The validation prompts with their outcomes, and their win rates before the scale, shape
        (n,), by routers that had not seen them.
    scores
        Shape (n,): what ranks the validation prompts. The win rates, or where several routers made
        them, see `centred`.
    """

    router: Router
    calibration: Calibration
    metrics: Mapping[str, Any]
    settings: Mapping[str, Any] = field(default_factory=dict)
    validation: PairExamples | None = None
    win_rates: WinRates | None = None
    scores: NDArray[np.float64] | None = None

    @property
    def doubt(self) -> str | None:
        """What few validation prompts leave open, as a sentence; None where there are enough.

        By Hoeffding's bound at 95 %, for any share of the calls.
        """
        n = int(self.metrics["n_validation"])
        if n >= _ENOUGH:
            return None
        points = min(100.0, 100.0 * math.sqrt(math.log(2.0 / 0.05) / (2.0 * n)))
        return (
            f"Only {n} validation prompts: the figures say little, and a share that is calibrated "
            f"on them may be off by {points:.0f} points. Bring more rows."
        )

    def save(self, folder: str | Path) -> Path:
        """Write the checkpoint, with calibration, metrics and settings, and return its folder.

        Raises
        ------
        CheckpointError
            If the folder holds something that is not a checkpoint.
        """
        written = self.router.save(folder)
        notes = notes_folder(written)
        training = {
            "date": datetime.now(timezone.utc).date().isoformat(),
            "version": version("routellm-plugins"),
            "settings": dict(self.settings),
            "metrics": dict(self.metrics),
        }
        stored = replace(read_checkpoint(notes), calibration=self.calibration, training=training)
        write_checkpoint(stored, notes)
        return written


def trained(
    router: Router,
    validation: PairExamples,
    *,
    settings: Mapping[str, Any],
    metrics: Mapping[str, Any] | None = None,
    win_rates: WinRates | None = None,
    scores: NDArray[np.float64] | None = None,
) -> Trained:
    """Measure a router on held-out prompts, and calibrate it there.

    Parameters
    ----------
    win_rates
        The router's, before its scale, where they are known already.
    scores
        What ranks the prompts, where several routers made the win rates: see `centred`.
    """
    if win_rates is None:
        win_rates = router.raw_win_rates(validation.prompts)
    calibration = calibration_of(
        win_rates,
        source=f"{len(win_rates)} validation prompts of the training data",
        strong=validation.strong,
        weak=validation.weak,
    )
    calibration = on_percentiles(calibration)
    ranks = win_rates if scores is None else scores
    figures = {**measured(win_rates, validation, ranks=ranks), **(metrics or {})}
    router.set_calibration(calibration)
    return Trained(router, calibration, figures, settings, validation, win_rates, ranks)


def measured(
    win_rates: WinRates, validation: PairExamples, *, ranks: NDArray[np.float64] | None = None
) -> dict[str, Any]:
    """Return the figures of raw win rates of validation prompts.

    Parameters
    ----------
    ranks
        What ranks the prompts, if not the win rates.
    """
    ranks = win_rates if ranks is None else ranks
    return {
        "n_validation": len(win_rates),
        "strong_quality": float(validation.strong.mean()),
        "weak_quality": float(validation.weak.mean()),
        "apgr": _or_none(lambda: apgr(ranks, weak=validation.weak, strong=validation.strong)),
        "auroc": _or_none(lambda: auroc(ranks, validation.labels > 0.5)),
        "brier": float(brier(win_rates, validation.labels)),
        "nll": float(nll(np.clip(win_rates, 1e-6, 1.0 - 1e-6), validation.labels)),
    }


def _or_none(measure: Any) -> float | None:
    """Return a figure, or None where it is not defined on these prompts."""
    try:
        return float(measure())
    except (ConfigurationError, DataError):
        return None
