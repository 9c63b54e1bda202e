"""The options of commands that measure or set strategies, and `evaluate --strategy`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import numpy as np
import typer

from routellm_core.cli.console import notes, print_json, results
from routellm_core.errors import ConfigurationError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from routellm_core.data.scored_outcomes import ScoredOutcomes
    from routellm_core.evaluation.contenders import Contender, Signals
    from routellm_core.evaluation.expert_answers import ExpertAnswers
    from routellm_core.evaluation.figures import Estimate
    from routellm_core.evaluation.strategy_measure import MeasuredStrategy, StrategyResults
    from routellm_core.routers import Router

__all__ = [
    "STRATEGIES",
    "StrategyOption",
    "VerifierMsOption",
    "VerifierOption",
    "VerifierUsdOption",
    "answers_for",
    "check_strategy",
    "evaluate_strategies",
    "pair_of",
    "signals_of",
]

STRATEGIES = ("predict", "experts", "cascade", "hybrid", "best_of")

StrategyOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--strategy",
        metavar="NAME",
        help="Compare strategies on one axis of dollars, and of time where latencies are known: "
        "predict, experts, cascade, hybrid, best-of, or all. May be repeated. Needs "
        "`-b outcomes=FILE` with costs.",
    ),
]
VerifierOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--verifier",
        metavar="NAME",
        help="Where scores come from: the column `score` by default, logprob for the column "
        "`logprob`, or a verifier that reads the column `answer`, as a learned one's folder.",
    ),
]
VerifierUsdOption: TypeAlias = Annotated[
    float,
    typer.Option(
        "--verifier-usd",
        metavar="USD",
        min=0.0,
        help="What scoring an answer costs, where the rows have no `verifier_usd`.",
    ),
]
VerifierMsOption: TypeAlias = Annotated[
    float,
    typer.Option(
        "--verifier-ms",
        metavar="MS",
        min=0.0,
        help="How long scoring an answer takes, where the rows have no `verifier_ms`.",
    ),
]


def check_strategy(name: str, known: Sequence[str]) -> str:
    """Return a strategy's name, spelt with "-" or "_".

    Raises
    ------
    ConfigurationError
        If nobody knows it.
    """
    spelt = name.strip().replace("-", "_")
    if spelt not in known:
        raise ConfigurationError(
            f"Unknown strategy {name!r}.{did_you_mean(spelt, list(known))} "
            f"Strategies: {', '.join(known)}."
        )
    return spelt


def answers_for(
    path: str,
    *,
    models: Sequence[str] | None,
    verifier: str | None,
    verifier_usd: float,
    verifier_ms: float,
) -> tuple[ExpertAnswers, ScoredOutcomes]:
    """Read a table of outcomes for strategies; see `ExpertAnswers.of`.

    Raises
    ------
    RouteLLMError
        If it cannot be read, or lacks what is needed.
    """
    from routellm_core.answers import load_verifier
    from routellm_core.data.scored_outcomes import read_scored_outcomes
    from routellm_core.evaluation.expert_answers import ExpertAnswers, scores_of
    from routellm_core.monitoring import Pricing

    table = read_scored_outcomes(path)
    scores = None
    if verifier is not None:
        named = verifier in ("score", "logprob")
        scores = scores_of(table, verifier if named else load_verifier(verifier))
    return ExpertAnswers.of(
        table,
        pricing=Pricing(),
        models=models,
        scores=scores,
        verifier_usd=verifier_usd,
        verifier_ms=verifier_ms,
    )


def pair_of(strong: str | None, weak: str | None) -> list[str] | None:
    """Return the names of a pair; None where none is named.

    Raises
    ------
    ConfigurationError
        If only one is named.
    """
    if (strong is None) != (weak is None):
        raise ConfigurationError("Name both `--strong-model` and `--weak-model`, or neither.")
    return None if strong is None or weak is None else [weak, strong]


def signals_of(router: Router, part: ScoredOutcomes, *, rate: bool) -> Signals:
    """Return a router's win rates of the prompts and, if asked to, its rating of every model."""
    from routellm_core.evaluation.contenders import Signals

    prompts = list(part.outcomes.prompts)
    estimates = router.qualities(prompts, part.outcomes.models) if rate else None
    return Signals(router.win_rates(prompts), estimates)


def evaluate_strategies(
    names: Sequence[str],
    benchmarks: Sequence[str],
    routers: Sequence[str],
    *,
    models: Sequence[str] | None,
    verifier: str | None,
    verifier_usd: float,
    verifier_ms: float,
    rounds: int,
    seed: int,
    out: str | None,
    as_json: bool,
) -> None:
    """Measure strategies on tables of outcomes, and write what was found.

    Raises
    ------
    RouteLLMError
        If a strategy, a table or a router cannot be used.
    """
    from routellm_core.cli.benchmarks import open_candidate
    from routellm_core.evaluation.report.strategies import write_strategy_page

    wanted = _wanted(names)
    paths = [_path(spec) for spec in benchmarks]
    candidates = [open_candidate(spec) for spec in routers]
    found: list[tuple[str, str, StrategyResults]] = []
    for path in paths:
        answers, part = answers_for(
            path,
            models=models,
            verifier=verifier,
            verifier_usd=verifier_usd,
            verifier_ms=verifier_ms,
        )
        for candidate in candidates:
            usable = _usable(wanted, candidate.router, answers) if "all" in names else wanted
            measured = _measure(candidate.router, answers, part, usable, rounds=rounds, seed=seed)
            found.append((Path(path).name, candidate.label, measured))
    for name, label, measured in found:
        if as_json:
            print_json({"benchmark": name, "router": label, **asdict(measured)})
        else:
            _show(name, label, measured)
    if out is not None:
        page = write_strategy_page(found, Path(out) / "strategies.html")
        rows = [{"benchmark": b, "router": r, **asdict(m)} for b, r, m in found]
        (Path(out) / "strategies.json").write_text(
            json.dumps({"rounds": rounds, "seed": seed, "tables": rows}, indent=1) + "\n",
            encoding="utf-8",
        )
        notes().print(f"Wrote {page} and strategies.json beside it.", soft_wrap=True)


def _measure(
    router: Router,
    answers: ExpertAnswers,
    part: ScoredOutcomes,
    names: Sequence[str],
    *,
    rounds: int,
    seed: int,
) -> StrategyResults:
    from routellm_core.evaluation import contenders
    from routellm_core.evaluation.contenders import Signals
    from routellm_core.evaluation.strategy_measure import best_expert, measure_strategies

    signals = signals_of(router, part, rate="experts" in names)
    strong = best_expert(answers)
    make: dict[str, Any] = {
        "experts": contenders.experts,
        "cascade": contenders.cascade,
        "hybrid": lambda: contenders.hybrid(strong=strong),
        "best_of": contenders.best_of,
    }
    entries: list[tuple[Contender, Signals | None]] = [
        (make[name](), None) for name in names if name != "predict"
    ]
    lengths = np.array([len(prompt) for prompt in part.outcomes.prompts], dtype=np.float64)
    by_length = contenders.predict(strong=strong)._replace(name="length")
    entries.append((by_length, Signals(lengths)))
    return measure_strategies(answers, signals, entries, rounds=rounds, seed=seed)


def _wanted(names: Sequence[str]) -> list[str]:
    spelt = [check_strategy(name, (*STRATEGIES, "all")) for name in names]
    if "all" in spelt:
        return list(STRATEGIES)
    return list(dict.fromkeys(spelt))


def _usable(names: Sequence[str], router: Router, answers: ExpertAnswers) -> list[str]:
    """Return the strategies that the data and the router allow, and say which are left out."""
    without: dict[str, str] = {}
    if answers.scores is None:
        reason = "the table has no `score`, `answer` or `logprob`, and no `--verifier` is given"
        without = dict.fromkeys(("cascade", "hybrid", "best_of"), reason)
    try:
        router.qualities((), answers.models)
    except ConfigurationError:
        without["experts"] = f"router {router.name!r} cannot rate {', '.join(answers.models)}"
    for name in names:
        if name in without:
            notes().print(
                f"Left out {name.replace('_', '-')!r}: {without[name]}.",
                markup=False,
                soft_wrap=True,
            )
    return [name for name in names if name not in without]


def _path(spec: str) -> str:
    name, equals, path = spec.partition("=")
    if name != "outcomes" or not equals or not path:
        raise ConfigurationError(
            f"`--strategy` needs `--benchmark outcomes=FILE`, whose rows have `cost` and, for a "
            f"verifier, `score`, `answer` or `logprob`, got {spec!r}."
        )
    return path


def _show(name: str, router: str, found: StrategyResults) -> None:
    from rich.table import Table
    from rich.text import Text

    console = results()
    console.print(
        Text(
            f"\n{name}: settings chosen on {found.n_chosen_on:,} prompts, measured on "
            f"{found.n_measured:,}; router {router}",
            style="bold",
        ),
        soft_wrap=True,
    )
    for model, (usd, ms, quality) in zip(found.models, found.alone, strict=True):
        time = "" if ms is None else f", {ms:,.0f} ms"
        console.print(Text(f"{model}: {quality:.1%}, ${usd:.6f}{time}", style="dim"))
    timed = found.strategies[0].ms is not None
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("")
    heads = ["APGR ($)", "over predict", "at 25 %", "at 50 %", "at 75 %"]
    for head in (*heads, *(["APGR (ms)"] if timed else [])):
        table.add_column(head, justify="right")
    for row in found.strategies:
        table.add_row(Text(row.name), *_cells(row, timed=timed))
    console.print(table)
    console.print(
        "APGR ($): mean quality from the weak model's price to the strong one's, 0 % at weak and "
        "100 % at strong quality. At 25 %: quality at a quarter of the way in price. ± is half of "
        "a 95 % interval.",
        style="dim",
    )


def _cells(row: MeasuredStrategy, *, timed: bool) -> list[str]:
    usd = row.usd
    over = "" if usd.over_predict is None else _figure(usd.over_predict, sign="+")
    cells = [_figure(usd.gain), over, *(_figure(each, short=True) for each in usd.at_budgets)]
    if timed:
        cells.append("-" if row.ms is None else _figure(row.ms.gain))
    return cells


def _figure(estimate: Estimate, *, sign: str = "", short: bool = False) -> str:
    if estimate.value is None:
        return "-"
    value = f"{estimate.value:{sign}.1%}"
    if short or estimate.low is None or estimate.high is None:
        return value
    return f"{value}±{(estimate.high - estimate.low) / 2:.1%}"
