"""Which words are routed, what a turn keeps, and what a model cannot take."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    content,
    message_to_dict,
    messages_from_dict,
)
from langchain_core.prompts import ChatPromptTemplate

from langchain_routellm import RoutedChatModel
from langchain_routellm.backing import capabilities
from routellm_core import KNOWN_PARTS, Capabilities, ConfigurationError, PromptError
from routellm_core.testing import ScriptedRouter
from tests.agent_transcripts import GROWING, RESULTS

Make = Callable[..., RoutedChatModel]

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


def record_of(message: Any) -> dict[str, Any]:
    return message.response_metadata["routellm"]


# The text


@pytest.mark.parametrize(
    "model_input",
    [
        "Prove it",
        [HumanMessage("Prove it")],
        [("user", "Prove it")],
        [{"role": "user", "content": "Prove it"}],
        (SystemMessage("Hi"), HumanMessage("Prove it")),
        ChatPromptTemplate.from_messages([("human", "Prove {x}")]).invoke({"x": "it"}),
        [ChatMessage(role="user", content="Prove it")],
        [HumanMessage([{"type": "text", "text": "Prove it"}])],
        [HumanMessage(["Prove it"])],
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_kind_of_input_is_routed_by_its_last_user_message(
    make: Make, router: ScriptedRouter, model_input: Any
) -> None:
    assert record_of(make().invoke(model_input))["route"] == "strong"
    assert router.prompts == ["Prove it"]


def test_text_blocks_are_joined_by_newlines(make: Make, router: ScriptedRouter) -> None:
    blocks = [{"type": "text", "text": "one"}, IMAGE, {"type": "text", "text": "two"}]
    make().invoke([HumanMessage(blocks)])
    assert router.prompts == ["one\ntwo"]


def test_a_chat_history_stays_with_the_strong_model_through_follow_ups_and_tools(
    make: Make, router: ScriptedRouter
) -> None:
    history = [
        HumanMessage("Prove that 7 is odd."),
        AIMessage("Seven is odd."),
        HumanMessage("and why?"),
    ]
    assert make().invoke(history).response_metadata["routellm"]["route"] == "strong"
    call = {"name": "add", "args": {}, "id": "1"}
    history += [AIMessage("", tool_calls=[call]), ToolMessage("12", tool_call_id="1")]
    assert make().invoke(history).response_metadata["routellm"]["route"] == "strong"
    assert set(router.prompts) == {"Prove that 7 is odd."}


def test_the_last_user_message_is_routed_not_the_tools(
    make: Make, router: ScriptedRouter, tool_turn: list[BaseMessage]
) -> None:
    make().invoke(tool_turn)
    assert router.prompts == ["What is 1 + 2?"]


def test_a_tool_result_in_the_users_name_is_no_user_message(
    make: Make, router: ScriptedRouter
) -> None:
    result = HumanMessage([{"type": "tool_result", "tool_use_id": "1", "content": "3"}])
    make().invoke([HumanMessage("Add"), AIMessage("calling"), result])
    assert router.prompts == ["Add"]


@pytest.mark.parametrize("agent", RESULTS)
def test_a_textual_agents_run_keeps_its_model(
    make: Make, router: ScriptedRouter, agent: str
) -> None:
    answer, result = RESULTS[agent]
    for n_steps in range(3):
        step = [AIMessage(answer), HumanMessage(result)]
        make().invoke([HumanMessage("Prove it"), *step * n_steps])
    assert set(router.prompts) == {"Prove it"}


@pytest.mark.parametrize("agent", GROWING)
def test_an_agent_with_one_growing_message_keeps_its_model(
    make: Make, router: ScriptedRouter, agent: str
) -> None:
    for message in GROWING[agent]:
        make().invoke(message)
    assert len(set(router.prompts)) == 1


@pytest.mark.parametrize(
    ("choice", "expected"),
    [("last_user", "b"), ("all_user", "a\nb"), ("conversation", "s\na\nx\nb")],
)
def test_the_routed_text_can_be_chosen(
    make: Make, router: ScriptedRouter, choice: str, expected: str
) -> None:
    conversation = [SystemMessage("s"), HumanMessage("a"), AIMessage("x"), HumanMessage("b")]
    make(routing_text=choice).invoke(conversation)
    assert router.prompts == [expected]


def test_a_function_may_choose_the_routed_text(make: Make, router: ScriptedRouter) -> None:
    routed = make(routing_text=lambda messages: messages[0].text)
    routed.invoke([HumanMessage("Prove"), AIMessage("x"), HumanMessage("b")])
    assert router.prompts == ["Prove"]


def test_a_function_that_returns_no_string_is_refused(make: Make) -> None:
    with pytest.raises(PromptError, match="must return a string, got None"):
        make(routing_text=lambda _: None).invoke("Hi")


# The turn


def test_a_tool_loop_keeps_its_route_with_one_router_call(
    make: Make, router: ScriptedRouter
) -> None:
    routed = make()
    messages: list[BaseMessage] = [HumanMessage("Prove it")]
    for step in range(3):
        answer = routed.invoke(messages)
        call = {"name": "f", "args": {}, "id": str(step), "type": "tool_call"}
        messages += [
            answer.model_copy(update={"tool_calls": [call]}),
            ToolMessage("done", tool_call_id=str(step)),
        ]
        assert record_of(answer)["route"] == "strong"
        assert record_of(answer)["win_rate"] == 0.9
    assert router.prompts == ["Prove it"]
    assert record_of(answer)["reason"] == "sticky"


def test_the_route_survives_another_process(
    make: Make, router: ScriptedRouter, tool_turn: list[BaseMessage]
) -> None:
    question, _, result = tool_turn
    answer = make().invoke([HumanMessage("Prove it")])
    stored = [message_to_dict(message) for message in (question, answer, result)]
    router.prompts.clear()
    again = make().invoke(messages_from_dict(stored))
    assert (record_of(again)["route"], record_of(again)["reason"]) == ("strong", "sticky")
    assert router.prompts == []


def test_an_escalated_turn_stays_with_the_strong_model(
    make: Make, router: ScriptedRouter, tool_turn: list[BaseMessage]
) -> None:
    routed = make(weak=[TimeoutError()])
    answer = routed.invoke([HumanMessage("Hi")])
    again = routed.invoke([HumanMessage("Hi"), answer, tool_turn[2]])
    assert record_of(again)["route"] == "strong"


def test_the_next_user_message_is_decided_anew(make: Make, router: ScriptedRouter) -> None:
    routed = make()
    first = routed.invoke([HumanMessage("Prove it")])
    second = routed.invoke([HumanMessage("Prove it"), first, HumanMessage("Thanks")])
    assert record_of(second)["route"] == "weak"
    assert router.prompts == ["Prove it", "Thanks"]


def test_stickiness_can_be_turned_off(
    make: Make, router: ScriptedRouter, tool_turn: list[BaseMessage]
) -> None:
    routed = make(sticky=False)
    answer = routed.invoke(tool_turn[:1])
    routed.invoke([tool_turn[0], answer, tool_turn[2]])
    assert router.prompts == ["What is 1 + 2?"] * 2


@pytest.mark.parametrize(
    "forged", ["strong", {"route": "root"}, {"route": ["strong"]}, {"route": None}, {}, 7]
)
def test_a_record_that_cannot_be_ours_is_ignored(
    make: Make, tool_turn: list[BaseMessage], forged: Any
) -> None:
    tool_turn[1].response_metadata["routellm"] = forged
    assert record_of(make().invoke(tool_turn))["reason"] == "win_rate"


# Overrides


def test_a_call_may_set_its_route(make: Make, router: ScriptedRouter) -> None:
    answer = make().invoke("Hi", {"configurable": {"routellm_route": "strong"}})
    assert (record_of(answer)["route"], record_of(answer)["reason"]) == ("strong", "override")
    assert router.prompts == []


def test_a_call_may_set_its_threshold(make: Make) -> None:
    answer = make().invoke("Hi", {"configurable": {"routellm_threshold": 0.05}})
    assert (record_of(answer)["route"], record_of(answer)["threshold"]) == ("strong", 0.05)


async def test_overrides_reach_every_entry_point(make: Make) -> None:
    config: Any = {"configurable": {"routellm_route": "strong"}}
    routed = make()
    structured = routed.with_structured_output({"title": "T", "properties": {}}, include_raw=True)
    answers = [
        await routed.ainvoke("Hi", config),
        next(routed.stream("Hi", config)),
        await anext(routed.astream("Hi", config)),
        *routed.batch(["Hi", "Hi"], config),
        *await routed.abatch(["Hi"], config),
        routed.stream_events("Hi", config, version="v3").output,
        routed.bind_tools([{"title": "f", "properties": {}}]).invoke("Hi", config),
        routed.with_config(configurable={"routellm_route": "strong"}).invoke("Hi"),
        structured.invoke("Hi", config)["raw"],
    ]
    assert {record_of(answer)["route"] for answer in answers} == {"strong"}


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("routellm_route", "medium"),
        ("routellm_route", ["strong"]),
        ("routellm_threshold", 1.5),
        ("routellm_threshold", float("nan")),
        ("routellm_threshold", "0.5"),
        ("routellm_threshold", True),
    ],
)
def test_a_wrong_override_is_an_error(make: Make, setting: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"`{setting}` must be"):
        make().invoke("Hi", {"configurable": {setting: value}})


def test_what_a_call_may_configure_is_listed(make: Make) -> None:
    chain = ChatPromptTemplate.from_template("{x}") | make()
    assert {spec.id for spec in chain.config_specs} == {"routellm_route", "routellm_threshold"}


# What a model cannot take


@pytest.mark.parametrize(
    ("key", "block", "reason"),
    [
        ("image_inputs", IMAGE, "image"),
        ("image_inputs", {"type": "image", "base64": "AAAA", "mime_type": "image/png"}, "image"),
        ("audio_inputs", {"type": "audio", "base64": "AAAA"}, "audio"),
        ("video_inputs", {"type": "video", "url": "https://x/y.mp4"}, "video"),
        ("pdf_inputs", {"type": "file", "base64": "AAAA"}, "file"),
        ("audio_inputs", {"type": "media", "mime_type": "audio/wav", "data": "AAAA"}, "audio"),
    ],
)
def test_what_the_weak_model_cannot_take_goes_to_the_strong_one(
    make: Make, fake: Any, router: ScriptedRouter, key: str, block: dict[str, Any], reason: str
) -> None:
    routed = make(weak=fake(profile={key: False}))
    answer = routed.invoke([HumanMessage([{"type": "text", "text": "Hi"}, block])])
    assert (record_of(answer)["route"], record_of(answer)["reason"]) == (
        "strong",
        f"capability:{reason}",
    )
    assert router.prompts == []


@pytest.mark.parametrize("modality", ["image", "audio", "video", "file"])
def test_a_tools_result_counts_with_what_it_holds(make: Make, fake: Any, modality: str) -> None:
    key = {"file": "pdf_inputs"}.get(modality, f"{modality}_inputs")
    routed = make(weak=fake(profile={key: False}))
    result = ToolMessage([{"type": modality, "url": "https://x/y"}], tool_call_id="1")
    call = {"name": "look", "args": {}, "id": "1"}
    answer = routed.invoke([HumanMessage("Look"), AIMessage("", tool_calls=[call]), result])
    assert record_of(answer)["reason"] == f"capability:{modality}"


def test_langchain_has_no_content_block_that_the_table_does_not_know() -> None:
    assert KNOWN_PARTS.keys() >= content.KNOWN_BLOCK_TYPES
    assert {"text", "image", "server_tool_result"} <= content.KNOWN_BLOCK_TYPES


def test_a_litellm_model_that_the_table_knows_as_blind_gets_no_image() -> None:
    routed = RoutedChatModel(
        strong="openai/gpt-4o",
        weak="openai/gpt-3.5-turbo",
        router=ScriptedRouter({}, default=0.1),
        threshold=0.5,
        api_key="sk-unused",
    )
    policy = routed._routing().decider.policy
    turn = routed._routing().turn([HumanMessage(["What is this?", IMAGE])], tools=False)
    assert policy.before_scoring(turn).reason == "capability:image"
    assert policy.experts["weak"].capabilities.context_window == 16_385


def test_a_profile_that_leaves_something_open_is_completed_by_the_table(fake: Any) -> None:
    class ChatOpenAI(fake):  # type: ignore[misc, valid-type]
        def _get_ls_params(self, stop: Any = None, **kwargs: Any) -> Any:
            return {"ls_provider": "openai", "ls_model_name": "gpt-3.5-turbo"}

    assert capabilities(ChatOpenAI()).modalities == frozenset()
    sees = ChatOpenAI(profile={"image_inputs": True})
    assert capabilities(sees).modalities == {"image"}
    assert capabilities(fake(model="gpt-3.5-turbo")) == Capabilities()


def test_tools_go_to_the_model_that_can_call_them(make: Make, fake: Any) -> None:
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    routed = make(weak=fake(profile={"tool_calling": False}))
    answer = routed.bind_tools([add]).invoke("1 and 2")
    assert record_of(answer)["reason"] == "capability:tools"
    legacy = routed.bind(tools=[{"type": "function", "function": {"name": "add"}}]).invoke("1")
    assert record_of(legacy)["reason"] == "capability:tools"
    assert record_of(routed.invoke("1 and 2"))["reason"] == "win_rate"


def test_a_prompt_too_long_for_the_weak_model_goes_to_the_strong_one(make: Make, fake: Any) -> None:
    routed = make(weak=fake(profile={"max_input_tokens": 10}))
    assert record_of(routed.invoke("x" * 41))["reason"] == "capability:context_window"
    assert record_of(routed.invoke("x" * 40))["reason"] == "win_rate"


def test_the_calls_own_route_beats_what_a_model_can_take(make: Make, fake: Any) -> None:
    routed = make(weak=fake(profile={"image_inputs": False}))
    message = HumanMessage([IMAGE])
    answer = routed.invoke([message], {"configurable": {"routellm_route": "weak"}})
    assert record_of(answer)["route"] == "weak"


def test_what_neither_model_can_take_is_routed_like_anything(make: Make, fake: Any) -> None:
    lacking = {"image_inputs": False}
    routed = make(strong=fake(profile=lacking), weak=fake(profile=lacking))
    answer = routed.invoke([HumanMessage([{"type": "text", "text": "Hi"}, IMAGE])])
    assert record_of(answer)["reason"] == "win_rate"


def test_a_joint_profile_promises_what_both_do(make: Make, fake: Any) -> None:
    strong = fake(profile={"tool_calling": True, "image_inputs": True, "max_input_tokens": 100})
    weak = fake(profile={"tool_calling": True, "image_inputs": False, "max_input_tokens": 10})
    assert make(strong=strong, weak=weak).profile == {
        "tool_calling": True,
        "image_inputs": False,
        "max_input_tokens": 10,
    }
    assert make(strong=strong).profile is None


# Nothing to route, and routers that fail


@pytest.mark.parametrize(
    "model_input", ["", " \n", [HumanMessage([IMAGE])]], ids=["", "blank", "image"]
)
@pytest.mark.parametrize("route", ["strong", "weak"])
def test_nothing_to_route_goes_where_it_is_configured(
    make: Make, router: ScriptedRouter, model_input: Any, route: str
) -> None:
    answer = make(on_empty_prompt=route).invoke(model_input)
    assert (record_of(answer)["route"], record_of(answer)["reason"]) == (route, "empty_prompt")
    assert router.prompts == []


@pytest.mark.parametrize(
    ("router", "name"),
    [
        (ScriptedRouter(default=float("nan")), "RouterError"),
        (ScriptedRouter(default=float("inf")), "RouterError"),
        (ScriptedRouter(default=1.2), "RouterError"),
        (ScriptedRouter(error=ZeroDivisionError()), "ZeroDivisionError"),
    ],
    ids=["nan", "inf", "above one", "raises"],
)
@pytest.mark.parametrize("route", ["strong", "weak"])
def test_a_routers_fault_is_a_recorded_default(
    make: Make, router: ScriptedRouter, name: str, route: str
) -> None:
    routed = make(router=router, on_router_error=route)
    record = record_of(routed.invoke("Hi"))
    assert (record["route"], record["reason"]) == (route, f"router_error:{name}")
    assert record["win_rate"] is None
    assert [record_of(a)["route"] for a in routed.batch(["Hi", "Ho"])] == [route] * 2


def test_win_rates_of_numpy_become_plain_numbers(make: Make) -> None:
    routed = make(router=ScriptedRouter(default=np.float32(0.25)), threshold=np.float32(0.5))
    record = record_of(routed.invoke("Hi"))
    assert (type(record["win_rate"]), type(record["threshold"])) == (float, float)


def test_a_pickled_model_decides_the_same(make: Make) -> None:
    routed = make(router=ScriptedRouter({"Hi": 0.9}, default=0.1))
    copy = pickle.loads(pickle.dumps(routed))
    assert record_of(copy.invoke("Hi")) == record_of(routed.invoke("Hi"))
