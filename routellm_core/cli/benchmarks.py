"""The options of commands that look at routers on benchmarks, and what they mean."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from routellm_core.cli.console import notes
from routellm_core.cli.routellm_options import answer_to
from routellm_core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from routellm_core.evaluation import Candidate, LoadedBenchmark, ScoreCache
    from routellm_core.evaluation.run import Progress

__all__ = [
    "BenchmarkOption",
    "CacheOption",
    "NoCacheOption",
    "OverwriteCacheOption",
    "RoundsOption",
    "SeedOption",
    "StrongOption",
    "WeakOption",
    "open_benchmarks",
    "open_cache",
    "open_candidate",
    "progress_bar",
]

_ROUTELLM_NAMES = ("mmlu", "mt-bench", "gsm8k")

BenchmarkOption: TypeAlias = Annotated[
    list[str],
    typer.Option(
        "--benchmark",
        "-b",
        metavar="NAME=PATH",
        help="A benchmark and where it is kept: mmlu, gsm8k and mt_bench as RouteLLM published "
        "them, routerbench, outcomes, which is any table of prompt, model and quality, answers, "
        "which has answer and reference in place of quality, or routes, which is prompts with a "
        "`label` from `routellm analyze`. May be repeated.",
    ),
]
StrongOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--strong-model", metavar="NAME", help="The strong model whose answers were judged."
    ),
]
WeakOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--weak-model", metavar="NAME", help="The weak model whose answers were judged."),
]
RoundsOption: TypeAlias = Annotated[
    int, typer.Option(metavar="N", min=1, help="Bootstrap rounds behind every interval.")
]
SeedOption: TypeAlias = Annotated[
    int, typer.Option(metavar="N", min=0, help="Seed of the bootstrap and of the halves.")
]
CacheOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--cache", metavar="FOLDER", help="Where scores are kept, instead of the user's cache."
    ),
]
NoCacheOption: TypeAlias = Annotated[
    bool, typer.Option("--no-cache", help="Keep no scores, and read none.")
]
OverwriteCacheOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--overwrite-cache",
        metavar="NAME",
        help="Score with this router again, whatever is kept. May be repeated.",
    ),
]


def open_candidate(spec: str) -> Candidate:
    """Return the router that a name, a checkpoint folder, or NAME=CHECKPOINT means.

    Its label is the name, the folder's name, or both with a colon: reports show no paths.

    Raises
    ------
    RouteLLMError
        If there is no such router or checkpoint.
    """
    from routellm_core.cli.settings import open_router
    from routellm_core.evaluation import Candidate
    from routellm_core.routers import read_router_name

    read = read_router_name(spec)
    label = read.key
    if read.router is not None and read.checkpoint is not None:
        label += f":{read.checkpoint.rstrip('/').rpartition('/')[2]}"
    return Candidate(label, open_router(spec))


def open_benchmarks(
    specs: list[str], *, strong: str | None, weak: str | None
) -> list[LoadedBenchmark]:
    """Return the benchmarks that NAME=PATH options mean.

    Raises
    ------
    RouteLLMError
        If one cannot be read, or only one model of a pair is named.
    """
    from routellm_core.evaluation import load_benchmark
    from routellm_core.types import ModelPair

    if (strong is None) != (weak is None):
        raise ConfigurationError("Name both `--strong-model` and `--weak-model`, or neither.")
    pair = None if strong is None or weak is None else ModelPair(strong=strong, weak=weak)
    found = []
    for spec in specs:
        name, equals, path = spec.partition("=")
        if not equals or not path:
            hint = f" {answer_to('evaluate', '--benchmark')}" if spec in _ROUTELLM_NAMES else ""
            raise ConfigurationError(f"`--benchmark` must be NAME=PATH, got {spec!r}.{hint}")
        found.append(load_benchmark(name, path, pair=pair))
    return found


def open_cache(
    folder: str | None, *, no_cache: bool, overwrite: list[str] | None
) -> ScoreCache | None:
    """Return the cache that the options mean, or None."""
    from routellm_core.evaluation import ScoreCache, default_cache_folder

    if no_cache:
        return None
    return ScoreCache(folder or default_cache_folder(), overwrite=overwrite or ())


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Draw one bar per router and benchmark on stderr, when a person sees it."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeElapsedColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=notes(), disable=not notes().is_terminal) as bars:
        tasks: dict[tuple[str, str], TaskID] = {}

        def tell(*, router: str, benchmark: str, done: int, total: int) -> None:
            key = router, benchmark
            if key not in tasks:
                tasks[key] = bars.add_task(f"{router} on {benchmark}", total=total)
            bars.update(tasks[key], completed=done)

        yield tell
