"""An upstream whose every byte a test decides."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"

Handler = Callable[["Exchange"], Awaitable[None]]


def chunk(text: str) -> bytes:
    """Return one event of a stream, framed."""
    return framed(
        b'data: {"choices": [{"index": 0, "delta": {"content": "%s"}}]}\n\n' % text.encode()
    )


def framed(raw: bytes) -> bytes:
    return f"{len(raw):x}\r\n".encode() + raw + b"\r\n"


class Exchange:
    """One request: what was sent, and when the other side left."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.n_bytes_sent = 0
        self.left_s: float | None = None

    async def send(self, raw: bytes) -> None:
        """Send, and wait while the other side does not read."""
        self._writer.write(raw)
        await self._writer.drain()
        self.n_bytes_sent += len(raw)

    async def watch(self) -> None:
        """Note when the other side closes the connection."""
        with suppress(ConnectionError):
            await self._reader.read()
        self.left_s = time.monotonic()


class RawUpstream:
    """Answer every request as the handler says."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self.exchanges: list[Exchange] = []
        self.base_url = ""

    def __enter__(self) -> RawUpstream:
        ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        ready.set()
        self._loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        exchange = Exchange(reader, writer)
        self.exchanges.append(exchange)
        work: asyncio.Future[Any] = asyncio.ensure_future(self._handler(exchange))
        try:
            await exchange.watch()
        finally:
            work.cancel()
            with suppress(asyncio.CancelledError, ConnectionError):
                await work
            writer.close()


def wait_until(condition: Callable[[], bool], *, seconds: float = 5.0) -> float:
    """Return how long it took until the condition held."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > seconds:
            raise AssertionError(f"not within {seconds} s")
        time.sleep(0.005)
    return time.monotonic() - began
