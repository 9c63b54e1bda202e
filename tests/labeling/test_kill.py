"""`routellm label`, killed anywhere and started again: the same labels, no answer paid twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from planted import planted

from routellm_core.labeling.labelling import journal_path
from routellm_core.testing import OpenAIServer, Step
from tests.labeling.stand_ins import JUDGE, PRICES, STRONG, WEAK, respond

pytestmark = [
    pytest.mark.loopback,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked as POSIX does"),
]

N_PROMPTS = 6
N_CALLS = 4 * N_PROMPTS

# Importing LiteLLM takes seconds, so it is done once: each run is a process forked from this one.
STARTER = """
import json, os, signal, sys
from routellm_core._litellm import import_litellm
# A job in the background of a shell ignores it, and so would the processes of its tests.
signal.signal(signal.SIGINT, signal.default_int_handler)
import_litellm()
import routellm_core.labeling.labelling, routellm_core.labeling.logs, rich.progress
from routellm_core.cli import main

for line in sys.stdin:
    arguments, output = json.loads(line)
    pid = os.fork()
    if pid == 0:
        file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, 1)
        os.dup2(file, 2)
        sys.argv = ["routellm", *arguments]
        main()
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


class Process:
    """Starts commands, and kills them at a request."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.pid = 0

    def run(self, arguments: list[str], output: Path) -> int:
        """Run a command to its end, whatever that is; return its exit code."""
        self._process.stdin.write(json.dumps([arguments, str(output)]) + "\n")
        self._process.stdin.flush()
        self.pid = int(self._process.stdout.readline())
        code = int(self._process.stdout.readline())
        self.pid = 0
        return code

    def kill(self) -> None:
        with suppress(ProcessLookupError):  # it may have ended by itself
            if self.pid:
                os.kill(self.pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def process():
    environment = {**os.environ, "OPENAI_API_KEY": "none"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", STARTER], env=environment, **pipes) as started:
        yield Process(started)
        started.stdin.close()


class KillingServer:
    """Answers as the stand-ins do, and kills at the n-th request: before its answer, or later."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.kill_at: int | None = None
        self.delay_s: float | None = None
        self._lock = threading.Lock()
        self.server = OpenAIServer(respond=self._respond)

    def _respond(self, body) -> Step:
        with self._lock:
            if self.kill_at is not None:
                self.kill_at -= 1
                if self.kill_at == 0:
                    if self.delay_s is None:
                        self._process.kill()
                    else:
                        threading.Timer(self.delay_s, self._process.kill).start()
        return respond(body)

    def keys(self) -> list[str]:
        return [request.headers["idempotency-key"] for request in self.server.requests]


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
