"""Fields that would redirect a request, and names of models that only look like one."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from routellm_core.server import create_app, read_settings
from routellm_core.server.litellm_upstream import LiteLLMUpstream
from routellm_core.server.openai_upstream import OpenAIUpstream
from routellm_core.server.upstream import Endpoint, ModelCall, Reply
from routellm_core.testing import OpenAIServer, ScriptedRouter
from tests.litellm_clients import close_litellm_clients
from tests.server.conftest import Served, body_of

pytestmark = [
    pytest.mark.loopback,
    # LiteLLM keeps its connections open, and uvloop says so when their loop ends. As an error in
    # that place the warning stops the loop from ending at all.
    pytest.mark.filterwarnings("ignore:unclosed resource <TCPTransport:ResourceWarning"),
]

URL = "/v1/chat/completions"
EVIL = "http://127.0.0.1:1"

ADDRESSES = ["api_base", "base_url", "API_BASE", "proxy", "endpoint", "azure_endpoint", "s3_region"]
ADDRESSES += ["anthropic_issuer_url", "github_copilot_host", "langfuse_host", "posthog_api_url"]
ADDRESSES += ["langsmith_base_url", "token_exchange_endpoint", "bootstrap_host", "bootstrap_port"]
ADDRESSES += ["kv_transfer_params", "use_litellm_proxy", "aws_bedrock_runtime_endpoint"]
KEYS = ["api_key", "aws_access_key_id", "vertex_credentials", "azure_ad_token", "organization"]
KEYS += ["langfuse_secret_key", "dd_api_key", "anthropic_identity_token_file", "client_secret"]
HEADERS = ["extra_headers", "headers", "default_headers", "provider_specific_header", "extra_body"]
OTHER_MODELS = ["models", "fallbacks", "fallback_models", "model_list", "silent_model"]
OTHER_MODELS += ["custom_llm_provider", "user_config", "model_alias_map", "deployment_id"]
NO_MODEL = ["mock_response", "mock_testing_fallbacks", "mock_tool_calls", "mock_timeout"]
OWN = [*ADDRESSES, *KEYS, *HEADERS, *OTHER_MODELS, *NO_MODEL]

VALUES = [EVIL, {"x-evil": "1"}, ["other-model"], True, None]

KINDS = ["openai", "litellm", "custom"]


class Recorder:
    """An upstream of somebody's own, which notes what it is asked."""

    def __init__(self) -> None:
        self.calls: list[ModelCall] = []

    async def complete(self, call: ModelCall) -> Reply:
        self.calls.append(call)
        answer = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}}]}
        return Reply(json.dumps(answer).encode(), answer)

    async def stream(self, call: ModelCall) -> AsyncGenerator[bytes, None]:
        self.calls.append(call)
        yield b'data: {"choices": [{"index": 0, "delta": {"content": "Hi"}}]}\n\ndata: [DONE]\n\n'

    async def aclose(self) -> None:
        """Nothing is open."""


class Way:
    """A server with one kind of upstream, asked without a socket, and what reached the models."""

    def __init__(self, kind: str, upstream: OpenAIServer) -> None:
        settings = {
            "strong_model": "openai/big",
            "weak_model": "openai/small",
            "base_url": upstream.base_url,
            "upstream_api_key": "provider-key",
            "threshold": 0.5,
        }
        if kind == "litellm":
            settings |= {"strong_upstream": "litellm", "weak_upstream": "litellm"}
        self._recorder = Recorder() if kind == "custom" else None
        self._upstream = upstream
        own = None if self._recorder is None else dict.fromkeys(("strong", "weak"), self._recorder)
        self.app = create_app(
            read_settings(settings, environ={}),
            routers={"mf": ScriptedRouter(default=0.1)},
            upstreams=own,
        )

    async def post(self, body: dict[str, Any]) -> httpx.Response:
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.post(URL, content=json.dumps(body).encode(), headers=JSON)

    def asked(self) -> list[dict[str, Any]]:
        if self._recorder is not None:
            return [dict(call.fields) for call in self._recorder.calls]
        return [dict(request.body) for request in self._upstream.requests]


JSON = {"content-type": "application/json"}


@pytest.fixture
async def way(request: pytest.FixtureRequest, upstream: OpenAIServer) -> AsyncGenerator[Way, None]:
    way = Way(request.param, upstream)
    yield way
    await way.app.state.service.aclose()
    await close_litellm_clients()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("way", KINDS, indirect=True)
async def test_no_field_redirects_a_request_of_any_kind(way: Way, stream: bool) -> None:
    for field in OWN:
        for value in VALUES:
            response = await way.post(body_of(stream=stream, **{field: value}))
            assert response.status_code == 400, field
            error = response.json()["error"]
            assert (error["code"], error["param"]) == ("unsupported_parameter", field)
            assert repr(field) in error["message"]
    assert way.asked() == []


@pytest.mark.parametrize("way", KINDS, indirect=True)
async def test_fields_of_models_and_their_servers_pass(way: Way) -> None:
    others = {
        "top_k": 3, "guided_json": {"type": "object"}, "min_p": 0.1, "metadata": {"a": "b"},
        "prompt_cache_key": "k", "safety_identifier": "s", "cache_salt": "x",
        "chat_template_kwargs": {"enable_thinking": False}, "provider": {"sort": "price"},
        "reasoning": {"effort": "low"}, "keep_alive": "5m", "num_ctx": 4096, "store": False,
    }  # fmt: skip
    response = await way.post(body_of(**others))
    assert response.status_code == 200, response.text
    (sent,) = way.asked()
    assert {name: sent.get(name) for name in others} == others


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("kind", [OpenAIUpstream, LiteLLMUpstream])
async def test_an_upstream_takes_no_address_key_or_header_from_a_requests_fields(
    upstream: OpenAIServer, kind: Callable[[Endpoint], Any], stream: bool
) -> None:
    model = kind(Endpoint("weak", "openai/small", upstream.base_url, SecretStr("provider-key")))
    said = {"messages": body_of()["messages"], "model": "auto", "stream": stream}
    plain: dict[str, str] = {}
    for field in (None, *OWN, "timeout", "max_retries", "num_retries"):
        for value in VALUES[:1] if field is None else VALUES:
            call = ModelCall(said if field is None else {**said, field: value})
            if stream:
                answer = words_of(b"".join([block async for block in model.stream(call)]))
            else:
                answer = (await model.complete(call)).body
            assert b"Hello!" in answer, field
            (request,) = upstream.requests
            headers = {k: v for k, v in request.headers.items() if k != "content-length"}
            plain = plain or headers
            assert headers == plain, field
            assert headers["authorization"] == "Bearer provider-key"
            assert request.model == "small"
            upstream.reset()
    await model.aclose()
    await close_litellm_clients()


def words_of(events: bytes) -> bytes:
    chunks = [json.loads(line[6:]) for line in events.splitlines() if line[:7] == b"data: {"]
    return "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks).encode()


DIGITS = ["٠.٥", "۰.۵", "०.५", "０.５", "𝟎.𝟓", "0.٥", "٠٫٥", "½", "0,5", "0_1", "0x1"]
DIGITS += ["1e9999", " 0.5", "", "+0.5", "nan", "inf", "-inf", "Infinity", "NaN", "0.5.5", "--1"]


@pytest.mark.parametrize("number", DIGITS, ids=ascii)
async def test_a_threshold_or_a_share_is_written_in_plain_digits(
    served: Served, upstream: OpenAIServer, number: str
) -> None:
    for name in (f"router-mf-{number}", f"router-mf-share-{number}"):
        response = served.post(model=name)
        assert response.status_code == 400, name
        assert response.json()["error"]["param"] == "model"
        with served.client() as client:
            shown = client.get(f"/v1/models/{httpx.URL('/' + name).raw_path[1:].decode()}")
        assert shown.status_code == 404
    assert upstream.requests == []
