"""Commands in processes of their own, and a server that kills them at a request."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from routellm_core.testing import OpenAIServer, Step
from tests.labeling.stand_ins import respond

__all__ = ["KillingServer", "Process", "started"]

# Importing LiteLLM takes seconds, so it is done once: each run is a process forked from this one.
STARTER = """
import json, os, signal, sys
from routellm_core._litellm import import_litellm
# A job in the background of a shell ignores it, and so would the processes of its tests.
signal.signal(signal.SIGINT, signal.default_int_handler)
import_litellm()
import routellm_core.labeling.labelling, routellm_core.labeling.logs, routellm_core.tuning
import rich.progress
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


@contextmanager
def started() -> Iterator[Process]:
    """Start the process that commands are forked from."""
    environment = {**os.environ, "OPENAI_API_KEY": "none"}
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", STARTER], env=environment, **pipes) as process:
        yield Process(process)
        process.stdin.close()


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
