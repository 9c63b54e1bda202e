"""Run the server: listen, serve in one process or several, and drain on SIGTERM."""

from __future__ import annotations

import asyncio
import signal
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn

from routellm_core.errors import ConfigurationError
from routellm_core.server.app import create_app, make_fleet, open_upstreams
from routellm_core.server.protocol import http_protocol
from routellm_core.server.workers import run_workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from fastapi import FastAPI

    from routellm_core.server.settings import ServerSettings

__all__ = ["DrainingServer", "listening", "serve", "url_of"]


class DrainingServer(uvicorn.Server):
    """Drain before stopping: what runs may end, what comes is told to go elsewhere.

    A second signal stops at once.

    Parameters
    ----------
    app
        The application, from `create_app`.
    is_worker
        Whether another process supervises this one and turns a Ctrl-C into SIGTERM.
    """

    def __init__(self, app: FastAPI, *, is_worker: bool = False) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=http_protocol(),
                ws="none",
                access_log=False,
                log_config=None,
                server_header=False,
                timeout_graceful_shutdown=1,
            )
        )
        self._drain = app.state.drain
        self._grace_s: float = app.state.settings.grace_s
        self._is_worker = is_worker
        self._loop: asyncio.AbstractEventLoop | None = None
        self._draining: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Remember the loop, which a signal handler has to turn to."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain on the first signal."""
        if self._is_worker and sig == signal.SIGINT:
            return
        if self._loop is None or self._drain.draining:
            super().handle_exit(sig, frame)
            self.force_exit = True
            return
        self._captured_signals.append(sig)
        self._drain.draining = True
        self._loop.call_soon_threadsafe(self._begin_draining, self._loop)

    def _begin_draining(self, loop: asyncio.AbstractEventLoop) -> None:
        self._draining = loop.create_task(self._drain_and_exit())

    async def _drain_and_exit(self) -> None:
        await self._drain.drain(self._grace_s)
        self.should_exit = True


def serve(settings: ServerSettings, *, on_listening: Callable[[str], None] | None = None) -> None:
    """Serve until a signal ends it.

    Parameters
    ----------
    settings
        See `read_settings`.
    on_listening
        Told the server's address, once it is bound and the routers are loaded.

    Raises
    ------
    RouteLLMError
        If a router cannot be loaded, a setting cannot be used, or the port is taken.
    """
    announce = on_listening or (lambda _: None)
    with listening(settings) as sock:
        if settings.workers == 1:
            server = DrainingServer(create_app(settings))
            announce(url_of(sock))
            server.run([sock])
            return
        # What cannot be used is said here, once, and not by every worker.
        make_fleet(settings)
        open_upstreams(settings)
        announce(url_of(sock))
        run_workers(_work, settings, sock, n_workers=settings.workers)


def _work(settings: ServerSettings, sock: socket.socket) -> None:
    DrainingServer(create_app(settings), is_worker=True).run([sock])


@contextmanager
def listening(settings: ServerSettings) -> Iterator[socket.socket]:
    """Hold the port, so that who else has it is known before anything is loaded.

    Raises
    ------
    ConfigurationError
        If the port is taken, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    sock = socket.socket(family)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((settings.host, settings.port))
        except OSError as error:
            raise ConfigurationError(
                f"Cannot listen on {settings.host!r}, port {settings.port}: {error.strerror}."
            ) from error
        sock.listen(2048)
        sock.set_inheritable(True)
        yield sock
    finally:
        sock.close()


def url_of(sock: socket.socket) -> str:
    """Return the address that a socket listens on, as a URL."""
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
