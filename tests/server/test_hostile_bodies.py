"""Bodies made to stop the server."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future

import pytest

from tests.server.conftest import Served, body_of, is_up
from tests.server.raw_upstream import Exchange, RawUpstream, wait_until

pytestmark = [
    pytest.mark.loopback,
    # LiteLLM keeps its connections open, and uvloop says so when their loop ends. As an error in
    # that place the warning stops the loop from ending at all.
    pytest.mark.filterwarnings("ignore:unclosed resource <TCPTransport:ResourceWarning"),
]

URL = "/v1/chat/completions"
JSON = {"content-type": "application/json"}
SIZE = 10 * 2**20 - 512


def filled(before: str, unit: str, after: str) -> bytes:
    """Return a body that repeats a unit up to the server's limit."""
    n = (SIZE - len(before) - len(after)) // len(unit)
    return (before + (unit * n).removesuffix(",") + after).encode()


HEAD = '{"model": "auto", "messages": '
USER = '[{"role": "user", "content": "Hello!"}]'
BODIES = {
    "messages": filled(HEAD + "[", "{},", "]}"),
    "spoken messages": filled(HEAD + "[", '{"role":"user","content":"hi"},', "]}"),
    "parts": filled(HEAD + '[{"role": "user", "content": [', "{},", "]}]}"),
    "part lists": filled(HEAD + '[{"role": "user", "content": [', "[],", "]}]}"),
    "tools": filled(HEAD + USER + ', "tools": [', "{},", "]}"),
    "unknown": filled(HEAD + USER + ', "x": [', "1,", "]}"),
    "strings": filled(HEAD + USER + ', "x": [', '"",', "]}"),
    "keys": filled(HEAD + USER + ', "x": {', '"k":0,', "}}"),
    "deep": filled(HEAD + USER + ', "x": ', "[", "}"),
    "commas in a text": filled(HEAD + '[{"role": "user", "content": "', ",", '"}]}'),
    "escapes in a text": filled(HEAD + '[{"role": "user", "content": "', ',\\\\\\"', '"}]}'),
    "surrogates in a text": filled(HEAD + '[{"role": "user", "content": "', "\\ud800", '"}]}'),
}
LARGEST = {
    "messages": {"messages": [{"role": "user", "content": "hi"}] * 10_000},
    "parts": {"messages": [{"role": "user", "content": [{"type": "text", "text": ""}] * 10_000}]},
    "calls": {
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "tool_calls": [{"id": "1", "type": "function"}] * 60_000},
            {"role": "tool", "content": "ok", "tool_call_id": "1"},
        ]
    },
    "tools": {"tools": [{"type": "function", "function": {"name": "f"}}] * 1024},
    "values": {"x": [""] * 190_000},
    "keys": {"x": dict.fromkeys(map(str, range(190_000)), 0)},
}
"""Requests of about the largest number of each thing that the server takes."""


ANSWER = b'{"choices": [{"message": {"role": "assistant", "content": "Hello!"}}]}'


async def answer(exchange: Exchange) -> None:
    """Answer, when the request is read, without reading what it says."""
    await asyncio.sleep(0.2)
    head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(ANSWER)}\r\nconnection: close\r\n\r\n"
    await exchange.send(head.encode() + ANSWER)


@pytest.fixture
def patient(serve: Callable[..., Served]) -> Iterator[Served]:
    """A server whose models cost this process no time."""
    with RawUpstream(answer) as upstream:
        yield serve(upstream=upstream.base_url)


def longest_stall(served: Served, action: Callable[[], object]) -> float:
    """Return the longest time, in seconds, for which the server's loop did nothing else."""
    wait_until(lambda: is_up(served.url))
    stalls = [0.0]

    async def beat() -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.002)
            stalls.append(time.perf_counter() - began)

    beating: Future[None] = asyncio.run_coroutine_threadsafe(beat(), served.server._loop)
    try:
        action()
    finally:
        beating.cancel()
    return max(stalls)


def shortest_stall(served: Served, body: bytes) -> tuple[float, set[int]]:
    """Return the shortest of the stalls of at most 5 tries, in seconds, and the statuses."""
    statuses = set()

    def send() -> None:
        with served.client() as client:
            statuses.add(client.post(URL, content=body, headers=JSON).status_code)

    stalls: list[float] = []
    while len(stalls) < 5 and min(stalls, default=1.0) >= 0.1:
        stalls.append(longest_stall(served, send))
    return min(stalls), statuses


@pytest.mark.parametrize("kind", BODIES)
def test_no_body_keeps_other_requests_waiting(patient: Served, kind: str) -> None:
    stall_s, statuses = shortest_stall(patient, BODIES[kind])
    assert stall_s < 0.1, "seconds in which /health was not answered"
    assert statuses == ({200} if "text" in kind else {413})


@pytest.mark.parametrize("kind", LARGEST)
def test_no_body_within_the_limits_keeps_other_requests_waiting(patient: Served, kind: str) -> None:
    body = json.dumps({**body_of(), **LARGEST[kind]}).encode()
    stall_s, statuses = shortest_stall(patient, body)
    assert stall_s < 0.1, "seconds in which /health was not answered"
    assert statuses == {200}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"messages": [{"role": "user", "content": "hi"}] * 4}, "4 messages; at most 3"),
        ({"messages": [{"role": "user", "content": [{}] * 5}]}, "5 content parts; at most 4"),
        ({"tools": [{}] * 3}, "3 tools; at most 2"),
        ({"functions": [{}] * 3}, "3 functions; at most 2"),
        ({"x": list(range(99))}, "more than 60 values; at most 60"),
    ],
)
def test_a_request_with_too_much_is_told_the_number_and_the_limit(
    serve: Callable[..., Served], fields: dict[str, object], said: str
) -> None:
    served = serve(max_messages=3, max_parts=4, max_tools=2, max_json_values=60)
    with served.client() as client:
        response = client.post(URL, json={**body_of(), **fields})
        long_text = client.post(URL, json=body_of(", [{" * 999))
    assert response.status_code == 413
    assert said in response.json()["error"]["message"]
    assert long_text.status_code == 200, "what a text says is no value"
