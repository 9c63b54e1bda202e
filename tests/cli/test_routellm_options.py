"""RouteLLM's options: the migration guide lists each, and the command line does what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from routellm_core.cli.routellm_options import OPTIONS, SCRIPTS, RouteLLMOption, with_our_names

GUIDE = Path(__file__).parent.parent.parent / "docs" / "migrating-from-routellm.md"

# As RouteLLM 0.2.0's argument parsers define them.
THEIRS = {
    "openai_server": "--verbose --workers --config --port --routers --base-url --api-key "
    "--strong-model --weak-model",
    "calibrate_threshold": "--battles_dataset --config --routers --strong-model-pct --task",
    "evals.evaluate": "--routers --benchmark --output --overwrite-cache --parallel --num-results "
    "--random-iters --config --strong-model --weak-model",
    "router_chat": "--model-url --router --threshold --temp --stop-token-ids --host --port",
}
# What follows each option in RouteLLM's documentation.
VALUES = {
    "--verbose": [], "--workers": ["0"], "--config": ["{config}"], "--port": ["7000"],
    "--routers": ["mf"], "--base-url": ["http://127.0.0.1:1/v1"], "--api-key": ["k"],
    "--strong-model": ["big"], "--weak-model": ["small"], "--battles_dataset": ["a/b"],
    "--strong-model-pct": ["0.5"], "--task": ["calibrate"], "--benchmark": ["mt-bench"],
    "--output": ["{out}"], "--overwrite-cache": ["random"], "--parallel": ["4"],
    "--num-results": ["10"], "--random-iters": ["10"], "--model-url": ["http://127.0.0.1:1/v1"],
    "--router": ["random"], "--threshold": ["0.5"], "--temp": ["0.8"], "--stop-token-ids": ["1"],
    "--host": ["127.0.0.1"],
}  # fmt: skip


def guide_rows() -> list[tuple[str, ...]]:
    section = GUIDE.read_text("utf-8").partition("## Options\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([^`]*)` \| `([^`]*)` \| (.*) \|$", section, re.MULTILINE)
    assert rows
    return rows


def test_every_option_of_routellm_has_a_row() -> None:
    ours = {(row.script, row.option) for row in OPTIONS}
    assert ours == {(script, name) for script, names in THEIRS.items() for name in names.split()}
    assert len(ours) == len(OPTIONS)


def test_the_guide_holds_the_rows_that_the_commands_use() -> None:
    assert guide_rows() == [(row.script, row.option, row.answer) for row in OPTIONS]


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Return, by command, what makes a command run besides the option that is looked at."""
    (tmp_path / "prompts.txt").write_text("one\ntwo\n")
    rows = [
        f'{{"prompt": "p{i}", "model": "{model}", "quality": {quality}}}'
        for i in range(60)
        for model, quality in (("big", 1), ("small", i % 2))
    ]
    (tmp_path / "outcomes.jsonl").write_text("\n".join(rows))
    (tmp_path / "config.yaml").write_text("random: {}\n")
    monkeypatch.setattr("routellm_core.server.run.serve", lambda settings, on_listening: None)
    return {
        "serve": [],
        "playground": [],
        "calibrate": ["-r", "random", str(tmp_path / "prompts.txt")],
        "evaluate": [
            *("-b", f"outcomes={tmp_path / 'outcomes.jsonl'}", "-r", "random"),
            *("--rounds", "2", "--cache", str(tmp_path / "cache")),
        ],
        "chat": ["--strong-model", "a", "--weak-model", "b"],
    }


def pair_of(option: str) -> list[str]:
    """Return the other model's option, without which one is refused."""
    others = {
        "--strong-model": ["--weak-model", "small"],
        "--weak-model": ["--strong-model", "big"],
    }
    return others.get(option, [])


@pytest.mark.parametrize("row", OPTIONS, ids=lambda row: f"{row.script}{row.option}")
def test_every_row_is_what_the_command_does(
    run, row: RouteLLMOption, base: dict[str, list[str]], tmp_path: Path
) -> None:
    places = {"config": tmp_path / "config.yaml", "out": tmp_path / "out"}
    values = [value.format(**places) for value in VALUES[row.option]]
    for command in row.commands:
        result = run(command, *base[command], row.option, *values, *pair_of(row.option))
        if row.here is not None:
            assert result.exit_code == 0, result.stderr
            continue
        assert result.exit_code in (1, 2)
        [line] = result.stderr.splitlines()
        assert row.answer in line
    if row.option == "--output":
        assert (tmp_path / "out" / "results.json").exists()


@pytest.mark.parametrize("row", OPTIONS, ids=lambda row: f"{row.script}{row.option}")
def test_an_answer_names_options_that_there_are(run, row: RouteLLMOption) -> None:
    named = set(re.findall(r"--[a-z-]+", row.answer))
    for command in row.commands[:1]:
        shown = run(command, "--help").stdout
        assert all(option in shown for option in named), named


@pytest.mark.parametrize(("script", "command"), SCRIPTS.items())
@pytest.mark.parametrize("prefix", ["", "routellm."])
def test_a_script_of_routellm_is_answered_with_the_command(
    run, script: str, command: str, prefix: str
) -> None:
    result = run(prefix + script, "--routers", "mf")
    assert result.exit_code == 2
    [line] = result.stderr.splitlines()
    assert f"That is `routellm {command}`." in line


def test_a_strong_model_pct_is_a_share(run, base: dict[str, list[str]]) -> None:
    shares = [
        run("calibrate", *base["calibrate"], option, "0.5", "--json").stdout
        for option in ("--strong-model-pct", "--strong-share")
    ]
    assert shares[0] == shares[1] != ""


def test_several_routers_follow_one_option(run, base: dict[str, list[str]]) -> None:
    result = run(
        "evaluate", *base["evaluate"][:2], *base["evaluate"][4:], "--routers", "random", "mf"
    )
    assert result.exit_code == 0, result.stderr
    assert re.search(r"^random ", result.stdout, re.MULTILINE)
    assert re.search(r"^mf ", result.stdout, re.MULTILINE)


def test_what_follows_two_dashes_is_left_alone() -> None:
    given = ["--output", "x", "--", "--output"]
    assert with_our_names("evaluate", given) == ["--out", "x", "--", "--output"]
    assert with_our_names("route", given) == given
