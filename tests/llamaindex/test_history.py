"""Conversations: whose words are routed, and tool calls in every integration's own way."""

from __future__ import annotations

import json
from typing import Any

import pytest
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ImageBlock,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from llama_index.core.tools import FunctionTool

from llamaindex_routellm import RoutedLLM
from routellm_core.testing import ScriptedRouter
from tests.agent_transcripts import RESULTS

HARD, EASY = "Prove that 7 is odd.", "What is 7 + 5?"
JSON_CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "add", "arguments": '{"a": 7}'},
}


def assistant(text: str = "", **fields: Any) -> ChatMessage:
    return ChatMessage(text or None, role="assistant", **fields)


def tool(text: str, identity: str = "call_1") -> ChatMessage:
    return ChatMessage(text, role="tool", additional_kwargs={"tool_call_id": identity})


# Whose words


REACT = [
    ChatMessage("You can use tools.", role="system"),
    ChatMessage(HARD),
    assistant("Thought: I need a tool.\nAction: add\nAction Input: {}"),
    ChatMessage("Observation: 12"),
]
CODE_ACT = [
    ChatMessage(HARD),
    assistant("<execute>print(12)</execute>"),
    ChatMessage("Result of executing the code given:\n\n12"),
]
RETRY = [
    ChatMessage(HARD),
    assistant("I do not feel like it."),
    ChatMessage("Error while parsing the output: no action\n\nThe output should be"),
]
EMPTY = [
    ChatMessage(HARD),
    assistant(),
    ChatMessage("FAILURE: Your previous response was empty.\nYou must output"),
]
CALLS = [
    ChatMessage(HARD),
    assistant("", additional_kwargs={"tool_calls": [JSON_CALL]}),
    tool("12"),
]


@pytest.mark.parametrize("messages", [REACT, CODE_ACT, RETRY, EMPTY, CALLS])
def test_what_an_agent_says_in_the_users_name_is_not_routed(llm, router, messages) -> None:
    assert llm.chat(messages).additional_kwargs["routellm"]["route"] == "strong"
    assert router.prompts == [HARD]


@pytest.mark.parametrize("agent", RESULTS)
def test_a_foreign_agents_run_keeps_its_model(llm: RoutedLLM, router, agent: str) -> None:
    answer, result = RESULTS[agent]
    llm.chat([ChatMessage(HARD), assistant(answer), ChatMessage(result)])
    assert router.prompts == [HARD]


def test_after_two_observations_the_user_is_still_the_user(llm: RoutedLLM, router) -> None:
    llm.chat([*REACT, *REACT[2:]])
    assert router.prompts == [HARD]


def test_a_user_may_speak_like_an_agent(llm: RoutedLLM, router) -> None:
    llm.chat([ChatMessage("Observation: it rains.")])
    llm.chat([ChatMessage("Hi"), assistant("Hello!"), ChatMessage("Observation: it rains.")])
    assert router.prompts == ["Observation: it rains."]


def test_the_next_turn_is_routed_anew(llm: RoutedLLM, router) -> None:
    llm.chat([*REACT, assistant("It is odd."), ChatMessage(EASY)])
    assert router.prompts == [EASY]


# Whose tool calls


@pytest.fixture
def add() -> FunctionTool:
    return FunctionTool.from_defaults(lambda a: a + 5, name="add", description="Add 5.")


def calling(saying: Any, **fields: Any) -> Any:
    """Return a class of models that call a tool with whatever id is given."""

    class CallingLLM(saying):  # type: ignore[misc,valid-type]
        def _chat_response(self, said: str, delta: str) -> ChatResponse:
            block = ToolCallBlock(tool_call_id="call_1", tool_name="add", tool_kwargs={"a": 7})
            message = ChatMessage(blocks=[block], role="assistant")
            return ChatResponse(message=message, delta=delta)

    return CallingLLM(**fields)


@pytest.mark.parametrize("stream", [False, True])
def test_the_model_that_called_a_tool_gets_the_result(saying, router, add, stream: bool) -> None:
    strong, weak = calling(saying, model="big"), calling(saying, model="small")
    llm = RoutedLLM(strong=strong, weak=weak, router=router, threshold=0.5)
    weak.error = TimeoutError("slow")
    if stream:
        *_, answer = llm.stream_chat_with_tools([add], EASY)
    else:
        answer = llm.chat_with_tools([add], EASY)
    weak.error = None
    after = llm.chat_with_tools([add], chat_history=[ChatMessage(EASY), answer.message, tool("12")])
    assert after.additional_kwargs["routellm"]["route"] == "strong"
    assert after.additional_kwargs["routellm"]["reason"] == "sticky"


def test_the_same_call_id_in_another_conversation_belongs_to_that_one(saying, router, add) -> None:
    llm = RoutedLLM(
        strong=calling(saying, model="big"),
        weak=calling(saying, model="small"),
        router=router,
        threshold=0.5,
    )
    answers = {q: llm.chat_with_tools([add], q).message for q in (HARD, EASY)}
    for question, route in ((HARD, "strong"), (EASY, "weak")):
        history = [ChatMessage(question), answers[question], tool("12")]
        record = llm.chat_with_tools([add], chat_history=history).additional_kwargs["routellm"]
        assert record["route"] == route


def test_a_turn_need_not_be_sticky(saying, router, add) -> None:
    strong, weak = calling(saying, model="big"), calling(saying, model="small")
    llm = RoutedLLM(strong=strong, weak=weak, router=router, threshold=0.5, sticky=False)
    answer = llm.chat_with_tools([add], EASY, routellm_route="strong")
    history = [ChatMessage(EASY), answer.message, tool("12")]
    record = llm.chat_with_tools([add], chat_history=history).additional_kwargs["routellm"]
    assert record["route"] == "weak"


def test_the_model_that_answered_parses_its_tool_calls(llm: RoutedLLM, strong, weak) -> None:
    for question, chosen in ((HARD, strong), (EASY, weak)):
        response = llm.chat_with_tools([], question)
        assert llm.get_tool_calls_from_response(response, error_on_no_tool_call=False) == []
        assert chosen.asked[-1] == "get_tool_calls_from_response"


@pytest.mark.parametrize(
    "message",
    [
        assistant(
            blocks=[ToolCallBlock(tool_call_id="call_1", tool_name="add", tool_kwargs='{"a": 7}')]
        ),
        assistant(additional_kwargs={"tool_calls": [JSON_CALL]}),
    ],
)
def test_tool_calls_without_a_record_are_read_all_the_same(llm: RoutedLLM, message) -> None:
    (selection,) = llm.get_tool_calls_from_response(ChatResponse(message=message))
    assert (selection.tool_id, selection.tool_name) == ("call_1", "add")
    assert selection.tool_kwargs == {"a": 7}


def test_a_response_without_a_tool_call_is_an_error_if_one_was_expected(llm: RoutedLLM) -> None:
    response = ChatResponse(message=assistant("No."))
    assert llm.get_tool_calls_from_response(response, error_on_no_tool_call=False) == []
    with pytest.raises(ValueError, match="at least one tool call"):
        llm.get_tool_calls_from_response(response)


def test_a_prepared_chat_goes_where_it_was_prepared_for(llm: RoutedLLM, strong, router) -> None:
    prepared = llm._prepare_chat_with_tools([], HARD)
    router.table.clear()
    llm.remember = 0
    assert llm.chat(**prepared).message.content == strong.words
    assert [message.content for message in strong.heard[0]] == [HARD]


def test_predict_and_call_runs_a_tool_once_even_if_a_model_fails(saying, router) -> None:
    class Parsing(saying):  # type: ignore[misc,valid-type]
        def get_tool_calls_from_response(self, response, **kwargs):
            from llama_index.core.llms.llm import ToolSelection

            return [ToolSelection(tool_id="1", tool_name="note", tool_kwargs={"text": "x"})]

    noted: list[str] = []
    note = FunctionTool.from_defaults(noted.append, name="note", description="Note.")
    weak = Parsing(error=TimeoutError("slow"))
    llm = RoutedLLM(strong=Parsing(), weak=weak, router=router, threshold=0.5)
    llm.predict_and_call([note], EASY)
    assert len(noted) == 1


# In whose words


def heard_by(kind: str, saying: Any, *messages: ChatMessage) -> list[ChatMessage]:
    """Return a conversation as a model of an integration hears it."""
    modules = {
        "litellm": "llama_index.llms.litellm.base",
        "openai": "llama_index.llms.openai.base",
        "blocks": "llama_index.llms.anthropic.base",
    }
    model_class = type("Model", (saying,), {"__module__": modules[kind]})
    model = model_class()
    other = model_class(model="other")
    llm = RoutedLLM(strong=model, weak=other, router=ScriptedRouter(default=0.9), threshold=0.5)
    before = [message.model_dump_json() for message in messages]
    llm.chat(list(messages))
    assert [message.model_dump_json() for message in messages] == before
    return list(model.heard[0])


OPENAI_TURN = assistant(
    blocks=[
        ThinkingBlock(content="Hm."),
        TextBlock(text="I add."),
        ToolCallBlock(tool_call_id="call_1", tool_name="add", tool_kwargs='{"a": 7}'),
    ],
    additional_kwargs={"tool_calls": [JSON_CALL]},
)
BLOCKS_TURN = assistant(
    blocks=[ToolCallBlock(tool_call_id="call_1", tool_name="add", tool_kwargs={"a": 7})]
)
LITELLM_TURN = assistant("I add.", additional_kwargs={"tool_calls": [JSON_CALL]})
STREAMED = assistant("", additional_kwargs={"tool_calls": [{**JSON_CALL, "index": 0}]})


@pytest.mark.parametrize("turn", [OPENAI_TURN, BLOCKS_TURN, LITELLM_TURN, STREAMED])
def test_litellm_hears_json_and_no_other_blocks(saying, turn: ChatMessage) -> None:
    _, heard, result = heard_by("litellm", saying, ChatMessage(EASY), turn, tool("12"))
    assert all(isinstance(block, TextBlock) for block in heard.blocks)
    assert heard.content == turn.content
    (call,) = json.loads(json.dumps(heard.additional_kwargs["tool_calls"]))
    assert call == JSON_CALL
    assert result.additional_kwargs == {"tool_call_id": "call_1"}


@pytest.mark.parametrize("turn", [LITELLM_TURN, STREAMED])
def test_openai_hears_blocks_with_the_arguments_as_they_were(saying, turn: ChatMessage) -> None:
    _, heard = heard_by("openai", saying, ChatMessage(EASY), turn)
    call = heard.blocks[-1]
    assert isinstance(call, ToolCallBlock)
    assert (call.tool_call_id, call.tool_name) == ("call_1", "add")
    assert call.tool_kwargs == '{"a": 7}'
    assert "tool_calls" not in heard.additional_kwargs


def test_openai_hears_its_own_turn_untouched(saying) -> None:
    assert heard_by("openai", saying, ChatMessage(EASY), OPENAI_TURN)[1] is OPENAI_TURN


@pytest.mark.parametrize("turn", [OPENAI_TURN, BLOCKS_TURN, LITELLM_TURN, STREAMED])
def test_others_hear_blocks_with_objects_as_arguments(saying, turn: ChatMessage) -> None:
    _, heard = heard_by("blocks", saying, ChatMessage(EASY), turn)
    call = heard.blocks[-1]
    assert isinstance(call, ToolCallBlock)
    assert call.tool_kwargs == {"a": 7}
    assert "tool_calls" not in heard.additional_kwargs


WITH_STRING = assistant(
    blocks=[
        TextBlock(text="I add."),
        ToolCallBlock(tool_call_id="call_1", tool_name="add", tool_kwargs='{"a": 7}'),
    ]
)


@pytest.mark.parametrize("kind", ["openai", "blocks"])
@pytest.mark.parametrize("turn", [WITH_STRING, BLOCKS_TURN])
def test_a_turn_of_no_other_dialect_is_heard_as_it_is(saying, kind: str, turn) -> None:
    assert heard_by(kind, saying, ChatMessage(EASY), turn)[1] is turn


def of_module(module: str, saying: Any, turn: ChatMessage, **fields: Any) -> Any:
    """Return a model of an integration that calls tools by saying this message."""

    class CallingLLM(saying):  # type: ignore[misc,valid-type]
        def _chat_response(self, said: str, delta: str) -> ChatResponse:
            return ChatResponse(message=turn, delta=delta)

    CallingLLM.__module__ = f"llama_index.llms.{module}.base"
    return CallingLLM(**fields)


@pytest.mark.parametrize("own", [WITH_STRING, LITELLM_TURN, OPENAI_TURN])
@pytest.mark.parametrize("method", ["chat", "chat_with_tools"])
def test_a_model_hears_its_own_turns_as_it_wrote_them(saying, router, own, method: str) -> None:
    strong = of_module("openai", saying, OPENAI_TURN, model="big")
    weak = of_module("mistralai", saying, own, model="small")
    llm = RoutedLLM(strong=strong, weak=weak, router=router, threshold=0.5)
    history = [ChatMessage(EASY)]
    history += [llm.chat(history).message, tool("12"), assistant("12."), ChatMessage(HARD)]
    history += [llm.chat(history).message, tool("12"), assistant("Odd."), ChatMessage(EASY)]
    if method == "chat":
        llm.chat(history)
    else:
        llm.chat_with_tools([], chat_history=history)
    heard = weak.heard[-1]
    assert heard[1] is own
    assert heard[5].blocks[-1].tool_kwargs == {"a": 7}


def test_a_turn_that_nobody_remembers_may_be_of_the_model_that_writes_json(saying, router) -> None:
    strong = of_module("openai", saying, OPENAI_TURN)
    weak = of_module("mistralai", saying, WITH_STRING)
    llm = RoutedLLM(strong=strong, weak=weak, router=router, threshold=0.5)
    llm.chat([ChatMessage("Elsewhere."), WITH_STRING, tool("12"), ChatMessage(EASY)])
    assert weak.heard[0][1].blocks[-1].tool_kwargs == {"a": 7}
    llm.chat([ChatMessage("Elsewhere."), WITH_STRING, tool("12"), ChatMessage(HARD)])
    assert strong.heard[0][1] is WITH_STRING


def test_tool_calls_that_nobody_knows_are_left_alone(saying) -> None:
    foreign = assistant("", additional_kwargs={"tool_calls": [{"id": "x", "input": {}}]})
    for kind in ("openai", "blocks", "litellm"):
        assert heard_by(kind, saying, ChatMessage(EASY), foreign)[1] is foreign


@pytest.mark.parametrize("kind", ["openai", "blocks", "litellm"])
def test_messages_without_tool_calls_are_the_very_same(saying, kind: str) -> None:
    image = ChatMessage(
        blocks=[TextBlock(text="What?"), ImageBlock(url="http://127.0.0.1/cat.png")]
    )
    messages = [ChatMessage(EASY), assistant("12."), image]
    assert all(
        heard is said
        for heard, said in zip(heard_by(kind, saying, *messages), messages, strict=True)
    )
