"""`routellm compare`: two routers on the same prompts."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from routellm_core.cli.benchmarks import (
    BenchmarkOption,
    CacheOption,
    NoCacheOption,
    OverwriteCacheOption,
    RoundsOption,
    SeedOption,
    StrongOption,
    WeakOption,
    open_benchmarks,
    open_cache,
    open_candidate,
    progress_bar,
)
from routellm_core.cli.console import print_json, results

if TYPE_CHECKING:
    from routellm_core.evaluation import Comparison

__all__ = ["compare"]


def compare(
    first: Annotated[
        str,
        typer.Argument(
            metavar="FIRST", help="A router's name, a checkpoint's folder, or NAME=CHECKPOINT."
        ),
    ],
    second: Annotated[str, typer.Argument(metavar="SECOND", help="The router to compare with.")],
    *,
    benchmark: BenchmarkOption,
    strong_model: StrongOption = None,
    weak_model: WeakOption = None,
    rounds: RoundsOption = 1000,
    seed: SeedOption = 0,
    cache: CacheOption = None,
    no_cache: NoCacheOption = False,
    overwrite_cache: OverwriteCacheOption = None,
    json: Annotated[
        bool, typer.Option("--json", help="Write one JSON object per benchmark instead of a table.")
    ] = False,
) -> None:
    """Say whether one router is better than another, with paired intervals.

    Both see the same prompts and the same bootstrap draws. A difference counts when its 95 %
    interval leaves out 0.
    """
    from routellm_core.evaluation import compare as compare_scores
    from routellm_core.evaluation.score_cache import router_checksum, score

    loaded = open_benchmarks(benchmark, strong=strong_model, weak=weak_model)
    candidates = [open_candidate(spec) for spec in (first, second)]
    kept = open_cache(cache, no_cache=no_cache, overwrite=overwrite_cache)
    checksums = [router_checksum(candidate.router) for candidate in candidates]
    for source in loaded:
        scores = []
        with progress_bar() as tell:
            for candidate, checksum in zip(candidates, checksums, strict=True):

                def told(
                    done: int,
                    label: str = candidate.label,
                    name: str = source.name,
                    total: int = len(source),
                ) -> None:
                    tell(router=label, benchmark=name, done=done, total=total)

                scored = score(
                    candidate.router,
                    source.prompts,
                    checksum=checksum,
                    cache=kept,
                    on_progress=told,
                )
                scores.append(scored.win_rates)
        found = compare_scores(scores[0], scores[1], source, rounds=rounds, seed=seed)
        if json:
            verdicts = {d.figure: d.verdict for d in found.differences}
            print_json({"first": first, "second": second, **asdict(found), "verdicts": verdicts})
        else:
            _show(found, first, second)


def _show(found: Comparison, first: str, second: str) -> None:
    from rich.table import Table
    from rich.text import Text

    console = results()
    console.print(Text(f"\n{found.benchmark}: {found.n:,} prompts", style="bold"))
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("")
    for name in (first, second, "difference, 95 %", "better"):
        table.add_column(Text(name), justify="right", overflow="fold")
    names = {"first": first, "second": second, "neither": "-"}
    for row in found.differences:
        table.add_row(
            row.figure,
            f"{row.first:.4f}",
            f"{row.second:.4f}",
            f"{row.difference:+.4f} ({row.low:+.4f} to {row.high:+.4f})",
            Text(names[row.verdict], style="" if row.verdict == "neither" else "bold"),
        )
    console.print(table)
    console.print(f"At half strong calls each, both send {found.agreement:.0%} of prompts alike.")
