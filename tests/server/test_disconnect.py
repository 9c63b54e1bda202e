"""Clients that leave or do not read, models that stall, and what is then let go."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from routellm_core.testing import OpenAIServer, Step
from tests.server.conftest import EASY, Served, body_of, serving
from tests.server.raw_upstream import HEAD, Exchange, RawUpstream, chunk, framed, wait_until

pytestmark = pytest.mark.loopback


async def endless(exchange: Exchange) -> None:
    await exchange.send(HEAD)
    while True:
        await exchange.send(chunk("word "))
        await asyncio.sleep(0.002)


async def silent_after_a_word(exchange: Exchange) -> None:
    await exchange.send(HEAD + chunk("word "))
    await asyncio.Event().wait()


async def fifty_megabytes(exchange: Exchange) -> None:
    await exchange.send(HEAD)
    for _ in range(50):
        await exchange.send(chunk("x" * 2**20))
    end = b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\n'
    await exchange.send(framed(end + b"data: [DONE]\n\n") + b"0\r\n\r\n")


def running(served: Served) -> int:
    return int(served.app.state.drain.n_running)


@pytest.mark.parametrize("handler", [endless, silent_after_a_word])
def test_when_a_client_leaves_its_stream_the_model_is_left_at_once(
    handler: Callable[[Exchange], object],
) -> None:
    with RawUpstream(handler) as upstream, serving(upstream.base_url) as served:  # type: ignore[arg-type]
        with (
            served.client() as client,
            client.stream(
                "POST", "/v1/chat/completions", json=body_of(EASY, stream=True)
            ) as response,
        ):
            chunks = response.iter_bytes()  # dropped, it would close the connection
            assert next(chunks)
            assert running(served) == 1
            left_s = time.monotonic()
        exchange = upstream.exchanges[0]
        wait_until(lambda: exchange.left_s is not None)
        assert exchange.left_s is not None
        assert exchange.left_s - left_s < 0.5
        sent = exchange.n_bytes_sent
        wait_until(lambda: running(served) == 0)
        time.sleep(0.05)
        assert exchange.n_bytes_sent == sent, "no further tokens are pulled"


def test_when_a_client_leaves_before_its_answer_the_model_is_left_too(
    served: Served, upstream: OpenAIServer
) -> None:
    upstream.script(Step(hang=True))
    with served.client() as client, pytest.raises(Exception, match="timed out"):
        client.post("/v1/chat/completions", json=body_of(EASY), timeout=0.2)
    wait_until(lambda: bool(upstream.requests) and upstream.requests[0].ended_s is not None)
    assert not upstream.requests[0].whole
    wait_until(lambda: running(served) == 0)


async def test_after_500_clients_that_left_every_place_is_free_again(
    serve: Callable[..., Served],
) -> None:
    with RawUpstream(silent_after_a_word) as upstream:
        served = serve(upstream=upstream.base_url, max_concurrency=50)
        async with served.aclient() as client:

            async def begin_and_leave() -> None:
                async with client.stream(
                    "POST", "/v1/chat/completions", json=body_of(EASY, stream=True)
                ) as response:
                    assert response.status_code == 200
                    await anext(response.aiter_bytes())

            for _ in range(25):
                await asyncio.gather(*(begin_and_leave() for _ in range(20)))
                wait_until(lambda: running(served) == 0)
        assert len(upstream.exchanges) == 500
        wait_until(lambda: all(exchange.left_s is not None for exchange in upstream.exchanges))


def test_a_model_that_stalls_within_its_answer_ends_it_in_an_error(
    serve: Callable[..., Served],
) -> None:
    with RawUpstream(silent_after_a_word) as upstream:
        served = serve(upstream=upstream.base_url, idle_timeout_s=0.2)
        text = served.post(EASY, stream=True).text
        assert "word" in text
        assert "took too long" in text
        assert "[DONE]" not in text


def test_a_slow_reader_does_not_make_the_server_hold_the_stream() -> None:
    with RawUpstream(fifty_megabytes) as upstream, serving(upstream.base_url) as served:
        parts = urlsplit(served.url)
        request = (
            b'{"model": "auto", "stream": true, "messages": [{"role": "user", "content": "x"}]}'
        )
        with socket.create_connection((parts.hostname, parts.port)) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            before = resident_bytes()
            sock.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n"
                b"content-type: application/json\r\ncontent-length: %d\r\n\r\n"
                % len(request)
                + request
            )
            for _ in range(10):
                assert sock.recv(1024)
                time.sleep(0.05)
            assert upstream.exchanges[0].n_bytes_sent < 30 * 2**20, "the model waits, too"
            assert resident_bytes() - before < 20 * 2**20


def resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
