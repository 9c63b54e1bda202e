"""Anthropic's marks for prompt caches reach the models that know them, and no others."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import wrap_model_call
from langchain_anthropic import ChatAnthropic
from langchain_anthropic.middleware import AnthropicPromptCachingMiddleware
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI

from langchain_routellm import RoutedChatModel, RoutingMiddleware
from langchain_routellm.cache_marks import refuses_marks
from routellm_core.testing import OpenAIServer, ScriptedRouter

pytestmark = pytest.mark.loopback

Make = Callable[..., RoutedChatModel]
MARK = {"type": "ephemeral"}


def marked(question: str) -> list[BaseMessage]:
    block = {"type": "text", "text": "Be brief.", "cache_control": MARK}
    return [SystemMessage([block]), HumanMessage(question)]


def openai(server: OpenAIServer, name: str = "gpt-4o-mini") -> ChatOpenAI:
    return ChatOpenAI(model=name, base_url=server.base_url, api_key="k", max_retries=0)


async def answered(model: Any, way: str, question: str) -> None:
    given: dict[str, Any] = {"cache_control": MARK}
    if way == "invoke":
        model.invoke(marked(question), **given)
    elif way == "stream":
        list(model.stream(marked(question), **given))
    elif way == "batch":
        model.batch([marked(question)], **given)
    elif way == "ainvoke":
        await model.ainvoke(marked(question), **given)
    elif way == "astream":
        [chunk async for chunk in model.astream(marked(question), **given)]
    else:
        model.generate([marked(question)], **given)


WAYS = ["invoke", "stream", "batch", "ainvoke", "astream", "generate"]


@pytest.mark.parametrize("way", WAYS)
async def test_a_provider_without_such_a_field_gets_no_mark(
    make: Make, server: OpenAIServer, way: str
) -> None:
    await answered(make(weak=openai(server)), way, "Hi")
    [request] = server.requests
    assert "cache_control" not in json.dumps(request.body)
    assert "Be brief." in json.dumps(request.body)


@pytest.mark.parametrize("way", WAYS)
async def test_another_models_marks_stay(
    make: Make, server: OpenAIServer, fake: Any, way: str
) -> None:
    strong = fake(model="claude")
    messages = marked("Prove it")
    await answered(make(strong=strong, weak=openai(server)), way, "Prove it")
    [call] = strong.calls
    assert call["cache_control"] == MARK
    assert call["messages"][0].content[0]["cache_control"] == MARK
    assert marked("Prove it") == messages


def test_an_escalation_to_another_provider_strips_them_there(
    make: Make, server: OpenAIServer, fake: Any
) -> None:
    weak = fake(model="claude", script=[TimeoutError("late")])
    messages = marked("Hi")
    make(weak=weak, strong=openai(server, "gpt-4o")).invoke(messages, cache_control=MARK)
    assert weak.calls[0]["cache_control"] == MARK
    assert "cache_control" not in json.dumps(server.requests[0].body)
    assert messages == marked("Hi")


def test_anthropics_models_behind_another_client_keep_them(
    make: Make, server: OpenAIServer
) -> None:
    make(weak=openai(server, "anthropic/claude-haiku-4.5")).invoke(marked("Hi"))
    assert server.requests[0].body["messages"][0]["content"][0]["cache_control"] == MARK


def test_which_models_refuse_them(server: OpenAIServer, fake: Any) -> None:
    class Own(ChatOpenAI):
        """A subclass of a user's."""

    assert refuses_marks(openai(server))
    assert refuses_marks(Own(model="gpt-4o", api_key="k"))
    assert not refuses_marks(ChatAnthropic(model="claude-haiku-4-5", api_key="k"))
    assert not refuses_marks(fake())


@pytest.mark.parametrize("routing_first", [False, True])
@pytest.mark.parametrize("question", ["Hi", "Prove it"])
def test_langchains_caching_middleware_works_with_another_provider_in_the_pair(
    router: ScriptedRouter, server: OpenAIServer, question: str, *, routing_first: bool
) -> None:
    seen: list[Any] = []

    @wrap_model_call
    def answer(request: Any, handler: Any) -> Any:
        seen.append(request)
        claude = isinstance(request.model, ChatAnthropic)
        return AIMessage("From Claude.") if claude else handler(request)

    strong = ChatAnthropic(model="claude-opus-4-5", api_key="none")
    routing = RoutingMiddleware(strong=strong, weak=openai(server), router=router, threshold=0.5)
    caching = AnthropicPromptCachingMiddleware(unsupported_model_behavior="ignore")
    order = [routing, caching] if routing_first else [caching, routing]
    agent = create_agent(strong, system_prompt="Be brief.", middleware=[*order, answer])
    agent.invoke({"messages": [HumanMessage(question)]})
    [request] = seen
    if question == "Hi":
        assert "cache_control" not in json.dumps(server.requests[0].body)
        return
    assert request.model_settings["cache_control"]["type"] == "ephemeral"
    assert request.system_message.content[0]["cache_control"]["type"] == "ephemeral"
