"""Scores that are made probabilities: fitted, measured on held-out rows, stored, watched."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from routellm_core import CheckpointError, ConfigurationError, DataError
from routellm_core.answers import (
    Answer,
    Prompt,
    Score,
    ScoreCalibration,
    Token,
    Verifier,
    calibrated,
    load_verifier,
    logprob,
    no_refusal,
)
from routellm_core.calibration import LogisticMap, ProbabilityMap, fit_logistic
from routellm_core.evaluation.metrics import auroc
from routellm_core.training import calibrate_verifier


class ByTable(Verifier):
    """Scores answers as a table says."""

    name = "table"

    def __init__(self, **scores: float) -> None:
        self.scores = scores

    def _score(self, prompt: Prompt, answer: Answer) -> Score:
        return Score(self.scores[answer.text], "from a table")


def rows(n: int, *, seed: int, slope: float = 6.0, by_win_rate: float = 4.0) -> dict[str, Any]:
    """Draw rows whose quality rises with the score and falls with the win rate."""
    rng = np.random.default_rng(seed)
    scores, win_rates = rng.uniform(0.6, 1.0, n), rng.uniform(0.0, 1.0, n)
    logits = slope * (scores - 0.8) * 2.0 - by_win_rate * (win_rates - 0.5)
    quality = (rng.uniform(size=n) < 1.0 / (1.0 + np.exp(-logits))).astype(float)
    prompts = [f"prompt {i}" for i in range(n)]
    return {"prompts": prompts, "scores": scores, "quality": quality, "win_rates": win_rates}


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_a_calibrated_score_is_near_the_share_of_good_answers(method: Any) -> None:
    data = rows(3000, seed=0)
    found = calibrate_verifier(ByTable(), **data, method=method)
    figures = found.figures
    assert found.reason is None
    assert found.verifier.is_calibrated
    assert figures["n_fit"] + figures["n_held_out"] == 3000
    assert figures["calibrated_ece"] < 0.05 < 0.2 < figures["ece"]
    assert figures["calibrated_brier"] < figures["brier"]
    # On rows drawn anew, which nothing was fitted to.
    fresh = rows(4000, seed=1)
    chances = found.calibration(fresh["scores"], fresh["win_rates"])
    for low in (0.0, 0.25, 0.5, 0.75):
        inside = (chances >= low) & (chances < low + 0.25)
        assert abs(chances[inside].mean() - fresh["quality"][inside].mean()) < 0.06


def test_the_win_rate_tells_more_than_the_score_alone() -> None:
    found = calibrate_verifier(ByTable(), **rows(2000, seed=0))
    fresh = rows(4000, seed=1)
    good = fresh["quality"] > 0.5
    both = found.calibration(fresh["scores"], fresh["win_rates"])
    alone = found.calibration(fresh["scores"])
    assert auroc(both, good) > auroc(alone, good) + 0.05
    # A prompt without a win rate is scored without it, and the others as before.
    some = np.where(np.arange(4000) % 2, np.nan, fresh["win_rates"])
    mixed = found.calibration(fresh["scores"], some)
    np.testing.assert_array_equal(mixed, np.where(np.isnan(some), alone, both))


def test_the_same_score_is_worth_less_for_a_harder_prompt() -> None:
    found = calibrate_verifier(ByTable(good=0.9), **rows(2000, seed=0))
    easy, hard = (found.verifier.score(Prompt("p", win_rate=rate), "good") for rate in (0.1, 0.9))
    assert easy.value > hard.value + 0.2
    assert (easy.raw, easy.reason) == (0.9, "from a table")


def test_what_does_not_help_on_held_out_rows_is_not_kept() -> None:
    rng = np.random.default_rng(0)
    scores = rng.uniform(size=400)
    perfect = (rng.uniform(size=400) < scores).astype(float)
    prompts = [f"{i}" for i in range(400)]
    for quality, told in (
        (perfect, "does not help on the 120 held-out rows: their expected"),
        (1.0 - scores, "Higher scores do not go with better answers"),
    ):
        verifier = ByTable()
        found = calibrate_verifier(
            verifier, prompts=prompts, scores=scores, quality=quality, method="isotonic"
        )
        assert found.calibration is None
        assert found.verifier is verifier
        assert told in str(found.reason)


def test_rows_of_one_prompt_are_held_out_together() -> None:
    data = rows(600, seed=0)
    prompts = [f"{i // 6}" for i in range(600)]
    found = calibrate_verifier(ByTable(), **{**data, "prompts": prompts})
    assert found.figures["n_held_out"] == 180
    with pytest.raises(DataError, match="too few"):
        calibrate_verifier(ByTable(), **{**data, "prompts": ["one"] * 600})


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"scores": [0.5, 2.0]}, "`scores` must lie in"),
        ({"quality": [1.0]}, r"`quality` must have shape \(2,\)"),
        ({"win_rates": [0.5, float("nan")]}, "`win_rates` must lie in"),
        ({"method": "magic"}, "isotonic, platt, got 'magic'"),
        ({"held_out_share": 30}, "Did you mean 0.3"),
    ],
)
def test_wrong_rows_and_settings_are_refused(options: dict[str, Any], told: str) -> None:
    given = {"prompts": ["a", "b"], "scores": [0.1, 0.2], "quality": [0.0, 1.0], **options}
    with pytest.raises(ConfigurationError, match=told):
        calibrate_verifier(ByTable(), **given)


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_a_calibration_is_stored_with_its_figures_and_loaded_with_its_verifier(
    method: Any, tmp_path: Path
) -> None:
    found = calibrate_verifier(ByTable(), **rows(500, seed=0), method=method)
    folder = found.calibration.save(tmp_path / "calibration")
    verifier = ByTable(good=0.9)
    again = calibrated(verifier, folder)
    by_name = load_verifier("calibrated", verifier, folder)
    for rate in (None, 0.2, 0.8):
        prompt = Prompt("p", win_rate=rate)
        expected = found.calibration.of(0.9, rate)
        assert again.score(prompt, "good").value == expected
        assert by_name.score(prompt, "good").value == expected
    stored = ScoreCalibration.load(folder)
    assert stored.training["metrics"] == found.figures
    assert stored.training["method"] == method
    with pytest.raises(ConfigurationError, match="is that of verifier 'table', got 'no_refusal'"):
        calibrated(no_refusal(), folder)
    with pytest.raises(CheckpointError, match="does not exist"):
        calibrated(verifier, tmp_path / "nowhere")


def test_another_checkpoint_is_refused(tmp_path: Path) -> None:
    from routellm_core import load_router

    load_router("random").save(tmp_path / "router")
    with pytest.raises(CheckpointError, match="holds a 'random', not the calibration"):
        ScoreCalibration.load(tmp_path / "router")


def test_a_map_that_falls_with_the_score_is_refused() -> None:
    falling = LogisticMap(np.zeros(2), np.ones(2), np.array([-1.0, 0.5]), 0.0)
    alone = ProbabilityMap(np.array([[0.5, 0.5]]))
    with pytest.raises(ConfigurationError, match="the first above 0"):
        ScoreCalibration("table", alone, falling)


HALF = ScoreCalibration("logprob", ProbabilityMap(np.array([[0.5, 0.0], [0.9, 1.0]])))


@pytest.mark.parametrize(("accept", "score"), [(0.0, 0.0), (0.25, 0.6), (1.0, 0.9), (1.01, 2.0)])
def test_a_level_of_probability_is_a_level_of_the_score(accept: float, score: float) -> None:
    assert HALF.score_below(accept, None) == pytest.approx(score)


def tokens(*chances: float) -> Sequence[Token]:
    return [Token("x", float(np.log(chance))) for chance in chances]


def test_a_stream_is_watched_at_the_score_that_the_level_corresponds_to() -> None:
    verifier = calibrated(logprob("min"), HALF)
    watch = verifier.watch("p", accept=0.5)  # a score of 0.7
    assert watch.feed(tokens=tokens(0.95, 0.71)) is None
    rejected = watch.feed(tokens=tokens(0.6))
    assert rejected.value == pytest.approx(0.25)
    assert rejected.raw == pytest.approx(0.6)
    assert verifier.watch("p", accept=0.0) is None
    # No score reaches a level above 1: the first token decides.
    assert verifier.watch("p", accept=1.1).feed(tokens=tokens(0.99)).value == 1.0


def test_a_logistic_map_fits_what_it_is_shown_and_takes_the_unknown_at_its_mean() -> None:
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(4000, 2)) * [1.0, 3.0] + [2.0, 0.0]
    chances = 1.0 / (1.0 + np.exp(-(0.5 + 1.5 * (inputs[:, 0] - 2.0) - 0.5 * inputs[:, 1])))
    fitted = fit_logistic(inputs, chances, ridge=1e-3)
    np.testing.assert_allclose(fitted.weights / fitted.scale, [1.5, -0.5], rtol=0.02)
    np.testing.assert_allclose(fitted(inputs), chances, atol=0.01)
    unknown = fitted(np.array([[np.nan, 1.0]]))
    np.testing.assert_allclose(unknown, fitted(np.array([[fitted.mean[0], 1.0]])))
    pulled = fit_logistic(inputs, chances, ridge=[1e-3, 1e9])
    assert abs(pulled.weights[1]) < 1e-3 < 1.0 < pulled.weights[0]


def test_a_logistic_map_equals_that_of_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(1)
    inputs = rng.normal(size=(200, 3))
    labels = rng.uniform(size=200) < 1.0 / (1.0 + np.exp(-inputs[:, 0]))
    ours = fit_logistic(inputs, labels.astype(float), ridge=2.0)
    standard = (inputs - inputs.mean(axis=0)) / inputs.std(axis=0)
    known = LogisticRegression(C=0.5, tol=1e-10).fit(standard, labels)
    np.testing.assert_allclose(ours.weights, known.coef_[0], atol=1e-4)
    np.testing.assert_allclose(ours.bias, known.intercept_[0], atol=1e-4)
