"""Bodies made to stop the server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future

import pytest

from tests.server.conftest import Served, body_of, is_up
from tests.server.raw_upstream import wait_until

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
    return (before + (unit * n).rstrip(",") + after).encode()


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
}


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


@pytest.mark.parametrize("kind", BODIES)
def test_no_body_keeps_other_requests_waiting(served: Served, kind: str) -> None:
    statuses = []

    def send() -> None:
        with served.client() as client:
            statuses.append(client.post(URL, content=BODIES[kind], headers=JSON).status_code)

    stalls: list[float] = []
    while len(stalls) < 5 and min(stalls, default=1.0) >= 0.1:
        stalls.append(longest_stall(served, send))
    assert min(stalls) < 0.1, "seconds in which /health was not answered"
    assert set(statuses) == ({200} if "text" in kind else {413})


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
