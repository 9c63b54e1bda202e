"""Prompt caches of the models count in conversations, from what the messages carry."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import time
from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.globals import set_llm_cache
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    messages_from_dict,
    messages_to_dict,
)

from langchain_routellm import RoutedChatModel
from routellm_core import CacheSettings, CallRecord, ConfigurationError, Monitor, Price
from routellm_core.testing import OpenAIServer, ScriptedRouter, Step

pytestmark = pytest.mark.loopback

Make = Callable[..., RoutedChatModel]

SYSTEM = SystemMessage("Answer in one word. " * 1500)  # some 7,500 tokens
ROUTER = ScriptedRouter({"Harder?": 0.6}, default=0.1)


def talk(*earlier: BaseMessage, ask: str = "Hi") -> list[BaseMessage]:
    return [SYSTEM, *earlier, HumanMessage(ask)]


def record_of(message: BaseMessage) -> dict[str, Any]:
    return message.response_metadata["routellm"]  # type: ignore[no-any-return]


def answered(model: RoutedChatModel, messages: list[BaseMessage], way: str) -> Any:
    if way == "stream":
        chunks = list(model.stream(messages))
        return sum(chunks[1:], start=chunks[0])
    return model.invoke(messages) if way == "invoke" else model.batch([messages])[0]


@pytest.mark.parametrize("way", ["invoke", "stream", "batch"])
def test_a_warm_cache_keeps_a_conversation_with_its_model(
    make_openai: Make, server: OpenAIServer, way: str
) -> None:
    model = make_openai(router=ROUTER)
    server.script(Step(text="Yes.", cached_tokens=7000), Step(text="No.", cached_tokens=7400))
    first = answered(model, talk(), "invoke")
    assert set(record_of(first)) == {
        "route", "model", "win_rate", "threshold", "router", "reason", "at",
    }  # fmt: skip
    assert abs(record_of(first)["at"] - time()) < 60
    second = answered(model, talk(HumanMessage("Hi"), first, ask="Harder?"), way)
    record = record_of(second)
    assert (record["route"], record["win_rate"], record["reason"]) == ("weak", 0.6, "win_rate")
    assert record["threshold"] > 0.6
    assert record["cache"]["model"].endswith("gpt-4o-mini")
    assert record["cache"]["share"] > 0.9
    assert record["cache"]["shift"] == pytest.approx(record["threshold"] - 0.5, abs=1e-6)
    assert record["cache"]["estimated"] is False
    assert "at" in record


async def test_asynchronous_calls_count_alike(make_openai: Make, server: OpenAIServer) -> None:
    model = make_openai(router=ROUTER)
    server.script(Step(cached_tokens=7000))
    first = await model.ainvoke(talk())
    second = await model.ainvoke(talk(HumanMessage("Hi"), first, ask="Harder?"))
    assert record_of(second)["route"] == "weak"


def test_what_counts_rides_on_the_messages(make_openai: Make, server: OpenAIServer) -> None:
    """Another process, with a history from a store, decides alike."""
    server.script(Step(cached_tokens=7000))
    first = make_openai(router=ROUTER).invoke(talk())
    kept = messages_from_dict(messages_to_dict(talk(HumanMessage("Hi"), first, ask="Harder?")))
    assert record_of(make_openai(router=ROUTER).invoke(kept))["route"] == "weak"


def first_answer(at: float, **usage: Any) -> AIMessage:
    counts = {"input_tokens": 7600, "output_tokens": 5, "total_tokens": 7605, **usage}
    record = {"route": "weak", "model": "openai:gpt-4o-mini", "at": at}
    return AIMessage("Yes.", usage_metadata=counts, response_metadata={"routellm": record})


CACHED = {"input_token_details": {"cache_read": 7000}}


@pytest.mark.parametrize(
    ("earlier", "route"),
    [
        (lambda: first_answer(time(), **CACHED), "weak"),
        (lambda: first_answer(time()), "weak"),
        (lambda: first_answer(time() - 400, **CACHED), "strong"),
        (lambda: first_answer(time(), input_token_details={"cache_read": 0}), "strong"),
        (lambda: AIMessage("Yes."), "strong"),
    ],
    ids=["counted", "not counted", "expired", "counted as 0", "without a record"],
)
def test_only_what_is_cached_now_counts(
    make_openai: Make, earlier: Callable[[], AIMessage], route: str
) -> None:
    message = earlier()
    model = make_openai(router=ROUTER)
    label = str(record_of(model.invoke("Hi"))["model"])
    if "routellm" in message.response_metadata:
        record_of(message)["model"] = label
    answer = model.invoke(talk(HumanMessage("Hi"), message, ask="Harder?"))
    assert record_of(answer)["route"] == route
    if message.usage_metadata and "input_token_details" not in message.usage_metadata:
        assert record_of(answer)["cache"]["estimated"] is True


def test_it_can_be_turned_off_and_set(make_openai: Make, server: OpenAIServer) -> None:
    server.script(Step(cached_tokens=7000))
    first = make_openai(router=ROUTER).invoke(talk())
    messages = talk(HumanMessage("Hi"), first, ask="Harder?")
    off = make_openai(router=ROUTER, cache_aware=False).invoke(messages)
    assert (record_of(off)["route"], record_of(off)["threshold"]) == ("strong", 0.5)
    assert not {"cache", "at"} & set(record_of(off))
    patient = make_openai(router=ROUTER, cache_aware=CacheSettings(n_turns=1000))
    assert record_of(patient.invoke(messages))["route"] == "strong"
    with pytest.raises(ConfigurationError, match="`cache_aware` must be"):
        make_openai(cache_aware=3)


def test_prices_of_ones_own_count(make: Make) -> None:
    prices = {
        name: Price(name, n * 1e-6, n * 5e-6, n * 1e-7)
        for name, n in zip("ab", (5, 1), strict=True)
    }
    settings = CacheSettings(prices={"strong": prices["a"], "weak": prices["b"]})
    assert "at" in record_of(make(cache_aware=settings).invoke("Hi"))
    assert "at" not in record_of(make().invoke("Hi"))  # nobody knows the price of a fake


@pytest.fixture
def whole_answers() -> Iterator[None]:
    set_llm_cache(InMemoryCache())
    yield
    set_llm_cache(None)


@pytest.mark.usefixtures("whole_answers")
def test_a_cache_of_whole_answers_finds_the_same_conversation_again(
    make_openai: Make, server: OpenAIServer
) -> None:
    model = make_openai(router=ROUTER)
    asked: list[int] = []
    for _ in range(3):
        first = model.invoke(talk())
        assert "at" not in record_of(first)
        model.invoke(talk(HumanMessage("Hi"), first, ask="Harder?"))
        asked.append(len(server.requests))
    # The second time LangChain's note that the first answer was free is new in the history.
    assert asked == [2, 3, 3]


@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_records_of_calls_count_cached_tokens(
    make_openai: Make, server: OpenAIServer, way: str
) -> None:
    records: list[CallRecord] = []
    monitor = Monitor(records.append)
    model = make_openai(router=ROUTER, monitor=monitor)
    server.script(Step(text="Yes.", cached_tokens=7000))
    if way == "stream":
        list(model.stream(talk(), stream_usage=True))
    else:
        model.invoke(talk())
    assert monitor.flush()
    [record] = records
    assert record.cached_tokens == 7000
    assert record.input_tokens is not None
    plain = record.input_tokens - 7000
    expected = plain * 0.15e-6 + 7000 * 0.075e-6 + (record.output_tokens or 0) * 0.6e-6
    assert record.cost_usd == pytest.approx(expected)
    expected = plain * 2.5e-6 + 7000 * 1.25e-6 + (record.output_tokens or 0) * 10e-6
    assert record.strong_usd == pytest.approx(expected)
