"""A file's own names of columns and its scale of grades."""

from __future__ import annotations

import numpy as np
import pytest

from routellm_core import ConfigurationError, DataError
from routellm_core.data import read_battles, read_outcomes
from routellm_core.data.columns import map_advice, parse_map, parse_scale
from routellm_core.training import read_data

GRADED = [
    {"question": "1+1?", "llm": "big", "grade": 5},
    {"question": "1+1?", "llm": "small", "grade": 2},
]
NAMES = {"prompt": "question", "model": "llm", "quality": "grade"}
FOUGHT = [{"question": "1+1?", "model_a": "x", "model_b": "y", "winner": "tie"}]


def test_grades_become_qualities() -> None:
    for read in (read_outcomes, read_data):
        found = read(GRADED, columns=NAMES, scale=(1, 5))
        np.testing.assert_array_equal(found.quality, [[1.0, 0.25]])
        assert found.prompts == ("1+1?",)


def test_a_grade_off_its_scale_is_a_bad_row() -> None:
    report = read_outcomes([*GRADED, {**GRADED[0], "grade": 6}], columns=NAMES, scale=(1, 5)).report
    assert report.shown[0].reason == "`quality` must lie in [1, 5], got 6."


def test_names_are_taken_for_battles_too() -> None:
    for read in (read_battles, read_data):
        assert read(FOUGHT, columns={"prompt": "question"}).prompts == ("1+1?",)


def test_a_name_that_is_given_goes_before_a_column_of_ours() -> None:
    rows = [{**row, "prompt": "template"} for row in GRADED]
    assert read_data(rows, columns=NAMES, scale=(1, 5)).prompts == ("1+1?",)


@pytest.mark.parametrize(
    ("rows", "columns", "error", "message"),
    [
        (GRADED, {"prompt": "qestion"}, DataError, "No column 'qestion' to read as `prompt`. Did"),
        (GRADED, {"promt": "question"}, ConfigurationError, "got 'promt'. Did you mean 'prompt'"),
        (GRADED, {}, DataError, r"Columns of the first row: question, llm, grade\..*`--map prompt"),
        (
            [{"question": "x", "model": "m", "quality": 1}],
            {},
            DataError,
            r"(?s)no usable row.*first row: question, model, quality.*`--map prompt=q",
        ),
        (FOUGHT, {}, DataError, "(?s)no usable row.*`--map prompt=question`"),
        (
            [{"a": 1}],
            {},
            DataError,
            "`--map prompt=COLUMN --map model=COLUMN --map quality=COL",
        ),
        ([], {}, DataError, "It is empty"),
    ],
)
def test_what_cannot_be_read_is_told_with_what_to_do(rows, columns, error, message) -> None:
    with pytest.raises(error, match=message):
        read_data(rows, columns=columns)


def test_battles_have_no_scale() -> None:
    with pytest.raises(ConfigurationError, match="`scale` is for the qualities of outcomes"):
        read_data([{**FOUGHT[0], "prompt": "x"}], scale=(1, 5))


def test_conversations_need_no_name() -> None:
    assert map_advice(["messages", "model", "quality"], ("prompt", "model", "quality")) == ""


def test_a_map_is_written_name_by_name() -> None:
    assert parse_map(["prompt=question", "model = the llm"]) == {
        "prompt": "question",
        "model": "the llm",
    }
    for texts in (["prompt"], ["=question"], ["prompt="], ["prompt=a", "prompt=b"]):
        with pytest.raises(ConfigurationError, match="--map"):
            parse_map(texts)


@pytest.mark.parametrize("text", ["5", "5:1", "1:1", "a:b", "1:inf", "-inf:1", "nan:1", ""])
def test_a_scale_is_two_rising_numbers(text: str) -> None:
    assert parse_scale("1:5") == (1.0, 5.0)
    with pytest.raises(ConfigurationError, match="LOW:HIGH, as 1:5"):
        parse_scale(text)
    with pytest.raises(ConfigurationError, match="two rising numbers"):
        read_outcomes(GRADED, scale=(5, 1))
