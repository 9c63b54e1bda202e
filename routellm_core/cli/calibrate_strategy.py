"""`routellm calibrate --strategy`: from answered prompts to a strategy's setting."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from routellm_core.cli.console import notes, print_json, results
from routellm_core.cli.settings import open_router
from routellm_core.cli.strategies import answers_for, check_strategy, signals_of
from routellm_core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from routellm_core.evaluation.figures import Estimate
    from routellm_core.evaluation.strategy_goals import StrategySetting

__all__ = ["find_setting"]

_SET = ("cascade", "hybrid", "experts")


def find_setting(
    name: str,
    outcomes: str,
    *,
    router: str | None,
    checkpoint: str | None,
    models: Sequence[str] | None,
    verifier: str | None,
    verifier_usd: float,
    verifier_ms: float,
    max_cost: float | None,
    min_quality: float | None,
    confidence: float,
    save: str | None,
    as_json: bool,
) -> None:
    """Find a strategy's setting for a goal, write what it comes to, and store it if asked.

    Raises
    ------
    RouteLLMError
        If an option cannot be used, or no setting meets the goal.
    """
    from routellm_core.evaluation import contenders
    from routellm_core.evaluation.contenders import Signals
    from routellm_core.evaluation.strategy_goals import calibrate_strategy
    from routellm_core.evaluation.strategy_measure import best_expert

    spelt = check_strategy(name, _SET)
    if (max_cost is None) == (min_quality is None):
        raise ConfigurationError("`--strategy` needs either `--max-cost` or `--min-quality`.")
    answers, part = answers_for(
        outcomes,
        models=models,
        verifier=verifier,
        verifier_usd=verifier_usd,
        verifier_ms=verifier_ms,
    )
    if spelt == "cascade":
        contender, signals = contenders.cascade(), Signals(answers.usd[:, 0])  # reads none
    else:
        opened = open_router(router, checkpoint=checkpoint)
        signals = signals_of(opened, part, rate=spelt == "experts")
        contender = (
            contenders.experts()
            if spelt == "experts"
            else contenders.hybrid(strong=best_expert(answers))
        )
    found = calibrate_strategy(
        contender,
        answers,
        signals,
        max_cost=max_cost,
        min_quality=min_quality,
        confidence=confidence,
    )
    settings = _settings(found, verifier)
    if as_json:
        print_json({**asdict(found), "settings": settings})
    else:
        _show(found, answers.models, settings, confidence)
    if max_cost is not None and (found.usd.value or 0.0) > max_cost:
        notes().print(
            f"Warning: on the held-out prompts a call costs ${found.usd.value:.6g}, above "
            f"`--max-cost` {max_cost:.6g}: the setting was chosen on the other half.",
            style="yellow",
            soft_wrap=True,
        )
    if save is not None:
        path = Path(save)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
        _tell_of_file(path, settings)


def _settings(found: StrategySetting, verifier: str | None) -> dict[str, Any]:
    """Return what the server and `read_strategy` read."""
    named = {} if verifier in (None, "score") else {"verifier": verifier}
    if found.strategy == "cascade":
        return {"strategy": "cascade", **named, "accept": found.setting[0]}
    if found.strategy == "hybrid":
        low, high, accept = found.setting
        # A band ends in [0, 1]; an end above every win rate comes to 1.
        band = [min(low, 1.0), min(high, 1.0)]
        return {"strategy": "hybrid", **named, "accept": accept, "band": band}
    return {"strategy": "predict", "quality_per_usd": found.setting[0]}


def _show(
    found: StrategySetting, models: Sequence[str], settings: dict[str, Any], confidence: float
) -> None:
    console = results()

    def line(text: str) -> None:
        console.print(text, markup=False, soft_wrap=True)

    line(
        f"{found.strategy} over {', '.join(models)}: chosen on {found.n_chosen_on:,} prompts, "
        f"measured on {found.n_measured:,}."
    )
    shown = {key: value for key, value in settings.items() if key not in ("strategy", "verifier")}
    line("  " + ", ".join(f"{key} {_number(value)}" for key, value in shown.items()))
    line(f"  cost      {_interval(found.usd, '${:.6f}')} a call")
    line(f"  quality   {_interval(found.quality, '{:.1%}')}")
    if found.kept.value is not None:
        line(
            f"  kept      {found.kept.value:.1%} of the best model's quality, with "
            f"{confidence:.0%} at least {found.kept.low or 0.0:.1%}"
        )
    if found.ms is not None:
        line(f"  latency   {_interval(found.ms, '{:,.0f}')} ms")
    if found.rejected is not None:
        line(f"  rejected  {found.rejected:.1%} of first answers")
    if found.break_even is not None:
        verdict = "costs less" if (found.rejected or 0.0) < found.break_even else "costs more"
        line(
            f"  all-strong is cheaper where more than {found.break_even:.1%} are rejected (fewer "
            f"than {1.0 - found.break_even:.1%} accepted): this cascade {verdict}"
        )


def _tell_of_file(path: Path, settings: dict[str, Any]) -> None:
    read = f"`read_strategy({str(path)!r})`"
    if settings["strategy"] == "predict":
        said = f"{read} reads it."
    elif "verifier" in settings:
        said = f"`routellm serve --config {path}` and {read} read it."
    else:
        read = f"`read_strategy({str(path)!r}, verifier=...)`"
        said = (
            f"{read} reads it. It names no verifier, for the scores came from the table: add the "
            "one that gave them as `verifier` before a server reads it."
        )
    notes().print(f"Wrote {path}. {said}", markup=False, soft_wrap=True)


def _number(value: Any) -> str:
    if isinstance(value, list):
        return " to ".join(f"{each:.6g}" for each in value)
    return f"{value:.6g}"


def _interval(estimate: Estimate, form: str) -> str:
    if estimate.value is None:
        return "-"
    value = form.format(estimate.value)
    if estimate.low is None or estimate.high is None:
        return value
    return f"{value} ({form.format(estimate.low)} to {form.format(estimate.high)})"
