"""What tells two experts of one model apart, and what the difference costs."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from routellm_core import (
    Budget,
    Calibration,
    CallRecord,
    ConfigurationError,
    Decision,
    Price,
    Usage,
    make_decider,
)
from routellm_core.experts import Expert, ExpertTable, Variant, effort_pair, with_settings
from routellm_core.monitoring.endings import Pricing
from routellm_core.monitoring.replay import replay
from routellm_core.policy import Overrides, Turn
from routellm_core.strategies import Predict
from routellm_core.testing import ScriptedRouter
from tests.effort.conftest import HARD, HIGH, LOW, MODEL

PRICES = {MODEL: Price(MODEL, input_usd=1e-6, output_usd=4e-6)}


def pair(**tokens: float) -> ExpertTable:
    return ExpertTable(
        Expert(name, MODEL, settings={"reasoning_effort": effort}, answer_tokens=tokens.get(name))
        for name, effort in (("weak", "low"), ("strong", "high"))
    )


def test_experts_of_one_model_are_told_apart_by_what_differs() -> None:
    assert [expert.label for expert in pair()] == [LOW, HIGH]
    table = ExpertTable(
        [
            Expert("a", "m", settings={"temperature": 0, "thinking": {"type": "disabled"}}),
            Expert("b", "m", settings={"temperature": 0}),
            Expert("c", "other", settings={"temperature": 1}),
        ]
    )
    labels = [expert.label for expert in table]
    assert labels == ['m (thinking={"type":"disabled"})', "m (thinking=null)", "other"]


def test_different_models_keep_their_names_whatever_their_settings() -> None:
    table = ExpertTable(
        [Expert("weak", "a", settings={"reasoning_effort": "low"}), Expert("strong", "b")]
    )
    assert [expert.label for expert in table] == ["a", "b"]
    assert not table.differs_by_effort


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ({"reasoning_effort": "low"}, {"reasoning_effort": "high"}, True),
        ({"reasoning_effort": "low"}, {"thinking": {"type": "enabled"}}, True),
        ({"reasoning_effort": "low"}, {}, True),
        ({"reasoning_effort": "low", "top_p": 1}, {"reasoning_effort": "high"}, False),
        ({"temperature": 0}, {"temperature": 1}, False),
        ({}, {}, False),
    ],
)
def test_experts_that_differ_by_effort_alone_are_known(
    first: dict[str, Any], second: dict[str, Any], *, expected: bool
) -> None:
    table = ExpertTable(
        [Expert("weak", "m", settings=first), Expert("strong", "m", settings=second)]
    )
    assert table.differs_by_effort is expected
    assert table.own_effort({"reasoning_effort": "medium"}) is expected
    assert not table.own_effort({"temperature": 1, "reasoning_effort": None})


@pytest.mark.parametrize("name", ["api_key", "base_url", "model", "messages", "tools"])
def test_settings_say_how_a_model_is_asked_and_not_where_or_what(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"`{name}` is no setting"):
        Variant("m", **{name: "x"})


def test_a_variant_needs_a_setting_and_a_pair_two_efforts() -> None:
    with pytest.raises(ConfigurationError, match="needs a setting"):
        Variant("m")
    with pytest.raises(ConfigurationError, match="must differ"):
        effort_pair("m", weak="high")


def test_a_variant_of_a_variant_has_the_settings_of_both() -> None:
    variant = Variant(Variant("m", temperature=0, top_p=1), temperature=1)
    assert (variant.model, variant.settings) == ("m", {"temperature": 1, "top_p": 1})
    assert pickle.loads(pickle.dumps(variant)) == variant


def test_a_calls_own_settings_go_before_an_experts() -> None:
    own = {"temperature": 0.5, "reasoning": {"effort": "medium"}}
    assert with_settings({"reasoning_effort": "low", "temperature": 1}, own) == own


@pytest.mark.parametrize("bad", [{"strng": 3}, {"strong": -1}, {"strong": True}, ["strong"]])
def test_expected_tokens_that_cannot_be_used_are_refused(bad: Any) -> None:
    with pytest.raises(ConfigurationError, match="answer_tokens"):
        pair().with_answer_tokens(bad)


def test_more_tokens_are_known_from_both_experts_or_not_at_all() -> None:
    assert pair(weak=100, strong=900).more_tokens("weak") == 800
    assert pair(weak=100, strong=900).more_tokens("strong") == 0
    assert pair(strong=900).more_tokens("weak") is None
    others = ExpertTable.of_pair(strong_model="a", weak_model="b")
    assert others.more_tokens("weak") == 0


def decider(**options: Any) -> Any:
    return make_decider(router=ScriptedRouter({HARD: 0.9}, default=0.1), **options)


def test_a_calls_own_effort_asks_no_router_and_keeps_a_turns_route() -> None:
    decided = decider(experts=pair(), threshold=0.5)
    own = Overrides(own_effort=True)
    decision = decided.decide(Turn(HARD), own)
    assert (decision.route, decision.reason, decision.win_rate) == ("weak", "own_effort", None)
    kept = decided.decide(Turn(HARD, record={"route": "strong"}), own)
    assert (kept.route, kept.reason) == ("strong", "own_effort")
    forced = decided.decide(Turn(HARD), Overrides(route="strong", own_effort=True))
    assert (forced.route, forced.reason) == ("strong", "override")


class Calibrated(ScriptedRouter):
    """A router that has counted tokens, or not."""

    def __init__(self, tokens: list[list[float]] | None) -> None:
        super().__init__({HARD: 0.9}, default=0.1)
        self.counted = None if tokens is None else np.array(tokens, dtype=np.float64)

    @property
    def calibration(self) -> Calibration:
        quantiles = np.linspace(0.0, 1.0, 3)
        return Calibration(quantiles, n_prompts=2, source="test", tokens=self.counted)


def priced(router: Calibrated, **options: Any) -> float:
    table = ExpertTable(
        Expert(name, "gpt-4o", settings={"reasoning_effort": effort})
        for name, effort in (("weak", "low"), ("strong", "high"))
    )
    return make_decider(router=router, experts=table, **options).policy.threshold


def test_a_cost_is_met_by_what_each_effort_writes() -> None:
    # gpt-4o: 2.5 and 10 US dollars a million tokens. Weak 0.01, strong 0.03: half each is 0.02.
    alone = {"max_cost": 0.02, "call_tokens": (0.0, 1_000.0)}
    threshold = priced(Calibrated(None), **alone, answer_tokens={"weak": 1_000, "strong": 3_000})
    assert threshold == pytest.approx(0.5)
    counted = Calibrated([[0.0, 3_000.0, 1_000.0]] * 2)
    assert priced(counted, max_cost=0.02) == pytest.approx(0.5)
    # One length for both leaves nothing to save: the price alone sees no difference.
    assert priced(Calibrated(None), **alone) == pytest.approx(0.0)


def test_the_calibrations_counts_are_the_pairs_expected_tokens() -> None:
    router = Calibrated([[10.0, 3_000.0, 1_000.0], [10.0, 5_000.0, 1_000.0]])
    experts = make_decider(router=router, experts=pair()).policy.experts
    assert experts.more_tokens("weak") == 3_000
    given = make_decider(router=router, experts=pair(), answer_tokens={"weak": 500})
    assert given.policy.experts.more_tokens("weak") == 3_500
    equal = Calibrated([[10.0, 700.0, 700.0]] * 2)
    assert make_decider(router=equal, experts=pair()).policy.experts.more_tokens("weak") is None


def test_predict_counts_each_experts_own_tokens() -> None:
    strategy = Predict(quality_per_usd=1.0, prices=PRICES)
    costs = strategy.costs(pair(weak=100, strong=2_000), prompt_chars=400)
    assert costs.tolist() == pytest.approx([1e-4 + 4e-4, 1e-4 + 8e-3])
    assert strategy.rated(pair()) == [LOW, HIGH]


def test_a_budget_expects_and_learns_each_experts_own_cost() -> None:
    budget = Budget(1.0, prices=PRICES)
    table = pair(weak=100, strong=2_000)

    def reserved(name: str) -> float:
        expert = table[name]
        decision = Decision(name, expert.label, 0.5, 0.5, "mf", "win_rate")
        _, reservation = budget.reserve(
            decision, cheapest=table.cheapest, prompt_chars=0, answer_tokens=table.answer_tokens
        )
        expected = reservation.expected_usd
        reservation.settle(expert.label, Usage(0, 3_000 if name == "strong" else 50))
        return expected

    assert (reserved("weak"), reserved("strong")) == pytest.approx((4e-4, 8e-3))
    assert (reserved("weak"), reserved("strong")) == pytest.approx((2e-4, 12e-3))


def test_a_label_has_its_models_price_unless_it_has_one_of_its_own() -> None:
    assert Pricing(PRICES).price(HIGH) == PRICES[MODEL]
    own = Price(MODEL, 2e-6, 8e-6)
    assert Pricing({**PRICES, HIGH: own}).price(HIGH) == own


def call(route: str, output_tokens: int, win_rate: float, **changes: Any) -> CallRecord:
    record = CallRecord(
        call_id="1", started_at=1.7e9, outcome="answered", route=route,
        model=LOW if route == "weak" else HIGH, reason="win_rate", decided_route=route,
        decided_reason="win_rate", win_rate=win_rate, threshold=0.5, router="mf",
        strong_model=HIGH, weak_model=LOW, input_tokens=0, output_tokens=output_tokens,
    )  # fmt: skip
    return replace(record, **changes)


def test_a_replay_prices_a_moved_call_at_the_other_efforts_length() -> None:
    log = [call("weak", 100, 0.1), call("weak", 300, 0.4), call("strong", 1_200, 0.9)]
    found = replay(log, pricing=Pricing(PRICES), threshold=0.3)
    assert (found.n_moved, found.n_unpriced) == (1, 0)
    assert found.actual.cost_usd == pytest.approx(4e-6 * 1_600)
    # The second call thinks as much more as strong answers (1,200) do than weak ones (200).
    assert found.replayed.cost_usd == pytest.approx(4e-6 * (100 + 1_300 + 1_200))
    assert found.actual.saved_usd == pytest.approx(4e-6 * 2_000)


def test_a_replay_without_an_answer_at_the_other_effort_knows_no_price() -> None:
    found = replay([call("weak", 100, 0.4)], pricing=Pricing(PRICES), threshold=0.3)
    assert found.n_unpriced == 1
