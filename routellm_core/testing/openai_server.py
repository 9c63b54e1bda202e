"""An OpenAI-compatible server on this machine's loopback address, scripted by a test."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from routellm_core.errors import ConfigurationError
from routellm_core.testing.openai_answers import (
    Step,
    answer_request,
    completion,
    completion_chunks,
    unknown_message_field,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from typing_extensions import Self

__all__ = ["FaultServer", "OpenAIServer", "ReceivedRequest"]

_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 429: "Too Many Requests"}
_ANSWER = Step()
_POLL_S = 0.005


@dataclass(slots=True)
class ReceivedRequest:
    """Be one request as the server saw it.

    Parameters
    ----------
    method, path
        From the request line.
    headers
        Names in lower case.
    body
        The parsed JSON object; empty when there was none.
    received_s
        When it had arrived, on the clock of `time.monotonic`.
    n_bytes_sent
        Bytes of the response handed to the socket so far.
    ended_s
        When the response ended; None while it runs.
    whole
        Whether the response was sent to its end: False when the client left, or a step cut it.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]
    received_s: float = field(default_factory=time.monotonic)
    n_bytes_sent: int = 0
    ended_s: float | None = None
    whole: bool = False

    @property
    def model(self) -> str:
        """The model that was asked for; "" when none was."""
        return str(self.body.get("model", ""))


class OpenAIServer:
    """Answer `/v1/chat/completions` and `/v1/models` from a thread of this process.

    It listens on 127.0.0.1 only, speaks JSON and server-sent events, and serves any number of
    clients. A request takes the oldest scripted step for its model, else the oldest for any model;
    without one it gets a plausible answer that depends on the request alone.

    Parameters
    ----------
    strict
        Whether a message with a field that OpenAI's API does not know is refused with status 400,
        as some providers do.
    respond
        Says what happens to a request for which nothing is scripted, from its body alone.

    Examples
    --------
    ::

        with OpenAIServer() as server:
            server.script(Step(status=500), Step(text="Sorry, here I am."))
            client = OpenAI(base_url=server.base_url, api_key="any")
    """

    def __init__(
        self,
        *,
        strict: bool = False,
        respond: Callable[[Mapping[str, Any]], Step] | None = None,
    ) -> None:
        self._strict = strict
        self._respond = respond
        self.requests: list[ReceivedRequest] = []
        """Every request, in order of arrival."""
        self._steps: dict[str | None, deque[Step]] = {}
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._port = 0

    @property
    def base_url(self) -> str:
        """The address for a client's `base_url`, "/v1" included."""
        if self._loop is None:
            raise ConfigurationError("The server is not running. Use it in a `with` statement.")
        return f"http://127.0.0.1:{self._port}/v1"

    def script(self, *steps: Step, model: str | None = None) -> None:
        """Append steps, for requests to one model or, with None, to any."""
        with self._lock:
            self._steps.setdefault(model, deque()).extend(steps)

    def reset(self) -> None:
        """Forget every request and every step that was not taken."""
        with self._lock:
            self._steps.clear()
            self.requests.clear()

    def models_asked(self) -> list[str]:
        """Return the model of every chat completion request, in order of arrival."""
        return [request.model for request in self.requests if request.body]

    def start(self) -> Self:
        """Listen on a free port; return when connections are accepted."""
        ready = threading.Event()
        loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, args=(loop, ready), daemon=True)
        self._thread.start()
        ready.wait()
        self._loop = loop
        return self

    def stop(self) -> None:
        """Close every connection and end the thread."""
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _serve(self, loop: asyncio.AbstractEventLoop, ready: threading.Event) -> None:
        asyncio.set_event_loop(loop)
        server = loop.run_until_complete(asyncio.start_server(self._connected, "127.0.0.1", 0))
        self._port = server.sockets[0].getsockname()[1]
        ready.set()
        try:
            loop.run_forever()
        finally:
            server.close()
            tasks = asyncio.all_tasks(loop)
            for task in tasks:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await _read_request(reader)) is not None:
                self.requests.append(request)
                step = self._refusal(request) or self._next_step(request)
                if not await _Exchange(request, reader, writer).respond(step):
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            with suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    def _refusal(self, request: ReceivedRequest) -> Step | None:
        field = unknown_message_field(request.body) if self._strict else None
        return None if field is None else Step(status=400, error_code=f"unknown_field:{field}")

    def _next_step(self, request: ReceivedRequest) -> Step:
        with self._lock:
            for key in (request.model, None):
                steps = self._steps.get(key)
                if steps:
                    return steps.popleft()
        if self._respond is not None and request.body:
            return self._respond(request.body)
        return _ANSWER


async def _read_request(reader: asyncio.StreamReader) -> ReceivedRequest | None:
    """Read one request; None when the client closed the connection between requests."""
    line = await reader.readline()
    if not line.strip():
        return None
    method, path, _ = line.decode("latin-1").split(" ", 2)
    headers: dict[str, str] = {}
    while (line := await reader.readline()).strip():
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    raw = await reader.readexactly(int(headers.get("content-length", "0")))
    return ReceivedRequest(method, path, headers, json.loads(raw) if raw else {})


class _CutError(Exception):
    """End a response where its step says."""


class _Exchange:
    """Send one response."""

    def __init__(
        self,
        request: ReceivedRequest,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.request = request
        self._reader = reader
        self._writer = writer
        self._until_cut: int | None = None

    async def respond(self, step: Step) -> bool:
        """Follow the step; return whether the connection stays open."""
        self._until_cut = step.cut_after_bytes
        try:
            stays = await self._while_connected(self._respond(step))
        except _CutError:
            stays = False
        finally:
            self.request.ended_s = time.monotonic()
        if step.reset:
            self._reset()
            return False
        return stays

    def _reset(self) -> None:
        """Drop the connection so that the other side's system reports an error."""
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def _while_connected(self, response: Coroutine[Any, Any, bool]) -> bool:
        """Run the response, and give it up when the client leaves."""
        work = asyncio.ensure_future(response)
        gone = asyncio.ensure_future(self._client_leaves())
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
            return work.done() and await work
        finally:
            for task in (work, gone):
                task.cancel()
            await asyncio.gather(work, gone, return_exceptions=True)

    async def _client_leaves(self) -> None:
        # Polled, because a read could swallow the first byte of the next request.
        while not self._reader.at_eof() and self._reader.exception() is None:
            await asyncio.sleep(_POLL_S)

    async def _respond(self, step: Step) -> bool:
        if step.hang:
            await asyncio.Event().wait()
        await asyncio.sleep(step.delay_s)
        if step.reset and step.cut_after is None and step.cut_after_bytes is None:
            return False
        if step.body is not None:
            return await self._send_body(step, step.body)
        if step.status >= 400:
            return await self._send_body(step, json.dumps({"error": _error(step)}))
        if self.request.path.endswith("/models"):
            return await self._send_body(step, json.dumps({"object": "list", "data": []}))
        if not self.request.path.endswith("/chat/completions"):
            return await self._send_body(Step(status=404), json.dumps({"error": _error(_LOST)}))
        if self.request.body.get("stream"):
            return await self._stream(step)
        answer = completion(answer_request(self.request.body, step))
        return await self._send_body(step, json.dumps(answer))

    async def _stream(self, step: Step) -> bool:
        options = self.request.body.get("stream_options") or {}
        answer = answer_request(self.request.body, step)
        chunks = completion_chunks(answer, usage=bool(options.get("include_usage")))
        head = {"content-type": "text/event-stream", "transfer-encoding": "chunked"}
        await self._send_head(step, head)
        blocks = step.events or tuple(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks)
        for block in blocks[: step.cut_after]:
            await asyncio.sleep(step.piece_delay_s)
            await self._send_framed(block.encode())
        if step.cut_after is not None:
            return False
        if step.events is None:
            await self._send_framed(b"data: [DONE]\n\n")
        await self._send_last(b"0\r\n\r\n")
        return True

    async def _send_body(self, step: Step, body: str) -> bool:
        raw = body.encode()
        head = {"content-type": "application/json", "content-length": str(len(raw))}
        await self._send_head(step, head)
        await self._send_last(raw)
        return True

    async def _send_last(self, raw: bytes) -> None:
        # Noted first: the client may have it, and look, before the sending returns.
        self.request.whole = True
        try:
            await self._send(raw)
        except BaseException:
            self.request.whole = False
            raise

    async def _send_head(self, step: Step, headers: Mapping[str, str]) -> None:
        lines = [f"HTTP/1.1 {step.status} {_REASONS.get(step.status, 'Scripted')}"]
        lines += [f"{name}: {value}" for name, value in {**headers, **step.headers}.items()]
        await self._send("\r\n".join([*lines, "", ""]).encode("latin-1"))

    async def _send_framed(self, raw: bytes) -> None:
        await self._send(f"{len(raw):x}\r\n".encode() + raw + b"\r\n")

    async def _send(self, raw: bytes) -> None:
        whole = raw
        if self._until_cut is not None:
            raw = raw[: self._until_cut]
            self._until_cut -= len(raw)
        self._writer.write(raw)
        await self._writer.drain()
        self.request.n_bytes_sent += len(raw)
        if len(raw) < len(whole):
            raise _CutError


FaultServer = OpenAIServer
"""The same server, by what tests of faults use it for."""

_LOST = Step(status=404, error_code="not_found")


def _error(step: Step) -> dict[str, Any]:
    return {
        "message": f"Scripted error {step.status}.",
        "type": "scripted_error",
        "param": None,
        "code": step.error_code,
    }
