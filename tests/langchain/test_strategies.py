"""What holds of a strategy's drafts at every entry point of a routed chat model."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import aclosing
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.structured_output import ToolStrategy
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import (
    AsyncCallbackHandler,
    BaseCallbackHandler,
    CallbackManager,
    StreamingStdOutCallbackHandler,
    get_usage_metadata_callback,
)
from langchain_core.globals import set_llm_cache
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.tools import tool
from langchain_core.tracers.run_collector import RunCollectorCallbackHandler
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import BaseModel, Field

from langchain_routellm import RoutedChatModel, RoutingMiddleware
from routellm_core import ConfigurationError, Monitor
from routellm_core.answers import check, consistency
from routellm_core.monitoring import Price
from routellm_core.strategies import BestOf, Cascade, Hybrid
from routellm_core.testing import Step

Make = Callable[..., RoutedChatModel]

SECRET, FINE = "SENTINEL of a draft", "A fine answer, all in all"
NO_SENTINEL = check(lambda prompt, answer: "SENTINEL" not in answer.text, name="no_sentinel")
LONG = check(lambda prompt, answer: min(1.0, len(answer.text) / 20), name="long")
REJECTING = {
    "cascade": Cascade(NO_SENTINEL, accept=0.5),
    "hybrid": Hybrid(NO_SENTINEL, accept=0.5, band=(0.0, 0.8)),
    "best_of": BestOf(choose=NO_SENTINEL),
}

pytestmark = pytest.mark.loopback


class Watcher(BaseCallbackHandler):
    """Keep everything that a handler of the caller's is told of an answer."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.text = ""
        self.starts: list[dict[str, Any]] = []

    def on_chat_model_start(self, serialized: Any, messages: Any, **options: Any) -> None:
        self.starts.append(options)

    def on_llm_new_token(self, token: Any, *, chunk: Any = None, **_: Any) -> None:
        self.seen.append(repr((token, chunk)))
        self.text += str(token)

    def on_llm_end(self, response: Any, **_: Any) -> None:
        self.seen.append(repr(response))

    def on_llm_error(self, error: Any, **_: Any) -> None:
        self.seen.append(repr(error))

    def on_chain_end(self, outputs: Any, **_: Any) -> None:
        self.seen.append(repr(outputs))


class Ends(BaseCallbackHandler):
    """Keep answers, as a handler without tokens does."""

    def __init__(self) -> None:
        self.answers: list[str] = []

    def on_llm_end(self, response: Any, **_: Any) -> None:
        self.answers.append(response.generations[0][0].text)


class AsyncWatcher(AsyncCallbackHandler):
    """Keep tokens, in the caller's own event loop."""

    def __init__(self) -> None:
        self.loops: set[Any] = set()
        self.tokens: list[str] = []
        self.ends = 0

    async def on_chat_model_start(self, *_: Any, **__: Any) -> None:
        self.loops.add(asyncio.get_running_loop())

    async def on_llm_new_token(self, token: Any, **_: Any) -> None:
        self.tokens.append(str(token))

    async def on_llm_end(self, *_: Any, **__: Any) -> None:
        self.ends += 1


@pytest.fixture
def cache() -> Iterator[InMemoryCache]:
    cache = InMemoryCache()
    set_llm_cache(cache)
    yield cache
    set_llm_cache(None)


def said(text: str) -> list[Any]:
    return [Step(text=text)] * 4


async def streamed_events(model: Any, words: Any, config: Any) -> str:
    async with aclosing(model.astream_events(words, config, version="v2")) as events:
        kept = [event async for event in events]
    assert "SENTINEL" not in repr([event["data"].get("chunk") for event in kept])
    assert "SENTINEL" not in repr([event["data"].get("output") for event in kept])
    ends = [event for event in kept if event["event"] == "on_chat_model_end"]
    return str(ends[-1]["data"]["output"].text)


async def typed_events(model: Any, words: Any, config: Any) -> str:
    stream = await model.astream_events(words, config, version="v3")
    events = [event async for event in stream]
    assert "SENTINEL" not in repr(events)
    return str((await stream.output).text)


def sync_typed_events(model: Any, words: Any, config: Any) -> str:
    stream = model.stream_events(words, config, version="v3")
    events = list(stream)
    assert "SENTINEL" not in repr(events)
    return str(stream.output.text)


async def chunks_of(stream: Any) -> str:
    return "".join([chunk.text async for chunk in stream])


def last_text(state: Any) -> str:
    return str(state["messages"][-1].text)


def agent_of(model: Any) -> Any:
    return create_agent(model)


def behind_middleware(model: Any) -> Any:
    middleware = RoutingMiddleware(
        strong=model.strong, weak=model.weak, router="random", threshold=0.5
    )
    middleware.routed = model
    return create_agent(model.strong, middleware=[middleware])


def in_messages(words: str) -> dict[str, Any]:
    return {"messages": [HumanMessage(words)]}


def messages_mode(agent: Any, words: str, config: Any) -> str:
    parts = list(agent.stream(in_messages(words), config, stream_mode="messages"))
    return "".join(part.text for part, _ in parts)


async def async_messages_mode(agent: Any, words: str, config: Any) -> str:
    stream = agent.astream(in_messages(words), config, stream_mode="messages")
    return "".join([part.text async for part, _ in stream])


SYNC_WAYS: dict[str, Callable[[Any, str, Any], str]] = {
    "invoke": lambda model, words, config: model.invoke(words, config).text,
    "stream": lambda model, words, config: "".join(c.text for c in model.stream(words, config)),
    "batch": lambda model, words, config: model.batch([words], config)[0].text,
    "as_completed": lambda model, words, config: next(
        iter(model.batch_as_completed([words], config))
    )[1].text,
    "generate": lambda model, words, config: model.generate(
        [[HumanMessage(words)]], callbacks=config["callbacks"]
    ).generations[0][0].text,
    "hook": lambda model, words, config: model._generate([HumanMessage(words)]).generations[0].text,
    "typed_events": sync_typed_events,
    "agent": lambda model, words, config: last_text(
        agent_of(model).invoke(in_messages(words), config)
    ),
    "messages_mode": lambda model, words, config: messages_mode(agent_of(model), words, config),
    "middleware": lambda model, words, config: last_text(
        behind_middleware(model).invoke(in_messages(words), config)
    ),
    "middleware_messages": lambda model, words, config: messages_mode(
        behind_middleware(model), words, config
    ),
}  # fmt: skip
ASYNC_WAYS: dict[str, Callable[[Any, str, Any], Any]] = {
    "ainvoke": lambda model, words, config: model.ainvoke(words, config),
    "astream": lambda model, words, config: chunks_of(model.astream(words, config)),
    "abatch": lambda model, words, config: model.abatch([words], config),
    "agenerate": lambda model, words, config: model.agenerate(
        [[HumanMessage(words)]], callbacks=config["callbacks"]
    ),
    "ahook": lambda model, words, config: model._agenerate([HumanMessage(words)]),
    "events": streamed_events,
    "atyped_events": typed_events,
    "async_agent": lambda model, words, config: agent_of(model).ainvoke(in_messages(words), config),
    "async_messages_mode": lambda model, words, config: async_messages_mode(
        agent_of(model), words, config
    ),
    "async_middleware": lambda model, words, config: behind_middleware(model).ainvoke(
        in_messages(words), config
    ),
}


async def ask(way: str, model: Any, words: str, config: Any) -> str:
    """Return an answer's words by one of the ways."""
    if way in SYNC_WAYS:
        return await asyncio.to_thread(SYNC_WAYS[way], model, words, config)
    answer = await ASYNC_WAYS[way](model, words, config)
    if isinstance(answer, dict):
        return last_text(answer)
    answer = answer[0] if isinstance(answer, list) else answer
    if hasattr(answer, "generations"):
        answer = answer.generations[0]
        answer = answer[0] if isinstance(answer, list) else answer
    return str(getattr(answer, "text", answer))


every_way = pytest.mark.parametrize("way", [*SYNC_WAYS, *ASYNC_WAYS])
every_strategy = pytest.mark.parametrize("strategy", REJECTING)


# A rejected draft


@every_way
@every_strategy
async def test_a_rejected_draft_is_shown_to_nobody(
    make: Make,
    strategy: str,
    way: str,
    cache: InMemoryCache,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG, "routellm_core")
    routed = make(said(FINE), said(SECRET), strategy=REJECTING[strategy])
    watcher, ends = Watcher(), Ends()
    config = {"callbacks": [watcher, ends, StreamingStdOutCallbackHandler()]}
    assert (await ask(way, routed, "Hi", config)).strip() == FINE
    assert len(routed.weak.calls) == len(routed.strong.calls) == 1
    assert "SENTINEL" not in repr(watcher.seen)
    assert "SENTINEL" not in repr(ends.answers)
    assert "SENTINEL" not in repr(cache._cache)
    assert "SENTINEL" not in caplog.text
    assert "SENTINEL" not in capsys.readouterr().out


@every_strategy
def test_a_rejected_draft_is_in_no_memory(make: Make, strategy: str) -> None:
    memory = InMemorySaver()
    routed = make(said(FINE), said(SECRET), strategy=REJECTING[strategy])
    agent = create_agent(routed, checkpointer=memory)
    agent.invoke(in_messages("Hi"), {"configurable": {"thread_id": "1"}})
    kept = [
        (point.checkpoint, point.pending_writes)
        for point in memory.list({"configurable": {"thread_id": "1"}})
    ]
    assert FINE in repr(kept)
    assert "SENTINEL" not in repr(kept)


def test_callbacks_of_the_model_itself_do_not_see_a_rejected_draft(make: Make, fake: Any) -> None:
    watcher, own = Watcher(), Watcher()
    weak = fake(model="weak", script=said(SECRET), callbacks=[own])
    strategy = Cascade(NO_SENTINEL, accept=0.5)
    routed = make(said(FINE), weak, strategy=strategy, callbacks=[watcher])
    assert routed.invoke("Hi").text == FINE
    assert own.seen == []
    assert "SENTINEL" not in repr(watcher.seen)
    assert weak.callbacks == [own]


@every_strategy
def test_a_rejected_draft_is_a_run_of_its_own_with_a_tag(make: Make, strategy: str) -> None:
    tracer = RunCollectorCallbackHandler()
    make(said(FINE), said(SECRET), strategy=REJECTING[strategy]).invoke(
        "Hi", {"callbacks": [tracer]}
    )
    tagged = {run.tags[0]: "routellm:draft" in run.tags for run in tracer.traced_runs}
    assert tagged == {"routellm:weak": True, "routellm:strong": strategy == "best_of"}
    draft = next(run for run in tracer.traced_runs if "routellm:weak" in run.tags)
    assert SECRET in repr(draft.outputs)


def test_a_handler_may_ask_for_drafts(make: Make) -> None:
    ends = Ends()
    ends.routellm_drafts = True  # type: ignore[attr-defined]
    routed = make(said(FINE), said(SECRET), strategy=REJECTING["cascade"])
    routed.invoke("Hi", {"callbacks": [ends]})
    assert ends.answers == [SECRET, FINE]


@every_strategy
def test_tokens_on_the_answer_are_its_own_and_the_record_has_all(make: Make, strategy: str) -> None:
    records: list[Any] = []
    prices = {"weak": Price("weak", 0.0, 1.0), "strong": Price("strong", 0.0, 10.0)}
    monitor = Monitor(records.append, prices=prices)
    routed = make(said(FINE), said(SECRET), strategy=REJECTING[strategy], monitor=monitor)
    with get_usage_metadata_callback() as usage:
        answer = routed.invoke("Hi")
    monitor.flush()
    assert answer.usage_metadata["output_tokens"] == 4
    assert sum(counted["output_tokens"] for counted in usage.usage_metadata.values()) == 8
    (record,) = records
    assert (record.output_tokens, record.cost_usd, record.drafts_usd) == (4, 40.0, 4.0)
    assert sorted(step["outcome"] for step in record.steps) == sorted(
        ["rejected", "accepted" if strategy == "best_of" else "answered"]
    )


def test_a_draft_does_not_stream_into_the_run_that_a_caller_opened(make: Make, fake: Any) -> None:
    class Telling(fake):
        def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **_: Any):
            if run_manager is not None:
                run_manager.on_llm_new_token(SECRET)
            return super()._generate(messages)

    watcher = Watcher()
    routed = make(said(FINE), Telling(script=said(SECRET)), strategy=REJECTING["cascade"])
    manager = CallbackManager([watcher]).on_chat_model_start({}, [[HumanMessage("Hi")]])[0]
    assert routed._generate([HumanMessage("Hi")], run_manager=manager).generations[0].text == FINE
    assert "SENTINEL" not in repr(watcher.seen)


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_verifier_may_ask_the_drafts_model_again(make: Make, is_async: bool) -> None:
    texts = ["It is 4.", "It is 4.", "It is 5.", "It is 4."]
    watcher, tracer = Watcher(), RunCollectorCallbackHandler()
    weak = [Step(text=text) for text in texts]
    routed = make(said("It is 6."), weak, strategy=Cascade(consistency(3), accept=0.9))
    config: Any = {"callbacks": [watcher, tracer]}
    answer = await routed.ainvoke("Hi", config) if is_async else routed.invoke("Hi", config)
    assert answer.text == "It is 6."
    assert answer.response_metadata["routellm"]["reason"] == "rejected:consistency"
    assert len(tracer.traced_runs) == 1 + len(routed.weak.calls)
    assert all("It is 6." in seen for seen in watcher.seen)


# An accepted draft


def tells_nothing(way: str) -> bool:
    """Return whether LangGraph gives the model no callbacks: in asynchronous nodes before 3.11."""
    return sys.version_info < (3, 11) and way.startswith("async_")


@every_way
@pytest.mark.parametrize("strategy", [Cascade(LONG, accept=0.5), BestOf(choose=LONG)])
async def test_an_accepted_draft_is_shown_once(
    make: Make, way: str, strategy: Any, cache: InMemoryCache
) -> None:
    routed = make(said("No."), said(FINE), strategy=strategy)
    watcher, ends = Watcher(), Ends()
    assert (await ask(way, routed, "Hi", {"callbacks": [watcher, ends]})).strip() == FINE
    if "hook" in way or tells_nothing(way):  # a hook opens no run
        return
    assert [answer.strip() for answer in ends.answers] == [FINE]
    (start,) = watcher.starts
    assert "routellm:weak" in start["tags"]
    assert "routellm:draft" not in start["tags"]
    assert "No." not in repr(watcher.seen)


@pytest.mark.parametrize("way", ["messages_mode", "async_messages_mode", "events", "stream"])
async def test_an_accepted_draft_is_shown_as_the_tokens_that_came(make: Make, way: str) -> None:
    if tells_nothing(way):
        pytest.skip("LangGraph gives an asynchronous node no callbacks before Python 3.11")
    watcher = Watcher()
    routed = make(weak=said(FINE), strategy=Cascade(LONG, accept=0.5))
    await ask(way, routed, "Hi", {"callbacks": [watcher]})
    assert watcher.text.split() == FINE.split()


@pytest.mark.filterwarnings("ignore:The v3 streaming protocol on Pregel is experimental")
@pytest.mark.parametrize("text", [SECRET, FINE])
def test_an_agents_typed_events_hold_the_answer_alone(make: Make, text: str) -> None:
    routed = make(said("The strong one"), said(text), strategy=REJECTING["cascade"])
    events = list(create_agent(routed).stream_events(in_messages("Hi"), version="v3"))
    assert "SENTINEL" not in repr(events)
    deltas = [
        event["params"]["data"][0]["delta"]["text"]
        for event in events
        if event["method"] == "messages"
        and event["params"]["data"][0]["event"] == "content-block-delta"
    ]
    assert "".join(deltas).strip() == ("The strong one" if text == SECRET else FINE)


@pytest.mark.parametrize("way", ["ainvoke", "astream", "abatch", "agenerate"])
async def test_async_handlers_are_shown_an_accepted_draft_in_their_own_loop(
    make: Make, way: str
) -> None:
    watcher = AsyncWatcher()
    routed = make(weak=said(FINE), strategy=Cascade(LONG, accept=0.5))
    await ask(way, routed, "Hi", {"callbacks": [watcher]})
    assert watcher.loops == {asyncio.get_running_loop()}
    assert watcher.ends == 1


@pytest.mark.parametrize("way", ["invoke", "stream", "ainvoke", "astream", "events"])
async def test_of_several_drafts_the_one_that_is_given_out_is_shown(
    fake: Any, router: Any, way: str
) -> None:
    said_by = {"a": said("No."), "b": said("Half an answer"), "c": [TimeoutError()]}
    experts = {name: fake(model=name, script=script) for name, script in said_by.items()}
    routed = RoutedChatModel(experts=experts, strategy=Cascade(LONG, accept=0.9), router=router)
    watcher = Watcher()
    assert (await ask(way, routed, "Hi", {"callbacks": [watcher]})).strip() == "Half an answer"
    # The last expert's own run, which failed, is no draft.
    assert [start["metadata"]["routellm_route"] for start in watcher.starts] == ["c", "b"]
    assert "No." not in repr(watcher.seen)


def test_an_accepted_draft_is_cached(make: Make, cache: InMemoryCache) -> None:
    routed = make(weak=said(FINE), strategy=Cascade(LONG, accept=0.5))
    assert [routed.invoke("Hi").text for _ in range(2)] == [FINE, FINE]
    assert len(routed.weak.calls) == 1
    plain = make(weak=routed.weak)
    assert plain.invoke("Hi").text == FINE
    assert len(routed.weak.calls) == 1


def test_chunks_of_an_accepted_draft_keep_their_ids_and_indices(make: Make) -> None:
    parts = [
        AIMessageChunk("A fine answer, ", id="one"),
        AIMessageChunk("all in all", id="one"),
        AIMessageChunk(
            "", id="one",
            tool_call_chunks=[{"id": "c", "name": "add", "args": '{"a": 1,', "index": 3}],
        ),
        AIMessageChunk(
            "", id="one",
            tool_call_chunks=[{"id": None, "name": None, "args": '"b": 2}', "index": 3}],
        ),
    ]  # fmt: skip
    routed = make(weak=[parts], strategy=Cascade(LONG, accept=0.5)).bind_tools([add])
    chunks = list(routed.stream("Hi"))[:4]
    assert {chunk.id for chunk in chunks} == {"one"}
    assert [chunk.text for chunk in chunks] == ["A fine answer, ", "all in all", "", ""]
    assert [c["index"] for chunk in chunks for c in chunk.tool_call_chunks] == [3, 3]
    records = [chunk.response_metadata.get("routellm") for chunk in chunks]
    assert records[0]["reason"] == "accepted:long"
    assert records[1:] == [None] * 3


# Tools and structured output


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    RAN.append((a, b))
    return a + b


RAN: list[tuple[int, int]] = []


class Sum(BaseModel):
    """A sum."""

    total: int


class Scripted:
    """Answers of a model with tool calls of its own."""

    def __init__(self, fake: Any) -> None:
        class Calling(fake):
            messages: list[AIMessage] = Field(default_factory=list)

            def _answer(self, messages: Any, kwargs: Any) -> Any:
                self.calls.append({"messages": messages, **kwargs})
                return self.messages.pop(0).model_copy()

        self._kind = Calling

    def __call__(self, name: str, *messages: AIMessage) -> Any:
        return self._kind(model=name, messages=list(messages))


@pytest.fixture
def scripted(fake: Any) -> Scripted:
    return Scripted(fake)


def call_of(name: str, **arguments: Any) -> AIMessage:
    call = {"id": "1", "name": name, "args": arguments, "type": "tool_call"}
    return AIMessage("", tool_calls=[call])


@pytest.mark.parametrize("bad", [call_of("add", a="one"), call_of("subtract", a=1, b=2)])
@pytest.mark.parametrize("kind", ["agent", "middleware"])
@pytest.mark.parametrize("is_async", [False, True])
async def test_no_tool_runs_for_a_rejected_draft(
    scripted: Any, make: Make, bad: AIMessage, kind: str, is_async: bool
) -> None:
    RAN.clear()
    weak = scripted("weak", bad, AIMessage("weak"))
    strong = scripted("strong", call_of("add", a=1, b=2), AIMessage("3"))
    routed = make(strong, weak, strategy=Cascade(LONG, accept=0.0))
    if kind == "agent":
        agent = create_agent(routed, tools=[add])
    else:
        middleware = RoutingMiddleware(
            strong=strong, weak=weak, router=routed.router, threshold=0.5,
            strategy=Cascade(LONG, accept=0.0),
        )  # fmt: skip
        agent = create_agent(strong, tools=[add], middleware=[middleware])
    state = (
        await agent.ainvoke(in_messages("1 + 2?"))
        if is_async
        else agent.invoke(in_messages("1 + 2?"))
    )
    assert RAN == [(1, 2)]
    assert [type(message).__name__ for message in state["messages"]] == [
        "HumanMessage", "AIMessage", "ToolMessage", "AIMessage",
    ]  # fmt: skip
    reasons = [m.response_metadata["routellm"]["reason"] for m in state["messages"][1::2]]
    assert reasons == ["rejected:schema", "sticky"]
    assert len(weak.calls) == 1


def test_a_good_tool_call_of_a_draft_is_accepted(scripted: Any, make: Make) -> None:
    weak = scripted("weak", call_of("add", a=1, b=2))
    routed = make(weak=weak, strategy=Cascade(LONG, accept=0.0)).bind_tools([add])
    answer = routed.invoke("Hi")
    assert answer.tool_calls[0]["args"] == {"a": 1, "b": 2}
    assert answer.response_metadata["routellm"]["reason"] == "accepted:long"


STRUCTURED = {
    "invoke": lambda chain: chain.invoke("Hi"),
    "stream": lambda chain: list(chain.stream("Hi"))[-1],
    "batch": lambda chain: chain.batch(["Hi"])[0],
}


@pytest.mark.parametrize("way", STRUCTURED)
@pytest.mark.parametrize("include_raw", [False, True])
def test_an_invalid_structured_draft_is_followed_by_the_next_expert(
    scripted: Any, make: Make, way: str, include_raw: bool
) -> None:
    weak = scripted("weak", call_of("Sum", total="SENTINEL"))
    strong = scripted("strong", call_of("Sum", total=3))
    routed = make(strong, weak, strategy=Cascade(LONG, accept=0.0))
    chain = routed.with_structured_output(Sum, include_raw=include_raw)
    answer = STRUCTURED[way](chain)
    assert "SENTINEL" not in repr(answer)
    assert len(weak.calls) == 1
    if include_raw and way != "stream":
        assert (answer["parsed"], answer["parsing_error"]) == (Sum(total=3), None)
        assert answer["raw"].response_metadata["routellm"]["reason"] == "rejected:schema"
    elif not include_raw:
        assert answer == Sum(total=3)


@pytest.mark.parametrize("way", STRUCTURED)
@pytest.mark.parametrize("include_raw", [False, True])
@pytest.mark.parametrize("schema", [Sum, Sum.model_json_schema()])
def test_a_valid_structured_draft_is_the_answer(
    scripted: Any, make: Make, way: str, include_raw: bool, schema: Any
) -> None:
    weak = scripted("weak", call_of("Sum", total=3))
    routed = make(weak=weak, strategy=Cascade(LONG, accept=0.0))
    answer = STRUCTURED[way](routed.with_structured_output(schema, include_raw=include_raw))
    parsed = Sum(total=3) if schema is Sum else {"total": 3}
    assert (answer["parsed"] if include_raw else answer) == parsed
    if include_raw:
        assert answer["raw"].response_metadata["routellm"]["reason"] == "accepted:long"
    assert routed.strong.calls == []


async def test_structured_drafts_hold_at_the_async_entry_points(scripted: Any, make: Make) -> None:
    for way in ("ainvoke", "astream"):
        weak = scripted("weak", call_of("Sum", total="SENTINEL"))
        strong = scripted("strong", call_of("Sum", total=3))
        chain = make(strong, weak, strategy=Cascade(LONG, accept=0.0)).with_structured_output(Sum)
        if way == "ainvoke":
            assert await chain.ainvoke("Hi") == Sum(total=3)
        else:
            assert [part async for part in chain.astream("Hi")][-1] == Sum(total=3)


@pytest.mark.parametrize("errors", [True, False])
def test_a_structured_answer_of_an_agent_is_checked_in_a_draft(
    scripted: Any, make: Make, errors: bool
) -> None:
    weak = scripted("weak", call_of("Sum", total="SENTINEL"))
    strong = scripted("strong", call_of("Sum", total=3))
    middleware = RoutingMiddleware(
        strong=strong, weak=weak, router=make().router, threshold=0.5,
        strategy=Cascade(LONG, accept=0.0),
    )  # fmt: skip
    form = ToolStrategy(Sum, handle_errors=errors)
    state = create_agent(strong, middleware=[middleware], response_format=form).invoke(
        in_messages("1 + 2?")
    )
    assert state["structured_response"] == Sum(total=3)
    assert "SENTINEL" not in repr(state)
    assert len(weak.calls) == len(strong.calls) == 1


# Leaving


@pytest.mark.parametrize("strategy", REJECTING)
@pytest.mark.parametrize("way", ["ainvoke", "astream"])
async def test_a_cancelled_caller_ends_every_run(
    make: Make, fake: Any, strategy: str, way: str
) -> None:
    ended: list[str] = []

    class Hanging(fake):
        async def _agenerate(self, *_: Any, **__: Any) -> Any:
            await self._hang()

        async def _astream(self, *_: Any, **__: Any) -> Any:
            await self._hang()
            yield None

        async def _hang(self) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(self.model)

    routed = make(Hanging(model="strong"), Hanging(model="weak"), strategy=REJECTING[strategy])
    task = asyncio.create_task(ask(way, routed, "Hi", {}))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(ended) == (["strong", "weak"] if strategy == "best_of" else ["weak"])


# Experts


@pytest.fixture
def experts(fake: Any) -> dict[str, Any]:
    said_by = {"fast": "No.", "coder": FINE, "large": "The best of all answers by far."}
    return {name: fake(model=f"m-{name}", script=said(text)) for name, text in said_by.items()}


def test_experts_are_asked_in_the_order_of_their_price(experts: Any, router: Any) -> None:
    routed = RoutedChatModel(
        experts=experts, strategy=Cascade(LONG, accept=0.9), router=router, threshold=0.5
    )
    answer = routed.invoke("Hi")
    assert answer.text == FINE
    record = answer.response_metadata["routellm"]
    assert (record["route"], record["model"]) == ("coder", "m-coder")
    assert list(routed.models) == ["large", "coder", "fast"]
    assert "'fast': 'm-fast'" in repr(routed)
    assert "cascade" in routed._get_llm_string().lower()


def test_a_call_may_name_its_expert(experts: Any, router: Any) -> None:
    routed = RoutedChatModel(experts=experts, strategy=Cascade(LONG, accept=0.9), router=router)
    config = {"configurable": {"routellm_route": "large"}}
    assert routed.invoke("Hi", config).response_metadata["routellm"]["reason"] == "override"
    with pytest.raises(ConfigurationError, match="'coder' or 'fast' or 'large'"):
        routed.invoke("Hi", {"configurable": {"routellm_route": "strong"}})


def test_a_turn_stays_with_its_expert(experts: Any, router: Any, tool_turn: Any) -> None:
    routed = RoutedChatModel(experts=experts, strategy=Cascade(LONG, accept=0.9), router=router)
    record = {"route": "fast", "win_rate": None, "threshold": None}
    tool_turn[1].response_metadata["routellm"] = record
    answer = routed.invoke(tool_turn)
    assert (answer.text, answer.response_metadata["routellm"]["reason"]) == ("No.", "sticky")


def test_each_expert_has_its_own_breaker_and_arguments(experts: Any, router: Any) -> None:
    routed = RoutedChatModel(
        experts=experts,
        strategy=Cascade(LONG, accept=0.9),
        router=router,
        breaker=True,
        drop_params={"fast": ["temperature"]},
        temperature=0.5,
    )
    assert set(routed.guards.breakers) == {"fast", "coder", "large"}
    routed.invoke("Hi")
    assert routed.models["fast"].temperature is None
    assert routed.models["coder"].temperature == 0.5


def test_one_expert_is_enough(experts: Any, router: Any) -> None:
    routed = RoutedChatModel(
        experts={"fast": experts["fast"]}, strategy=BestOf(3, choose="vote"), router=router
    )
    assert routed.invoke("Hi").text == "No."
    assert len(experts["fast"].calls) == 3


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"experts": {"a": 1}, "strong": 1}, "not both"),
        ({"experts": {}}, "at least one name"),
        ({"experts": ["a"]}, "at least one name"),
        ({"strategy": "cascade"}, "`strategy` must be"),
    ],
)
def test_models_and_strategies_that_cannot_be_used_are_refused(
    make: Make, arguments: Any, says: str
) -> None:
    pair = {} if "experts" in arguments else {"strong": make().strong, "weak": make().weak}
    with pytest.raises(ConfigurationError, match=says):
        RoutedChatModel(**{**pair, **arguments})


def test_experts_that_are_no_pair_need_a_strategy(experts: Any, router: Any) -> None:
    with pytest.raises(ConfigurationError, match="need a `strategy`"):
        RoutedChatModel(experts=experts, router=router)


def test_experts_named_as_a_pair_need_none(fake: Any, router: Any) -> None:
    pair = {"weak": fake(model="w"), "strong": fake(model="s")}
    routed = RoutedChatModel(experts=pair, router=router, threshold=0.5)
    assert routed.invoke("Hi").text == "w heard: Hi"
    assert routed.invoke("Prove it").text == "s heard: Prove it"
