"""`routellm label`, killed anywhere and started again: the same labels, no answer paid twice."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from planted import planted

from routellm_core.labeling.labelling import journal_path
from tests.labeling.killing import KillingServer, started
from tests.labeling.stand_ins import JUDGE, PRICES, STRONG, WEAK

pytestmark = [
    pytest.mark.loopback,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked as POSIX does"),
]

N_PROMPTS = 6
N_CALLS = 4 * N_PROMPTS


@pytest.fixture(scope="module")
def process():
    with started() as found:
        yield found


@pytest.fixture
def killing(process):
    found = KillingServer(process)
    with found.server:
        yield found


@pytest.fixture(scope="module")
def log(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("log") / "prompts.txt"
    path.write_text("\n".join(f"{prompt} {n}" for n, prompt in enumerate(planted(6, seed=1)[0])))
    return path


class Job:
    """One command, as often as it takes."""

    def __init__(self, process, killing, log: Path, folder: Path, *, concurrency: int) -> None:
        self.process, self.killing = process, killing
        self.out = folder / "labels.jsonl"
        self.output = folder / "output.txt"
        self.arguments = [
            "label", str(log), "--out", str(self.out), "--strong", STRONG, "--weak", WEAK,
            "--judge", JUDGE, *PRICES, "--max-cost", "5", "--near-duplicates", "1", "--json",
            "--concurrency", str(concurrency), "--base-url", killing.server.base_url,
        ]  # fmt: skip

    def run(self, kill_at: int | None = None, delay_s: float | None = None) -> int:
        self.killing.kill_at, self.killing.delay_s = kill_at, delay_s
        return self.process.run(self.arguments, self.output)

    def answered(self) -> set[str]:
        """Return the calls whose answers are on disk; a kill may have cut the last line."""
        *lines, _ = journal_path(self.out).read_bytes().split(b"\n")
        return {values["key"] for values in map(json.loads, lines) if "key" in values}

    def report(self) -> dict:
        return json.loads(self.output.read_text())


@pytest.fixture(scope="module")
def whole(process, log, tmp_path_factory) -> bytes:
    """Return the labels of a run that nothing interrupts."""
    killing = KillingServer(process)
    with killing.server:
        job = Job(process, killing, log, tmp_path_factory.mktemp("whole"), concurrency=1)
        assert job.run() == 0, job.output.read_text()
        assert len(killing.keys()) == len(set(killing.keys())) == N_CALLS
        report = job.report()
        assert (report["n_labelled"], report["n_calls"]) == (N_PROMPTS, N_CALLS)
    labels = job.out.read_bytes()
    assert labels.count(b"\n") == N_PROMPTS
    return labels


# Before the answer is sent, while it travels, and well after it: 20 points of one run.
POINTS = [
    (1, None), (2, 0.0), (3, 0.001), (4, None), (5, 0.002), (6, 0.004), (8, None), (9, 0.0),
    (10, 0.001), (12, None), (13, 0.003), (14, 0.006), (16, None), (17, 0.0), (19, 0.002),
    (20, None), (22, 0.001), (23, None), (24, None), (24, 0.02),
]  # fmt: skip


@pytest.mark.parametrize(("kill_at", "delay_s"), POINTS)
def test_a_killed_run_goes_on_where_it_was(
    kill_at, delay_s, process, killing, log, whole, tmp_path
) -> None:
    concurrency = 1 if kill_at % 4 else 4
    job = Job(process, killing, log, tmp_path, concurrency=concurrency)
    code = job.run(kill_at, delay_s)
    assert code == -signal.SIGKILL or (code == 0 and delay_s)
    # The labels are there whole, or not at all.
    assert not job.out.exists() or job.out.read_bytes() == whole
    paid, asked = job.answered(), killing.keys()
    assert len(asked) == len(set(asked))
    # All but what was in flight is on disk.
    assert len(asked) - len(paid) <= concurrency
    killing.server.reset()
    assert job.run() == 0, job.output.read_text()
    again = killing.keys()
    assert not set(again) & paid
    assert len(again) == N_CALLS - len(paid)
    assert job.out.read_bytes() == whole
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "labels.jsonl", "labels.jsonl.journal", "output.txt",
    ]  # fmt: skip
    lost = len(asked) + len(again) - N_CALLS
    assert job.report()["n_calls"] == len(again)
    assert 0 <= lost <= concurrency


def test_a_run_that_is_killed_again_and_again_ends(process, killing, log, whole, tmp_path) -> None:
    job = Job(process, killing, log, tmp_path, concurrency=1)
    n_kills = 0
    while job.run(kill_at=3) == -signal.SIGKILL:
        n_kills += 1
        assert n_kills < 20
    assert n_kills >= 10
    assert job.out.read_bytes() == whole
    # Each kill met one call in flight, which may be paid twice; everything else is paid once.
    assert len(killing.keys()) == N_CALLS + n_kills
    assert len(job.answered()) == N_CALLS
    # What those calls may have cost stays counted.
    costs = [json.loads(line) for line in journal_path(job.out).read_text().splitlines()]
    answered = sum(values["usd"] for values in costs if "key" in values)
    assert job.report()["spent_usd"] > answered


def test_an_interrupted_run_says_nothing_and_keeps_what_was_in_flight(
    process, killing, log, whole, tmp_path
) -> None:
    job = Job(process, killing, log, tmp_path, concurrency=4)
    process.kill, kill = lambda: os.kill(process.pid, signal.SIGINT), process.kill
    try:
        assert job.run(kill_at=10) == 130
    finally:
        process.kill = kill
    assert job.output.read_text() == ""
    paid = job.answered()
    assert paid == set(killing.keys())
    killing.server.reset()
    assert job.run() == 0
    assert len(killing.keys()) == N_CALLS - len(paid)
    assert job.out.read_bytes() == whole
