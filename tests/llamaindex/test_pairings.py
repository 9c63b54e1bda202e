"""Real integrations on a strict server: every pairing, with tools, streams and faults."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel

from llamaindex_routellm import RoutedLLM
from routellm_core.testing import OpenAIServer, ScriptedRouter, Step

pytestmark = [
    pytest.mark.loopback,
    # LiteLLM's response objects, serialised by pydantic.
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning"),
]

HARD, EASY = "Prove that 7 is odd.", "What is 7 + 5?"
NAMES = ["OpenAILike", "LiteLLM"]
CHATS = [
    "chat_with_tools", "achat_with_tools", "stream_chat_with_tools", "astream_chat_with_tools",
]  # fmt: skip


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


ADD = FunctionTool.from_defaults(add)


class City(BaseModel):
    """A city."""

    name: str


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


@pytest.fixture
def pair(server: OpenAIServer, makers, router: ScriptedRouter):
    def make(strong: str, weak: str, **options: Any) -> RoutedLLM:
        return RoutedLLM(
            strong=makers[strong](server, "gpt-4o"),
            weak=makers[weak](server, "gpt-4o-mini"),
            router=router,
            threshold=0.5,
            **options,
        )

    return make


def fail_always(server: OpenAIServer) -> None:
    # LiteLLM's own client tries three times.
    server.script(*[Step(status=500)] * 5, model="gpt-4o-mini")


@pytest.mark.parametrize("strong", NAMES)
@pytest.mark.parametrize("weak", NAMES)
@pytest.mark.parametrize("method", CHATS)
async def test_a_conversation_with_tools_changes_models_and_back(
    pair, server, router, strong: str, weak: str, method: str
) -> None:
    llm = pair(strong, weak)
    history: list[ChatMessage] = []
    for question in (EASY, HARD, EASY + " Again?"):
        history.append(ChatMessage(question))
        before = [message.model_dump_json() for message in history]
        answer = await last_of(llm, method, [ADD], chat_history=history)
        (selection,) = llm.get_tool_calls_from_response(answer)
        assert selection.tool_kwargs == {"a": 7, "b": 7}
        history += [
            answer.message,
            ChatMessage("14", role="tool", additional_kwargs={"tool_call_id": selection.tool_id}),
        ]
        answer = await last_of(llm, method, [ADD], chat_history=history)
        model = "gpt-4o" if question == HARD else "gpt-4o-mini"
        assert answer.message.content == f"{model} heard: {question}"
        assert answer.additional_kwargs["routellm"]["model"].endswith(model)
        history.append(answer.message)
        assert [message.model_dump_json() for message in history[: len(before)]] == before
    assert server.models_asked() == ["gpt-4o-mini"] * 2 + ["gpt-4o"] * 2 + ["gpt-4o-mini"] * 2
    assert router.prompts == [EASY, HARD, EASY + " Again?"]
    for request in server.requests:
        assert all("routellm" not in message for message in request.body["messages"])


@pytest.mark.parametrize("strong", NAMES)
@pytest.mark.parametrize("weak", NAMES)
@pytest.mark.parametrize("method", CHATS)
async def test_a_server_error_of_the_weak_model_is_answered_by_the_strong_one(
    pair, server, strong: str, weak: str, method: str
) -> None:
    llm = pair(strong, weak)
    fail_always(server)
    answer = await last_of(llm, method, [ADD], EASY)
    assert answer.additional_kwargs["routellm"]["reason"].startswith("escalation:")
    assert llm.get_tool_calls_from_response(answer)[0].tool_name == "add"
    *tries, last = server.models_asked()
    assert (set(tries), last) == ({"gpt-4o-mini"}, "gpt-4o")


@pytest.mark.parametrize("weak", NAMES)
@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_refused_request_is_refused_once(pair, server, weak: str, status: int) -> None:
    llm = pair("OpenAILike", weak)
    server.script(Step(status=status), model="gpt-4o-mini")
    with pytest.raises(Exception) as caught:
        llm.chat([ChatMessage(EASY)])
    assert getattr(caught.value, "status_code", None) == status
    assert "sk-loopback" not in str(caught.value)
    assert server.models_asked() == ["gpt-4o-mini"]


@pytest.mark.parametrize("weak", NAMES)
def test_a_prompt_too_long_for_the_weak_model_is_answered_by_the_strong_one(
    pair, server, weak: str
) -> None:
    llm = pair("OpenAILike", weak)
    step = Step(status=400, error_code="context_length_exceeded")
    server.script(step, model="gpt-4o-mini")
    answer = llm.chat([ChatMessage(EASY)])
    assert answer.additional_kwargs["routellm"]["route"] == "strong"


@pytest.mark.parametrize("weak", NAMES)
@pytest.mark.parametrize("method", ["stream_chat", "astream_chat"])
async def test_a_stream_that_is_cut_at_once_is_the_strong_models(
    pair, server, weak: str, method: str
) -> None:
    llm = pair("OpenAILike", weak)
    server.script(Step(cut_after=1), model="gpt-4o-mini")
    answer = await last_of(llm, method, [ChatMessage(EASY)])
    assert answer.message.content == f"gpt-4o heard: {EASY}"
    assert answer.additional_kwargs["routellm"]["route"] == "strong"


@pytest.mark.parametrize("cut_after", [2, 3, 4])
@pytest.mark.parametrize("method", ["stream_chat", "astream_chat"])
async def test_a_stream_that_is_cut_later_keeps_its_model(
    pair, server, cut_after: int, method: str
) -> None:
    llm = pair("OpenAILike", "OpenAILike")
    server.script(Step(pieces=("a ", "b ", "c "), cut_after=cut_after), model="gpt-4o-mini")
    heard = [""]

    async def listen() -> None:
        if method == "stream_chat":
            heard.extend(c.message.content for c in llm.stream_chat([ChatMessage(EASY)]))
        else:
            async for chunk in await llm.astream_chat([ChatMessage(EASY)]):
                heard.append(chunk.message.content)

    with pytest.raises(Exception, match=r"incomplete|peer closed|Connection"):
        await listen()
    assert heard[-1] == "a b c "[: 2 * (cut_after - 1)]
    assert server.models_asked() == ["gpt-4o-mini"]


async def test_a_cancelled_call_leaves_the_server_and_asks_no_other_model(pair, server) -> None:
    llm = pair("OpenAILike", "OpenAILike")
    server.script(Step(hang=True), model="gpt-4o-mini")
    asking = asyncio.ensure_future(llm.achat([ChatMessage(EASY)]))
    while not server.requests:
        await asyncio.sleep(0.01)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    deadline = time.monotonic() + 5.0
    while server.requests[0].ended_s is None and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    assert server.requests[0].ended_s is not None
    assert server.models_asked() == ["gpt-4o-mini"]


@pytest.mark.parametrize("strong", NAMES)
@pytest.mark.parametrize("weak", NAMES)
@pytest.mark.parametrize("question", [HARD, EASY])
async def test_objects_are_predicted_by_either_integration(
    pair, server, strong: str, weak: str, question: str
) -> None:
    llm = pair(strong, weak)
    prompt = PromptTemplate("{query_str} About 'Lima'.")
    expected = City(name="Lima")
    assert llm.structured_predict(City, prompt, query_str=question) == expected
    assert await llm.astructured_predict(City, prompt, query_str=question) == expected
    *_, whole = llm.stream_structured_predict(City, prompt, query_str=question)
    assert whole == expected
    asked = await llm.astream_structured_predict(City, prompt, query_str=question)
    assert [partial async for partial in asked][-1] == expected
    model = "gpt-4o" if question == HARD else "gpt-4o-mini"
    assert set(server.models_asked()) == {model}


@pytest.mark.parametrize("weak", NAMES)
def test_a_tool_is_run_once_when_the_weak_model_fails(pair, server, weak: str) -> None:
    llm = pair("OpenAILike", weak)
    fail_always(server)
    noted: list[int] = []

    def note(number: int) -> str:
        """Note a number."""
        noted.append(number)
        return "noted"

    answer = llm.predict_and_call([FunctionTool.from_defaults(note)], EASY)
    assert answer.response == "noted"
    assert noted == [7]
