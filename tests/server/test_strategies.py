"""What strategies promise of the server, whole answers and streams alike."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from routellm_core.errors import ConfigurationError
from routellm_core.server import read_settings
from routellm_core.server.app import make_fleet, open_upstreams
from routellm_core.testing import OpenAIServer, ScriptedRouter, Step
from tests.server.conftest import EASY, HARD, Served, body_of, serving
from tests.server.raw_upstream import wait_until

pytestmark = pytest.mark.loopback

SECRET = "SENTINEL-OF-A-DRAFT"
REFUSAL = f"I'm sorry, but I can't help with that. {SECRET}"
EXPERTS = {"fast": "small", "coder": "middle", "large": "big"}
CASCADE = {"strategy": "cascade", "verifier": "no_refusal", "accept": 0.5}
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}

streamed = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


@pytest.fixture
def ask(upstream: OpenAIServer, serve: Callable[..., Served]) -> Callable[..., Served]:
    """Servers of three experts, by a cascade unless they are told otherwise."""

    def make(**settings: Any) -> Served:
        pair = {"strong_model": None, "weak_model": None}
        return serve(**{**pair, "experts": EXPERTS, **(CASCADE | settings)})

    return make


def words(response: httpx.Response) -> str:
    if "event-stream" not in response.headers["content-type"]:
        return str(response.json()["choices"][0]["message"]["content"])
    return "".join(
        choice["delta"].get("content") or ""
        for chunk in events(response)
        for choice in chunk["choices"]
    )


def events(response: httpx.Response) -> list[Any]:
    lines = [line[6:] for line in response.text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


@streamed
def test_a_rejected_draft_is_followed_by_the_next_expert_and_shown_nowhere(
    ask: Callable[..., Served],
    upstream: OpenAIServer,
    stream: bool,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    log = tmp_path / "calls.jsonl"
    served = ask(record_log=str(log))
    upstream.script(Step(text=REFUSAL, headers={"x-request-id": SECRET}), model="small")
    response = served.post(stream=stream, routellm={"decision": True})
    assert words(response) == f"middle heard: {EASY}"
    assert upstream.models_asked() == ["small", "middle"]
    told = response.headers
    assert (told["x-routellm-route"], told["x-routellm-model"]) == ("coder", "middle")
    assert told["x-routellm-reason"] == "accepted:no_refusal"
    assert told["x-routellm-drafts"] == "1"
    body = events(response)[0] if stream else response.json()
    assert body["routellm"]["route"] == "coder"
    wait_until(log.exists)
    record = json.loads(log.read_text())
    assert [step["outcome"] for step in record["steps"]] == ["rejected", "accepted"]
    with served.client() as client:
        metrics = client.get("/metrics").text
    for place in (response.text, str(told), log.read_text(), caplog.text, metrics):
        assert SECRET not in place


@streamed
@pytest.mark.parametrize("fields", [{}, {"tools": [TOOL]}], ids=["text", "tools"])
def test_an_accepted_draft_is_the_answer_byte_by_byte(
    ask: Callable[..., Served], stream: bool, fields: dict[str, Any]
) -> None:
    served = ask(verifier="schema")
    drafted = served.post(stream=stream, model="cascade", **fields)
    direct = served.post(stream=stream, model="fast", **fields)
    assert drafted.headers["x-routellm-reason"] == "accepted:schema"
    assert direct.headers["x-routellm-reason"] == "override"
    assert drafted.content == direct.content
    assert "x-routellm-drafts" not in direct.headers
    if stream:
        assert drafted.content.endswith(b"data: [DONE]\n\n")


@streamed
def test_no_call_of_a_tool_that_is_not_there_is_given_out(
    ask: Callable[..., Served], upstream: OpenAIServer, stream: bool
) -> None:
    served = ask(verifier=None, accept=None)
    for bad in (("rain", {"city": SECRET}), ("weather", {"town": SECRET})):
        upstream.script(Step(tool_calls=(bad,)), model="small")
        response = served.post(stream=stream, tools=[TOOL])
        assert response.headers["x-routellm-route"] == "coder"
        assert '"weather"' in response.text
        assert SECRET not in response.text


@streamed
def test_an_answer_of_another_form_is_followed_by_the_next_experts(
    ask: Callable[..., Served], upstream: OpenAIServer, stream: bool
) -> None:
    form = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    asked = {"type": "json_schema", "json_schema": {"name": "n", "schema": form}}
    upstream.script(Step(text=f'{{"n": "{SECRET}"}}'), model="small")
    response = ask(verifier="schema").post(stream=stream, response_format=asked)
    assert response.headers["x-routellm-route"] == "coder"
    assert set(json.loads(words(response))) == {"n"}
    assert SECRET not in response.text


@streamed
def test_the_best_of_several_is_given_out_with_its_own_headers(
    ask: Callable[..., Served], upstream: OpenAIServer, stream: bool
) -> None:
    served = ask(strategy="best_of", choose="no_refusal", verifier=None, accept=None)
    for model in ("small", "middle"):
        upstream.script(Step(text=REFUSAL, headers={"x-request-id": SECRET}), model=model)
    upstream.script(Step(headers={"x-request-id": "of-big"}), model="big")
    response = served.post(stream=stream)
    assert words(response) == f"big heard: {EASY}"
    assert sorted(upstream.models_asked()) == ["big", "middle", "small"]
    assert response.headers["x-routellm-reason"] == "best_of"
    assert response.headers["x-routellm-drafts"] == "2"
    assert response.headers["x-request-id"] == "of-big"
    assert SECRET not in response.text + str(response.headers)


def test_a_hybrid_looks_at_the_draft_where_the_router_is_not_sure(
    serve: Callable[..., Served], upstream: OpenAIServer
) -> None:
    def reasons(band: list[float]) -> list[str]:
        served = serve(**{**CASCADE, "strategy": "hybrid", "band": band})
        return [served.post(text).headers["x-routellm-reason"] for text in (EASY, HARD)]

    assert reasons([0.5, 0.8]) == ["win_rate", "win_rate"]
    assert reasons([0.0, 0.95]) == ["accepted:no_refusal"] * 2
    assert upstream.models_asked() == ["small", "big", "small", "small"]


@streamed
def test_the_total_cost_is_told_where_prices_are_known(
    ask: Callable[..., Served], upstream: OpenAIServer, stream: bool, tmp_path: Path
) -> None:
    log = tmp_path / "calls.jsonl"
    experts = {"fast": "openai/gpt-4o-mini", "large": "openai/gpt-4o"}
    served = ask(experts=experts, record_log=str(log), verifier={"logprob": {}}, accept=-1.0)
    upstream.script(Step(text="no"), model="gpt-4o-mini")
    options = {"stream_options": {"include_usage": True}} if stream else {}
    response = served.post(stream=stream, **options)
    (usage,) = (
        [c["usage"] for c in events(response) if c.get("usage")]
        if stream
        else [response.json()["usage"]]
    )
    wait_until(log.exists)
    record = json.loads(log.read_text())
    assert record["output_tokens"] == usage["completion_tokens"]
    if stream:  # the last model's tokens are not counted yet when its headers are sent
        assert "x-routellm-total-cost-usd" not in response.headers
    else:
        told = float(response.headers["x-routellm-total-cost-usd"])
        assert told == pytest.approx(record["cost_usd"] + record["drafts_usd"], rel=1e-6)
        assert record["drafts_usd"] > 0.0
    assert "x-routellm-total-cost-usd" not in ask().post(stream=stream).headers


@streamed
def test_a_model_that_only_the_judge_names_is_asked_at_the_same_address(
    ask: Callable[..., Served], upstream: OpenAIServer, stream: bool
) -> None:
    for model, name in (("openai/judge", "judge"), ("large", "big"), ("big", "big")):
        upstream.reset()
        served = ask(verifier={"all_of": ["no_refusal", {"judge": {"model": model}}]})
        upstream.script(Step(text='{"score": 5}'), model=name)
        response = served.post(stream=stream)
        assert response.headers["x-routellm-route"] == "fast"
        assert upstream.models_asked() == ["small", name]
        assert upstream.requests[-1].headers["authorization"] == "Bearer provider-key"


@streamed
def test_failures_and_broken_streams_are_followed_by_the_next_expert(
    ask: Callable[..., Served], upstream: OpenAIServer, stream: bool
) -> None:
    served = ask(breaker=True)
    for step in (Step(status=500), Step(cut_after=2), Step(text=""), Step(cut_after_bytes=150)):
        upstream.script(step, model="small")
        response = served.post(stream=stream)
        if step.cut_after is not None and not stream:
            continue
        assert words(response) == f"middle heard: {EASY}", step
        assert response.headers["x-routellm-reason"].startswith("accepted:")
        assert response.headers["x-routellm-drafts"] == "0"


@streamed
def test_the_best_draft_is_the_answer_at_the_deadline(
    ask: Callable[..., Served], upstream: OpenAIServer, stream: bool
) -> None:
    served = ask(timeout_s=2.0, verifier="logprob")  # which fails: there are no log-probabilities
    upstream.script(Step(text="No."), model="small")
    upstream.script(Step(hang=True), model="middle")
    response = served.post(stream=stream)
    assert response.status_code == 200
    assert words(response) == "No."
    assert response.headers["x-routellm-reason"] == "deadline"


@pytest.mark.parametrize("strategy", ["cascade", "best_of"])
@streamed
async def test_when_a_client_leaves_every_model_is_left(
    upstream: OpenAIServer, stream: bool, strategy: str
) -> None:
    by = {"choose": "no_refusal"} if strategy == "best_of" else {"verifier": "no_refusal"}
    n_asked = 3 if strategy == "best_of" else 1
    settings = {"strong_model": None, "weak_model": None, "experts": EXPERTS, **by}
    upstream.script(*[Step(hang=True)] * 3)
    with serving(upstream, strategy=strategy, **settings) as served:
        async with served.aclient() as client:
            sent = client.post("/v1/chat/completions", json=body_of(EASY, stream=stream))
            task = asyncio.ensure_future(sent)
            await asyncio.to_thread(wait_until, lambda: len(upstream.requests) == n_asked)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        ended = lambda: all(r.ended_s is not None for r in upstream.requests)  # noqa: E731
        await asyncio.to_thread(wait_until, ended)
    assert not any(request.whole for request in upstream.requests)


def test_a_stream_begins_with_comments_while_drafts_are_judged(
    ask: Callable[..., Served], upstream: OpenAIServer
) -> None:
    served = ask(stream_wait_s=0.05)
    upstream.script(Step(text=REFUSAL, delay_s=0.3), model="small")
    response = served.post(stream=True)
    assert response.text.startswith(": keep-alive\n\n")
    assert words(response) == f"middle heard: {EASY}"
    assert SECRET not in response.text


def test_a_draft_whose_stream_must_be_rejected_is_left_before_its_end(
    ask: Callable[..., Served], upstream: OpenAIServer
) -> None:
    pieces = ("I'm sorry, ", "but I can't help ", "with that. ", *["More words. "] * 200)
    upstream.script(Step(pieces=pieces, piece_delay_s=0.01), model="small")
    response = ask().post(stream=True)
    assert response.headers["x-routellm-route"] == "coder"
    wait_until(lambda: upstream.requests[0].ended_s is not None)
    assert not upstream.requests[0].whole


def test_a_threshold_in_the_name_goes_before_the_strategy(ask: Callable[..., Served]) -> None:
    served = ask()
    for model, route in (("router-mf-0.5", "fast"), ("router-mf-0.05", "large")):
        told = served.post(model=model).headers
        assert (told["x-routellm-route"], told["x-routellm-reason"]) == (route, "win_rate")
    with served.client() as client:
        names = [model["id"] for model in client.get("/v1/models").json()["data"]]
    assert names[:8] == ["auto", "cascade", "large", "coder", "fast", "big", "middle", "small"]
    for name in names:
        assert served.post(model=name).status_code == 200


def test_an_expert_has_its_own_address_key_and_arguments(
    ask: Callable[..., Served], upstream: OpenAIServer
) -> None:
    with OpenAIServer() as other:
        coder = {
            "model": "openai/middle", "base_url": other.base_url, "api_key": "key-coder",
            "drop_params": ["temperature"], "upstream": "litellm",
        }  # fmt: skip
        served = ask(experts={"fast": "small", "coder": coder, "large": "big"})
        upstream.script(Step(text=REFUSAL), model="small")
        response = served.post(temperature=0.5)
        assert response.headers["x-routellm-route"] == "coder"
        (request,) = other.requests
        assert request.headers["authorization"] == "Bearer key-coder"
        assert not {"temperature", "metadata"} & request.body.keys()


def test_what_an_expert_cannot_take_goes_to_another(ask: Callable[..., Served]) -> None:
    blind = {"model": "small", "modalities": [], "tools": False}
    served = ask(experts={"fast": blind, "coder": "middle", "large": "big"})
    assert served.post(tools=[TOOL]).headers["x-routellm-route"] == "coder"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"experts": EXPERTS}, "need a `strategy`"),
        ({"experts": EXPERTS, "strong_model": "a", "weak_model": "b", **CASCADE}, "not both"),
        ({"verifier": "no_refusal"}, "`verifier` is read with a `strategy` only"),
        ({"strategy": "cascades"}, "`strategy` must be"),
        ({"strategy": "cascade", "band": [0.1, 0.2]}, "takes `verifier` and `accept`, not `band`"),
        ({"strategy": "cascade", "verifier": "no_refusals"}, "Unknown verifier 'no_refusals'"),
        ({"strategy": "cascade", "verifier": {"a": 1, "b": 2}}, "A verifier must be a name"),
        ({"strategy": "hybrid"}, "band"),
        ({"strategy": "best_of", "limit_s": 0}, "`limit_s` must be above 0"),
        ({"experts": {"a": {"model": "m", "key": "hidden"}}, **CASCADE}, "key"),
        ({"experts": {"a": {"model": "m", "drop_params": ["model"]}}, **CASCADE}, "do without"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as raised:
        make_fleet(read_settings(settings, environ={}), {"mf": ScriptedRouter({})})
    assert "hidden" not in str(raised.value)


def test_a_strategy_is_read_from_a_file_and_from_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(
        "experts:\n"
        "  fast: openai/small\n"
        "  large: {model: openai/big, base_url: 'http://127.0.0.1:1/v1', context_window: 9000}\n"
        "base_url: http://127.0.0.1:2/v1\n"
        "strategy: cascade\n"
        "verifier: {judge: {model: openai/judge, max_tokens: 8}}\n"
    )
    settings = read_settings(config=file, environ={"ROUTELLM_ACCEPT": "0.75"})
    fleet = make_fleet(settings, {"mf": ScriptedRouter({})})
    assert repr(fleet.strategy) == "Cascade(<verifier judge>, accept=0.75)"
    assert fleet.experts["large"].capabilities.context_window == 9000
    assert list(open_upstreams(settings)) == ["large", "fast"]


@streamed
def test_the_steps_of_a_tool_loop_stay_with_the_expert_that_answered(
    ask: Callable[..., Served], upstream: OpenAIServer, stream: bool
) -> None:
    served = ask(verifier="schema")
    upstream.script(Step(tool_calls=(("rain", {}),)), model="small")
    fields = {"stream": stream, "tools": [TOOL]}
    assert served.post(**fields).headers["x-routellm-route"] == "coder"
    call = {"id": "1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    steps = [
        {"role": "user", "content": EASY},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "Rain"},
    ]
    told = served.post(**fields, messages=steps).headers
    assert (told["x-routellm-route"], told["x-routellm-reason"]) == ("coder", "sticky")
    assert upstream.models_asked() == ["small", "middle", "middle"]
