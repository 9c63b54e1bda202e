"""What a router was trained on, and how good it was, stays with it when it is written again."""

from __future__ import annotations

import json

import pytest
from planted import PAIR, outcome_rows, planted
from typer.testing import CliRunner

from routellm_core import load_router, read_checkpoint
from routellm_core.cli.app import app
from routellm_core.data import read_outcomes
from routellm_core.embedders.bundled import BundledEmbedder
from routellm_core.training import TRAINERS

DATA = read_outcomes(outcome_rows(*planted(60, seed=1)))
OPTIONS = {
    "knn": {},
    "mlp": {"max_epochs": 1},
    "mf": {},
    "cluster": {},
    "sw_ranking": {},
    "adapted": {"from_scratch": ()},
    "ensemble": {"members": ("knn",), "folds": 2},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_calibrating_and_saving_again_keep_it(name: str, tmp_path) -> None:
    first = TRAINERS[name](DATA, pair=PAIR, embedder=BundledEmbedder(), **OPTIONS[name])
    folder = first.save(tmp_path / "first")
    training = read_checkpoint(folder).training
    assert training["metrics"]["n_validation"] > 0
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("\n".join(DATA.prompts))
    kept = tmp_path / "kept"
    arguments = ["calibrate", str(prompts), "--checkpoint", str(folder), "--save", str(kept)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert read_checkpoint(kept).training == training
    assert load_router(str(kept)).calibration.source == "prompts.txt"
    again = load_router(str(kept)).save(tmp_path / "again")
    assert read_checkpoint(again).training == training


def test_a_prior_keeps_its_own_inside_the_router_that_adapts_it(tmp_path) -> None:
    prior = TRAINERS["knn"](DATA, pair=PAIR, embedder=BundledEmbedder()).save(tmp_path / "prior")
    adapted = TRAINERS["adapted"](DATA, pair=PAIR, prior=prior, from_scratch=())
    inside = adapted.save(tmp_path / "mine") / "members" / "prior"
    assert read_checkpoint(inside).training == read_checkpoint(prior).training
    assert json.dumps(read_checkpoint(inside).training)
