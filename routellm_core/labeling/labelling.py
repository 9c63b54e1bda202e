"""From logged prompts to labels: within the cap, and each paid call on disk before the next."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from routellm_core._litellm import close_loop_clients
from routellm_core.errors import ConfigurationError, DataError
from routellm_core.labeling.asking import LiteLLMAsker
from routellm_core.labeling.estimate import estimate
from routellm_core.labeling.human_sample import judge_agreement
from routellm_core.labeling.interrupts import run_interruptible
from routellm_core.labeling.journal import Journal
from routellm_core.labeling.label_rows import label_rows, write_rows
from routellm_core.labeling.plans import labelling_plan
from routellm_core.labeling.references import is_right
from routellm_core.labeling.reports import (
    LabelReport,
    label_figures,
    position_bias,
    problems_of,
)
from routellm_core.labeling.running import Runner
from routellm_core.labeling.settings import ANSWERED_MODES, JUDGED_MODES
from routellm_core.labeling.spending import Spending, find_prices

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from routellm_core.labeling.asking import Asker
    from routellm_core.labeling.estimate import Estimate
    from routellm_core.labeling.human_sample import HumanSample, JudgeAgreement
    from routellm_core.labeling.label_rows import LabelRow
    from routellm_core.labeling.logged import LoggedPrompt
    from routellm_core.labeling.plans import Labelled
    from routellm_core.labeling.running import Progress
    from routellm_core.labeling.settings import LabelSettings
    from routellm_core.monitoring import Price

__all__ = ["LabelJob", "alabel", "estimate_job", "journal_path", "label"]

_PILOT = 20
"""Labels after which a judge that cannot be read stops the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelJob:
    """Prompts to label, and the means for it.

    Parameters
    ----------
    prompts
        What is labelled, in the order in which calls are made; rows are written in the order of
        `places`.
    settings
        What is asked of whom.
    out
        The file of labels; paid answers are kept beside it, see `journal_path`.
    max_cost_usd
        What all runs together may spend, in US dollars; None for no limit.
    prices
        By model: prices that go before those of LiteLLM's table.
    places
        Where each prompt's rows stand in the file; by default in the order of the prompts.
    shares
        How probable it was that each prompt was chosen, in (0, 1]; by default 1.
    sample
        What people said of some prompts. These are labelled first.
    concurrency
        The most calls in flight at a time.
    force
        Whether to go on with a judge that is no better than chance, or cannot be read, and to
        replace a file that no run of labelling wrote.
    """

    prompts: Sequence[LoggedPrompt]
    settings: LabelSettings
    out: str | Path
    max_cost_usd: float | None = None
    prices: Mapping[str, Price] | None = None
    places: Sequence[int] | None = None
    shares: Sequence[float] | None = None
    sample: HumanSample | None = None
    concurrency: int = 8
    force: bool = False

    @property
    def asked(self) -> tuple[str, ...]:
        """The models that are asked: the log may hold all answers of one, and then it is not."""
        settings = self.settings
        found = [model for model in settings.models if _is_asked(model, self.prompts, settings)]
        judge = settings.judge if settings.mode in JUDGED_MODES else None
        return tuple(dict.fromkeys((*found, *filter(None, [judge]))))


def journal_path(out: str | Path) -> Path:
    """Return where the paid answers of a run are kept: beside its labels, for its next run."""
    path = Path(out)
    return path.with_name(f"{path.name}.journal")


def estimate_job(job: LabelJob, *, answer_tokens: int = 300) -> Estimate:
    """Return what a job will take, less what earlier runs have paid; nobody is asked."""
    prompts = [prompt.named(job.settings.models) for prompt in job.prompts]
    path, prices = journal_path(job.out), find_prices(job.asked, job.prices)
    if not path.exists():
        return estimate(prompts, job.settings, prices, answer_tokens=answer_tokens)
    with Journal(path) as journal:
        return estimate(prompts, job.settings, prices, answer_tokens=answer_tokens, journal=journal)


def label(
    job: LabelJob,
    *,
    asker: Asker | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> LabelReport:
    """Label prompts and write the labels; see `alabel`.

    It runs an event loop of its own; where one runs already, as in a notebook, await `alabel`.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        raise ConfigurationError("An event loop is running here: use `await alabel(job)`.")

    async def run() -> LabelReport:
        try:
            return await alabel(job, asker=asker, on_progress=on_progress)
        finally:
            await close_loop_clients()

    return run_interruptible(run())


async def alabel(
    job: LabelJob,
    *,
    asker: Asker | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> LabelReport:
    """Label prompts and write the labels.

    Whatever interrupts it, the same job goes on from the last paid answer. A run that reaches the
    cap writes the labels that it has.

    Parameters
    ----------
    job
        What to do.
    asker
        Sends calls; by default through LiteLLM.
    on_progress
        Called after each prompt.

    Raises
    ------
    ConfigurationError
        If the file exists and no run of labelling wrote it, or a cap meets an unknown price, or
        another run is at work on the same file.
    DataError
        If the judge is no better than chance, or cannot be read.
    AskError
        If a model refuses every call, as for a wrong key.
    """
    _check_out(job)
    asker = asker or LiteLLMAsker()
    if isinstance(asker, LiteLLMAsker):
        asker.check(job.asked)
    with Journal(journal_path(job.out)) as journal:
        prices = find_prices(job.asked, job.prices)
        spending = Spending(prices, max_cost_usd=job.max_cost_usd, spent_usd=journal.spent_usd)
        runner = Runner(asker, journal, spending, concurrency=job.concurrency)
        run = _Run(job, runner, on_progress)
        await run.label(run.pilot)
        if not job.force:
            run.check_judge()
        await run.label(range(len(job.prompts)))
    report, rows = _reported(job, run.labelled)
    places = range(len(job.prompts)) if job.places is None else job.places
    order = sorted(rows, key=lambda index: places[index])
    write_rows(job.out, [row for index in order for row in rows[index]])
    return replace(
        report,
        n_calls=runner.n_calls,
        n_failed_calls=runner.n_failed,
        spent_usd=spending.spent_usd,
        unknown_prices=tuple(prices.unknown),
        capped=run.capped,
    )


class _Run:
    """A job's prompts, labelled part by part."""

    def __init__(
        self, job: LabelJob, runner: Runner, on_progress: Callable[[Progress], None] | None
    ) -> None:
        self._job = job
        self._prompts = [prompt.named(job.settings.models) for prompt in job.prompts]
        self._runner = runner
        self._on_progress = on_progress
        self.labelled: dict[int, Labelled] = {}
        self.capped = ""

    @property
    def pilot(self) -> list[int]:
        """The prompts that show what the judge is worth: those that people judged, and a few."""
        known = self._job.sample.prompts if self._job.sample is not None else frozenset()
        judged = [i for i, prompt in enumerate(self._prompts) if prompt.prompt in known]
        return sorted({*judged, *range(min(_PILOT, len(self._prompts)))})

    async def label(self, indices: Sequence[int]) -> None:
        """Label what is not labelled yet, until the cap stops it."""
        todo = [index for index in indices if index not in self.labelled]
        if self.capped or not todo:
            return
        n_before, n_all = len(self.labelled), len(self._prompts)

        def tell(progress: Progress) -> None:
            if self._on_progress is not None:
                n_done = n_before + progress.n_done
                self._on_progress(replace(progress, n_done=n_done, n_prompts=n_all))

        plans = [labelling_plan(self._prompts[index], self._job.settings) for index in todo]
        found = await self._runner.run(plans, on_progress=tell)
        self.capped = found.capped
        for index, one in zip(todo, found.results, strict=True):
            if one is not None:
                self.labelled[index] = one

    def check_judge(self) -> None:
        """Refuse a judge that nobody can read, or that labels at random."""
        problems = problems_of(self.labelled.values())
        n_unread = problems.get("no verdict", 0)
        if n_unread >= _PILOT // 2 and n_unread == len(self.labelled):
            raise DataError(
                f"None of the first {n_unread} verdicts of {self._job.settings.judge!r} could be "
                "read. A judge that reasons needs more `--judge-tokens` (`judge_tokens`); else "
                "take another judge, or go on with `--force`. What was paid for is kept."
            )
        if self._job.sample is None:
            return
        report, _ = _reported(self._job, self.labelled)
        found = report.agreement
        if found is not None and found.is_telling and found.is_chance:
            raise DataError(
                f"The judge {self._job.settings.judge!r} agrees with people on "
                f"{found.agreement.value:.0%} of {found.n} labels, which is no better than chance: "
                f"kappa {found.kappa.value:.2f}, from {found.kappa.low:.2f} to "
                f"{found.kappa.high:.2f}. Take another judge, or go on with `--force`."
            )


def _reported(
    job: LabelJob, labelled: Mapping[int, Labelled]
) -> tuple[LabelReport, dict[int, list[LabelRow]]]:
    """Return the figures of labels, and their rows, by index."""
    settings = job.settings
    order = sorted(labelled)
    known = _with_qualities([labelled[index] for index in order], settings)
    rows = dict(zip(order, label_rows(known, settings), strict=True))
    shares = job.shares
    weights = [1.0 if shares is None else 1.0 / shares[index] for index in order]
    n_verdicts, n_inconsistent, bias = position_bias(known)
    agreement: JudgeAgreement | None = None
    if job.sample is not None:
        every = [row for some in rows.values() for row in some]
        agreement = judge_agreement(every, job.sample, settings)
    figures = label_figures(list(rows.values()), weights)
    report = LabelReport(
        n_prompts=len(job.prompts),
        n_labelled=sum(bool(some) for some in rows.values()),
        n_rows=sum(map(len, rows.values())),
        problems=problems_of(known),
        pairs=figures.pairs,
        qualities=figures.qualities,
        n_with_all=figures.n_with_all,
        n_verdicts=n_verdicts,
        n_inconsistent=n_inconsistent,
        position_bias=bias,
        agreement=agreement,
    )
    return report, rows


def _with_qualities(labelled: Sequence[Labelled], settings: LabelSettings) -> list[Labelled]:
    """Return labels with the qualities that known answers decide."""
    if settings.mode != "reference":
        return list(labelled)
    pairs = [
        (reply.text, str(one.prompt.reference))
        for one in labelled
        for replies in one.answers.values()
        for reply in replies
    ]

    def compare(pair: tuple[str, str]) -> float:
        return float(is_right(*pair, comparison=settings.comparison))

    # Threads, because the comparison of code waits for processes.
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        found = iter(list(pool.map(compare, pairs)))
    return [
        replace(
            one,
            qualities={
                model: [next(found) for _ in replies] for model, replies in one.answers.items()
            },
        )
        for one in labelled
    ]


def _is_asked(model: str, prompts: Sequence[LoggedPrompt], settings: LabelSettings) -> bool:
    if settings.mode not in ANSWERED_MODES:
        return False
    if settings.n_answers > 1:
        return bool(prompts)
    return any(not prompt.named([model]).answers.get(model, "").strip() for prompt in prompts)


def _check_out(job: LabelJob) -> None:
    out = Path(job.out)
    if out.is_dir():
        raise ConfigurationError(f"`out` must name a file, got the folder {str(out)!r}.")
    if out.exists() and not job.force and not journal_path(out).exists():
        raise ConfigurationError(
            f"{str(out)!r} exists, and no run of labelling wrote it. Name another file, or replace "
            "it with `--force` (`force=True`)."
        )
