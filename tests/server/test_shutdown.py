"""The end of the server: what runs may end, what comes is told to go elsewhere."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

import httpx
import pytest

from routellm_core.testing import OpenAIServer, Step
from tests.server.conftest import EASY, body_of, is_up, process
from tests.server.raw_upstream import wait_until

pytestmark = pytest.mark.loopback

URL = "/v1/chat/completions"


class Reader:
    """Read a stream in a thread."""

    def __init__(self, url: str) -> None:
        self.text = ""
        self.lasted_s = 0.0
        self._thread = threading.Thread(target=self._read, args=(url,))
        self._thread.start()
        wait_until(lambda: "data:" in self.text)

    def _read(self, url: str) -> None:
        began = time.monotonic()
        with httpx.stream("POST", url + URL, json=body_of(EASY, stream=True), timeout=20) as answer:
            for piece in answer.iter_text():
                self.text += piece
        self.lasted_s = time.monotonic() - began

    def wait(self) -> None:
        self._thread.join(timeout=20.0)
        assert not self._thread.is_alive()


def test_on_sigterm_a_running_stream_ends_whole_and_a_new_request_is_refused(
    upstream: OpenAIServer,
) -> None:
    upstream.script(Step(pieces=("a",) * 20, piece_delay_s=0.1))
    with process(upstream, ROUTELLM_GRACE_S="10") as (child, url):
        reader = Reader(url)
        with httpx.Client(base_url=url) as client:
            assert client.get("/ready").status_code == 200
            child.send_signal(signal.SIGTERM)
            wait_until(lambda: client.get("/ready").status_code == 503)
            refused = client.post(URL, json=body_of(EASY))
            assert refused.status_code == 503
            assert refused.json()["error"]["code"] == "shutting_down"
            assert refused.headers["retry-after"] == "1"
        assert httpx.post(url + URL, json=body_of(EASY)).status_code == 503, "new connections, too"
        reader.wait()
        assert reader.text.endswith("data: [DONE]\n\n")
        assert child.wait(timeout=10) in (0, -signal.SIGTERM)


def test_a_stream_that_outlasts_the_grace_ends_in_an_error(upstream: OpenAIServer) -> None:
    upstream.script(Step(pieces=("a",) * 500, piece_delay_s=0.05))
    with process(upstream, ROUTELLM_GRACE_S="0.5") as (child, url):
        reader = Reader(url)
        child.send_signal(signal.SIGTERM)
        reader.wait()
        last = json.loads(reader.text.rstrip().rpartition("data: ")[2])
        assert last["error"]["code"] == "shutting_down"
        assert "[DONE]" not in reader.text
        assert reader.lasted_s < 5.0
        assert child.wait(timeout=10) in (0, -signal.SIGTERM)
    wait_until(lambda: upstream.requests[0].ended_s is not None)


def test_two_workers_serve_count_together_and_are_replaced(upstream: OpenAIServer) -> None:
    with process(upstream, "--workers", "2") as (child, url):
        for _ in range(40):
            assert httpx.post(url + URL, json=body_of(EASY)).status_code == 200
        counted = re.search(
            r'routellm_requests_total\{status="200"\} (\d+)', httpx.get(f"{url}/metrics").text
        )
        assert counted is not None
        assert int(counted.group(1)) == 40
        time.sleep(5.0)  # a worker that dies at once is not replaced
        victim = workers_of(child.pid)[0]
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: len(set(workers_of(child.pid)) - {victim}) == 2, seconds=20.0)
        assert httpx.post(url + URL, json=body_of(EASY)).status_code == 200
        child.send_signal(signal.SIGTERM)
        child.wait(timeout=20)
        wait_until(lambda: not is_up(url))


def workers_of(pid: int) -> list[int]:
    """Return the processes that serve, but not the one that spawning needs for itself."""
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        children = [int(child) for child in file.read().split()]
    found = []
    for child in children:
        # The victim may be gone between the list of children and its own entry.
        with (
            suppress(FileNotFoundError, ProcessLookupError),
            open(f"/proc/{child}/cmdline") as file,
        ):
            if "spawn_main" in file.read():
                found.append(child)
    return found


def test_a_taken_port_is_one_line_and_exit_code_1(upstream: OpenAIServer) -> None:
    with process(upstream) as (_, url):
        port = url.rpartition(":")[2]
        code = "from routellm_core.cli import main; main()"
        again = subprocess.run(
            [sys.executable, "-c", code, "serve", "--routers", "random", "--port", port],
            capture_output=True,
            text=True,
        )
    assert again.returncode == 1
    assert "Cannot listen" in again.stderr
    assert len(again.stderr.strip().splitlines()) == 1
