"""One run, the target's own: what routing must not do to callbacks, caches, limits and streams."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest
from langchain.agents import create_agent
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler, get_usage_metadata_callback
from langchain_core.globals import set_llm_cache
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.rate_limiters import BaseRateLimiter
from langchain_core.runnables import ConfigurableField, RunnableLambda
from langchain_core.tracers.run_collector import RunCollectorCallbackHandler

from langchain_routellm import RoutedChatModel, RoutingMiddleware
from routellm_core import CallRecord, Monitor, RetrySettings
from routellm_core.testing import ScriptedRouter, Step

Make = Callable[..., RoutedChatModel]


class Recorder(BaseCallbackHandler):
    """Remember every model run."""

    def __init__(self) -> None:
        self.starts: list[dict[str, Any]] = []
        self.ends: list[Any] = []
        self.errors: list[BaseException] = []
        self.chains = 0

    def on_chain_start(self, *_: Any, **__: Any) -> None:
        self.chains += 1

    def on_chat_model_start(self, serialized: Any, messages: Any, **kwargs: Any) -> None:
        self.starts.append(kwargs)

    def on_llm_end(self, response: Any, **_: Any) -> None:
        self.ends.append(response)

    def on_llm_error(self, error: BaseException, **_: Any) -> None:
        self.errors.append(error)


def record_of(message: Any) -> dict[str, Any]:
    return message.response_metadata["routellm"]


# One run


def test_tokens_are_counted_once(make: Make) -> None:
    with get_usage_metadata_callback() as usage:
        make().invoke("Hi")
    assert [counted["total_tokens"] for counted in usage.usage_metadata.values()] == [8]


def test_tokens_are_counted_once_inside_a_chain(make: Make) -> None:
    chain = ChatPromptTemplate.from_template("{x}") | make()
    with get_usage_metadata_callback() as usage:
        chain.invoke({"x": "Hi"})
    assert [counted["total_tokens"] for counted in usage.usage_metadata.values()] == [8]


@pytest.mark.parametrize("prompt", ["Hi", "Prove it"])
def test_the_only_model_run_is_the_targets(make: Make, prompt: str) -> None:
    recorder = Recorder()
    route = "weak" if prompt == "Hi" else "strong"
    make().invoke(prompt, {"callbacks": [recorder]})
    (start,) = recorder.starts
    assert len(recorder.ends) == 1
    assert recorder.chains == 0
    assert start["metadata"]["ls_model_name"] == route
    assert start["metadata"]["ls_provider"] == "fakechatmodel"
    assert start["metadata"]["routellm_route"] == route
    assert start["metadata"]["routellm_win_rate"] == (0.1 if route == "weak" else 0.9)
    assert start["metadata"]["routellm_latency_ms"] > 0.0
    assert f"routellm:{route}" in start["tags"]


def test_callbacks_tags_and_metadata_of_either_model_are_used(make: Make, fake: Any) -> None:
    recorder, routed_recorder = Recorder(), Recorder()
    weak = fake(callbacks=[recorder], tags=["mine"], metadata={"a": 1})
    routed = make(weak=weak, callbacks=[routed_recorder], tags=["ours"], metadata={"b": 2})
    routed.invoke("Hi")
    assert len(recorder.starts) == len(routed_recorder.starts) == 1
    (start,) = recorder.starts
    assert {"mine", "ours"} <= set(start["tags"])
    assert start["metadata"]["a"] == 1
    assert start["metadata"]["b"] == 2
    assert weak.callbacks == [recorder]


def test_a_targets_rate_limiter_is_asked_once(make: Make, fake: Any) -> None:
    class Limiter(BaseRateLimiter):
        n = 0

        def acquire(self, *, blocking: bool = True) -> bool:
            self.n += 1
            return True

        async def aacquire(self, *, blocking: bool = True) -> bool:
            return self.acquire()

    limiter = Limiter()
    make(weak=fake(rate_limiter=limiter)).invoke("Hi")
    assert limiter.n == 1
    weak = fake()
    make(weak=weak, rate_limiter=limiter).invoke("Hi")
    assert limiter.n == 2
    assert weak.rate_limiter is None


# Caches


@pytest.fixture
def cache() -> Iterator[InMemoryCache]:
    cache = InMemoryCache()
    set_llm_cache(cache)
    yield cache
    set_llm_cache(None)


def test_routers_over_different_models_do_not_share_cached_answers(
    make: Make, fake: Any, cache: InMemoryCache
) -> None:
    first = make(weak=fake(model="one")).invoke("Hi")
    second = make(weak=fake(model="two")).invoke("Hi")
    assert (first.text, second.text) == ("one heard: Hi", "two heard: Hi")


def test_the_cached_answer_carries_no_record(make: Make, cache: InMemoryCache) -> None:
    routed = make()
    assert record_of(routed.invoke("Hi"))["route"] == "weak"
    ((generation,),) = cache._cache.values()
    assert "routellm" not in generation.message.response_metadata


def test_a_cached_answer_gets_this_calls_record(make: Make, cache: InMemoryCache) -> None:
    routed = make()
    routed.invoke("Hi")
    config = {"configurable": {"routellm_threshold": 0.05, "routellm_route": "weak"}}
    again = routed.invoke("Hi", config)
    assert len(routed.weak.calls) == 1
    assert record_of(again)["reason"] == "override"


def test_an_identical_conversation_hits_the_cache_at_every_step(
    make: Make, cache: InMemoryCache
) -> None:
    def converse(routed: RoutedChatModel) -> None:
        first = routed.invoke("Hi")
        routed.invoke([HumanMessage("Hi"), first, HumanMessage("And now?")])

    # The second conversation differs from the first: LangChain notes on an answer that it came
    # from the cache. The third is the second over again.
    for _ in range(2):
        converse(make())
    third = make()
    converse(third)
    assert third.weak.calls == []


def test_the_record_on_an_answer_is_plain_json(make: Make) -> None:
    record = record_of(make().invoke("Hi"))
    assert record == {
        "route": "weak",
        "model": "FakeChatModel",
        "win_rate": 0.1,
        "threshold": 0.5,
        "router": "scripted",
        "reason": "win_rate",
    } | {"model": "weak"}
    assert json.loads(json.dumps(record)) == record
    assert type(record["win_rate"]) is float


def test_every_setting_is_part_of_the_identity(make: Make, fake: Any) -> None:
    base = make()._get_llm_string()
    others = [
        make(threshold=0.4),
        make(weak=fake(model="other")),
        make(router=ScriptedRouter(default=0.1)),
        make(router=ScriptedRouter(default=0.2)),
        make(sticky=False),
        make(temperature=0.5),
        make(escalate_on=()),
    ]
    assert len({base, *(other._get_llm_string() for other in others)}) == 8


# Streams


def test_only_the_first_chunk_carries_the_record(make: Make) -> None:
    chunks = list(make().stream("Hi there"))
    assert [("routellm" in chunk.response_metadata) for chunk in chunks] == [
        True,
        *[False] * (len(chunks) - 1),
    ]
    merged = chunks[0]
    for chunk in chunks[1:]:
        merged = merged + chunk
    assert record_of(merged)["route"] == "weak"


async def test_only_the_first_async_chunk_carries_the_record(make: Make) -> None:
    chunks = [chunk async for chunk in make().astream("Hi there")]
    assert sum("routellm" in chunk.response_metadata for chunk in chunks) == 1
    assert record_of(chunks[0])["route"] == "weak"


def test_an_empty_beginning_is_held_back_until_there_are_words(make: Make) -> None:
    weak = [[AIMessageChunk(""), AIMessageChunk(""), TimeoutError()]]
    chunks = list(make(weak=weak).stream("Hi"))
    assert "".join(chunk.text for chunk in chunks) == "strong heard: Hi "
    assert record_of(chunks[0])["reason"] == "escalation:TimeoutError"


def test_a_stream_of_the_strong_model_is_not_held_back(make: Make) -> None:
    stream = make(strong=[[AIMessageChunk(""), TimeoutError()]]).stream("Prove it")
    assert record_of(next(stream))["route"] == "strong"
    with pytest.raises(TimeoutError):
        next(stream)


def test_of_the_chunks_held_back_only_the_first_carries_the_record(make: Make) -> None:
    chunks = list(make(weak=[[AIMessageChunk(""), AIMessageChunk(""), "one"]]).stream("Hi"))
    carries = ["routellm" in chunk.response_metadata for chunk in chunks[:3]]
    assert carries == [True, False, False]


def test_a_stream_without_content_is_followed_by_the_strong_model(make: Make) -> None:
    routed = make(weak=[[AIMessageChunk(""), AIMessageChunk("")]])
    chunks = list(routed.stream("Hi"))
    assert record_of(chunks[0])["reason"] == "escalation:EmptyAnswerError"
    assert "".join(chunk.text for chunk in chunks)


async def test_a_stream_without_content_is_handed_out_where_nothing_else_is_asked(
    make: Make,
) -> None:
    empty = [AIMessageChunk(""), AIMessageChunk("")]
    routed = make(weak=[empty, empty], escalate_on=())
    assert record_of(next(iter(routed.stream("Hi"))))["route"] == "weak"
    assert record_of(await anext(routed.astream("Hi")))["route"] == "weak"


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_after_the_first_words_an_error_is_final(make: Make, cut: int) -> None:
    words = ["one", "two", "three"][:cut]
    routed = make(weak=[[*words, TimeoutError("late")]])
    stream = routed.stream("Hi")
    assert [next(stream).text for _ in words] == words
    with pytest.raises(TimeoutError, match="late"):
        next(stream)
    assert routed.strong.calls == []


async def test_leaving_an_async_stream_ends_the_inner_run(make: Make) -> None:
    recorder = Recorder()
    routed = make()
    stream = routed.astream("Hi there", {"callbacks": [recorder]})
    await anext(stream)
    await stream.aclose()
    assert len(recorder.starts) == 1
    assert [type(error) for error in recorder.errors] == [GeneratorExit]


def test_leaving_a_stream_ends_the_inner_run(make: Make) -> None:
    recorder = Recorder()
    routed = make()
    stream = routed.stream("Hi there", {"callbacks": [recorder]})
    next(stream)
    stream.close()
    assert routed.weak.closed == [True]
    assert [type(error) for error in recorder.errors] == [GeneratorExit]


# Escalation


def test_a_failed_weak_model_is_followed_by_the_strong_one(make: Make) -> None:
    routed = make(weak=[TimeoutError()])
    answer = routed.invoke("Hi")
    assert answer.text == "strong heard: Hi"
    assert record_of(answer) == {
        "route": "strong",
        "model": "strong",
        "win_rate": 0.1,
        "threshold": 0.5,
        "router": "scripted",
        "reason": "escalation:TimeoutError",
    }


async def test_a_failed_weak_model_is_followed_by_the_strong_one_async(make: Make) -> None:
    routed = make(weak=[TimeoutError(), TimeoutError()])
    assert record_of(await routed.ainvoke("Hi"))["route"] == "strong"
    chunks = [chunk async for chunk in routed.astream("Hi")]
    assert record_of(chunks[0])["reason"] == "escalation:TimeoutError"


def test_every_escalation_is_logged(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    make(weak=[TimeoutError()]).invoke("Hi")
    (logged,) = caplog.records
    assert "TimeoutError" in logged.message
    assert "Hi" not in logged.message


def test_the_callers_run_id_is_used_once(make: Make) -> None:
    recorder, run_id = Recorder(), uuid.uuid4()
    make(weak=[TimeoutError()]).invoke("Hi", {"run_id": run_id, "callbacks": [recorder]})
    used = [start["run_id"] for start in recorder.starts]
    assert used[0] == run_id
    assert len(set(used)) == 2


def test_a_bug_is_not_hidden_by_an_escalation(make: Make) -> None:
    routed = make(weak=[ZeroDivisionError()])
    with pytest.raises(ZeroDivisionError):
        routed.invoke("Hi")
    assert routed.strong.calls == []


def test_the_strong_model_never_falls_back_to_the_weak_one(make: Make) -> None:
    routed = make(strong=[TimeoutError()])
    with pytest.raises(TimeoutError):
        routed.invoke("Prove it")
    assert routed.weak.calls == []


def test_the_user_names_the_errors_that_escalate(make: Make) -> None:
    escalated = make(weak=[ZeroDivisionError()], escalate_on=(ArithmeticError,)).invoke("Hi")
    assert record_of(escalated)["reason"] == "escalation:ZeroDivisionError"
    with pytest.raises(TimeoutError):
        make(weak=[TimeoutError()], escalate_on=()).invoke("Hi")


def test_when_both_models_fail_the_error_shows_both(make: Make) -> None:
    weak, strong = TimeoutError("weak"), ConnectionError("strong")
    with pytest.raises(ConnectionError) as caught:
        make(weak=[weak], strong=[strong]).invoke("Hi")
    assert caught.value.__context__ is weak


async def test_a_cancellation_is_never_an_occasion_to_try_again(make: Make, fake: Any) -> None:
    class Hanging(fake):
        async def _agenerate(self, *_: Any, **__: Any) -> Any:
            await asyncio.Event().wait()

    routed = make(weak=Hanging())
    task = asyncio.create_task(routed.ainvoke("Hi"))
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert routed.strong.calls == []


# Batches


def test_a_batch_is_scored_at_once(make: Make) -> None:
    class Counting(ScriptedRouter):
        """Count the batches."""

        batches: ClassVar[list[int]] = []

        def _win_rates(self, prompts: Any) -> Any:
            self.batches.append(len(prompts))
            return super()._win_rates(prompts)

    router = Counting({"b": 0.9}, default=0.1)
    answers = make(router=router).batch(["a", "b", "c"])
    assert router.batches == [3]
    assert [record_of(answer)["route"] for answer in answers] == ["weak", "strong", "weak"]


async def test_an_async_batch_is_scored_at_once(make: Make, router: ScriptedRouter) -> None:
    answers = await make().abatch(["Hi", "Prove it"])
    assert router.prompts == ["Hi", "Prove it"]
    assert [record_of(answer)["route"] for answer in answers] == ["weak", "strong"]


def test_a_failure_stays_in_its_own_slot(make: Make) -> None:
    routed = make(strong=[ZeroDivisionError()])
    first, second, third = routed.batch(
        ["Hi", "Prove it", {"not": "a prompt"}], return_exceptions=True
    )
    assert isinstance(first, AIMessage)
    assert isinstance(second, ZeroDivisionError)
    assert isinstance(third, ValueError)


async def test_a_failure_stays_in_its_own_slot_async(make: Make) -> None:
    routed = make(strong=[ZeroDivisionError()])
    answers = await routed.abatch(["Hi", "Prove it", 7], return_exceptions=True)
    assert [type(answer) for answer in answers] == [AIMessage, ZeroDivisionError, ValueError]


def test_without_exceptions_returned_a_failure_is_raised(make: Make) -> None:
    with pytest.raises(ZeroDivisionError):
        make(strong=[ZeroDivisionError()]).batch(["Hi", "Prove it"])


def test_a_batch_hands_out_what_is_ready(make: Make) -> None:
    pairs = dict(make().batch_as_completed(["Hi", "Prove it"]))
    assert {index: record_of(answer)["route"] for index, answer in pairs.items()} == {
        0: "weak",
        1: "strong",
    }


async def test_an_async_batch_hands_out_what_is_ready(make: Make) -> None:
    pairs = {i: a async for i, a in make().abatch_as_completed(["Hi", "Prove it"])}
    assert {index: record_of(answer)["route"] for index, answer in pairs.items()} == {
        0: "weak",
        1: "strong",
    }


def test_an_empty_batch_has_no_answers(make: Make) -> None:
    assert make().batch([]) == []


async def test_concurrency_is_limited_for_both_models_together(make: Make, fake: Any) -> None:
    running: list[int] = [0, 0]

    class Slow(fake):
        async def _agenerate(self, *arguments: Any, **kwargs: Any) -> Any:
            running[0] += 1
            running[1] = max(running)
            await asyncio.sleep(0.01)
            running[0] -= 1
            return self._generate(*arguments, **kwargs)

    routed = make(strong=Slow(), weak=Slow())
    await routed.abatch(["Hi", "Prove it"] * 4, {"max_concurrency": 2})
    assert running[1] == 2


def test_each_item_of_a_batch_may_have_its_own_config(make: Make) -> None:
    configs = [{"configurable": {"routellm_route": route}} for route in ("strong", "weak")]
    answers = make().batch(["Hi", "Prove it"], configs)
    assert [record_of(answer)["route"] for answer in answers] == ["strong", "weak"]


# Other ways in


async def test_events_of_version_2_are_the_targets(make: Make) -> None:
    events = [event async for event in make().astream_events("Hi there", version="v2")]
    kinds = [event["event"] for event in events]
    assert kinds[0] == "on_chat_model_start"
    assert kinds[-1] == "on_chat_model_end"
    assert kinds.count("on_chat_model_start") == 1
    assert events[0]["name"] == "FakeChatModel"
    assert events[0]["metadata"]["routellm_route"] == "weak"


@pytest.mark.filterwarnings("ignore:astream_log is deprecated")
async def test_the_log_of_a_stream_is_the_targets(make: Make) -> None:
    patches = [patch async for patch in make().astream_log("Hi there")]
    streamed = [
        op["value"] for patch in patches for op in patch.ops if op["path"] == "/streamed_output/-"
    ]
    assert "".join(chunk.text for chunk in streamed) == "weak heard: Hi there "


def test_events_of_version_3_carry_the_record(make: Make) -> None:
    stream = make().stream_events("Hi there", version="v3")
    assert "".join(stream.text) == "weak heard: Hi there "
    assert record_of(stream.output)["route"] == "weak"


async def test_async_events_of_version_3_carry_the_record(make: Make) -> None:
    stream = await make().astream_events("Hi there", version="v3")
    assert "".join([delta async for delta in stream.text]) == "weak heard: Hi there "
    assert record_of(await stream)["route"] == "weak"


def test_events_of_version_3_escalate_before_the_first_words(make: Make) -> None:
    stream = make(weak=[[AIMessageChunk(""), TimeoutError()]]).stream_events("Hi", version="v3")
    assert [event["event"] for event in stream].count("message-start") == 1
    assert record_of(stream.output)["reason"] == "escalation:TimeoutError"


async def test_async_events_of_version_3_escalate_before_the_first_words(make: Make) -> None:
    routed = make(weak=[[AIMessageChunk(""), TimeoutError()]])
    stream = await routed.astream_events("Hi", version="v3")
    assert [event["event"] async for event in stream].count("message-start") == 1
    assert record_of(await stream.output)["reason"] == "escalation:TimeoutError"


def test_events_of_version_3_escalate_an_empty_answer(make: Make) -> None:
    stream = make(weak=[[AIMessageChunk("")]]).stream_events("Hi", version="v3")
    assert [event["event"] for event in stream].count("message-start") == 1
    assert record_of(stream.output)["reason"] == "escalation:EmptyAnswerError"


async def test_async_events_of_version_3_escalate_an_empty_answer(make: Make) -> None:
    stream = await make(weak=[[AIMessageChunk("")]]).astream_events("Hi", version="v3")
    assert [event["event"] async for event in stream].count("message-start") == 1
    assert record_of(await stream.output)["reason"] == "escalation:EmptyAnswerError"


async def test_chunks_without_content_do_not_prolong_an_attempt() -> None:
    strong, weak = FakeListChatModel(responses=["in time"]), Mumbling(responses=[])
    routed = RoutedChatModel(**impatient(strong=strong, weak=weak))

    async def streamed() -> list[Any]:
        return [chunk async for chunk in routed.astream("Hi")]

    chunks = await asyncio.wait_for(streamed(), 30)
    assert "".join(chunk.text for chunk in chunks) == "in time"
    assert record_of(chunks[0])["reason"] == "escalation:TimeoutError"


def test_events_of_version_3_give_out_an_empty_answer_that_may_not_escalate(make: Make) -> None:
    routed = make(weak=[[AIMessageChunk("")]], escalate_on=(TimeoutError,))
    answer = routed.stream_events("Hi", version="v3").output
    assert (answer.text, record_of(answer)["route"]) == ("", "weak")


class Waiting(FakeListChatModel):
    """Never answer."""

    async def _agenerate(self, *_: Any, **__: Any) -> Any:
        await asyncio.Event().wait()

    async def _astream(self, *_: Any, **__: Any) -> Any:
        await asyncio.Event().wait()
        yield


class Mumbling(FakeListChatModel):
    """Stream chunks without content for a second, each in good time, and then an answer."""

    async def _astream(self, *_: Any, **__: Any) -> Any:
        for _number in range(200):
            await asyncio.sleep(0.005)
            yield ChatGenerationChunk(message=AIMessageChunk(""))
        yield ChatGenerationChunk(message=AIMessageChunk("late"))


def impatient(**models: Any) -> dict[str, Any]:
    settings = RetrySettings(attempt_timeout_s=0.05)
    return {
        "router": ScriptedRouter({}, default=0.1),
        "threshold": 0.5,
        "retry": settings,
        **models,
    }


async def test_async_events_of_version_3_keep_the_attempts_timeout() -> None:
    strong, weak = FakeListChatModel(responses=["in time"]), Waiting(responses=[])
    routed = RoutedChatModel(**impatient(strong=strong, weak=weak))
    stream = await routed.astream_events("Hi", version="v3")
    answer = await asyncio.wait_for(stream.output, 30)
    assert (answer.text, record_of(answer)["reason"]) == ("in time", "escalation:TimeoutError")


async def test_the_async_middleware_keeps_the_attempts_timeout() -> None:
    strong, weak = FakeListChatModel(responses=["in time"]), Waiting(responses=[])
    middleware = RoutingMiddleware(**impatient(strong=strong, weak=weak))
    agent = create_agent(strong, middleware=[middleware])
    state = await asyncio.wait_for(agent.ainvoke({"messages": [HumanMessage("Hi")]}), 30)
    answer = state["messages"][-1]
    assert (answer.text, record_of(answer)["reason"]) == ("in time", "escalation:TimeoutError")


def test_events_of_version_3_end_with_the_error_after_the_first_words(make: Make) -> None:
    stream = make(weak=[["one", TimeoutError("late")]]).stream_events("Hi", version="v3")
    with pytest.raises(TimeoutError, match="late"):
        _ = stream.output


async def test_closing_async_events_of_version_3_ends_the_inner_run(make: Make) -> None:
    recorder = Recorder()
    config = {"callbacks": [recorder]}
    stream = await make().astream_events("Hi there", config, version="v3")
    async with stream:
        async for _ in stream:
            break
    assert len(recorder.starts) == len(recorder.errors) + len(recorder.ends) == 1


def test_generate_opens_the_targets_runs(make: Make) -> None:
    recorder = Recorder()
    result = make().generate(
        [[HumanMessage("Hi")], [HumanMessage("Prove it")]], callbacks=[recorder]
    )
    routes = [record_of(item[0].message)["route"] for item in result.generations]
    assert routes == ["weak", "strong"]
    assert len(recorder.starts) == len(result.run or []) == 2


def test_generate_names_the_targets_run_as_the_caller_does(make: Make) -> None:
    recorder, run_id = Recorder(), uuid.uuid4()
    settings = {"run_id": run_id, "run_name": "mine", "tags": ["t"], "metadata": {"a": 1}}
    routed = make()
    routed.generate([[HumanMessage("Hi")]], callbacks=[recorder], seed=7, **settings)
    (start,) = recorder.starts
    assert (start["run_id"], start["name"]) == (run_id, "mine")
    assert "t" in start["tags"]
    assert start["metadata"]["a"] == 1
    assert routed.weak.calls[0]["seed"] == 7


async def test_agenerate_answers_as_generate_does(make: Make) -> None:
    result = await make().agenerate([[HumanMessage("Hi")]])
    assert record_of(result.generations[0][0].message)["route"] == "weak"
    assert result.generations[0][0].text == "weak heard: Hi"


async def test_direct_callers_of_the_hooks_are_routed(make: Make) -> None:
    routed = make(weak=[TimeoutError(), TimeoutError()])
    message = routed._generate([HumanMessage("Hi")]).generations[0].message
    assert record_of(message)["reason"] == "escalation:TimeoutError"
    result = await routed._agenerate([HumanMessage("Prove it")])
    assert record_of(result.generations[0].message)["route"] == "strong"


def test_fallbacks_are_for_both_models_failing(make: Make, fake: Any) -> None:
    both_down = make(weak=[TimeoutError()], strong=[TimeoutError()])
    backed = both_down.with_fallbacks([fake(model="spare")])
    assert backed.invoke("Hi").text == "spare heard: Hi"


def test_tools_are_bound_through_fallbacks(make: Make, fake: Any) -> None:
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    backed = make(weak=[TimeoutError()], strong=[TimeoutError()]).with_fallbacks([fake()])
    bound = backed.bind_tools([add])
    assert bound.invoke("1 and 2").tool_calls[0]["name"] == "add"


def test_retries_begin_with_the_weak_model_again(make: Make) -> None:
    routed = make(weak=[ZeroDivisionError()])
    retried = routed.with_retry(
        retry_if_exception_type=(ZeroDivisionError,), wait_exponential_jitter=False
    )
    assert record_of(retried.invoke("Hi"))["route"] == "weak"
    assert len(routed.weak.calls) == 2


def test_config_and_arguments_reach_the_target(make: Make) -> None:
    recorder = Recorder()
    routed = make()
    bound = routed.with_config(tags=["mine"], callbacks=[recorder]).bind(stop=["x"], seed=7)
    bound.invoke("Hi", seed=8)
    assert "mine" in recorder.starts[0]["tags"]
    assert routed.weak.calls[0]["stop"] == ["x"]
    assert routed.weak.calls[0]["seed"] == 8


def test_configurable_fields_work(make: Make) -> None:
    routed = make().configurable_fields(threshold=ConfigurableField(id="t"))
    strong = routed.invoke("Hi", {"configurable": {"t": 0.05}})
    assert record_of(strong)["route"] == "strong"
    assert record_of(routed.invoke("Hi"))["route"] == "weak"


def test_a_function_in_a_chain_may_call_the_model(make: Make) -> None:
    recorder = Recorder()
    routed = make()
    chain = RunnableLambda(lambda text: routed.invoke(text))
    answer = chain.invoke(
        "Hi", {"callbacks": [recorder], "configurable": {"routellm_route": "strong"}}
    )
    assert record_of(answer)["reason"] == "override"
    assert len(recorder.starts) == 1


def test_a_step_without_words_is_routed_like_any(make: Make) -> None:
    answer = make(weak=[Step(tool_calls=(("get_weather", {"city": "Lisbon"}),))]).invoke("Hi")
    assert (answer.content, record_of(answer)["route"]) == ("", "weak")


def test_a_model_that_two_chunks_name_is_counted_once(make: Make, fake: Any) -> None:
    records: list[CallRecord] = []
    metadata = {"model_name": "gpt-4o-mini"}
    usage = {"input_tokens": 1000, "output_tokens": 1000, "total_tokens": 2000}
    last = AIMessageChunk("", response_metadata=metadata, usage_metadata=usage)
    chunks = [AIMessageChunk("Hi", response_metadata=metadata), last]
    weak = fake(model="gpt-4o-mini", script=[chunks])
    routed = make(weak=weak, monitor=(monitor := Monitor(records.append)))
    assert "".join(chunk.text for chunk in routed.stream("Hi")) == "Hi"
    assert monitor.flush()
    assert records[0].answered_model == "gpt-4o-mini"
    assert records[0].cost_usd == pytest.approx(0.00075)


async def test_events_of_version_2_show_every_chunk_once_after_an_escalation(make: Make) -> None:
    routed = make(weak=[RuntimeError("busy")], strong=[["one ", "two"]], escalate_on=(Exception,))
    events = [event async for event in routed.astream_events("Hi", version="v2")]
    chunks = [event for event in events if event["event"] == "on_chat_model_stream"]
    assert "".join(event["data"]["chunk"].text for event in chunks) == "one two"
    assert {event["metadata"]["routellm_route"] for event in chunks} == {"strong"}
    assert events[-1]["event"] == "on_chat_model_end"
    assert events[0]["data"]["input"] == "Hi"


class Printer(BaseCallbackHandler):
    """Show tokens, as a terminal does."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def on_llm_new_token(self, token: str, **_: Any) -> None:
        self.shown.append(token)


@pytest.mark.parametrize("by", ["graph", "call", "model"])
def test_tokens_that_a_callback_has_shown_are_not_followed_by_another_models(
    make: Make, by: str
) -> None:
    printer = Printer()
    routed = make(
        weak=[["one", TimeoutError("late")]],
        strong=[["two"]],
        streaming=True,
        callbacks=[printer] if by == "model" else None,
    )
    shown: list[str] = []

    def ask() -> None:
        if by != "graph":
            routed.invoke("Hi", {"callbacks": [printer]} if by == "call" else None)
            return
        asked = {"messages": [HumanMessage("Hi")]}
        for chunk, _ in create_agent(routed).stream(asked, stream_mode="messages"):
            shown.append(chunk.text)

    with pytest.raises(TimeoutError, match="late"):
        ask()
    assert "".join(shown or printer.shown) == "one"


def test_tokens_that_only_a_tracer_has_seen_are_followed_by_another_models(make: Make) -> None:
    routed = make(weak=[["one", TimeoutError("late")]], strong=[["two"]], streaming=True)
    answer = routed.invoke("Hi", {"callbacks": [RunCollectorCallbackHandler()]})
    assert (answer.text, record_of(answer)["route"]) == ("two", "strong")


def test_a_graph_shows_the_strong_models_words_after_an_empty_start(make: Make) -> None:
    routed = make(weak=[["", TimeoutError("late")]], strong=[["two"]])
    asked = {"messages": [HumanMessage("Hi")]}
    shown = [c.text for c, _ in create_agent(routed).stream(asked, stream_mode="messages")]
    assert "".join(shown) == "two"
