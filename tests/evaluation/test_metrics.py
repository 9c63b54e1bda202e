"""Metrics against numbers worked out by hand, the field's own code, and laws they must obey."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routellm_core.errors import ConfigurationError
from routellm_core.evaluation.metrics import (
    aiq,
    apgr,
    apgr_grid,
    apgr_of,
    arena_score,
    auroc,
    bootstrap_interval,
    bootstrap_rounds,
    brier,
    brier_parts,
    cost_quality_curve,
    cost_save,
    cpt,
    cpt_of,
    ece,
    hull,
    mce,
    mean_of,
    nll,
    oracle_scores,
    paired_difference,
    performance_gain,
    pgr,
    quality_at,
    quality_of,
    reliability,
    win_labels,
)

Outcomes = tuple[np.ndarray, np.ndarray, np.ndarray]


@st.composite
def outcomes(draw: st.DrawFn, levels: int = 5) -> Outcomes:
    """Return scores with many ties, and qualities of which the strong model's are higher."""
    n = draw(st.integers(1, 40))
    whole = st.integers(0, levels - 1)
    scores = np.array(draw(st.lists(whole, min_size=n, max_size=n))) / (levels - 1)
    weak = np.array(draw(st.lists(whole, min_size=n, max_size=n)), dtype=float)
    strong = np.array(draw(st.lists(whole, min_size=n, max_size=n)), dtype=float)
    strong[0] += max(0.0, (weak - strong).sum()) + 1.0
    return scores, weak, strong


def expected_quality(scores: np.ndarray, gains: np.ndarray, share: float) -> float:
    """Return the gain at a share by brute force, ties of the last score drawn at random."""
    left = share * len(scores)
    total = 0.0
    for value in sorted(set(scores.tolist()), reverse=True):
        group = gains[scores == value]
        part = min(1.0, left / len(group))
        total += part * group.sum()
        left -= part * len(group)
        if left <= 0.0:
            break
    return float(total / len(scores))


# APGR, CPT and the curve


def test_half_of_the_gap_recovered_is_a_pgr_of_one_half() -> None:
    assert pgr(70.0, weak=60.0, strong=80.0) == 0.5


@pytest.mark.parametrize("strong", [0.5, 0.4, float("nan")])
def test_without_a_gap_there_is_no_pgr(strong: float) -> None:
    with pytest.raises(ConfigurationError, match="must exceed"):
        pgr(0.5, weak=0.5, strong=strong)
    with pytest.raises(ConfigurationError):
        apgr([0.1, 0.2], weak=[0.5, 0.5], strong=[strong, strong])


def test_two_prompts_of_which_one_needs_the_strong_model_give_three_quarters() -> None:
    # PGR is 0, 1, 1 at the shares 0, 1/2, 1: areas 1/4 and 1/2.
    assert apgr([0.9, 0.1], weak=[0, 1], strong=[1, 1]) == 0.75
    assert apgr([0.1, 0.9], weak=[0, 1], strong=[1, 1]) == 0.25


def test_prompts_that_all_tie_are_one_straight_line() -> None:
    scores = [0.4] * 6
    assert apgr(scores, weak=[0, 1, 0, 1, 0, 0], strong=[1] * 6) == pytest.approx(0.5, abs=1e-15)
    assert cpt(scores, weak=[0] * 6, strong=[1] * 6, target=0.3) == pytest.approx(0.3)


def test_cpt_is_the_first_crossing_on_a_curve_that_falls_in_between() -> None:
    # Qualities 60 66 64 70 69 78 80 at shares 0 15 30 45 60 80 100 %, as 20 prompts in 6 groups.
    sizes = np.array([3, 3, 3, 3, 4, 4])
    rises = np.diff([60, 66, 64, 70, 69, 78, 80]) * 20 / sizes
    scores = np.repeat(np.linspace(1, 0, 6), sizes)
    gains = np.repeat(rises, sizes)
    found = cpt(scores, weak=np.zeros(20), strong=gains, target=0.5)
    assert found == pytest.approx(0.45)
    # What interpolating shares over qualities says, which RouteLLM's code does.
    theirs = np.interp(70, [60, 66, 64, 70, 69, 78, 80], [0, 15, 30, 45, 60, 80, 100])
    assert theirs == pytest.approx(62.2, abs=0.1)


def test_a_target_beyond_every_point_has_no_cpt() -> None:
    assert cpt([0.9, 0.1], weak=[0, 0], strong=[1, 1], target=1.5) is None


def test_a_target_of_the_whole_gap_is_reached_at_the_latest_by_all_strong() -> None:
    rng = np.random.default_rng(0)
    weak = rng.random(1000)
    share = cpt(rng.random(1000), weak=weak, strong=weak + rng.random(1000), target=1.0)
    assert share == pytest.approx(1.0)


def test_a_target_of_nothing_is_reached_without_any_strong_call() -> None:
    assert cpt([0.9, 0.1], weak=[0, 0], strong=[1, 1], target=0.0) == 0.0


def test_the_curve_has_one_point_per_distinct_score() -> None:
    curve = cost_quality_curve(
        [0.2, 0.9, 0.2], weak=[0, 0, 0], strong=[1, 1, 1], weak_cost=1.0, strong_cost=[2, 4, 6]
    )
    assert curve.thresholds.tolist() == [np.inf, 0.9, 0.2]
    assert curve.shares.tolist() == pytest.approx([0, 1 / 3, 1])
    assert curve.quality.tolist() == pytest.approx([0, 1 / 3, 1])
    assert curve.cost.tolist() == pytest.approx([1, 2, 4])


def test_the_router_s_own_cost_is_on_every_call() -> None:
    curve = cost_quality_curve([0.2, 0.9], weak=[0, 0], strong=[1, 1], router_cost=0.25)
    assert curve.cost.tolist() == [0.25, 0.75, 1.25]


def test_the_grid_of_ten_equals_routellm_s_code_when_no_scores_tie() -> None:
    rng = np.random.default_rng(3)
    n = 2000
    scores = rng.random(n)
    weak = (rng.random(n) < 0.6 - 0.3 * scores).astype(float)
    strong = (rng.random(n) < 0.85).astype(float)
    # RouteLLM's evaluate.py: thresholds by quantiles, the last one exclusive, then trapezoids.
    shares, accuracy = [], []
    thresholds = np.quantile(scores, np.linspace(0, 1, 11))
    for index, threshold in enumerate(thresholds):
        chosen = scores > threshold if index == 10 else scores >= threshold
        shares.append(chosen.mean())
        accuracy.append(np.where(chosen, strong, weak).mean())
    shares, accuracy = np.array(shares[::-1]), np.array(accuracy[::-1])
    auc = ((accuracy[1:] + accuracy[:-1]) / 2 * np.diff(shares)).sum()
    theirs = (auc - weak.mean()) / (strong.mean() - weak.mean())
    assert apgr_grid(scores, weak=weak, strong=strong) == pytest.approx(theirs, abs=2 / n)
    assert apgr(scores, weak=weak, strong=strong) == pytest.approx(theirs, abs=0.01)


@given(outcomes(), st.floats(0, 1))
def test_quality_at_a_share_is_the_expectation_over_ties_broken_at_random(
    values: Outcomes, share: float
) -> None:
    scores, weak, strong = values
    expected = weak.mean() + expected_quality(scores, strong - weak, share)
    assert quality_at(scores, weak=weak, strong=strong, strong_share=share) == pytest.approx(
        expected, abs=1e-9
    )


@given(outcomes())
def test_apgr_is_the_integral_of_that_expectation(values: Outcomes) -> None:
    scores, weak, strong = values
    gap = (strong - weak).mean()
    cells = 2 * len(scores)
    middles = (np.arange(cells) + 0.5) / cells
    # The curve is straight inside each cell, so midpoints integrate it exactly.
    brute = np.mean([expected_quality(scores, strong - weak, float(c)) / gap for c in middles])
    assert apgr(scores, weak=weak, strong=strong) == pytest.approx(brute, abs=1e-9)


@given(outcomes(), st.randoms(use_true_random=False))
def test_the_order_of_the_prompts_changes_nothing(values: Outcomes, random: object) -> None:
    scores, weak, strong = values
    order = np.arange(len(scores))
    random.shuffle(order)  # type: ignore[attr-defined]
    for metric in (apgr, apgr_grid, cpt, cost_save, performance_gain):
        before = metric(scores, weak=weak, strong=strong)
        after = metric(scores[order], weak=weak[order], strong=strong[order])
        assert after == pytest.approx(before, abs=1e-9)


@given(outcomes())
def test_only_the_order_of_the_scores_counts(values: Outcomes) -> None:
    scores, weak, strong = values
    for metric in (apgr, apgr_grid, cpt):
        before = metric(scores, weak=weak, strong=strong)
        after = metric(np.exp(3 * scores) - 7, weak=weak, strong=strong)
        assert after == pytest.approx(before, abs=1e-12)


@given(outcomes())
def test_the_oracle_is_the_best_at_every_share(values: Outcomes) -> None:
    scores, weak, strong = values
    oracle = oracle_scores(weak=weak, strong=strong)
    best = apgr(oracle, weak=weak, strong=strong)
    assert best >= apgr(scores, weak=weak, strong=strong) - 1e-9
    curve = cost_quality_curve(oracle, weak=weak, strong=strong)
    assert curve.quality.max() == pytest.approx(np.maximum(weak, strong).mean())
    for share in (0.1, 0.35, 0.8):
        there = quality_at(oracle, weak=weak, strong=strong, strong_share=share)
        assert there >= quality_at(scores, weak=weak, strong=strong, strong_share=share) - 1e-9


@given(outcomes(), st.data())
def test_a_prompt_that_gains_more_never_lowers_apgr_by_moving_up(
    values: Outcomes, data: st.DataObject
) -> None:
    scores, weak, strong = values
    gains = strong - weak
    low = data.draw(st.integers(0, len(scores) - 1))
    high = data.draw(st.integers(0, len(scores) - 1))
    better = scores.copy()
    if gains[high] > gains[low] and scores[high] < scores[low]:
        better[[high, low]] = scores[[low, high]]
    assert apgr(better, weak=weak, strong=strong) >= apgr(scores, weak=weak, strong=strong) - 1e-9


@given(outcomes())
def test_scores_and_their_opposites_share_one_apgr(values: Outcomes) -> None:
    scores, weak, strong = values
    both = apgr(scores, weak=weak, strong=strong) + apgr(-scores, weak=weak, strong=strong)
    assert both == pytest.approx(1.0, abs=1e-9)


def test_a_random_router_has_an_apgr_of_one_half_on_average() -> None:
    rng = np.random.default_rng(1)
    weak = (rng.random(300) < 0.6).astype(float)
    strong = (rng.random(300) < 0.9).astype(float)
    found = [apgr(rng.random(300), weak=weak, strong=strong) for _ in range(400)]
    assert np.mean(found) == pytest.approx(0.5, abs=0.01)


# Money


def test_the_hull_leaves_out_what_costs_more_and_is_no_better() -> None:
    corners, heights = hull([1, 2, 2, 3, 4], [0.2, 0.5, 0.1, 0.6, 0.55])
    assert corners.tolist() == [1, 2, 3]
    assert heights.tolist() == [0.2, 0.5, 0.6]


points = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=12)


@given(points)
def test_the_hull_is_the_smallest_concave_non_decreasing_cover(
    found: list[tuple[int, int]],
) -> None:
    costs, quality = (np.array(v, dtype=float) for v in zip(*found, strict=True))
    corners, heights = hull(costs, quality)
    assert (np.diff(corners) > 0).all()
    assert (np.diff(heights) > 0).all()
    slopes = np.diff(heights) / np.diff(corners)
    assert (np.diff(slopes) < 0).all()
    assert (np.interp(costs, corners, heights) >= quality - 1e-9).all()
    assert set(zip(corners.tolist(), heights.tolist(), strict=True)) <= {
        (float(c), float(q)) for c, q in found
    }


def test_aiq_of_a_pair_is_the_middle_of_the_line_between_its_models() -> None:
    assert aiq([1.0, 5.0], [0.4, 0.8]) == pytest.approx(0.6)


def test_aiq_over_a_wider_range_stays_flat_behind_the_last_corner() -> None:
    # Mean of 0.5 over [0, 1] and of 1 over [1, 3].
    assert aiq([0.0, 1.0], [0.0, 1.0], cost_max=3.0) == pytest.approx((0.5 + 2.0) / 3.0)


def test_aiq_over_a_part_of_the_range_reads_the_hull_there() -> None:
    assert aiq([0.0, 1.0], [0.0, 1.0], cost_min=0.5) == pytest.approx(0.75)


def test_aiq_of_one_model_is_its_quality() -> None:
    assert aiq([2.0], [0.7]) == 0.7


def test_aiq_has_no_value_left_of_the_cheapest_model() -> None:
    with pytest.raises(ConfigurationError, match="start at 1"):
        aiq([1.0, 2.0], [0.0, 1.0], cost_min=0.5)


def test_half_the_calls_are_saved_when_half_the_prompts_do_not_need_the_strong_model() -> None:
    assert cost_save([0.9, 0.1], weak=[0, 1], strong=[1, 1]) == 0.5
    # Strong 10 $, weak 2 $: (10 + 2) / 20 of the cost is left.
    assert cost_save(
        [0.9, 0.1], weak=[0, 1], strong=[1, 1], weak_cost=2.0, strong_cost=10.0
    ) == pytest.approx(0.4)


def test_a_router_that_knows_nothing_saves_nothing() -> None:
    assert cost_save([0.5, 0.5], weak=[0, 1], strong=[1, 1]) == 0.0


def test_a_router_that_costs_more_than_it_saves_saves_nothing() -> None:
    assert cost_save([0.9, 0.1], weak=[0, 1], strong=[1, 1], router_cost=0.6) == 0.0


def test_a_margin_lets_more_calls_go_to_the_weak_model() -> None:
    scores = [0.9, 0.5, 0.1, 0.0]
    weak, strong = [0, 0, 1, 1], [1, 1, 1, 1]
    assert cost_save(scores, weak=weak, strong=strong) == 0.5
    assert cost_save(scores, weak=weak, strong=strong, margin=0.25) == 0.75


def test_routing_between_models_that_err_apart_beats_both() -> None:
    assert performance_gain([0.9, 0.1], weak=[0, 1], strong=[1, 0]) == 1.0
    assert performance_gain([0.9, 0.1], weak=[0, 0], strong=[1, 1]) == 0.0


def test_the_arena_score_is_zero_at_either_end_and_refuses_what_lies_beyond() -> None:
    assert arena_score(0.9, 200.0) == 0.0
    assert arena_score(0.0, 1.0) == 0.0
    assert arena_score(1.0, 0.0044) == pytest.approx(1.0)
    with pytest.raises(ConfigurationError):
        arena_score(0.9, 0.001)


# Probabilities


def test_labels_count_ties_half() -> None:
    assert win_labels(weak=[1, 0, 5], strong=[1, 1, 3]).tolist() == [0.5, 1.0, 0.0]


def test_reliability_bins_by_width_with_the_last_bin_closed() -> None:
    table = reliability([0.0, 0.1, 1.0, 0.95], [0, 1, 1, 0], bins=10)
    assert table.counts.tolist() == [1, 1, 2]
    assert table.predicted.tolist() == pytest.approx([0.0, 0.1, 0.975])
    assert table.observed.tolist() == [0, 1, 0.5]


def test_bins_of_equal_mass_never_split_tied_win_rates() -> None:
    table = reliability([0.2] * 5 + [0.4, 0.6, 0.8], [0.0] * 8, bins=4, rule="mass")
    assert table.counts.tolist() == [5, 1, 2]


def test_ece_and_mce_of_two_bins_by_hand() -> None:
    win_rates, labels = [0.1, 0.1, 0.1, 0.8], [0, 0, 1, 0]
    assert ece(win_rates, labels) == pytest.approx(0.75 * (1 / 3 - 0.1) + 0.25 * 0.8)
    assert mce(win_rates, labels) == pytest.approx(0.8)


def test_brier_parts_add_up_when_bins_hold_one_win_rate_each() -> None:
    rng = np.random.default_rng(2)
    win_rates = rng.integers(0, 10, 500) / 10 + 0.05
    labels = (rng.random(500) < win_rates).astype(float)
    parts = brier_parts(win_rates, labels, bins=10)
    whole = parts.reliability - parts.resolution + parts.uncertainty
    assert whole == pytest.approx(brier(win_rates, labels))


def test_nll_is_least_at_the_observed_rate_and_survives_certain_errors() -> None:
    labels = [1, 1, 1, 0]
    least = nll([0.75] * 4, labels)
    assert least < nll([0.7] * 4, labels)
    assert least < nll([0.8] * 4, labels)
    assert nll([0.0], [1.0]) == pytest.approx(27.63, abs=0.01)


def test_auroc_counts_pairs_and_ties_half() -> None:
    assert auroc([0.9, 0.4, 0.4, 0.1], [True, True, False, False]) == 0.875
    with pytest.raises(ConfigurationError, match="at least one"):
        auroc([0.1, 0.2], [True, True])


@pytest.mark.parametrize("bad", [1.5, -0.1, float("nan")])
def test_win_rates_that_are_no_probabilities_are_refused(bad: float) -> None:
    for metric in (ece, brier, nll, mce):
        with pytest.raises(ConfigurationError):
            metric([bad], [0.5])


def test_arrays_of_different_lengths_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="`scores` 2"):
        apgr([0.1, 0.2], weak=[0, 0, 0], strong=[1, 1, 1])
    with pytest.raises(ConfigurationError):
        apgr([], weak=[], strong=[])
    with pytest.raises(ConfigurationError):
        apgr([[0.1]], weak=[0], strong=[1])


# Bootstrap


@given(outcomes())
def test_drawing_every_prompt_once_gives_the_plain_metrics(values: Outcomes) -> None:
    scores, weak, strong = values
    once = np.ones((1, len(scores)))
    given_values = {"weak": weak, "strong": strong}
    assert apgr_of(scores, **given_values)(once)[0] == pytest.approx(apgr(scores, **given_values))
    assert cpt_of(scores, **given_values)(once)[0] == pytest.approx(cpt(scores, **given_values))
    routed = np.where(scores >= 0.5, strong, weak).mean()
    assert quality_of(scores, threshold=0.5, **given_values)(once)[0] == pytest.approx(routed)


@given(outcomes(), st.data())
def test_weights_equal_repeated_prompts(values: Outcomes, data: st.DataObject) -> None:
    scores, weak, strong = values
    n = len(scores)
    draws = np.array(data.draw(st.lists(st.integers(0, n - 1), min_size=n, max_size=n)))
    weights = np.bincount(draws, minlength=n)[None].astype(float)
    found = apgr_of(scores, weak=weak, strong=strong)(weights)[0]
    if (strong - weak)[draws].sum() <= 0:
        assert np.isnan(found)
    else:
        repeated = apgr(scores[draws], weak=weak[draws], strong=strong[draws])
        assert found == pytest.approx(repeated)


def test_the_interval_of_a_mean_is_as_wide_as_theory_says() -> None:
    values = np.arange(400) / 400
    interval = bootstrap_interval(mean_of(values), n=400, rounds=4000, seed=1)
    half_width = 1.96 * values.std() / 20
    assert interval.low == pytest.approx(values.mean() - half_width, abs=0.002)
    assert interval.high == pytest.approx(values.mean() + half_width, abs=0.002)


def test_more_rounds_begin_with_the_same_draws_and_another_seed_with_others() -> None:
    # So many prompts that the rounds are drawn in several chunks.
    n = 400_000
    statistic = mean_of(np.arange(n) / n)
    more = bootstrap_rounds(statistic, n=n, rounds=8, seed=5)
    again = bootstrap_rounds(statistic, n=n, rounds=2, seed=5)
    assert again.tolist() == pytest.approx(more[:2].tolist(), rel=1e-12)
    assert len(set(more.tolist())) == 8
    assert bootstrap_rounds(statistic, n=n, rounds=2, seed=6).tolist() != more[:2].tolist()


def test_a_router_does_not_differ_from_itself() -> None:
    rng = np.random.default_rng(0)
    scores, weak = rng.random(50), np.zeros(50)
    strong = rng.random(50)
    first = apgr_of(scores, weak=weak, strong=strong)
    interval = bootstrap_interval(paired_difference(first, first), n=50, rounds=20)
    assert (interval.low, interval.high) == (0.0, 0.0)


def test_pairing_makes_the_interval_of_a_difference_narrower() -> None:
    rng = np.random.default_rng(0)
    n = 300
    weak = (rng.random(n) < 0.5).astype(float)
    strong = np.ones(n)
    scores = rng.random(n)
    near = np.clip(scores + rng.normal(0, 0.02, n), 0, 1)
    first, second = (apgr_of(s, weak=weak, strong=strong) for s in (scores, near))
    alone = bootstrap_interval(first, n=n, rounds=300)
    paired = bootstrap_interval(paired_difference(first, second), n=n, rounds=300)
    assert paired.high - paired.low < 0.5 * (alone.high - alone.low)


def test_rounds_without_a_gap_are_counted_and_left_out() -> None:
    statistic = apgr_of([0.9, 0.1], weak=[0, 1], strong=[1, 1])
    interval = bootstrap_interval(statistic, n=2, rounds=400)
    # Both draws fall on the prompt without a gap in a quarter of the rounds.
    assert 60 < interval.undefined < 140
    assert interval.low >= 0.0
