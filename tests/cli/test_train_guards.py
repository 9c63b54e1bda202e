"""`routellm train` stops before it learns from data that would not give a good router."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from planted import battle_rows, outcome_rows, planted

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


def test_few_prompts_stop(stops) -> None:
    words = stops(ROWS[: 2 * 120])
    n = len({row["prompt"] for row in ROWS[: 2 * 120]})
    assert f"Only {n} prompts to learn from that both models answered" in words
    assert "at least 200" in words
    assert "routellm label" in words


def test_prompts_that_one_model_alone_answered_do_not_count(train) -> None:
    rows = [row for n, row in enumerate(ROWS) if n % 2 == 0 or n < 2 * 150]
    result = train(rows)
    assert result.exit_code == 1
    assert "prompts to learn from that both models answered" in result.stderr


def test_battles_of_other_models_count_for_a_trainer_that_learns_from_them(run, tmp_path) -> None:
    rows = battle_rows(*planted(N, seed=3))
    others = {"big": "huge", "small": "tiny"}
    rows[100:] = [
        {**row, "model_a": others[row["model_a"]], "model_b": others[row["model_b"]]}
        for row in rows[100:]
    ]
    path = tmp_path / "battles.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    arguments = ["--data", str(path), "--pair", "big", "small", "--out", str(tmp_path / "out")]
    stopped = run("train", "knn", *arguments)
    assert stopped.exit_code == 1
    assert "Only 1" in stopped.stderr
    assert run("train", "sw_ranking", *arguments).exit_code == 0


def test_rows_without_a_difference_are_told_before_their_number(train) -> None:
    result = train([{**row, "quality": 1} for row in ROWS[:40]])
    assert result.exit_code == 1
    assert "are equally good on all" in result.stderr
    assert "--force" not in result.stderr


BAD = {"prompt": "p", "model": "big", "quality": "good"}


def test_more_than_one_bad_row_in_twenty_stops(stops) -> None:
    n_bad = len(ROWS) // 19 + 1
    words = stops([*ROWS, *[BAD] * n_bad])
    assert f"{n_bad} of {len(ROWS) + n_bad} rows cannot be used, more than 5%" in words
    assert "`quality` must be a number, got 'good'" in words


def test_one_bad_row_in_twenty_is_left_out_and_told(train) -> None:
    n_bad = len(ROWS) // 19
    result = train([*ROWS, *[BAD] * n_bad])
    assert result.exit_code == 0
    assert f"{n_bad} of {len(ROWS) + n_bad} rows are bad and were left out." in result.stderr


def test_everything_that_is_wrong_is_said_at_once(train) -> None:
    result = train([*ROWS[:100], *[BAD] * 50], "--pair", "small", "big")
    assert result.exit_code == 1
    for words in ("rows cannot be used", "is worse than", "prompts to learn from"):
        assert words in result.stderr.splitlines()[-1]


@pytest.mark.parametrize("command", [["train", "adapted"], ["adapt"]])
def test_every_command_that_stops_takes_the_option_that_it_names(
    run, tmp_path: Path, command: list[str]
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, ROWS[:120])))
    arguments = ["--data", str(path), "--pair", "small", "big", "--out", str(tmp_path / "out")]
    stopped = run(*command, *arguments)
    assert stopped.exit_code == 1
    assert "is worse than 'big'" in stopped.stderr
    assert "`--force` trains all the same." in stopped.stderr
    forced = run(*command, *arguments, "--force")
    assert forced.exit_code == 0, forced.output
    assert "is worse than 'big'" in forced.stderr
    assert load_router(str(tmp_path / "out")).pair.strong == "small"


@pytest.mark.parametrize("command", [["train", "knn"], ["adapt"]])
def test_a_folder_that_exists_is_kept_unless_forced(run, tmp_path: Path, command) -> None:
    path, out = tmp_path / "rows.jsonl", tmp_path / "out"
    path.write_text("\n".join(map(json.dumps, ROWS)))
    load_router("random", seed=3).save(out)
    before = {each.name: each.read_bytes() for each in out.iterdir()}
    arguments = ["--data", str(path), "--pair", "big", "small", "--out", str(out)]
    stopped = run(*command, *arguments)
    assert stopped.exit_code == 1
    [line] = stopped.stderr.splitlines()
    assert f"'{out}' holds a checkpoint already." in line
    assert "another folder" in line
    assert "`--force` replaces it." in line
    assert {each.name: each.read_bytes() for each in out.iterdir()} == before
    forced = run(*command, *arguments, "--force")
    assert forced.exit_code == 0, forced.output
    assert load_router(str(out)).name != "random"


def test_a_folder_of_something_else_is_refused_before_anything_is_trained(
    train, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    for options in ([], ["--force"]):
        result = train([{"wrong": 1}], *options)
        assert result.exit_code == 1
        assert "holds files that are not a checkpoint" in result.stderr
    out.joinpath("notes.txt").unlink()
    assert train(ROWS).exit_code == 0


FIVES = [{**row, "quality": 5 if row["quality"] else 1} for row in ROWS]


@pytest.mark.parametrize("command", [["train", "knn"], ["adapt"]])
def test_grades_stop_and_the_scale_that_is_named_reads_them(run, tmp_path: Path, command) -> None:
    graded, plain = tmp_path / "graded.jsonl", tmp_path / "plain.jsonl"
    graded.write_text("\n".join(map(json.dumps, FIVES)))
    plain.write_text("\n".join(map(json.dumps, ROWS)))
    pair = ["--pair", "big", "small", "--json"]
    stopped = run(*command, "--data", str(graded), *pair, "--out", str(tmp_path / "a"))
    assert stopped.exit_code == 1
    assert "`--scale 1:5`" in stopped.stderr
    reports = [
        json.loads(
            run(*command, "--data", str(path), *pair, "--out", str(tmp_path / out), *more).stdout
        )
        for path, out, more in ((graded, "a", ["--scale", "1:5"]), (plain, "b", []))
    ]
    assert [report.pop("checkpoint")[-1] for report in reports] == ["a", "b"]
    assert reports[0] == reports[1]


@pytest.mark.parametrize("command", [["train", "knn"], ["adapt"]])
def test_unknown_columns_stop_and_the_names_that_are_given_read_them(
    run, tmp_path: Path, command
) -> None:
    path = tmp_path / "rows.jsonl"
    names = {"prompt": "question", "model": "llm", "quality": "grade"}
    path.write_text(
        "\n".join(json.dumps({names[key]: value for key, value in row.items()}) for row in ROWS)
    )
    arguments = ["--data", str(path), "--pair", "big", "small", "--out", str(tmp_path / "out")]
    stopped = run(*command, *arguments)
    assert stopped.exit_code == 1
    [line] = stopped.stderr.splitlines()
    assert "Columns of the first row: question, llm, grade." in line
    options = line.partition("say so: `")[2].partition("`")[0]
    assert options == "--map prompt=question --map model=llm --map quality=grade"
    assert run(*command, *arguments, *options.split()).exit_code == 0
