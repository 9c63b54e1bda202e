"""Several processes that serve one socket."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import time
from multiprocessing.connection import wait
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from routellm_core.errors import ConfigurationError

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from multiprocessing.context import SpawnProcess

    from routellm_core.server.settings import ServerSettings

    Work = Callable[[ServerSettings, socket.socket], None]

__all__ = ["run_workers"]

logger = logging.getLogger(__name__)

_MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"
_TOO_SOON_S = 5.0
_SPAWN = multiprocessing.get_context("spawn")


def run_workers(
    work: Work, settings: ServerSettings, sock: socket.socket, *, n_workers: int
) -> None:
    """Run the work in n processes until a signal comes; one that dies is replaced.

    The workers share the socket and, for their counters, a folder of files.

    Raises
    ------
    ConfigurationError
        If a worker dies as soon as it starts, as its replacements would.
    """
    with TemporaryDirectory(prefix="routellm-metrics-") as folder:
        was_set = _MULTIPROCESS in os.environ
        os.environ.setdefault(_MULTIPROCESS, folder)  # read by a worker when it starts
        try:
            _Supervisor(work, settings, sock).run(n_workers)
        finally:
            if not was_set:
                del os.environ[_MULTIPROCESS]


class _Supervisor:
    """Start workers, replace them, and hand signals on."""

    def __init__(self, work: Work, settings: ServerSettings, sock: socket.socket) -> None:
        self._job = (work, settings, sock)
        self._started: dict[SpawnProcess, float] = {}
        self._stopping = False

    def run(self, n_workers: int) -> None:
        """Return when every worker has ended."""
        signals = (signal.SIGTERM, signal.SIGINT)
        before = {number: signal.signal(number, self._stop) for number in signals}
        try:
            for _ in range(n_workers):
                self._start()
            while self._started:
                ready = wait([worker.sentinel for worker in self._started])
                for worker in [w for w in self._started if w.sentinel in ready]:
                    self._ended(worker)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _start(self) -> None:
        worker = _SPAWN.Process(target=_run_worker, args=self._job)
        worker.start()
        self._started[worker] = time.monotonic()
        if self._stopping:
            worker.terminate()

    def _ended(self, worker: SpawnProcess) -> None:
        lived_s = time.monotonic() - self._started.pop(worker)
        worker.join()
        if self._stopping:
            return
        if lived_s < _TOO_SOON_S:
            self._stop()
            raise ConfigurationError(
                f"A worker ended with exit code {worker.exitcode} as soon as it had started."
            )
        logger.error("A worker ended with exit code %s and is replaced.", worker.exitcode)
        self._start()

    def _stop(self, *_: object) -> None:
        self._stopping = True
        for worker in list(self._started):
            if worker.is_alive():
                worker.terminate()


def _run_worker(work: Work, settings: ServerSettings, sock: socket.socket) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    work(settings, sock)


def _end_with_parent() -> None:
    """Drain when the supervisor is gone, killed perhaps: nobody would stop this process."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)
