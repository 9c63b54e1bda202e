"""Bodies, headers and numbers of requests beyond what is accepted."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from routellm_core import Router
from routellm_core.testing import OpenAIServer, Step
from tests.server.conftest import EASY, Served, body_of
from tests.server.raw_upstream import wait_until

pytestmark = pytest.mark.loopback

URL = "/v1/chat/completions"
JSON = {"content-type": "application/json"}


def test_a_body_that_announces_too_much_is_refused_unread(served: Served) -> None:
    with served.client() as client:
        response = client.post(URL, content=b"x" * (11 * 2**20), headers=JSON)
    assert response.status_code == 413
    assert response.json()["error"]["code"] == "body_too_long"
    assert response.headers["connection"] == "close"


def test_a_body_of_unannounced_length_is_refused_when_it_is_too_long(served: Served) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(11 * 16):
            yield b"x" * 2**16

    with served.client() as client:
        try:
            status = client.post(URL, content=pieces(), headers=JSON).status_code
        except httpx.TransportError:
            status = 413  # closed while the client was still sending
    assert status == 413


@pytest.mark.parametrize("number", ["999999999999999999999", "-1", "ten"])
def test_a_wrong_announcement_is_refused(served: Served, number: str) -> None:
    assert raw_request(served, f"content-length: {number}", b"")[:12] in (
        b"HTTP/1.1 400",
        b"HTTP/1.1 413",
    )


@pytest.mark.parametrize(
    "body", [b"[" * 10_000 + b"]" * 10_000, b'{"a":' * 10_000 + b"1" + b"}" * 10_000]
)
def test_deep_nesting_is_refused(served: Served, body: bytes) -> None:
    with served.client() as client:
        response = client.post(URL, content=body, headers=JSON)
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "json_too_deep"


def test_nesting_to_the_limit_passes_and_one_more_is_refused(served: Served) -> None:
    def nested(depth: int) -> Any:
        return [] if depth == 1 else [nested(depth - 1)]

    assert served.post(EASY, extra=nested(63)).status_code == 200
    assert served.post(EASY, extra=nested(64)).status_code == 400


def test_a_compressed_body_is_refused_rather_than_unpacked(served: Served) -> None:
    bomb = gzip.compress(b"0" * (50 * 2**20))
    with served.client() as client:
        headers = {**JSON, "content-encoding": "gzip"}
        assert client.post(URL, content=bomb, headers=headers).status_code == 415


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_what_a_web_page_could_send_unasked_is_refused(served: Served, kind: str) -> None:
    with served.client() as client:
        response = client.post(URL, content=b"{}", headers={"content-type": kind})
    assert response.status_code == 415


def test_endless_headers_are_cut_off(served: Served) -> None:
    answer = raw_request(served, "x-long: " + "x" * 200_000, b"")
    assert answer.startswith(b"HTTP/1.1 431")


def raw_request(served: Served, header: str, body: bytes) -> bytes:
    parts = urlsplit(served.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=5.0) as sock:
        head = f"POST {URL} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {served.key}\r\n"
        head += f"content-type: application/json\r\nconnection: close\r\n{header}\r\n\r\n"
        with suppress(ConnectionError):
            sock.sendall(head.encode() + body)
        received = b""
        with suppress(ConnectionError):
            while data := sock.recv(65536):
                received += data
        return received


BAD: list[Any] = [
    None,
    [],
    "text",
    {},
    {"model": "auto"},
    {"messages": []},
    body_of(model=""),
    body_of(model="x" * 1000),
    {**body_of(), "model": 3},
    {**body_of(), "messages": []},
    {**body_of(), "messages": ["hi"]},
    {**body_of(), "messages": {}},
    {**body_of(), "stream": "yes"},
    {**body_of(), "tools": {}},
    {**body_of(), "tools": [3]},
    {**body_of(), "routellm": {"route": "strong"}},
    {**body_of(), "routellm": 1},
    body_of(model="router-mf-nan"),
    body_of(model="router-mf-0.3-extra"),
    body_of(model="router-nobody-0.3"),
    body_of(model="router-mf-2"),
]


@pytest.mark.parametrize("body", BAD, ids=range(len(BAD)))
def test_a_bad_request_is_told_what_is_wrong(
    served: Served, upstream: OpenAIServer, body: Any
) -> None:
    with served.client() as client:
        response = client.post(URL, content=json.dumps(body).encode(), headers=JSON)
    assert response.status_code == 400
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    assert upstream.requests == []
    assert "Input" not in error["message"]
    assert "valid" not in error["message"]


@pytest.mark.parametrize(
    ("body", "told", "param"),
    [
        (None, "The body must be an object, got nothing.", None),
        ([], "The body must be an object, got a list.", None),
        ({"messages": [{}]}, "`model` is missing.", "model"),
        ({**body_of(), "model": 3}, "`model` must be a text, got a number.", "model"),
        ({**body_of(), "messages": []}, "`messages` must not be empty.", "messages"),
        (
            {**body_of(), "messages": ["hi"]},
            "`messages.0` must be an object, got a text.",
            "messages.0",
        ),
        ({**body_of(), "stream": "yes"}, "`stream` must be true or false, got 'yes'.", "stream"),
        ({**body_of(), "tools": {}}, "`tools` must be a list, got an object.", "tools"),
        (
            {**body_of(), "routellm": {"route": "strong"}},
            "`routellm.route` is unknown.",
            "routellm.route",
        ),
    ],
)
def test_a_bad_field_is_named_with_what_is_accepted(
    served: Served, body: Any, told: str, param: str | None
) -> None:
    with served.client() as client:
        response = client.post(URL, content=json.dumps(body).encode(), headers=JSON)
    error = response.json()["error"]
    assert (error["message"], error["param"]) == (told, param)


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4", "BIGGER", "strong"])
def test_a_model_that_is_not_served_is_not_found(served: Served, model: str) -> None:
    response = served.post(model=model)
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "model_not_found"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"nul",
        b"\xff\xfe",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": 1e999}',
        b"1" * 9999,
    ],
)
def test_what_is_no_json_is_refused(served: Served, raw: bytes) -> None:
    with served.client() as client:
        response = client.post(URL, content=raw, headers=JSON)
    assert response.status_code == 400


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from(["model", "messages", "stream", "tools", "routellm", "n", "role"])


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    changes=st.dictionaries(FIELDS, VALUES, max_size=3),
    message=st.dictionaries(
        st.sampled_from(["role", "content", "tool_calls", "name"]), VALUES, max_size=4
    ),
)
def test_no_body_makes_the_server_fail(
    served: Served, changes: dict[str, Any], message: dict[str, Any]
) -> None:
    body = {**body_of(), "messages": [message, {"role": "user", "content": EASY}], **changes}
    with served.client() as client:
        response = client.post(URL, content=json.dumps(body).encode(), headers=JSON)
    assert response.status_code < 500 or "upstream" in response.text or response.status_code == 502


@pytest.mark.parametrize(
    "text",
    ["", " ", "😀" * 1000, "a\x00b", "x" * 2**20, "line\n" * 100_000, "\ud800 lone"],
    ids=["empty", "blank", "emoji", "nul", "megabyte", "lines", "surrogate"],
)
def test_odd_prompts_are_answered(served: Served, text: str) -> None:
    with served.client() as client:
        body = json.dumps(body_of(text)).encode()
        assert client.post(URL, content=body, headers=JSON).status_code == 200


def test_half_a_surrogate_pair_is_replaced_wherever_it_is(
    served: Served, upstream: OpenAIServer
) -> None:
    odd = {"x": {"a\ud83d": ["\udc00", "\U0001f600 é", 1, None, {"b": "\ud800\ud800"}]}}
    raw = json.dumps({**body_of("\ud83d\ude00 \ud83d"), **odd}).encode()
    with served.client() as client:
        for body in (raw, raw.replace(b"\\ud", b"\\uD")):
            assert client.post(URL, content=body, headers=JSON).status_code == 200
    for request in upstream.requests:
        assert request.body["messages"][0]["content"] == "\U0001f600 ?"
        assert request.body["x"] == {"a?": ["?", "\U0001f600 é", 1, None, {"b": "??"}]}


def test_beyond_its_places_the_server_says_when_to_come_back(
    serve: Callable[..., Served], upstream: OpenAIServer
) -> None:
    served = serve(max_concurrency=1)
    upstream.script(Step(delay_s=0.5))

    async def two() -> list[int]:
        async with served.aclient() as client:
            first = asyncio.ensure_future(client.post(URL, json=body_of()))
            while not upstream.requests:
                await asyncio.sleep(0.01)
            second = await client.post(URL, json=body_of())
            assert second.headers["retry-after"] == "1"
            assert second.json()["error"]["type"] == "rate_limit_error"
            return [(await first).status_code, second.status_code]

    assert asyncio.run(two()) == [200, 429]
    wait_until(lambda: served.app.state.drain.n_running == 0)
    assert served.post().status_code == 200


class SlowRouter(Router):
    """Take its time, in a thread."""

    name = "slow"

    def _win_rates(self, prompts: Any) -> Any:
        time.sleep(0.05 * len(prompts))
        import numpy as np

        return np.zeros(len(prompts))


async def test_scoring_leaves_the_event_loop_free(serve: Callable[..., Served]) -> None:
    served = serve(router=SlowRouter(), router_deadline_s=5.0)
    async with served.aclient() as client:
        scoring = [asyncio.ensure_future(client.post(URL, json=body_of())) for _ in range(10)]
        await asyncio.sleep(0.05)
        waits = []
        while not all(request.done() for request in scoring):
            began = time.monotonic()
            await client.get("/health")
            waits.append(time.monotonic() - began)
        answers = await asyncio.gather(*scoring)
    assert {answer.status_code for answer in answers} == {200}
    assert min(waits) < 0.05, "without threads every wait is a score's 50 ms"


def test_a_router_that_takes_too_long_is_not_waited_for(serve: Callable[..., Served]) -> None:
    served = serve(router=SlowRouter(), router_deadline_s=0.01)
    assert served.post().headers["x-routellm-reason"] == "router_error:TimeoutError"
