"""Any number of models by name: whom a call goes to, and what is told of it."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.tools import FunctionTool

from llamaindex_routellm import RoutedLLM
from routellm_core import BreakerSettings, ConfigurationError
from routellm_core.answers import check, no_refusal
from routellm_core.strategies import Cascade, Predict
from routellm_core.testing import OpenAIServer, ScriptedRouter, Step

EASY, HARD = "What is 7 + 5?", "Prove that 7 is odd."
LONG = check(lambda prompt, answer: min(1.0, len(answer.text) / 20), name="long")
SHORT, FINE, BEST = "Because.", "Because it is so, always.", "The best of all answers by far."


@pytest.fixture
def experts(saying) -> dict[str, Any]:
    return {
        "fast": saying(model="mini", words=SHORT),
        "coder": saying(model="code", words=FINE),
        "large": saying(model="big", words=BEST),
    }


@pytest.fixture
def llm(experts, router) -> RoutedLLM:
    return RoutedLLM(experts=experts, strategy=Cascade(LONG, accept=0.9), router=router)


def said(text: str = EASY) -> list[ChatMessage]:
    return [ChatMessage(text)]


def record_of(answer: Any) -> dict[str, Any]:
    return answer.additional_kwargs["routellm"]


@pytest.mark.parametrize("name", ["fast", "coder", "large"])
def test_a_call_names_its_expert(llm, experts, name: str) -> None:
    answer = llm.chat(said(), routellm_route=name)
    assert answer.message.content == experts[name].words
    assert record_of(answer)["route"] == name
    assert record_of(answer)["model"] == experts[name].model
    assert record_of(answer)["reason"] == "override"


def test_a_route_that_is_no_expert_is_refused(llm) -> None:
    with pytest.raises(ConfigurationError, match="'coder' or 'fast' or 'large', got 'strong'"):
        llm.chat(said(), routellm_route="strong")


def test_its_models_and_their_metadata_are_those_of_all(saying, experts, llm) -> None:
    assert dict(llm.models) == experts
    assert list(llm.models) == ["fast", "coder", "large"]
    experts["coder"] = saying(model="code", window=1000, calls_functions=False)
    llm.experts = experts
    assert llm.metadata.context_window == 1000
    assert not llm.metadata.is_function_calling_model
    assert llm.metadata.model_name == "routed(big, code, mini)"
    llm.function_calling = "any"
    assert llm.metadata.is_function_calling_model


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "`strong` is missing"),
        ({"strong": True}, "`weak` is missing"),
        ({"strong": True, "experts": True}, "not both"),
        ({"experts": {}}, "at least one name"),
        ({"experts": ["a"]}, "at least one name"),
        ({"experts": True}, "A router tells two models apart"),
        ({"experts": True, "strategy": "cascade"}, "`strategy` must be a `Strategy`, got str"),
        ({"experts": True, "strategy": Predict()}, "Predict"),
        ({"strong": True, "weak": True, "strategy": 5}, "`strategy` must be"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused(saying, experts, options, says: str) -> None:
    given = {
        name: experts
        if value is True and name == "experts"
        else saying()
        if value is True
        else value
        for name, value in options.items()
    }
    with pytest.raises(ConfigurationError, match=says):
        RoutedLLM(router=ScriptedRouter({}), **given)


def test_an_expert_that_is_no_model_is_refused_by_its_name(saying) -> None:
    with pytest.raises(ConfigurationError, match=r"experts\['b'\]"):
        RoutedLLM(experts={"a": saying(), "b": 5}, strategy=Cascade(LONG, accept=0.5))  # type: ignore[dict-item]


def test_experts_that_are_a_pair_need_no_strategy(strong, weak, router) -> None:
    llm = RoutedLLM(experts={"weak": weak, "strong": strong}, router=router, threshold=0.5)
    assert record_of(llm.chat(said(EASY)))["route"] == "weak"
    assert record_of(llm.chat(said(HARD)))["route"] == "strong"


def test_one_expert_is_enough(saying, router) -> None:
    llm = RoutedLLM(
        experts={"only": saying(words=SHORT)}, strategy=Cascade(LONG, accept=0.9), router=router
    )
    assert llm.chat(said()).message.content == SHORT


def test_a_pair_may_have_a_strategy(strong, weak, router) -> None:
    llm = RoutedLLM(
        strong=strong, weak=weak, strategy=Cascade(LONG, accept=0.9), router=router, threshold=0.5
    )
    assert record_of(llm.chat(said()))["reason"] == "rejected:long"
    assert record_of(llm.chat(said()))["route"] == "strong"


def test_names_make_models_that_give_up_soon_but_for_the_last(monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    llm = RoutedLLM(
        experts={"fast": "openai/gpt-4o-mini", "large": "openai/gpt-4o"},
        strategy=Cascade(LONG, accept=0.9),
    )
    assert [model.max_retries for model in llm.models.values()] == [1, 3]


def test_dropped_arguments_go_by_expert(experts, router) -> None:
    llm = RoutedLLM(
        experts=experts,
        strategy=Cascade(LONG, accept=0.9),
        router=router,
        drop_params={"coder": ["seed"]},
    )
    assert llm.drop_params == {"coder": ["seed"]}
    with pytest.raises(ConfigurationError, match="'fast' and 'coder' and 'large'"):
        llm.drop_params = {"weak": ["seed"]}


def test_an_expert_that_fails_again_and_again_is_not_asked(experts, router) -> None:
    experts["fast"].error = TimeoutError("Busy.")
    llm = RoutedLLM(
        experts=experts,
        strategy=Cascade(LONG, accept=0.5),
        router=router,
        breaker=BreakerSettings(failures=1),
    )
    assert [record_of(llm.chat(said()))["route"] for _ in range(3)] == ["coder"] * 3
    assert len(experts["fast"].asked) == 1
    assert set(llm.guards.breakers) == {"fast", "coder", "large"}


def test_a_call_goes_to_the_one_expert_that_can_take_it(saying, router) -> None:
    experts = {
        "fast": saying(calls_functions=False),
        "coder": saying(words=SHORT),
        "large": saying(calls_functions=False),
    }
    llm = RoutedLLM(
        experts=experts,
        strategy=Cascade(LONG, accept=0.9),
        router=router,
        function_calling="any",
    )
    tool = FunctionTool.from_defaults(lambda a: a, name="same", description="Same.")
    answer = llm.chat_with_tools([tool], EASY)
    assert (record_of(answer)["route"], record_of(answer)["reason"]) == (
        "coder",
        "capability:tools",
    )


def test_records_measure_savings_against_the_last_expert(experts, router) -> None:
    records: list[Any] = []
    llm = RoutedLLM(
        experts=experts,
        strategy=Cascade(LONG, accept=0.9),
        router=router,
        monitor=records.append,
    )
    llm.chat(said())
    assert llm.guards.monitor is not None
    llm.guards.monitor.flush()
    (record,) = records
    assert (record.route, record.model) == ("coder", "code")
    assert [(step["expert"], step["model"]) for step in record.steps] == [
        ("fast", "mini"), ("coder", "code"),
    ]  # fmt: skip


@pytest.mark.loopback
async def test_the_expert_that_called_a_tool_gets_its_result(
    server: OpenAIServer, makers, router
) -> None:
    names = ["mini", "code", "big"]
    llm = RoutedLLM(
        experts={name: makers["OpenAILike"](server, name) for name in names},
        strategy=Cascade("schema", accept=1.0),
        router=router,
    )
    add = FunctionTool.from_defaults(lambda a, b: a + b, name="add", description="Add.")
    server.script(Step(tool_calls=(("subtract", {"a": 7, "b": 5}),)), model="mini")
    server.script(Step(tool_calls=(("add", {"a": 7, "b": 5}),)), model="code")
    answer = await llm.achat_with_tools([add], EASY)
    assert record_of(answer)["route"] == "code"
    (call,) = llm.get_tool_calls_from_response(answer)
    assert (call.tool_name, call.tool_kwargs) == ("add", {"a": 7, "b": 5})
    result = ChatMessage("12", role="tool", additional_kwargs={"tool_call_id": call.tool_id})
    server.script(Step(text="It is 12."))
    history = [ChatMessage(EASY), answer.message, result]
    after = await llm.achat_with_tools([add], chat_history=history)
    assert (record_of(after)["route"], record_of(after)["reason"]) == ("code", "sticky")
    assert server.models_asked() == ["mini", "code", "code"]


def test_copies_and_pickles_keep_the_experts(llm, experts, saying) -> None:
    for copied in (copy.copy(llm), copy.deepcopy(llm)):
        assert record_of(copied.chat(said()))["route"] == "coder"
    changed = llm.model_copy(update={"experts": {"only": saying(words=FINE)}})
    assert record_of(changed.chat(said()))["route"] == "only"
    with pytest.raises(ConfigurationError, match="not both"):
        llm.model_copy(update={"strong": saying()})
    with pytest.raises(ConfigurationError, match="not both"):
        llm.weak = saying()
    with pytest.raises(ConfigurationError, match="A router tells two models apart"):
        llm.model_copy(update={"strategy": None})
    plain = RoutedLLM(experts=experts, strategy=Cascade(no_refusal(), accept=0.5), router="random")
    assert list(pickle.loads(pickle.dumps(plain)).models) == list(experts)


def test_it_shows_its_experts_and_its_strategy(llm) -> None:
    assert repr(llm).startswith(
        "RoutedLLM(experts={'fast': 'mini', 'coder': 'code', 'large': 'big'}, "
        "strategy=Cascade(<verifier long>, accept=0.9)"
    )
    dumped = llm.to_dict()
    assert list(dumped["experts"]) == ["fast", "coder", "large"]
    assert dumped["strategy"] == "Cascade(<verifier long>, accept=0.9)"
