import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from routellm_core import CallRecord, JsonlSink
from routellm_core.cli import app


@pytest.fixture
def log(tmp_path: Path) -> str:
    path = tmp_path / "calls.jsonl"
    sink = JsonlSink(path)
    for number in range(400):
        win_rate = (number * 0.618) % 1.0
        route = "strong" if win_rate >= 0.5 else "weak"
        sink.write(
            CallRecord(
                call_id=str(number), started_at=1.7e9 + 60.0 * number, outcome="answered",
                route=route, model=f"gpt-4o{'' if route == 'strong' else '-mini'}",
                reason="win_rate", decided_route=route, decided_reason="win_rate",
                win_rate=win_rate, threshold=0.5, router="random", strong_model="gpt-4o",
                weak_model="gpt-4o-mini", call_ms=100.0 + number, input_tokens=1000,
                output_tokens=100, cost_usd=0.0035 if route == "strong" else 0.00021,
                strong_usd=0.0035, saved_usd=0.0 if route == "strong" else 0.00329,
                prompt=f"prompt {number}", prompt_chars=len(f"prompt {number}"),
            )
        )  # fmt: skip
    sink.close()
    return str(path)


def run(*arguments: str):
    return CliRunner().invoke(app, list(arguments))


def test_monitor_shows_the_log_over_time(log: str) -> None:
    result = run("monitor", log)
    assert result.exit_code == 0
    assert all(len(line) <= 80 for line in result.stdout.splitlines())
    assert "…" not in result.stdout
    assert "2023-11-14 22:00" in result.stdout
    assert "total" in result.stdout


def test_monitor_writes_the_same_for_machines(log: str) -> None:
    *periods, total = map(
        json.loads, run("monitor", log, "--json", "--period", "3600").stdout.splitlines()
    )
    assert sum(row["period"]["n_calls"] for row in periods) == 400 == total["total"]["n_calls"]
    assert total["total"]["strong_share"] == pytest.approx(0.5, abs=0.01)
    assert total["total"]["cost_usd"] == pytest.approx(0.0035 * 200 + 0.00021 * 200, rel=0.02)


def test_monitor_measures_drift_from_a_routers_calibration(log: str) -> None:
    rows = run("monitor", log, "--json", "--router", "random").stdout.splitlines()
    assert json.loads(rows[-1])["total"]["psi"] < 0.05


def test_monitor_draws_a_plot(log: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    result = run("monitor", log, "--plot", str(tmp_path / "plot.png"))
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_replay_without_options_checks_the_log(log: str) -> None:
    result = run("replay", log)
    assert "400 of 400 stored decisions reproduced" in result.stdout
    assert "0 calls go elsewhere" in result.stdout


def test_replay_tells_what_another_share_would_have_cost(log: str) -> None:
    found = json.loads(run("replay", log, "--strong-share", "0.1", "--json").stdout)
    assert found["replayed"]["n_strong"] == 40
    assert found["n_moved"] == 160
    assert found["replayed"]["cost_usd"] == pytest.approx(0.0035 * 40 + 0.00021 * 360)


def test_replay_asks_another_router(log: str) -> None:
    result = run("replay", log, "--router", "random", "--json")
    assert json.loads(result.stdout)["n_moved"] > 100


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("monitor", "no.jsonl"), "There is no log 'no.jsonl'"),
        (("replay", "no.jsonl"), "There is no log 'no.jsonl'"),
    ],
)
def test_a_log_that_is_not_there_is_one_line(arguments, said: str) -> None:
    result = run(*arguments)
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
    assert said in result.stderr


@pytest.mark.parametrize(
    "options", [("--threshold", "2"), ("--threshold", "0.5", "--strong-share", "0.5")]
)
def test_replay_refuses_settings_that_cannot_be(log: str, options) -> None:
    assert run("replay", log, *options).exit_code == 1


def test_a_torn_line_is_reported_on_stderr(log: str) -> None:
    with Path(log).open("a") as file:
        file.write('{"torn')
    result = run("monitor", log)
    assert "Left out 1 line" in result.stderr
    assert "  line 401: Not a call record" in result.stderr
