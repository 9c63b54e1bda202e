"""Three experts or more, where some cannot take the call: every rule keeps to those that can."""

import pytest

from routellm_core import Capabilities, ConfigurationError, Overrides, Turn, make_decider
from routellm_core.answers import no_refusal
from routellm_core.experts import Expert, ExpertTable
from routellm_core.plan import Budget, make_guards
from routellm_core.strategies import Cascade, Hybrid, Predict
from routellm_core.testing import ScriptedRouter
from tests.plan.test_experts import PRICES, TABLE, Rating

BLIND = Capabilities(modalities=frozenset())
LAST_BLIND = ExpertTable([*list(TABLE)[:2], Expert("best", "m2", BLIND)])
FIRST_BLIND = ExpertTable([Expert("fast", "m0", BLIND), *list(TABLE)[1:]])
IMAGE = frozenset({"image"})
HYBRID = Hybrid(no_refusal(), accept=0.5, band=(0.4, 0.6))


class Failing(ScriptedRouter):
    """Fail at every text."""

    def _win_rates(self, prompts):
        raise RuntimeError("no")


def decide(experts, *, text="Look", router=None, strategy=HYBRID, overrides=None, **options):
    decider = make_decider(
        router=router or ScriptedRouter({}, default=0.9),
        threshold=0.5,
        experts=experts,
        strategy=strategy,
        **options,
    )
    return decider.decide(Turn(text, modalities=IMAGE), overrides or Overrides())


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, "win_rate"),
        ({"text": ""}, "empty_prompt"),
        ({"router": Failing({})}, "router_error:RuntimeError"),
        ({"overrides": Overrides(threshold=0.1)}, "win_rate"),
    ],
)
def test_strong_is_the_last_expert_that_can_take_the_call(options, reason) -> None:
    decision = decide(LAST_BLIND, **options)
    assert (decision.route, decision.reason) == ("coder", reason)
    assert "best" not in decision.order


def test_weak_is_the_first_expert_that_can_take_the_call() -> None:
    low = ScriptedRouter({}, default=0.1)
    assert decide(FIRST_BLIND, router=low).route == "coder"
    assert decide(FIRST_BLIND, text="", on_empty_prompt="weak").route == "coder"


def test_only_experts_that_can_take_the_call_follow_a_failure() -> None:
    blind_middle = ExpertTable([TABLE["fast"], Expert("coder", "m1", BLIND), TABLE["best"]])
    decider = make_decider(
        router=ScriptedRouter({}, default=0.1), experts=blind_middle, strategy=HYBRID
    )
    for overrides in (Overrides(), Overrides(route="fast")):
        decision = decider.decide(Turn("Look", modalities=IMAGE), overrides)
        attempts = make_guards().begin(decision, decider=decider, worth_escalating=lambda _: True)
        routes = [attempts.decision.route]
        while attempts.failed(TimeoutError()):
            routes.append(attempts.decision.route)
        assert routes == ["fast", "best"]


def test_a_route_that_cannot_take_the_call_is_followed_by_those_that_can() -> None:
    decision = decide(FIRST_BLIND, overrides=Overrides(route="fast"))
    decider = make_decider(
        router=ScriptedRouter({}, default=0.1), experts=FIRST_BLIND, strategy=HYBRID
    )
    attempts = make_guards().begin(decision, decider=decider, worth_escalating=lambda _: True)
    assert attempts.failed(TimeoutError())
    assert attempts.decision.route == "coder"


def test_over_budget_a_call_goes_to_the_cheapest_expert_that_can_take_it() -> None:
    strategy = Predict(0.0, prices=PRICES)
    decider = make_decider(router=Rating(), experts=FIRST_BLIND, strategy=strategy)
    decision = decider.decide(Turn("middle", modalities=IMAGE))
    guards = make_guards(budget=Budget(1e-9, prices=PRICES))
    attempts = guards.begin(decision, decider=decider, worth_escalating=lambda _: True)
    assert decision.route == "best"
    assert (attempts.decision.route, attempts.decision.reason) == ("coder", "budget")


def test_a_threshold_is_refused_where_there_is_no_win_rate() -> None:
    strategy = Predict(0.0, prices=PRICES)
    with pytest.raises(ConfigurationError, match="needs a win rate"):
        decide(TABLE, router=Rating(), strategy=strategy, overrides=Overrides(threshold=0.5))
    cascade = Cascade(no_refusal(), accept=0.5)
    assert decide(TABLE, strategy=cascade, overrides=Overrides(threshold=0.5)).route == "best"
