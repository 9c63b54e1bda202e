"""Tools and the models that take them: by their methods, whichever class these come from."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    LLMMetadata,
    ToolCallBlock,
)
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.llms import MockLLM
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.llms.mock import MockFunctionCallingLLM
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel

from llamaindex_routellm import RoutedLLM
from routellm_core import BreakerSettings, ConfigurationError

HARD, EASY = "Prove that 7 is odd.", "What is 7 + 5?"
TOOL_CHATS = [
    "chat_with_tools", "achat_with_tools", "stream_chat_with_tools", "astream_chat_with_tools",
]  # fmt: skip


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


ADD = FunctionTool.from_defaults(add)


class DuckLLM(MockLLM):
    """Call a tool with the methods of a `FunctionCallingLLM`, and be none."""

    _asked: list[str] = PrivateAttr(default_factory=list)

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(is_chat_model=True, is_function_calling_model=True, model_name="duck")

    def _answer(self, method: str, messages: list[ChatMessage]) -> ChatResponse:
        self._asked.append(method)
        if any(message.role == "tool" for message in messages):
            return ChatResponse(message=ChatMessage("12", role="assistant"), delta="12")
        block = ToolCallBlock(tool_call_id="1", tool_name="add", tool_kwargs='{"a": 7, "b": 5}')
        return ChatResponse(message=ChatMessage(blocks=[block], role="assistant"))

    def chat_with_tools(self, tools, user_msg=None, chat_history=None, **kwargs):
        return self._answer("chat_with_tools", chat_history)

    async def achat_with_tools(self, tools, user_msg=None, chat_history=None, **kwargs):
        return self._answer("achat_with_tools", chat_history)

    def stream_chat_with_tools(self, tools, user_msg=None, chat_history=None, **kwargs):
        yield self._answer("stream_chat_with_tools", chat_history)

    async def astream_chat_with_tools(self, tools, user_msg=None, chat_history=None, **kwargs):
        async def chunks() -> Any:
            yield self._answer("astream_chat_with_tools", chat_history)

        return chunks()

    def _prepare_chat_with_tools(self, tools, user_msg=None, chat_history=None, **kwargs):
        return {"messages": [*chat_history, ChatMessage("Prepared by a duck.")]}

    def get_tool_calls_from_response(self, response, error_on_no_tool_call=True, **kwargs):
        self._asked.append("get_tool_calls_from_response")
        calls = [block for block in response.message.blocks if isinstance(block, ToolCallBlock)]
        return [
            ToolSelection(tool_id="1", tool_name="add", tool_kwargs={"a": 7, "b": 5}) for _ in calls
        ]


async def last_of(llm: Any, method: str, *arguments: Any, **options: Any) -> Any:
    """Return an answer, or the last chunk of one."""
    answer = getattr(llm, method)(*arguments, **options)
    if method.startswith("a"):
        answer = await answer
    if "stream" not in method:
        return answer
    if method.startswith("a"):
        return [chunk async for chunk in answer][-1]
    return list(answer)[-1]


def quiet(test: Any) -> Any:
    """Let LlamaIndex's workflows warn as they do with any model."""
    for ignored in (
        "ignore::pydantic.warnings.PydanticDeprecatedSince20",
        "ignore::pydantic.warnings.PydanticDeprecatedSince211",
        "ignore:Skipping serialization of known unserializable key",
        "ignore:.*was deleted before being closed:ResourceWarning",
    ):
        test = pytest.mark.filterwarnings(ignored)(test)
    return pytest.mark.usefixtures("collected")(test)


# By its methods


@pytest.fixture
def ducks(router) -> RoutedLLM:
    return RoutedLLM(strong=DuckLLM(), weak=DuckLLM(), router=router, threshold=0.5)


@pytest.mark.parametrize("method", TOOL_CHATS)
@pytest.mark.parametrize(("question", "route"), [(HARD, "strong"), (EASY, "weak")])
async def test_a_model_that_has_the_methods_is_asked_with_tools(
    ducks: RoutedLLM, method: str, question: str, route: str
) -> None:
    assert ducks.metadata.is_function_calling_model
    answer = await last_of(ducks, method, [ADD], chat_history=[ChatMessage(question)])
    (selection,) = ducks.get_tool_calls_from_response(answer)
    assert selection.tool_kwargs == {"a": 7, "b": 5}
    chosen = ducks.strong if route == "strong" else ducks.weak
    assert chosen._asked == [method, "get_tool_calls_from_response"]


def test_a_model_that_has_the_methods_prepares_its_chats(ducks: RoutedLLM) -> None:
    prepared = ducks._prepare_chat_with_tools([ADD], chat_history=[ChatMessage(EASY)])
    assert prepared["messages"][-1].content == "Prepared by a duck."


class NarrowLLM(DuckLLM):
    """Take tools and the history, and no user message of its own."""

    def chat_with_tools(self, tools, chat_history):
        return self._answer("chat_with_tools", chat_history)

    async def achat_with_tools(self, tools, chat_history):
        return self._answer("achat_with_tools", chat_history)

    def stream_chat_with_tools(self, tools, chat_history):
        yield self._answer("stream_chat_with_tools", chat_history)

    async def astream_chat_with_tools(self, tools, chat_history):
        return await DuckLLM.astream_chat_with_tools(self, tools, chat_history=chat_history)

    def _prepare_chat_with_tools(self, tools, chat_history):
        return {"messages": chat_history}


@pytest.mark.parametrize("method", TOOL_CHATS)
async def test_arguments_that_the_caller_leaves_out_are_left_out(router, method: str) -> None:
    llm = RoutedLLM(strong=NarrowLLM(), weak=NarrowLLM(), router=router, threshold=0.5)
    await last_of(llm, method, [ADD], chat_history=[ChatMessage(EASY)])
    assert llm.weak._asked == [method]


def test_arguments_that_the_caller_leaves_out_are_left_out_of_a_prepared_chat(router) -> None:
    llm = RoutedLLM(strong=NarrowLLM(), weak=NarrowLLM(), router=router, threshold=0.5)
    prepared = llm._prepare_chat_with_tools([ADD], chat_history=[ChatMessage(EASY)])
    assert [message.content for message in prepared["messages"]] == [EASY]


@quiet
@pytest.mark.parametrize("streaming", [False, True])
async def test_an_agent_works_with_models_that_have_the_methods(
    ducks: RoutedLLM, streaming: bool
) -> None:
    agent = FunctionAgent(tools=[add], llm=ducks, streaming=streaming)
    assert str(await agent.run(EASY)) == "12"


def test_calls_with_tools_go_to_the_model_that_has_the_methods(router) -> None:
    llm = RoutedLLM(
        strong=MockLLM(), weak=DuckLLM(), router=router, threshold=0.5, function_calling="any"
    )
    record = llm.chat_with_tools([ADD], chat_history=[ChatMessage(HARD)]).additional_kwargs
    assert record["routellm"]["route"] == "weak"
    assert record["routellm"]["reason"] == "capability:tools"


class City(BaseModel):
    """A city."""

    name: str


def test_what_says_that_it_calls_functions_and_has_no_method_for_it_does_not(router) -> None:
    wrapped = MockFunctionCallingLLM().as_structured_llm(City)
    assert wrapped.metadata.is_function_calling_model
    llm = RoutedLLM(strong=DuckLLM(), weak=wrapped, router=router, threshold=0.5)
    assert not llm.metadata.is_function_calling_model
    record = llm.chat_with_tools([ADD], chat_history=[ChatMessage(EASY)]).additional_kwargs
    assert record["routellm"]["reason"] == "capability:tools"


@pytest.mark.parametrize("method", TOOL_CHATS)
async def test_a_method_that_a_model_does_not_have_is_named(router, method: str) -> None:
    llm = RoutedLLM(strong=MockLLM(), weak=MockLLM(), router=router, threshold=0.5)
    with pytest.raises(ConfigurationError, match=f"method `{method}`.*MockLLM has none"):
        await last_of(llm, method, [ADD], chat_history=[ChatMessage(EASY)])


# Without tools


PLAIN = "It is 12."


class PlainLLM(MockLLM):
    """Chat, and take neither tools nor any option."""

    _heard: list[Any] = PrivateAttr(default_factory=list)

    def _answer(self, messages: list[ChatMessage]) -> ChatResponse:
        self._heard.append([message.content for message in messages])
        return ChatResponse(message=ChatMessage(PLAIN, role="assistant"), delta=PLAIN)

    def chat(self, messages):
        return self._answer(messages)

    async def achat(self, messages):
        return self._answer(messages)

    def stream_chat(self, messages):
        yield self._answer(messages)

    async def astream_chat(self, messages):
        async def chunks() -> Any:
            yield self._answer(messages)

        return chunks()


class UnwillingLLM(PlainLLM, MockFunctionCallingLLM):
    """Have every method for tools, and say that it calls no functions."""

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(is_chat_model=True, is_function_calling_model=False)

    def _prepare_chat_with_tools(self, tools, **kwargs):
        raise AssertionError("A model that calls no functions was asked with tools.")


@pytest.fixture(params=[PlainLLM, UnwillingLLM])
def half(router, request) -> RoutedLLM:
    """A pair whose weak model takes no tools."""
    return RoutedLLM(
        strong=DuckLLM(), weak=request.param(), router=router, threshold=0.5, function_calling="any"
    )


@pytest.mark.parametrize("method", TOOL_CHATS)
@pytest.mark.parametrize("tools", [[], (), None])
async def test_a_chat_without_tools_is_a_plain_chat_for_any_model(
    half: RoutedLLM, method: str, tools: Any
) -> None:
    options = {"tool_choice": "auto", "tool_required": True, "verbose": True}
    history = [ChatMessage("Hi"), ChatMessage("Hello!", role="assistant")]
    for question in (EASY, ChatMessage(EASY)):
        answer = await last_of(half, method, tools, question, history, **options)
        assert answer.message.content == PLAIN
        assert answer.additional_kwargs["routellm"]["route"] == "weak"
        assert half.get_tool_calls_from_response(answer, error_on_no_tool_call=False) == []
    assert half.weak._heard == [["Hi", "Hello!", EASY]] * 2
    assert len(history) == 2


def test_a_prepared_chat_without_tools_is_a_plain_chat_for_any_model(half: RoutedLLM) -> None:
    prepared = half._prepare_chat_with_tools([], EASY, tool_required=True)
    assert half.chat(**prepared).message.content == PLAIN
    assert half.weak._heard == [[EASY]]


@quiet
@pytest.mark.parametrize("streaming", [False, True])
async def test_an_agent_without_tools_works_with_any_model(half: RoutedLLM, streaming) -> None:
    agent = FunctionAgent(
        tools=[], llm=half, streaming=streaming, initial_tool_choice="add", system_prompt="Count."
    )
    assert str(await agent.run(EASY)) == PLAIN
    assert half.weak._heard == [["Count.", EASY]]


@pytest.mark.parametrize("method", TOOL_CHATS)
async def test_a_chat_without_tools_that_fails_is_the_strong_models_own(
    half: RoutedLLM, method: str, monkeypatch
) -> None:
    def fail(self: Any, messages: Any) -> Any:
        raise TimeoutError("slow")

    monkeypatch.setattr(PlainLLM, "_answer", fail)
    await last_of(half, method, [], chat_history=[ChatMessage(EASY)])
    assert half.strong._asked == [method]


# A routed model behind a routed one


class NumberedLLM(DuckLLM):
    """Call the tool with one's own number, which the others read wrongly."""

    @property
    def number(self) -> int:
        assert self.max_tokens is not None
        return self.max_tokens

    @property
    def metadata(self) -> LLMMetadata:
        return super().metadata.model_copy(update={"model_name": f"number {self.number}"})

    def _answer(self, method: str, messages: list[ChatMessage]) -> ChatResponse:
        self._asked.append(method)
        block = ToolCallBlock(tool_call_id="1", tool_name="add", tool_kwargs={"a": self.number})
        return ChatResponse(message=ChatMessage(blocks=[block], role="assistant"))

    def chat(self, messages, **kwargs):
        assert kwargs == {"prepared_by": self.number}
        return self._answer("chat", messages)

    def _prepare_chat_with_tools(self, tools, user_msg=None, chat_history=None, **kwargs):
        return {"messages": chat_history, "prepared_by": self.number}

    def get_tool_calls_from_response(self, response, error_on_no_tool_call=True, **kwargs):
        assert response.additional_kwargs == {}
        (call,) = response.message.blocks
        b = self.number
        return [
            ToolSelection(tool_id="1", tool_name="add", tool_kwargs={**call.tool_kwargs, "b": b})
        ]


def nested(router: Any, **options: Any) -> RoutedLLM:
    """Return three routed models in one another.

    Win rates from 0.95 on reach number 1, from 0.9 on number 3, from 0.8 on number 4, others 2.
    """
    inmost = RoutedLLM(
        strong=NumberedLLM(max_tokens=3),
        weak=NumberedLLM(max_tokens=4),
        router=router,
        threshold=0.9,
    )
    inner = RoutedLLM(strong=inmost, weak=NumberedLLM(max_tokens=2), router=router, threshold=0.8)
    return RoutedLLM(
        strong=NumberedLLM(max_tokens=1), weak=inner, router=router, threshold=0.95, **options
    )


@pytest.mark.parametrize("method", TOOL_CHATS)
@pytest.mark.parametrize(
    ("win_rate", "number", "routes"),
    [
        (0.99, 1, ["strong"]),
        (0.0, 2, ["weak", "weak"]),
        (0.92, 3, ["weak", "strong", "strong"]),
        (0.85, 4, ["weak", "strong", "weak"]),
    ],
)
async def test_the_model_that_answered_parses_through_every_routed_model(
    router, method: str, win_rate: float, number: int, routes: list[str]
) -> None:
    router.table[EASY] = win_rate
    llm = nested(router)
    answer = await last_of(llm, method, [ADD], chat_history=[ChatMessage(EASY)])
    (selection,) = llm.get_tool_calls_from_response(answer)
    assert selection.tool_kwargs == {"a": number, "b": number}
    records = [answer.additional_kwargs["routellm"]]
    records += answer.additional_kwargs.get("routellm_inner", [])
    assert [record["route"] for record in records] == routes
    assert records[-1]["model"] == f"number {number}"


@pytest.mark.parametrize("win_rate", [0.99, 0.92, 0.85, 0.0])
def test_a_prepared_chat_goes_through_every_routed_model_to_where_it_was_prepared_for(
    router, win_rate: float
) -> None:
    router.table[EASY] = win_rate
    llm = nested(router)
    prepared = llm._prepare_chat_with_tools([ADD], chat_history=[ChatMessage(EASY)])
    router.table[EASY] = 0.0
    for model in (llm, llm.weak, llm.weak.strong):
        model.remember = 0
    call = llm.chat(**prepared).message.blocks[0]
    assert call.tool_kwargs == {"a": prepared["prepared_by"]}


def test_a_prepared_chat_that_a_breaker_sends_elsewhere_carries_no_decision_of_others(
    router, monkeypatch
) -> None:
    router.table[EASY] = 0.0
    llm = nested(router, breaker=BreakerSettings(failures=1))
    prepared = llm._prepare_chat_with_tools([ADD], chat_history=[ChatMessage(EASY)])
    permit = llm.guards.breakers["weak"].enter()
    assert permit is not None
    permit.failed()
    del prepared["prepared_by"]
    answer = llm.chat(**prepared, prepared_by=1)
    assert answer.additional_kwargs["routellm"]["reason"] == "breaker_open"
