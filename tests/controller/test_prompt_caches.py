"""Prompt caches of the models count in conversations that the Controller has answered."""

from __future__ import annotations

from typing import Any

import pytest

from routellm_core import CacheSettings
from routellm_core.controller import Controller
from routellm_core.testing import OpenAIServer, ScriptedRouter, Step

pytestmark = pytest.mark.loopback

SYSTEM = {"role": "system", "content": "Answer in one word. " * 1500}  # some 7,500 tokens
FIRST = [SYSTEM, {"role": "user", "content": "Hi"}]
SECOND = [
    *FIRST,
    {"role": "assistant", "content": "Yes."},
    {"role": "user", "content": "Harder?"},
]


def client(upstream: OpenAIServer, **options: Any) -> Controller:
    router = ScriptedRouter({"Harder?": 0.6}, default=0.1)
    return Controller(
        {"mf": router}, "openai/gpt-4o", "openai/gpt-4o-mini", api_base=upstream.base_url,
        api_key="k", **{"threshold": 0.5, **options},
    )  # fmt: skip


def test_a_warm_cache_keeps_a_conversation_with_its_model(upstream: OpenAIServer) -> None:
    made = client(upstream)
    upstream.script(Step(text="Yes.", cached_tokens=7000))
    first = made.completion(model="auto", messages=FIRST)
    assert "cache" not in first.routellm
    second = made.completion(model="auto", messages=SECOND)
    assert second.routellm["route"] == "weak"
    assert second.routellm["threshold"] > 0.6
    assert second.routellm["cache"]["model"] == "openai/gpt-4o-mini"
    assert second.routellm["cache"]["estimated"] is False


async def test_streams_and_asynchronous_calls_count_alike(upstream: OpenAIServer) -> None:
    made = client(upstream)
    upstream.script(Step(text="Yes.", cached_tokens=7000))
    options = {"include_usage": True}
    stream = await made.acompletion(
        model="auto", messages=FIRST, stream=True, stream_options=options
    )
    assert [chunk async for chunk in stream]
    second = await made.acompletion(model="auto", messages=SECOND)
    assert second.routellm["cache"]["estimated"] is False


def test_without_counts_the_shared_beginning_counts(upstream: OpenAIServer) -> None:
    made = client(upstream)
    made.completion(model="auto", messages=FIRST)
    second = made.completion(model="auto", messages=SECOND)
    assert (second.routellm["route"], second.routellm["cache"]["estimated"]) == ("weak", True)


@pytest.mark.parametrize("begun", ["counted as 0", "another beginning", "another process"])
def test_what_is_not_cached_does_not_count(upstream: OpenAIServer, begun: str) -> None:
    made = client(upstream)
    upstream.script(Step(text="Yes.", cached_tokens=0 if begun == "counted as 0" else 7000))
    first = [{**SYSTEM, "content": "Other"}, *FIRST[1:]] if "beginning" in begun else FIRST
    made.completion(model="auto", messages=first)
    if begun == "another process":
        made = client(upstream)
    second = made.completion(model="auto", messages=SECOND)
    assert (second.routellm["route"], second.routellm["threshold"]) == ("strong", 0.5)
    assert "cache" not in second.routellm


@pytest.mark.parametrize("cache_aware", [False, CacheSettings(n_turns=1000)])
def test_it_can_be_turned_off_and_set(upstream: OpenAIServer, cache_aware: Any) -> None:
    made = client(upstream, cache_aware=cache_aware)
    upstream.script(Step(text="Yes.", cached_tokens=7000))
    made.completion(model="auto", messages=FIRST)
    assert made.completion(model="auto", messages=SECOND).routellm["route"] == "strong"


def test_a_threshold_in_the_models_name_stays(upstream: OpenAIServer) -> None:
    made = client(upstream)
    upstream.script(Step(text="Yes.", cached_tokens=7000))
    made.completion(model="router-mf-0.5", messages=FIRST)
    second = made.completion(model="router-mf-0.5", messages=SECOND)
    assert (second.routellm["route"], second.routellm["threshold"]) == ("strong", 0.5)


def test_records_of_calls_count_cached_tokens(upstream: OpenAIServer) -> None:
    records: list[Any] = []
    made = client(upstream, monitor=records.append)
    upstream.script(Step(text="Yes.", cached_tokens=7000))
    made.completion(model="auto", messages=FIRST)
    made.completion(model="auto", messages=SECOND)
    assert made.guards.monitor is not None
    assert made.guards.monitor.flush()
    first, second = records
    assert (first.cached_tokens, first.cache) == (7000, None)
    plain = first.input_tokens - 7000
    expected = plain * 0.15e-6 + 7000 * 0.075e-6 + first.output_tokens * 0.6e-6
    assert first.cost_usd == pytest.approx(expected)
    assert second.cache["shift"] == pytest.approx(second.threshold - 0.5, abs=1e-6)
