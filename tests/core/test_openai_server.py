"""The scripted OpenAI-compatible server, seen from a plain HTTP client."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from routellm_core import ConfigurationError
from routellm_core.testing import OpenAIServer, Step

pytestmark = pytest.mark.loopback

HELLO = {"model": "small", "messages": [{"role": "user", "content": "Hello there"}]}
ADD = {
    "type": "function",
    "function": {
        "name": "add",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "note": {"type": "string"}},
        },
    },
}


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer() as server:
        yield server


def post(server: OpenAIServer, body: dict[str, Any]) -> tuple[int, Any, http.client.HTTPResponse]:
    address = urlsplit(server.base_url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=5)
    try:
        connection.request("POST", address.path + "/chat/completions", json.dumps(body))
        response = connection.getresponse()
        raw = response.read().decode()
    finally:
        connection.close()
    return response.status, raw, response


def message(raw: str) -> dict[str, Any]:
    return json.loads(raw)["choices"][0]["message"]


def events(raw: str) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in raw.split("\n\n") if line]
    assert lines.pop() == "[DONE]"
    return [json.loads(line) for line in lines]


def test_an_unscripted_answer_names_the_model_and_repeats_the_user(server: OpenAIServer) -> None:
    status, raw, _ = post(server, HELLO)
    assert status == 200
    assert message(raw)["content"] == "small heard: Hello there"
    assert json.loads(raw)["usage"]["completion_tokens"] == 4
    assert server.models_asked() == ["small"]
    assert server.requests[0].whole


def test_steps_are_taken_in_order_and_by_model(server: OpenAIServer) -> None:
    server.script(Step(text="any 1"), Step(text="any 2"))
    server.script(Step(status=500, error_code="broken"), model="small")
    assert post(server, HELLO)[0] == 500
    assert [message(post(server, HELLO)[1])["content"] for _ in range(2)] == ["any 1", "any 2"]


def test_an_error_has_status_code_and_headers(server: OpenAIServer) -> None:
    server.script(Step(status=429, error_code="slow_down", headers={"retry-after": "7"}))
    status, raw, response = post(server, HELLO)
    assert (status, json.loads(raw)["error"]["code"]) == (429, "slow_down")
    assert response.headers["retry-after"] == "7"


def test_a_stream_holds_role_words_end_and_usage(server: OpenAIServer) -> None:
    server.script(Step(text="one two"))
    _, raw, _ = post(server, {**HELLO, "stream": True, "stream_options": {"include_usage": True}})
    first, *middle, last, usage = events(raw)
    assert first["choices"][0]["delta"]["role"] == "assistant"
    assert [chunk["choices"][0]["delta"]["content"] for chunk in middle] == ["one ", "two"]
    assert last["choices"][0]["finish_reason"] == "stop"
    assert usage["usage"]["completion_tokens"] == 2


def test_a_cut_stream_ends_without_its_end(server: OpenAIServer) -> None:
    server.script(Step(text="one two three", cut_after=2))
    with pytest.raises(http.client.IncompleteRead) as caught:
        post(server, {**HELLO, "stream": True})
    assert caught.value.partial.count(b"data:") == 2
    assert not server.requests[0].whole


def test_a_demanded_tool_is_called_with_arguments_that_fit(server: OpenAIServer) -> None:
    asked = {"role": "user", "content": "Take 3 and say 'hi'"}
    body = {**HELLO, "messages": [asked], "tools": [ADD], "tool_choice": "required"}
    (call,) = message(post(server, body)[1])["tool_calls"]
    assert json.loads(call["function"]["arguments"]) == {"a": 3, "note": "hi"}
    deltas = [
        chunk["choices"][0]["delta"] for chunk in events(post(server, {**body, "stream": True})[1])
    ]
    streamed = [d["tool_calls"][0]["function"]["arguments"] for d in deltas if "tool_calls" in d]
    assert json.loads("".join(streamed)) == {"a": 3, "note": "hi"}


def test_a_tool_result_is_answered_in_words(server: OpenAIServer) -> None:
    result = {"role": "tool", "tool_call_id": "1", "content": "5"}
    raw = post(server, {**HELLO, "messages": [*HELLO["messages"], result], "tools": [ADD]})[1]
    assert message(raw)["content"] == "small heard: Hello there"


def test_a_schema_is_filled(server: OpenAIServer) -> None:
    schema = ADD["function"]["parameters"]
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    raw = post(server, {**HELLO, "response_format": form})[1]
    assert json.loads(message(raw)["content"]) == {"a": 1, "note": "Hello there"}


def test_one_connection_serves_several_requests(server: OpenAIServer) -> None:
    address = urlsplit(server.base_url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=5)
    try:
        for stream in (True, False, True):
            connection.request(
                "POST", "/v1/chat/completions", json.dumps({**HELLO, "stream": stream})
            )
            assert connection.getresponse().read()
    finally:
        connection.close()
    assert len(server.requests) == 3


async def test_a_client_that_leaves_ends_its_request(server: OpenAIServer) -> None:
    server.script(Step(hang=True))
    address = urlsplit(server.base_url)
    _, writer = await asyncio.open_connection(address.hostname, address.port)
    body = json.dumps(HELLO).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    while not server.requests:
        await asyncio.sleep(0.005)
    assert server.requests[0].ended_s is None
    writer.close()
    await writer.wait_closed()
    while server.requests[0].ended_s is None:
        await asyncio.sleep(0.005)
    assert not server.requests[0].whole


def test_a_stopped_server_has_no_address() -> None:
    with pytest.raises(ConfigurationError, match="not running"):
        _ = OpenAIServer().base_url


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": "Hi", "routellm": {}},
        {"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "index": 0}]},
        {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f", "parsed": 1}}]},
    ],
)
def test_a_strict_server_refuses_message_fields_that_openai_does_not_know(
    message: dict[str, Any],
) -> None:
    with OpenAIServer(strict=True) as server:
        assert post(server, {"model": "small", "messages": [message]})[0] == 400
        assert post(server, HELLO)[0] == 200
