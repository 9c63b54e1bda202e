"""Ask a model by OpenAI's protocol over pooled connections, and hand its bytes on."""

from __future__ import annotations

import asyncio
import json
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp

from routellm_core.server.errors import UpstreamError
from routellm_core.server.events import EventSplitter
from routellm_core.server.upstream import answer_of, failure, openai_address

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from routellm_core.server.upstream import Endpoint

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

    async def complete(self, request: Mapping[str, Any]) -> bytes:
        """Return the answer's bytes; see `Upstream`."""
        try:
            response = await self._post(request, self._whole)
            try:
                raw = await response.read()
                if response.status != 200:
                    raise self._failure(response, raw)
            finally:
                response.close()
        except (aiohttp.ClientError, OSError, asyncio.TimeoutError) as error:
            raise self._unreachable(error) from error
        return answer_of(raw, self._endpoint)

    async def stream(self, request: Mapping[str, Any]) -> AsyncGenerator[bytes, None]:
        """Yield whole events, as many at a time as arrived together; see `Upstream`."""
        splitter = EventSplitter()
        try:
            response = await self._post(request, self._streamed)
            try:
                if response.status != 200:
                    raise self._failure(response, await response.content.read(_MAX_ERROR_BYTES))
                async for data in response.content.iter_any():
                    events = splitter.feed(data)
                    if events:
                        yield b"".join(events)
            finally:
                response.close()
        except (aiohttp.ClientError, OSError, asyncio.TimeoutError) as error:
            raise self._unreachable(error) from error

    async def aclose(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _post(
        self, request: Mapping[str, Any], timeout: aiohttp.ClientTimeout
    ) -> aiohttp.ClientResponse:
        """Send the request; once more when a pooled connection turns out to be closed."""
        body = json.dumps({**request, "model": self._model}).encode()
        try:
            return await self._send(body, timeout)
        except aiohttp.ServerDisconnectedError:
            return await self._send(body, timeout)

    async def _send(self, body: bytes, timeout: aiohttp.ClientTimeout) -> aiohttp.ClientResponse:
        # A long body is read in pieces, which leaves the event loop to others in between.
        data = body if len(body) <= _PIECE_BYTES else BytesIO(body)
        session = self._session or self._open_session()
        return await session.post(self._url, data=data, timeout=timeout, proxy=self._proxy)

    def _open_session(self) -> aiohttp.ClientSession:
        """Open the pool, in the event loop that serves."""
        headers = {"content-type": "application/json", "accept-encoding": "identity"}
        if self._key is not None:
            headers["authorization"] = f"Bearer {self._key.get_secret_value()}"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30.0),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=headers,
            skip_auto_headers=("user-agent",),
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


def _proxy_for(url: str) -> str | None:
    """Return the proxy that the environment names for an address, as HTTP clients agree on."""
    parts = urlsplit(url)
    if proxy_bypass(parts.hostname or ""):
        return None
    return getproxies().get(parts.scheme)
