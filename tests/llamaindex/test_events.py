"""Who observes the models sees what they would see of the model that answers, and nothing more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from llama_index.core import Settings
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.callbacks.schema import CBEventType
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.instrumentation.span_handlers import SimpleSpanHandler
from llama_index.core.prompts import PromptTemplate
from llama_index_instrumentation import root_dispatcher
from llama_index_instrumentation.dispatcher import instrument_tags
from pydantic import BaseModel, PrivateAttr

from llamaindex_routellm import RoutedLLM
from routellm_core.testing import ScriptedRouter

HARD, EASY = "Prove that 7 is odd.", "What is 7 + 5?"
PROMPT = PromptTemplate("Well: {query_str}")


class Recorder(BaseEventHandler):
    _events: list[BaseEvent] = PrivateAttr(default_factory=list)

    @classmethod
    def class_name(cls) -> str:
        return "Recorder"

    @property
    def names(self) -> list[str]:
        return [type(event).__name__ for event in self._events]

    def handle(self, event: BaseEvent, **kwargs: Any) -> None:
        self._events.append(event)


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    handlers = list(root_dispatcher.event_handlers)
    recorder = Recorder()
    root_dispatcher.add_event_handler(recorder)
    yield recorder
    root_dispatcher.event_handlers = handlers


@pytest.fixture
def spans() -> Iterator[SimpleSpanHandler]:
    handlers = list(root_dispatcher.span_handlers)
    spans = SimpleSpanHandler()
    root_dispatcher.add_span_handler(spans)
    yield spans
    root_dispatcher.span_handlers = handlers


def counter() -> TokenCountingHandler:
    return TokenCountingHandler(tokenizer=str.split)


async def use(llm: Any) -> None:
    """Make one call of every kind."""
    llm.complete(EASY)
    llm.chat([ChatMessage(HARD)])
    list(llm.stream_chat([ChatMessage(EASY)]))
    list(llm.stream_complete(HARD))
    llm.predict(PROMPT, query_str=EASY)
    list(llm.stream(PROMPT, query_str=HARD))
    llm.chat_with_tools([], EASY)
    list(llm.stream_chat_with_tools([], HARD))

    await llm.acomplete(EASY)
    await llm.achat([ChatMessage(HARD)])
    _ = [chunk async for chunk in await llm.astream_chat([ChatMessage(EASY)])]
    _ = [chunk async for chunk in await llm.astream_complete(HARD)]
    await llm.apredict(PROMPT, query_str=EASY)
    _ = [chunk async for chunk in await llm.astream(PROMPT, query_str=HARD)]
    await llm.achat_with_tools([], EASY)


def counts(handler: TokenCountingHandler) -> list[tuple[int, int]]:
    return [
        (event.prompt_token_count, event.completion_token_count)
        for event in handler.llm_token_counts
    ]


@pytest.fixture
def same(saying) -> Any:
    """Make a model, and a pair of two such models."""

    def make(**options: Any) -> tuple[Any, RoutedLLM]:
        pair = RoutedLLM(
            strong=saying(words="One two."),
            weak=saying(words="One two."),
            router=ScriptedRouter({HARD: 0.9}),
            threshold=0.5,
            **options,
        )
        return saying(words="One two.", **options), pair

    return make


async def test_tokens_are_counted_once_by_a_handler_of_the_constructor(same) -> None:
    handlers = [counter(), counter()]
    direct, _ = same(callback_manager=CallbackManager([handlers[0]]))
    _, routed = same(callback_manager=CallbackManager([handlers[1]]))
    await use(direct)
    await use(routed)
    assert counts(handlers[1]) == counts(handlers[0])
    assert len(counts(handlers[0])) == 15


async def test_tokens_are_counted_once_by_a_handler_of_the_settings(same) -> None:
    found = []
    for which in (0, 1):
        Settings.llm = same()[which]
        handler = counter()
        # Set after the model, as most programs do.
        Settings.callback_manager = CallbackManager([handler])
        await use(Settings.llm)
        found.append(counts(handler))
        Settings.callback_manager = CallbackManager([])
    assert found[0] == found[1]
    assert len(found[0]) == 15


async def test_tokens_are_counted_once_by_a_handler_that_is_everywhere(saying) -> None:
    handler, alone = counter(), counter()
    manager = CallbackManager([handler])
    models = [saying(words="One two.", callback_manager=manager) for _ in range(2)]
    routed = RoutedLLM(
        strong=models[0],
        weak=models[1],
        router=ScriptedRouter(),
        threshold=0.5,
        callback_manager=manager,
    )
    await use(routed)
    await use(saying(words="One two.", callback_manager=CallbackManager([alone])))
    assert counts(handler) == counts(alone)


def test_a_handler_of_one_model_counts_its_calls_only(saying) -> None:
    own, joint = counter(), counter()
    strong = saying(words="One two.", callback_manager=CallbackManager([own]))
    weak = saying(words="One two.")
    routed = RoutedLLM(
        strong=strong,
        weak=weak,
        router=ScriptedRouter({HARD: 0.9}),
        threshold=0.5,
        callback_manager=CallbackManager([joint]),
    )
    routed.complete(EASY)
    routed.complete(HARD)
    assert (len(own.llm_token_counts), len(joint.llm_token_counts)) == (1, 2)
    strong.complete(HARD)
    weak.complete(EASY)
    # The routed model's handlers are not left behind in the models.
    assert (len(own.llm_token_counts), len(joint.llm_token_counts)) == (2, 2)


class TraceKeeper(BaseCallbackHandler):
    def __init__(self) -> None:
        super().__init__([], [])
        self.events: list[tuple[CBEventType, str]] = []
        self.maps: list[Any] = []

    def on_event_start(self, event_type, payload=None, event_id="", parent_id="", **kwargs):
        self.events.append((event_type, parent_id))
        return event_id

    def on_event_end(self, event_type, payload=None, event_id="", **kwargs):
        pass

    def start_trace(self, trace_id=None):
        pass

    def end_trace(self, trace_id=None, trace_map=None):
        self.maps.append(trace_map)


@pytest.mark.parametrize("own_handler", [False, True])
def test_a_models_events_are_in_the_trace_of_the_caller(saying, own_handler: bool) -> None:
    keeper = TraceKeeper()
    manager = CallbackManager([keeper])
    own = CallbackManager([counter()]) if own_handler else CallbackManager([])
    weak = saying(callback_manager=own)
    routed = RoutedLLM(strong=saying(), weak=weak, router=ScriptedRouter(), threshold=0.5)
    routed.callback_manager = manager
    with manager.as_trace("query"), manager.event(CBEventType.QUERY) as query:
        routed.complete(EASY)
    assert keeper.events[-1] == (CBEventType.LLM, query._event_id)
    assert len(keeper.maps[0][query._event_id]) == 1


@pytest.mark.parametrize("question", [HARD, EASY])
async def test_every_call_has_the_events_of_a_direct_one(same, recorder, question: str) -> None:
    direct, routed = same()
    await use(direct)
    expected = list(recorder.names)
    recorder._events.clear()
    await use(routed)
    assert recorder.names == expected
    assert recorder.names.count("LLMCompletionStartEvent") == 4
    assert recorder.names.count("LLMCompletionEndEvent") == 4


async def test_every_call_has_the_spans_of_a_direct_one(same, spans) -> None:
    direct, routed = same()

    def tree() -> list[tuple[str, str | None]]:
        closed = {span.id_: span for span in spans.completed_spans}
        found = [
            (name(span.id_), name(closed[span.parent_id].id_) if span.parent_id else None)
            for span in spans.completed_spans
        ]
        spans.completed_spans.clear()
        return found

    def name(identity: str) -> str:
        return identity.split("-")[0]

    await use(direct)
    expected = tree()
    await use(routed)
    assert tree() == expected
    assert ("SayingLLM.chat", "SayingLLM.predict") in expected


def test_a_streams_events_stay_in_the_span_that_opened_it(llm: RoutedLLM, recorder) -> None:
    dispatcher = get_dispatcher("test")

    @dispatcher.span
    def outer() -> list[Any]:
        return list(llm.stream_chat([ChatMessage(EASY)]))

    outer()
    spans = {event.span_id for event in recorder._events if "LLMChat" in type(event).__name__}
    assert len(spans) == 1
    assert next(iter(spans)).startswith("SayingLLM.stream_chat")


async def test_the_decision_is_in_the_tags_of_every_event(llm: RoutedLLM, recorder) -> None:
    with instrument_tags({"user": "me"}):
        await use(llm)
    assert len(recorder._events) > 30
    assert all(event.tags["user"] == "me" for event in recorder._events)
    models = {event.tags["routellm_model"] for event in recorder._events}
    assert models == {"small", "big"}
    labelled = [
        (event.model_dict["model_name"], event.tags["routellm_model"])
        for event in recorder._events
        if hasattr(event, "model_dict")
    ]
    assert set(labelled) == {("small", "small"), ("big", "big")}


def test_tags_are_gone_after_the_call_and_while_a_stream_is_read(llm, saying, recorder) -> None:
    other = saying()
    for _ in llm.stream_chat([ChatMessage(EASY)]):
        recorder._events.clear()
        other.complete(EASY)
        assert all("routellm_route" not in event.tags for event in recorder._events)


def test_after_an_escalation_the_tags_tell_who_answered(llm, weak, recorder) -> None:
    weak.error = TimeoutError("slow")
    llm.chat([ChatMessage(EASY)])
    ends = [e for e in recorder._events if type(e).__name__ == "LLMChatEndEvent"]
    assert [event.tags["routellm_reason"] for event in ends] == ["escalation:TimeoutError"]


class Answer(BaseModel):
    words: str


def test_structured_predictions_have_the_events_of_a_direct_one(saying, recorder) -> None:
    model, other = (saying(words='{"words": "x"}', calls_functions=False) for _ in range(2))
    routed = RoutedLLM(strong=model, weak=other, router=ScriptedRouter(), threshold=0.5)
    # LlamaIndex leaves the schema's parser on the prompt that it is given.
    model.structured_predict(Answer, PROMPT.model_copy(), query_str=EASY)
    expected = list(recorder.names)
    recorder._events.clear()
    routed.structured_predict(Answer, PROMPT.model_copy(), query_str=EASY)
    assert recorder.names == expected
    assert expected.count("LLMStructuredPredictEndEvent") == 1
