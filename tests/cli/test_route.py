import gzip
import json
from pathlib import Path

import pytest
from rich.cells import cell_len

from routellm_core import load_router
from routellm_core.testing import ScriptedRouter


def records(stdout: str) -> list[dict]:
    return [json.loads(line) for line in stdout.splitlines()]


def test_prompts_on_the_command_line_are_routed_into_a_table(routed) -> None:
    win_rates = load_router("random").win_rates(["hello", "Prove x"])
    result = routed("hello", "Prove x", "--threshold", "0.4")
    assert result.exit_code == 0
    header, *rows = result.stdout.splitlines()
    assert header.split() == ["route", "win", "rate", "prompt"]
    for row, prompt, win_rate in zip(rows, ["hello", "Prove x"], win_rates, strict=False):
        route = "strong" if win_rate >= 0.4 else "weak"
        assert row.split(maxsplit=2) == [route, f"{win_rate:.2f}", prompt]
    assert "2 prompts: 1 strong (50%), 1 weak (50%)" in result.stdout
    assert result.stderr == ""


def test_the_table_says_what_a_threshold_on_percentiles_is(run) -> None:
    shown = run("route", "hi", "--threshold", "0.3").stdout
    assert "strong from win rate 0.3, above 30% of typical prompts" in shown


def test_json_lines_hold_the_whole_decision(routed) -> None:
    [record] = records(routed("hello", "--json", "--threshold", "0.4").stdout)
    assert record == {
        "line": 1,
        "prompt": "hello",
        "route": "strong",
        "model": "strong",
        "win_rate": load_router("random").win_rate("hello"),
        "threshold": 0.4,
        "router": "random",
        "reason": "win_rate",
    }


def test_a_file_holds_one_prompt_per_line(routed, tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("one\n\nthree\n")
    found = records(routed("--file", str(tmp_path / "prompts.txt"), "--json").stdout)
    assert [(record["line"], record["prompt"]) for record in found] == [(1, "one"), (3, "three")]


def test_the_name_of_a_file_says_that_it_is_json_lines(routed, tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text('{"question": "one"}\n{"question": "two"}\n')
    result = routed("-f", str(tmp_path / "p.jsonl"), "--field", "question", "--json")
    assert [record["prompt"] for record in records(result.stdout)] == ["one", "two"]


@pytest.mark.parametrize("arguments", [[], ["--file", "-"]])
def test_prompts_come_through_a_pipe(routed, arguments: list[str]) -> None:
    result = routed(*arguments, "--json", stdin="one\ntwo\n")
    assert [record["prompt"] for record in records(result.stdout)] == ["one", "two"]


def test_json_lines_come_through_a_pipe(routed) -> None:
    result = routed("--jsonl", "--json", stdin='{"prompt": "one"}\n')
    assert [record["prompt"] for record in records(result.stdout)] == ["one"]


def test_a_batch_decides_as_single_prompts_do(routed) -> None:
    prompts = [f"prompt {i}" for i in range(20_000)]
    result = routed("--json", stdin="\n".join(prompts))
    win_rates = [record["win_rate"] for record in records(result.stdout)]
    assert win_rates == load_router("random").win_rates(prompts).tolist()


def test_a_strong_share_becomes_the_calibrated_threshold(routed) -> None:
    [record] = records(routed("hello", "--strong-share", "0.3", "--json").stdout)
    assert record["threshold"] == pytest.approx(0.7)


def test_an_empty_prompt_goes_where_the_policy_says_and_the_table_says_why(routed) -> None:
    result = routed("")
    assert result.stdout.splitlines()[1].split() == ["strong", "-", "(empty_prompt)"]


def test_bad_lines_are_reported_with_their_numbers_and_the_rest_is_routed(routed) -> None:
    result = routed("--jsonl", "--json", stdin='{"prompt": "one"}\nnonsense\n{"prompt": "three"}\n')
    assert result.exit_code == 0
    assert [record["line"] for record in records(result.stdout)] == [1, 3]
    assert "stdin: 1 of 3 rows are bad and were left out." in result.stderr
    assert "line 2: not valid JSON" in result.stderr


def test_many_bad_lines_are_one_line_with_their_count(routed) -> None:
    stdin = '{"prompt": "one"}\n' + '{"answer": 1}\n' * 1_234
    result = routed("--jsonl", "--json", stdin=stdin)
    assert result.exit_code == 0
    assert "lines 2, 3, 4, 5, 6 and 1,229 more: the row has no prompt" in result.stderr
    assert len(result.stderr.splitlines()) == 2


@pytest.mark.parametrize("name", ["x.csv", "x.tsv", "x.csv.gz", "x.jsonl", "x.json.gz"])
def test_a_table_is_routed_by_its_prompt_column(routed, tmp_path: Path, name: str) -> None:
    rows = [{"id": "1", "prompt": "Hello, you", "label": "strong"}]
    separator = "\t" if "tsv" in name else ","
    cells = [rows[0].keys(), [f'"{value}"' for value in rows[0].values()]]
    text = json.dumps(rows) if "json" in name else "\n".join(map(separator.join, cells))
    data = text.encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    found = records(routed("--file", str(tmp_path / name), "--json").stdout)
    assert [record["prompt"] for record in found] == ["Hello, you"]


def test_a_column_may_be_named(routed, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text('prompt,ticket\nno,"yes, this"\n')
    result = routed("--file", str(tmp_path / "x.csv"), "--column", "ticket", "--json")
    assert [record["prompt"] for record in records(result.stdout)] == ["yes, this"]


def test_messages_are_routed_on_the_last_user_message(routed) -> None:
    row = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "!"}]}
    result = routed("--jsonl", "--json", stdin=json.dumps(row))
    assert [record["prompt"] for record in records(result.stdout)] == ["Hi"]


@pytest.mark.parametrize(
    ("name", "text"),
    [("empty.jsonl", ""), ("empty.txt", "\n"), ("empty.csv", ""), ("bad.jsonl", '{"a": 1}\n' * 9)],
)
@pytest.mark.parametrize("style", [[], ["--json"]])
def test_a_file_without_a_usable_row_is_exit_code_1_and_one_line(
    routed, tmp_path: Path, name: str, text: str, style: list[str]
) -> None:
    (tmp_path / name).write_text(text)
    result = routed("--file", str(tmp_path / name), *style)
    assert (result.exit_code, result.stdout) == (1, "")
    [line] = result.stderr.splitlines()
    assert line.startswith("Error: No prompts in ")


def test_strict_stops_with_an_error_after_the_prompts_before_the_bad_line(routed) -> None:
    result = routed("--jsonl", "--json", "--strict", stdin='{"prompt": "one"}\nnonsense\n')
    assert result.exit_code == 1
    assert [record["line"] for record in records(result.stdout)] == [1]
    [line] = result.stderr.splitlines()
    assert line.startswith("Error: Line 2 of stdin holds no prompt: not valid JSON")


def test_an_input_without_prompts_says_so(routed) -> None:
    result = routed(stdin="\n\n")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Error: No prompts in stdin. It is empty.\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x", "--router", "rnadom"], "Unknown router 'rnadom'. Did you mean 'random'?"),
        (["x", "--threshold", "1.5"], "`threshold` must be a number in [0, 1], got 1.5."),
        (["x", "--threshold", "nan"], "`threshold` must be a number in [0, 1], got nan."),
        (["x", "--strong-share", "0"], "`strong_share` must lie in (0, 1], got 0.0."),
        (["x", "-t", "0.5", "-s", "0.5"], "not both"),
        (["x", "--checkpoint", "no/such/folder"], "'no/such/folder/config.json' does not exist."),
        (["--file", "no-such-file"], "Cannot read 'no-such-file': No such file or directory."),
        (["--file", "."], "Cannot read '.': Is a directory."),
        (["x", "--file", "y"], "Pass prompts as arguments or as a file, not both."),
    ],
)
def test_a_mistake_is_one_line_on_stderr_and_exit_code_1(
    routed, arguments: list[str], message: str
) -> None:
    result = routed(*arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    [line] = result.stderr.splitlines()
    assert line.startswith("Error: ")
    assert message in line


def test_a_checkpoint_says_which_router_it_is(run, tmp_path: Path) -> None:
    saved = load_router("random", seed=7).save(tmp_path / "mine")
    result = run("route", "--checkpoint", str(saved), "hello", "--json")
    assert records(result.stdout)[0]["win_rate"] == load_router("random", seed=7).win_rate("hello")


@pytest.mark.parametrize("prompt", ["x" * 500, "推导黑洞的霍金辐射温度。" * 20, "a\nb\tc" * 50])
def test_a_row_stays_within_80_columns(routed, prompt: str) -> None:
    for line in routed(prompt, "short").stdout.splitlines():
        assert cell_len(line.rstrip()) <= 80, line


def test_a_prompt_cannot_command_the_terminal(routed) -> None:
    result = routed("\x1b[2Jgone\x07 [bold]not markup[/]")
    assert "\x1b" not in result.stdout
    assert "\x07" not in result.stdout
    assert "[bold]not markup[/]" in result.stdout


def test_half_a_surrogate_pair_survives_as_json(routed) -> None:
    result = routed("--jsonl", "--json", stdin='{"prompt": "\\ud800"}\n')
    assert records(result.stdout)[0]["prompt"] == "\ud800"


def test_a_router_that_fails_is_an_error_rather_than_a_route(run, monkeypatch) -> None:
    monkeypatch.setattr(
        "routellm_core.routers.load_router", lambda *_, **__: ScriptedRouter(default=float("nan"))
    )
    result = run("route", "hello", "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "must return win rates in [0, 1], got nan" in result.stderr


def test_by_default_the_bundled_router_decides(run) -> None:
    [easy, hard] = records(run("route", "Hello!", "Prove the spectral theorem.", "--json").stdout)
    assert {easy["router"], hard["router"]} == {"mf"}
    assert easy["win_rate"] < hard["win_rate"]
    assert easy["model"] in {load_router("mf").pair.strong, load_router("mf").pair.weak}
