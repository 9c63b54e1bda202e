"""What a plan costs over a bare call: a pair's prediction, and each step of a cascade.

Models answer at once, so that all that is measured is this project's own work:

    python benchmarks/bench_plan.py

Every figure is the median of 15 rounds of 2,000 calls, interleaved in one process.
"""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Callable

from routellm_core import Turn, escalation_filter, make_decider, make_guards
from routellm_core.answers import Answer, Prompt, check
from routellm_core.experts import ExpertTable
from routellm_core.plan import RoutedCall, drive
from routellm_core.strategies import Cascade, Strategy
from routellm_core.testing import ScriptedRouter

ROUNDS, CALLS = 15, 2_000
TURN = Turn("Why is the sky blue?")
WORTH = escalation_filter(None)
PAIR = ExpertTable.of_pair(strong_model="big", weak_model="small")


class BareCall(RoutedCall[str, str]):
    """Read texts."""

    def holds(self, answer: str) -> tuple[bool, str | None]:
        """Tell whether there is a text."""
        return bool(answer), None

    def prompt(self) -> Prompt:
        """Return the one prompt."""
        return Prompt(TURN.text)

    def answer_of(self, answer: str) -> Answer:
        """Return the text."""
        return Answer(answer)


def say(_: object) -> str:
    """Answer at once."""
    return "Because of Rayleigh scattering."


def routed(strategy: Strategy | None = None) -> Callable[[], str]:
    """Return a function that makes one routed call."""
    decider = make_decider(
        router=ScriptedRouter({}, default=0.1), threshold=0.5, experts=PAIR, strategy=strategy
    )
    guards = make_guards()

    def call() -> str:
        decision = decider.decide(TURN)
        attempts = guards.begin(decision, decider=decider, worth_escalating=WORTH)
        return drive(BareCall(attempts), say)

    return call


def decided() -> Callable[[], str]:
    """Return a function that decides, begins a call and asks the model by hand."""
    decider = make_decider(router=ScriptedRouter({}, default=0.1), threshold=0.5, experts=PAIR)
    guards = make_guards()

    def call() -> str:
        decision = decider.decide(TURN)
        attempts = guards.begin(decision, decider=decider, worth_escalating=WORTH)
        answer = say(None)
        attempts.succeeded()
        return answer

    return call


def main() -> None:
    """Measure and print."""
    sure = check(lambda *_: 1.0, name="sure")
    never = check(lambda *_: 0.0, name="never")
    ways = {
        "decide, begin, ask by hand": decided(),
        "predict, driven": routed(),
        "cascade, accepted at once": routed(Cascade(sure, accept=0.5)),
        "cascade, one rejected": routed(Cascade(never, accept=0.5)),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, call in ways.items():
            begun = time.perf_counter()
            for _ in range(CALLS):
                call()
            times[name].append((time.perf_counter() - begun) / CALLS * 1e6)
    figures = {name: round(statistics.median(values), 2) for name, values in times.items()}
    print(json.dumps({"machine": platform.machine(), "us_per_call": figures}, indent=2))


if __name__ == "__main__":
    main()
