"""From a log to a router: label, adapt, calibrate, report."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from routellm_core._scales import on_percentiles
from routellm_core.calibration import calibration_of
from routellm_core.checkpoints import check_target
from routellm_core.errors import ConfigurationError, DataError
from routellm_core.labeling.agreement import Interval
from routellm_core.labeling.labelling import journal_path, label
from routellm_core.labeling.spending import find_prices
from routellm_core.routers.base import Router
from routellm_core.routers.loading import load_router
from routellm_core.training.adapted import train_adapted
from routellm_core.training.examples import read_data
from routellm_core.training.guards import data_doubts
from routellm_core.tuning.measure import (
    cross_fit,
    gain_over_prior,
    gap_recovered,
    no_loss,
)
from routellm_core.tuning.report import TuneReport
from routellm_core.types import ModelPair

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from routellm_core.data.outcomes import Outcomes
    from routellm_core.embedders.base import Embedder
    from routellm_core.labeling.asking import Asker
    from routellm_core.labeling.labelling import LabelJob
    from routellm_core.labeling.running import Progress
    from routellm_core.labeling.settings import LabelSettings
    from routellm_core.training.trained import Trained

__all__ = ["MIN_LABELS", "TuneJob", "labels_path", "tune"]

MIN_LABELS = 12
"""How many labels it takes to adapt to some and measure on the others."""

_MORE = 100
"""The next labels, whose worth is told."""
_ANSWER_TOKENS = 300
_CHARS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneJob:
    """A log to tune a router on, and the means for it.

    Parameters
    ----------
    labelling
        What is labelled, how, and for how much; its `out` is `labels_path(out)`.
    prompts
        All prompts of the log: what the router is calibrated on.
    out
        The folder of the router.
    prior
        What is adapted: a registered name, a folder, "owner/name" on the Hub, or a router.
    embedder
        Of the adaptation; by default the prior's, or the bundled one.
    seed
        Of the folds and of all intervals.
    force
        Whether to go on where the labels speak against training, and to replace a folder that no
        run of tuning wrote.

    Raises
    ------
    ConfigurationError
        If the labels are not of two models.
    """

    labelling: LabelJob
    prompts: Sequence[str]
    out: str | Path
    prior: str | Path | Router = "mf"
    embedder: Embedder | None = None
    seed: int = 0
    force: bool = False

    def __post_init__(self) -> None:
        settings = self.labelling.settings
        if len(settings.models) != 2:
            raise ConfigurationError(
                f"A router is tuned for a strong and a weak model, got {len(settings.models)} "
                "models."
            )
        if settings.mode == "feedback":
            raise ConfigurationError(
                "Mode 'feedback' asks nobody: run `routellm label --mode feedback`, then `routellm "
                "adapt`."
            )


def labels_path(out: str | Path) -> Path:
    """Return where the labels of a run are kept: beside its router, for its next run."""
    path = Path(out)
    return path.with_name(f"{path.name}.labels.jsonl")


def tune(
    job: TuneJob,
    *,
    asker: Asker | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    show_progress: bool = False,
) -> TuneReport:
    """Label prompts of a log, adapt a router to the labels, calibrate it, and measure both.

    Whatever interrupts it, the same job goes on from the last paid answer and ends with the same
    router. It runs an event loop of its own while it labels.

    Parameters
    ----------
    job
        What to do.
    asker
        Sends calls; by default through LiteLLM.
    on_progress
        Called after each labelled prompt.
    show_progress
        Whether to draw a bar on stderr while adapting.

    Raises
    ------
    ConfigurationError
        If the folder exists and no run of tuning wrote it, or as `label`.
    CheckpointError
        If the folder holds files that are no checkpoint.
    DataError
        If there are fewer than 12 labels, or something speaks against training on them, see
        `data_doubts`; what was paid for is kept.
    AskError
        If a model refuses every call, as for a wrong key.
    """
    # What is wrong with either must be said before a label is paid for.
    _check_out(job)
    prior = job.prior if isinstance(job.prior, Router) else load_router(str(job.prior))
    labelling = label(job.labelling, asker=asker, on_progress=on_progress)
    pair = ModelPair(*job.labelling.settings.models)
    data, doubts = _labels(job, pair)
    adapted = train_adapted(
        data, pair=pair, prior=prior, embedder=job.embedder, seed=job.seed,
        next_labels=_MORE, show_progress=show_progress,
    )  # fmt: skip
    fit = cross_fit(adapted, prior=prior, weights=_weights(job))
    judged = calibration_of(
        fit.full, source="", weak=fit.examples.weak, strong=fit.examples.strong, seed=job.seed
    )
    prompts = list(dict.fromkeys(job.prompts))
    calibration = calibration_of(
        adapted.router.raw_win_rates(prompts), source=f"{len(prompts):,} prompts of the log"
    )
    folder = replace(
        adapted,
        calibration=on_percentiles(
            replace(calibration, quality_floors=judged.quality_floors, better=judged.better)
        ),
        settings={**adapted.settings, **_provenance(job.labelling.settings)},
    ).save(job.out)
    return TuneReport(
        checkpoint=str(folder),
        labels=str(job.labelling.out),
        labelling=labelling,
        n_labels=len(data),
        gap_recovered=gap_recovered(fit, fit.ranks, seed=job.seed),
        prior_gap_recovered=gap_recovered(fit, fit.prior, seed=job.seed),
        gain=gain_over_prior(fit, seed=job.seed),
        no_loss=no_loss(fit, cost_ratio=_cost_ratio(job), seed=job.seed),
        next_100_labels=_more_labels(adapted),
        doubts=doubts,
    )


def _more_labels(adapted: Trained) -> Interval | None:
    found = adapted.metrics["next_labels"]
    return None if found is None else Interval(found["apgr_gain"], found["low"], found["high"])


def _check_out(job: TuneJob) -> None:
    if Path(job.out).exists() and not job.force and not journal_path(job.labelling.out).exists():
        raise ConfigurationError(
            f"{str(job.out)!r} exists, and no run of tuning wrote it. Name another folder, or "
            "replace a checkpoint with `--force` (`force=True`)."
        )
    if Path(job.out).is_file():
        raise ConfigurationError(f"{str(job.out)!r} is a file. Name a folder.")
    check_target(job.out)


def _labels(job: TuneJob, pair: ModelPair) -> tuple[Outcomes, tuple[str, ...]]:
    """Return the labels, and what speaks against them."""
    again = "The labels are kept; the same command goes on."
    try:
        data = read_data(job.labelling.out)
        doubts = data_doubts(data, pair, trainer="adapted")
        outcomes = data.of_pair(pair)
    except DataError as error:
        raise DataError(f"{error} {again}") from error
    if len(outcomes) < MIN_LABELS:
        raise DataError(
            f"Only {len(outcomes)} prompts have a label, and it takes {MIN_LABELS} to adapt to "
            "some and measure on the others. Label more, with a higher `--max-cost` or a larger "
            f"`--sample`. {again}"
        )
    if doubts and not job.force:
        raise DataError(f"{' '.join(doubts)} `--force` goes on all the same. {again}")
    return outcomes, doubts


def _weights(job: TuneJob) -> dict[str, float]:
    """Return how many prompts of the log each stands for."""
    labelled = [one.prompt for one in job.labelling.prompts]
    shares = [1.0] * len(labelled) if job.labelling.shares is None else job.labelling.shares
    return {prompt: 1.0 / share for prompt, share in zip(labelled, shares, strict=True)}


def _cost_ratio(job: TuneJob) -> float | None:
    """Return the cost of a weak call as a share of a strong one's, for answers of 300 tokens."""
    models = job.labelling.settings.models
    prices = find_prices(models, job.labelling.prices)
    n_read = float(np.mean([len(prompt) for prompt in job.prompts])) / _CHARS_PER_TOKEN
    strong, weak = (
        None if price is None
        else price.cost_usd(input_tokens=n_read, output_tokens=_ANSWER_TOKENS)
        for price in map(prices.price, models)
    )  # fmt: skip
    return weak / strong if strong and weak is not None else None


def _provenance(settings: LabelSettings) -> dict[str, object]:
    return {"label_mode": settings.mode, "label_judge": settings.judge}
