"""A lean upstream and a lean client for server benchmarks, so that the server is what is measured.

Both speak HTTP/1.1 over plain sockets and parse no more than they must.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import Any

__all__ = ["Sample", "Upstream", "load", "stream_load"]

_WORDS = ["Routing ", "sends ", "each ", "prompt ", "where ", "it ", "belongs."]


def _chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "stub",
        "choices": [choice],
    }
    raw = f"data: {json.dumps(body)}\n\n".encode()
    return f"{len(raw):x}\r\n".encode() + raw + b"\r\n"


_BODY = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "stub",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "".join(_WORDS)},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16},
    }
).encode()
_WHOLE = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: "
    + str(len(_BODY)).encode()
    + b"\r\n\r\n"
    + _BODY
)
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)
_STREAM = [
    _chunk({"role": "assistant", "content": ""}) + _chunk({"content": _WORDS[0]}),
    *(_chunk({"content": word}) for word in _WORDS[1:]),
    _chunk({}, "stop") + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n",
]


class Upstream(asyncio.Protocol):
    """Answer every chat completion with the same words, whole or streamed.

    Parameters
    ----------
    piece_delay_s
        Time between the pieces of a streamed answer; the first is sent at once.
    """

    def __init__(self, piece_delay_s: float = 0.0) -> None:
        self._delay_s = piece_delay_s
        self._buffer = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        self._buffer += data
        while True:
            head, blank, rest = self._buffer.partition(b"\r\n\r\n")
            if not blank:
                return
            length = 0
            for line in head.split(b"\r\n"):
                if line[:15].lower() == b"content-length:":
                    length = int(line[15:])
            if len(rest) < length:
                return
            body, self._buffer = rest[:length], rest[length:]
            if b'"stream":true' in body.replace(b" ", b""):
                asyncio.get_running_loop().create_task(self._stream())
            else:
                self._transport.write(_WHOLE)

    async def _stream(self) -> None:
        self._transport.write(_STREAM_HEAD + _STREAM[0])
        for piece in _STREAM[1:]:
            await asyncio.sleep(self._delay_s)
            self._transport.write(piece)


@dataclass(frozen=True, slots=True)
class Sample:
    """What a load measured: requests per second, and milliseconds of each request."""

    requests_per_s: float
    latencies_ms: list[float]
    n_failed: int

    def percentile(self, percent: float) -> float:
        """Return the latency, in milliseconds, below which this share of requests stays."""
        ordered = sorted(self.latencies_ms)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def request_bytes(path: str, model: str, *, stream: bool) -> bytes:
    """Return one request, whole."""
    body = json.dumps(
        {
            "model": model,
            "messages": [{"role": "user", "content": "What is the capital of France?"}],
            "stream": stream,
        }
    ).encode()
    return (
        f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    ).encode() + body


async def load(port: int, *, path: str, model: str, connections: int, seconds: float) -> Sample:
    """Send whole requests over kept connections, one at a time on each."""
    request = request_bytes(path, model, stream=False)
    latencies: list[float] = []
    failed = 0
    stop = time.perf_counter() + seconds

    async def one() -> None:
        nonlocal failed
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.perf_counter() < stop:
            began = time.perf_counter()
            writer.write(request)
            status = await _read_answer(reader)
            latencies.append(1e3 * (time.perf_counter() - began))
            failed += status != 200
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(connections)))
    return Sample(len(latencies) / (time.perf_counter() - began), latencies, failed)


async def stream_load(port: int, *, path: str, model: str, n: int) -> Sample:
    """Measure, one stream after the other, the time to the first byte of content."""
    request = request_bytes(path, model, stream=True)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    latencies: list[float] = []
    failed = 0
    started = time.perf_counter()
    for _ in range(n):
        began = time.perf_counter()
        writer.write(request)
        raw = b""
        first = None
        while not raw.endswith(b"0\r\n\r\n"):
            data = await reader.read(65536)
            raw += data
            if first is None and _WORDS[0].encode() in raw:
                first = 1e3 * (time.perf_counter() - began)
            if not data:
                break
        latencies.append(first if first is not None else float("inf"))
        failed += b"[DONE]" not in raw
    writer.close()
    return Sample(n / (time.perf_counter() - started), latencies, failed)


async def _read_answer(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    lowered = head.lower()
    status = int(head[9:12])
    at = lowered.find(b"content-length:")
    if at >= 0:
        await reader.readexactly(int(lowered[at + 15 : lowered.index(b"\r\n", at)]))
        return status
    while (size := int(await reader.readline(), 16)) > 0:
        await reader.readexactly(size + 2)
    await reader.readline()
    return status
