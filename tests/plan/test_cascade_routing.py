"""Cascade routing: the expectation, its two limits, and what it asks by each way."""

import math

import numpy as np
import pytest

from routellm_core import ConfigurationError, Turn, make_decider
from routellm_core.answers import check
from routellm_core.experts import Expert, ExpertTable
from routellm_core.monitoring import Price
from routellm_core.plan.steps import Report
from routellm_core.strategies import CascadeRouting, Predict, expected_maximum
from routellm_core.testing import ScriptedRouter
from routellm_core.types import Decision
from tests.plan.toy import WAYS, Toy

NAMES = ("a", "b", "c")
USD = (0.1, 0.3, 0.9)
PRICES = {f"model-{n}": Price(n, 0.0, usd / 500) for n, usd in zip(NAMES, USD, strict=True)}
SAID = check(lambda prompt, answer: float(answer.text.split()[-1]), name="said")


class Rating(ScriptedRouter):
    """Rate the experts as it is told."""

    def __init__(self, qualities):
        super().__init__({}, default=0.5)
        self.rated = qualities

    def qualities(self, prompts, models):
        return np.array([[self.rated[model[-1]] for model in models] for _ in prompts]).reshape(
            -1, len(models)
        )


def rule(weight=0.2, spread=(0.3, 0.05), **options) -> CascadeRouting:
    return CascadeRouting(SAID, quality_per_usd=weight, spread=spread, prices=PRICES, **options)


def asked(rule: CascadeRouting, qualities, scores) -> list[str]:
    """Return the experts that a plan asks, when their answers score so."""
    table = ExpertTable(Expert(n, f"model-{n}") for n in NAMES[: len(qualities)])
    router = Rating(dict(zip(NAMES, qualities, strict=False)))
    decision: Decision = make_decider(router=router, experts=table, strategy=rule).decide(Turn("x"))
    plan, names = rule.plan(decision, table), []
    try:
        step = next(plan)
        while True:
            names.append(step.expert)
            step = plan.send(Report(score=scores[step.expert]))
    except StopIteration:
        return names


@pytest.mark.parametrize("n", [2, 3, 4])
def test_the_expected_maximum_is_that_of_a_simulation(n) -> None:
    rng = np.random.default_rng(n)
    means, spreads = rng.uniform(size=n), rng.uniform(0.05, 0.5, size=n)
    drawn = rng.normal(means, spreads, size=(400_000, n)).max(axis=1)
    expected = expected_maximum(means.tolist(), spreads.tolist())
    assert expected == pytest.approx(drawn.mean(), abs=4 * drawn.std() / math.sqrt(len(drawn)))


def test_for_two_the_integral_equals_clarks_closed_form() -> None:
    rng = np.random.default_rng(0)
    for means, spreads in zip(
        rng.uniform(size=(50, 2)), rng.uniform(0.01, 0.6, size=(50, 2)), strict=True
    ):
        certain_third = [*means.tolist(), -9.0], [*spreads.tolist(), 0.0]
        closed = expected_maximum(means.tolist(), spreads.tolist())
        assert expected_maximum(*certain_third) == pytest.approx(closed, abs=2e-5)


def test_certain_qualities_have_their_own_maximum() -> None:
    assert expected_maximum([0.2, 0.7, 0.5], [0.0, 0.0, 0.0]) == 0.7
    assert expected_maximum([0.2, 0.7], [0.0, 0.0]) == 0.7


def test_single_experts_are_prediction() -> None:
    rng = np.random.default_rng(3)
    for qualities in rng.uniform(size=(200, 3)):
        single = asked(rule(subsets="single"), qualities, dict.fromkeys(NAMES, 0.0))
        costs = np.array(USD)
        best = int((qualities - 0.2 * costs).argmax())
        assert single == [NAMES[best]]
    assert issubclass(CascadeRouting, Predict)


def test_prefixes_are_a_cascade_with_one_level() -> None:
    weight, spread = 0.2, 0.3
    # The level at which going on is worth exactly nothing.
    low, high = 0.0, 2.0
    for _ in range(60):
        middle = (low + high) / 2
        gain = expected_maximum([middle, 0.7], [0.0, spread]) - middle
        low, high = (middle, high) if gain > weight * USD[1] else (low, middle)
    chosen = rule(weight, (spread, 0.0), subsets="prefix")
    for score in np.linspace(0.0, 1.0, 101):
        if abs(score - high) < 1e-6:
            continue
        names = asked(chosen, (0.6, 0.7), {"a": float(score), "b": 0.5})
        assert names == (["a", "b"] if score < high else ["a"])


def test_any_subset_may_leave_an_expert_out() -> None:
    scores = {"a": 0.05, "b": 0.1, "c": 0.9}
    assert asked(rule(0.05, (0.1, 0.05)), (0.2, 0.2, 0.95), scores) == ["c"]
    assert asked(rule(0.5, (0.1, 0.05)), (0.6, 0.1, 0.9), scores) == ["a", "c"]


@pytest.mark.parametrize("way", WAYS)
def test_the_answer_of_the_highest_score_is_given_out(way) -> None:
    router = Rating({"a": 0.6, "b": 0.7})
    toy = Toy({"a": "It is 0.9", "b": "It is 0.95"}, rule(), router=router)
    assert toy.run(way) == "It is 0.9"
    assert (toy.decision.route, toy.decision.reason) == ("a", "accepted:said")
    assert toy.asked == ["a"]
    eager = Toy({"a": "It is 0.4", "b": "It is 0.1"}, rule(0.01), router=router)
    eager.run(way)
    assert eager.asked == ["a", "b"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"subsets": "some"}, "`subsets` must be"),
        ({"spread": (0.1, -0.1)}, "`spread` must be"),
        ({"weight": -1.0}, "at least 0"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused(options, says) -> None:
    with pytest.raises(ConfigurationError, match=says):
        rule(**options)
