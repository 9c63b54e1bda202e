"""Budgets: reserved before a call, settled after it."""

import threading
from datetime import datetime, timezone

import pytest

from routellm_core import (
    Budget,
    BudgetExceededError,
    ConfigurationError,
    Decision,
    Price,
    Usage,
    make_decider,
    make_guards,
)
from routellm_core.experts import Expert
from routellm_core.plan import Guards
from routellm_core.testing import ScriptedRouter

# A strong answer of 100 tokens to an empty prompt costs 1 USD, a weak one 0.1 USD.
PRICES = {"big": Price("big", 0.0, 0.01), "small": Price("small", 0.0, 0.001)}
STRONG = Decision("strong", "big", 0.9, 0.5, "scripted", "win_rate")
WEAK = Decision("weak", "small", 0.2, 0.5, "scripted", "win_rate")
DOLLAR = Usage(0, 100)


class Clock:
    def __init__(self, *when: int) -> None:
        self.now = datetime(*when, tzinfo=timezone.utc).timestamp()

    def __call__(self) -> float:
        return self.now


def budget(limit_usd: float = 10.0, **options) -> Budget:
    return Budget(limit_usd, prices=PRICES, answer_tokens=100, **options)


def reserve(capped: Budget, decision: Decision = STRONG):
    return capped.reserve(decision, cheapest=Expert("weak", "small"), prompt_chars=0)


def test_a_call_that_fits_goes_where_it_was_going() -> None:
    capped = budget()
    decision, reservation = reserve(capped)
    assert decision is STRONG
    assert capped.remaining_usd == pytest.approx(9.0)
    reservation.settle("big", Usage(0, 50))
    reservation.settle("big", Usage(0, 50))
    assert capped.spent_usd == pytest.approx(0.5)
    assert capped.remaining_usd == pytest.approx(9.5)


def test_over_budget_a_strong_call_goes_weak_and_says_why() -> None:
    capped = budget(1.5)
    reserve(capped)
    decision, _ = reserve(capped)
    assert (decision.route, decision.model, decision.reason) == ("weak", "small", "budget")
    assert (decision.win_rate, decision.threshold) == (0.9, 0.5)


def test_weak_calls_go_on_when_nothing_is_left() -> None:
    capped = budget(0.05)
    assert reserve(capped, WEAK)[0] is WEAK
    assert reserve(capped, WEAK)[0] is WEAK


@pytest.mark.parametrize("reason", ["override", "capability:image", "sticky"])
def test_a_decision_that_is_not_the_routers_choice_is_not_moved(reason: str) -> None:
    from dataclasses import replace

    decision = replace(STRONG, reason=reason)
    assert reserve(budget(0.5), decision)[0] is decision


def test_a_refusing_budget_refuses_with_figures_and_keeps_nothing_reserved() -> None:
    capped = budget(1.5, over="refuse")
    reserve(capped)[1].settle("big", DOLLAR)
    with pytest.raises(BudgetExceededError, match=r"1\.5 USD per day is used up: 1 USD spent"):
        reserve(capped)
    assert capped.remaining_usd == pytest.approx(0.5)


def test_a_call_without_an_answer_gives_its_reservation_back() -> None:
    capped = budget()
    _, reservation = reserve(capped)
    reservation.release()
    reservation.release()
    assert (capped.spent_usd, capped.remaining_usd) == (0.0, 10.0)


def test_an_answer_whose_tokens_nobody_counted_costs_its_reservation() -> None:
    capped = budget()
    _, reservation = reserve(capped)
    reservation.settle("big", None)
    assert capped.spent_usd == pytest.approx(1.0)


def test_a_model_without_a_price_is_counted_as_unpriced() -> None:
    capped = Budget(1.0, prices={})
    unknown = Decision("strong", "no-such-model", 0.9, 0.5, "scripted", "win_rate")
    _, reservation = reserve(capped, unknown)
    reservation.settle("no-such-model", DOLLAR)
    assert (capped.spent_usd, capped.n_unpriced) == (0.0, 1)


def test_the_next_reservation_is_what_calls_of_that_model_cost_so_far() -> None:
    capped = budget(100.0)
    reserve(capped)[1].settle("big", Usage(0, 500))
    _, reservation = reserve(capped)
    assert reservation.expected_usd == pytest.approx(5.0)


@pytest.mark.parametrize(
    ("period", "before", "after"),
    [
        ("hour", (2026, 3, 1, 9, 59), (2026, 3, 1, 10, 0)),
        ("day", (2026, 2, 28, 23, 59), (2026, 3, 1, 0, 0)),
        ("week", (2026, 3, 1, 23, 59), (2026, 3, 2, 0, 0)),
        ("month", (2026, 12, 31, 23, 59), (2027, 1, 1, 0, 0)),
    ],
)
def test_a_period_ends_in_utc(period, before, after) -> None:
    clock = Clock(*before)
    capped = budget(1.0, period=period, clock=clock)
    _, old = reserve(capped)
    assert reserve(capped)[0].reason == "budget"
    clock.now = Clock(*after).now
    assert capped.remaining_usd == 1.0
    decision, _ = reserve(capped)
    assert decision is STRONG
    # What was reserved before is settled into the new period, and frees nothing of it.
    old.settle("big", DOLLAR)
    assert capped.spent_usd == pytest.approx(1.0)
    assert capped.remaining_usd == pytest.approx(-1.0)


def test_a_budget_for_ever_never_begins_again() -> None:
    clock = Clock(2026, 1, 1)
    capped = budget(1.0, period="ever", clock=clock)
    reserve(capped)[1].settle("big", DOLLAR)
    clock.now += 1e9
    assert capped.spent_usd == pytest.approx(1.0)


def test_a_hundred_parallel_calls_at_the_edge_overshoot_by_what_was_misjudged_only() -> None:
    # Ten dollars are left and each call is judged at one dollar, while it costs 1.2.
    capped = budget(10.0)
    guards = make_guards(budget=capped)
    decider = make_decider(router=ScriptedRouter(), strong_model="big", weak_model="small")
    begun, together = threading.Barrier(100), []

    def call() -> None:
        attempts = guards.begin(STRONG, decider=decider, worth_escalating=bool)
        begun.wait()  # all hundred are in flight before one is settled
        together.append(attempts.decision.route)
        tokens = 120 if attempts.decision.route == "strong" else 100
        attempts.succeeded(Usage(0, tokens))

    threads = [threading.Thread(target=call) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together.count("strong") == 10
    strong_usd, weak_usd = 10 * 1.2, 90 * 0.1
    assert capped.spent_usd == pytest.approx(strong_usd + weak_usd)
    assert reserve(capped)[0].reason == "budget"


def test_a_failed_call_pays_nothing_and_a_broken_stream_what_it_was_judged_at() -> None:
    capped = budget(10.0)
    guards = Guards(budget=capped)
    decider = make_decider(router=ScriptedRouter(), strong_model="big", weak_model="small")
    attempts = guards.begin(STRONG, decider=decider, worth_escalating=bool)
    assert not attempts.failed(ConnectionError())
    assert capped.spent_usd == 0.0
    attempts = guards.begin(STRONG, decider=decider, worth_escalating=bool)
    attempts.commit()
    assert not attempts.failed(ConnectionError())
    assert capped.spent_usd == pytest.approx(1.0)
    assert capped.remaining_usd == pytest.approx(9.0)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("limit_usd", {"limit_usd": 0.0}),
        ("limit_usd", {"limit_usd": float("nan")}),
        ("period", {"limit_usd": 1.0, "period": "fortnight"}),
        ("over", {"limit_usd": 1.0, "over": "panic"}),
        ("answer_tokens", {"limit_usd": 1.0, "answer_tokens": -1}),
    ],
)
def test_a_wrong_setting_is_named(name: str, options: dict) -> None:
    with pytest.raises(ConfigurationError, match=f"`{name}`"):
        Budget(**options)


@pytest.mark.parametrize("name", ["retry", "breaker", "budget"])
def test_a_guard_that_is_none_is_named(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"`{name}`"):
        make_guards(**{name: "often"})


def test_a_pickled_budget_starts_unspent() -> None:
    import pickle

    capped = Budget(2.0, prices=PRICES)
    reserve(capped)[1].settle("big", DOLLAR)
    twin = pickle.loads(pickle.dumps(capped))
    assert (twin.spent_usd, twin.limit_usd) == (0.0, 2.0)
