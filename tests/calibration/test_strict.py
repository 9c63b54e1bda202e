"""How often the strong model is strictly better: on a calibration, a decision and its record."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from planted import PAIR, outcome_rows, planted

from routellm_core import load_router, make_decider
from routellm_core.calibration.strict import fit_strict
from routellm_core.data import read_outcomes
from routellm_core.embedders.bundled import BundledEmbedder
from routellm_core.errors import ConfigurationError
from routellm_core.policy import Turn
from routellm_core.training import train_knn
from routellm_core.types import Calibration


@pytest.mark.parametrize("n", [60, 300, 1000])
def test_the_interval_covers_the_truth(n: int) -> None:
    rng = np.random.default_rng(n)
    covered = []
    for _ in range(30):
        rates = rng.random(n)
        better = rng.random(n) < 0.05 + 0.5 * rates**2
        found = fit_strict(rates, weak=np.zeros(n), strong=better)
        truth = 0.05 + 0.5 * found[:, 0] ** 2
        covered.append((found[:, 2] <= truth) & (truth <= found[:, 3]))
    assert np.mean(covered) >= 0.93


def test_ties_do_not_count_as_better() -> None:
    rates = np.linspace(0.1, 0.9, 50)
    found = fit_strict(rates, weak=np.full(50, 0.5), strong=np.full(50, 0.5))
    assert (found[:, 1:3] == 0.0).all()
    assert (found[:, 3] > 0.0).all()


def test_the_probability_rises_and_lies_in_its_interval() -> None:
    rng = np.random.default_rng(0)
    rates = np.round(rng.random(200), 1)
    found = fit_strict(rates, weak=np.zeros(200), strong=rng.random(200) < rates)
    assert (np.diff(found[:, 0]) > 0).all()
    assert (np.diff(found[:, 1]) >= 0).all()
    assert ((found[:, 2] <= found[:, 1]) & (found[:, 1] <= found[:, 3])).all()


def test_qualities_of_another_length_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="two qualities for each"):
        fit_strict(np.array([0.1, 0.2]), weak=[1.0], strong=[1.0])


def test_a_table_of_another_shape_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="`better` must be ascending rows of 4"):
        Calibration(np.array([0.0, 1.0]), 2, "x", better=np.array([[0.0, 0.1]]))


def test_a_decision_tells_it_and_so_does_its_record(tmp_path: Path) -> None:
    outcomes = read_outcomes(outcome_rows(*planted(300, seed=1)))
    folder = train_knn(outcomes, pair=PAIR, embedder=BundledEmbedder()).save(tmp_path / "knn")
    router = load_router("knn", checkpoint=folder)
    decider = make_decider(router=router, strong_model="big", weak_model="small")
    easy, hard = map(
        decider.decide, [Turn("hello how do i sort"), Turn("prove infinitely quantum")]
    )
    assert easy.better is not None
    assert hard.better is not None
    assert easy.better[0] < hard.better[0]
    assert 0.0 <= hard.better[1] <= hard.better[0] <= hard.better[2] <= 1.0
    value, low, high = hard.better
    assert hard.record()["better"] == {"probability": value, "low": low, "high": high}


def test_without_outcomes_nothing_is_told() -> None:
    decider = make_decider(router=load_router("random"), strong_model="big", weak_model="small")
    decision = decider.decide(Turn("hi"))
    assert decision.better is None
    assert "better" not in decision.record()
