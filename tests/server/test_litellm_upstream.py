"""Models that are reached through LiteLLM."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from routellm_core.server.errors import UpstreamError
from routellm_core.server.litellm_upstream import LiteLLMUpstream
from routellm_core.server.upstream import Endpoint, ModelCall, reached_by
from routellm_core.testing import OpenAIServer, Step
from tests.litellm_clients import close_litellm_clients
from tests.server.conftest import EASY, HARD, Served, body_of, process
from tests.server.raw_upstream import wait_until

pytestmark = pytest.mark.loopback

STRONG, WEAK = "router-random-0", "router-random-1"


@pytest.fixture(scope="module")
def translated(upstream: OpenAIServer) -> Iterator[Served]:
    """A process of its own, because LiteLLM keeps connections from one event loop to the next."""
    settings = {
        "ROUTELLM_STRONG_UPSTREAM": "litellm",
        "ROUTELLM_WEAK_UPSTREAM": "litellm",
        "ROUTELLM_UPSTREAM_API_KEY": "provider-key",
    }
    with process(upstream, **settings) as (_, url):
        yield Served(url, app=None, server=None, key=None)


@pytest.mark.parametrize("stream", [False, True])
def test_the_answer_is_openais(translated: Served, stream: bool) -> None:
    response = translated.post(HARD, model=STRONG, stream=stream)
    assert response.status_code == 200
    assert response.headers["x-routellm-model"] == "openai/big"
    if stream:
        assert response.text.endswith("data: [DONE]\n\n")
        chunks = [json.loads(line[6:]) for line in response.text.splitlines() if "{" in line]
        said = "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks)
    else:
        said = response.json()["choices"][0]["message"]["content"]
    assert said == f"big heard: {HARD}"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fault", [Step(status=500), Step(status=429)])
def test_a_weak_model_that_fails_is_followed_by_the_strong_one(
    translated: Served, upstream: OpenAIServer, fault: Step, stream: bool
) -> None:
    upstream.script(fault, model="small")
    response = translated.post(EASY, model=WEAK, stream=stream)
    assert response.status_code == 200
    assert upstream.models_asked() == ["small", "big"]


@pytest.mark.parametrize(("status", "shown"), [(400, 400), (401, 502), (404, 404)])
def test_its_errors_are_told_as_the_others_are(
    translated: Served, upstream: OpenAIServer, status: int, shown: int
) -> None:
    upstream.script(Step(status=status))
    response = translated.post(EASY, model=WEAK)
    assert response.status_code == shown
    assert set(response.json()["error"]) >= {"message", "type", "param", "code"}


def test_a_stream_cut_after_content_ends_in_an_error(
    translated: Served, upstream: OpenAIServer
) -> None:
    upstream.script(Step(pieces=("a", "b", "c"), cut_after=3), model="small")
    response = translated.post(EASY, model=WEAK, stream=True)
    assert '"error"' in response.text
    assert "[DONE]" not in response.text
    assert upstream.models_asked() == ["small"]


@pytest.mark.parametrize("field", ["api_base", "base_url", "api_key", "extra_headers", "fallbacks"])
def test_a_client_cannot_set_what_is_the_servers(
    translated: Served, upstream: OpenAIServer, field: str
) -> None:
    response = translated.post(EASY, model=WEAK, **{field: "http://evil.example/v1"})
    assert response.status_code == 400
    assert upstream.requests == []


def test_when_a_client_leaves_its_stream_the_model_is_left(
    translated: Served, upstream: OpenAIServer
) -> None:
    upstream.script(Step(pieces=("word ",) * 1000, piece_delay_s=0.01))
    with (
        translated.client() as client,
        client.stream(
            "POST", "/v1/chat/completions", json=body_of(EASY, model=WEAK, stream=True)
        ) as response,
    ):
        next(response.iter_bytes())
    wait_until(lambda: upstream.requests[0].ended_s is not None, seconds=2.0)
    assert not upstream.requests[0].whole


@pytest.mark.parametrize(
    ("model", "base_url", "kind"),
    [
        ("gpt-4o", None, "openai"),
        ("o4-mini", None, "openai"),
        ("openai/gpt-4o", None, "openai"),
        ("claude-sonnet-4-5", None, "litellm"),
        ("anthropic/claude-sonnet-4-5", None, "litellm"),
        ("llama3.2", "http://127.0.0.1:11434/v1", "openai"),
        ("meta-llama/Llama-3.1-8B-Instruct", "http://127.0.0.1:8000/v1", "openai"),
        ("anthropic/claude-sonnet-4-5", "http://127.0.0.1:8000", "litellm"),
        ("ollama_chat/llama3.2", "http://127.0.0.1:11434", "litellm"),
    ],
)
def test_openais_protocol_is_spoken_where_it_is_understood(
    model: str, base_url: str | None, kind: str
) -> None:
    assert reached_by("auto", Endpoint("weak", model, base_url, None)) == kind


def test_what_openai_says_with_a_null_is_there(translated: Served, upstream: OpenAIServer) -> None:
    upstream.script(*[Step(tool_calls=(("f", {}),))] * 2, model="small")
    message = translated.post(EASY, model=WEAK).json()["choices"][0]["message"]
    assert message["content"] is None
    streamed = translated.post(EASY, model=WEAK, stream=True).text
    chunks = [json.loads(line[6:]) for line in streamed.splitlines() if "{" in line]
    assert chunks[0]["choices"][0]["finish_reason"] is None


@pytest.mark.parametrize("stream", [False, True])
def test_a_lone_surrogate_is_no_failure_of_the_model(
    translated: Served, upstream: OpenAIServer, stream: bool
) -> None:
    body = {**body_of("a \ud800 b \U0001f600", model=WEAK, stream=stream), "stop": ["\udc00"]}
    with translated.client() as client:
        response = client.post(
            "/v1/chat/completions",
            content=json.dumps(body).encode(),
            headers={"content-type": "application/json"},
        )
    assert response.status_code == 200
    (request,) = upstream.requests
    assert request.body["messages"][0]["content"] == "a ? b \U0001f600"
    assert request.body["stop"] == ["?"]


@pytest.mark.parametrize("stream", [False, True])
async def test_an_error_tells_nothing_of_the_servers_source(stream: bool) -> None:
    reach = ("http://127.0.0.1:1", SecretStr("provider-key"))
    model = LiteLLMUpstream(Endpoint("weak", "gemini/gemini-2.0-flash", *reach))
    image = {"type": "image_url", "image_url": {"url": "file:///etc/hostname"}}
    call = ModelCall({"messages": [{"role": "user", "content": [image]}], "stream": stream})
    answer = anext(model.stream(call)) if stream else model.complete(call)
    with pytest.raises(UpstreamError, match="Invalid image received") as raised:
        await answer
    for told in (str(raised.value), raised.value.body().decode()):
        assert "Traceback" not in told
        assert "site-packages" not in told
    await close_litellm_clients()
