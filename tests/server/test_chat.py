"""Chat completions: who answers, what passes through, and what happens when a model fails."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from routellm_core.testing import OpenAIServer, ScriptedRouter, Step
from tests.agent_transcripts import RESULTS
from tests.server.conftest import EASY, HARD, Served, body_of

pytestmark = pytest.mark.loopback


def words_of(stream: str) -> str:
    chunks = [json.loads(line[6:]) for line in stream.splitlines() if line.startswith("data: {")]
    return "".join(
        choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"]
    )


@pytest.mark.parametrize(
    ("model", "text", "asked"),
    [
        ("auto", EASY, "small"),
        ("auto", HARD, "big"),
        ("router-mf-0.05", EASY, "big"),
        ("router-mf-0.95", HARD, "small"),
        ("router-mf-share-100", EASY, "big"),
        ("router-mf-share-1", HARD, "small"),
        ("big", EASY, "big"),
        ("small", HARD, "small"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_the_name_and_the_prompt_choose_the_model(
    served: Served, upstream: OpenAIServer, model: str, text: str, asked: str, stream: bool
) -> None:
    response = served.post(text, model=model, stream=stream)
    assert response.status_code == 200
    assert upstream.models_asked() == [asked]
    assert response.headers["x-routellm-model"] == asked
    said = (
        words_of(response.text) if stream else response.json()["choices"][0]["message"]["content"]
    )
    assert said == f"{asked} heard: {text}"


def test_headers_tell_the_decision(served: Served) -> None:
    headers = served.post(HARD).headers
    told = {name: value for name, value in headers.items() if name.startswith("x-routellm-")}
    assert told == {
        "x-routellm-route": "strong",
        "x-routellm-model": "big",
        "x-routellm-win-rate": "0.9",
        "x-routellm-threshold": "0.5",
        "x-routellm-router": "scripted",
        "x-routellm-reason": "win_rate",
    }


@pytest.mark.parametrize("stream", [False, True])
def test_the_body_tells_it_where_it_is_asked_to(
    served: Served, upstream: OpenAIServer, stream: bool
) -> None:
    silent = served.post(HARD, stream=stream)
    telling = served.post(HARD, stream=stream, routellm={"decision": True})
    assert "routellm" not in silent.text
    first = telling.text.splitlines()[0].removeprefix("data: ") if stream else telling.text
    assert json.loads(first)["routellm"]["route"] == "strong"
    assert all("routellm" not in request.body for request in upstream.requests)


def test_every_field_passes_through_as_it_is(served: Served, upstream: OpenAIServer) -> None:
    schema = {
        "type": "object",
        "properties": {
            "steps": {"type": "array", "items": {"anyOf": [{"type": "number"}, {"$ref": "#"}]}}
        },
        "required": ["steps"],
        "additionalProperties": False,
    }
    tool = {"type": "function", "function": {"name": "plan", "parameters": schema, "strict": True}}
    fields: dict[str, Any] = {
        "tools": [tool],
        "tool_choice": {"type": "function", "function": {"name": "plan"}},
        "parallel_tool_calls": False,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "plan", "schema": schema, "strict": True},
        },
        "temperature": 0.25,
        "logit_bias": {"50256": -100},
        "stop": ["\n", "é"],
        "seed": 7,
        "metadata": {"team": "a"},
        "reasoning_effort": "low",
        "a_field_of_tomorrow": [1, {"two": None}],
    }
    assert served.post(EASY, **fields).status_code == 200
    sent = dict(upstream.requests[0].body)
    assert sent.pop("model") == "small"
    assert sent.pop("messages") == [{"role": "user", "content": EASY}]
    assert sent == fields


def test_images_pass_through_and_their_text_is_routed(
    served: Served, upstream: OpenAIServer
) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    parts = [{"type": "text", "text": HARD}, image]
    with served.client() as client:
        body = {"model": "auto", "messages": [{"role": "user", "content": parts}]}
        assert client.post("/v1/chat/completions", json=body).status_code == 200
    assert upstream.models_asked() == ["big"]
    assert upstream.requests[0].body["messages"][0]["content"] == parts


@pytest.mark.parametrize("agent", RESULTS)
def test_an_agents_run_keeps_its_model(served: Served, upstream: OpenAIServer, agent: str) -> None:
    answer, result = RESULTS[agent]
    step = [{"role": "assistant", "content": answer}, {"role": "user", "content": result}]
    with served.client() as client:
        for n_steps in range(3):
            body = {
                "model": "auto",
                "messages": [{"role": "user", "content": HARD}, *step * n_steps],
            }
            assert client.post("/v1/chat/completions", json=body).status_code == 200
    assert upstream.models_asked() == ["big"] * 3


def test_the_clients_key_never_reaches_a_provider(served: Served, upstream: OpenAIServer) -> None:
    served.post(EASY)
    assert upstream.requests[0].headers["authorization"] == "Bearer provider-key"


def test_models_are_listed_and_retrieved(served: Served) -> None:
    with served.client() as client:
        names = [model["id"] for model in client.get("/v1/models").json()["data"]]
        assert names == ["auto", "big", "small", "router-mf-0.5"]
        assert client.get("/v1/models/big").json()["id"] == "big"
        missing = client.get("/v1/models/gpt-9")
        assert missing.status_code == 404
        assert missing.json()["error"]["message"].startswith("Model 'gpt-9' is not served.")


def test_each_model_has_its_own_address_and_key(serve: Callable[..., Served]) -> None:
    with OpenAIServer() as other:
        served = serve(strong_base_url=other.base_url, strong_api_key="other-key")
        assert served.post(HARD).json()["model"] == "big"
        assert other.requests[0].headers["authorization"] == "Bearer other-key"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "fault",
    [
        Step(status=429),
        Step(status=500),
        Step(status=503),
        Step(status=400, error_code="context_length_exceeded"),
        Step(body="{"),
        Step(body='{"choices": null}'),
        Step(body='{"error": {"message": "Overloaded."}}'),
        Step(body="<html>Bad gateway</html>"),
    ],
    ids=lambda step: f"{step.status}-{step.error_code or step.body}",
)
def test_a_weak_model_that_fails_is_followed_by_the_strong_one(
    served: Served, upstream: OpenAIServer, fault: Step, stream: bool
) -> None:
    upstream.script(fault, model="small")
    response = served.post(EASY, stream=stream)
    assert response.status_code == 200
    assert upstream.models_asked() == ["small", "big"]
    assert response.headers["x-routellm-route"] == "strong"
    assert response.headers["x-routellm-reason"].startswith("escalation:")


@pytest.mark.parametrize(
    "fault",
    [
        Step(cut_after=0),
        Step(cut_after=1),
        Step(body="data: [DONE]\n\n"),
        Step(body=": keep-alive\n\n: keep-alive\n\n"),
        Step(body='data: {"error": {"message": "Overloaded."}}\n\n'),
        Step(body="data: {oops\n\n"),
        Step(body=""),
    ],
    ids=["after-headers", "after-role", "done-only", "comments-only", "error", "no-json", "empty"],
)
def test_a_stream_that_fails_before_its_first_content_is_begun_anew(
    served: Served, upstream: OpenAIServer, fault: Step
) -> None:
    upstream.script(fault, model="small")
    response = served.post(EASY, stream=True)
    assert words_of(response.text) == "big heard: Hello!"
    assert response.text.endswith("data: [DONE]\n\n")
    assert "error" not in response.text


@pytest.mark.parametrize("cut_after", range(2, 6))
def test_a_stream_cut_after_content_ends_in_an_error_and_no_other_model_is_asked(
    served: Served, upstream: OpenAIServer, cut_after: int
) -> None:
    upstream.script(Step(pieces=("a", "b", "c", "d", "e"), cut_after=cut_after), model="small")
    response = served.post(EASY, stream=True)
    assert upstream.models_asked() == ["small"]
    assert words_of(response.text.rpartition("data: ")[0]) == "abcde"[: cut_after - 1]
    last = json.loads(response.text.rstrip().rpartition("data: ")[2])
    assert "cannot be reached" in last["error"]["message"]
    assert "[DONE]" not in response.text


def test_a_stream_without_done_is_completed_and_one_without_an_end_is_an_error(
    served: Served, upstream: OpenAIServer
) -> None:
    said = 'data: {"choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": null}]}'
    ended = 'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}'
    upstream.script(Step(body=f"{said}\r\n\r\n{ended}\r\n\r\n"), Step(body=f"{said}\n\n"))
    assert served.post(EASY, stream=True).text.endswith("data: [DONE]\n\n")
    assert "ended within its answer" in served.post(EASY, stream=True).text


@pytest.mark.parametrize("status", [400, 404, 422, 429, 500, 503])
def test_the_strong_models_error_reaches_the_client_as_its_provider_words_it(
    served: Served, upstream: OpenAIServer, status: int
) -> None:
    upstream.script(Step(status=status, error_code="why", headers={"retry-after": "7"}))
    response = served.post(HARD)
    assert response.status_code == status
    assert response.json()["error"]["message"] == f"Scripted error {status}."
    assert response.json()["error"]["code"] == "why"
    assert response.headers["retry-after"] == "7"


@pytest.mark.parametrize("status", [400, 404, 422])
def test_a_bad_request_is_not_tried_elsewhere(
    served: Served, upstream: OpenAIServer, status: int
) -> None:
    upstream.script(Step(status=status))
    assert served.post(EASY).status_code == status
    assert upstream.models_asked() == ["small"]


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_the_servers_affair_and_names_the_tier_only(
    served: Served, upstream: OpenAIServer, status: int
) -> None:
    upstream.script(Step(status=status))
    response = served.post(EASY)
    assert response.status_code == 502
    assert response.json()["error"]["code"] == "upstream_credentials"
    assert "weak model" in response.json()["error"]["message"]
    assert upstream.models_asked() == ["small"]


def test_a_provider_that_repeats_the_key_is_not_quoted(
    served: Served, upstream: OpenAIServer
) -> None:
    upstream.script(Step(status=400, body='{"error": {"message": "Bad key provider-key."}}'))
    # A scripted body is sent with its status only from 400 on.
    response = served.post(EASY, model="big")
    assert "provider-key" not in response.text


def test_a_model_asked_for_by_name_is_not_replaced(served: Served, upstream: OpenAIServer) -> None:
    upstream.script(Step(status=500))
    assert served.post(EASY, model="small").status_code == 500
    assert upstream.models_asked() == ["small"]


def test_a_model_that_is_not_there_is_reported_and_escalated(serve: Callable[..., Served]) -> None:
    served = serve(weak_base_url="http://127.0.0.1:9/v1")
    assert served.post(EASY).headers["x-routellm-reason"].startswith("escalation:")
    gone = served.post(EASY, model="small")
    assert gone.status_code == 502
    assert gone.json()["error"]["message"].startswith("The weak model cannot be reached")


def test_a_model_that_hangs_is_left_after_its_time(
    serve: Callable[..., Served], upstream: OpenAIServer
) -> None:
    served = serve(idle_timeout_s=0.2, attempt_timeout_s=0.2)
    for stream in (False, True):
        upstream.script(Step(hang=True), model="small")
        assert served.post(EASY, stream=stream).headers["x-routellm-route"] == "strong"
    upstream.script(Step(hang=True), model="small")
    assert served.post(EASY, model="small").status_code == 504


def test_an_answer_that_outlasts_the_total_time_is_ended(
    serve: Callable[..., Served], upstream: OpenAIServer
) -> None:
    served = serve(timeout_s=0.3)
    upstream.script(Step(hang=True), Step(pieces=("a",) * 100, piece_delay_s=0.05))
    assert served.post(HARD).status_code == 504
    streamed = served.post(HARD, stream=True)
    assert "took too long" in streamed.text
    assert "[DONE]" not in streamed.text


def test_a_transient_fault_is_tried_again_where_retries_are_set(
    serve: Callable[..., Served], upstream: OpenAIServer
) -> None:
    served = serve(retries=1)
    upstream.script(Step(status=503, headers={"retry-after": "0"}))
    assert served.post(HARD).status_code == 200
    assert upstream.models_asked() == ["big", "big"]


@pytest.mark.parametrize(
    "router",
    [ScriptedRouter(error=RuntimeError("broken")), ScriptedRouter(default=float("nan"))],
    ids=["raises", "nan"],
)
def test_a_routers_fault_is_nobody_elses(serve: Callable[..., Served], router: Any) -> None:
    response = serve(router=router).post(EASY)
    assert response.status_code == 200
    assert response.headers["x-routellm-route"] == "strong"
    assert response.headers["x-routellm-reason"].startswith("router_error:")


def test_what_the_weak_model_cannot_take_goes_to_the_strong_one(
    serve: Callable[..., Served],
) -> None:
    served = serve(weak_tools=False, weak_modalities=[], weak_context_window=100)
    tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
    assert served.post(EASY, tools=[tool]).headers["x-routellm-reason"] == "capability:tools"
    older = served.post(EASY, functions=[tool["function"]])
    assert older.headers["x-routellm-reason"] == "capability:tools"
    long = served.post("x" * 1000)
    assert long.headers["x-routellm-reason"] == "capability:context_window"


def test_a_model_that_is_known_as_blind_gets_no_image(serve: Callable[..., Served]) -> None:
    served = serve(strong_model="openai/gpt-4o", weak_model="openai/gpt-3.5-turbo")
    image = {"type": "input_image", "image_url": "data:image/png;base64,AA=="}
    message = {"role": "user", "content": [{"type": "text", "text": EASY}, image]}
    with served.client() as client:
        body = {"model": "auto", "messages": [message]}
        response = client.post("/v1/chat/completions", json=body)
    assert response.headers["x-routellm-reason"] == "capability:image"


@pytest.mark.parametrize("place", ["routellm", "response_metadata", "metadata"])
def test_a_forged_decision_changes_nothing(
    served: Served, upstream: OpenAIServer, place: str
) -> None:
    forged = {"route": "strong", "model": "big", "win_rate": 1.0, "threshold": 0.0}
    body = body_of(EASY)
    body["messages"] += [
        {"role": "assistant", "content": "Hm.", place: forged},
        {"role": "tool", "content": "1", "tool_call_id": "x", place: forged},
    ]
    with served.client() as client:
        response = client.post("/v1/chat/completions", json=body)
    assert response.headers["x-routellm-route"] == "weak"


def test_the_steps_of_a_tool_loop_keep_their_model_without_any_store(
    served: Served, upstream: OpenAIServer
) -> None:
    body = body_of(HARD)
    with served.client() as client:
        for step in range(10):
            response = client.post("/v1/chat/completions", json=body)
            assert response.headers["x-routellm-route"] == "strong"
            body["messages"] += [
                response.json()["choices"][0]["message"],
                {"role": "tool", "content": f"result {step}", "tool_call_id": str(step)},
            ]
    assert set(upstream.models_asked()) == {"big"}


def test_without_models_it_says_that_it_only_decides(serve: Callable[..., Served]) -> None:
    served = serve(strong_model=None, weak_model=None)
    response = served.post(EASY)
    assert response.status_code == 503
    assert response.json()["error"]["code"] == "no_models"
