"""Ask a model by OpenAI's protocol over pooled connections, and hand its bytes on."""

from __future__ import annotations

import asyncio
import json
from codecs import BOM_UTF8
from io import BytesIO
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import orjson

from routellm_core.controller.conversion import chunks_of, completion_of
from routellm_core.server.errors import UpstreamError
from routellm_core.server.events import DONE, EventSplitter, StreamProgress, event, event_json
from routellm_core.server.upstream import (
    answer_of,
    failure,
    openai_address,
    passed_on,
    reported_failure,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from routellm_core.server.upstream import Endpoint, ModelCall, Reply

__all__ = ["OpenAIUpstream"]

_MAX_ERROR_BYTES = 64 * 2**10
_PIECE_BYTES = 2**20


class OpenAIUpstream:
    """Pass requests on as they are but for the model's name, and answers back as they come.

    Parameters
    ----------
    endpoint
        Where the model is.

    Raises
    ------
    ConfigurationError
        If the address cannot be used, or OpenAI's own needs a key and there is none.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._url, self._model, self._key = openai_address(endpoint)
        self._proxy = _proxy_for(self._url)
        self._session: aiohttp.ClientSession | None = None
        connect_s = endpoint.connect_timeout_s
        self._whole = aiohttp.ClientTimeout(
            total=None, connect=connect_s, sock_read=endpoint.attempt_timeout_s
        )
        self._streamed = aiohttp.ClientTimeout(
            total=None, connect=connect_s, sock_read=endpoint.idle_timeout_s
        )

    async def complete(self, call: ModelCall) -> Reply:
        """Return the answer; see `Upstream`."""
        try:
            response = await self._post(call, self._whole)
            try:
                raw = await response.read()
                if response.status != 200:
                    raise self._failure(response, raw)
            finally:
                response.close()
        except (aiohttp.ClientError, OSError, asyncio.TimeoutError) as error:
            raise self._unreachable(error) from error
        return answer_of(self._unstreamed(raw) or raw, self._endpoint)

    async def stream(self, call: ModelCall) -> AsyncGenerator[bytes, None]:
        """Yield whole events, as many at a time as arrived together; see `Upstream`."""
        splitter = EventSplitter()
        try:
            response = await self._post(call, self._streamed)
            try:
                if response.status != 200:
                    raise self._failure(response, await response.content.read(_MAX_ERROR_BYTES))
                first, begun = True, False
                async for data in response.content.iter_any():
                    if first:
                        first, data = False, data.removeprefix(BOM_UTF8)
                        if data.lstrip().startswith(b"{"):
                            yield self._streamed_answer(call, data + await response.content.read())
                            return
                    events = splitter.feed(data)
                    if events:
                        block = self._checked(events, begun=begun)
                        begun = begun or b'"choices"' in block
                        yield block
                rest = splitter.rest()
                if rest:
                    yield self._checked(rest, begun=begun)
            finally:
                response.close()
        except (aiohttp.ClientError, OSError, asyncio.TimeoutError) as error:
            raise self._unreachable(error) from error

    def _checked(self, events: Sequence[bytes], *, begun: bool = False) -> bytes:
        """Return events as one block.

        Parameters
        ----------
        events
            Whole ones.
        begun
            Whether a chunk of the answer came before them.

        Raises
        ------
        UpstreamError
            If one says that the model failed.
        """
        for raw in events:
            # An error that does not call itself one, {"detail": ...}, comes in place of an answer.
            if b'"error"' in raw or not (begun or b'"choices"' in raw):
                error = reported_failure(event_json(raw), self._endpoint)
                if error is not None:
                    raise error
        return b"".join(events)

    def _unstreamed(self, raw: bytes) -> bytes | None:
        """Return the answer that came as a whole stream; None where it is no stream, or a part."""
        raw = raw.removeprefix(BOM_UTF8)
        if not raw.lstrip().startswith((b"data:", b":", b"event:", b"id:", b"retry:")):
            return None
        splitter, progress = EventSplitter(), StreamProgress()
        block = progress.read(self._checked([*splitter.feed(raw), *splitter.rest()]))
        parsed = (event_json(part) for part in block.split(b"\n\n"))
        chunks = [chunk for chunk in parsed if isinstance(chunk, dict)]
        return json.dumps(completion_of(chunks)).encode() if chunks and progress.complete else None

    def _streamed_answer(self, call: ModelCall, raw: bytes) -> bytes:
        """Return the events of an answer that came in one piece."""
        options = call.fields.get("stream_options")
        usage = bool(options.get("include_usage")) if isinstance(options, dict) else False
        answer = answer_of(raw, self._endpoint).answer
        return b"".join(map(event, chunks_of(answer, usage=usage))) + DONE

    async def aclose(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _post(
        self, call: ModelCall, timeout: aiohttp.ClientTimeout
    ) -> aiohttp.ClientResponse:
        """Send the request; once more when a pooled connection turns out to be closed."""
        body = _encoded({**self._endpoint.taken(call.fields), "model": self._model})
        sent = SimpleNamespace(reused=False)
        try:
            response = await self._send(body, call, timeout, sent)
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
            # Whoever closes a fresh connection may have read the request.
            if not sent.reused:
                raise
            response = await self._send(body, call, timeout, sent)
        call.answer_headers.clear()
        call.answer_headers.update(passed_on(response.headers))
        return response

    async def _send(
        self,
        body: bytes,
        call: ModelCall,
        timeout: aiohttp.ClientTimeout,
        sent: SimpleNamespace,
    ) -> aiohttp.ClientResponse:
        # A long body is read in pieces, which leaves the event loop to others in between.
        data = body if len(body) <= _PIECE_BYTES else BytesIO(body)
        session = self._session or self._open_session()
        return await session.post(
            self._url,
            data=data,
            headers=call.headers,
            timeout=timeout,
            proxy=self._proxy,
            trace_request_ctx=sent,
        )

    def _open_session(self) -> aiohttp.ClientSession:
        """Open the pool, in the event loop that serves."""
        headers = {"content-type": "application/json", "accept-encoding": "identity"}
        if self._key is not None:
            headers["authorization"] = f"Bearer {self._key.get_secret_value()}"
        reuse = aiohttp.TraceConfig()
        reuse.on_connection_reuseconn.append(_note_reuse)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30.0),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=headers,
            skip_auto_headers=("user-agent",),
            trace_configs=[reuse],
        )
        return self._session

    def _failure(self, response: aiohttp.ClientResponse, raw: bytes) -> UpstreamError:
        headers = {name.lower(): value for name, value in response.headers.items()}
        return failure(self._endpoint, status=response.status, raw=raw, headers=headers)

    def _unreachable(self, error: Exception) -> UpstreamError:
        tier, kind = self._endpoint.tier, type(error).__name__
        if isinstance(error, (asyncio.TimeoutError, TimeoutError)):
            return UpstreamError(f"The {tier} model took too long ({kind}).", status=504)
        return UpstreamError(f"The {tier} model cannot be reached ({kind}).", status=502)


def _encoded(fields: dict[str, Any]) -> bytes:
    """Return a request as JSON, soon enough for the event loop whatever it holds."""
    try:
        return orjson.dumps(fields)
    except orjson.JSONEncodeError:  # numbers beyond 64 bits, which JSON does have
        return json.dumps(fields).encode()


async def _note_reuse(_: object, context: SimpleNamespace, __: object) -> None:
    context.trace_request_ctx.reused = True


def _proxy_for(url: str) -> str | None:
    """Return the proxy that the environment names for an address, as HTTP clients agree on."""
    parts = urlsplit(url)
    if proxy_bypass(parts.hostname or ""):
        return None
    return getproxies().get(parts.scheme)
