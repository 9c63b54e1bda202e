"""Maps from win rates to observed win rates."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routellm_core.calibration import ProbabilityMap, fit_isotonic, fit_platt
from routellm_core.errors import ConfigurationError
from routellm_core.evaluation.metrics import brier, ece, nll

FITS = [fit_isotonic, fit_platt]


def overconfident(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return win rates that say 0.1 to 0.9 where 0.4 to 0.6 happens."""
    rng = np.random.default_rng(seed)
    rates = rng.uniform(0.1, 0.9, n)
    return rates, (rng.random(n) < 0.5 + (rates - 0.5) / 4) * 1.0


@pytest.mark.parametrize("fit", FITS)
def test_fitting_on_half_makes_the_other_half_believable(fit) -> None:
    fitted = fit(*overconfident(4000, seed=0))
    rates, labels = overconfident(4000, seed=1)
    assert ece(rates, labels) > 0.12
    assert ece(fitted(rates), labels) < 0.03
    assert brier(fitted(rates), labels) < brier(rates, labels)
    assert nll(fitted(rates), labels) < nll(rates, labels)


@pytest.mark.parametrize("fit", FITS)
@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 2)), min_size=1, max_size=30))
def test_a_map_never_falls_and_stays_a_probability(fit, pairs) -> None:
    rates = np.array([r for r, _ in pairs]) / 8
    labels = np.array([y for _, y in pairs]) / 2
    mapped = fit(rates, labels)(np.linspace(0, 1, 50))
    assert (np.diff(mapped) >= 0).all()
    assert mapped.min() >= 0.0
    assert mapped.max() <= 1.0


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 2)), min_size=1, max_size=30))
def test_isotonic_blocks_are_the_means_of_what_they_pool(pairs) -> None:
    rates = np.array([r for r, _ in pairs]) / 8
    labels = np.array([y for _, y in pairs]) / 2
    knots = fit_isotonic(rates, labels).knots
    assert (np.diff(knots[:, 1]) > 0).all()
    # Pooling keeps sums: the lowest and the highest block's means bound every other's.
    assert knots[0, 1] <= labels.mean() + 1e-12
    assert knots[-1, 1] >= labels.mean() - 1e-12


def test_isotonic_regression_of_four_points_by_hand() -> None:
    # 0.6 and 0.8 fall from 1 to 0, so they are pooled at (0.7, 0.5).
    knots = fit_isotonic(np.array([0.2, 0.6, 0.8, 0.9]), [0.0, 1.0, 0.0, 1.0]).knots
    assert knots == pytest.approx(np.array([[0.2, 0.0], [0.7, 0.5], [0.9, 1.0]]))


def test_win_rates_that_differ_keep_their_order_between_blocks() -> None:
    rates, labels = overconfident(500, seed=2)
    fitted = fit_isotonic(rates, labels)
    inside = np.sort(rates[(rates > fitted.knots[0, 0]) & (rates < fitted.knots[-1, 0])])
    assert (np.diff(fitted(inside)) > 0).all()


def test_platt_finds_the_curve_that_labels_were_drawn_from() -> None:
    rates = np.linspace(0.02, 0.98, 400)
    labels = 1 / (1 + np.exp(-(0.5 * np.log(rates / (1 - rates)) + 0.3)))
    assert fit_platt(rates, labels)(rates) == pytest.approx(labels, abs=2e-3)


def test_platt_of_a_router_that_errs_is_the_base_rate() -> None:
    fitted = fit_platt(np.array([0.1, 0.2, 0.8, 0.9]), [1.0, 1.0, 0.0, 1.0])
    assert fitted(np.array([0.0, 0.5, 1.0])).tolist() == [0.75] * 3


def test_a_map_that_falls_or_leaves_the_unit_interval_is_refused() -> None:
    for knots in ([[0.1, 0.5], [0.2, 0.4]], [[0.2, 0.1], [0.2, 0.3]], [[0.1, 1.5]], [[0.1]]):
        with pytest.raises(ConfigurationError):
            ProbabilityMap(np.array(knots))
    with pytest.raises(ConfigurationError):
        fit_isotonic(np.array([0.5]), [float("nan")])
