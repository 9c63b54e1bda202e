"""Unusable answers of the weak model, on every way into a routed chat model."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import BaseModel

from langchain_routellm import RoutedChatModel
from routellm_core.answers import check
from routellm_core.strategies import Cascade
from routellm_core.testing import ScriptedRouter

THINKING = [{"type": "thinking", "thinking": "Let me see.", "signature": "x"}]


class Answers:
    """What a model may say, by name."""

    empty = AIMessage("")
    cut = AIMessage("", response_metadata={"finish_reason": "length"})
    thinking = AIMessage(THINKING, response_metadata={"stop_reason": "end_turn"})
    blank = AIMessage("  \n")
    blank_block = AIMessage([{"type": "text", "text": " \n"}])
    thought = AIMessage("<think>Let me see.</think>\n")
    cut_thought = AIMessage("<think>Let me", response_metadata={"finish_reason": "length"})
    filtered = AIMessage("", response_metadata={"finish_reason": "content_filter"})
    refused = AIMessage("", additional_kwargs={"refusal": "I cannot."})
    called = AIMessage("", tool_calls=[{"name": "f", "args": {}, "id": "1"}])
    miscalled = AIMessage("", invalid_tool_calls=[{"name": "f", "args": "{", "id": "1"}])
    half = AIMessage("Half", response_metadata={"finish_reason": "length"})
    half_filtered = AIMessage("Half", response_metadata={"finish_reason": "content_filter"})


def models(fake: Any, said: AIMessage) -> dict[str, Any]:
    """Return a strong model that says "strong", and a weak one that says something else."""

    class Saying(fake):  # type: ignore[misc, valid-type]
        said: Any = None

        def _generate(self, *_: Any, **__: Any) -> ChatResult:
            self.calls.append({})
            return ChatResult(generations=[ChatGeneration(message=self.said)])

        def _stream(self, *_: Any, **__: Any) -> Any:
            self.calls.append({})
            chunk = AIMessageChunk(**self.said.model_dump(exclude={"type"}))
            yield ChatGenerationChunk(message=chunk)

    return {"strong": Saying(said=AIMessage("strong")), "weak": Saying(said=said)}


async def collected(chunks: Any) -> Any:
    whole = None
    async for chunk in chunks:
        whole = chunk if whole is None else whole + chunk
    return whole


def summed(chunks: Any) -> Any:
    whole = None
    for chunk in chunks:
        whole = chunk if whole is None else whole + chunk
    return whole


async def in_batch(model: Any) -> Any:
    return (await model.abatch(["Hi"]))[0]


async def as_completed(model: Any) -> Any:
    [answer] = [answer async for _, answer in model.abatch_as_completed(["Hi"])]
    return answer


async def generated(model: Any) -> Any:
    return (await model.agenerate([[HumanMessage("Hi")]])).generations[0][0].message


async def generated_below(model: Any) -> Any:
    return (await model._agenerate([HumanMessage("Hi")])).generations[0].message


async def events(model: Any) -> Any:
    return await (await model.astream_events("Hi", version="v3")).output


def at_once(answer: Callable[[Any], Any]) -> Callable[[Any], Awaitable[Any]]:
    async def answered(model: Any) -> Any:
        return answer(model)

    return answered


PLAIN: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "invoke": at_once(lambda model: model.invoke("Hi")),
    "ainvoke": lambda model: model.ainvoke("Hi"),
    "batch": at_once(lambda model: model.batch(["Hi"])[0]),
    "abatch": in_batch,
    "batch_as_completed": at_once(lambda model: next(model.batch_as_completed(["Hi"]))[1]),
    "abatch_as_completed": as_completed,
    "generate": at_once(
        lambda model: model.generate([[HumanMessage("Hi")]]).generations[0][0].message
    ),
    "agenerate": generated,
    "_generate": at_once(
        lambda model: model._generate([HumanMessage("Hi")]).generations[0].message
    ),
    "_agenerate": generated_below,
}
STREAMED: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "stream": at_once(lambda model: summed(model.stream("Hi"))),
    "astream": lambda model: collected(model.astream("Hi")),
    "events": at_once(lambda model: model.stream_events("Hi", version="v3").output),
    "aevents": events,
}
WAYS = {**PLAIN, **STREAMED}


def routed(fake: Any, said: AIMessage, **arguments: Any) -> RoutedChatModel:
    settings = {"router": ScriptedRouter(default=0.1), "threshold": 0.5, **arguments}
    return RoutedChatModel(**models(fake, said), **settings)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["empty", "cut", "blank", "blank_block"])
async def test_an_answer_without_content_escalates(fake: Any, way: str, kind: str) -> None:
    answer = await WAYS[way](routed(fake, getattr(Answers, kind)))
    assert answer.text == "strong"
    assert answer.response_metadata["routellm"]["reason"] == "escalation:EmptyAnswerError"


@pytest.mark.parametrize("way", PLAIN)
@pytest.mark.parametrize("kind", ["thinking", "thought", "cut_thought"])
async def test_reasoning_alone_is_no_answer(fake: Any, way: str, kind: str) -> None:
    assert (await WAYS[way](routed(fake, getattr(Answers, kind)))).text == "strong"


@pytest.mark.parametrize("way", STREAMED)
async def test_reasoning_alone_is_no_answer_in_a_stream_that_is_held_back(
    fake: Any, way: str
) -> None:
    for said in (Answers.cut_thought, Answers.thought, Answers.blank):
        both = models(fake, said)
        model = RoutedChatModel(
            experts={"weak": both["weak"], "strong": both["strong"]},
            router=ScriptedRouter(default=0.1),
            strategy=Cascade(check(lambda *_: 1.0, name="all"), accept=0.5),
        )
        answer = await WAYS[way](model)
        assert answer.text == "strong"
        assert answer.response_metadata["routellm"]["reason"] == "escalation:EmptyAnswerError"


@pytest.mark.parametrize("way", STREAMED)
async def test_blanks_are_held_until_words_come_and_are_given_out_then(fake: Any, way: str) -> None:
    both = models(fake, Answers.empty)

    def _stream(self: Any, *_: Any, **__: Any) -> Any:
        for text in (" ", "\n", "Hi ", "there", " "):
            yield ChatGenerationChunk(message=AIMessageChunk(text))

    type(both["weak"])._stream = _stream
    model = RoutedChatModel(**both, router=ScriptedRouter(default=0.1), threshold=0.5)
    answer = await WAYS[way](model)
    assert (answer.text, answer.response_metadata["routellm"]["route"]) == (" \nHi there ", "weak")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("escalates", [False, True])
async def test_a_filtered_answer_escalates_by_a_setting(
    fake: Any, way: str, *, escalates: bool
) -> None:
    model = routed(fake, Answers.filtered, escalate_filtered=escalates)
    answer = await WAYS[way](model)
    assert answer.text == ("strong" if escalates else "")
    assert answer.response_metadata["routellm"]["route"] == ("strong" if escalates else "weak")


@pytest.mark.parametrize("way", PLAIN)
async def test_half_an_answer_that_was_filtered_escalates_by_the_setting(
    fake: Any, way: str
) -> None:
    assert (await WAYS[way](routed(fake, Answers.half_filtered))).text == "Half"
    asked = routed(fake, Answers.half_filtered, escalate_filtered=True)
    assert (await WAYS[way](asked)).text == "strong"


@pytest.mark.parametrize("way", PLAIN)
@pytest.mark.parametrize("kind", ["refused", "called", "miscalled", "half"])
async def test_an_answer_of_any_kind_is_passed_on(fake: Any, way: str, kind: str) -> None:
    said = getattr(Answers, kind)
    answer = await WAYS[way](routed(fake, said))
    assert answer.response_metadata["routellm"]["route"] == "weak"
    assert (answer.content, answer.tool_calls) == (said.content, said.tool_calls)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["empty", "blank"])
async def test_the_strong_models_empty_answer_is_passed_on(fake: Any, way: str, kind: str) -> None:
    said = getattr(Answers, kind)
    both = models(fake, said)
    model = RoutedChatModel(
        strong=both["weak"], weak=both["strong"], router=ScriptedRouter(default=0.9), threshold=0.5
    )
    answer = await WAYS[way](model)
    assert (answer.text, answer.response_metadata["routellm"]["route"]) == (said.text, "strong")
    assert len(both["weak"].calls) == 1


@pytest.mark.parametrize("way", WAYS)
async def test_an_empty_answer_is_the_answer_where_nothing_escalates(fake: Any, way: str) -> None:
    answer = await WAYS[way](routed(fake, Answers.empty, escalate_on=()))
    assert (answer.text, answer.response_metadata["routellm"]["route"]) == ("", "weak")


@pytest.mark.parametrize("include_raw", [False, True])
@pytest.mark.parametrize("is_async", [False, True])
async def test_structured_output_without_a_structure_escalates(
    fake: Any, *, include_raw: bool, is_async: bool
) -> None:
    class Weather(BaseModel):
        """The weather."""

        city: str

    both = models(fake, AIMessage("I would rather chat."))
    call = {"name": "Weather", "args": {"city": "Lisbon"}, "id": "1"}
    both["strong"].said = AIMessage("", tool_calls=[call])
    model = RoutedChatModel(**both, router=ScriptedRouter(default=0.1), threshold=0.5)
    chain = model.with_structured_output(Weather, include_raw=include_raw)
    answer = await chain.ainvoke("Hi") if is_async else chain.invoke("Hi")
    if include_raw:
        # What the weak model said can be seen, and is passed on with the parser's word.
        assert answer["raw"].text == "I would rather chat."
    else:
        assert answer == Weather(city="Lisbon")
