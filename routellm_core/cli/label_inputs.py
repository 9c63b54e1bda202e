"""The inputs of `routellm label` and `tune`: settings, prompts, people's labels, a cap."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

from routellm_core.cli.console import notes
from routellm_core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from routellm_core.labeling.human_sample import HumanSample
    from routellm_core.labeling.labelling import LabelJob
    from routellm_core.labeling.logged import LoggedPrompt
    from routellm_core.labeling.settings import LabelMode, LabelSettings
    from routellm_core.labeling.soft import SoftMode

__all__ = [
    "NEAR",
    "cap_of",
    "check_cap",
    "chosen_prompts",
    "read_log",
    "sample_of",
    "settings_of",
]

NEAR = 0.8
"""The similarity from which two prompts are near duplicates."""


def settings_of(*, mode: str, soft: str | None = None, **options: Any) -> LabelSettings:
    """Return the settings that options mean; `LabelSettings` refuses what it does not know."""
    from routellm_core.labeling.settings import LabelSettings

    return LabelSettings(
        mode=cast("LabelMode", mode), soft=cast("SoftMode | None", soft), **options
    )


def read_log(
    log: str, *, near: float | None, people: HumanSample | None, **options: Any
) -> list[LoggedPrompt]:
    """Return the prompts of a log, without near duplicates; say what was left out."""
    from routellm_core.labeling.logs import read_logged_prompts
    from routellm_core.labeling.selection import without_near_duplicates

    logged = read_logged_prompts(log, **options)
    if near is None:
        return list(logged.prompts)
    judged = frozenset() if people is None else people.prompts
    kept = without_near_duplicates(logged.prompts, threshold=near, preferred=judged)
    n_left_out = len(logged) - len(kept)
    if n_left_out:
        notes().print(f"Left out {n_left_out:,} of {len(logged):,} prompts: they are near others.")
    return kept


def chosen_prompts(
    logged: Sequence[LoggedPrompt], sample: int | None, people: HumanSample | None, *, seed: int
) -> tuple[list[int], list[float]]:
    """Return which prompts are labelled, in order, and how probable it was that each is."""
    from routellm_core.labeling.selection import choose

    judged = frozenset() if people is None else people.prompts
    always = [row for row, prompt in enumerate(logged) if prompt.prompt in judged]
    choice = choose([prompt.prompt for prompt in logged], sample, always=always, seed=seed)
    return choice.rows.tolist(), choice.shares.tolist()


def sample_of(file: str | None, settings: LabelSettings) -> HumanSample | None:
    """Return what people said of some of the prompts."""
    from routellm_core.labeling.human_sample import read_human_sample

    return None if file is None else read_human_sample(file, settings)


def cap_of(max_cost: float | None) -> float | None:
    """Return what may be spent, None for no limit."""
    return None if max_cost is None or math.isinf(max_cost) else max_cost


def check_cap(job: LabelJob, max_cost: float | None) -> None:
    """Refuse to ask anybody without a cap; warn of doubtful settings."""
    if max_cost is None and job.asked:
        raise ConfigurationError(
            "Pass `--max-cost USD`, or `--max-cost inf` for no limit; `--dry-run` says what it "
            "will take."
        )
    for warning in job.settings.warnings():
        notes().print(f"[yellow]Warning:[/] {warning}", soft_wrap=True)
