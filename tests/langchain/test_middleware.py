"""`RoutingMiddleware`, alone and among the middleware of others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import (
    ModelFallbackMiddleware,
    ProviderToolSearchMiddleware,
    wrap_model_call,
)
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from pydantic import BaseModel, Field

from langchain_routellm import RoutedChatModel, RoutingMiddleware
from routellm_core.testing import OpenAIServer, ScriptedRouter, Step

pytestmark = [
    pytest.mark.loopback,
    # langchain-openai hands the parsed object of a structured answer to the client's own model.
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning:pydantic"),
]


@tool
def get_weather(city: str) -> str:
    """Get the weather of a city."""
    return f"It is sunny in {city}."


class Weather(BaseModel):
    """The weather somewhere."""

    city: str = Field(description="Where.")
    degrees: int = Field(description="How warm.")


def record_of(message: Any) -> dict[str, Any]:
    return message.response_metadata["routellm"]


def ask(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


PROMPTS = [("Hi", "gpt-4o-mini"), ("Prove it", "gpt-4o")]

SETTINGS: dict[str, Any] = {"api_key": "test", "max_retries": 0}


@pytest.fixture
def agent_of(server: OpenAIServer, router: ScriptedRouter) -> Callable[..., Any]:
    """Return a factory of agents with the strong model and routing middleware."""
    from langchain_openai import ChatOpenAI

    def agent_of(*, outer: Any = (), inner: Any = (), own: Any = None, **arguments: Any) -> Any:
        middleware = RoutingMiddleware(
            strong="openai:gpt-4o",
            weak="openai:gpt-4o-mini",
            router=router,
            threshold=0.5,
            **SETTINGS,
            base_url=server.base_url,
        )
        return create_agent(
            own or ChatOpenAI(model="gpt-4o", base_url=server.base_url, **SETTINGS),
            middleware=[*outer, middleware, *inner],
            **{"tools": [get_weather], **arguments},
        )

    return agent_of


@pytest.mark.parametrize(("prompt", "model"), PROMPTS)
def test_middleware_chooses_the_model_once_for_a_turn(
    agent_of: Any, server: OpenAIServer, router: ScriptedRouter, prompt: str, model: str
) -> None:
    messages = agent_of().invoke(ask(prompt))["messages"]
    assert server.models_asked() == [model] * 2
    assert router.prompts == [prompt]
    assert record_of(messages[-1])["reason"] == "sticky"


async def test_middleware_chooses_async(agent_of: Any, server: OpenAIServer) -> None:
    messages = (await agent_of(tools=[]).ainvoke(ask("Prove it")))["messages"]
    assert server.models_asked() == ["gpt-4o"]
    assert record_of(messages[-1])["route"] == "strong"


def test_middleware_escalates(agent_of: Any, server: OpenAIServer) -> None:
    server.script(Step(status=500))
    messages = agent_of(tools=[]).invoke(ask("Hi"))["messages"]
    assert server.models_asked() == ["gpt-4o-mini", "gpt-4o"]
    assert record_of(messages[-1])["reason"].startswith("escalation:")


async def test_middleware_escalates_async(agent_of: Any, server: OpenAIServer) -> None:
    server.script(Step(status=500))
    await agent_of(tools=[]).ainvoke(ask("Hi"))
    assert server.models_asked() == ["gpt-4o-mini", "gpt-4o"]


def test_middleware_obeys_the_calls_own_route(agent_of: Any, server: OpenAIServer) -> None:
    agent_of(tools=[]).invoke(ask("Hi"), {"configurable": {"routellm_route": "strong"}})
    assert server.models_asked() == ["gpt-4o"]


def test_middleware_puts_the_decision_on_the_run(agent_of: Any) -> None:
    parts = agent_of(tools=[]).stream(ask("Hi"), stream_mode="messages")
    assert {metadata["routellm_route"] for _, metadata in parts} == {"weak"}


def test_middleware_keeps_the_structured_response(agent_of: Any) -> None:
    agent = agent_of(tools=[], response_format=Weather)
    result = agent.invoke(ask("'Lisbon' has 21 degrees"))
    assert result["structured_response"] == Weather(city="Lisbon", degrees=21)


def chosen(server: OpenAIServer, model: str) -> Any:
    """Return a model as other middleware would choose it."""
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(model=model, base_url=server.base_url, **SETTINGS)


PLACES = ["outer", "inner"]
"""Where the middleware of others stands, seen from ours."""


@pytest.mark.parametrize("place", PLACES)
def test_a_model_that_other_middleware_chose_is_kept(
    agent_of: Any, server: OpenAIServer, place: str
) -> None:
    other = chosen(server, "o3")

    @wrap_model_call
    def choose(request: Any, handler: Any) -> Any:
        return handler(request.override(model=other))

    agent_of(tools=[], **{place: [choose]}).invoke(ask("Hi"))
    assert server.models_asked() == ["o3"]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("fallback", ["o3", "gpt-4o-mini"])
def test_a_fallbacks_choice_is_kept(
    agent_of: Any, server: OpenAIServer, place: str, fallback: str
) -> None:
    server.script(Step(status=500))
    middleware = ModelFallbackMiddleware(chosen(server, fallback))
    agent = agent_of(tools=[], **{place: [middleware]})
    assert agent.invoke(ask("Prove it"))["messages"][-1].text == f"{fallback} heard: Prove it"
    assert server.models_asked() == ["gpt-4o", fallback]


@pytest.mark.parametrize("place", PLACES)
async def test_a_fallbacks_choice_is_kept_async(
    agent_of: Any, server: OpenAIServer, place: str
) -> None:
    server.script(Step(status=500))
    middleware = ModelFallbackMiddleware(chosen(server, "gpt-4o-mini"))
    agent = agent_of(tools=[], **{place: [middleware]})
    await agent.ainvoke(ask("Prove it"))
    assert server.models_asked() == ["gpt-4o", "gpt-4o-mini"]
    await agent.ainvoke(ask("Prove it"))  # the next call is routed again
    assert server.models_asked()[2:] == ["gpt-4o"]


@pytest.mark.parametrize("own", ["gpt-4o", "gpt-4o-mini"])
@pytest.mark.parametrize(("prompt", "model"), PROMPTS)
def test_the_agents_own_model_may_be_either_of_the_two(
    agent_of: Any, server: OpenAIServer, own: str, prompt: str, model: str
) -> None:
    agent_of(tools=[], own=chosen(server, own)).invoke(ask(prompt))
    assert server.models_asked() == [model]


def test_an_agent_with_a_third_model_is_told_once(
    agent_of: Any, server: OpenAIServer, caplog: pytest.LogCaptureFixture
) -> None:
    agent = agent_of(tools=[], own=chosen(server, "o3"))
    agent.invoke(ask("Hi"))
    agent.invoke(ask("Hi"))
    assert server.models_asked() == ["o3", "o3"]
    [said] = [record.getMessage() for record in caplog.records if "not routed" in record.msg]
    assert "'o3'" in said
    assert "'gpt-4o-mini'" in said


@pytest.mark.parametrize(("prompt", "model"), PROMPTS)
def test_tool_search_finds_the_provider_of_a_routed_model(
    make_openai: Callable[..., RoutedChatModel], prompt: str, model: str
) -> None:
    middleware = ProviderToolSearchMiddleware(searchable_tools=["get_weather"])
    asked: list[Any] = []

    @wrap_model_call
    def keep(request: Any, handler: Any) -> Any:
        asked.append(request.tools)
        return handler(request.override(tools=[]))

    agent = create_agent(make_openai(), tools=[get_weather], middleware=[middleware, keep])
    assert agent.invoke(ask(prompt))["messages"][-1].text == f"{model} heard: {prompt}"
    assert {"type": "tool_search"} in asked[0]


async def test_the_middleware_leaves_out_what_a_model_does_not_take(
    server: OpenAIServer, router: ScriptedRouter
) -> None:
    routing = RoutingMiddleware(
        strong=chosen(server, "gpt-4o"),
        weak=chosen(server, "gpt-4o-mini"),
        router=router,
        threshold=0.5,
        drop_params={"weak": ["seed"]},
    )

    @wrap_model_call
    async def seed(request: Any, handler: Any) -> Any:
        return await handler(request.override(model_settings={"seed": 7}))

    agent = create_agent(chosen(server, "gpt-4o"), middleware=[seed, routing])
    await agent.ainvoke(ask("Hi"))
    await agent.ainvoke(ask("Prove it"))
    assert [request.body.get("seed") for request in server.requests] == [None, 7]


@pytest.mark.parametrize("is_async", [False, True])
async def test_the_middleware_escalates_an_unusable_answer(
    agent_of: Any, server: OpenAIServer, *, is_async: bool
) -> None:
    server.script(Step(text=""))
    agent = agent_of(tools=[])
    messages = (await agent.ainvoke(ask("Hi")) if is_async else agent.invoke(ask("Hi")))["messages"]
    assert server.models_asked() == ["gpt-4o-mini", "gpt-4o"]
    assert isinstance(messages[-1], AIMessage)
    assert record_of(messages[-1])["reason"] == "escalation:EmptyAnswerError"


def caching() -> Any:
    from langchain_anthropic.middleware import AnthropicPromptCachingMiddleware

    return AnthropicPromptCachingMiddleware(unsupported_model_behavior="raise")


@pytest.mark.parametrize("prompt", ["Hi", "Prove it"])
def test_anthropics_prompt_caching_works_behind_the_middleware(
    router: ScriptedRouter, prompt: str
) -> None:
    from langchain_anthropic import ChatAnthropic

    seen: list[Any] = []

    @wrap_model_call
    def answer(request: Any, handler: Any) -> Any:
        seen.append(request.model_settings)
        return AIMessage("Cached.")

    strong, weak = (ChatAnthropic(model=name, api_key="none") for name in ("opus", "haiku"))
    routing = RoutingMiddleware(strong=strong, weak=weak, router=router, threshold=0.5)
    agent = create_agent(strong, middleware=[routing, caching(), answer])
    assert agent.invoke(ask(prompt))["messages"][-1].text == "Cached."
    assert seen == [{"cache_control": {"type": "ephemeral", "ttl": "5m"}}]


def test_anthropics_prompt_caching_refuses_a_routed_model(router: ScriptedRouter) -> None:
    """It asks for the class; the guide names the middleware to use instead."""
    from langchain_anthropic import ChatAnthropic

    strong, weak = (ChatAnthropic(model=name, api_key="none") for name in ("opus", "haiku"))
    routed = RoutedChatModel(strong=strong, weak=weak, router=router, threshold=0.5)
    agent = create_agent(routed, middleware=[caching()])
    with pytest.raises(ValueError, match="only supports Anthropic models"):
        agent.invoke(ask("Hi"))
