"""Strategies from the command line: evaluate, calibrate and replay."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from routellm_core.strategies import read_strategy


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Write answers of three models to 400 prompts, with scores that tell good from bad."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(400):
        hardness = rng.uniform()
        for model, cost, power in (("small", 1e-4, 1.0), ("middle", 3e-4, 2.0), ("big", 1e-3, 4.0)):
            quality = float(rng.uniform() > hardness / power)
            score = np.clip(0.5 * quality + rng.uniform(0.0, 0.6), 0.0, 1.0)
            rows.append(
                {
                    "prompt": f"Question {i}{' and why' * int(5 * hardness)}?",
                    "model": model,
                    "quality": quality,
                    "cost": cost,
                    "score": round(float(score), 3),
                    "latency_ms": cost * 1e6,
                }
            )
    path = tmp_path / "answers.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_evaluate_compares_strategies_on_dollars_and_time(run, table: Path, tmp_path: Path) -> None:
    arguments = ["evaluate", "-b", f"outcomes={table}", "-r", "random", "--rounds", "20"]
    arguments += ["--strategy", "cascade", "--strategy", "best-of", "--strategy", "hybrid"]
    found = run(*arguments, "--json", "-o", str(tmp_path / "out"))
    assert found.exit_code == 0
    [line] = found.stdout.splitlines()
    measured = json.loads(line)
    assert measured["models"] == ["small", "middle", "big"]
    names = [row["name"] for row in measured["strategies"]]
    assert names == ["predict", "cascade", "best_of", "hybrid", "length", "random", "oracle"]
    gains = {row["name"]: row["usd"]["gain"]["value"] for row in measured["strategies"]}
    assert gains["oracle"] > gains["cascade"] > gains["predict"]
    assert all(row["ms"] is not None for row in measured["strategies"])
    stored = json.loads((tmp_path / "out" / "strategies.json").read_text())
    assert stored["tables"] == [measured]
    assert "cascade" in (tmp_path / "out" / "strategies.html").read_text()
    shown = run(*arguments).stdout
    assert "APGR ($)" in shown
    assert f"{gains['cascade']:.1%}" in shown


def test_evaluate_takes_a_pair_out_of_a_table_and_prices_the_verifier(run, table: Path) -> None:
    arguments = ["evaluate", "-b", f"outcomes={table}", "-r", "random", "--rounds", "5", "--json"]
    arguments += ["--strategy", "cascade", "--strong-model", "big", "--weak-model", "small"]
    free, dear = (
        json.loads(run(*arguments, "--verifier-usd", usd).stdout) for usd in ("0", "0.0005")
    )
    assert free["models"] == ["small", "big"]
    gains = [
        next(r for r in each["strategies"] if r["name"] == "cascade")["usd"]["gain"]["value"]
        for each in (free, dear)
    ]
    assert gains[0] > gains[1]


def test_calibrate_sets_a_cascade_that_is_stored_and_read_again(
    run, table: Path, tmp_path: Path
) -> None:
    stored = tmp_path / "folder" / "strategy.json"
    arguments = ["calibrate", "--outcomes", str(table), "--strategy", "cascade", "--max-cost"]
    arguments += ["0.0006", "--strong-model", "big", "--weak-model", "small"]
    found = run(*arguments, "--save", str(stored), "--json")
    assert found.exit_code == 0, found.stderr
    setting = json.loads(found.stdout)
    assert json.loads(stored.read_text()) == setting["settings"]
    assert setting["break_even"] == pytest.approx(0.9)
    assert setting["usd"]["value"] == pytest.approx(1e-4 + 1e-3 * setting["rejected"])
    assert "verifier=..." in found.stderr
    read = read_strategy(stored, verifier="no_refusal")
    assert read.accept == setting["setting"][0]
    shown = run(*arguments).stdout
    assert "all-strong is cheaper where more than 90.0% are rejected" in shown
    assert f"accept {read.accept:.6g}" in shown


def test_a_servers_configuration_may_be_a_stored_strategy(
    run, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from routellm_core.server.settings import read_settings

    rows = [json.loads(line) for line in table.read_text().splitlines()]
    for row in rows:
        row["logprob"] = -2.0 + row.pop("score")
    table.write_text("\n".join(map(json.dumps, rows)))
    stored = tmp_path / "strategy.json"
    arguments = ["calibrate", "--outcomes", str(table), "--strategy", "hybrid", "-r", "random"]
    arguments += ["--min-quality", "0.8", "--verifier", "logprob", "--save", str(stored)]
    found = run(*arguments)
    assert found.exit_code == 0, found.stderr
    assert "routellm serve --config" in found.stderr
    settings = read_settings(config=stored, environ={})
    assert settings.strategy == "hybrid"
    assert settings.verifier == "logprob"
    assert settings.band == read_strategy(stored).band


def test_replay_prices_a_log_as_a_cascade(run, tmp_path: Path) -> None:
    record = {
        "call_id": "1", "started_at": 0.0, "outcome": "answered", "route": "strong",
        "model": "gpt-4o", "reason": "win_rate", "decided_route": "strong",
        "decided_reason": "win_rate", "win_rate": 0.7, "threshold": 0.5, "router": "mf",
        "strong_model": "gpt-4o", "weak_model": "gpt-4o-mini", "input_tokens": 100,
        "output_tokens": 10, "cost_usd": 0.00035, "v": 1,
    }  # fmt: skip
    log = tmp_path / "calls.jsonl"
    log.write_text("".join(json.dumps({**record, "call_id": str(i)}) + "\n" for i in range(4)))
    arguments = ["replay", str(log), "--strategy", "cascade", "--accept-rate", "0.75"]
    found = json.loads(run(*arguments, "--json").stdout)
    assert found["n_calls"] == 4
    paid = found["weak_usd"] + 0.25 * found["strong_usd"]
    assert found["cascade_usd"] == pytest.approx(paid)
    assert 0.0 < found["weak_usd"] < found["cascade_usd"] < found["strong_usd"]
    shown = run(*arguments).stdout
    assert "cascade, 75.0% accepted" in shown
    assert f"All-strong is cheaper below {found['break_even']:.1%} accepted." in shown


def test_all_strategies_are_those_that_data_and_router_allow(
    run, table: Path, tmp_path: Path
) -> None:
    bare = tmp_path / "bare.jsonl"
    rows = [json.loads(line) for line in table.read_text().splitlines()]
    bare.write_text("\n".join(json.dumps({**row, "score": None}) for row in rows))
    arguments = ["-r", "mf", "--strategy", "all", "--rounds", "5", "--json"]
    found = run("evaluate", "-b", f"outcomes={bare}", *arguments)
    assert found.exit_code == 0, found.output
    names = [row["name"] for row in json.loads(found.stdout)["strategies"]]
    assert names == ["predict", "length", "random", "oracle"]
    for name in ("experts", "cascade", "hybrid", "best-of"):
        assert f"Left out '{name}': " in found.stderr
    scored = run("evaluate", "-b", f"outcomes={table}", *arguments)
    assert "Left out 'experts': router 'mf' cannot rate small, middle, big." in scored.stderr
    assert "cascade" in scored.stdout
    # What is asked for by name is an error.
    assert run("evaluate", "-b", f"outcomes={table}", "-r", "mf", "--strategy", "experts").exit_code
