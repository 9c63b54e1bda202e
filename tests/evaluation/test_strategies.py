"""Strategies on answered prompts: their curves, levels and prices, against plain loops."""

import numpy as np
import pytest

from routellm_core import ConfigurationError
from routellm_core.evaluation.strategies import (
    PairOutcomes,
    accept_level_for,
    best_of_curve,
    break_even_rejection,
    cascade_curve,
    experts_curve,
    hybrid_curve,
    oracle_curve,
    predictive_curve,
    quality_at_cost,
)


@pytest.fixture
def world():
    rng = np.random.default_rng(0)
    hardness = rng.uniform(size=400)
    weak = (rng.uniform(size=400) > hardness).astype(float)
    strong = (rng.uniform(size=400) > hardness / 3).astype(float)
    pair = PairOutcomes.of(weak, strong, 0.1, rng.uniform(0.8, 1.2, size=400))
    scores = np.round(np.clip(weak * 0.5 + rng.uniform(0.0, 0.6, size=400), 0, 1), 2)
    return hardness, scores, pair


def test_a_cascade_pays_for_the_draft_and_the_verifier_of_every_call(world) -> None:
    _, scores, pair = world
    curve = cascade_curve(scores, pair, verifier_usd=0.02)
    for cost, quality, accept in zip(*curve[1:], strict=True):
        rejected = scores < accept
        paid = pair.weak_usd + 0.02 + np.where(rejected, pair.strong_usd, 0.0)
        assert cost == pytest.approx(paid.mean())
        assert quality == pytest.approx(np.where(rejected, pair.strong, pair.weak).mean())
    assert curve.cost[0] == pytest.approx(0.12)
    assert curve.cost[-1] == pytest.approx(0.12 + pair.strong_usd.mean())


def test_a_hybrid_without_a_band_is_prediction_and_with_all_of_it_a_cascade(world) -> None:
    rates, scores, pair = world
    curve = hybrid_curve(rates, scores, pair, verifier_usd=0.02)
    rest = np.arange(1, 400, 2)
    for cost, quality, (low, high, accept) in zip(*curve[1:], strict=True):
        at_once = rates[rest] >= high
        between = (rates[rest] >= low) & ~at_once
        strong = at_once | (between & (scores[rest] < accept))
        paid = np.where(at_once, 0.0, 0.1) + 0.02 * between + strong * pair.strong_usd[rest]
        assert cost == pytest.approx(paid.mean())
        assert quality == pytest.approx(np.where(strong, pair.strong[rest], pair.weak[rest]).mean())


def test_a_good_verifier_beats_the_router_and_the_hybrid_loses_little_to_either(world) -> None:
    rates, scores, pair = world
    predict = predictive_curve(rates, pair)
    cascade = cascade_curve(scores, pair)
    hybrid = hybrid_curve(rates, scores, pair)
    at = {c.name: quality_at_cost(c, 0.5) for c in (predict, cascade, hybrid)}
    assert at["cascade"] > at["predict"]
    assert at["hybrid"] > at["predict"] - 0.03
    assert quality_at_cost(oracle_curve(pair), 0.5) >= max(at.values()) - 1e-9


def test_an_oracle_best_of_two_has_the_mean_of_the_better_answers(world) -> None:
    _, _, pair = world
    both = np.stack([pair.weak, pair.strong], axis=1)
    cost = np.stack([pair.weak_usd, pair.strong_usd], axis=1)
    best = best_of_curve(both, both, cost)
    assert best.quality[0] == pytest.approx(both.max(axis=1).mean())
    assert best.cost[0] == pytest.approx(cost.sum(axis=1).mean())


def test_experts_with_perfect_estimates_reach_the_hull(world) -> None:
    _, _, pair = world
    both = np.stack([pair.weak, pair.strong], axis=1)
    cost = np.stack([pair.weak_usd, pair.strong_usd], axis=1)
    curve = experts_curve(both, both, cost)
    assert curve.cost[0] == pytest.approx(0.1)
    assert curve.quality[-1] == pytest.approx(both.max(axis=1).mean())
    assert quality_at_cost(curve, 0.3) == pytest.approx(
        quality_at_cost(oracle_curve(pair), 0.3), abs=0.01
    )


def test_the_level_for_a_cost_is_the_best_of_all_levels(world) -> None:
    _, scores, pair = world
    found = accept_level_for(scores, pair, max_cost=0.5)
    curve = cascade_curve(scores, pair)
    assert found.quality == max(curve.quality[curve.cost <= 0.5])
    assert found.cost <= 0.5
    assert found.rejected == pytest.approx((scores < found.accept).mean())
    assert found.break_even == pytest.approx(1 - 0.1 / pair.strong_usd.mean())


def test_the_level_for_a_quality_is_the_cheapest_of_all_levels(world) -> None:
    _, scores, pair = world
    found = accept_level_for(scores, pair, min_quality=0.9)
    curve = cascade_curve(scores, pair)
    kept = curve.quality >= 0.9 * pair.strong.mean()
    assert found.cost == curve.cost[kept].min()


def test_what_no_level_reaches_is_refused(world) -> None:
    _, scores, pair = world
    with pytest.raises(ConfigurationError, match="at least 0.1"):  # noqa: RUF043
        accept_level_for(scores, pair, max_cost=0.05)
    with pytest.raises(ConfigurationError, match="either"):
        accept_level_for(scores, pair)
    with pytest.raises(ConfigurationError, match="to measure on"):
        hybrid_curve(scores, scores, pair, fitted_on=np.arange(400))
    assert np.isnan(quality_at_cost(cascade_curve(scores, pair), 0.05))


def test_a_cascade_is_worth_it_below_the_break_even_share_of_rejections() -> None:
    assert break_even_rejection(weak_usd=0.05, strong_usd=1.0, verifier_usd=0.05) == 0.9
    assert break_even_rejection(weak_usd=2.0, strong_usd=1.0) == 0.0
    with pytest.raises(ConfigurationError, match="above 0"):
        break_even_rejection(weak_usd=0.1, strong_usd=0.0)
