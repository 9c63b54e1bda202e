"""Models whose servers speak OpenAI's protocol in their own way."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from routellm_core.server.events import EventSplitter, event_json
from routellm_core.testing import OpenAIServer, Step
from tests.server.conftest import EASY, HARD, Served, body_of
from tests.server.raw_upstream import HEAD, Exchange, RawUpstream, chunk, framed

pytestmark = pytest.mark.loopback


def said(text: str, *, index: int = 0, end: str | None = None) -> str:
    choice = {"index": index, "delta": {"content": text}, "finish_reason": end}
    return f"data: {json.dumps({'model': 'small', 'choices': [choice]})}\n\n"


def completion(content: Any, reason: str | None = "stop", **message: Any) -> str:
    message = {"role": "assistant", "content": content, **message}
    choice = {"index": 0, "message": message, "finish_reason": reason}
    return json.dumps({"object": "chat.completion", "model": "small", "choices": [choice]})


DONE = "data: [DONE]\n\n"


@pytest.mark.parametrize(
    ("events", "fields"),
    [
        ((said("a", end=""), said("b", end="")), {}),
        ((said("a", end="null"), said("b", end="null")), {}),
        ((said("a", end="stop"), said("b", index=1)), {"n": 2}),
        ((said("a", end="stop"),), {"n": 2}),
        ((said("a"), 'data: {"error": {"message": "Overloaded."}}\n\n', DONE), {}),
        ((said("a"), 'data: {"object": "error", "message": "Overloaded."}\n\n', DONE), {}),
    ],
    ids=[
        "blank reason",
        "a word for none",
        "one of two",
        "one of two never begun",
        "error",
        "error, flat",
    ],
)
def test_a_stream_that_ends_early_ends_in_an_error_and_never_in_done(
    served: Served, upstream: OpenAIServer, events: tuple[str, ...], fields: dict[str, Any]
) -> None:
    upstream.script(Step(events=events, piece_delay_s=0.05), model="small")
    text = served.post(EASY, stream=True, **fields).text
    assert json.loads(text.rstrip().rpartition("data: ")[2])["error"]["message"]
    assert "[DONE]" not in text
    assert upstream.models_asked() == ["small"]


@pytest.mark.parametrize(
    "events",
    [
        (said("a"), DONE),
        (said("a"), "data:[DONE]\n\n"),
        (said("a"), "data: [DONE]"),
        (said("a", end="stop"), "data: [DONE]\r\n\r\n", DONE),
        (said("a", end="stop") + "data:[DONE]\n\n",),
        (said("a", end="stop"),),
        (said("a", end="stop").strip(),),
        ("\ufeff" + said("a"), DONE),
    ],
    ids=[
        "no reason",
        "no blank",
        "no end",
        "done twice",
        "one block",
        "no done",
        "nothing after",
        "byte order mark",
    ],
)
def test_a_whole_stream_ends_in_done_once_and_is_no_failure(
    serve: Callable[..., Served], upstream: OpenAIServer, events: tuple[str, ...]
) -> None:
    served = serve(breaker=True)
    for _ in range(6):
        upstream.script(Step(events=events), model="small")
        text = served.post(EASY, stream=True).text
        assert text.count("[DONE]") == 1
        assert text.endswith("data: [DONE]\n\n")
        assert "error" not in text
    assert set(upstream.models_asked()) == {"small"}


def test_a_stream_that_stays_open_after_done_does_not_keep_its_client(
    serve: Callable[..., Served],
) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.send(HEAD + chunk("hi") + framed(DONE.encode()))

    with RawUpstream(answer) as upstream:
        began = time.monotonic()
        text = serve(upstream=upstream.base_url).post(EASY, stream=True).text
        assert time.monotonic() - began < 5.0
    assert text.endswith(DONE)


@pytest.mark.parametrize(
    ("reported", "status"),
    [
        ({"error": {"message": "Too hot for provider-key.", "code": 422}}, 422),
        ({"error": {"message": "Too hot for provider-key.", "status": 429}}, 429),
        ({"object": "error", "message": "Too hot for provider-key.", "code": 400}, 400),
        ({"error": {"message": "Too hot for provider-key.", "code": "server_error"}}, 502),
        ({"error": "Too hot for provider-key."}, 502),
        ({"detail": "Too hot for provider-key."}, 502),
    ],
)
def test_an_error_with_status_200_has_its_own_status_and_words_and_no_key(
    served: Served, upstream: OpenAIServer, reported: dict[str, Any], status: int
) -> None:
    told = f"data: {json.dumps(reported)}\n\n"
    upstream.script(Step(events=(told, DONE)), model="big")
    response = served.post(HARD, stream=True)
    assert response.status_code == status
    assert response.json()["error"]["message"] == "Too hot for ***."
    upstream.script(Step(body=json.dumps(reported)), model="big")
    assert served.post(HARD).status_code == status
    upstream.script(Step(events=(told, DONE)), model="small")
    escalates = status in (429, 502)
    assert served.post(EASY, stream=True).status_code == (200 if escalates else status)
    assert upstream.models_asked() == ["big", "big", "small", "big"][: 4 if escalates else 3]


def test_an_error_after_the_first_content_has_its_words_and_no_key(
    served: Served, upstream: OpenAIServer
) -> None:
    chunk = {"choices": [{"index": 0, "delta": {}, "finish_reason": "error"}]}
    told = f"data: {json.dumps({'error': {'message': 'No provider-key.'}, **chunk})}\n\n"
    upstream.script(Step(events=(said("a"), told), piece_delay_s=0.1), model="big")
    text = served.post(HARD, stream=True).text
    assert json.loads(text.rstrip().rpartition("data: ")[2])["error"]["message"] == "No ***."
    assert "provider-key" not in text


def test_a_prompt_too_long_is_told_in_a_stream(served: Served, upstream: OpenAIServer) -> None:
    error = {"message": "Input length (9 tokens) exceeds the maximum allowed length (8 tokens)."}
    told = f"data: {json.dumps({'error': {**error, 'code': 400}})}\n\n"
    upstream.script(Step(events=(told, DONE)), model="small")
    assert served.post(EASY, stream=True).headers["x-routellm-route"] == "strong"


def test_plain_json_with_a_byte_order_mark_is_streamed(
    served: Served, upstream: OpenAIServer
) -> None:
    upstream.script(Step(body="\ufeff" + completion("hi")), model="small")
    assert "hi" in served.post(EASY, stream=True).text
    assert upstream.models_asked() == ["small"]


@pytest.mark.parametrize("usage", [False, True])
def test_plain_json_for_a_stream_is_streamed(
    served: Served, upstream: OpenAIServer, usage: bool
) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    whole = {**json.loads(completion("hi", tool_calls=[call])), "usage": {"prompt_tokens": 1}}
    upstream.script(Step(body=json.dumps(whole)), model="small")
    text = served.post(EASY, stream=True, stream_options={"include_usage": usage}).text
    chunks = [json.loads(line[6:]) for line in text.splitlines() if "{" in line]
    assert chunks[0]["object"] == "chat.completion.chunk"
    assert chunks[0]["choices"][0]["delta"]["content"] == "hi"
    assert chunks[0]["choices"][0]["delta"]["tool_calls"] == [{"index": 0, **call}]
    assert chunks[1]["choices"][0]["finish_reason"] == "stop"
    assert [chunk["usage"] for chunk in chunks[2:]] == ([{"prompt_tokens": 1}] if usage else [])
    assert text.endswith(DONE)
    assert upstream.models_asked() == ["small"]


def test_a_stream_for_a_plain_call_is_put_together(served: Served, upstream: OpenAIServer) -> None:
    def call(index: int, **function: str) -> str:
        calls = [{"index": index, "id": f"c{index}", "type": "function", "function": function}]
        choice = {"index": 0, "delta": {"tool_calls": calls}, "finish_reason": None}
        return f"data: {json.dumps({'choices': [choice]})}\n\n"

    events = (
        said("he") + said("llo") + call(0, name="f", arguments='{"a"') + call(0, arguments=": 1}")
        + call(1, name="g", arguments="{}") + said("", end="tool_calls") + DONE
    )  # fmt: skip
    upstream.script(Step(body=events), model="small")
    choice = served.post(EASY).json()["choices"][0]
    assert choice["message"]["content"] == "hello"
    calls = [(c["id"], c["function"]) for c in choice["message"]["tool_calls"]]
    assert calls == [
        ("c0", {"name": "f", "arguments": '{"a": 1}'}),
        ("c1", {"name": "g", "arguments": "{}"}),
    ]
    assert choice["finish_reason"] == "tool_calls"
    assert upstream.models_asked() == ["small"]


UNUSABLE = {
    "no choices": '{"choices": []}',
    "null": completion(None),
    "blank": completion(""),
    "length": completion("", "length"),
    "blanks": completion("  \n"),
    "thoughts cut off": completion("<think>\nHm", "length"),
    "no calls": completion(None, tool_calls=[]),
    "only thoughts": completion("", "length", reasoning_content="Hm."),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("body", [b for n, b in UNUSABLE.items() if "thoughts" not in n])
def test_an_answer_without_an_answer_is_followed_by_the_strong_model(
    served: Served, upstream: OpenAIServer, body: str, stream: bool
) -> None:
    upstream.script(Step(body=body), model="small")
    response = served.post(EASY, stream=stream)
    assert response.status_code == 200
    assert response.headers["x-routellm-route"] == "strong"
    assert upstream.models_asked() == ["small", "big"]


@pytest.mark.parametrize("name", [n for n in UNUSABLE if "thoughts" in n])
def test_thoughts_alone_are_no_answer(served: Served, upstream: OpenAIServer, name: str) -> None:
    upstream.script(Step(body=UNUSABLE[name]), model="small")
    assert served.post(EASY).headers["x-routellm-route"] == "strong"


def test_a_stream_of_blanks_is_followed_by_the_strong_model_and_its_own_is_passed_on(
    served: Served, upstream: OpenAIServer
) -> None:
    for end in ("stop", None):
        events = (said(" "), said("\n", end=end), DONE)
        upstream.script(Step(events=events), model="small")
        upstream.script(Step(events=events), model="big")
        response = served.post(EASY, stream=True)
        assert response.headers["x-routellm-route"] == "strong"
        assert response.text == "".join(events)
    assert upstream.models_asked() == ["small", "big"] * 2


def one_line(event: str) -> str:
    return event.rstrip("\n")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("together", [True, False])
def test_events_that_one_newline_parts_are_events(
    served: Served, upstream: OpenAIServer, end: str, together: bool
) -> None:
    events = (said("a"), said("b"), said("c", end="stop"), DONE)
    lines = [one_line(event) + end for event in events]
    sent = ("".join(lines),) if together else tuple(lines)
    upstream.script(Step(events=sent, piece_delay_s=0.02), model="small")
    assert served.post(EASY, stream=True).text == "".join(events)
    upstream.script(Step(body="".join(lines)), model="small")
    assert served.post(EASY).json()["choices"][0]["message"]["content"] == "abc"
    assert upstream.models_asked() == ["small"] * 2


def test_a_document_over_several_data_lines_is_one_event(
    served: Served, upstream: OpenAIServer
) -> None:
    chunks = [json.loads(one_line(said(word)).removeprefix("data: ")) for word in "ab"]
    written = [json.dumps(chunk, indent=1).replace("\n", "\ndata: ") for chunk in chunks]
    events = (*(f"data: {text}\n\n" for text in written), said("", end="stop"), DONE)
    upstream.script(Step(events=events, piece_delay_s=0.02), model="small")
    text = served.post(EASY, stream=True).text
    parts = [part for part in text.split("\n\n") if part]
    assert parts[-1] == "data: [DONE]"
    told = [json.loads(part.replace("data: ", "")) for part in parts[:-1]]
    assert [chunk["choices"][0]["delta"]["content"] for chunk in told] == ["a", "b", ""]


def test_the_first_of_such_events_is_not_held_back(serve: Callable[..., Served]) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.send(HEAD + chunk("").replace(b"\n\n", b"\n"))
        await exchange.send(framed(one_line(said("hi")).encode() + b"\n"))
        await asyncio.sleep(5.0)

    with RawUpstream(answer) as upstream:
        began = time.monotonic()
        with (
            serve(upstream=upstream.base_url)
            .client()
            .stream("POST", "/v1/chat/completions", json=body_of(EASY, stream=True)) as response
        ):
            first = next(response.iter_text())
        assert "hi" in first
        assert time.monotonic() - began < 4.0


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n", "\r\n\r\n"])
def test_events_are_the_same_wherever_the_network_cuts_them(end: str) -> None:
    newline = end[: len(end) // 2]
    # A document over several lines ends only at a blank one.
    pretty = f'data: {{"a":{newline}data: 1}}' if newline in ("\n", "\r\n") else 'data: {"a": 1}'
    lines = [": ping", 'event: x\ndata: {"b": 2}', 'data: {"c": 3}', pretty, "data: [DONE]"]
    sent = "".join(line + end for line in lines).encode()

    def read(*pieces: bytes) -> list[Any]:
        splitter = EventSplitter()
        events = [event for piece in pieces for event in splitter.feed(piece)] + splitter.rest()
        assert all(event.endswith(b"\n\n") for event in events)
        return [value for event in events if (value := event_json(event)) is not None]

    assert read(sent) == [{"b": 2}, {"c": 3}, {"a": 1}]
    for cut in range(1, len(sent)):
        assert read(sent[:cut], sent[cut:]) == [{"b": 2}, {"c": 3}, {"a": 1}], sent[:cut]


def test_blanks_before_words_reach_the_client(served: Served, upstream: OpenAIServer) -> None:
    events = (said(" "), said("\n"), said("Hi", end="stop"), DONE)
    upstream.script(Step(events=events, piece_delay_s=0.02), model="small")
    response = served.post(EASY, stream=True)
    assert response.text == "".join(events)
    assert upstream.models_asked() == ["small"]


@pytest.mark.parametrize("body", [b for n, b in UNUSABLE.items() if n != "no choices"])
def test_the_strong_models_empty_answer_is_passed_on_as_it_is(
    served: Served, upstream: OpenAIServer, body: str
) -> None:
    upstream.script(Step(body=body), Step(body=body), model="big")
    assert served.post(HARD).json() == json.loads(body)
    assert served.post(HARD, model="big").json() == json.loads(body)
    upstream.script(Step(body=body), model="small")
    assert served.post(EASY, model="small").json() == json.loads(body)


def test_an_answer_without_choices_is_never_a_200(served: Served, upstream: OpenAIServer) -> None:
    upstream.script(Step(body='{"choices": []}'), model="big")
    response = served.post(HARD)
    assert (response.status_code, response.json()["error"]["code"]) == (502, "empty_answer")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("setting", "asked"), [(False, ["small"]), (True, ["small", "big"])])
def test_a_filtered_answer_is_followed_by_the_strong_model_where_that_is_set(
    serve: Callable[..., Served],
    upstream: OpenAIServer,
    setting: bool,
    asked: list[str],
    stream: bool,
) -> None:
    served = serve(escalate_filtered=setting)
    upstream.script(Step(body=completion(None, "content_filter")), model="small")
    assert served.post(EASY, stream=stream).status_code == 200
    assert upstream.models_asked() == asked


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, '{"object": "error", "message": "Too hot.", "type": "BadRequest", "code": 400}'),
        (422, '{"detail": "Too hot."}'),
        (422, '{"detail": [{"loc": ["body", "t"], "msg": "Too hot.", "type": "x"}]}'),
        (400, "Too hot."),
        (400, '"Too hot."'),
        (400, '{"error": "Too hot."}'),
        (400, '[{"error": {"code": 400, "message": "Too hot."}}]'),
        (400, '{"message": "Too hot."}'),
        (400, '{"title": "Too hot.", "status": 400}'),
        (400, '["Too hot."]'),
        (400, '{"error": {"reason": "Too hot."}}'),
        (403, '{"error": {"message": "Too hot: flagged by moderation.", "code": 403}}'),
        (403, '{"error": {"message": "Too hot: blocked by a guardrail."}}'),
        (403, '{"detail": "Too hot: prohibited content."}'),
    ],
)
def test_a_providers_words_reach_the_client_without_the_key(
    served: Served, upstream: OpenAIServer, status: int, body: str
) -> None:
    upstream.script(Step(status=status, body=body.replace("hot", "hot for provider-key")))
    response = served.post(EASY)
    assert response.status_code == status
    message = response.json()["error"]["message"]
    assert "Too hot for ***" in message
    assert "provider-key" not in response.text


def test_a_web_page_is_no_words(served: Served, upstream: OpenAIServer) -> None:
    upstream.script(Step(status=400, body="<html><b>Bad</b></html>"))
    assert served.post(EASY).json()["error"]["message"] == "The weak model failed with status 400."


def test_a_request_is_sent_again_only_on_a_connection_that_served_before(
    serve: Callable[..., Served], upstream: OpenAIServer
) -> None:
    served = serve()
    cut = Step(cut_after_bytes=0)
    upstream.script(cut, model="small")
    assert served.post(EASY).headers["x-routellm-route"] == "strong"
    assert upstream.models_asked() == ["small", "big"]
    upstream.script(cut, model="big")  # its connection is open, and may have timed out meanwhile
    assert served.post(HARD).status_code == 200
    assert upstream.models_asked() == ["small", "big", "big", "big"]


def test_functions_count_as_tools(serve: Callable[..., Served]) -> None:
    response = serve(weak_tools=False).post(EASY, functions=[{"name": "f", "parameters": {}}])
    assert response.headers["x-routellm-reason"] == "capability:tools"


def test_what_a_model_does_not_take_is_left_out_for_it_alone(
    serve: Callable[..., Served], upstream: OpenAIServer
) -> None:
    served = serve(weak_drop_params=["temperature", "seed"])
    for text in (EASY, HARD):
        served.post(text, temperature=0.5, seed=1, top_p=0.9)
    weak, strong = (set(request.body) for request in upstream.requests)
    assert strong - weak == {"temperature", "seed"}


def test_numbers_beyond_64_bits_reach_the_model(served: Served, upstream: OpenAIServer) -> None:
    numbers = {"seed": 2**80, "logit_bias": {"1": -(2**64), "2": 0.1}}
    assert served.post(EASY, **numbers).status_code == 200
    assert {name: upstream.requests[0].body[name] for name in numbers} == numbers


@pytest.mark.parametrize("stream", [False, True])
def test_a_trace_goes_on_and_the_providers_numbers_come_back(
    served: Served, upstream: OpenAIServer, stream: bool
) -> None:
    sent = {"traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-01", "tracestate": "a=b"}
    told = {
        "x-request-id": "req_7",
        "x-ratelimit-remaining-tokens": "5",
        "x-ratelimit-reset-tokens": "2026-01-01T00:00:00Z",
    }
    upstream.script(Step(headers={**told, "set-cookie": "a=b"}))
    with served.client() as client:
        body = body_of(EASY, stream=stream)
        response = client.post("/v1/chat/completions", json=body, headers=sent)
    assert {name: upstream.requests[0].headers[name] for name in sent} == sent
    assert {name: response.headers[name] for name in told} == told
    assert "set-cookie" not in response.headers


def test_an_error_tells_the_providers_request_id(served: Served, upstream: OpenAIServer) -> None:
    upstream.script(Step(status=400, headers={"x-request-id": "req_7"}))
    assert served.post(EASY).headers["x-request-id"] == "req_7"


def test_a_stream_may_begin_with_comments_and_another_model_still_take_over(
    serve: Callable[..., Served], upstream: OpenAIServer
) -> None:
    served = serve(stream_wait_s=0.1)
    upstream.script(Step(status=500, delay_s=1.0), model="small")
    with (
        served.client() as client,
        client.stream("POST", "/v1/chat/completions", json=body_of(EASY, stream=True)) as response,
    ):
        came = response.iter_text()
        assert next(came).startswith(":")
        assert not upstream.requests[-1].whole
        text = "".join(came)
    assert "big" in text
    assert text.endswith(DONE)
    assert "x-routellm-route" not in response.headers
    assert upstream.models_asked() == ["small", "big"]


def test_comments_without_content_do_not_outlast_the_attempt(
    serve: Callable[..., Served], upstream: OpenAIServer
) -> None:
    served = serve(attempt_timeout_s=0.5)
    late = (": busy\n\n",) * 20 + (said("late", end="stop"), DONE)
    upstream.script(Step(events=late, piece_delay_s=0.1), model="small")
    assert served.post(EASY, stream=True).headers["x-routellm-route"] == "strong"


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [{"type": "web_search"}]},
        {"tools": [{"type": "custom", "custom": {"name": "f"}}]},
        {
            "tools": [{"type": "custom", "custom": {"name": "f"}}],
            "tool_choice": {"type": "custom", "custom": {"name": "f"}},
        },
        {"tools": [{"type": "web_search"}], "tool_choice": "required"},
    ],
)
def test_the_testing_server_answers_whatever_kind_of_tool_is_offered(
    served: Served, fields: dict[str, Any]
) -> None:
    answer = served.post(EASY, **fields).json()
    assert answer["choices"][0]["message"]["content"] == "small heard: Hello!"
