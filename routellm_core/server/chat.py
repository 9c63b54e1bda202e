"""POST /v1/chat/completions: one exchange with a client, from its request to the last byte."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from contextlib import aclosing, suppress
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from routellm_core.errors import RouteLLMError
from routellm_core.server.errors import ApiError, api_error
from routellm_core.server.events import event
from routellm_core.server.requests import ClientGone, parse_chat, read_body
from routellm_core.server.traces import trace_headers
from routellm_core.types import RECORD_KEY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import Receive, Scope, Send

    from routellm_core.server.drain import Drain
    from routellm_core.server.meters import Meters
    from routellm_core.server.requests import ChatRequest
    from routellm_core.server.service import Answer, ChatService
    from routellm_core.server.settings import ServerSettings
    from routellm_core.types import CacheNote, Decision

__all__ = ["ChatEndpoint", "decision_headers"]

logger = logging.getLogger(__name__)

_CLIENT_GONE = 499
_FAREWELL_S = 5.0
_PRINTABLE = " !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
_SHORT = 64 * 2**10
"""Bytes of a body that is parsed sooner than a thread could take it over."""
_WHOLE = [(b"content-type", b"application/json")]
_STREAMED = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


def decision_headers(decision: Decision) -> list[tuple[bytes, bytes]]:
    """Return a decision as response headers; what is no plain ASCII is percent-encoded."""
    return [
        (b"x-routellm-" + name.replace("_", "-").encode(), quote(str(value), " /:._-()=,").encode())
        for name, value in {**decision.record(), "cache": _told(decision.cache)}.items()
        if value is not None
    ]


def _told(cache: CacheNote | None) -> str | None:
    """Return how caches moved a decision, as "model=..., share=..., shift=..., estimated=..."."""
    if cache is None:
        return None
    return ", ".join(f"{name}={value}" for name, value in cache.record().items())


class ChatEndpoint:
    """Answer chat completion requests, as an ASGI application.

    Parameters
    ----------
    service
        Finds the answers.
    settings
        Limits and times.
    drain
        Admits requests.
    meters
        Counts them.
    """

    def __init__(
        self, service: ChatService, settings: ServerSettings, drain: Drain, meters: Meters
    ) -> None:
        self.service = service
        self.settings = settings
        self.drain = drain
        self.meters = meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        await _Exchange(self, scope, receive, send).run()


class _Exchange:
    """Serve one request, and give it up when its client leaves or its time is over."""

    def __init__(self, endpoint: ChatEndpoint, scope: Scope, receive: Receive, send: Send) -> None:
        self._endpoint = endpoint
        self._scope = scope
        self._receive = receive
        self._send = send
        self._work: asyncio.Task[None] | None = None
        self._ended: ApiError | None = None
        """Why the server gave up; None when the client did."""
        self._status = _CLIENT_GONE
        self._started = self._streaming = False
        self._decision: Decision | None = None

    async def run(self) -> None:
        """Receive, answer, count."""
        endpoint = self._endpoint
        began = time.perf_counter()
        try:
            with endpoint.drain.admitted(self._shut_down):
                endpoint.meters.running.inc()
                try:
                    await self._run_admitted()
                finally:
                    endpoint.meters.running.dec()
        except ClientGone:
            pass
        except RouteLLMError as error:
            # A client that reads nothing is not waited for: its connection is closed.
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._send_error(api_error(error)), _FAREWELL_S)
        endpoint.meters.answered(
            status=self._status, decision=self._decision, seconds=time.perf_counter() - began
        )
        logger.info("Status %d, decision %s.", self._status, self._decision)

    async def _run_admitted(self) -> None:
        settings = self._endpoint.settings
        body = await read_body(self._scope, self._receive, limit=settings.max_body_bytes)
        parse = partial(parse_chat, body, settings)
        request, fields = parse() if len(body) <= _SHORT else await asyncio.to_thread(parse)
        loop = asyncio.get_running_loop()
        self._work = loop.create_task(self._answer(request, fields))
        watch = loop.create_task(self._client_leaves())
        timer = loop.call_later(settings.timeout_s, self._time_out)
        try:
            await asyncio.wait((self._work, watch), return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            watch.cancel()
            self._work.cancel()
        try:
            await self._work
        except asyncio.CancelledError:
            if self._ended is not None:
                raise self._ended from None

    async def _client_leaves(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _answer(self, request: ChatRequest, fields: dict[str, Any]) -> None:
        service = self._endpoint.service
        sent = trace_headers(self._scope)
        if not request.stream:
            answer = await service.complete(request, fields, headers=sent)
            wanted = request.routellm is not None and request.routellm.decision
            self._decision = answer.decision
            body = _with_decision(answer) if wanted else answer.body
            told = [*_WHOLE, (b"content-length", str(len(body)).encode())]
            await self._start(200, [*told, *_encoded(answer.headers)])
            await self._send_last(body)
            return
        streamed = await service.stream_early(request, fields, headers=sent)
        self._decision = streamed.decision
        async with aclosing(streamed.events) as events:
            await self._start(200, [*_STREAMED, *_encoded(streamed.headers)])
            self._streaming = True
            try:
                async for block in events:
                    await self._send(
                        {"type": "http.response.body", "body": block, "more_body": True}
                    )
            except RouteLLMError as error:
                self._decision = streamed.decision
                await self._send_last(event(json.loads(api_error(error).body())))
                return
        self._decision = streamed.decision
        await self._send_last(b"")

    def _shut_down(self) -> None:
        self._give_up(
            ApiError("The server shut down within the answer.", status=503, code="shutting_down")
        )

    def _time_out(self) -> None:
        self._give_up(ApiError("The answer took too long.", status=504, code="timeout"))

    def _give_up(self, why: ApiError) -> None:
        self._ended = self._ended or why
        if self._work is not None:
            self._work.cancel()

    async def _send_error(self, error: ApiError) -> None:
        """Say what went wrong: as a response, or as the last event of a stream that has begun."""
        if self._streaming:
            await self._send_last(event(json.loads(error.body())))
            return
        if self._started:
            return  # within an answer's own body: the server closes the connection
        headers = _encoded(error.headers)
        body = error.body()
        headers += [*_WHOLE, (b"content-length", str(len(body)).encode())]
        await self._start(_shown(error), headers)
        await self._send_last(body)

    async def _start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self._status, self._started = status, True
        if self._decision is not None:
            headers = headers + decision_headers(self._decision)
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def _send_last(self, body: bytes) -> None:
        await self._send({"type": "http.response.body", "body": body, "more_body": False})


def _encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), quote(value, _PRINTABLE).encode()) for name, value in headers.items()]


def _shown(error: ApiError) -> int:
    """Return the status for the client: the server's own key, refused, is not the client's."""
    return 502 if error.code == "upstream_credentials" else error.status_code


def _with_decision(answer: Answer) -> bytes:
    fields = json.loads(answer.body)
    return json.dumps({**fields, RECORD_KEY: answer.decision.record()}).encode()
