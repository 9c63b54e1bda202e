"""Another model is asked in the background: within limits, and without the caller."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from routellm_core import ConfigurationError, Monitor, Price, ShadowSettings, make_guards
from routellm_core.answers import Answer, no_refusal
from routellm_core.plan import OtherAnswer
from routellm_core.strategies import Cascade
from routellm_core.testing import ScriptedRouter
from routellm_core.types import Usage
from tests.plan.toy import WAYS, Toy

MODELS = {"weak": "small words", "strong": "big words"}
PRICES = {
    "model-weak": Price("model-weak", 0.0, 0.0),
    "model-strong": Price("model-strong", 0.0, 1e-3),
}


def answered(expert: str, *, timeout_s: float) -> OtherAnswer:
    return OtherAnswer(Answer(f"{expert} says"), Usage(3, 1000))


@pytest.fixture
def shadowed(tmp_path: Path) -> Any:
    """Return what makes a toy whose calls have shadows, and what reads its log."""

    def make(other: Any = answered, *, kept: int = 1000, **settings: Any) -> Toy:
        monitor = Monitor(tmp_path / "log.jsonl", prices=PRICES, keep_prompt_chars=kept)
        shadow = ShadowSettings(**{"share": 1.0, "budget_usd": None, **settings})
        return Toy(MODELS, options={"monitor": monitor, "shadow": shadow}, other=other)

    make.log = tmp_path / "log.jsonl"
    return make


def lines(log: Path, kind: str | None) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    return [row for row in rows if row.get("kind") == kind]


@pytest.mark.parametrize("way", WAYS)
def test_an_answer_is_followed_by_the_other_models(shadowed, way: str) -> None:
    toy = shadowed()
    assert toy.run(way) == "small words"
    assert toy.guards.shadow.drain(timeout_s=5.0)
    [record], [shadow] = lines(shadowed.log, None), lines(shadowed.log, "shadow")
    assert record["call_id"] == shadow["call_id"] == toy.decision.call_id
    assert (record["shadow_share"], shadow["share"], shadow["route"]) == (1.0, 1.0, "strong")
    assert (shadow["input_tokens"], shadow["output_tokens"], shadow["cost_usd"]) == (3, 1000, 1.0)
    given = "".join(shadow["answers"]["model-weak"].split(" "))
    assert (given, shadow["answers"]["model-strong"]) == ("smallwords", "strong says")
    assert toy.asked == ["weak"]


def test_the_share_is_drawn_by_the_seed(shadowed) -> None:
    chosen = []
    for _ in range(2):
        toy = shadowed(share=0.25, seed=7, queue_size=1000)
        calls = [toy.begin() for _ in range(400)]
        chosen.append([call.attempts.shadow is not None for call in calls])
    assert chosen[0] == chosen[1]
    assert 60 < sum(chosen[0]) < 140  # 100 +- 4.6 standard deviations


def test_calls_that_the_router_did_not_decide_have_no_shadow(shadowed) -> None:
    from routellm_core.policy import Overrides

    toy = shadowed()
    decide = toy.decider.decide
    toy.decider = _Deciding(toy.decider, lambda turn: decide(turn, Overrides(route="weak")))
    assert toy.begin().attempts.shadow is None


class _Deciding:
    """A decider that decides in another way."""

    def __init__(self, decider: Any, decide: Any) -> None:
        self._decider, self.decide = decider, decide

    def __getattr__(self, name: str) -> Any:
        return getattr(self._decider, name)


def test_models_that_hang_hold_up_nobody_and_no_more_threads_than_they_may(shadowed) -> None:
    release, before = threading.Event(), threading.active_count()

    def hang(expert: str, *, timeout_s: float) -> OtherAnswer:
        release.wait(30.0)
        return answered(expert, timeout_s=timeout_s)

    toy = shadowed(hang, concurrency=2, queue_size=4)
    try:
        began_s = time.perf_counter()
        for _ in range(200):
            assert toy.run("drive") == "small words"
        assert time.perf_counter() - began_s < 5.0
        assert toy.guards.shadow.n_dropped == 200 - 6
        assert threading.active_count() <= before + 2
        assert not toy.guards.shadow.drain(timeout_s=0.01)
    finally:
        release.set()
    assert toy.guards.shadow.drain(timeout_s=5.0)
    assert toy.guards.shadow.n_answered == 6
    assert len(lines(shadowed.log, "shadow")) == 6


def garbage(expert: str, *, timeout_s: float) -> Any:
    return "no answer at all"


def leaves(expert: str, *, timeout_s: float) -> Any:
    raise SystemExit


@pytest.mark.parametrize("other", [garbage, leaves])
def test_garbage_and_exits_reach_nobody(shadowed, other: Any) -> None:
    toy = shadowed(other)
    for _ in range(5):
        assert toy.run("drive") == "small words"
    assert toy.guards.shadow.drain(timeout_s=5.0)
    assert toy.guards.shadow.n_failed == 5
    assert [row["outcome"] for row in lines(shadowed.log, "shadow")] == ["failed"] * 5
    assert all(record["outcome"] == "answered" for record in lines(shadowed.log, None))
    toy.other = answered
    toy.run("drive")
    assert toy.guards.shadow.drain(timeout_s=5.0)
    assert toy.guards.shadow.n_answered >= 1


def test_a_spent_budget_asks_nobody_else(shadowed) -> None:
    toy = shadowed(budget_usd=2.5, concurrency=1)  # 0.5 is expected of the first, 1 of the next
    for _ in range(5):
        toy.run("drive")
    assert toy.guards.shadow.drain(timeout_s=5.0)
    shadow = toy.guards.shadow
    assert (shadow.n_answered, shadow.n_over_budget) == (2, 3)
    assert shadow.budget.spent_usd == 2.0
    assert toy.guards.budget is None


def test_the_other_of_several_experts_is_drawn_and_its_chance_is_on_the_record(
    tmp_path: Path,
) -> None:
    monitor = Monitor(tmp_path / "log.jsonl", keep_prompt_chars=100)
    toy = Toy(
        {"small": "short", "middle": "m", "large": "l"},
        strategy=Cascade(no_refusal(), accept=0.0),
        options={"monitor": monitor, "shadow": ShadowSettings(share=1.0, seed=1, queue_size=100)},
        other=answered,
    )
    for _ in range(40):
        assert toy.run("drive") == "short"
    assert toy.guards.shadow.drain(timeout_s=10.0)
    found = lines(tmp_path / "log.jsonl", "shadow")
    assert {row["share"] for row in found} == {0.5}
    assert {row["route"] for row in found} == {"middle", "large"}


def test_a_call_that_fails_or_is_left_has_no_shadow(shadowed) -> None:
    toy = shadowed()
    toy.models["weak"] = ValueError("bad request")
    with pytest.raises(ValueError, match="bad request"):
        toy.run("drive")
    left = toy.begin()
    left.close()
    assert toy.guards.shadow.drain(timeout_s=5.0)
    assert not lines(shadowed.log, "shadow")
    assert not any("shadow_share" in record for record in lines(shadowed.log, None))


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"share": 0.0}, "share"),
        ({"share": 1.5}, "share"),
        ({"budget_usd": 0.0}, "budget_usd"),
        ({"timeout_s": -1.0}, "timeout_s"),
        ({"concurrency": 0}, "concurrency"),
        ({"queue_size": 0}, "queue_size"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(settings: dict[str, Any], match: str) -> None:
    with pytest.raises(ConfigurationError, match=match):
        ShadowSettings(**settings)


def test_a_shadow_needs_a_log(tmp_path: Path) -> None:
    for monitor in (None, print):
        with pytest.raises(ConfigurationError, match="needs a log"):
            make_guards(shadow=0.5, monitor=monitor)
    with pytest.raises(ConfigurationError, match="a share in"):
        make_guards(shadow="often", monitor=tmp_path / "log.jsonl")
    assert make_guards(shadow=0.0).shadow is None
    assert make_guards().shadow is None


SCRIPT = """
import os, sys, time
from routellm_core import ShadowSettings
sys.path.insert(0, {root!r})
from tests.plan.test_shadow import MODELS, answered
from tests.plan.toy import Toy

def slow(expert, *, timeout_s):
    time.sleep({seconds})
    return answered(expert, timeout_s=timeout_s)

def toy():
    options = {{"monitor": {log!r}, "shadow": ShadowSettings(share=1.0)}}
    return Toy(MODELS, options=options, other=slow)

{body}
"""


def run_script(tmp_path: Path, body: str, *, seconds: float) -> float:
    log, root = str(tmp_path / "log.jsonl"), str(Path(__file__).parents[2])
    script = SCRIPT.format(root=root, log=log, seconds=seconds, body=body)
    began_s = time.perf_counter()
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
    return time.perf_counter() - began_s


def test_the_end_of_the_process_waits_a_little_and_no_longer(tmp_path: Path) -> None:
    run_script(tmp_path, "toy().run('drive')", seconds=0.3)
    assert [row["outcome"] for row in lines(tmp_path / "log.jsonl", "shadow")] == ["answered"]
    quick = run_script(tmp_path, "toy()", seconds=0.0)
    hung = run_script(tmp_path, "toy().run('drive')", seconds=3600.0)
    assert hung - quick < 2.0 + 5.0
    assert len(lines(tmp_path / "log.jsonl", "shadow")) == 1


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="there is no fork")
def test_a_forked_process_has_threads_of_its_own(tmp_path: Path) -> None:
    body = """
kept = toy()
kept.run('drive')
assert kept.guards.shadow.drain(timeout_s=5.0)
pid = os.fork()
kept.run('drive')
assert kept.guards.shadow.drain(timeout_s=5.0)
if pid:
    assert os.waitpid(pid, 0)[1] == 0
else:
    os._exit(0)
"""
    run_script(tmp_path, body, seconds=0.0)
    found = lines(tmp_path / "log.jsonl", "shadow")
    assert len({row["call_id"].split("-")[1] for row in found}) == 2
    assert len(found) == 3


def test_without_a_shadow_a_call_has_none(tmp_path: Path) -> None:
    toy = Toy(MODELS, options={"monitor": tmp_path / "log.jsonl"})
    assert toy.begin().attempts.shadow is None
    assert Toy(MODELS).begin().attempts.shadow is None
    assert isinstance(toy.decider.router, ScriptedRouter)
