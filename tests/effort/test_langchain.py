"""LangChain: one chat model at two efforts is a pair."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import Runnable
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

from langchain_routellm import RoutedChatModel
from routellm_core import CallRecord, ConfigurationError
from routellm_core.experts import Variant, effort_pair
from routellm_core.testing import OpenAIServer, ScriptedRouter, Step
from tests.effort.conftest import EASY, HARD, HIGH, LOW, MODEL, efforts

pytestmark = pytest.mark.loopback


class Sum(BaseModel):
    """A sum."""

    total: int


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def chat(server: OpenAIServer, **settings: Any) -> ChatOpenAI:
    return ChatOpenAI(model=MODEL, base_url=server.base_url, api_key="any", **settings)


WAYS: dict[str, Callable[[OpenAIServer], dict[str, Any]]] = {
    "two ready models": lambda server: {
        "strong": chat(server, reasoning_effort="high"),
        "weak": chat(server, reasoning_effort="low"),
    },
    "two variants of a ready model": lambda server: {
        "strong": Variant(chat(server), reasoning_effort="high"),
        "weak": Variant(chat(server, reasoning_effort="medium"), reasoning_effort="low"),
    },
    "a pair of a ready model": lambda server: {"experts": effort_pair(chat(server))},
    "a pair of a provider's name": lambda server: {
        "experts": effort_pair(f"openai:{MODEL}"), "base_url": server.base_url, "api_key": "any",
    },
    "a pair of a LiteLLM name": lambda server: {
        "experts": effort_pair(f"openai/{MODEL}"), "base_url": server.base_url, "api_key": "any",
    },
}  # fmt: skip


@pytest.fixture(params=WAYS)
def pair(
    request: pytest.FixtureRequest, upstream: OpenAIServer, router: ScriptedRouter
) -> RoutedChatModel:
    return RoutedChatModel(**WAYS[request.param](upstream), router=router, threshold=0.5)


@pytest.fixture
def routed(upstream: OpenAIServer, router: ScriptedRouter) -> RoutedChatModel:
    return RoutedChatModel(experts=effort_pair(chat(upstream)), router=router, threshold=0.5)


ASKING: dict[str, Callable[[Runnable[Any, Any], str], Any]] = {
    "invoke": lambda model, text: model.invoke(text),
    "stream": lambda model, text: list(model.stream(text)),
    "batch": lambda model, text: model.batch([text]),
}


@pytest.mark.parametrize("way", ASKING)
def test_each_expert_is_asked_at_its_own_effort(
    pair: RoutedChatModel, upstream: OpenAIServer, way: str
) -> None:
    for text in (EASY, HARD):
        ASKING[way](pair, text)
    assert efforts(upstream) == ["low", "high"]
    assert upstream.models_asked() == [MODEL, MODEL]


async def test_so_it_is_without_blocking(routed: RoutedChatModel, upstream: OpenAIServer) -> None:
    await routed.ainvoke(HARD)
    async for _ in routed.astream(EASY):
        pass
    assert efforts(upstream) == ["high", "low"]


def test_the_record_tells_the_two_apart(pair: RoutedChatModel) -> None:
    records = [pair.invoke(text).response_metadata["routellm"] for text in (EASY, HARD)]
    assert [record["route"] for record in records] == ["weak", "strong"]
    told = [record["model"].removeprefix("openai/") for record in records]
    assert told == [LOW, HIGH]


def test_tools_and_structured_output_have_the_effort(
    pair: RoutedChatModel, upstream: OpenAIServer
) -> None:
    answer = pair.bind_tools([add]).invoke(HARD)
    assert answer.tool_calls[0]["name"] == "add"
    assert pair.with_structured_output(Sum).invoke(EASY).total == 7
    assert efforts(upstream) == ["high", "low"]


def test_the_steps_of_a_tool_loop_keep_their_effort(
    routed: RoutedChatModel, upstream: OpenAIServer
) -> None:
    bound = routed.bind_tools([add])
    messages: list[Any] = [HumanMessage(HARD)]
    messages.append(bound.invoke(messages))
    call = messages[-1].tool_calls[0]
    messages.append({"role": "tool", "content": "12", "tool_call_id": call["id"]})
    again = bound.invoke(messages)
    assert again.response_metadata["routellm"]["reason"] == "sticky"
    assert efforts(upstream) == ["high", "high"]


OWN: dict[str, Callable[[RoutedChatModel, str], Any]] = {
    "an argument": lambda model, text: model.invoke(text, reasoning_effort="medium"),
    "a binding": lambda model, text: model.bind(reasoning_effort="medium").invoke(text),
    "a stream": lambda model, text: list(model.stream(text, reasoning_effort="medium")),
    "a batch": lambda model, text: model.batch([text], reasoning_effort="medium"),
    "generate": lambda model, text: model.generate(
        [[HumanMessage(text)]], reasoning_effort="medium"
    ),
    "tools": lambda model, text: model.bind_tools([add]).invoke(text, reasoning_effort="medium"),
    "tools' options": lambda model, text: model.bind_tools([add], reasoning_effort="medium").invoke(
        text
    ),
    "a structure": lambda model, text: model.with_structured_output(Sum).invoke(
        text, reasoning_effort="medium"
    ),
}


@pytest.mark.parametrize("own", OWN)
@pytest.mark.parametrize("text", [EASY, HARD])
def test_a_calls_own_effort_goes_before_the_experts(
    pair: RoutedChatModel, upstream: OpenAIServer, own: str, text: str
) -> None:
    OWN[own](pair, text)
    assert efforts(upstream) == ["medium"]


def test_then_the_experts_are_the_same_and_the_record_says_so(
    routed: RoutedChatModel, router: ScriptedRouter
) -> None:
    record = routed.invoke(HARD, reasoning_effort="medium").response_metadata["routellm"]
    assert (record["route"], record["reason"]) == ("weak", "own_effort")
    assert record["win_rate"] is None


def test_an_effort_of_none_is_no_effort_of_the_calls_own(
    routed: RoutedChatModel, upstream: OpenAIServer
) -> None:
    record = routed.invoke(HARD, reasoning_effort=None).response_metadata["routellm"]
    assert (record["route"], record["reason"]) == ("strong", "win_rate")
    assert efforts(upstream) == ["high"]


def test_another_word_for_effort_takes_the_experts_out_of_the_request(
    routed: RoutedChatModel,
) -> None:
    models = routed._backing().for_call({"reasoning": {"effort": "medium"}})
    payload = models.models["strong"]._get_request_payload("Hi", reasoning={"effort": "medium"})
    assert payload["reasoning"] == {"effort": "medium"}
    assert "reasoning_effort" not in payload


def test_arguments_that_one_effort_does_not_take_are_left_out_for_it(
    upstream: OpenAIServer, router: ScriptedRouter
) -> None:
    model = RoutedChatModel(
        experts=effort_pair(chat(upstream)), router=router, threshold=0.5,
        drop_params={"strong": ["temperature", "stop"]},
    )  # fmt: skip
    for text in (EASY, HARD):
        model.invoke(text, temperature=0.2, stop=["END"])
    sent = [request.body.get("temperature") for request in upstream.requests]
    assert sent == [0.2, None]
    assert ["stop" in request.body for request in upstream.requests] == [True, False]


def test_thoughts_in_a_history_reach_the_other_effort_untouched(
    upstream: OpenAIServer, router: ScriptedRouter
) -> None:
    seen: list[Any] = []

    class Listening(ChatOpenAI):
        def _get_request_payload(self, input_: Any, **options: Any) -> Any:
            seen.append(input_)
            return super()._get_request_payload(input_, **options)

    model = Listening(model=MODEL, base_url=upstream.base_url, api_key="any")
    routed = RoutedChatModel(experts=effort_pair(model), router=router, threshold=0.5)
    thought = {"type": "thinking", "thinking": "Seven.", "signature": "sig"}
    history = [HumanMessage(EASY), AIMessage([thought, {"type": "text", "text": "12"}])]
    routed.invoke([*history, HumanMessage(HARD)])
    assert seen[0][1].content == history[1].content


def test_the_pair_is_told_apart_in_records_and_its_reasoning_is_paid_for(
    upstream: OpenAIServer, router: ScriptedRouter
) -> None:
    records: list[CallRecord] = []
    model = RoutedChatModel(
        experts=effort_pair(chat(upstream)), router=router, threshold=0.5,
        answer_tokens={"weak": 100, "strong": 1_100}, monitor=records.append,
    )  # fmt: skip
    upstream.script(Step(text="Twelve it is", reasoning_tokens=97))
    model.invoke(EASY)
    model.guards.monitor.close()
    (record,) = records
    assert (record.model, record.strong_model, record.weak_model) == (LOW, HIGH, LOW)
    assert (record.output_tokens, record.reasoning_tokens) == (100, 97)
    # o4-mini: 1.10 and 4.40 US dollars a million tokens, in LiteLLM's table.
    assert record.cost_usd == pytest.approx(1.1e-6 * record.input_tokens + 4.4e-6 * 100)
    assert record.saved_usd == pytest.approx(4.4e-6 * 1_000)


def test_two_models_that_are_the_same_are_refused(
    upstream: OpenAIServer, router: ScriptedRouter
) -> None:
    one = chat(upstream, reasoning_effort="low")
    alike = {
        "object": (one, one),
        "model": (one, chat(upstream, reasoning_effort="low")),
        "name": ("openai:o4-mini", "openai:o4-mini"),
        "LiteLLM name": ("openai/o4-mini", "openai/o4-mini"),
        "variant": (Variant(one, reasoning_effort="high"), Variant(one, reasoning_effort="high")),
    }
    for kind, (strong, weak) in alike.items():
        with pytest.raises(ConfigurationError, match=r"same model.*nothing to route"):
            RoutedChatModel(
                strong=strong, weak=weak, router=router, api_key="any" if "name" in kind else None
            )
    RoutedChatModel(strong=one, weak=Variant(one, reasoning_effort="high"), router=router)


@pytest.mark.parametrize("name", ["openai:o4-mini", "openai/o4-mini"])
def test_a_setting_of_another_provider_is_refused_with_the_words_of_this_one(
    name: str, upstream: OpenAIServer
) -> None:
    with pytest.raises(ConfigurationError, match=r"no setting `num_think`.*`reasoning_effort`"):
        RoutedChatModel(strong=Variant(chat(upstream), num_think=3), weak=name, api_key="any")
