"""Routers on benchmarks: score, measure, and keep what the figures came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from routellm_core.errors import ConfigurationError
from routellm_core.evaluation.contamination import overlap
from routellm_core.evaluation.measure import baselines, measure
from routellm_core.evaluation.results import (
    FORMAT_VERSION,
    BenchmarkResults,
    Environment,
    Results,
    RouterResults,
)
from routellm_core.evaluation.robustness import changed_prompts, robustness
from routellm_core.evaluation.score_cache import router_checksum, score

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from routellm_core.evaluation.benchmarks.base import LoadedBenchmark
    from routellm_core.evaluation.robustness import ChangedPrompts, Robustness
    from routellm_core.evaluation.score_cache import ScoreCache
    from routellm_core.routers.base import Router
    from routellm_core.types import WinRates

__all__ = ["Candidate", "Progress", "evaluate"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A router to evaluate, and what the report calls it."""

    label: str
    router: Router


class Progress(Protocol):
    """Told how far an evaluation is."""

    def __call__(self, *, router: str, benchmark: str, done: int, total: int) -> None:
        """Take the number of prompts that one router has scored of one benchmark."""


def evaluate(
    candidates: Sequence[Candidate],
    benchmarks: Sequence[LoadedBenchmark],
    *,
    rounds: int = 1000,
    seed: int = 0,
    cache: ScoreCache | None = None,
    training_prompts: Sequence[str] | None = None,
    change_prompts: bool = False,
    changed: Sequence[ChangedPrompts] = (),
    on_progress: Progress | None = None,
    command: str = "",
) -> Results:
    """Score every benchmark with every router, and compute all figures.

    Parameters
    ----------
    candidates
        Routers with different labels.
    benchmarks
        Loaded benchmarks.
    rounds, seed
        Of the bootstrap; the same draws for every router, so that rows can be compared.
    cache
        Keeps scores between runs; an interrupted run resumes where it stopped.
    training_prompts
        What the routers were trained on. Exact and near duplicates of benchmark prompts are
        counted, and reported.
    change_prompts
        Whether the benchmarks' prompts are also scored with typing errors, in another case and with
        courtesy; see `changed_prompts`.
    changed
        Further pairs of prompts that ask for the same, as paraphrases and translations.
    on_progress
        Told about every batch.
    command
        How the evaluation was started, for the record.

    Raises
    ------
    ConfigurationError
        If there is nothing to evaluate, or two routers have one label.
    """
    labels = [candidate.label for candidate in candidates]
    if not labels or not benchmarks or len(set(labels)) < len(labels):
        raise ConfigurationError(
            "An evaluation needs a benchmark, and routers with different labels, got "
            f"{len(benchmarks)} benchmarks and the labels {labels}."
        )
    checksums = [router_checksum(candidate.router) for candidate in candidates]
    found = []
    for benchmark in benchmarks:
        made = changed_prompts(benchmark.prompts, seed=seed) if change_prompts else ()
        rows = []
        for candidate, checksum in zip(candidates, checksums, strict=True):
            scored = score(
                candidate.router,
                benchmark.prompts,
                checksum=checksum,
                cache=cache,
                on_progress=_told(on_progress, candidate.label, benchmark),
            )
            n_scored = len(benchmark) - scored.n_cached
            calibration = candidate.router.calibration
            scale = None if calibration is None else calibration.scale
            rows.append(
                RouterResults(
                    label=candidate.label,
                    router=candidate.router.name,
                    checksum=checksum,
                    scores=tuple(scored.win_rates.tolist()),
                    prompts_per_second=n_scored / scored.seconds if n_scored else None,
                    measurement=measure(
                        scored.win_rates, benchmark, scale=scale, rounds=rounds, seed=seed
                    ),
                    scale=None if scale is None else tuple(map(tuple, scale.tolist())),
                    robustness=tuple(
                        _robustness(candidate.router, pairs, scored.win_rates, checksum, cache)
                        for pairs in (*made, *changed)
                    ),
                )
            )
        found.append(_collected(benchmark, rows, training_prompts))
    return Results(FORMAT_VERSION, rounds, seed, Environment.here(command), tuple(found))


def _robustness(
    router: Router,
    pairs: ChangedPrompts,
    win_rates: WinRates,
    checksum: str | None,
    cache: ScoreCache | None,
) -> Robustness:
    before, after = (
        score(router, prompts, checksum=checksum, cache=cache).win_rates
        for prompts in (pairs.before, pairs.after)
    )
    return robustness(pairs.change, before, after, benchmark=win_rates)


def _collected(
    benchmark: LoadedBenchmark, rows: list[RouterResults], training_prompts: Sequence[str] | None
) -> BenchmarkResults:
    names = sorted(set(benchmark.domains))
    place = {name: index for index, name in enumerate(names)}
    weak_cost, strong_cost = benchmark.weak_cost, benchmark.strong_cost
    return BenchmarkResults(
        name=benchmark.name,
        checksum=benchmark.checksum(),
        strong_model=benchmark.pair.strong,
        weak_model=benchmark.pair.weak,
        n=len(benchmark),
        n_removed=benchmark.n_removed,
        quality_range=benchmark.quality_range,
        weak=tuple(benchmark.weak.tolist()),
        strong=tuple(benchmark.strong.tolist()),
        weak_cost=None if weak_cost is None else tuple(weak_cost.tolist()),
        strong_cost=None if strong_cost is None else tuple(strong_cost.tolist()),
        domain_names=tuple(names),
        domains=tuple(place[domain] for domain in benchmark.domains),
        prompt_lengths=tuple(benchmark.prompt_lengths().tolist()),
        faults=dict(benchmark.faults),
        baselines=baselines(benchmark),
        routers=tuple(rows),
        overlap=None if training_prompts is None else overlap(training_prompts, benchmark.prompts),
    )


def _told(
    on_progress: Progress | None, label: str, benchmark: LoadedBenchmark
) -> Callable[[int], None] | None:
    if on_progress is None:
        return None

    def tell(done: int) -> None:
        on_progress(router=label, benchmark=benchmark.name, done=done, total=len(benchmark))

    return tell
