"""Thresholds for shares, costs and quality floors, and what their intervals promise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routellm_core.calibration import (
    calibrate_cost,
    calibrate_quality,
    calibrate_share,
    future_share_interval,
    share_interval,
)
from routellm_core.calibration.beta import beta_binomial_interval, beta_cdf, beta_quantile
from routellm_core.calibration.quality import lower_bound
from routellm_core.errors import ConfigurationError

levels = st.floats(0.001, 0.999)


# The beta distribution


@given(levels, st.integers(1, 40), st.integers(1, 40))
def test_the_beta_cdf_is_a_binomial_tail(x: float, k: int, rest: int) -> None:
    # P(Beta(k, n - k + 1) <= x) = P(Binomial(n, x) >= k).
    n = k + rest - 1
    from math import comb

    tail = sum(comb(n, j) * x**j * (1 - x) ** (n - j) for j in range(k, n + 1))
    assert beta_cdf(x, k, rest) == pytest.approx(tail, abs=1e-12)


@given(levels, st.integers(1, 20_000), st.integers(1, 20_000))
def test_the_beta_quantile_inverts_the_cdf(level: float, a: int, b: int) -> None:
    # The quantile has 13 digits, and the density may be in the hundreds.
    assert beta_cdf(beta_quantile(level, a, b), a, b) == pytest.approx(level, abs=1e-8)


def test_a_beta_binomial_interval_counts_what_its_definition_sums_up() -> None:
    rng = np.random.default_rng(0)
    draws = rng.binomial(50, rng.beta(30, 71, size=200_000))
    low, high = beta_binomial_interval(50, 30, 71, confidence=0.9)
    assert (draws < low).mean() <= 0.05 + 0.003
    assert (draws <= low).mean() >= 0.05 - 0.003
    assert (draws > high).mean() <= 0.05 + 0.003
    assert (draws >= high).mean() >= 0.05 - 0.003


# Shares


@pytest.mark.parametrize(("n", "points"), [(100, 9.0), (1000, 2.8), (10_000, 0.9)])
def test_the_interval_shrinks_with_the_root_of_the_prompts(n: int, points: float) -> None:
    # 1.96 * sqrt(0.3 * 0.7 / n), in points.
    target = calibrate_share(np.arange(n) / n, strong_share=0.3)
    half_width = (target.interval.high - target.interval.low) / 2
    assert 100 * half_width == pytest.approx(points, abs=0.2)
    assert target.strong_share == pytest.approx(0.3)
    assert target.warning == ""


def coverage(draw, survival, *, n: int, share: float, runs: int, seed: int = 0) -> float:
    """Return how often the interval holds the true share of the threshold that was found."""
    rng = np.random.default_rng(seed)
    hits = 0
    for _ in range(runs):
        target = calibrate_share(draw(rng, n), strong_share=share)
        hits += target.interval.low <= survival(target.threshold) <= target.interval.high
    return hits / runs


@pytest.mark.parametrize("share", [0.1, 0.3, 0.7])
def test_intervals_of_continuous_scores_cover_at_their_nominal_rate(share: float) -> None:
    found = coverage(lambda rng, n: rng.random(n), lambda t: 1 - t, n=300, share=share, runs=1000)
    assert 0.93 <= found <= 0.97


@pytest.mark.parametrize("share", [0.1, 0.3, 0.7])
def test_intervals_of_heavily_tied_scores_cover_at_their_nominal_rate(share: float) -> None:
    weights = np.array([0.15, 0.25, 0.2, 0.18, 0.12, 0.1])
    values = np.linspace(0, 1, 6)
    found = coverage(
        lambda rng, n: rng.choice(values, size=n, p=weights),
        lambda t: weights[values >= t].sum(),
        n=300,
        share=share,
        runs=1000,
    )
    assert 0.93 <= found <= 0.975


def test_ties_that_move_the_share_are_told_with_both_neighbours() -> None:
    win_rates = np.array([0.1] * 20 + [0.5] * 60 + [0.9] * 20)
    target = calibrate_share(win_rates, strong_share=0.5)
    assert (target.threshold, target.strong_share) == (0.5, 0.8)
    assert "60.0% of the win rates equal 0.5" in target.warning
    assert "sends 20.0%" in target.warning
    assert calibrate_share(win_rates, strong_share=0.2).warning == ""
    fewer = calibrate_share(win_rates, strong_share=0.4)
    assert (fewer.threshold, fewer.strong_share) == (0.9, 0.2)
    assert "60.0% of the win rates equal 0.5" in fewer.warning
    assert "0.5 sends 80.0%" in fewer.warning


def test_all_prompts_or_none_above_a_threshold_give_an_open_end() -> None:
    win_rates = np.full(50, 0.5)
    assert share_interval(win_rates, threshold=0.0).high == 1.0
    nobody = share_interval(win_rates, threshold=0.9)
    # Nothing in 50: at most 1 - 0.025 ** (1 / 50), the rule of three's 95 % two-sided cousin.
    assert (nobody.low, nobody.high) == (0.0, pytest.approx(1 - 0.025 ** (1 / 50)))


def test_the_next_calls_scatter_more_than_the_true_share() -> None:
    win_rates = np.arange(1000) / 1000
    true = share_interval(win_rates, threshold=0.7)
    few = future_share_interval(win_rates, threshold=0.7, n_calls=100)
    many = future_share_interval(win_rates, threshold=0.7, n_calls=1_000_000)
    assert few.high - few.low > 2 * (true.high - true.low)
    assert many.low == pytest.approx(true.low, abs=1e-3)
    assert many.high == pytest.approx(true.high, abs=1e-3)


@pytest.mark.parametrize(
    "call",
    [
        lambda: calibrate_share(np.array([]), strong_share=0.5),
        lambda: calibrate_share(np.array([0.5, np.nan]), strong_share=0.5),
        lambda: calibrate_share(np.array([0.5]), strong_share=0.0),
        lambda: calibrate_share(np.array([0.5]), strong_share=0.5, confidence=1.0),
        lambda: future_share_interval(np.array([0.5]), threshold=0.5, n_calls=0),
        lambda: calibrate_cost(np.array([0.5]), weak_cost=1, strong_cost=2, max_cost=0.0),
        lambda: calibrate_cost(np.array([0.5]), weak_cost=[1, 2], strong_cost=2, max_cost=1.0),
        lambda: calibrate_cost(np.array([0.5]), weak_cost=-1, strong_cost=2, max_cost=1.0),
        lambda: calibrate_quality(np.array([0.5]), weak=[0.1], strong=[0.2], min_quality=1.1),
        lambda: calibrate_quality(np.array([0.5]), weak=[0.1], strong=[2.0], min_quality=0.9),
    ],
)
def test_what_cannot_be_calibrated_is_refused(call) -> None:
    with pytest.raises(ConfigurationError):
        call()


# Costs


def test_a_cost_target_buys_as_many_strong_calls_as_it_can() -> None:
    win_rates = np.array([0.1, 0.4, 0.2, 0.3])
    # All-weak costs 1; each strong call adds 8 / 4.
    target = calibrate_cost(win_rates, weak_cost=1.0, strong_cost=9.0, max_cost=6.9)
    assert (target.threshold, target.cost, target.strong_share) == (0.3, 5.0, 0.5)


def test_long_prompts_that_are_routed_to_strong_cost_what_they_cost() -> None:
    win_rates = np.array([0.9, 0.1])
    costs = {"weak_cost": np.array([4.0, 1.0]), "strong_cost": np.array([40.0, 10.0])}
    assert calibrate_cost(win_rates, max_cost=20.5, **costs).cost == 20.5
    assert calibrate_cost(win_rates, max_cost=20.4, **costs).strong_share == 0.0


def test_a_cost_below_all_weak_is_out_of_reach_and_said_so() -> None:
    target = calibrate_cost(np.array([0.1, 0.4]), weak_cost=1.0, strong_cost=9.0, max_cost=0.5)
    assert target.strong_share == 0.0
    assert "all-weak costs 1" in target.warning


def test_a_generous_cost_means_all_strong() -> None:
    target = calibrate_cost(np.array([0.1, 0.4]), weak_cost=1.0, strong_cost=9.0, max_cost=9.0)
    assert (target.strong_share, target.warning) == (1.0, "")


def test_the_router_s_own_cost_leaves_less_for_strong_calls() -> None:
    win_rates = np.array([0.1, 0.4, 0.2, 0.3])
    target = calibrate_cost(
        win_rates, weak_cost=1.0, strong_cost=9.0, max_cost=5.0, router_cost=0.1
    )
    assert (target.strong_share, target.cost) == (0.25, pytest.approx(3.1))


def test_tied_prompts_are_bought_together_or_not_at_all() -> None:
    win_rates = np.array([0.9, 0.5, 0.5, 0.5])
    target = calibrate_cost(win_rates, weak_cost=0.0, strong_cost=4.0, max_cost=2.0)
    assert (target.threshold, target.cost) == (0.9, 1.0)


def test_intervals_of_costs_cover_at_their_nominal_rate() -> None:
    # Cost is 1 + length, strong ten times that; win rate and length are the same number.
    rng = np.random.default_rng(4)
    hits = 0
    for run in range(300):
        rates = rng.random(400)
        target = calibrate_cost(
            rates,
            weak_cost=1 + rates,
            strong_cost=10 * (1 + rates),
            max_cost=6.0,
            rounds=300,
            seed=run,
        )
        t = target.threshold
        true = 1.5 + 9 * ((1 - t) + (1 - t**2) / 2)
        hits += target.cost_low <= true <= target.cost_high
    assert 0.91 <= hits / 300 <= 0.98


# Quality floors


def pair(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return win rates, and qualities for which the weak model fails more on high ones."""
    rates = rng.random(n)
    return rates, (rng.random(n) < 0.9 - 0.6 * rates) * 1.0, (rng.random(n) < 0.9) * 1.0


def kept(threshold: float) -> float:
    """Return the true share of the strong model's quality that a threshold of `pair` keeps."""
    return 1 - 0.6 * threshold**2 / 2 / 0.9


def test_a_floor_is_broken_in_at_most_the_stated_share_of_calibrations() -> None:
    rng = np.random.default_rng(7)
    broken, shares = 0, []
    for run in range(200):
        rates, weak, strong = pair(rng, 500)
        target = calibrate_quality(
            rates, weak=weak, strong=strong, min_quality=0.9, confidence=0.9, seed=run
        )
        broken += kept(target.threshold) < 0.9
        shares.append(target.strong_share)
    assert broken / 200 <= 0.1
    # And it is no empty promise: the true floor lies at a share of 0.45.
    assert np.mean(shares) < 0.8


def test_more_outcomes_come_nearer_to_the_floor() -> None:
    rng = np.random.default_rng(1)
    found = []
    for n in (300, 3000, 30_000):
        rates, weak, strong = pair(rng, n)
        found.append(
            calibrate_quality(rates, weak=weak, strong=strong, min_quality=0.9).strong_share
        )
    assert found[0] > found[1] > found[2] > 0.45
    assert found[2] < 0.5


def test_a_floor_that_cannot_be_shown_means_all_strong_and_a_warning() -> None:
    rates, weak, strong = pair(np.random.default_rng(1), 200)
    target = calibrate_quality(rates, weak=weak, strong=strong, min_quality=1.0)
    assert (target.threshold, target.strong_share) == (0.0, 1.0)
    assert "all calls go to the strong model" in target.warning


def test_a_weak_model_as_good_as_the_strong_one_gets_all_calls() -> None:
    rates = np.random.default_rng(0).random(4000)
    same = np.ones(4000)
    target = calibrate_quality(rates, weak=same, strong=same, min_quality=0.95)
    assert target.strong_share <= 0.001
    assert target.quality == 1.0


def test_the_lower_bound_of_a_mean_holds_at_its_confidence() -> None:
    rng = np.random.default_rng(3)
    below = 0
    for _ in range(400):
        bound = lower_bound((rng.random(200) < 0.8) * 1.0, confidence=0.9)
        below += bound <= 0.8
        assert bound > 0.6
    assert below / 400 >= 0.9
