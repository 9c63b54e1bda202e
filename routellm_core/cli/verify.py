"""`routellm verify`: compute the figures of a results file again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from routellm_core.cli.console import notes, print_json, results

if TYPE_CHECKING:
    from routellm_core.evaluation import LoadedBenchmark, Results

__all__ = ["verify"]

_SHOWN = 20


def verify(
    file: Annotated[
        str, typer.Argument(metavar="RESULTS", help="A results.json of `routellm evaluate`.")
    ],
    *,
    benchmark: Annotated[
        list[str] | None,
        typer.Option(
            "--benchmark",
            "-b",
            metavar="NAME=PATH",
            help="Check as well that the results come from this benchmark. May be repeated.",
        ),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Write the outcome as one JSON object.")
    ] = False,
) -> None:
    """Compute every figure of a results file again, from the scores and outcomes in it.

    Exit code 1 when one comes out otherwise. Throughput is not looked at.
    """
    from routellm_core.evaluation import read_results
    from routellm_core.evaluation import verify as recompute

    stored = read_results(file)
    foreign = _foreign(stored, benchmark or [])
    found = recompute(stored)
    if json:
        print_json(
            {
                "figures": found.n_figures,
                "mismatches": [
                    {"where": m.where, "stored": m.stored, "computed": m.computed}
                    for m in found.mismatches
                ],
                "foreign_benchmarks": foreign,
            }
        )
    else:
        for mismatch in found.mismatches[:_SHOWN]:
            results().print(
                f"{mismatch.where}: stored {mismatch.stored}, computed {mismatch.computed}",
                markup=False,
                soft_wrap=True,
            )
        if len(found.mismatches) > _SHOWN:
            results().print(f"and {len(found.mismatches) - _SHOWN:,} more")
        for name in foreign:
            results().print(f"{name}: the results come from other data", markup=False)
        wrong = len(found.mismatches)
        results().print(f"{found.n_figures:,} figures computed again, {wrong:,} differ.")
    if stored.environment.routellm_plugins != _version():
        notes().print(
            f"The results were computed by version {stored.environment.routellm_plugins}, "
            f"this is {_version()}."
        )
    if found.mismatches or foreign:
        raise typer.Exit(1)


def _foreign(stored: Results, specs: list[str]) -> list[str]:
    """Return the names of benchmarks whose data are not those of the results."""
    if not specs:
        return []
    pairs = {(b.strong_model, b.weak_model) for b in stored.benchmarks}
    known = {b.checksum for b in stored.benchmarks}
    wrong = []
    for spec in specs:
        loaded: list[LoadedBenchmark] = []
        for strong, weak in sorted(pairs):
            loaded += _opened(spec, strong, weak)
        if not any(source.checksum() in known for source in loaded):
            wrong.append(spec)
    return wrong


def _opened(spec: str, strong: str, weak: str) -> list[LoadedBenchmark]:
    from routellm_core.cli.benchmarks import open_benchmarks
    from routellm_core.errors import UnknownModelError

    try:
        return open_benchmarks([spec], strong=strong, weak=weak)
    except UnknownModelError:
        return []


def _version() -> str:
    from importlib.metadata import version

    return version("routellm-plugins")
