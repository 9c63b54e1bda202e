"""Ratings from counts of pairs, and tiers from ratings."""

import numpy as np
import pytest

from routellm_core import ConfigurationError
from routellm_core.ranking import (
    PairTable,
    fit_ratings,
    optimal_tiers,
    rate_models,
    win_rate_of,
)


def test_two_players_get_the_rating_difference_of_their_win_rate() -> None:
    a, b = np.zeros(4, dtype=int), np.ones(4, dtype=int)
    ratings = rate_models(a, b, np.array([1.0, 1.0, 1.0, 0.0]), n_players=2, tolerance=1e-10)
    assert ratings[0] - ratings[1] == pytest.approx(400 * np.log10(3))
    assert win_rate_of(ratings[0], ratings[1]) == pytest.approx(0.75)


def test_a_tie_counts_half_and_sides_do_not_matter() -> None:
    scores = np.array([1.0, 0.5, 0.0, 1.0, 0.5])
    a, b = np.array([0, 0, 1, 1, 2]), np.array([1, 1, 2, 2, 0])
    ratings = rate_models(a, b, scores, n_players=3, tolerance=1e-9)
    swapped = rate_models(b, a, 1.0 - scores, n_players=3, tolerance=1e-9)
    np.testing.assert_allclose(ratings, swapped, atol=1e-6)


def test_the_fit_is_where_expected_wins_equal_wins() -> None:
    rng = np.random.default_rng(0)
    a = rng.integers(0, 6, 300)
    b = (a + rng.integers(1, 6, 300)) % 6
    scores = rng.choice([0.0, 0.5, 1.0], 300)
    weights = rng.random((1, 300)) + 0.1
    table = PairTable.of(a, b, scores, n_players=6)
    ratings = fit_ratings(table, weights[:, table.order], tolerance=1e-10)[0]
    expected = win_rate_of(ratings[a], ratings[b])
    for player in range(6):
        won = (weights[0] * np.where(a == player, scores, 1 - scores))[
            (a == player) | (b == player)
        ]
        due = (weights[0] * np.where(a == player, expected, 1 - expected))[
            (a == player) | (b == player)
        ]
        assert won.sum() == pytest.approx(due.sum(), abs=1e-5)


def test_many_fits_at_once_equal_each_alone() -> None:
    rng = np.random.default_rng(1)
    a = rng.integers(0, 5, 200)
    table = PairTable.of(a, rng.integers(0, 5, 200), rng.choice([0, 0.5, 1], 200), n_players=5)
    weights = 10.0 ** rng.normal(size=(20, 200))
    together = fit_ratings(table, weights)
    for row, weight in zip(together, weights, strict=True):
        np.testing.assert_allclose(fit_ratings(table, weight[None])[0], row, atol=1e-8)


def test_a_player_who_always_wins_still_gets_a_finite_rating() -> None:
    ratings = rate_models(np.zeros(5, int), np.ones(5, int), np.ones(5), n_players=2)
    assert np.isfinite(ratings).all()
    assert ratings[0] > ratings[1]


def brute_force_cost(ratings: np.ndarray, n_tiers: int) -> float:
    from itertools import combinations

    ranked = np.sort(ratings)[::-1]
    return min(
        sum(part.var() for part in np.split(ranked, cuts))
        for cuts in combinations(range(1, len(ranked)), n_tiers - 1)
    )


@pytest.mark.parametrize("n_tiers", [1, 2, 3, 5])
def test_no_other_split_has_smaller_variances(n_tiers: int) -> None:
    ratings = np.random.default_rng(n_tiers).normal(1000, 100, 9)
    tiers = optimal_tiers(ratings, n_tiers=n_tiers)
    cost = sum(ratings[tiers == tier].var() for tier in set(tiers))
    assert cost == pytest.approx(brute_force_cost(ratings, n_tiers))
    order = np.argsort(-ratings)
    assert (np.diff(tiers[order]) >= 0).all()


def test_fewer_models_than_tiers_each_get_their_own() -> None:
    tiers = optimal_tiers(np.array([3.0, 1.0, 2.0]), n_tiers=10)
    assert len(set(tiers.tolist())) == 3
    assert tiers[0] < tiers[2] < tiers[1]


def test_no_tier_at_all_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="at least 1"):
        optimal_tiers(np.array([1.0]), n_tiers=0)
