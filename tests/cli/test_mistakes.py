"""What each command says of each mistake: one line, the value, what is accepted, no traceback."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import typer

from routellm_core.cli import app
from routellm_core.testing import ScriptedRouter
from tests.labeling.votes import votes

pytestmark = pytest.mark.loopback

COMMANDS: dict[str, Any] = typer.main.get_command(app).commands

PAIR = ["--pair", "big", "small"]
MODELS = ["--strong-model", "a", "--weak-model", "b"]
# Commands as they run, without the part that a case gets wrong.
ROUTE = ["route", "-r", "random"]
CALIBRATE = ["calibrate", "-r", "random"]
EVALUATE = ["evaluate", "-r", "random", "--no-cache", "--rounds", "2"]
COMPARE = ["compare", "random", "random", "--no-cache", "--rounds", "2"]
TRAIN = ["train", "knn", *PAIR, "--out", "{tmp}/out"]
TRAINED = [*TRAIN, "--data", "{outcomes}"]
ADAPT = ["adapt", *PAIR, "--out", "{tmp}/out", "--data", "{outcomes}"]
SERVE = ["serve", "--port", "0"]
PLAYGROUND = ["playground", "--port", "0"]
CHAT = ["chat", *MODELS]
ADD = ["add-model", "mf", "small", "--out", "{tmp}/added"]
ADDED = [*ADD, "--outcomes", "{outcomes}"]
CHOOSE = ["add-model", "mf", "new", "--choose", "1", "--prompts"]
TUNE = ["tune", "--strong", "a", "--weak", "b", "-o", "{tmp}/router"]


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Write the files that commands read, good ones and bad ones."""
    for name in ("OPENAI_API_KEY", "OPENAI_API_BASE", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    rows = [
        {"prompt": f"Question {i}?", "model": model, "quality": quality}
        for i in range(600)
        for model, quality in (("big", 1.0), ("small", float(i % 2)))
    ]
    record = {"prompt": "ok", "answer": 1}
    graded = [
        {"prompt": f"Question {i}?", "answer": "Yes." * (i % 2), "quality": i % 2}
        for i in range(250)
    ]
    scored = [
        {**row, "cost": 0.01 if row["model"] == "big" else 0.001}
        | ({"score": (i % 7) / 7} if row["model"] == "small" else {})
        for i, row in enumerate(rows)
    ]
    texts = {
        "scored.jsonl": "\n".join(map(json.dumps, scored)),
        "outcomes.jsonl": "\n".join(map(json.dumps, rows)),
        "graded.jsonl": "\n".join(map(json.dumps, graded)),
        "few.jsonl": json.dumps(graded[0]),
        "prompts.txt": "one\ntwo\n",
        "empty.jsonl": "",
        "bad.jsonl": '{"prompt": "a"\n' * 30,
        "wrong.jsonl": '{"ticket": "a"}\n' * 30,
        "log.jsonl": json.dumps(record),
        "votes.jsonl": "\n".join(map(json.dumps, votes(dict.fromkeys(range(9), 0.7)))),
        "empty.yaml": "",
        "bad.yaml": "a: [1,\nb: }\n",
        "wrong.yaml": "thresold: 0.3\n",
        "percent.yaml": "threshold: 30\n",
        "file": "",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    found = {name.partition(".")[0]: str(tmp_path / name) for name in texts if "yaml" not in name}
    found |= {name.replace(".", "_"): str(tmp_path / name) for name in texts if "yaml" in name}
    return {**found, "tmp": str(tmp_path), "missing": str(tmp_path / "no_such.jsonl")}


READERS = {
    "route": [*ROUTE, "-f"],
    "calibrate": CALIBRATE,
    "calibrate strategy": [
        *CALIBRATE,
        "--strategy",
        "cascade",
        "--max-cost",
        "1",
        "--outcomes",
    ],
    "calibrate outcomes": [*CALIBRATE, "--outcomes"],
    "train": [*TRAIN, "--data"],
    "train verifier": ["train", "verifier", "--out", "{tmp}/out", "--data"],
    "train leave-out": [*TRAINED, "--leave-out"],
    "train leave-out benchmark": [*TRAINED, "--leave-out", "outcomes="],
    "add-model": [*ADD, "--outcomes"],
    "add-model prompts": CHOOSE,
    "evaluate": [*EVALUATE, "-b", "outcomes="],
    "evaluate strategies": [*EVALUATE, "--strategy", "all", "-b", "outcomes="],
    "evaluate answers": [*EVALUATE, "-b", "answers="],
    "evaluate training data": [*EVALUATE, "-b", "outcomes={outcomes}", "--training-data"],
    "evaluate changed": [*EVALUATE, "-b", "outcomes={outcomes}", "--changed"],
    "compare": [*COMPARE, "-b", "outcomes="],
    "monitor": ["monitor"],
    "replay": ["replay"],
    "verify": ["verify"],
    "label": ["label", "-o", "{tmp}/labels.jsonl", "--mode", "feedback"],
    "tune": [*TUNE, "--mode", "reference"],
    "analyze": ["analyze"],
    "analyze questions": ["analyze", "{votes}", "--questions"],
}
"""Every way in which a command reads a file of rows."""

FILES = {
    "missing": ("no_such.jsonl", r"no file|No such file|no log|cannot be read|does not exist"),
    "empty": ("empty.jsonl", r"[Ii]s empty|[Ii]t is empty|EOF"),
    "bad": ("bad.jsonl", r"JSON|Expecting"),
    "wrong": ("wrong.jsonl", r"ticket|missing|trailing characters"),
    "tmp": ("", r"Is a directory|no saved data set|no log|`datasets` is not installed"),
}
"""Every way in which a file of rows is wrong: its name, and what is said of it."""


def cases() -> Iterator[Any]:
    for reader, arguments in READERS.items():
        for kind, (name, told) in FILES.items():
            last = arguments[-1]
            joined = [*arguments[:-1], f"{last}{{{kind}}}"] if last.endswith("=") else None
            filled = joined or [*arguments, f"{{{kind}}}"]
            yield pytest.param(filled, name, told, id=f"{reader}: {kind}")
    for name, arguments in (("serve", SERVE), ("playground", PLAYGROUND)):
        for config, told in (
            ("missing", "Cannot read .*No such file"),
            ("empty_yaml", "must hold settings by name, got nothing"),
            ("bad_yaml", "is not YAML: line 2, column 4"),
            ("wrong_yaml", "`thresold` is unknown. Did you mean 'threshold'"),
            ("percent_yaml", r"`threshold` must be at most 1, got 30\. Did you mean 0\.3\?"),
        ):
            yield pytest.param(
                [*arguments, "--config", f"{{{config}}}"], "", told, id=f"{name}: {config}"
            )
    for config, told in (
        ("missing", "Cannot read .*No such file"),
        ("empty_yaml", "must map router names to their options"),
        ("bad_yaml", "is not YAML: line 2, column 4"),
        ("wrong_yaml", "must map router names to their options"),
    ):
        yield pytest.param([*CHAT, "--config", f"{{{config}}}"], "", told, id=f"chat: {config}")
    for name, arguments in UNKNOWN_ROUTERS.items():
        told = "'rnadom'. Did you mean 'random'"
        yield pytest.param(arguments, "", told, id=f"{name}: unknown router")
    for name, arguments in NO_CHECKPOINTS.items():
        yield pytest.param(arguments, "nowhere/at/all", "exist", id=f"{name}: no checkpoint")
    for name, (arguments, told) in OTHERS.items():
        yield pytest.param(arguments, "", told, id=name)


UNKNOWN_ROUTERS = {
    "route": ["route", "x", "-r", "rnadom"],
    "demo": ["demo", "x", "-r", "rnadom"],
    "chat": [*CHAT, "-r", "rnadom"],
    "serve": [*SERVE, "-r", "rnadom"],
    "playground": [*PLAYGROUND, "-r", "rnadom"],
    "monitor": ["monitor", "{log}", "-r", "rnadom"],
    "replay": ["replay", "{log}", "-r", "rnadom"],
    "add-model": ["add-model", "rnadom", *ADDED[2:]],
    "add-model choose": ["add-model", "rnadom", *CHOOSE[2:], "{prompts}"],
    "evaluate": ["evaluate", "-r", "rnadom", "-b", "outcomes={outcomes}"],
    "compare": ["compare", "random", "rnadom", "-b", "outcomes={outcomes}"],
    "calibrate": ["calibrate", "{prompts}", "-r", "rnadom"],
}
NO_CHECKPOINTS = {
    "route": ["route", "x", "--checkpoint", "nowhere/at/all"],
    "demo": ["demo", "x", "--checkpoint", "nowhere/at/all"],
    "chat": [*CHAT, "-r", "mf=nowhere/at/all"],
    "serve": [*SERVE, "-r", "mf=nowhere/at/all"],
    "playground": [*PLAYGROUND, "-r", "mf=nowhere/at/all"],
    "monitor": ["monitor", "{log}", "--checkpoint", "nowhere/at/all"],
    "replay": ["replay", "{log}", "--checkpoint", "nowhere/at/all"],
    "add-model": ["add-model", "mf=nowhere/at/all", *ADDED[2:]],
    "evaluate": ["evaluate", "-r", "mf=nowhere/at/all", "-b", "outcomes={outcomes}"],
    "compare": ["compare", "random", "mf=nowhere/at/all", "-b", "outcomes={outcomes}"],
    "calibrate": ["calibrate", "{prompts}", "--checkpoint", "nowhere/at/all"],
}
KEYLESS = ["--strong-model", "openai/gpt-4o", "--weak-model", "openai/gpt-4o-mini"]
NO_KEY = "OPENAI_API_KEY"
OTHERS = {
    "demo: no key": (["demo", "--strong", "openai/gpt-4o", "--weak", "openai/gpt-4o-mini"], NO_KEY),
    "demo llamaindex: no key": (
        ["demo", "--framework", "llamaindex", "--strong", "openai/x", "--weak", "openai/y"],
        NO_KEY,
    ),
    "chat: no key": (["chat", *KEYLESS, "-r", "random", "-t", "0"], NO_KEY),
    "serve: no key": ([*SERVE, *KEYLESS, "-r", "random"], NO_KEY),
    "playground: no key": ([*PLAYGROUND, *KEYLESS, "-r", "random"], NO_KEY),
    "train: no key": ([*TRAINED, "--embedder", "litellm:text-embedding-3-small"], NO_KEY),
    "serve: a taken port": (["serve", "-r", "random", "--port", "{port}"], "{port}"),
    "serve: no such address": ([*SERVE, "--host", "256.0.0.1", "--insecure"], "256.0.0.1"),
    "serve: beyond this machine": ([*SERVE, "--host", "0.0.0.0"], "without a key"),
    "serve: one model": ([*SERVE, "--strong-model", "a"], "Pass both `strong_model`"),
    "serve: port": (["serve", "--port", "99999"], "`port` must be at most 65535, got 99999"),
    "serve: workers": ([*SERVE, "--workers", "-1"], "`workers` must be at least 1, got -1"),
    "train: unknown router": (["train", "knnn", *TRAINED[2:]], "No trainer for 'knnn'. Did you"),
    "train: unknown model": (
        ["train", "knn", "--pair", "bgi", "small", *TRAINED[5:]],
        "Unknown model 'bgi'. Did you mean 'big'",
    ),
    "train: unknown embedder": ([*TRAINED, "--embedder", "openai"], "'openai'"),
    "train: unknown setting": ([*TRAINED, "--set", "nothing=1"], "nothing"),
    "train: no pair": (
        ["train", "knn", "--data", "{outcomes}", "--out", "{tmp}/out"],
        "`routellm train knn` needs `--pair STRONG WEAK`",
    ),
    "train verifier: pair": (
        ["train", "verifier", *TRAINED[2:]],
        "`--pair` is for routers: `routellm train verifier` learns from graded answers",
    ),
    "train verifier: unknown setting": (
        ["train", "verifier", "--data", "{graded}", "--out", "{tmp}/o", "--set", "ridge=1"],
        "Trainer 'verifier': .*ridge",
    ),
    "train verifier: few rows": (
        ["train", "verifier", "--data", "{few}", "--out", "{tmp}/o"],
        "Only 1 answers to learn from.* `--force` trains all the same",
    ),
    "train: no base": (["train", "bert", *TRAINED[2:]], "needs `--base`"),
    "train: output": (
        ["train", "knn", *PAIR, "--data", "{outcomes}", "--out", "{file}/out"],
        "{file}",
    ),
    "train: map": ([*TRAINED, "--map", "prompt"], "prompt=question, got 'prompt'"),
    "train: unknown name of a map": ([*TRAINED, "--map", "promt=x"], "Did you mean 'prompt'"),
    "train: missing column of a map": (
        [*TRAINED, "--map", "prompt=promt"],
        r"No column 'promt' to read as `prompt`\. Did you mean 'prompt'",
    ),
    "train: scale": ([*TRAINED, "--scale", "5:1"], "LOW:HIGH, as 1:5, got '5:1'"),
    "train: output that exists": (
        [*TRAIN[:-1], "{tmp}", "--data", "{outcomes}"],
        "files that are not a checkpoint",
    ),
    "adapt: map": ([*ADAPT, "--map", "=x"], "prompt=question, got '=x'"),
    "adapt: scale": ([*ADAPT, "--scale", "five"], "LOW:HIGH, as 1:5, got 'five'"),
    "add-model: another router": (["add-model", "random", *ADDED[2:]], "'random' takes no new"),
    "add-model: another name": (
        ["add-model", "mf", "smal", *ADDED[3:]],
        r"no row of model 'smal'\. Did you mean 'small'\?",
    ),
    "add-model: a known name": (
        ["add-model", "mf", "gpt-4-0613", *ADDED[3:]],
        "The router knows 'gpt-4-0613' already",
    ),
    "add-model: unknown likeness": ([*ADDED, "--like", "gpt-4oo"], "'gpt-4oo'"),
    "add-model: nothing known": (ADD, "Pass its `outcomes`.*, or `like` with a known model"),
    "add-model: no output": (ADDED[:3] + ADDED[5:], "Pass `--out FOLDER`"),
    "add-model: output": (["add-model", "mf", "small", "-o", "{file}", *ADDED[5:]], "{file}"),
    "add-model: prior": ([*ADDED, "--prior", "0"], r"`prior` must be a positive number, got 0\.0"),
    "add-model: scale": ([*ADDED, "--scale", "5:1"], "LOW:HIGH, as 1:5, got '5:1'"),
    "add-model: map": ([*ADDED, "--map", "=x"], "prompt=question, got '=x'"),
    "add-model: choose and add": (
        [*CHOOSE, "{prompts}", "--outcomes", "{outcomes}"],
        "takes no `--outcomes`",
    ),
    "add-model: choose none": (
        ["add-model", "mf", "new", "--choose", "0", "--prompts", "{prompts}"],
        "whole number from 1 on, got 0",
    ),
    "add-model: choose too many": (
        ["add-model", "mf", "new", "--choose", "3", "--prompts", "{prompts}"],
        "3 prompts cannot be chosen among 2 different ones",
    ),
    "add-model: choose of nothing": (
        ["add-model", "mf", "new", "--choose", "3"],
        "needs `--prompts FILE`, too",
    ),
    "add-model: choose no number": (
        ["add-model", "mf", "new", "--prompts", "{prompts}"],
        "needs `--choose N`, too",
    ),
    "calibrate: output": ([*CALIBRATE[:1], "{prompts}", "--save", "{file}/out"], "{file}"),
    "calibrate: no prompts": (CALIBRATE, "Pass a file of prompts, or `--outcomes`"),
    "calibrate: method": ([*CALIBRATE, "{prompts}", "--method", "magic"], "platt, got 'magic'"),
    "calibrate: cost": ([*CALIBRATE, "{prompts}", "--max-cost", "-1"], "positive number, got -1.0"),
    "evaluate: output": (
        [*EVALUATE, "-b", "outcomes={outcomes}", "-o", "{file}/out"],
        "{file}",
    ),
    "evaluate: cache": (
        ["evaluate", "-r", "random", "-b", "outcomes={outcomes}", "--cache", "{file}/c"],
        "{file}",
    ),
    "evaluate: unknown benchmark": ([*EVALUATE, "-b", "mml=x"], "'mml'. Did you mean 'mmlu'"),
    "evaluate: unknown strategy": (
        [*EVALUATE, "-b", "outcomes={outcomes}", "--strategy", "cascde"],
        "'cascde'. Did you mean 'cascade'",
    ),
    "evaluate: a strategy without outcomes": (
        [*EVALUATE, "-b", "mmlu=x", "--strategy", "cascade"],
        "`--benchmark outcomes=FILE`.*got 'mmlu=x'",
    ),
    "evaluate: a strategy without costs": (
        [*EVALUATE, "-b", "outcomes={outcomes}", "--strategy", "cascade"],
        "cost of 600 answers of 'big' is not known.*`cost` in US dollars",
    ),
    "evaluate: a strategy without scores": (
        [*EVALUATE, "-b", "outcomes={scored}", "--strategy", "best-of"],
        "600 of 600 prompts lack a score.*'big'",
    ),
    "evaluate: a verifier without its column": (
        [*EVALUATE, "-b", "outcomes={scored}", "--strategy", "cascade", "--verifier", "logprob"],
        "'logprob' needs a column `logprob`",
    ),
    "evaluate: unknown verifier": (
        [*EVALUATE, "-b", "outcomes={scored}", "--strategy", "cascade", "--verifier", "jugde"],
        "'jugde'. Did you mean 'judge'",
    ),
    "evaluate: a verifier without a strategy": (
        [*EVALUATE, "-b", "outcomes={scored}", "--verifier", "logprob"],
        "`--verifier` is read with `--strategy` only",
    ),
    "evaluate: costs of calls and a strategy": (
        [*EVALUATE, "-b", "outcomes={scored}", "--strategy", "cascade", "--strong-cost-usd", "1"],
        "`--strategy` reads costs from the column `cost`",
    ),
    "evaluate: training data and a strategy": (
        [*EVALUATE, "-b", "outcomes={scored}", "--strategy", "cascade", "--training-data", "x"],
        "`--training-data` is not read with `--strategy`",
    ),
    "evaluate: robustness and a strategy": (
        [*EVALUATE, "-b", "outcomes={scored}", "--strategy", "cascade", "--robustness"],
        "`--robustness` and `--changed` are not read with `--strategy`",
    ),
    "evaluate: a strategy of many models and a router of a pair": (
        [*EVALUATE, "-b", "outcomes={scored}", "--strategy", "experts"],
        "'random' compares two models",
    ),
    "evaluate: strategies written under a file": (
        [*EVALUATE, "-b", "outcomes={scored}", "--strategy", "cascade", "-o", "{file}/out"],
        "Not a directory|File exists",
    ),
    "replay: unknown strategy": (
        ["replay", "{log}", "--strategy", "hybrid", "--accept-rate", "0.5"],
        "Unknown strategy 'hybrid'. .*cascade",
    ),
    "replay: a strategy without a level": (
        ["replay", "{log}", "--strategy", "cascade"],
        "`--strategy` needs `--accept`, `--accept-rate`",
    ),
    "replay: a strategy and a threshold": (
        ["replay", "{log}", "--strategy", "cascade", "--accept-rate", "0.5", "-t", "0.5"],
        "without a threshold or a router",
    ),
    "replay: a rate without a strategy": (
        ["replay", "{log}", "--accept-rate", "0.5"],
        "are read with `--strategy` only",
    ),
    "replay: a rate in percent": (
        ["replay", "{log}", "--strategy", "cascade", "--accept-rate", "70"],
        "`accept_rate` must lie in .0, 1., got 70",
    ),
    "calibrate: unknown strategy": (
        [*CALIBRATE, "--outcomes", "{scored}", "--strategy", "best-of", "--max-cost", "1"],
        "Unknown strategy 'best-of'.*cascade, hybrid, experts",
    ),
    "calibrate: a strategy without a goal": (
        [*CALIBRATE, "--outcomes", "{scored}", "--strategy", "cascade"],
        "either `--max-cost` or `--min-quality`",
    ),
    "calibrate: a strategy and prompts": (
        [*CALIBRATE, "{prompts}", "--strategy", "cascade", "--max-cost", "1"],
        "`--strategy` reads `--outcomes` alone",
    ),
    "calibrate: a strategy out of reach": (
        [*CALIBRATE, "--outcomes", "{scored}", "--strategy", "cascade", "--max-cost", "0.0001"],
        "`max_cost` must be at least 0.001 .*got 0.0001",
    ),
    "calibrate: a verifier without a strategy": (
        [*CALIBRATE, "--outcomes", "{scored}", "--verifier", "logprob"],
        "`--verifier` is read with `--strategy` only",
    ),
    "calibrate: a strategy stored under a file": (
        [
            *CALIBRATE,
            "--outcomes",
            "{scored}",
            "--strategy",
            "cascade",
            "--max-cost",
            "1",
            "--save",
            "{file}/strategy.json",
        ],
        "Not a directory|File exists",
    ),
    "evaluate: no path": ([*EVALUATE, "-b", "outcomes"], "NAME=PATH, got 'outcomes'"),
    "evaluate: unknown models": (
        [*EVALUATE, "-b", "outcomes={outcomes}", "--strong-model", "bgi", "--weak-model", "small"],
        "'bgi'. Did you mean 'big'",
    ),
    "compare: one model": ([*COMPARE, "-b", "outcomes={outcomes}", "--weak-model", "a"], "both"),
    "tune: no judge": ([*TUNE, "{prompts}"], "Mode 'pairwise' needs a `judge`"),
    "tune: no cap": ([*TUNE, "{prompts}", "--judge", "c", "--price", "a=1:1"], "`--max-cost inf`"),
    "tune: price": (
        [*TUNE, "{prompts}", "--judge", "c", "--max-cost", "1", "--price", "a=1"],
        "takes MODEL=IN:OUT",
    ),
    "tune: mode": ([*TUNE, "{prompts}", "--mode", "feedback"], "`routellm label --mode feedback`"),
    "tune: a folder": (
        [*TUNE[:-1], "{tmp}", "{prompts}", "--judge", "c", "--max-cost", "inf"],
        "exists, and no run of tuning wrote it",
    ),
    "analyze: unknown model": (
        ["analyze", "{votes}", "--superior", "gpt4"],
        "Did you mean 'gpt-4'",
    ),
    "analyze: one group": (
        ["analyze", "{votes}", "--superior", "gpt-4", "--inferior", "gpt-4"],
        "'gpt-4' is both superior and inferior",
    ),
    "analyze: turn": (
        ["analyze", "{votes}", "-o", "{tmp}/a", "--examples", "2", "--turn", "3"],
        r"No question is of turn 3\. Turns: 1, 2\.",
    ),
    "analyze: examples": (
        ["analyze", "{votes}", "-o", "{tmp}/a", "--examples", "9"],
        "are too few for 9 examples",
    ),
    "analyze: output": (["analyze", "{votes}", "-o", "{file}/a", "--examples", "2"], "{file}"),
    "monitor: plot": (["monitor", "{log}", "--plot", "x.txt"], "got 'x.txt'|no record"),
    "monitor: labels": (["monitor", "{log}", "--labels", "x.jsonl"], "is no file|no record"),
    "monitor: period": (["monitor", "{log}", "--period", "0"], "above 0, got 0.0"),
    "replay: two targets": (["replay", "{log}", "-t", "0.5", "-s", "0.5"], "not both"),
    "route: two inputs": (["route", "x", "-f", "{prompts}"], "not both"),
    "demo: one model": (["demo", "--strong", "a"], "pass both"),
    "demo: strong effort": (["demo", "--strong-effort", "high"], "needs the models"),
    "demo: weak effort": (["demo", "--weak-effort", "low"], "needs the models"),
    "demo: one model at one effort": (
        ["demo", "--strong", "openai:o4-mini", "--weak", "openai:o4-mini"],
        "nothing to route between|needs a key|api_key",
    ),
}


@pytest.mark.parametrize(("arguments", "named", "told"), list(cases()))
def test_a_mistake_is_told_in_one_line(
    run, places: dict[str, str], arguments: list[str], named: str, told: str
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        places = {**places, "port": str(taken.getsockname()[1])}
        result = run(*(argument.format(**places) for argument in arguments), stdin="hello\n")
    assert result.exit_code in (1, 2), result.output
    # What of a file was left out may come before, as lines of a report.
    *report, line = result.stderr.splitlines()
    assert all("left out" in each or each.startswith("  ") for each in report), result.stderr
    assert line.startswith("Error: ")
    assert named in line
    assert re.search(told.format(**places) if "{" in told else told, line), line
    assert "Traceback" not in result.output
    assert "Input should" not in line
    assert len(line) < 600


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_option_is_named(run, command: str) -> None:
    result = run(command, "--nonsense")
    assert (result.exit_code, result.stdout) == (2, "")
    [line] = result.stderr.splitlines()
    assert f"`routellm {command}` has no option '--nonsense'." in line
    assert f"See `routellm {command} --help`." in line


@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in ("serve", "route")])
def test_verbose_after_the_command_is_told_to_go_before(run, command: str) -> None:
    result = run(command, "--verbose")
    assert result.exit_code == 2
    assert f"It goes before the command: `routellm --verbose {command}`." in result.stderr


@pytest.mark.parametrize(
    "command", [name for name, found in COMMANDS.items() if any(p.required for p in found.params)]
)
def test_everything_that_is_missing_is_named_at_once(run, command: str) -> None:
    result = run(command)
    assert (result.exit_code, result.stdout) == (2, "")
    [line] = result.stderr.splitlines()
    for parameter in COMMANDS[command].params:
        if parameter.required:
            assert str(parameter.metavar) in line
            assert all(opt in line for opt in parameter.opts if opt.startswith("--"))


def options(*metavars: str) -> list[Any]:
    """Return every option of every command that takes one of these."""
    return [
        pytest.param(name, max(parameter.opts, key=len), id=f"{name} {parameter.opts[0]}")
        for name, command in COMMANDS.items()
        for parameter in command.params
        if parameter.metavar in metavars
    ]


# What a command needs besides, so that it comes to look at the option.
REST = {
    "route": ["x", "-r", "random"],
    "demo": ["x", "-r", "random"],
    "chat": MODELS,
    "serve": [],
    "playground": [],
    "monitor": ["{log}"],
    "replay": ["{log}"],
    "train": TRAINED[1:],
    "adapt": [*PAIR, "--out", "{tmp}/out", "--data", "{outcomes}"],
    "add-model": ADDED[1:],
    "evaluate": ["-r", "random", "-b", "outcomes={outcomes}"],
    "compare": ["random", "random", "-b", "outcomes={outcomes}"],
    "calibrate": ["-r", "random", "--outcomes", "{outcomes}"],
    "label": ["{log}", "-o", "{tmp}/labels.jsonl", "--mode", "feedback"],
    "analyze": ["{votes}"],
    "tune": ["{prompts}", "--strong", "a", "--weak", "b", "-o", "{tmp}/router"],
}


@pytest.mark.parametrize(("command", "option"), options("RATE", "SHARE"))
def test_a_fraction_in_percent_is_answered_with_the_fraction(
    run, places: dict[str, str], command: str, option: str
) -> None:
    rest = [argument.format(**places) for argument in REST[command]]
    result = run(command, *rest, option, "30")
    assert (result.exit_code, result.stdout) == (1, "")
    [line] = result.stderr.splitlines()
    assert re.search(r"got 30(\.0)?\. Did you mean 0\.3\?$", line), line
    result = run(command, *rest, option, "30%")
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"`{option}` must be a number, got '30%'. Did you mean 0.3?" in result.stderr


def test_every_fraction_of_the_command_line_is_among_them() -> None:
    fractions = {"threshold", "strong_share", "min_quality", "confidence", "validation_share"}
    fractions |= {"hard_share", "accept_rate"}
    named = {
        (name, parameter.name)
        for name, command in COMMANDS.items()
        for parameter in command.params
        if parameter.name in fractions
    }
    assert len(named) == len(options("RATE", "SHARE")) >= 15


@pytest.mark.parametrize(
    ("command", "option", "accepted"),
    [
        pytest.param(name, max(p.opts, key=len), accepted, id=f"{name} {p.opts[0]}")
        for name, command in COMMANDS.items()
        for p in command.params
        for kind, accepted in (("int", "a whole number"), ("float", "a number"))
        if re.search(rf"\b{kind}\b", str(get_type_hints(command.callback)[p.name]))
    ],
)
def test_a_word_in_place_of_a_number_is_named(
    run, places: dict[str, str], command: str, option: str, accepted: str
) -> None:
    rest = [argument.format(**places) for argument in REST[command]]
    result = run(command, *rest, option, "many")
    assert (result.exit_code, result.stdout) == (2, "")
    [line] = result.stderr.splitlines()
    assert f"`{option}` must be {accepted}, got 'many'." in line


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["rout"], "has no command 'rout'. Did you mean 'route'?"),
        (["--nonsense"], "`routellm` has no option '--nonsense'."),
        (["train", "mf", "--pair", "big"], "`--pair` needs STRONG WEAK after it."),
        (["route", "--file"], "`--file` needs PATH after it."),
        (["routers", "mf"], "unexpected extra argument"),
        (["demo", "--framework", "crewai"], "'crewai' is not one of 'langchain', 'llamaindex'."),
        (["evaluate", "--rounds", "0", "-r", "a", "-b", "b"], "`--rounds` must be at least 1, got"),
    ],
)
def test_other_mistakes_in_options_are_one_line(run, arguments: list[str], told: str) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    [line] = result.stderr.splitlines()
    assert told in line


def test_a_bare_routellm_shows_its_help(run) -> None:
    assert "Usage" in run().output


def test_only_verbose_shows_the_traceback_and_the_line_comes_last(run) -> None:
    quiet = run("route", "x", "-t", "30")
    verbose = run("--verbose", "route", "x", "-t", "30")
    assert quiet.exit_code == verbose.exit_code == 1
    assert "Traceback (most recent call last):" in verbose.stderr
    assert verbose.stderr.splitlines()[-1:] == quiet.stderr.splitlines()


def test_a_bug_keeps_its_traceback(run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(ScriptedRouter):
        def win_rates(self, prompts: Any) -> Any:
            raise ZeroDivisionError("a bug")

    monkeypatch.setattr("routellm_core.routers.load_router", lambda *_, **__: Broken())
    with pytest.raises(ZeroDivisionError):
        run("route", "x")


def test_a_line_holds_nothing_that_a_terminal_would_obey(run) -> None:
    result = run("route", "x", "--\x1b[2J")
    assert result.exit_code == 2
    assert "\x1b" not in result.stderr
    assert "\x1b" not in run("route", "x", "-r", "\x1b[2J").stderr


def test_equal_faults_of_lines_are_counted_and_the_first_are_named(run, tmp_path: Path) -> None:
    rows = [
        {"prompt": f"Q{i}", "model_a": f"m{i}", "model_b": f"m{i}", "winner": "tie"}
        for i in range(30)
    ]
    path = tmp_path / "battles.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    result = run("train", "sw_ranking", *PAIR, "--data", str(path), "--out", str(tmp_path / "o"))
    assert result.exit_code == 1
    assert "lines 1, 2, 3, 4, 5 and 25 more: `model_a` and `model_b` must differ" in result.stderr
    log = tmp_path / "log.jsonl"
    log.write_text("nonsense\n" * 30)
    for command in ("monitor", "replay"):
        said = run(command, str(log)).stderr
        assert "lines 1, 2, 3, 4, 5 and 25 more: Not a call record" in said
