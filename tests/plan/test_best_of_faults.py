"""Asking several experts at once, where experts, verifiers, budgets or clocks are at fault."""

import asyncio
import pickle
import time

import pytest

from routellm_core import (
    ConfigurationError,
    EmptyAnswerError,
    Monitor,
    RetrySettings,
    Turn,
    make_decider,
)
from routellm_core.answers import Answer, ToolCall, check, no_refusal
from routellm_core.monitoring import Price
from routellm_core.plan import Budget, drive
from routellm_core.strategies import BestOf, Cascade, Predict
from tests.plan.test_experts import TABLE, Rating
from tests.plan.toy import WAYS, Toy, ToyCall

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


def test_who_is_late_is_on_the_record_at_an_unknown_cost(way) -> None:
    records = []
    monitor = Monitor(records.append, prices=PRICES)
    toy = Toy(
        {"a": "One.", "b": "Two."},
        BestOf(choose=LONG, limit_s=0.1),
        delays={"b": 0.5},
        options={"monitor": monitor},
    )
    assert toy.run(way) == "One."
    assert toy.outcomes == [("a", "accepted"), ("b", "late")]
    monitor.flush()
    assert records[0].drafts_usd is None
    assert records[0].saved_usd is None


@pytest.mark.parametrize("way", ["drive", "stream"])
def test_an_expert_that_is_late_is_not_asked_again(way) -> None:
    retry = RetrySettings(retries=5, backoff_s=0.0)
    toy = Toy(
        {"a": "One.", "b": Down()},
        BestOf(choose=LONG, limit_s=0.1),
        delays={"b": 0.3},
        options={"retry": retry},
    )
    assert toy.run(way) == "One."
    time.sleep(0.8)
    assert toy.asked.count("b") <= 1


def test_each_step_has_its_own_time(way) -> None:
    toy = Toy({"a": "One.", "b": "Two."}, BestOf(choose=LONG), delays={"a": 0.05, "b": 0.2})
    toy.run(way)
    first, second = (step.seconds for step in toy.call.attempts.steps)
    assert 0.05 <= first < second
    assert second >= 0.2


def test_a_stream_that_flows_is_not_cut_by_the_time_of_an_attempt() -> None:
    class Slow(Toy):
        async def _achunks(self, route):
            for word in self.say(route).split():
                await asyncio.sleep(0.08)
                yield f"{word} "

    words = "One two three four five."
    toy = Slow(
        {"a": words, "b": "One."},
        BestOf(choose=LONG),
        options={"retry": RetrySettings(attempt_timeout_s=0.2)},
    )
    assert toy.run("astream") == words


def test_a_budget_is_asked_about_every_expert(way) -> None:
    prices = {f"model-{name}": Price(name, 0.0, 1.0) for name in "abc"}
    budget = Budget(2.5, prices=prices, answer_tokens=1)
    toy = Toy(dict.fromkeys("abc", "One."), BestOf(choose=LONG), options={"budget": budget})
    toy.run(way)
    assert sorted(toy.asked) == ["a", "b"]


class Calling(ToyCall):
    """Answers that begin with ! call a tool that nobody offered."""

    def answer_of(self, answer):
        calls = (ToolCall("unknown", "{}"),) if answer.startswith("!") else ()
        return Answer(answer, tool_calls=calls)

    def branch(self, attempts):
        return Calling(attempts, self.text)


@pytest.mark.parametrize("models", [{"a": "!One.", "b": "!Two."}, {"a": "!One.", "b": Down()}])
def test_a_call_of_an_unknown_tool_is_never_given_out(models) -> None:
    toy = Toy(models, BestOf(choose=LONG))
    call = Calling(toy.begin().attempts, "Why?")
    with pytest.raises(EmptyAnswerError, match="form that was asked for"):
        drive(call, toy.ask)
    good = Toy({"a": "!A very long answer indeed.", "b": "Two."}, BestOf(choose=LONG))
    assert drive(Calling(good.begin().attempts, "Why?"), good.ask) == "Two."
