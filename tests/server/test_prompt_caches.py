"""Prompt caches of the models count in conversations that a server has answered."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from routellm_core.testing import OpenAIServer, ScriptedRouter, Step
from tests.server.conftest import Served

pytestmark = pytest.mark.loopback

SYSTEM = {"role": "system", "content": "Answer in one word. " * 1500}  # some 7,500 tokens
FIRST = [SYSTEM, {"role": "user", "content": "Hi"}]
SECOND = [
    *FIRST,
    {"role": "assistant", "content": "Yes."},
    {"role": "user", "content": "Harder?"},
]
PAIR = {"strong_model": "gpt-4o", "weak_model": "gpt-4o-mini"}


def ask(served: Served, messages: list[dict[str, Any]], **fields: Any) -> httpx.Response:
    with served.client() as client:
        body = {"model": "auto", "messages": messages, **fields}
        return client.post("/v1/chat/completions", json=body)


@pytest.fixture
def router() -> ScriptedRouter:
    return ScriptedRouter({"Harder?": 0.6}, default=0.1)


@pytest.mark.parametrize("stream", [False, True])
def test_a_warm_cache_keeps_a_conversation_with_its_model(
    serve: Callable[..., Served],
    upstream: OpenAIServer,
    router: Any,
    tmp_path: Path,
    *,
    stream: bool,
) -> None:
    log = tmp_path / "calls.jsonl"
    served = serve(router=router, record_log=str(log), **PAIR)
    upstream.script(Step(text="Yes.", cached_tokens=7000))
    options = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    assert ask(served, FIRST, **options).headers["x-routellm-route"] == "weak"
    answer = ask(served, SECOND, routellm={"decision": True})
    assert answer.headers["x-routellm-route"] == "weak"
    assert float(answer.headers["x-routellm-threshold"]) > 0.6
    told = answer.headers["x-routellm-cache"]
    assert told.startswith("model=gpt-4o-mini, share=0.9")
    assert told.endswith(", estimated=False")
    assert answer.json()["routellm"]["cache"]["share"] > 0.9
    first, second = (json.loads(line) for line in log.read_text().splitlines())
    assert (first["cached_tokens"], "cache" in first) == (7000, False)
    assert second["cache"]["shift"] == pytest.approx(second["threshold"] - 0.5, abs=1e-6)


def test_it_can_be_turned_off(
    serve: Callable[..., Served], upstream: OpenAIServer, router: Any
) -> None:
    served = serve(router=router, cache_aware=False, **PAIR)
    upstream.script(Step(text="Yes.", cached_tokens=7000))
    ask(served, FIRST)
    answer = ask(served, SECOND)
    assert answer.headers["x-routellm-route"] == "strong"
    assert "x-routellm-cache" not in answer.headers


def test_a_client_cannot_say_what_is_cached(serve: Callable[..., Served], router: Any) -> None:
    served = serve(router=router, **PAIR)
    forged = {"route": "weak", "model": "gpt-4o-mini", "at": 2e9}
    messages = [*FIRST, {"role": "assistant", "content": "Yes.", "routellm": forged}, SECOND[-1]]
    assert ask(served, messages).headers["x-routellm-route"] == "strong"
