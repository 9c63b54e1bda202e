"""What every strategy promises to an application of LlamaIndex."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from llama_index.core.agent.workflow import FunctionAgent, ReActAgent
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.callbacks import CallbackManager, LlamaDebugHandler, TokenCountingHandler
from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.core.workflow import Context
from llama_index_instrumentation import root_dispatcher
from pydantic import BaseModel, PrivateAttr

from llamaindex_routellm import RoutedLLM
from routellm_core import Budget, RetrySettings
from routellm_core.answers import Prompt, check, consistency, judge, no_refusal
from routellm_core.monitoring import Price
from routellm_core.strategies import BestOf, Cascade, Hybrid
from routellm_core.testing import OpenAIServer, ScriptedRouter, Step

pytestmark = [
    pytest.mark.usefixtures("collected"),
    # As in the tests of agents.
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning"),
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20"),
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince211"),
    pytest.mark.filterwarnings("ignore:is_running called from within a step:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Skipping serialization of known unserializable key"),
    pytest.mark.filterwarnings("ignore:.*was deleted before being closed:ResourceWarning"),
]

EASY, UNSURE, HARD = "What is 7 + 5?", "Why is that?", "Prove that 7 is odd."
SECRET = "SECRET draft."
FINE = "Because it is so, always."
GOOD = check(lambda prompt, answer: float("SECRET" not in answer.text), name="good")
PROMPT = PromptTemplate("Well: {query_str}")

WHOLE = ["chat", "achat", "complete", "acomplete", "predict", "apredict", "chat_with_tools",
         "achat_with_tools"]  # fmt: skip
STREAMS = ["stream_chat", "astream_chat", "stream_complete", "astream_complete", "stream",
           "astream", "stream_chat_with_tools", "astream_chat_with_tools"]  # fmt: skip
STRATEGIES = {
    "cascade": Cascade(GOOD, accept=0.5),
    "hybrid": Hybrid(GOOD, accept=0.5, band=(0.2, 0.8)),
    "best_of": BestOf(choose=GOOD),
}
EVERY = pytest.mark.parametrize("strategy", list(STRATEGIES.values()), ids=list(STRATEGIES))


class Recorder(BaseEventHandler):
    _events: list[BaseEvent] = PrivateAttr(default_factory=list)

    @classmethod
    def class_name(cls) -> str:
        return "Recorder"

    def handle(self, event: BaseEvent, **kwargs: Any) -> None:
        self._events.append(event)


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    handlers = list(root_dispatcher.event_handlers)
    recorder = Recorder()
    root_dispatcher.add_event_handler(recorder)
    yield recorder
    root_dispatcher.event_handlers = handlers


class Heard(BaseCallbackHandler):
    """Keep what callbacks are told."""

    def __init__(self) -> None:
        super().__init__([], [])
        self.told: list[tuple[str, Any]] = []

    def on_event_start(self, event_type, payload=None, event_id="", parent_id="", **kwargs):
        self.told.append((f"{event_type.value} start", payload))
        return event_id

    def on_event_end(self, event_type, payload=None, event_id="", **kwargs):
        self.told.append((f"{event_type.value} end", payload))

    def start_trace(self, trace_id=None):
        self.told.append(("trace start", trace_id))

    def end_trace(self, trace_id=None, trace_map=None):
        self.told.append(("trace end", trace_map))

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.told]


@pytest.fixture
def router() -> ScriptedRouter:
    return ScriptedRouter({UNSURE: 0.5, HARD: 0.9})


@pytest.fixture
def weak(saying) -> Any:
    return saying(model="small", words=SECRET)


@pytest.fixture
def strong(saying) -> Any:
    return saying(model="big", words=FINE)


@pytest.fixture
def pair(strong, weak, router):
    def make(strategy: Any, **options: Any) -> RoutedLLM:
        return RoutedLLM(
            strong=strong, weak=weak, router=router, threshold=0.5, strategy=strategy, **options
        )

    return make


def arguments(endpoint: str, said: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if endpoint.endswith("_with_tools"):
        return ([], said), {}
    if endpoint in ("predict", "apredict", "stream", "astream"):
        return (PROMPT,), {"query_str": said}
    return (said if "complete" in endpoint else [ChatMessage(said)],), {}


async def ask(llm: Any, endpoint: str, said: str = UNSURE) -> list[Any]:
    """Return an answer in a list, or its chunks."""
    positional, named = arguments(endpoint, said)
    answer = getattr(llm, endpoint)(*positional, **named)
    if endpoint.startswith("a"):
        answer = await answer
    if "stream" not in endpoint:
        return [answer]
    return [chunk async for chunk in answer] if endpoint.startswith("a") else list(answer)


def text_of(answers: list[Any]) -> str:
    last = answers[-1]
    if isinstance(last, str):
        return "".join(answers)
    return last.message.content if hasattr(last, "message") else last.text


def without_blanks(text: str) -> str:
    return text.replace(" ", "")


# 1. A rejected draft is never shown


@EVERY
@pytest.mark.parametrize("endpoint", WHOLE + STREAMS)
async def test_a_rejected_draft_is_in_no_answer_chunk_callback_or_log(
    pair, endpoint: str, strategy, caplog, recorder
) -> None:
    caplog.set_level(logging.DEBUG)
    heard, counter, debug = Heard(), TokenCountingHandler(tokenizer=str.split), LlamaDebugHandler()
    manager = CallbackManager([heard, counter, debug])
    answers = await ask(pair(strategy, callback_manager=manager), endpoint)
    assert without_blanks(text_of(answers)) == without_blanks(FINE)
    assert "SECRET" not in str([getattr(answer, "__dict__", answer) for answer in answers])
    assert "SECRET" not in str(heard.told)
    assert heard.names.count("llm end") == 1
    assert "SECRET" not in str([event.completion for event in counter.llm_token_counts])
    assert "SECRET" not in str(vars(debug))
    assert "SECRET" not in caplog.text
    shown = [event for event in recorder._events if not event.tags.get("routellm:draft")]
    assert "SECRET" not in str(shown)
    tagged = [event for event in recorder._events if event.tags.get("routellm:draft")]
    assert "SECRET" in str(tagged)  # it is in the trace


@pytest.mark.parametrize("endpoint", ["chat", "achat", "stream_chat", "astream_chat"])
async def test_an_accepted_draft_reaches_the_callbacks_once(
    pair, weak, endpoint: str, recorder
) -> None:
    weak.words = "Fine words."
    heard, own = Heard(), Heard()
    weak.callback_manager = CallbackManager([own])
    llm = pair(Cascade(GOOD, accept=0.5), callback_manager=CallbackManager([heard]))
    answers = await ask(llm, endpoint)
    direct = Heard()
    weak.callback_manager = CallbackManager([direct])
    await ask(weak, endpoint)
    assert heard.names == own.names == direct.names
    assert "words." in str(heard.told)
    assert answers[-1].additional_kwargs["routellm"]["reason"] == "accepted:good"


async def test_a_chat_engine_remembers_no_draft(pair, strong) -> None:
    for method in ("chat", "achat", "stream_chat", "astream_chat"):
        memory = ChatMemoryBuffer.from_defaults(llm=strong)
        engine = SimpleChatEngine.from_defaults(llm=pair(Cascade(GOOD, accept=0.5)), memory=memory)
        answer = getattr(engine, method)(UNSURE)
        answer = await answer if method.startswith("a") else answer
        if method == "stream_chat":
            shown = "".join(answer.response_gen)
        elif method == "astream_chat":
            shown = "".join([token async for token in answer.async_response_gen()])
        else:
            shown = str(answer)
        assert without_blanks(shown) == without_blanks(FINE)
        assert [message.role.value for message in memory.get_all()] == ["user", "assistant"]
        assert "SECRET" not in str(memory.get_all())


# 2. Streams


@EVERY
@pytest.mark.parametrize("endpoint", STREAMS)
async def test_an_accepted_draft_is_streamed_out_chunk_by_chunk(
    pair, weak, strong, endpoint: str, strategy
) -> None:
    weak.words = "These are fine words."
    strong.words = "SECRET"
    routed = await ask(pair(strategy), endpoint)
    direct = await ask(weak, endpoint)
    if isinstance(direct[0], str):
        assert routed == direct
        return
    assert [chunk.delta for chunk in routed] == [chunk.delta for chunk in direct]
    assert [text_of([chunk]) for chunk in routed] == [text_of([chunk]) for chunk in direct]
    assert all(chunk.additional_kwargs["routellm"]["route"] == "weak" for chunk in routed)


async def test_a_step_that_is_not_verified_streams_live(pair, weak, strong) -> None:
    chunks = pair(Cascade(GOOD, accept=0.5)).stream_chat([ChatMessage(UNSURE)])
    next(chunks)
    assert weak.n_open == 0
    assert strong.n_open == 1
    chunks.close()
    assert strong.n_open == 0


@pytest.mark.loopback
async def test_an_accepted_tool_call_keeps_its_id_and_its_arguments(
    server: OpenAIServer, makers, router
) -> None:
    names = {"weak": "small", "strong": "big"}
    models = {route: makers["OpenAILike"](server, name) for route, name in names.items()}
    llm = RoutedLLM(experts=models, strategy=Cascade("schema", accept=1.0), router=router)
    calls = (("add", {"a": 7, "b": 5}), ("add", {"a": 1, "b": 2}))
    seen = []
    for asked in (llm, models["weak"]):
        server.script(Step(tool_calls=calls))
        chunks = [c async for c in await asked.astream_chat_with_tools([ADD], UNSURE)]
        selected = asked.get_tool_calls_from_response(chunks[-1])
        seen.append(([c.delta for c in chunks], [(s.tool_id, s.tool_kwargs) for s in selected]))
    assert seen[0] == seen[1]
    assert server.models_asked() == ["small", "small"]


# 3. Tools

ADD = FunctionTool.from_defaults(lambda a, b: a + b, name="add", description="Add two numbers.")


class Counted:
    """A tool that knows how often it ran."""

    def __init__(self) -> None:
        self.runs: list[tuple[int, int]] = []

    def add(self, a: int, b: int) -> int:
        """Add two numbers."""
        self.runs.append((a, b))
        return a + b


@pytest.fixture
def served(server: OpenAIServer, makers, router):
    def make(strategy: Any, **options: Any) -> RoutedLLM:
        return RoutedLLM(
            strong=makers["OpenAILike"](server, "big"),
            weak=makers["OpenAILike"](server, "small"),
            router=router,
            threshold=0.5,
            strategy=strategy,
            **options,
        )

    return make


@pytest.mark.loopback
@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("strategy", [Cascade("schema", accept=1.0), Cascade(GOOD, accept=0.5)])
@pytest.mark.parametrize(
    "draft",
    [("add", {"a": "SECRET", "b": 5}), ("delete_all", {"what": "SECRET"}), ("add", {"b": 5})],
)
async def test_no_tool_runs_for_a_rejected_draft(
    served, server: OpenAIServer, streaming: bool, draft, strategy
) -> None:
    counted = Counted()
    agent = FunctionAgent(tools=[counted.add], llm=served(strategy), streaming=streaming)
    server.script(Step(tool_calls=(draft,)), model="small")
    server.script(Step(tool_calls=(("add", {"a": 7, "b": 5}),)), model="big")
    server.script(Step(text="It is 12."), model="big")
    context = Context(agent)
    running = agent.run(UNSURE, ctx=context)
    events = [event async for event in running.stream_events()]
    assert str(await running) == "It is 12."
    assert counted.runs == [(7, 5)]
    assert server.models_asked() == ["small", "big", "big"]  # the turn stays with its expert
    assert "SECRET" not in str(events)
    memory = await context.store.get("memory")
    assert "SECRET" not in str(await memory.aget())


@pytest.mark.loopback
async def test_a_react_agent_is_shown_no_draft(served, server: OpenAIServer) -> None:
    counted = Counted()
    agent = ReActAgent(tools=[counted.add], llm=served(Cascade(GOOD, accept=0.5)), streaming=True)
    server.script(Step(text='Thought: SECRET.\nAction: add\nAction Input: {"a": 0, "b": 0}'),
                  model="small")  # fmt: skip
    server.script(Step(text='Thought: I add.\nAction: add\nAction Input: {"a": 7, "b": 5}'),
                  model="big")  # fmt: skip
    server.script(Step(text="Thought: I know.\nAnswer: It is 12."))
    running = agent.run(UNSURE)
    events = [event async for event in running.stream_events()]
    assert "It is 12." in str(await running)
    assert counted.runs == [(7, 5)]
    assert "SECRET" not in str(events)


# 4. Structured output


class Sum(BaseModel):
    """A sum."""

    total: int


STRUCTURED = ["structured_predict", "astructured_predict", "stream_structured_predict",
              "astream_structured_predict"]  # fmt: skip


@pytest.mark.loopback
@pytest.mark.parametrize("endpoint", STRUCTURED)
@pytest.mark.parametrize("draft", [{"total": "SECRET"}, {}])
async def test_an_object_that_is_invalid_is_followed_by_the_next_experts(
    served, server: OpenAIServer, endpoint: str, draft
) -> None:
    llm = served(Cascade(GOOD, accept=0.5))
    server.script(*[Step(tool_calls=(("Sum", draft),))] * 3, model="small")
    server.script(Step(tool_calls=(("Sum", {"total": 12}),)), model="big")
    answer = getattr(llm, endpoint)(Sum, PROMPT, query_str=UNSURE)
    if endpoint.startswith("a"):
        answer = await answer
    if endpoint.startswith("astream"):
        answer = [each async for each in answer][-1]
    elif endpoint.startswith("stream"):
        answer = list(answer)[-1]
    assert answer.model_dump() == {"total": 12}
    assert server.models_asked()[-1] == "big"


# 5. Failures, 6. deadlines


@pytest.mark.parametrize("endpoint", WHOLE + STREAMS)
async def test_the_best_draft_is_the_answer_where_the_last_expert_fails(
    pair, strong, weak, endpoint: str
) -> None:
    weak.words = "SECRET but best"
    strong.error = TimeoutError("Busy.")
    heard = Heard()
    llm = pair(Cascade(GOOD, accept=0.5), callback_manager=CallbackManager([heard]))
    answers = await ask(llm, endpoint)
    assert without_blanks(text_of(answers)) == "SECRETbutbest"
    if not isinstance(answers[-1], str):
        record = answers[-1].additional_kwargs["routellm"]
        assert (record["route"], record["reason"]) == ("weak", "best_draft:TimeoutError")
    assert "SECRET" in str(heard.told)  # now it is the answer


@pytest.mark.parametrize(("then", "route"), [("next", "strong"), ("accept", "weak")])
async def test_a_verifier_that_fails_decides_as_it_is_set(pair, then: str, route: str) -> None:
    broken = check(lambda prompt, answer: 1 / 0, name="broken")
    llm = pair(Cascade(broken, accept=0.5, on_verifier_error=then))
    for endpoint in ("chat", "astream_chat"):
        record = (await ask(llm, endpoint))[-1].additional_kwargs["routellm"]
        assert record["route"] == route
        assert record["reason"] == "verifier_error:ZeroDivisionError"


@pytest.mark.parametrize("endpoint", WHOLE + STREAMS)
async def test_a_budget_that_the_next_step_would_pass_gives_out_the_draft(
    pair, strong, endpoint: str
) -> None:
    prices = {name: Price(name, 0.0, 1.0) for name in ("small", "big")}
    budget = Budget(1.5, prices=prices, answer_tokens=1)
    answers = await ask(pair(Cascade(GOOD, accept=0.5), budget=budget), endpoint)
    assert without_blanks(text_of(answers)) == without_blanks(SECRET)
    assert strong.asked == []


@pytest.mark.parametrize("endpoint", ["achat", "astream_chat"])
async def test_a_deadline_gives_out_the_draft(pair, strong, saying, endpoint: str) -> None:
    class Slow(saying):  # type: ignore[misc,valid-type]
        async def achat(self, messages, **kwargs):
            await asyncio.sleep(5.0)

        astream_chat = achat

    llm = pair(Cascade(GOOD, accept=0.5), retry=RetrySettings(deadline_s=0.3))
    llm.strong = Slow()
    answers = await ask(llm, endpoint)
    assert answers[-1].additional_kwargs["routellm"]["reason"] == "deadline"


@pytest.mark.parametrize("strategy", [Cascade(GOOD, accept=0.5), BestOf(choose=GOOD)])
@pytest.mark.parametrize("endpoint", ["achat", "astream_chat"])
async def test_a_cancelled_caller_leaves_no_model_at_work(
    pair, saying, strategy, endpoint: str
) -> None:
    at_work: list[str] = []

    class Slow(saying):  # type: ignore[misc,valid-type]
        async def achat(self, messages, **kwargs):
            at_work.append(self.model)
            try:
                await asyncio.sleep(60.0)
            finally:
                at_work.remove(self.model)

        async def astream_chat(self, messages, **kwargs):
            async def chunks():
                yield await self.achat(messages)

            return chunks()

    llm = pair(strategy)
    llm.strong, llm.weak = Slow(model="big"), Slow(model="small")
    task = asyncio.ensure_future(ask(llm, endpoint))
    await asyncio.sleep(0.2)
    assert at_work
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert at_work == []


# 7. Records and usage


@pytest.mark.loopback
@pytest.mark.parametrize("endpoint", ["chat", "achat"])
async def test_usage_on_the_answer_is_its_own_and_the_record_has_the_drafts(
    served, server: OpenAIServer, endpoint: str
) -> None:
    records: list[Any] = []
    llm = served(Cascade(GOOD, accept=0.5), monitor=records.append)
    server.script(Step(text=SECRET), model="small")
    server.script(Step(text=FINE), model="big")
    (answer,) = await ask(llm, endpoint)
    assert llm.guards.monitor is not None
    llm.guards.monitor.flush()
    (record,) = records
    usage = answer.raw.usage
    assert (record.input_tokens, record.output_tokens) == (
        usage.prompt_tokens, usage.completion_tokens,
    )  # fmt: skip
    assert [(s["expert"], s["outcome"]) for s in record.steps] == [
        ("weak", "rejected"), ("strong", "answered"),
    ]  # fmt: skip
    assert all(step["output_tokens"] > 0 for step in record.steps)
    assert record.attempts == 2


@EVERY
@pytest.mark.parametrize("endpoint", ["chat", "astream_chat"])
async def test_the_drafts_own_events_are_tagged(pair, endpoint: str, strategy, recorder) -> None:
    await ask(pair(strategy), endpoint)
    ends = [event for event in recorder._events if type(event).__name__ == "LLMChatEndEvent"]
    by_route = {event.tags["routellm_route"]: event.tags.get("routellm:draft") for event in ends}
    last = True if isinstance(strategy, BestOf) else None
    assert by_route == {"weak": True, "strong": last}


async def test_a_hybrid_verifies_only_what_the_router_is_not_sure_of(pair, strong, weak) -> None:
    llm = pair(STRATEGIES["hybrid"])
    reasons = [
        (await ask(llm, "chat", said))[0].additional_kwargs["routellm"]["reason"]
        for said in (EASY, UNSURE, HARD)
    ]
    assert reasons == ["win_rate", "rejected:good", "win_rate"]
    assert (len(weak.asked), len(strong.asked)) == (2, 2)


# What verifiers read


async def test_a_verifier_reads_the_conversation_and_the_tools(pair) -> None:
    read: list[Prompt] = []
    seen = check(lambda prompt, answer: bool(read.append(prompt)) or 1.0, name="seen")
    llm = pair(Cascade(seen, accept=0.5))
    history = [ChatMessage("Be brief.", role="system"), ChatMessage(EASY)]
    await llm.achat_with_tools([ADD], chat_history=history, tool_choice="auto")
    assert read[0].text == EASY
    assert [m["role"] for m in read[0].messages] == ["system", "user"]
    assert list(read[0].tools or ()) == ["add"]
    assert read[0].tool_choice == "auto"
    llm.predict(PROMPT, query_str=UNSURE)
    assert (read[1].text, read[1].messages[0]["content"]) == (UNSURE, f"Well: {UNSURE}")


@pytest.mark.parametrize(
    "options",
    [
        {"tool_choice": "required"},
        {"tool_choice": {"type": "function", "function": {"name": "add"}}},
        {"tool_choice": {"type": "tool", "name": "add"}},
        {"tool_choice": {"type": "any"}},
    ],
)
async def test_words_in_place_of_a_tool_call_that_must_come_are_rejected(pair, options) -> None:
    llm = pair(Cascade(GOOD, accept=0.0))
    answer = await llm.achat_with_tools([ADD], UNSURE, **options)
    assert answer.additional_kwargs["routellm"]["reason"] == "rejected:schema"
    free = await llm.achat_with_tools([ADD], UNSURE, tool_choice={"type": "auto"})
    assert free.additional_kwargs["routellm"]["reason"] == "accepted:good"


async def test_a_stream_that_will_be_rejected_is_closed_early(pair, saying, weak) -> None:
    open_streams: list[int] = []

    class Counting(saying):  # type: ignore[misc,valid-type]
        def _chunks(self, make):
            open_streams.append(weak.n_open)
            yield from super()._chunks(make)

    weak.words = "I'm sorry, but I can't help with that. " + "SECRET words. " * 200
    llm = pair(Cascade(no_refusal(), accept=0.5))
    llm.strong = Counting(words=FINE)
    for endpoint in ("stream_chat", "astream_chat"):
        assert without_blanks(text_of(await ask(llm, endpoint))) == without_blanks(FINE)
    assert open_streams[0] == 0
    await asyncio.sleep(0)  # LlamaIndex leaves the innermost asynchronous generator to the loop
    assert weak.n_open == 0


@pytest.mark.parametrize("endpoint", ["chat", "achat", "astream_chat"])
async def test_samples_for_a_verifier_come_from_the_model_that_wrote_the_draft(
    pair, weak, strong, endpoint: str
) -> None:
    weak.words = "12."  # a stream of several words has no blanks here
    answers = await ask(pair(Cascade(consistency(2), accept=0.9)), endpoint)
    assert answers[-1].additional_kwargs["routellm"]["reason"].startswith("accepted:")
    assert len(weak.asked) >= 2
    assert strong.asked == []


@pytest.mark.parametrize("model", ["large", "itself"])
async def test_a_judge_may_be_an_expert_or_a_model(saying, router, model: str) -> None:
    large = saying(model="big", words="5")
    verifier = judge(large if model == "itself" else model)
    llm = RoutedLLM(
        experts={"fast": saying(words=FINE), "large": large},
        strategy=Cascade(verifier, accept=0.9),
        router=router,
    )
    answer = await llm.achat([ChatMessage(UNSURE)])
    assert answer.additional_kwargs["routellm"]["reason"] == "accepted:judge"
    assert large.asked == ["chat"]


async def test_a_judge_that_nobody_knows_is_an_error_of_the_verifier(pair) -> None:
    llm = pair(Cascade(judge("unknown"), accept=0.5))
    answer = await llm.achat([ChatMessage(UNSURE)])
    reason = answer.additional_kwargs["routellm"]["reason"]
    assert reason == "verifier_error:ConfigurationError"


async def test_a_prompt_that_the_routed_model_shapes_is_verified_too(pair) -> None:
    llm = pair(Cascade(GOOD, accept=0.5), system_prompt="Be brief.")
    assert llm.predict(PROMPT, query_str=UNSURE) == FINE
    assert await llm.apredict(PROMPT, query_str=UNSURE) == FINE
    assert without_blanks("".join(llm.stream(PROMPT, query_str=UNSURE))) == without_blanks(FINE)


async def test_a_request_in_the_words_of_one_model_goes_to_that_model_alone(saying, router) -> None:
    inner = RoutedLLM(strong=saying(), weak=saying(words=SECRET), router=router, threshold=0.5)
    other = saying(words=FINE)
    for strategy in (Cascade(GOOD, accept=0.5), BestOf(choose=GOOD)):
        llm = RoutedLLM(experts={"a": inner, "b": other}, strategy=strategy, router=router)
        prepared = llm._prepare_chat_with_tools([], EASY)
        answer = await llm.achat(**prepared)
        assert answer.message.content == SECRET
        assert answer.additional_kwargs["routellm"]["route"] == "a"
    assert other.asked == []


async def test_the_attempts_time_bounds_the_last_experts_first_chunk(pair, strong, saying) -> None:
    class Slow(saying):  # type: ignore[misc,valid-type]
        async def astream_chat(self, messages, **kwargs):
            async def chunks():
                await asyncio.sleep(30.0)
                yield None

            return chunks()

    llm = pair(None, retry=RetrySettings(attempt_timeout_s=0.2))
    llm.strong = Slow()
    with pytest.raises(TimeoutError):
        await ask(llm, "astream_chat", HARD)
