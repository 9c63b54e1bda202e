"""Prompt caches of the models count in chats that the routed model has answered."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from llama_index.core.llms import ChatMessage

from llamaindex_routellm import RoutedLLM
from routellm_core import CacheSettings, ConfigurationError, Price
from routellm_core.testing import ScriptedRouter
from tests.llamaindex.conftest import SayingLLM

PRICES = {
    "large": Price("large", 5e-6, 25e-6, cache_read_usd=0.5e-6, cache_write_usd=6.25e-6),
    "small": Price("small", 1e-6, 5e-6, cache_read_usd=0.1e-6, cache_write_usd=1.25e-6),
}
FIRST = [ChatMessage("Answer in one word. " * 1500, role="system"), ChatMessage("Hi", role="user")]
SECOND = [*FIRST, ChatMessage("Yes.", role="assistant"), ChatMessage("Harder?", role="user")]


def anthropic(**counts: int) -> Any:
    """A response as Anthropic's client gives it: what is cached is not in `input_tokens`."""
    return SimpleNamespace(usage=SimpleNamespace(input_tokens=100, output_tokens=5, **counts))


def routed(raw: Any = None, **options: Any) -> RoutedLLM:
    options = {"cache_aware": CacheSettings(prices=PRICES), "threshold": 0.5, **options}
    return RoutedLLM(
        strong=SayingLLM(model="large", window=100_000), weak=SayingLLM(
            model="small", window=100_000, raw=raw
        ), router=ScriptedRouter({"Harder?": 0.6}, default=0.1), **options,
    )  # fmt: skip


WARM = anthropic(cache_read_input_tokens=0, cache_creation_input_tokens=7400)


def record_of(answer: Any) -> dict[str, Any]:
    return answer.additional_kwargs["routellm"]  # type: ignore[no-any-return]


@pytest.mark.parametrize("way", ["chat", "stream_chat"])
def test_a_warm_cache_keeps_a_conversation_with_its_model(way: str) -> None:
    llm = routed(WARM)
    first = llm.chat(FIRST) if way == "chat" else list(llm.stream_chat(FIRST))[-1]
    assert "cache" not in record_of(first)
    record = record_of(llm.chat(SECOND))
    assert (record["route"], record["win_rate"]) == ("weak", 0.6)
    assert record["threshold"] > 0.6
    assert (record["cache"]["model"], record["cache"]["estimated"]) == ("small", False)
    assert record["cache"]["share"] == pytest.approx(7400 / 7505, abs=1e-2)


async def test_asynchronous_chats_count_alike() -> None:
    llm = routed(WARM)
    await llm.achat(FIRST)
    chunks = [chunk async for chunk in await llm.astream_chat(SECOND)]
    assert record_of(chunks[-1])["cache"]["estimated"] is False


@pytest.mark.parametrize(
    ("raw", "first"),
    [
        (anthropic(cache_read_input_tokens=0, cache_creation_input_tokens=0), FIRST),
        (WARM, [ChatMessage("Other", role="system"), FIRST[1]]),
    ],
    ids=["counted as 0", "another beginning"],
)
def test_what_is_not_cached_does_not_count(raw: Any, first: list[ChatMessage]) -> None:
    llm = routed(raw)
    llm.chat(first)
    record = record_of(llm.chat(SECOND))
    assert (record["route"], record["threshold"]) == ("strong", 0.5)
    assert "cache" not in record


def test_without_counts_the_shared_beginning_counts() -> None:
    llm = routed()
    llm.chat(FIRST)
    assert record_of(llm.chat(SECOND))["cache"]["estimated"] is True


@pytest.mark.parametrize("cache_aware", [False, True])
def test_off_and_without_prices_nothing_moves(*, cache_aware: bool) -> None:
    llm = routed(WARM, cache_aware=cache_aware)
    llm.chat(FIRST)
    assert record_of(llm.chat(SECOND))["route"] == "strong"
    with pytest.raises(ConfigurationError, match="`cache_aware` must be"):
        routed(cache_aware="no")


def test_records_of_calls_count_cached_tokens() -> None:
    from routellm_core import Monitor

    records: list[Any] = []
    monitor = Monitor(records.append, prices=PRICES)
    routed(WARM, monitor=monitor).chat(FIRST)
    assert monitor.flush()
    [record] = records
    assert (record.input_tokens, record.cached_tokens) == (7500, 0)
    assert record.cache_write_tokens == 7400
    assert record.cost_usd == pytest.approx(100e-6 + 7400 * 1.25e-6 + 5 * 5e-6)
