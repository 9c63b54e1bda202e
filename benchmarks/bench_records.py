"""Time what records, breakers and a budget add to one call.

Run `python benchmarks/bench_records.py`. A call here is a decision that is handed over and an
answer that is reported, without a model between them; the bare machine is subtracted.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from time import perf_counter

from routellm_core import (
    Budget,
    Decider,
    Decision,
    Guards,
    JsonlSink,
    Monitor,
    Price,
    Usage,
    make_decider,
    make_guards,
)
from routellm_core.testing import ScriptedRouter

FEW, MANY = 50, 2_000
ROUNDS = 300
TARGET_US = 10.0
PRICES = {"big": Price("big", 2.5e-6, 1e-5), "small": Price("small", 1.5e-7, 6e-7)}
DECISION = Decision("weak", "small", 0.2, 0.5, "scripted", "win_rate")
USAGE = Usage(100, 20, "small-2024")
TEXT = "Write a haiku about the sea, and explain each of its images in one sentence." * 3


def caller_us(guards: Guards, decider: Decider) -> float:
    """Return what a call costs its own thread: the best round, each of few calls in a row.

    Between rounds the monitor's thread catches up, as it does while a model is waited for; the
    interpreter hands over seldom enough that a round is done before.
    """
    best = float("inf")
    for _ in range(ROUNDS):
        start = perf_counter()
        for _ in range(FEW):
            _call(guards, decider)
        best = min(best, (perf_counter() - start) / FEW * 1e6)
        if guards.monitor is not None:
            guards.monitor.flush()
    return best


def total_us(guards: Guards, decider: Decider) -> float:
    """Return what a call costs the process, the monitor's thread included: the best round."""
    best = float("inf")
    for _ in range(ROUNDS // 20):
        start = perf_counter()
        for _ in range(MANY):
            _call(guards, decider)
        if guards.monitor is not None:
            guards.monitor.flush()
        best = min(best, (perf_counter() - start) / MANY * 1e6)
    return best


def _call(guards: Guards, decider: Decider) -> None:
    attempts = guards.begin(
        DECISION, decider=decider, worth_escalating=bool, text=TEXT, started_s=perf_counter()
    )
    attempts.commit()
    attempts.succeeded(USAGE)


def main() -> None:
    decider = make_decider(router=ScriptedRouter(), strong_model="big", weak_model="small")
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "calls.jsonl"
        cases = {
            "nothing": {},
            "breaker": {"breaker": True},
            "budget": {"budget": Budget(1e9, prices=PRICES)},
            "records, no sink": {"monitor": Monitor(prices=PRICES)},
            "records to JSONL": {"monitor": Monitor(log, prices=PRICES)},
            "records to JSONL, breaker": {"monitor": Monitor(log, prices=PRICES), "breaker": True},
            "records to JSONL, breaker, budget": {
                "monitor": Monitor(log, prices=PRICES),
                "breaker": True,
                "budget": Budget(1e9, prices=PRICES),
            },
            "records queued for JSONL": {
                "monitor": Monitor(JsonlSink(log, durable=False), prices=PRICES)
            },
        }
        print(f"{'':36}{'the call, us':>14}{'added':>8}{'added with the writing':>26}")
        bare: tuple[float, float] | None = None
        for name, arguments in cases.items():
            guards = make_guards(**arguments)
            found = caller_us(guards, decider), total_us(guards, decider)
            bare = bare or found
            added, whole = found[0] - bare[0], found[1] - bare[1]
            print(f"{name:36}{found[0]:14.2f}{added:8.2f}{whole:26.2f}")
            if name == "records to JSONL, breaker":
                verdict = "met" if added <= TARGET_US else "MISSED"
                print(f"{'':36}target {TARGET_US:g} us a call: {verdict}")


if __name__ == "__main__":
    main()
