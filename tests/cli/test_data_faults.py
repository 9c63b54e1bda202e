"""What commands say of the files that they read, whichever command reads them."""

from __future__ import annotations

import json
import logging
from importlib.util import find_spec
from pathlib import Path

import pytest
from planted import outcome_rows, planted

from tests.labeling.votes import votes

ROWS = outcome_rows(*planted(260, seed=3))
VOTES = votes({n: 0.95 if n % 3 == 0 else 0.4 for n in range(81, 111)}, per_question=10)
COMMANDS = {
    "train": ("train", "knn", "--data", "FILE", "--pair", "big", "small", "--out", "OUT"),
    "evaluate": (
        "evaluate", "-b", "outcomes=FILE", "-r", "random", "--no-cache", "--rounds", "5",
        "--strong-model", "big", "--weak-model", "small",
    ),
    "calibrate": (
        "calibrate", "--outcomes", "FILE", "--save", "OUT",
        "--strong-model", "big", "--weak-model", "small",
    ),
    "calibrate on prompts": ("calibrate", "FILE", "-r", "random"),
    "analyze": ("analyze", "FILE", "--superior", "gpt-4,claude-v1"),
    "route": ("route", "--file", "FILE", "-r", "random"),
    "label": (
        "label", "FILE", "--out", "OUT", "--strong", "openai/gpt-4o", "--weak",
        "openai/gpt-4o-mini", "--judge", "openai/gpt-4.1", "--dry-run",
    ),
}  # fmt: skip
OF_OUTCOMES = ("train", "evaluate", "calibrate")


@pytest.fixture
def ran(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Run a command on rows, without the handlers that pytest gives the root logger."""

    def ran(command, rows, *, out="out"):
        monkeypatch.setattr(logging.getLogger(), "handlers", [])
        path = tmp_path / "rows.jsonl"
        is_table = isinstance(rows, dict)
        path.write_text(json.dumps(rows) if is_table else "\n".join(map(json.dumps, rows)))
        there = {"FILE": str(path), "OUT": str(tmp_path / out)}
        arguments = [there.get(word, word.replace("FILE", str(path))) for word in COMMANDS[command]]
        return run(*arguments)

    return ran


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("listed", [False, True])
def test_a_table_by_columns_is_read_as_its_rows_are(ran, command, listed) -> None:
    if command == "label" and find_spec("litellm") is None:
        pytest.skip("prices come from litellm")
    rows = VOTES if command == "analyze" else ROWS
    columns = {name: [row.get(name) for row in rows] for name in rows[0]}
    if not listed:
        columns = {name: dict(enumerate(column)) for name, column in columns.items()}
    by_line, by_column = ran(command, rows, out="out1"), ran(command, columns, out="out2")
    assert by_column.exit_code == 0, by_column.stderr
    assert by_column.stdout.replace("out2", "out1") == by_line.stdout
    assert by_column.stderr.replace("out2", "out1") == by_line.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_bad_rows_are_told_once(ran, command) -> None:
    if command == "label" and find_spec("litellm") is None:
        pytest.skip("prices come from litellm")
    good = VOTES if command == "analyze" else ROWS
    n = len(good)
    result = ran(command, [*good, {"other": 1}, {"other": 2}])
    assert result.exit_code == 0, result.stderr
    assert result.stderr.count(f"2 of {n + 2:,} rows are bad and were left out.") == 1
    assert result.stderr.count(f"lines {n + 1}, {n + 2}: ") == 1


@pytest.mark.parametrize("command", OF_OUTCOMES)
def test_answers_with_several_qualities_are_told_once(ran, command) -> None:
    result = ran(command, [*ROWS, {**ROWS[0], "quality": 0.5}])
    assert result.exit_code == 0, result.stderr
    assert result.stderr.count("1 answers were given different qualities") == 1


SAME = {
    "equal": (1, 1, "are equally good on all 260 prompts"),
    "strong": (1, 0, "'big' is always better than 'small'"),
    "weak": (0, 1, "'small' is always better than 'big'"),
}


@pytest.mark.parametrize("case", SAME)
@pytest.mark.parametrize("command", OF_OUTCOMES)
def test_outcomes_without_a_difference_are_told_and_make_no_router(
    ran, tmp_path: Path, command, case
) -> None:
    big, small, words = SAME[case]
    rows = [{**row, "quality": big if row["model"] == "big" else small} for row in ROWS]
    result = ran(command, rows)
    assert words in result.stderr
    assert result.exit_code == (0 if command == "evaluate" else 1)
    assert not (tmp_path / "out").exists()
