"""A strategy's setting for a cost or a quality, on prompts that did not choose it."""

import json

import numpy as np
import pytest

from routellm_core import ConfigurationError
from routellm_core.answers import no_refusal
from routellm_core.evaluation.contenders import Signals, cascade, experts, hybrid
from routellm_core.evaluation.expert_answers import ExpertAnswers
from routellm_core.evaluation.strategy_goals import calibrate_strategy
from routellm_core.evaluation.strategy_measure import random_halves
from routellm_core.strategies import read_strategy


def drawn(n, *, seed):
    rng = np.random.default_rng(seed)
    hardness = rng.uniform(size=n)
    chances = np.stack([1.0 - hardness, 1.0 - hardness / 4], axis=1)
    quality = (rng.uniform(size=(n, 2)) < chances).astype(float)
    scores = np.clip(quality * 0.5 + rng.uniform(0.0, 0.6, size=(n, 2)), 0, 1)
    usd = np.tile([0.1, 1.0], (n, 1))
    return ExpertAnswers(("small", "big"), quality, usd, None, scores, 0.02), Signals(
        hardness, chances
    )


def test_a_cost_is_met_on_one_half_and_measured_on_the_other() -> None:
    answers, signals = drawn(2000, seed=0)
    found = calibrate_strategy(cascade(), answers, signals, max_cost=0.5, rounds=200)
    chosen_on, measured = random_halves(2000)
    on_first = cascade().play(answers.select(chosen_on), signals, found.setting)
    assert on_first.usd.mean() <= 0.5
    held = cascade().play(answers.select(measured), signals, found.setting)
    assert found.usd.value == pytest.approx(held.usd.mean())
    assert found.usd.low < 0.5 < found.usd.high
    assert found.rejected == pytest.approx(held.rejected.mean())
    assert found.break_even == pytest.approx(1 - (0.1 + 0.02) / 1.0)
    # What is rejected decides what is paid, and the break-even share makes it all-strong's.
    assert found.usd.value == pytest.approx(0.12 + found.rejected)


def test_a_quality_floor_holds_in_nearly_every_draw() -> None:
    """With 90 % confidence, at most one draw in ten may break the floor in truth."""
    truth, known = drawn(200_000, seed=1000)
    best = truth.quality[:, 1].mean()
    broken = 0
    for seed in range(60):
        answers, signals = drawn(800, seed=seed)
        found = calibrate_strategy(
            cascade(), answers, signals, min_quality=0.9, confidence=0.9, rounds=2, seed=seed
        )
        broken += cascade().play(truth, known, found.setting).quality.mean() < 0.9 * best
    # P(more than 10 of 60 | 10 %) is 0.03.
    assert broken <= 10


def test_a_lower_floor_never_costs_more() -> None:
    answers, signals = drawn(2000, seed=0)
    costs = [
        calibrate_strategy(make(), answers, signals, min_quality=floor, rounds=2).usd.value
        for make in (cascade, hybrid)
        for floor in (0.7, 0.8, 0.9)
    ]
    assert costs[:3] == sorted(costs[:3])
    assert costs[3:] == sorted(costs[3:])
    assert costs[0] < costs[2]


def test_goals_that_nothing_meets_are_refused_with_what_can_be_had() -> None:
    answers, signals = drawn(200, seed=0)
    with pytest.raises(ConfigurationError, match=r"must be at least 0.12 US dollars.*got 0.1"):
        calibrate_strategy(cascade(), answers, signals, max_cost=0.1)
    with pytest.raises(ConfigurationError, match=r"No setting could be shown to keep 100.0%"):
        calibrate_strategy(experts(), answers, signals, min_quality=1.0)
    with pytest.raises(ConfigurationError, match="either `max_cost` or `min_quality`"):
        calibrate_strategy(cascade(), answers, signals)


def test_a_stored_strategy_is_read_with_its_verifier(tmp_path) -> None:
    path = tmp_path / "strategy.json"
    path.write_text(json.dumps({"strategy": "cascade", "verifier": "logprob", "accept": 0.25}))
    assert repr(read_strategy(path)) == "Cascade(<verifier logprob>, accept=0.25)"
    path.write_text(json.dumps({"strategy": "hybrid", "accept": 0.5, "band": [0.2, 0.8]}))
    with pytest.raises(ConfigurationError, match="names no verifier"):
        read_strategy(path)
    read = read_strategy(path, verifier=no_refusal())
    assert (read.verifier.name, read.band) == ("no_refusal", (0.2, 0.8))
    path.write_text(json.dumps({"strategy": "predict", "quality_per_usd": 2.5}))
    assert read_strategy(path).quality_per_usd == 2.5


@pytest.mark.parametrize("text", ["[", "[]", '{"strategy": "best"}', None])
def test_a_file_without_a_strategy_is_refused(tmp_path, text) -> None:
    path = tmp_path / "strategy.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigurationError, match=r"strategy\.json"):
        read_strategy(path)
