"""What `routellm label` and `routellm tune` do with a job: say its price, carry it out."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

from routellm_core.cli.console import print_json
from routellm_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from routellm_core.labeling.asking import LiteLLMAsker
    from routellm_core.labeling.labelling import LabelJob
    from routellm_core.labeling.reports import LabelReport
    from routellm_core.labeling.running import Progress

__all__ = ["run_labelling", "tell_estimate", "writing"]


def run_labelling(job: LabelJob, asker: LiteLLMAsker) -> LabelReport:
    """Label, with a bar."""
    from routellm_core.labeling.labelling import label

    with writing(len(job.prompts)) as tell:
        return label(job, asker=asker, on_progress=tell)


@contextmanager
def writing(n_prompts: int) -> Iterator[Callable[[Progress], None]]:
    """Draw a bar, yield what moves it, and say of a full disk that nothing paid is lost."""
    from routellm_core.cli.label_display import progress_of

    try:
        with progress_of(n_prompts) as tell:
            yield tell
    except OSError as error:
        raise DataError(
            f"Cannot write {error.filename!r}: {error.strerror}. What was paid for before is kept; "
            "the same command goes on."
        ) from error


def tell_estimate(job: LabelJob, *, json: bool) -> None:
    """Say what a job will take; nobody is asked."""
    from routellm_core.cli.label_display import show_estimate
    from routellm_core.labeling.labelling import estimate_job

    found = estimate_job(job)
    if not json:
        show_estimate(found)
        return
    models = [{**asdict(one), "cost_usd": _or_none(one.cost_usd)} for one in found.models]
    print_json(
        {
            **asdict(found),
            "models": models,
            "n_calls": found.n_calls,
            "cost_usd": _or_none(found.cost_usd),
        }
    )


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
