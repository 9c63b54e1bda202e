"""`auto` tries what the data allows, keeps the best, and does not flatter itself."""

from __future__ import annotations

import json

import numpy as np
import pytest
from planted import PAIR, UnlikeEmbedder, battle_rows, outcome_rows, planted, score
from typer.testing import CliRunner

from routellm_core import ConfigurationError, DataError, ModelPair, UnknownModelError, load_router
from routellm_core.cli.app import app
from routellm_core.data import read_battles, read_outcomes
from routellm_core.testing import HashingEmbedder
from routellm_core.training import train_adapted, train_auto
from routellm_core.training.folds import folds_of

EMBEDDER = HashingEmbedder(dimension=32)
SINGLE = ["adapted", "mlp", "knn", "cluster", "mf"]


def outcomes(n: int, *, seed: int = 1):
    return read_outcomes(outcome_rows(*planted(n, seed=seed)))


def train(data, **options):
    return train_auto(
        data, **{"pair": PAIR, "embedder": EMBEDDER, "validation_share": 0.4, **options}
    )


@pytest.fixture(scope="module")
def data():
    return outcomes(70)


@pytest.fixture(scope="module")
def result(data):
    return train(data)


def test_it_says_what_it_tried_with_figures_and_keeps_the_best(result) -> None:
    tried = result.metrics["tried"]
    assert list(tried) == [*SINGLE, "ensemble"]
    for figures in tried.values():
        assert figures["apgr_low"] < figures["apgr"] < figures["apgr_high"]
    chosen = result.metrics["chosen"]
    assert tried[chosen]["brier"] == min(figures["brier"] for figures in tried.values())
    assert result.router.name == chosen
    assert result.metrics["n_validation"] == 70
    assert result.metrics["apgr_low"] < result.metrics["apgr"] < result.metrics["apgr_high"]
    assert result.metrics["prior_brier"] > result.metrics["brier"]


def test_what_it_keeps_scores_prompts_that_are_new_and_is_saved(result, tmp_path) -> None:
    assert score(result.router, n=300) > 0.7
    folder = result.save(tmp_path / "mine")
    prompts = planted(30, seed=5)[0]
    loaded = load_router(str(folder), embedder=EMBEDDER)
    np.testing.assert_array_equal(
        loaded.raw_win_rates(prompts), result.router.raw_win_rates(prompts)
    )
    assert loaded.calibration.n_prompts == 70


def test_where_nothing_can_be_learnt_the_figures_say_so() -> None:
    prompts, _ = planted(120, seed=7)
    noise = np.random.default_rng(0).random(120) < 0.5
    data = read_outcomes(outcome_rows(prompts, noise))
    found = train(data, embedder=UnlikeEmbedder()).metrics
    assert found["apgr_low"] < 0.5 < found["apgr_high"]
    assert found["brier"] > 0.05


def test_the_figures_are_of_choices_that_did_not_see_the_prompts(data, result) -> None:
    errors = []
    for outside, inside in folds_of(len(data), share=0.4, seed=0):
        held = data.select(inside)
        rates = train(data.select(outside)).router.raw_win_rates(held.prompts)
        errors += [*(rates - (1.0 + held.quality[:, 0] - held.quality[:, 1]) / 2.0) ** 2]
    assert len(errors) == len(data)
    assert result.metrics["brier"] == pytest.approx(np.mean(errors), abs=1e-9)


@pytest.mark.parametrize(
    ("prompts", "hard"),
    [
        ([f"Question {n}" for n in range(20)], np.arange(20) % 2 == 0),
        ([f"Question {n}" for n in range(60)], np.arange(60) == 7),
    ],
    ids=["few labels", "labels that hardly differ"],
)
def test_where_the_data_does_not_allow_more_it_tries_adapted_alone(prompts, hard) -> None:
    data = read_outcomes(outcome_rows(prompts, hard))
    found = train(data)
    assert list(found.metrics["tried"]) == ["adapted"]
    alone = train_adapted(data, pair=PAIR, embedder=EMBEDDER, validation_share=0.4).router
    np.testing.assert_array_equal(found.router.raw_win_rates(prompts), alone.raw_win_rates(prompts))


def test_battles_and_answers_of_other_models_are_taken() -> None:
    rows = battle_rows(*planted(60, seed=2))
    rows += [
        {"prompt": f"other {n}", "model_a": "big", "model_b": "huge", "winner": "tie"}
        for n in range(20)
    ]
    found = train(read_battles(rows))
    assert list(found.metrics["tried"]) == [*SINGLE, "ensemble"]
    assert found.metrics["n_validation"] == len({row["prompt"] for row in rows[:60]})


def test_the_same_seed_makes_the_same_router(data, result) -> None:
    prompts = planted(30, seed=5)[0]
    again = train(data)
    np.testing.assert_array_equal(
        again.router.raw_win_rates(prompts), result.router.raw_win_rates(prompts)
    )
    assert again.metrics == result.metrics


def test_what_cannot_be_used_is_refused() -> None:
    with pytest.raises(UnknownModelError, match="bigg"):
        train(outcomes(20), pair=ModelPair("bigg", "small"))
    with pytest.raises(DataError, match="equally good"):
        train(read_outcomes(outcome_rows(["a", "b", "c"], np.zeros(3, dtype=bool))))
    with pytest.raises(ConfigurationError, match="validation_share"):
        train(outcomes(20), validation_share=1.0)


def test_a_command_shows_what_was_tried(tmp_path) -> None:
    path, out = tmp_path / "labels.jsonl", tmp_path / "mine"
    path.write_text("\n".join(json.dumps(row) for row in outcome_rows(*planted(40, seed=1))))
    arguments = ["train", "auto", "--data", str(path), "--pair", "big", "small", "--out", str(out)]
    arguments += ["--validation-share", "0.5"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    rows = {line.split()[0]: line for line in lines[1:7]}
    assert sorted(rows) == sorted([*SINGLE, "ensemble"])
    assert sum("kept" in line for line in rows.values()) == 1
    kept = next(name for name, line in rows.items() if "kept" in line)
    assert load_router(str(out)).name == kept
    assert all(" to " in line for line in rows.values())
