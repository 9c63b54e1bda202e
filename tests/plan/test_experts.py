"""N experts: the table, the choice by quality and cost, and the exact weight of cost."""

import asyncio

import numpy as np
import pytest

from routellm_core import (
    Capabilities,
    ConfigurationError,
    Overrides,
    Turn,
    load_router,
    make_decider,
)
from routellm_core.experts import Expert, ExpertTable
from routellm_core.monitoring import Price
from routellm_core.routers.base import Router
from routellm_core.strategies import Predict, quality_per_usd_for
from routellm_core.types import ModelPair

QUALITY = {"easy": (0.8, 0.8, 0.9), "hard": (0.1, 0.4, 0.9), "middle": (0.3, 0.8, 0.85)}
PRICES = {f"m{n}": Price(f"m{n}", 0.0, usd) for n, usd in enumerate((1e-6, 1e-5, 1e-4))}
TABLE = ExpertTable(Expert(name, f"m{n}") for n, name in enumerate(("fast", "coder", "best")))


class Rating(Router):
    """Know three models' qualities on three prompts."""

    name = "rating"
    inline = True
    pair = ModelPair("m2", "m0")

    def _win_rates(self, prompts):
        rows = np.array([QUALITY[prompt] for prompt in prompts])
        return (1.0 + rows[:, 2] - rows[:, 0]) / 2

    def qualities(self, prompts, models):
        columns = [int(model[1:]) for model in models]
        return np.array([QUALITY[prompt] for prompt in prompts]).reshape(-1, 3)[:, columns]


def decider(quality_per_usd, *, experts=TABLE, **options):
    strategy = Predict(quality_per_usd, prices=PRICES, **options)
    return make_decider(router=Rating(), experts=experts, strategy=strategy)


@pytest.mark.parametrize(
    ("prompt", "quality_per_usd", "route", "order"),
    [
        ("easy", 0.0, "best", ("best",)),
        ("easy", 10.0, "fast", ("fast", "coder", "best")),
        ("hard", 10.0, "best", ("best",)),
        ("middle", 10.0, "coder", ("coder", "best")),
        ("hard", 1e6, "fast", ("fast", "coder", "best")),
    ],
)
def test_a_call_goes_where_quality_less_cost_is_highest(
    prompt, quality_per_usd, route, order
) -> None:
    made = decider(quality_per_usd)
    for decision in (
        made.decide(Turn(prompt)),
        asyncio.run(made.adecide(Turn(prompt))),
        made.decide_many([Turn(prompt)], [Overrides()])[0],
    ):
        assert (decision.route, decision.reason, decision.order) == (route, "expert", order)
        assert decision.record()["route"] == route


def test_an_expert_that_cannot_take_the_call_is_left_out() -> None:
    blind = Capabilities(modalities=frozenset())
    table = ExpertTable([*list(TABLE)[:2], Expert("best", "m2", blind)])
    decision = decider(0.0, experts=table).decide(Turn("hard", modalities=frozenset({"image"})))
    assert decision.route == "coder"


def test_two_experts_equal_a_threshold_on_the_win_rate() -> None:
    rng = np.random.default_rng(0)
    pair = ExpertTable.of_pair(strong_model="m2", weak_model="m0")
    usd = 500 * (1e-4 - 1e-6)

    class Random(Rating):
        values = rng.uniform(size=(200, 2))

        def _win_rates(self, prompts):
            rows = self.values[[int(prompt) for prompt in prompts]]
            return (1.0 + rows[:, 1] - rows[:, 0]) / 2

        def qualities(self, prompts, models):
            rows = self.values[[int(prompt) for prompt in prompts]].reshape(-1, 2)
            return rows[:, [{"m0": 0, "m2": 1}[model] for model in models]]

    for weight in (0.5, 3.0, 10.0):
        by_cost = make_decider(
            router=Random(), experts=pair, strategy=Predict(weight, prices=PRICES)
        )
        by_win_rate = make_decider(
            router=Random(), experts=pair, threshold=min(1.0, (1 + weight * usd) / 2)
        )
        routes = [
            [d.decide(Turn(str(n))).route for n in range(200)] for d in (by_cost, by_win_rate)
        ]
        assert routes[0] == routes[1]
        assert {*routes[0]} == {"strong", "weak"}


def test_the_exact_weight_meets_a_budget_that_bisection_only_approaches() -> None:
    rng = np.random.default_rng(1)
    quality, cost = rng.uniform(size=(300, 4)), rng.uniform(0.1, 2.0, size=(300, 4))

    def spent(weight: float) -> tuple[float, float]:
        best = (quality - weight * cost).argmax(axis=1)
        rows = np.arange(len(best))
        return cost[rows, best].mean(), quality[rows, best].mean()

    for budget in (0.5, 0.6, 0.8, 1.0, 1.1):
        exact = quality_per_usd_for(quality, cost, max_cost=budget)
        at = spent(np.nextafter(exact.quality_per_usd, np.inf))
        assert at == pytest.approx((exact.mean_cost, exact.mean_quality))
        assert exact.mean_cost <= budget
        low, high = 0.0, 1e6
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if spent(middle)[0] > budget else (low, middle)
        assert exact.mean_quality >= spent(high)[1] - 1e-12
        if exact.next_mean_cost is not None:
            assert exact.next_mean_cost > budget
            mixed = exact.mean_cost + exact.mix * (exact.next_mean_cost - exact.mean_cost)
            assert mixed == pytest.approx(budget)


def test_the_largest_weight_keeps_a_quality() -> None:
    quality, cost = np.array([[0.2, 0.9], [0.8, 0.9]]), np.array([[1.0, 3.0], [1.0, 3.0]])
    found = quality_per_usd_for(quality, cost, min_quality=0.85)
    assert (found.mean_cost, found.mean_quality) == (2.0, pytest.approx(0.85))
    with pytest.raises(ConfigurationError, match=r"at most 0\.9"):
        quality_per_usd_for(quality, cost, min_quality=0.95)
    with pytest.raises(ConfigurationError, match="at least 1 US"):
        quality_per_usd_for(quality, cost, max_cost=0.5)


def test_the_bundled_router_rates_more_than_two_models() -> None:
    router = load_router("mf")
    names = [router.models[n] for n in (0, 3, 7)]
    rated = router.qualities(["Hi", "Prove that there are infinitely many primes."], names)
    np.testing.assert_array_equal(
        rated, router.quality(["Hi", "Prove that there are infinitely many primes."])[:, [0, 3, 7]]
    )
    assert router.qualities([], names).shape == (0, 3)


def test_a_router_of_a_pair_rates_its_two_models_by_the_win_rate_and_no_others() -> None:
    class Pair(Rating):
        qualities = Router.qualities

    np.testing.assert_allclose(Pair().qualities(["hard"], ["m0", "m2"]), [[0.1, 0.9]])
    with pytest.raises(ConfigurationError, match="cannot rate"):
        Pair().qualities(["hard"], ["m0", "m1"])


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: ExpertTable([]), "At least one"),
        (lambda: ExpertTable([Expert("a", "x"), Expert("a", "y")]), "'a'"),
        (lambda: Expert(" a", "x"), "without blanks"),
        (lambda: TABLE.check("fsat"), "Did you mean 'fast'"),
        (lambda: Predict(-1.0), "at least 0"),
        (lambda: decider(None), "compares two models"),
        (lambda: decider(1.0, models={"fsat": "m0"}), "'fsat'"),
        (lambda: decider(1.0, experts=ExpertTable([Expert("a", "m9")])), "price of 'm9'"),
    ],
)
def test_what_cannot_be_used_is_refused(make, says) -> None:
    with pytest.raises(ConfigurationError, match=says):
        make()
