"""Tools and structured output, each in its own model's way."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from langchain_core.runnables import Runnable, RunnableBinding
from langchain_core.tools import BaseTool, tool
from pydantic import BaseModel, Field

from langchain_routellm import RoutedChatModel

Make = Callable[..., RoutedChatModel]


class Sum(BaseModel):
    """A sum."""

    total: int = Field(description="The sum.")


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def record_of(message: Any) -> dict[str, Any]:
    return message.response_metadata["routellm"]


@pytest.fixture
def shouting(fake: Any) -> Any:
    """A model with a tool format of its own."""

    class ShoutingModel(fake):
        bindings: int = 0

        def bind_tools(self, tools: Any, *, tool_choice: Any = None, **kwargs: Any) -> Runnable:
            self.bindings += 1
            if tool_choice is not None:
                kwargs["tool_choice"] = tool_choice
            shouted = [{"name": one.name.upper()} for one in tools]
            return self.bind(tools=shouted, **kwargs)

        def _answer(self, messages: Any, kwargs: Any) -> Any:
            self.calls.append(kwargs)
            return super()._answer(messages, {})

    return ShoutingModel


def test_bound_tools_are_a_binding_that_shows_them(make: Make) -> None:
    bound = make().bind_tools([add])
    assert isinstance(bound, RunnableBinding)
    assert [shown["function"]["name"] for shown in bound.kwargs["tools"]] == ["add"]


def test_each_model_gets_the_tools_in_its_own_format(make: Make, shouting: Any) -> None:
    routed = make(weak=shouting(model="weak"))
    bound = routed.bind_tools([add], tool_choice="any")
    bound.invoke("Hi")
    assert routed.weak.calls[0]["tools"] == [{"name": "ADD"}]
    assert routed.weak.calls[0]["tool_choice"] == "any"
    bound.invoke("Prove 1")
    assert routed.strong.calls[0]["tools"][0]["function"]["name"] == "add"
    assert routed.strong.calls[0]["tool_choice"] == "required"


def test_tools_are_converted_once_for_the_same_tools(make: Make, shouting: Any) -> None:
    routed = make(strong=shouting(), weak=shouting())
    for _ in range(3):
        routed.bind_tools([add]).invoke("Hi")
    assert (routed.strong.bindings, routed.weak.bindings) == (1, 1)
    assert routed.bind_tools([add]).kwargs["tools"] is routed.bind_tools([add]).kwargs["tools"]


def test_a_changed_tool_is_converted_again(make: Make) -> None:
    routed = make()
    mine = add.model_copy()
    routed.bind_tools([mine])
    mine.description = "Something else."
    shown = routed.bind_tools([mine]).kwargs["tools"]
    assert shown[0]["function"]["description"] == "Something else."


def test_other_options_are_another_binding(make: Make) -> None:
    routed = make()
    first = routed.bind_tools([add], tool_choice="any").kwargs["tools"]
    second = routed.bind_tools([add]).kwargs["tools"]
    third = routed.bind_tools([add], response_format=Sum).kwargs["tools"]
    assert len({id(first), id(second), id(third)}) == 3


def test_many_different_bindings_are_all_right(make: Make) -> None:
    routed = make()
    for index in range(40):
        shown = routed.bind_tools([{"title": f"tool_{index}", "properties": {}}]).kwargs["tools"]
        assert shown[0]["function"]["name"] == f"tool_{index}"


def test_bound_tools_survive_a_deep_copy_of_their_arguments(make: Make) -> None:
    kwargs = copy.deepcopy(make().bind_tools([add]).kwargs)
    assert kwargs["tools"].binding("weak").invoke("1 and 2").tool_calls


def test_tools_bound_by_hand_pass_through(make: Make) -> None:
    routed = make()
    by_hand = [{"type": "function", "function": {"name": "add", "parameters": {}}}]
    answer = routed.bind(tools=by_hand).invoke("Hi")
    assert routed.weak.calls[0]["tools"] == by_hand
    assert answer.tool_calls[0]["name"] == "add"


def test_a_tool_call_of_the_weak_model_carries_the_record(make: Make) -> None:
    answer = make().bind_tools([add]).invoke("1 and 2")
    assert answer.tool_calls[0]["name"] == "add"
    assert record_of(answer)["route"] == "weak"


def test_a_streamed_tool_call_counts_as_content(make: Make) -> None:
    routed = make().bind_tools([add])
    chunks = list(routed.stream("1 and 2"))
    assert any(chunk.tool_call_chunks for chunk in chunks)
    assert record_of(chunks[0])["route"] == "weak"


def test_models_without_tools_refuse_them_as_they_would_alone(make: Make, fake: Any) -> None:
    from langchain_core.language_models import FakeListChatModel

    plain, other = FakeListChatModel(responses=["hi"]), FakeListChatModel(responses=["ho"])
    with pytest.raises(NotImplementedError):
        make(strong=plain, weak=other).bind_tools([add])
    with pytest.raises(NotImplementedError):
        make(strong=plain, weak=other).with_structured_output(Sum)


def test_a_strong_model_without_tools_leaves_them_to_the_weak_one(make: Make) -> None:
    from langchain_core.language_models import FakeListChatModel

    routed = make(strong=FakeListChatModel(responses=["hi"]))
    answer = routed.bind_tools([add]).invoke("Prove 1")
    assert (record_of(answer)["route"], record_of(answer)["reason"]) == ("weak", "capability:tools")
    structured = routed.with_structured_output(Sum)
    assert structured.invoke("Prove 4") == Sum(total=4)


@pytest.mark.parametrize("prompt", ["It is 7", "Prove it is 7"])
def test_structured_output_comes_from_the_chosen_model(make: Make, prompt: str) -> None:
    routed = make()
    assert routed.with_structured_output(Sum).invoke(prompt) == Sum(total=7)
    asked = [len(routed.weak.calls), len(routed.strong.calls)]
    assert asked == ([1, 0] if prompt == "It is 7" else [0, 1])


async def test_structured_output_works_at_every_entry_point(make: Make) -> None:
    structured = make().with_structured_output(Sum)
    seven = Sum(total=7)
    assert await structured.ainvoke("It is 7") == seven
    assert list(structured.stream("It is 7"))[-1] == seven
    assert [part async for part in structured.astream("It is 7")][-1] == seven
    assert structured.batch(["It is 7"] * 2) == [seven] * 2
    assert await structured.abatch(["It is 7"] * 2) == [seven] * 2
    assert (structured | (lambda total: total.total)).invoke("It is 7") == 7


def test_the_raw_message_of_structured_output_carries_the_record(make: Make) -> None:
    structured = make().with_structured_output(Sum, include_raw=True)
    result = structured.invoke("It is 7")
    assert result["parsed"] == Sum(total=7)
    assert record_of(result["raw"])["route"] == "weak"


def test_structured_output_escalates(make: Make) -> None:
    structured = make(weak=[TimeoutError()]).with_structured_output(Sum, include_raw=True)
    assert record_of(structured.invoke("It is 7")["raw"])["reason"] == "escalation:TimeoutError"


def test_arguments_of_structured_output_reach_the_model_and_none_does_not(
    make: Make, fake: Any
) -> None:
    class Strict(fake):
        seen: ClassVar[list[Any]] = []

        def with_structured_output(self, schema: Any, **kwargs: Any) -> Any:
            self.seen.append(kwargs)
            return super().with_structured_output(schema)

    routed = make(strong=Strict(), weak=Strict())
    routed.with_structured_output(Sum, method="json_schema", strict=True, include_raw=None)
    routed.with_structured_output(Sum, method=None, strict=None)
    given = {"method": "json_schema", "strict": True}
    assert Strict.seen == [given, given, {}, {}]


def test_the_hints_of_bind_tools_can_be_resolved() -> None:
    from typing import get_type_hints

    assert get_type_hints(RoutedChatModel.bind_tools)["return"].__origin__ is Runnable
    assert issubclass(type(add), BaseTool)
