"""`routellm evaluate`: routers on benchmarks, as a table, as JSON and as a page."""

from __future__ import annotations

import shlex
import sys
from dataclasses import asdict
from pathlib import Path
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
from routellm_core.cli.console import notes, print_json, results
from routellm_core.cli.strategies import (
    StrategyOption,
    VerifierMsOption,
    VerifierOption,
    VerifierUsdOption,
    evaluate_strategies,
    pair_of,
)
from routellm_core.errors import ConfigurationError

if TYPE_CHECKING:
    from routellm_core.evaluation import LoadedBenchmark, Results
    from routellm_core.evaluation.figures import Estimate
    from routellm_core.evaluation.results import BenchmarkResults
    from routellm_core.evaluation.robustness import Robustness

__all__ = ["evaluate"]


def evaluate(
    *,
    benchmark: BenchmarkOption,
    router: Annotated[
        list[str],
        typer.Option(
            "--router",
            "-r",
            metavar="ROUTER",
            help="A router's name, a checkpoint's folder, or NAME=CHECKPOINT. May be repeated.",
        ),
    ],
    strong_model: StrongOption = None,
    weak_model: WeakOption = None,
    strong_cost_usd: Annotated[
        float | None, typer.Option(metavar="USD", min=0.0, help="What one strong call costs.")
    ] = None,
    weak_cost_usd: Annotated[
        float | None, typer.Option(metavar="USD", min=0.0, help="What one weak call costs.")
    ] = None,
    training_data: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE",
            help="Prompts that the routers were trained on: benchmark prompts that equal or "
            "nearly equal one are counted. May be repeated.",
        ),
    ] = None,
    robustness: Annotated[
        bool,
        typer.Option(
            "--robustness",
            help="Also measure how far typing errors, another case and courtesy move win rates.",
        ),
    ] = False,
    changed: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE",
            help="The same for pairs of prompts of your own, as paraphrases and translations: "
            "JSON lines with `prompt`, `changed` and `change`. May be repeated.",
        ),
    ] = None,
    strategy: StrategyOption = None,
    verifier: VerifierOption = None,
    verifier_usd: VerifierUsdOption = 0.0,
    verifier_ms: VerifierMsOption = 0.0,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FOLDER",
            help="Write results.json and report.html there, or strategies.json and "
            "strategies.html.",
        ),
    ] = None,
    rounds: RoundsOption = 1000,
    seed: SeedOption = 0,
    cache: CacheOption = None,
    no_cache: NoCacheOption = False,
    overwrite_cache: OverwriteCacheOption = None,
    json: Annotated[
        bool, typer.Option("--json", help="Write one JSON object per router and benchmark.")
    ] = False,
) -> None:
    """Measure how much of the strong model's quality routers keep, and for how many calls.

    A router's quality is that at half strong calls, calibrated on one half of the prompts and
    measured on the other; ECE is before and after calibration. What follows ± is half of a 95 %
    interval. Scores are kept, so that a run that was interrupted resumes.
    """
    from routellm_core.evaluation import evaluate as run
    from routellm_core.evaluation import write_results
    from routellm_core.evaluation.report import write_page
    from routellm_core.evaluation.robustness import read_changed_prompts

    if strategy:
        _check_for_strategies(
            strong_cost_usd, training_data, robustness=robustness or bool(changed)
        )
        evaluate_strategies(
            strategy,
            benchmark,
            router,
            models=pair_of(strong_model, weak_model),
            verifier=verifier,
            verifier_usd=verifier_usd,
            verifier_ms=verifier_ms,
            rounds=rounds,
            seed=seed,
            out=out,
            as_json=json,
        )
        return
    if verifier is not None:
        raise ConfigurationError("`--verifier` is read with `--strategy` only.")
    if (strong_cost_usd is None) != (weak_cost_usd is None):
        raise ConfigurationError("Pass both `--strong-cost-usd` and `--weak-cost-usd`.")
    pairs = [found for file in changed or () for found in read_changed_prompts(file)]
    loaded = open_benchmarks(benchmark, strong=strong_model, weak=weak_model)
    if strong_cost_usd is not None and weak_cost_usd is not None:
        loaded = [b.with_call_costs(weak=weak_cost_usd, strong=strong_cost_usd) for b in loaded]
    _tell_sameness(loaded)
    candidates = [open_candidate(spec) for spec in router]
    with progress_bar() as tell:
        found = run(
            candidates,
            loaded,
            rounds=rounds,
            seed=seed,
            cache=open_cache(cache, no_cache=no_cache, overwrite=overwrite_cache),
            training_prompts=_prompts(training_data),
            change_prompts=robustness,
            changed=pairs,
            on_progress=tell,
            command=shlex.join(["routellm", *sys.argv[1:]]),
        )
    if json:
        _write_json(found)
    else:
        _write_tables(found, loaded)
    if out is not None:
        write_results(found, Path(out) / "results.json")
        page = write_page(found, Path(out) / "report.html")
        notes().print(f"Wrote {page} and results.json beside it.", soft_wrap=True)


def _check_for_strategies(
    cost_usd: float | None, training_data: list[str] | None, *, robustness: bool
) -> None:
    if cost_usd is not None:
        raise ConfigurationError(
            "`--strategy` reads costs from the column `cost`, not `--strong-cost-usd` and "
            "`--weak-cost-usd`."
        )
    if training_data:
        raise ConfigurationError("`--training-data` is not read with `--strategy`.")
    if robustness:
        raise ConfigurationError(
            "`--robustness` and `--changed` are not read with `--strategy`: run twice."
        )


def _tell_sameness(loaded: list[LoadedBenchmark]) -> None:
    from routellm_core.data.outcomes import sameness

    for benchmark in loaded:
        same = sameness(benchmark.strong - benchmark.weak, benchmark.pair)
        if same is not None:
            said = f"{benchmark.name}: {same} No router can be told from another on it."
            notes().print(said, style="yellow", markup=False, soft_wrap=True)


def _prompts(files: list[str] | None) -> list[str] | None:
    from routellm_core.evaluation.logged_calls import read_logged_calls

    if not files:
        return None
    return [prompt for file in files for prompt in read_logged_calls(file).prompts]


def _write_json(found: Results) -> None:
    for benchmark in found.benchmarks:
        for router in benchmark.routers:
            overlap = benchmark.overlap
            print_json(
                {
                    "benchmark": benchmark.name,
                    "router": router.label,
                    "n": benchmark.n,
                    "prompts_per_second": router.prompts_per_second,
                    "baselines": [asdict(row) for row in benchmark.baselines],
                    "overlap": None if overlap is None else asdict(overlap),
                    **asdict(router.measurement),
                    "robustness": [_shown(row) for row in router.robustness],
                }
            )


def _write_tables(found: Results, loaded: list[LoadedBenchmark]) -> None:
    from rich.text import Text

    for benchmark, source in zip(found.benchmarks, loaded, strict=True):
        console = results()
        removed = f", {benchmark.n_removed} contaminated left out" if benchmark.n_removed else ""
        console.print(Text(f"\n{benchmark.name}: {benchmark.n:,} prompts{removed}", style="bold"))
        console.print(Text(f"strong {source.pair.strong}, weak {source.pair.weak}", style="dim"))
        console.print(_table(benchmark))
        if any(router.robustness for router in benchmark.routers):
            console.print(_robustness_table(benchmark))
        overlap = benchmark.overlap
        if overlap is not None:
            console.print(
                f"Training data: {overlap.n_exact} prompts equal one of {overlap.n_train:,}, "
                f"{overlap.n_near} more are near one."
            )


def _table(benchmark: BenchmarkResults) -> object:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("")
    for name in ("APGR", "CPT(50%)", "CPT(80%)", "quality", "AUROC", "ECE"):
        table.add_column(name, justify="right")
    high = benchmark.quality_range[1]
    for row in benchmark.baselines:
        cells = [_share(row.apgr), _share(row.cpt_50), "", f"{row.quality / high:.1%}", "", ""]
        table.add_row(Text(row.name), *cells, style="dim")
    for router in benchmark.routers:
        m = router.measurement
        table.add_row(
            Text(router.label),
            _interval(m.apgr),
            _interval(m.cpt[1]),
            _share(m.cpt[2].value),
            _share(_quality_at_half(m.shares[2].quality, high)),
            "-" if m.auroc is None else f"{m.auroc:.3f}",
            f"{m.raw.ece:.3f}→{m.calibrated.ece:.3f}",
        )
    return table


def _shown(row: Robustness) -> dict[str, object]:
    """Return the figures, without the win rates that they come from."""
    return {"change": row.change, "n": row.n, "rank_change": row.rank_change, "flips": row.flips}


def _robustness_table(benchmark: BenchmarkResults) -> object:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    for name in ("changed", "", "prompts", "rank change", "flips at 30%"):
        table.add_column(name, justify="left" if name in ("changed", "") else "right")
    for router in benchmark.routers:
        for row in router.robustness:
            cells = (f"{row.n:,}", _share(row.rank_change), _share(row.flips))
            table.add_row(Text(row.change), Text(router.label), *cells)
    return table


def _quality_at_half(quality: Estimate, high: float) -> float | None:
    return None if quality.value is None else quality.value / high


def _interval(estimate: Estimate) -> str:
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return _share(estimate.value)
    return f"{estimate.value:.1%}±{(estimate.high - estimate.low) / 2:.1%}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"
