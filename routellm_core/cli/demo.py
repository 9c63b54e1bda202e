"""`routellm demo`: the main job from end to end, without a key or a network if need be."""

from __future__ import annotations

from contextlib import closing, nullcontext
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from routellm_core._optional import require
from routellm_core.cli.console import notes, print_json, results
from routellm_core.cli.demo_models import Answer, Tier
from routellm_core.cli.demo_prompts import PROMPTS, DemoPrompt
from routellm_core.cli.failures import misconfigured
from routellm_core.cli.settings import (
    CheckpointOption,
    RouterOption,
    StrongModelOption,
    StrongShareOption,
    ThresholdOption,
    WeakModelOption,
    open_router,
)
from routellm_core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from routellm_core.cli.demo_models import Ask
    from routellm_core.routers import Router

__all__ = ["demo"]

# Stand-ins take these names, for their prices, when the router's own pair has none.
_PRICED_PAIR = ("gpt-4o", "gpt-4o-mini")


class Framework(str, Enum):
    """Whose chat model routes."""

    langchain = "langchain"
    llamaindex = "llamaindex"


def demo(
    prompts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PROMPT", help="Your own prompts instead of the 24 that come along."
        ),
    ] = None,
    *,
    framework: Annotated[
        Framework, typer.Option(metavar="NAME", help="Who routes: `langchain` or `llamaindex`.")
    ] = Framework.langchain,
    strong: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="A real strong model, as `openai/gpt-4o`."),
    ] = None,
    weak: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="A real weak model, as `ollama/llama3.1`."),
    ] = None,
    base_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Where both models are served.")
    ] = None,
    strong_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Where the strong model is served.")
    ] = None,
    weak_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Where the weak model is served.")
    ] = None,
    strong_key_env: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Environment variable with the key for the strong URL."),
    ] = None,
    weak_key_env: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Environment variable with the key for the weak URL."),
    ] = None,
    strong_effort: Annotated[
        str | None,
        typer.Option(metavar="LEVEL", help="How much the strong model thinks, as `high`."),
    ] = None,
    weak_effort: Annotated[
        str | None,
        typer.Option(
            metavar="LEVEL", help="How much the weak model thinks; it may be the same model."
        ),
    ] = None,
    answer_tokens: Annotated[
        int,
        typer.Option(
            metavar="N", min=1, help="Assumed length of an answer, where a model reports none."
        ),
    ] = 300,
    json: Annotated[
        bool, typer.Option("--json", help="Write JSON lines: every decision, then the estimate.")
    ] = False,
    router: RouterOption = None,
    checkpoint: CheckpointOption = None,
    strong_model: StrongModelOption = None,
    weak_model: WeakModelOption = None,
    threshold: ThresholdOption = None,
    strong_share: StrongShareOption = None,
) -> None:
    """Route prompts in twelve languages through a real chain, and estimate what that saves.

    Without `--strong` and `--weak` the routing is real and the two models are offline stand-ins:
    no key, no network. With them the same chain asks real models.
    """
    from routellm_core.policy.settings import resolve_threshold

    scorer = open_router(
        router, checkpoint=checkpoint, strong_model=strong_model, weak_model=weak_model
    )
    cut = resolve_threshold(scorer, threshold=threshold, strong_share=strong_share)
    tiers = _tiers(
        scorer,
        names=(strong, weak),
        urls=(strong_url or base_url, weak_url or base_url),
        key_envs=(strong_key_env, weak_key_env),
        efforts=(strong_effort, weak_effort),
    )
    questions = [DemoPrompt("", None, text) for text in prompts] if prompts else list(PROMPTS)
    with _quiet(tiers):
        ask = _open(framework, tiers, router=scorer, threshold=cut)
        with closing(ask([question.text for question in questions])) as asked:
            answers = list(_with_progress(_usable(asked), len(questions)))
    from routellm_core.cli.demo_report import Run, print_run

    run = Run(
        framework=framework.value,
        router=scorer.name,
        pair=scorer.pair,
        threshold=cut,
        strong=tiers[0],
        weak=tiers[1],
        answer_tokens=answer_tokens,
        rows=tuple(zip(questions, answers, strict=True)),
    )
    if json:
        for line in run.lines():
            print_json(line)
    else:
        print_run(run, results())
    _report_failures(answers)


def _report_failures(answers: list[Answer]) -> None:
    """Say what went wrong, and make it the command's exit code."""
    unanswered = [answer.error for answer in answers if answer.error]
    unscored = [
        answer.record["reason"]
        for answer in answers
        if answer.record and answer.record["reason"].startswith("router_error:")
    ]
    for failed, what in ((unanswered, "calls failed"), (unscored, "prompts had no win rate")):
        if failed:
            notes().print(
                f"{len(failed)} of {len(answers)} {what}, the first with {failed[0]}",
                markup=False,
                soft_wrap=True,
            )
    if unanswered or unscored:
        raise typer.Exit(1)


def _tiers(
    router: Router,
    *,
    names: tuple[str | None, str | None],
    urls: tuple[str | None, str | None],
    key_envs: tuple[str | None, str | None],
    efforts: tuple[str | None, str | None],
) -> tuple[Tier, Tier]:
    """Return the real models that the user named, or stand-ins for a pair with known prices."""
    strong, weak = names
    if (strong is None) != (weak is None):
        raise ConfigurationError("`--strong` and `--weak` name a pair: pass both, or neither.")
    if strong is not None and weak is not None:
        return (
            Tier(strong, url=urls[0], key_env=key_envs[0], effort=efforts[0]),
            Tier(weak, url=urls[1], key_env=key_envs[1], effort=efforts[1]),
        )
    if any((*urls, *key_envs, *efforts)):
        raise ConfigurationError(
            "A URL, a key or an effort needs the models: pass `--strong` and `--weak`."
        )
    from routellm_core.monitoring import price_of

    pair = (router.pair.strong, router.pair.weak) if router.pair else _PRICED_PAIR
    if not all(price_of(name) for name in pair):
        pair = _PRICED_PAIR
    return Tier(pair[0], stand_in=True), Tier(pair[1], stand_in=True)


def _open(
    framework: Framework, tiers: tuple[Tier, Tier], *, router: Router, threshold: float
) -> Ask:
    """Import one framework, and let it route between the two models."""
    extra = framework.value
    module = require(f"routellm_core.cli.demo_{extra}", extra=extra)
    opened: Ask = module.open_routed(*tiers, router=router, threshold=threshold)
    return opened


def _quiet(tiers: tuple[Tier, Tier]) -> AbstractContextManager[Any]:
    """Keep LiteLLM, which asks real models, from printing advice for calls that fail."""
    from routellm_core._litellm import quiet_litellm

    return nullcontext() if all(tier.stand_in for tier in tiers) else quiet_litellm()


def _usable(answers: Iterator[Answer]) -> Iterator[Answer]:
    """Yield the answers, up to the first fault that every call to its model would meet."""
    from routellm_core.policy import fault_of

    for answer in answers:
        if answer.cause is not None and fault_of(answer.cause) == "configuration":
            raise misconfigured(answer.cause) from answer.cause
        yield answer


def _with_progress(answers: Iterator[Answer], n: int) -> Iterator[Answer]:
    """Yield the answers, under a bar that a terminal shows while they come."""
    from rich.progress import Progress

    console = notes()
    with Progress(
        console=console,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
        disable=not console.is_terminal,
    ) as progress:
        yield from progress.track(answers, total=n, description="Asking")
