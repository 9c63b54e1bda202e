"""Replaying a log: the same settings give the same routes, and others give another bill."""

import numpy as np
import pytest

from routellm_core import (
    DataError,
    Decision,
    JsonlSink,
    Monitor,
    Price,
    Usage,
    make_decider,
    make_guards,
)
from routellm_core.monitoring import LogReader, Pricing
from routellm_core.monitoring.replay import replay
from routellm_core.testing import ScriptedRouter

PRICES = {"big": Price("big", 0.0, 0.01), "small": Price("small", 0.0, 0.001)}
PRICING = Pricing(PRICES)


def call(record, number: int, scored: float, **changes):
    route = "strong" if scored >= 0.5 else "weak"
    model = "big" if route == "strong" else "small"
    usage = Usage(0, 100)
    return record(
        number,
        **{
            "win_rate": scored,
            "route": route,
            "decided_route": route,
            "model": model,
            "input_tokens": 0,
            "output_tokens": 100,
            "cost_usd": PRICING.cost_usd(model, usage),
            "strong_usd": 1.0,
            **changes,
        },
    )


def test_a_threshold_moves_calls_and_the_bill(record) -> None:
    records = [call(record, n, w) for n, w in enumerate([0.1, 0.4, 0.6, 0.9])]
    found = replay(records, pricing=PRICING, threshold=0.7)
    assert (found.n_calls, found.n_moved, found.n_reproduced) == (4, 1, 4)
    assert (found.actual.n_strong, found.replayed.n_strong) == (2, 1)
    assert found.actual.cost_usd == pytest.approx(2 * 1.0 + 2 * 0.1)
    assert found.replayed.cost_usd == pytest.approx(1.0 + 3 * 0.1)
    assert found.replayed.saved_usd == pytest.approx(4.0 - 1.3)


def test_a_moved_call_keeps_its_cached_tokens_at_the_other_models_prices(record) -> None:
    prices = {
        "big": Price("big", 1.0, 0.0, cache_read_usd=0.1),
        "small": Price("small", 0.2, 0.0, cache_read_usd=0.02, cache_write_usd=0.25),
    }
    tokens = {"input_tokens": 100, "output_tokens": 1, "cached_tokens": 80, "cache_write_tokens": 5}
    unpriced = {"cost_usd": None, "strong_usd": None}
    log = [call(record, 1, 0.6, **tokens, **unpriced), call(record, 2, 0.1, **tokens, **unpriced)]
    found = replay(log, pricing=Pricing(prices), threshold=0.7)
    big, small = 20 * 1.0 + 80 * 0.1, 15 * 0.2 + 80 * 0.02 + 5 * 0.25
    assert found.actual.cost_usd == pytest.approx(big + small)
    assert found.replayed.cost_usd == pytest.approx(2 * small)
    assert found.replayed.saved_usd == pytest.approx(2 * big - 2 * small)


def test_a_moved_threshold_is_reproduced_and_moves_another_in_proportion(record) -> None:
    """From 0.5 to 0.75: another threshold of 0.6 is then 0.9."""
    cache = {"model": "small", "share": 0.9, "shift": 0.25, "estimated": False}
    there = {"route": "weak", "decided_route": "weak", "model": "small", "cost_usd": 0.1}
    log = [call(record, n, w, threshold=0.75, cache=cache, **there) for n, w in [(1, 0.7)]]
    assert replay(log, pricing=PRICING).n_reproduced == 1
    assert replay(log, pricing=PRICING, threshold=0.6).n_moved == 0
    assert replay(log, pricing=PRICING, threshold=0.4).n_moved == 1


def test_a_share_is_of_the_logs_own_calls(record) -> None:
    records = [call(record, n, n / 100) for n in range(100)]
    found = replay(records, pricing=PRICING, strong_share=0.2)
    assert found.replayed.n_strong == 20
    assert found.threshold == pytest.approx(0.8)


def test_a_call_that_no_win_rate_decided_stays(record) -> None:
    stays = [
        call(record, 1, 0.9, decided_reason="override", reason="override"),
        call(record, 2, 0.9, decided_reason="capability:image", win_rate=None),
    ]
    found = replay(stays, pricing=PRICING, threshold=1.0)
    assert (found.n_scored, found.n_moved, found.replayed.n_strong) == (0, 0, 2)


def test_a_sticky_call_follows_the_win_rate_of_its_turn(record) -> None:
    sticky = [call(record, 1, 0.6, decided_reason="sticky", reason="sticky")]
    assert replay(sticky, pricing=PRICING).n_reproduced == 1
    assert replay(sticky, pricing=PRICING, threshold=0.7).n_moved == 1


def test_an_escalated_call_keeps_its_bill_unless_its_decision_moves(record) -> None:
    escalated = call(record, 1, 0.2, route="strong", model="big", cost_usd=1.0)
    kept = replay([escalated], pricing=PRICING, threshold=0.4)
    assert (kept.n_moved, kept.replayed.cost_usd, kept.replayed.n_strong) == (0, 1.0, 1)
    moved = replay([escalated], pricing=PRICING, threshold=0.1)
    assert (moved.n_moved, moved.replayed.cost_usd) == (1, 1.0)


def test_calls_without_tokens_or_prices_are_in_no_bill(record) -> None:
    records = [
        call(record, 1, 0.9, output_tokens=None, cost_usd=None, strong_usd=None),
        call(record, 2, 0.9),
    ]
    found = replay(records, pricing=PRICING)
    assert (found.n_unpriced, found.actual.cost_usd) == (1, 1.0)


def test_another_router_scores_the_prompts_that_the_log_holds(record) -> None:
    records = [call(record, n, 0.9, prompt=f"p{n}", prompt_chars=2) for n in range(3)]
    router = ScriptedRouter({"p0": 0.9, "p1": 0.1, "p2": 0.2})
    found = replay(records, pricing=PRICING, router=router)
    assert (found.n_moved, found.replayed.n_strong, found.n_reproduced) == (2, 1, 3)


def test_another_router_needs_whole_prompts(record) -> None:
    cut = call(record, 1, 0.9, prompt="abc", prompt_chars=10)
    with pytest.raises(DataError, match="whole prompt"):
        replay([cut], pricing=PRICING, router=ScriptedRouter())


def test_an_empty_log_says_so() -> None:
    with pytest.raises(DataError, match="no records"):
        replay([], pricing=PRICING)


def test_a_hundred_thousand_logged_calls_replay_to_the_routes_they_took(tmp_path) -> None:
    n, rng = 100_000, np.random.default_rng(11)
    win_rates = rng.random(n)
    thresholds = np.where(rng.random(n) < 0.1, win_rates, rng.random(n))  # every tenth is a tie
    decider = make_decider(
        router=ScriptedRouter(), strong_model="big", weak_model="small", threshold=0.5
    )
    monitor = Monitor(JsonlSink(tmp_path / "log.jsonl"), prices=PRICES, queue_size=n)
    guards = make_guards(monitor=monitor)
    routes = []
    for win_rate, threshold in zip(win_rates.tolist(), thresholds.tolist(), strict=True):
        route = "strong" if win_rate >= threshold else "weak"
        decision = Decision(route, route, win_rate, threshold, "scripted", "win_rate")
        routes.append(route)
        guards.begin(decision, decider=decider, worth_escalating=bool).succeeded(Usage(10, 10))
    assert monitor.close(timeout_s=120.0)
    assert monitor.n_lost == 0
    reader = LogReader(tmp_path / "log.jsonl")
    found = replay(reader, pricing=PRICING)
    assert (found.n_calls, found.n_reproduced, found.n_moved) == (n, n, 0)
    assert found.actual.n_strong == found.replayed.n_strong == routes.count("strong")
