"""Asking several experts at once, where experts, verifiers, budgets or clocks are at fault."""

import pickle
import time

import pytest

from routellm_core import ConfigurationError, RetrySettings, Turn, make_decider
from routellm_core.answers import check, no_refusal
from routellm_core.monitoring import Price
from routellm_core.plan import Budget
from routellm_core.strategies import BestOf, Cascade, Predict
from tests.plan.test_experts import TABLE, Rating
from tests.plan.toy import WAYS, Toy

LONG = check(lambda prompt, answer: min(1.0, len(answer.text) / 20), name="long")
BROKEN = check(lambda prompt, answer: 1 / 0, name="broken")
PRICES = {f"model-{name}": Price(name, 0.0, usd) for name, usd in (("a", 1e-6), ("b", 1e-4))}


class Down(Exception):  # noqa: N818 - what a provider's error is called
    status_code = 503


@pytest.fixture(params=WAYS)
def way(request) -> str:
    return request.param


def test_a_deadline_without_an_answer_is_a_timeout(way) -> None:
    toy = Toy(
        {"a": "One.", "b": "Two."},
        BestOf(choose=LONG),
        delays={"a": 0.6, "b": 0.6},
        options={"retry": RetrySettings(deadline_s=0.1)},
    )
    with pytest.raises(TimeoutError, match="No answer within 0"):
        toy.run(way)


def test_a_verifier_that_fails_costs_no_answer(way) -> None:
    toy = Toy({"a": "One.", "b": "Two."}, BestOf(choose=BROKEN))
    assert toy.run(way) == "One."
    assert toy.decision.reason.startswith("verifier_error:")
    assert sorted(toy.asked) == ["a", "b"]


def test_scoring_ends_at_the_deadline() -> None:
    async def slow(prompt, answer):
        import asyncio

        await asyncio.sleep(5.0)
        return 1.0

    toy = Toy(
        {"a": "One.", "b": "Two."},
        BestOf(choose=check(slow, name="slow")),
        options={"retry": RetrySettings(deadline_s=0.3)},
    )
    started = time.monotonic()
    assert toy.run("adrive") == "One."
    assert time.monotonic() - started < 3.0


def test_a_wrong_setting_is_raised_although_another_expert_answers(way) -> None:
    toy = Toy({"a": ConfigurationError("No key."), "b": "Two."}, BestOf(choose=LONG))
    with pytest.raises(ConfigurationError, match="No key"):
        toy.run(way)


def test_an_empty_answer_wins_no_vote(way) -> None:
    toy = Toy({"a": ["", "", "The answer is 42."]}, BestOf(3, choose="vote"))
    assert "42" in toy.run(way)


def test_each_expert_has_its_own_tries_and_no_more(way) -> None:
    retry = RetrySettings(retries=2, backoff_s=0.0)
    toy = Toy({"a": Down(), "b": Down()}, BestOf(choose=LONG), options={"retry": retry})
    with pytest.raises(Down):
        toy.run(way)
    assert len(toy.asked) == 6


def test_over_budget_only_the_cheapest_expert_is_asked(way) -> None:
    budget = Budget(1e-9, prices=PRICES, answer_tokens=1)
    toy = Toy({"a": "One.", "b": "Two."}, BestOf(choose=LONG), options={"budget": budget})
    assert toy.run(way) == "One."
    assert (toy.asked, toy.decision.reason) == (["a"], "budget")


def test_a_plan_that_cannot_begin_gives_its_reservation_back() -> None:
    budget = Budget(1.0, prices=PRICES, answer_tokens=1)
    strategy = Cascade(LONG, accept=[])
    toy = Toy({"a": "One.", "b": "Two."}, strategy, options={"budget": budget})
    with pytest.raises(ConfigurationError, match="one level for each"):
        toy.run("drive")
    assert budget.remaining_usd == 1.0


@pytest.mark.parametrize("bad", [[[0.5, 0.5]], [[float("nan"), 0.5, 0.5]], [[2.0, 0.5, 0.5]]])
def test_qualities_that_are_none_are_a_routers_error(bad) -> None:
    class Bad(Rating):
        def qualities(self, prompts, models):
            return bad if len(prompts) else super().qualities(prompts, models)

    prices = {f"m{n}": Price(f"m{n}", 0.0, 1e-6) for n in range(3)}
    decider = make_decider(router=Bad(), experts=TABLE, strategy=Predict(1.0, prices=prices))
    decision = decider.decide(Turn("hard"))
    assert (decision.route, decision.reason) == ("best", "router_error:RouterError")


def test_strategies_can_be_pickled() -> None:
    for strategy in (BestOf(choose=no_refusal()), BestOf(3, choose="vote")):
        assert repr(pickle.loads(pickle.dumps(strategy))) == repr(strategy)
