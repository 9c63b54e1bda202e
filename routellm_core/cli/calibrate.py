"""`routellm calibrate`: from prompts to a threshold, with its interval."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from routellm_core.cli.calibrate_display import FoundThreshold, show_thresholds, tell_of_no_map
from routellm_core.cli.calibrate_strategy import find_setting
from routellm_core.cli.calibrated import move_scale, save_calibrated
from routellm_core.cli.console import notes, print_json
from routellm_core.cli.settings import CheckpointOption, RouterOption, open_router
from routellm_core.cli.strategies import (
    VerifierMsOption,
    VerifierOption,
    VerifierUsdOption,
    pair_of,
)
from routellm_core.errors import ConfigurationError, DataError

if TYPE_CHECKING:
    from routellm_core.calibration import CallTokens, CostTarget, QualityTarget, ShareTarget
    from routellm_core.evaluation import LoadedBenchmark
    from routellm_core.evaluation.logged_calls import LoggedCalls
    from routellm_core.evaluation.probability_gain import ProbabilityGain
    from routellm_core.routers import Router
    from routellm_core.types import Calibration, WinRates

__all__ = ["calibrate"]

_SHARES = (0.1, 0.3, 0.5, 0.7)
_METHODS = ("isotonic", "platt")


def calibrate(
    prompts: Annotated[
        str | None,
        typer.Argument(
            metavar="[PROMPTS]",
            help="Prompts like those to come: JSON lines, JSON, CSV or Parquet with prompts, "
            "OpenAI-format calls or LangSmith runs, or a .txt with one prompt a line.",
        ),
    ] = None,
    *,
    outcomes: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="How good each model's answers were: rows of prompt, model and quality in [0, 1]. "
            "Needed for `--min-quality`.",
        ),
    ] = None,
    strong_share: Annotated[
        list[float] | None,
        typer.Option(
            "--strong-share",
            "-s",
            metavar="SHARE",
            help="The share of calls that may go to the strong model. May be repeated.",
        ),
    ] = None,
    max_cost: Annotated[
        float | None,
        typer.Option(metavar="USD", help="What a call may cost on average, or all `--calls`."),
    ] = None,
    calls: Annotated[
        int, typer.Option(metavar="N", min=1, help="How many calls `--max-cost` is to pay for.")
    ] = 1,
    output_tokens: Annotated[
        float | None,
        typer.Option(metavar="N", min=0.0, help="Tokens of an answer, where logs do not say."),
    ] = None,
    min_quality: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE", help="The share of the strong model's quality to keep, as 0.95."
        ),
    ] = None,
    confidence: Annotated[
        float, typer.Option(metavar="RATE", help="Of every interval and of the quality floor.")
    ] = 0.95,
    method: Annotated[
        str,
        typer.Option(metavar="NAME", help="isotonic or platt: how win rates become probabilities."),
    ] = "isotonic",
    field: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The field of the prompt; dots go down."),
    ] = None,
    router: RouterOption = None,
    checkpoint: CheckpointOption = None,
    strong_model: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The strong model in the outcomes and the price table."),
    ] = None,
    weak_model: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The weak model in the outcomes and the price table."),
    ] = None,
    strategy: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Set a strategy for `--max-cost` or `--min-quality` in place of a threshold: "
            "cascade, hybrid or experts. Needs `--outcomes` with costs and scores.",
        ),
    ] = None,
    verifier: VerifierOption = None,
    verifier_usd: VerifierUsdOption = 0.0,
    verifier_ms: VerifierMsOption = 0.0,
    save: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="Write the router with this calibration there, as a checkpoint's folder; with "
            "`--strategy` its settings, as a JSON file that the server and `read_strategy` read.",
        ),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Write one JSON object per target instead of a table.")
    ] = False,
) -> None:
    """Find the threshold for a share of calls, a cost or a quality floor, with its error bar.

    Without a target: the thresholds for 10, 30, 50 and 70 % of calls.
    """
    if strategy is not None:
        _check_targets(strong_share or [], max_cost, min_quality, confidence)
        find_setting(
            strategy,
            _alone(outcomes, prompts, strong_share),
            router=router,
            checkpoint=checkpoint,
            models=pair_of(strong_model, weak_model),
            verifier=verifier,
            verifier_usd=verifier_usd,
            verifier_ms=verifier_ms,
            max_cost=None if max_cost is None else max_cost / calls,
            min_quality=min_quality,
            confidence=confidence,
            save=save,
            as_json=json,
        )
        return
    _check_sources(prompts, outcomes, verifier, method)
    _check_targets(strong_share or [], max_cost, min_quality, confidence)
    opened = open_router(router, checkpoint=checkpoint)
    judged = None if outcomes is None else _judged(outcomes, strong_model, weak_model)
    logged = None if prompts is None else _logged(prompts, field)
    texts = _texts(logged, judged)
    if save is not None:
        move_scale(opened, texts)
    scored = _Scored(
        router=opened,
        win_rates=opened.win_rates(texts),
        tokens=_tokens(logged, output_tokens, outcomes, judged),
        judged=judged,
        source=prompts or str(outcomes),
        confidence=confidence,
    )
    found = [_share(scored, share) for share in strong_share or ()]
    if max_cost is not None:
        names = _names(opened, strong_model, weak_model, judged)
        found.append(_cost(scored, max_cost / calls, names))
    if min_quality is not None:
        found.append(_quality(scored, min_quality))
    stored, gain = _calibration(scored, method=method)
    _write(found or [_share(scored, share) for share in _SHARES], gain, scored, json=json)
    if save is not None:
        save_calibrated(opened, stored, save)
        if gain is not None and not gain.helps:
            tell_of_no_map(gain)


def _alone(outcomes: str | None, prompts: str | None, shares: list[float] | None) -> str:
    if prompts is not None or shares or outcomes is None:
        raise ConfigurationError("`--strategy` reads `--outcomes` alone, no prompts, no shares.")
    return outcomes


def _check_sources(
    prompts: str | None, outcomes: str | None, verifier: str | None, method: str
) -> None:
    if verifier is not None:
        raise ConfigurationError("`--verifier` is read with `--strategy` only.")
    if prompts is None and outcomes is None:
        raise ConfigurationError("Pass a file of prompts, or `--outcomes`, or both.")
    if method not in _METHODS:
        raise ConfigurationError(f"`--method` must be isotonic or platt, got {method!r}.")


def _check_targets(
    shares: list[float], max_cost: float | None, min_quality: float | None, confidence: float
) -> None:
    """Refuse numbers that no router could use before one is loaded and scores."""
    from routellm_core.calibration import check_max_cost, check_min_quality, check_share
    from routellm_core.calibration.share import check_confidence

    check_confidence(confidence)
    for share in shares:
        check_share(share)
    if max_cost is not None:
        check_max_cost(max_cost)
    if min_quality is not None:
        check_min_quality(min_quality)


@dataclass(frozen=True, slots=True)
class _Scored:
    """What was read, and the router's win rates of it."""

    router: Router
    win_rates: WinRates
    tokens: CallTokens | None
    judged: LoadedBenchmark | None
    source: str
    confidence: float


def _write(
    found: list[FoundThreshold], gain: ProbabilityGain | None, scored: _Scored, *, json: bool
) -> None:
    if json:
        for row in found:
            print_json(asdict(row))
        if gain is not None:
            print_json({"probability": {**asdict(gain), "helps": gain.helps}})
    else:
        show_thresholds(found, gain, n=len(scored.win_rates), name=scored.router.name)
    for row in found:
        if row.warning:
            notes().print(f"[yellow]Warning:[/] {row.warning}", soft_wrap=True)


def _texts(logged: LoggedCalls | None, judged: LoadedBenchmark | None) -> tuple[str, ...]:
    if logged is not None:
        return logged.prompts
    return judged.prompts if judged is not None else ()


def _judged(outcomes: str, strong: str | None, weak: str | None) -> LoadedBenchmark:
    from routellm_core.data.outcomes import sameness
    from routellm_core.evaluation import load_benchmark
    from routellm_core.types import ModelPair

    if (strong is None) != (weak is None):
        raise ConfigurationError("Name both `--strong-model` and `--weak-model`, or neither.")
    pair = None if strong is None or weak is None else ModelPair(strong=strong, weak=weak)
    judged = load_benchmark("outcomes", outcomes, pair=pair)
    same = sameness(judged.strong - judged.weak, judged.pair)
    if same is not None:
        raise DataError(
            f"{same} Such outcomes calibrate nothing: bring rows on which the answers differ, or "
            "leave `--outcomes` out."
        )
    return judged


def _logged(prompts: str, field: str | None) -> LoggedCalls:
    from routellm_core.evaluation.logged_calls import read_logged_calls

    return read_logged_calls(prompts, field=field)


def _names(
    router: Router, strong: str | None, weak: str | None, judged: LoadedBenchmark | None
) -> tuple[str, str]:
    pair = judged.pair if judged is not None else router.pair
    return strong or (pair.strong if pair else "strong"), weak or (pair.weak if pair else "weak")


def _tokens(
    logged: LoggedCalls | None,
    output_tokens: float | None,
    outcomes: str | None,
    judged: LoadedBenchmark | None,
) -> CallTokens | None:
    """Return the tokens of each call, or None when nobody knows how long answers are."""
    from routellm_core.evaluation.answer_lengths import judged_tokens, logged_tokens

    counted = None if judged is None else judged_tokens(str(outcomes), judged)
    if counted is not None and judged is not None:
        strong, weak = f"{counted.strong.mean():,.0f}", f"{counted.weak.mean():,.0f}"
        means = f"{judged.pair.strong} {strong}, {judged.pair.weak} {weak}"
        notes().print(f"Mean tokens of an answer: {means}.", markup=False, soft_wrap=True)
    if logged is None:
        return counted
    return logged_tokens(logged, output_tokens=output_tokens, judged=counted)


def _share(scored: _Scored, share: float) -> FoundThreshold:
    from routellm_core.calibration import calibrate_share

    found = calibrate_share(scored.win_rates, strong_share=share, confidence=scored.confidence)
    return _row(f"{share:.1%} strong", found, "")


def _cost(scored: _Scored, max_cost: float, names: tuple[str, str]) -> FoundThreshold:
    from routellm_core.calibration import calibrate_cost
    from routellm_core.monitoring import price_of

    tokens = scored.tokens
    if tokens is None:
        raise ConfigurationError(
            "`--max-cost` needs logged calls or outcomes that say how long answers are, or "
            "`--output-tokens`."
        )
    strong, weak = (price_of(name) for name in names)
    if strong is None or weak is None:
        unknown = names[0] if strong is None else names[1]
        raise ConfigurationError(
            f"LiteLLM's price table does not know {unknown!r}. Name `--strong-model` and "
            "`--weak-model` as LiteLLM does."
        )
    found = calibrate_cost(
        scored.win_rates,
        weak_cost=tokens.prompt * weak.input_usd + tokens.weak * weak.output_usd,
        strong_cost=tokens.prompt * strong.input_usd + tokens.strong * strong.output_usd,
        max_cost=max_cost,
        confidence=scored.confidence,
    )
    note = f"${found.cost:.6f} a call ({found.cost_low:.6f} to {found.cost_high:.6f})"
    return _row(f"${max_cost:.6f} a call", found, note)


def _quality(scored: _Scored, min_quality: float) -> FoundThreshold:
    from routellm_core.calibration import calibrate_quality

    judged = scored.judged
    if judged is None:
        raise ConfigurationError("`--min-quality` needs `--outcomes`.")
    found = calibrate_quality(
        scored.router.win_rates(judged.prompts),
        weak=judged.weak,
        strong=judged.strong,
        min_quality=min_quality,
        confidence=scored.confidence,
    )
    note = (
        f"keeps {found.quality:.1%}, with {scored.confidence:.0%} at least {found.quality_low:.1%}"
    )
    return _row(f"{min_quality:.1%} quality", found, note)


def _row(target: str, found: ShareTarget | CostTarget | QualityTarget, note: str) -> FoundThreshold:
    return FoundThreshold(
        target=target,
        threshold=found.threshold,
        strong_share=found.strong_share,
        low=found.interval.low,
        high=found.interval.high,
        n_prompts=found.n_prompts,
        note=note,
        warning=found.warning,
    )


def _calibration(scored: _Scored, *, method: str) -> tuple[Calibration, ProbabilityGain | None]:
    """Return what a checkpoint may store: quantiles of the prompts, floors of the outcomes.

    A probability map is among it if it helps on prompts that it was not fitted on.
    """
    from pathlib import Path

    from routellm_core.calibration import ProbabilityMap, calibration_of
    from routellm_core.evaluation.metrics import win_labels
    from routellm_core.evaluation.probability_gain import fit_probability

    source, judged = Path(scored.source).name, scored.judged
    stored = calibration_of(scored.win_rates, source=source, tokens=scored.tokens)
    if judged is None:
        return stored, None
    raw = scored.router.raw_win_rates(judged.prompts)
    fitted, gain = fit_probability(
        raw,
        win_labels(weak=judged.weak, strong=judged.strong),
        method="platt" if method == "platt" else "isotonic",
    )
    knots = np.column_stack([scored.router.scaled(fitted.knots[:, 0]), fitted.knots[:, 1]])
    outcomes = calibration_of(
        scored.router.scaled(raw),
        source=source,
        weak=judged.weak,
        strong=judged.strong,
        probability=ProbabilityMap(knots) if gain.helps else None,
        confidence=scored.confidence,
    )
    return (
        replace(
            stored,
            quality_floors=outcomes.quality_floors,
            probability=outcomes.probability,
            better=outcomes.better,
        ),
        gain,
    )
