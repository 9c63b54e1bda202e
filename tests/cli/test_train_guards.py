"""`routellm train` stops before it learns from data that would not give a good router."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from planted import outcome_rows, planted

from routellm_core import load_router

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from click.testing import Result

N = 260
ROWS = outcome_rows(*planted(N, seed=3))


@pytest.fixture
def train(run, tmp_path: Path) -> Callable[..., Result]:
    """Train `knn` on rows, into the folder "out" unless the options say otherwise."""

    def train(rows: Iterable[Mapping[str, Any]], *options: str) -> Result:
        path = tmp_path / "rows.jsonl"
        path.write_text("\n".join(map(json.dumps, rows)))
        pair = () if "--pair" in options else ("--pair", "big", "small")
        out = () if "--out" in options else ("--out", str(tmp_path / "out"))
        return run("train", "knn", "--data", str(path), *pair, *out, *options)

    return train


@pytest.fixture
def stops(train, tmp_path: Path) -> Callable[..., str]:
    """Check that a training stops, and that `--force` warns in the same words and goes on.

    Return the words.
    """

    def stops(rows: Iterable[Mapping[str, Any]], *options: str) -> str:
        rows = list(rows)
        stopped = train(rows, *options)
        assert stopped.exit_code == 1
        assert not (tmp_path / "out").exists()
        error = stopped.stderr.splitlines()[-1]
        assert error.startswith("Error: ")
        assert stopped.stderr.count("Error:") == 1
        words, _, advice = error.removeprefix("Error: ").rpartition(" `--force` ")
        assert advice == "trains all the same."
        forced = train(rows, *options, "--force")
        assert forced.exit_code == 0, forced.output
        assert words in forced.stderr.splitlines()
        assert "Error:" not in forced.stderr
        assert load_router("knn", checkpoint=tmp_path / "out").calibration is not None
        return words

    return stops


def test_good_rows_are_trained_without_a_word(train) -> None:
    result = train(ROWS, "--validation-share", "0.5")
    assert (result.exit_code, result.stderr.strip()) == (0, "")


def test_a_strong_model_that_is_worse_stops(stops) -> None:
    words = stops(ROWS, "--pair", "small", "big")
    assert "'small' is named as the strong model and is worse than 'big'" in words
    assert "mean quality 0." in words
    assert "against 1." in words
    assert "`--pair big small`" in words


def test_answers_with_several_qualities_are_told(train) -> None:
    result = train([*ROWS, {**ROWS[0], "quality": 0.5}])
    assert result.exit_code == 0
    assert "1 answers were given different qualities" in result.stderr
