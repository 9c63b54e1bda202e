"""What labels are worth: against figures by hand, and in simulations."""

from __future__ import annotations

import numpy as np
import pytest
from planted import PAIR, outcome_rows, planted

from routellm_core.data import read_outcomes
from routellm_core.evaluation.metrics import apgr
from routellm_core.testing import ScriptedRouter
from routellm_core.training import train_adapted
from routellm_core.training.examples import PairExamples
from routellm_core.tuning.measure import (
    CrossFit,
    cross_fit,
    gain_over_prior,
    gap_recovered,
    no_loss,
)


def fit_of(scores, weak, strong=None, *, weights=None, prior=None):
    weak = np.array(weak, dtype=np.float64)
    strong = np.ones(len(weak)) if strong is None else np.array(strong, dtype=np.float64)
    n = len(weak)
    return CrossFit(
        examples=PairExamples(tuple(f"p{i}" for i in range(n)), strong, weak),
        weights=np.ones(n) if weights is None else np.array(weights, dtype=np.float64),
        prior=np.full(n, 0.5) if prior is None else np.array(prior),
        full=np.array(scores, dtype=np.float64),
        ranks=np.array(scores, dtype=np.float64),
    )


def test_the_gap_recovered_is_apgr_and_a_weight_is_so_many_prompts() -> None:
    scores, weak = [0.9, 0.6, 0.3, 0.1], [0, 1, 0, 1]
    fit = fit_of(scores, weak)
    assert gap_recovered(fit, fit.full).value == apgr(scores, weak=weak, strong=np.ones(4))
    doubled = fit_of(scores, weak, weights=[2, 1, 1, 1])
    found = gap_recovered(doubled, doubled.full).value
    again = apgr([0.9, *scores], weak=[0, *weak], strong=np.ones(5))
    # The two copies have one win rate, and cross the threshold together.
    assert found == pytest.approx(again)
    assert found != pytest.approx(gap_recovered(fit, fit.full).value)


def test_the_gain_over_the_prior_is_paired() -> None:
    rng = np.random.default_rng(0)
    weak = rng.random(400) < 0.7
    scores = 0.5 * rng.random(400) + 0.5 * ~weak
    fit = fit_of(scores, weak, prior=scores)
    found = gain_over_prior(fit)
    # Apart, both are known to some points only.
    spread = gap_recovered(fit, fit.full)
    assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)
    assert spread.high - spread.low > 0.02


def test_what_loses_nothing_goes_to_the_weak_model() -> None:
    rng = np.random.default_rng(1)
    scores = rng.permutation(2000) / 2000
    # The weak model fails on the highest 30 %.
    found = no_loss(fit_of(scores, scores < 0.7), cost_ratio=0.1)
    assert found.weak_share == pytest.approx(0.7, abs=0.01)
    assert found.cost_saving == pytest.approx(0.9 * found.weak_share)
    assert found.loss.value == pytest.approx(0.0, abs=0.005)


def test_a_loss_that_can_be_told_from_none_is_given_up() -> None:
    # The weak model never wins: what happens to cost nothing on one half does on the other.
    rng = np.random.default_rng(3)
    for seed in range(40):
        scores = rng.random(80)
        weak = rng.random(80) < 1.1 - scores
        assert not no_loss(fit_of(scores, weak), seed=seed).loss.low > 0.0


def test_nothing_goes_to_a_weak_model_that_always_loses_and_all_to_one_that_never_does() -> None:
    scores = np.linspace(0, 1, 50)
    worse = no_loss(fit_of(scores, np.zeros(50)))
    assert (worse.weak_share, worse.loss.value, worse.cost_saving) == (0.0, 0.0, None)
    equal = no_loss(fit_of(scores, np.ones(50)), cost_ratio=0.5)
    assert (equal.weak_share, equal.cost_saving) == (1.0, 0.5)


def test_prompts_of_one_win_rate_go_one_way() -> None:
    # The first group loses a little; the second starts with gains that would pay for it.
    scores = np.repeat([0.1, 0.5], [100, 200])
    losses = np.concatenate([np.repeat([1.0, -1.0], [56, 44]), np.repeat([-0.3, 0.5], 100)])
    found = no_loss(fit_of(scores, 0.5 - losses / 2, 0.5 + losses / 2))
    assert found.weak_share == 0.0


def test_a_threshold_is_measured_where_it_was_not_chosen() -> None:
    rng = np.random.default_rng(7)
    losses = []
    for seed in range(60):
        # Win rates at random: whatever looks free on one half costs 0.1 a call on the other.
        weak, strong = (rng.random(200) < quality for quality in (0.5, 0.6))
        losses.append(no_loss(fit_of(rng.random(200), weak, strong), seed=seed).loss.value)
    assert np.mean(losses) > 0.01


def test_the_stated_loss_covers_that_of_new_prompts_in_simulations() -> None:
    rng = np.random.default_rng(2)
    covered = 0
    for seed in range(200):
        scores = rng.random(300)
        # The weak model is now and then better: chance lets thresholds look free.
        weak = (rng.random(300) < 0.85 - 0.5 * scores).astype(float)
        strong = (rng.random(300) < 0.85).astype(float)
        found = no_loss(fit_of(scores, weak, strong), seed=seed)
        # Every call of the weak model loses half of its win rate on average.
        chosen = _mean_loss(scores, found.weak_share)
        covered += found.loss.low - 1e-9 <= chosen <= found.loss.high + 1e-9
    assert covered / 200 > 0.85


def _mean_loss(scores, weak_share: float) -> float:
    lowest = np.sort(scores)[: round(weak_share * len(scores))]
    return float((0.5 * lowest).sum() / len(scores))


@pytest.fixture
def undecided() -> ScriptedRouter:
    """Return a prior that says nothing, so that all that is found is found in the labels."""
    return ScriptedRouter(default=0.5)


def fit_to(data, prior) -> CrossFit:
    return cross_fit(train_adapted(data, pair=PAIR, prior=prior), prior=prior)


def test_every_prompt_is_scored_by_routers_that_have_not_seen_it(undecided) -> None:
    """Labels without a rule: a router that had seen them would find one."""
    prompts, hard = planted(400, seed=3)
    hard = np.random.default_rng(4).permutation(hard)
    data = read_outcomes(outcome_rows(prompts, hard)).of_pair(PAIR)
    fit = fit_to(data, undecided)
    assert sorted(fit.examples.prompts) == sorted(data.prompts)
    assert gap_recovered(fit, fit.full).value < 0.65
    assert gap_recovered(fit, fit.ranks).value < 0.65


def test_labels_with_a_rule_recover_the_gap(undecided) -> None:
    fit = fit_to(read_outcomes(outcome_rows(*planted(240, seed=5))).of_pair(PAIR), undecided)
    assert gap_recovered(fit, fit.ranks).low > 0.85
    assert gap_recovered(fit, fit.prior).value == pytest.approx(0.5)
    assert gain_over_prior(fit).low > 0.3


def test_the_report_ranks_prompts_as_training_does(undecided) -> None:
    """Pooled folds rank against the labels: each is ranked by itself, in both reports."""
    data = read_outcomes(outcome_rows(*planted(40, seed=5))).of_pair(PAIR)
    adapted = train_adapted(data, pair=PAIR, prior=undecided)
    fit = cross_fit(adapted, prior=undecided)
    assert gap_recovered(fit, fit.ranks).value == pytest.approx(adapted.metrics["apgr"])
    assert not np.array_equal(fit.ranks, fit.full)
