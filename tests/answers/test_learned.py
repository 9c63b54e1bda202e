"""The learned verifier: graded rows, features, training, its checkpoint, its scores."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from routellm_core import CheckpointError, ConfigurationError, DataError
from routellm_core.answers import (
    Answer,
    LearnedVerifier,
    Prompt,
    Token,
    ToolCall,
    all_of,
    learned,
    load_verifier,
    no_refusal,
)
from routellm_core.answers.answer_features import FEATURE_NAMES, answer_features
from routellm_core.calibration import LogisticMap
from routellm_core.data import GradedAnswers, read_answers
from routellm_core.training import TrainedVerifier, answer_doubts, train_verifier
from routellm_core.training.examples import split_rows

RIVERS = ["Rhine", "Danube", "Elbe", "Loire", "Tagus", "Po", "Thames", "Vistula"]


def graded(n: int, *, seed: int = 11, with_signals: bool = False) -> list[dict[str, Any]]:
    """Draw answers: those that name a river are good, refusals and talk of prices are not."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        river = RIVERS[int(rng.integers(len(RIVERS)))]
        good = bool(rng.uniform() < 0.6)
        bad = ("I'm sorry, but I can't help with that.", f"Prices of shares rose by {i} percent.")
        said = f"The river {river} flows through the valley to the sea, past {i} towns."
        row: dict[str, Any] = {
            "prompt": f"Which river flows past town number {i}?",
            "answer": said if good else bad[int(rng.integers(2))],
            # One grade in ten is wrong.
            "quality": float(good != (rng.uniform() < 0.1)),
            "model": "small",
        }
        if with_signals:
            row["win_rate"] = float(rng.uniform())
            row["logprob"] = -0.2 if good else -1.0
            row["finish_reason"] = "stop"
        rows.append(row)
    return rows


@pytest.fixture(scope="module")
def result() -> TrainedVerifier:
    return train_verifier(read_answers(graded(400, with_signals=True)))


def test_what_is_known_of_an_answer_is_read_and_the_rest_is_not_known() -> None:
    rows = read_answers(
        [
            {"prompt": "p", "answer": "", "quality": True, "finish_reason": "stop"},
            {"prompt": "p", "answer": "a", "quality": 0.5, "logprob": -0.5, "model": " m "},
            {"messages": [{"role": "user", "content": "q"}], "answer": "b", "quality": 0},
        ]
    )
    assert rows.prompts == ("p", "p", "q")
    assert rows.answers == ("", "a", "b")
    assert rows.quality.tolist() == [1.0, 0.5, 0.0]
    np.testing.assert_array_equal(rows.logprobs, [math.nan, -0.5, math.nan])
    assert np.isnan(rows.win_rates).all()
    assert rows.finish_reasons == ("stop", None, None)
    assert rows.models == ("", "m", "")
    assert rows.of_model("m").answers == ("a",)
    with pytest.raises(DataError, match="No answer is of model 'mm'"):
        rows.of_model("mm")


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("answer", None, "`answer` is missing: the row has prompt, answer, quality"),
        ("answer", 4, "`answer` must be a text, got int"),
        ("quality", 5, r"`quality` must lie in \[0.0, 1.0\], got 5"),
        ("logprob", 0.9, "`logprob` must lie in"),
        ("win_rate", 30, "`win_rate` must lie in"),
        ("prompt", " ", "blank"),
    ],
)
def test_a_bad_row_is_left_out_and_named(field: str, value: Any, told: str) -> None:
    row = {"prompt": "p", "answer": "a", "quality": 1}
    rows = read_answers([row, {**row, field: value}])
    assert (len(rows), rows.report.n_bad) == (1, 1)
    with pytest.raises(DataError, match=told):
        read_answers([{**row, field: value}])


def test_a_source_may_have_names_and_a_scale_of_its_own() -> None:
    row = {"question": "p", "response": "a", "stars": 4}
    names = {"prompt": "question", "answer": "response", "quality": "stars"}
    rows = read_answers([row], columns=names, scale=(1, 5))
    assert (rows.prompts, rows.answers, rows.quality.tolist()) == (("p",), ("a",), [0.75])
    with pytest.raises(DataError, match=r"`answer` is missing: the row has .* `--map answer="):
        read_answers([{"prompt": "p", "response": "a", "quality": 1}])
    with pytest.raises(DataError, match=r"got 4\. For grades on another scale pass `--scale"):
        read_answers([row], columns=names)
    with pytest.raises(DataError, match=r"No column 'respons' to read as `answer`\. Did you mean"):
        read_answers([row], columns={"answer": "respons"})
    with pytest.raises(ConfigurationError, match=r"got 'ansewr'\. Did you mean 'answer'"):
        read_answers([row], columns={"ansewr": "response"})
    with pytest.raises(ConfigurationError, match="two rising numbers"):
        read_answers([row], columns=names, scale=(5, 1))


def test_columns_that_do_not_fit_together_are_refused() -> None:
    good = read_answers([{"prompt": "p", "answer": "a", "quality": 1}])
    parts = {name: getattr(good, name) for name in GradedAnswers.__dataclass_fields__}
    for name, value in (
        ("answers", ()),
        ("quality", np.array([2.0])),
        ("logprobs", np.array([0.5])),
        ("win_rates", np.array([1.5])),
    ):
        with pytest.raises(ConfigurationError, match=f"`{name}`"):
            GradedAnswers(**{**parts, name: value})


def feature(name: str, answer: Answer | str, prompt: Prompt | None = None) -> float:
    made = answer if isinstance(answer, Answer) else Answer(answer)
    (row,) = answer_features([prompt or Prompt("What?")], [made])
    return float(row[FEATURE_NAMES.index(name)])


def test_features_tell_how_an_answer_looks() -> None:
    assert feature("win_rate", "a", Prompt("p", win_rate=0.3)) == 0.3
    assert math.isnan(feature("win_rate", "a"))
    tokens = (Token("a", -0.5), Token("b", -1.5))
    assert feature("mean_logprob", Answer("ab", tokens)) == -1.0
    assert feature("least_logprob", Answer("ab", tokens)) == -1.5
    assert math.isnan(feature("mean_logprob", "ab"))
    assert feature("log_chars", "abc") == pytest.approx(math.log(4))
    assert feature("log_length_ratio", "abcde", Prompt("abcde")) == 0.0
    assert feature("log_lines", "a\nb\nc") == pytest.approx(math.log(3))
    assert [feature("refusal", text) for text in ("I can't help with that.", "Yes.")] == [1, 0]
    assert feature("refusal", Answer("", refusal="No.")) == 1.0
    assert [feature("hedge", text) for text in ("I’m not sure.", "Je ne sais pas.", "4")] == [
        1,
        1,
        0,
    ]
    assert [feature("cut_off", Answer("a", finish_reason=r)) for r in ("length", "stop")] == [1, 0]
    assert math.isnan(feature("cut_off", "a"))
    long = "word " * 20
    assert [feature("unfinished", text) for text in (long + "and", long + "end.", "no")] == [
        1,
        0,
        0,
    ]
    assert [feature("open_fence", text) for text in ("```py\nx", "```py\nx\n```")] == [1, 0]
    assert [feature("empty", text) for text in (" \n", "a")] == [1, 0]
    assert feature("tool_calls", Answer("", tool_calls=(ToolCall("t", "{}"),))) == 1.0
    assert [feature("has_number", text) for text in ("It is 4.", "It is four.")] == [1, 0]
    assert feature("repetition", "a b c d e " * 3) == pytest.approx(1 - 5 / 11)
    assert feature("repetition", "a b c d e f") == 0.0
    assert feature("echo", "is this it or not", Prompt("Say: is this it or not")) == 1.0


def test_a_mean_that_was_logged_without_tokens_counts() -> None:
    column = FEATURE_NAMES.index("mean_logprob")
    answers = [Answer("a", (Token("a", -0.5),)), Answer("b")]
    found = answer_features([Prompt("p")] * 2, answers, [math.nan, -2.0])
    assert found[:, column].tolist() == [-0.5, -2.0]
    assert answer_features([], []).shape == (0, len(FEATURE_NAMES))


def test_a_verifier_tells_good_answers_from_bad_ones_that_it_has_not_seen() -> None:
    result = train_verifier(read_answers(graded(600)))
    fresh = read_answers(graded(300, seed=7))
    scores = result.verifier.scores(list(fresh.prompts), list(fresh.answers))
    named = np.array(["river" in answer for answer in fresh.answers])
    assert scores[named].min() > 0.5 > scores[~named].max()
    # A grade in ten is wrong: a probability stays near 0.9, and is not 1.
    assert abs(scores[named].mean() - 0.9) < 0.06
    assert abs(scores[~named].mean() - 0.1) < 0.06


def test_the_figures_are_of_rows_that_were_held_back(result: TrainedVerifier) -> None:
    figures = result.metrics
    assert (figures["n_train"], figures["n_validation"]) == (320, 80)
    # The best that any verifier can do where a grade in ten is wrong is 0.9.
    assert 0.8 < figures["auroc"] < 0.97
    assert figures["auroc_low"] < figures["auroc"] < figures["auroc_high"]
    assert figures["ece"] < 0.12
    assert figures["brier"] < 0.15 < 0.2 < figures["base_brier"]
    assert figures["ece"] in (figures["raw_ece"], figures["curved_ece"])
    assert figures["auroc_logprob"] > 0.8
    assert 0.5 <= figures["auroc_win_rate"] < 0.7
    assert result.verifier.is_calibrated
    # Too few are held back for firm figures, and it is said.
    (doubt,) = result.doubts
    assert doubt.startswith("Only 80 answers are held back")


def test_the_grades_held_back_decide_nothing_but_the_figures() -> None:
    rows = read_answers(graded(300))
    _, held = split_rows(rows.prompts, validation_share=0.2, seed=0)
    quality = rows.quality.copy()
    quality[held] = 1.0 - quality[held]
    first, turned = (train_verifier(each) for each in (rows, replace(rows, quality=quality)))
    assert first.metrics["auroc"] > 0.8
    # Turned grades turn the figure round, if the fit has not seen them.
    assert turned.metrics["auroc"] == pytest.approx(1.0 - first.metrics["auroc"], abs=1e-12)


def test_a_score_is_what_the_map_makes_of_the_models_probability(result: TrainedVerifier) -> None:
    verifier = result.verifier
    assert verifier.curve is not None
    score = verifier.score("Which river?", "The Rhine.")
    assert score.value == verifier.curve(np.array([score.raw]))[0]
    assert score.value != score.raw


def test_grades_without_a_pattern_are_doubted_and_no_probabilities_are_claimed() -> None:
    rng = np.random.default_rng(1)
    rows = [
        {"prompt": f"What is {i}?", "answer": f"It is {i}.", "quality": float(rng.integers(2))}
        for i in range(150)
    ]
    assert "Only 150 answers to learn from" in answer_doubts(read_answers(rows))[0]
    found = train_verifier(read_answers(rows))
    assert any("does not tell good from bad" in doubt for doubt in found.doubts)
    assert found.metrics["auroc_win_rate"] is None
    assert found.verifier.is_calibrated == (found.metrics["brier"] < found.metrics["base_brier"])


def test_rows_that_teach_nothing_are_refused() -> None:
    rows = [{"prompt": f"{i}", "answer": "a", "quality": 1} for i in range(50)]
    with pytest.raises(DataError, match="All 50 answers have the quality 1"):
        train_verifier(read_answers(rows))
    with pytest.raises(DataError, match="too few"):
        train_verifier(read_answers([*rows[:1], {**rows[0], "quality": 0}]))
    with pytest.raises(ConfigurationError, match="`good_from` must lie in"):
        train_verifier(read_answers(rows), good_from=50)


def test_equal_prompts_are_held_back_together_and_the_fit_repeats_itself() -> None:
    rows = graded(120) + [{**row, "answer": "Unsure."} for row in graded(120)]
    first, second = (train_verifier(read_answers(rows)) for _ in range(2))
    assert first.metrics["n_validation"] == 48
    assert first.metrics == second.metrics
    answer = "The Rhine flows past."
    assert first.verifier.score("p", answer) == second.verifier.score("p", answer)


def test_answers_of_one_model_are_learned_from() -> None:
    rows = graded(200)
    others = [{**row, "model": "big", "quality": 1 - row["quality"]} for row in graded(200)]
    found = train_verifier(read_answers([*rows, *others]), model="small")
    assert found.settings["n"] == 200
    assert found.metrics["auroc"] > 0.8


def test_a_verifier_is_one_folder_and_comes_back_by_name(
    result: TrainedVerifier, tmp_path: Path
) -> None:
    folder = result.save(tmp_path / "verifier")
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    config = json.loads((folder / "config.json").read_text())
    assert config["training"]["metrics"] == dict(result.metrics)
    assert "river" not in (folder / "config.json").read_text()  # nobody's words
    prompt, answer = Prompt("Which river?", win_rate=0.4), Answer("The Rhine.")
    expected = result.verifier.score(prompt, answer)
    for made in (
        learned(folder),
        load_verifier("learned", folder),
        load_verifier(f"learned={folder}"),
        load_verifier(str(folder)),
    ):
        assert made.score(prompt, answer) == expected
        assert made.is_calibrated
        assert made.top_logprobs == 0
        assert made.name == "learned"
    assert all_of(no_refusal(), learned(folder)).score(prompt, answer).value == expected.value


def test_a_checkpoint_that_cannot_be_used_is_refused(
    result: TrainedVerifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from routellm_core import load_router

    folder = result.save(tmp_path / "verifier")
    with pytest.raises(CheckpointError, match="fitted on embedder"):
        learned(folder, embedder=Halves())
    load_router("random").save(tmp_path / "router")
    with pytest.raises(CheckpointError, match="holds a 'random', not a learned verifier"):
        learned(tmp_path / "router")
    with pytest.raises(CheckpointError, match="does not exist"):
        load_verifier("learned", tmp_path / "nowhere")
    monkeypatch.setattr("routellm_core.answers.learned_verifier.FEATURE_NAMES", FEATURE_NAMES[:-1])
    with pytest.raises(CheckpointError, match="Train it again"):
        learned(folder)


class Halves:
    """Embeds a text as its length and one half."""

    identity = "halves"

    def __init__(self) -> None:
        self.calls: list[tuple[int, int]] = []

    def embed(self, texts: Sequence[str]) -> Any:
        self.calls.append((len(texts), threading.get_ident()))
        return np.array([[len(text), 0.5] for text in texts], dtype=np.float32)


async def test_an_embedder_that_may_take_long_is_asked_in_a_thread_and_once() -> None:
    embedder = Halves()
    n = len(FEATURE_NAMES) + 1 + 4
    model = LogisticMap(np.zeros(n), np.ones(n), np.full(n, 0.01), 0.0)
    verifier = LearnedVerifier(model=model, embedder=embedder)
    score = await verifier.ascore("p", "p")
    assert score == verifier.score("p", "p")
    assert [texts for texts, _ in embedder.calls] == [1, 1]
    assert embedder.calls[0][1] != threading.get_ident()
    assert verifier.scores([], []).shape == (0,)
    with pytest.raises(ConfigurationError, match="of one length, got 1 and 0"):
        verifier.scores(["p"], [])
    with pytest.raises(ConfigurationError, match="got 3 weights"):
        LearnedVerifier(
            model=LogisticMap(np.zeros(3), np.ones(3), np.zeros(3), 0.0), embedder=embedder
        )


def test_what_is_not_known_at_scoring_stands_at_its_mean(result: TrainedVerifier) -> None:
    model = result.verifier.model
    mean = model.mean[FEATURE_NAMES.index("win_rate")]
    unknown, at_mean = (
        result.verifier.score(Prompt("Which river?", win_rate=rate), "The Rhine.").value
        for rate in (None, float(mean))
    )
    assert unknown == pytest.approx(at_mean)


def test_a_verifier_that_one_number_beats_is_doubted() -> None:
    found = TrainedVerifier(
        verifier=None,
        metrics={
            "n_validation": 500, "auroc": 0.8, "auroc_low": 0.7, "auroc_high": 0.9, "brier": 0.1,
            "base_brier": 0.2, "auroc_length": 0.85, "auroc_win_rate": None, "auroc_logprob": 0.6,
        },
    )  # fmt: skip
    (doubt,) = found.doubts
    assert "length alone tells as much: AUROC 0.850, the verifier's 0.800" in doubt
    better = TrainedVerifier(verifier=None, metrics={**found.metrics, "auroc_length": 0.79})
    assert not better.doubts
