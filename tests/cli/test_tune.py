"""`routellm tune`, from a log to a router over the wire: within its budget, and through kills."""

from __future__ import annotations

import json
import os
import random
import signal

import pytest
from planted import planted

from routellm_core.labeling.labelling import journal_path
from routellm_core.tuning import labels_path
from tests.labeling.killing import KillingServer, started
from tests.labeling.stand_ins import JUDGE, PRICES, STRONG, WEAK, stand_ins

pytestmark = pytest.mark.loopback

MODELS = ["--strong", STRONG, "--weak", WEAK, "--judge", JUDGE, *PRICES, "--max-tokens", "20"]


def write_log(folder, n: int):
    path = folder / "log.txt"
    path.write_text("\n".join(planted(n, seed=7)[0]))
    return path


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    with stand_ins() as server:
        yield server


@pytest.fixture
def tune(run, server, tmp_path):
    log = write_log(tmp_path, 60)

    def tune(*arguments: str, cap="5"):
        limit = ["--max-cost", cap] if cap else []
        return run(
            "tune", str(log), "--out", str(tmp_path / "router"), *MODELS, *limit,
            "--base-url", server.base_url, *arguments,
        )  # fmt: skip

    return tune


def test_a_log_becomes_a_router_with_a_report(tune, run, server, tmp_path) -> None:
    result = tune()
    assert result.exit_code == 0, result.output
    n_calls = len(server.requests)
    report = json.loads((tmp_path / "router.report.json").read_text())
    said = " ".join(result.stdout.split())
    gap, loss = report["gap_recovered"], report["no_loss"]
    assert f"{report['n_labels']} of {report['n_labels']} prompts have a label" in said
    assert (
        f"Gap recovered (APGR): {gap['value']:.1%} ({gap['low']:.1%} to {gap['high']:.1%})" in said
    )
    saved = f"{loss['weak_share']:.1%} of the calls and saves {loss['cost_saving']:.1%}"
    assert f"At no measurable loss the weak model takes {saved}" in said
    assert "The next 100 labels would bring: " in said
    share = f"{1 - loss['weak_share']:.2f}"
    line = f"routellm route --checkpoint {tmp_path / 'router'} --strong-share {share} PROMPT"
    assert f"Next: {line}" in said
    routed = run(*line.split()[1:-1], "prove quantum primes infinitely", "--json")
    assert json.loads(routed.stdout)["route"] == "strong"
    # Labels and journal know everything already.
    again = tune("--json")
    assert len(server.requests) == n_calls
    found = json.loads(again.stdout)
    assert (found["labelling"]["n_calls"], found["gap_recovered"]) == (0, gap)


def test_a_dry_run_says_the_price_and_leaves_nothing_behind(tune, server, tmp_path) -> None:
    result = tune("--dry-run", cap="")
    assert result.exit_code == 0, result.output
    assert "nobody was asked" in result.stdout
    assert server.requests == []
    assert [path.name for path in tmp_path.iterdir()] == ["log.txt"]
    n_calls = json.loads(tune("--dry-run", "--json", "--sample", "20", cap="").stdout)["n_calls"]
    assert n_calls == 20 * 4


def test_without_a_cap_or_a_judge_nobody_is_asked(tune, run, server, tmp_path) -> None:
    assert "--max-cost inf" in " ".join(tune(cap="").stderr.split())
    told = run("tune", str(tmp_path / "log.txt"), "-o", str(tmp_path / "r"), *MODELS[:4])
    assert "Mode 'pairwise' needs a `judge`" in " ".join(told.stderr.split())
    assert server.requests == []


def test_the_cap_holds_and_a_higher_one_goes_on(tune, server) -> None:
    capped = tune("--json", cap="0.02")
    assert capped.exit_code == 0, capped.output
    first = json.loads(capped.stdout)["labelling"]
    assert first["spent_usd"] <= 0.02
    assert "--max-cost" in " ".join(capped.stderr.split())
    rest = json.loads(tune("--json").stdout)["labelling"]
    assert first["n_labelled"] < rest["n_labelled"]
    keys = [request.headers["idempotency-key"] for request in server.requests]
    assert len(set(keys)) == len(keys) == first["n_calls"] + rest["n_calls"]


N_KILLS = 20


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked as POSIX does")
def test_killed_at_twenty_points_it_pays_for_no_answer_twice(tmp_path) -> None:
    log = write_log(tmp_path, 48)
    with started() as process:
        killing = KillingServer(process)

        def run(folder, kill_at=None, delay_s=None) -> int:
            killing.kill_at, killing.delay_s = kill_at, delay_s
            options = ["--max-cost", "5", "--concurrency", "1", "--json", "-o", str(folder / "r")]
            url = ["--base-url", killing.server.base_url]
            return process.run(["tune", str(log), *MODELS, *options, *url], folder / "output.txt")

        whole, killed = tmp_path / "whole", tmp_path / "killed"
        for folder in (whole, killed):
            folder.mkdir()
        with killing.server:
            assert run(whole) == 0, (whole / "output.txt").read_text()
            n_calls = len(killing.keys())
            killing.server.reset()
            gaps = random.Random(0)
            paid: set[str] = set()
            for _ in range(N_KILLS):
                n_before = len(killing.keys())
                assert run(killed, kill_at=gaps.randint(2, n_calls // N_KILLS)) == -signal.SIGKILL
                assert not set(killing.keys()[n_before:]) & paid
                paid = answered(killed / "r")
            assert run(killed) == 0, (killed / "output.txt").read_text()
            # Each kill met one call in flight.
            assert len(killing.keys()) == n_calls + N_KILLS
    assert files(whole / "r") == files(killed / "r")
    assert labels_path(whole / "r").read_bytes() == labels_path(killed / "r").read_bytes()


def answered(folder) -> set[str]:
    """Return the calls whose answers are on disk; a kill may have cut the last line."""
    *lines, _ = journal_path(labels_path(folder)).read_bytes().split(b"\n")
    return {values["key"] for values in map(json.loads, lines) if "key" in values}


def files(folder) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_what_is_wrong_beside_the_labels_is_said_before_one_is_paid_for(
    tune, server, tmp_path
) -> None:
    unknown = tune("--prior", "mff")
    assert unknown.exit_code == 1
    assert "Did you mean 'mf'?" in unknown.output
    (tmp_path / "router").mkdir()
    (tmp_path / "router" / "notes.txt").write_text("Mine.")
    foreign = tune("--force")
    assert foreign.exit_code == 1
    assert "not a checkpoint" in " ".join(foreign.output.split())
    assert not server.requests
