"""LangChain's and LangGraph's quickstarts, with only the line that makes the model changed.

Every one runs over a real OpenAI client against the loopback server, whose log shows who was asked.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import SummarizationMiddleware
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.runtime import Runtime
from pydantic import BaseModel, Field

from langchain_routellm import RoutedChatModel
from routellm_core.testing import OpenAIServer, ScriptedRouter, Step

MakeOpenAI = Callable[..., RoutedChatModel]

pytestmark = [
    pytest.mark.loopback,
    # langchain-openai hands the parsed object of a structured answer to the client's own model.
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning:pydantic"),
    # LangGraph's own advice to move to LangChain's agents.
    pytest.mark.filterwarnings("ignore:create_react_agent has been moved"),
    pytest.mark.filterwarnings("ignore:AgentStatePydantic has been moved"),
]


@tool
def get_weather(city: str) -> str:
    """Get the weather of a city."""
    return f"It is sunny in {city}."


class Weather(BaseModel):
    """The weather somewhere."""

    city: str = Field(description="Where.")
    degrees: int = Field(description="How warm.")


def react_agent(model: Any, **arguments: Any) -> Any:
    from langgraph.prebuilt import create_react_agent

    return create_react_agent(model, **arguments)


def record_of(message: Any) -> dict[str, Any]:
    return message.response_metadata["routellm"]


def ask(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


PROMPTS = [("Hi", "gpt-4o-mini"), ("Prove it", "gpt-4o")]


@pytest.mark.parametrize(("prompt", "model"), PROMPTS)
def test_a_chain(make_openai: MakeOpenAI, prompt: str, model: str) -> None:
    template = ChatPromptTemplate.from_messages([("system", "Be brief."), ("user", "{text}")])
    chain = template | make_openai() | StrOutputParser()
    assert chain.invoke({"text": prompt}) == f"{model} heard: {prompt}"
    assert "".join(chain.stream({"text": prompt})) == f"{model} heard: {prompt}"
    assert chain.batch([{"text": prompt}] * 2) == [f"{model} heard: {prompt}"] * 2


async def test_an_async_chain(make_openai: MakeOpenAI) -> None:
    chain = ChatPromptTemplate.from_template("{text}") | make_openai() | StrOutputParser()
    assert await chain.ainvoke({"text": "Hi"}) == "gpt-4o-mini heard: Hi"
    parts = [part async for part in chain.astream({"text": "Prove it"})]
    assert "".join(parts) == "gpt-4o heard: Prove it"
    answers = await chain.abatch([{"text": "Hi"}, {"text": "Prove it"}])
    assert answers == ["gpt-4o-mini heard: Hi", "gpt-4o heard: Prove it"]


@pytest.mark.parametrize("create", [create_agent, react_agent])
@pytest.mark.parametrize(("prompt", "model"), PROMPTS)
def test_a_tool_agent_keeps_its_model_through_the_loop(
    make_openai: MakeOpenAI,
    server: OpenAIServer,
    router: ScriptedRouter,
    create: Any,
    prompt: str,
    model: str,
) -> None:
    call = ("get_weather", {"city": "Lisbon"})
    server.script(Step(tool_calls=(call,)), Step(tool_calls=(call, call)), Step(text="Sunny."))
    agent = create(make_openai(), tools=[get_weather])
    messages = agent.invoke(ask(prompt))["messages"]
    assert messages[-1].text == "Sunny."
    assert server.models_asked() == [model] * 3
    assert router.prompts == [prompt]
    reasons = [record_of(m)["reason"] for m in messages if isinstance(m, AIMessage)]
    assert reasons == ["win_rate", "sticky", "sticky"]


@pytest.mark.parametrize("create", [create_agent, react_agent])
async def test_an_async_tool_agent_keeps_its_model_through_the_loop(
    make_openai: MakeOpenAI, server: OpenAIServer, router: ScriptedRouter, create: Any
) -> None:
    agent = create(make_openai(), tools=[get_weather])
    messages = (await agent.ainvoke(ask("Prove it")))["messages"]
    assert messages[-1].text == "gpt-4o heard: Prove it"
    assert server.models_asked() == ["gpt-4o"] * 2
    assert router.prompts == ["Prove it"]


def test_a_tool_loop_goes_on_with_its_model_in_another_process(
    make_openai: MakeOpenAI, server: OpenAIServer, router: ScriptedRouter
) -> None:
    saver, thread = InMemorySaver(), {"configurable": {"thread_id": "1"}}
    arguments = {"tools": [get_weather], "checkpointer": saver, "interrupt_before": ["tools"]}
    create_agent(make_openai(), **arguments).invoke(ask("Prove it"), thread)
    rebuilt = create_agent(make_openai(), **arguments)
    messages = rebuilt.invoke(None, thread)["messages"]
    assert messages[-1].text == "gpt-4o heard: Prove it"
    assert server.models_asked() == ["gpt-4o"] * 2
    assert router.prompts == ["Prove it"]
    second = rebuilt.invoke(ask("Thanks"), thread)["messages"]
    assert record_of(second[-1])["route"] == "weak"


def test_a_bound_model_is_taken_by_a_react_agent(
    make_openai: MakeOpenAI, server: OpenAIServer
) -> None:
    agent = react_agent(make_openai().bind_tools([get_weather]), tools=[get_weather])
    assert agent.invoke(ask("Hi"))["messages"][-1].text == "gpt-4o-mini heard: Hi"


@pytest.mark.parametrize("method", [None, "json_schema", "function_calling", "json_mode"])
@pytest.mark.parametrize(("prompt", "model"), PROMPTS)
def test_structured_output_with_every_method(
    make_openai: MakeOpenAI, server: OpenAIServer, method: str | None, prompt: str, model: str
) -> None:
    text = f"{prompt}: 'Lisbon' has 21 degrees"
    if method == "json_mode":
        server.script(Step(text='{"city": "Lisbon", "degrees": 21}'))
    structured = make_openai().with_structured_output(Weather, method=method)
    assert structured.invoke(text) == Weather(city="Lisbon", degrees=21)
    assert server.models_asked() == [model]
    sent = server.requests[0].body
    expected = {"json_mode": "json_object", "function_calling": None}.get(
        str(method), "json_schema"
    )
    assert sent.get("response_format", {}).get("type") == expected


@pytest.mark.parametrize(
    ("form", "key"),
    [
        (ToolStrategy(Weather), "tools"),
        (ProviderStrategy(Weather), "response_format"),
        (Weather, "response_format"),
    ],
    ids=["tool", "provider", "automatic"],
)
def test_an_agent_with_structured_output(
    make_openai: MakeOpenAI, server: OpenAIServer, form: Any, key: str
) -> None:
    agent = create_agent(make_openai(), tools=[], response_format=form)
    result = agent.invoke(ask("'Lisbon' has 21 degrees"))
    assert result["structured_response"] == Weather(city="Lisbon", degrees=21)
    assert key in server.requests[0].body


def test_a_graph_of_ones_own(make_openai: MakeOpenAI, server: OpenAIServer) -> None:
    model = make_openai()

    def chat(state: MessagesState) -> dict[str, Any]:
        return {"messages": [model.invoke(state["messages"])]}

    graph = StateGraph(MessagesState).add_node("chat", chat).add_edge(START, "chat").compile()
    answer = graph.invoke(ask("Prove it"))["messages"][-1]
    assert record_of(answer)["route"] == "strong"
    config = {"configurable": {"routellm_route": "weak"}}
    assert record_of(graph.invoke(ask("Prove it"), config)["messages"][-1])["route"] == "weak"


def test_an_agent_streams_words_with_the_decision_beside_them(make_openai: MakeOpenAI) -> None:
    agent = create_agent(make_openai(), tools=[get_weather])
    parts = list(agent.stream(ask("Prove it"), stream_mode="messages"))
    words = [
        (chunk.text, metadata["routellm_route"])
        for chunk, metadata in parts
        if isinstance(chunk, AIMessageChunk) and chunk.text
    ]
    assert "".join(text for text, _ in words) == "gpt-4o heard: Prove it"
    assert {route for _, route in words} == {"strong"}


async def test_an_agent_streams_words_async(make_openai: MakeOpenAI) -> None:
    agent = create_agent(make_openai(), tools=[])
    stream = agent.astream(ask("Hi"), stream_mode="messages")
    words = [chunk.text async for chunk, _ in stream]
    assert "".join(words) == "gpt-4o-mini heard: Hi"
    updates = [update async for update in agent.astream(ask("Hi"), stream_mode="updates")]
    assert record_of(updates[-1]["model"]["messages"][-1])["route"] == "weak"


@pytest.mark.skipif(
    sys.version_info < (3, 11),
    reason="LangGraph gives an asynchronous node no callbacks there, whatever its model is",
)
async def test_an_agents_events_name_the_model_that_answers(make_openai: MakeOpenAI) -> None:
    agent = create_agent(make_openai(), tools=[])
    events = [event async for event in agent.astream_events(ask("Hi"), version="v2")]
    starts = [event for event in events if event["event"] == "on_chat_model_start"]
    assert [start["metadata"]["ls_model_name"] for start in starts] == ["gpt-4o-mini"]
    assert starts[0]["name"] == "ChatOpenAI"


# Faults of a real provider


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 529])
def test_a_providers_trouble_escalates(
    make_openai: MakeOpenAI, server: OpenAIServer, status: int
) -> None:
    server.script(Step(status=status))
    answer = make_openai().invoke("Hi")
    assert record_of(answer)["reason"].startswith("escalation:")
    assert server.models_asked() == ["gpt-4o-mini", "gpt-4o"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_the_callers_fault_does_not_escalate(
    make_openai: MakeOpenAI, server: OpenAIServer, status: int
) -> None:
    import openai

    server.script(Step(status=status))
    with pytest.raises(openai.APIStatusError) as caught:
        make_openai().invoke("Hi")
    assert caught.value.status_code == status
    assert server.models_asked() == ["gpt-4o-mini"]


def test_a_prompt_too_long_for_the_weak_model_escalates(
    make_openai: MakeOpenAI, server: OpenAIServer
) -> None:
    server.script(Step(status=400, error_code="context_length_exceeded"))
    assert record_of(make_openai().invoke("Hi"))["route"] == "strong"


def test_a_model_that_hangs_escalates(make_openai: MakeOpenAI, server: OpenAIServer) -> None:
    server.script(Step(hang=True))
    assert record_of(make_openai(timeout=0.3).invoke("Hi"))["route"] == "strong"


def test_a_model_that_cannot_be_reached_escalates(
    make_openai: MakeOpenAI, server: OpenAIServer
) -> None:
    from langchain_openai import ChatOpenAI

    dead = ChatOpenAI(model="dead", base_url="http://127.0.0.1:1/v1", api_key="k", max_retries=0)
    alive = ChatOpenAI(model="alive", base_url=server.base_url, api_key="k", max_retries=0)
    answer = make_openai(strong=alive, weak=dead, base_url=None, api_key=None, max_retries=None)
    assert record_of(answer.invoke("Hi"))["model"] == "alive"


@pytest.mark.parametrize("cut_after", [0, 1])
def test_a_stream_cut_before_its_first_word_escalates(
    make_openai: MakeOpenAI, server: OpenAIServer, cut_after: int
) -> None:
    server.script(Step(text="one two", cut_after=cut_after))
    chunks = list(make_openai().stream("Hi"))
    assert "".join(chunk.text for chunk in chunks) == "gpt-4o heard: Hi"
    assert record_of(chunks[0])["reason"].startswith("escalation:")


def test_an_answer_that_is_none_escalates(make_openai: MakeOpenAI, server: OpenAIServer) -> None:
    server.script(Step(body="{"), Step(text="whole"))
    assert record_of(make_openai().invoke("Hi"))["route"] == "strong"


def test_a_stream_without_any_chunk_escalates(
    make_openai: MakeOpenAI, server: OpenAIServer
) -> None:
    sse = {"content-type": "text/event-stream"}
    for _ in range(2):
        server.script(Step(body="data: [DONE]\n\n", headers=sse), model="gpt-4o-mini")
    chunks = list(make_openai().stream("Hi"))
    assert record_of(chunks[0])["reason"] == "escalation:EmptyAnswerError"
    stream = make_openai().stream_events("Hi", version="v3")
    assert record_of(stream.output)["reason"] == "escalation:EmptyAnswerError"
    server.script(Step(body="data: [DONE]\n\n", headers=sse))
    with pytest.raises(ValueError, match="No generation chunks"):
        list(make_openai().stream("Prove it"))


@pytest.mark.parametrize("cut_after", [2, 3])
def test_a_stream_cut_after_its_first_word_ends_in_the_error(
    make_openai: MakeOpenAI, server: OpenAIServer, cut_after: int
) -> None:
    server.script(Step(text="one two three", cut_after=cut_after))
    stream = make_openai().stream("Hi")
    seen = [next(stream).text for _ in range(cut_after)]
    with pytest.raises(Exception, match=r"peer closed|incomplete"):
        list(stream)
    assert "".join(seen) == "one two "[: 4 * (cut_after - 1)]
    assert server.models_asked() == ["gpt-4o-mini"]


async def test_a_cancelled_stream_closes_its_connection(
    make_openai: MakeOpenAI, server: OpenAIServer
) -> None:
    import asyncio

    server.script(Step(text="word " * 200, piece_delay_s=0.01))
    stream = make_openai().astream("Hi")
    await anext(stream)
    await stream.aclose()
    for _ in range(200):
        if server.requests[0].ended_s is not None:
            break
        await asyncio.sleep(0.005)
    assert server.requests[0].ended_s is not None
    assert not server.requests[0].whole


def test_usage_of_streams_is_asked_for_by_the_call(
    make_openai: MakeOpenAI, server: OpenAIServer
) -> None:
    chunks = list(make_openai().stream("Hi", stream_usage=True))
    assert sum(chunk.usage_metadata is not None for chunk in chunks) == 1


def test_ten_steps_of_an_agent_send_the_tools_alike(
    make_openai: MakeOpenAI, server: OpenAIServer, router: ScriptedRouter
) -> None:
    call = ("get_weather", {"city": "Lisbon"})
    server.script(*[Step(tool_calls=(call,))] * 9, Step(text="Done."))
    agent = create_agent(make_openai(), tools=[get_weather])
    assert agent.invoke(ask("Hi"))["messages"][-1].text == "Done."
    assert server.models_asked() == ["gpt-4o-mini"] * 10
    assert len({str(request.body["tools"]) for request in server.requests}) == 1
    assert router.prompts == ["Hi"]


def test_a_message_object_may_be_asked_too(make_openai: MakeOpenAI) -> None:
    agent = create_agent(make_openai(), tools=[], system_prompt="Prove nothing.")
    answer = agent.invoke({"messages": [HumanMessage("Hi")]})["messages"][-1]
    assert record_of(answer)["route"] == "weak"


@pytest.mark.parametrize("provider", ["openai", "elsewhere"])
def test_summarization_trusts_the_tokens_that_either_model_reports(
    make_openai: MakeOpenAI, provider: str
) -> None:
    routed = make_openai()
    usage = {"input_tokens": 9_000, "output_tokens": 1, "total_tokens": 9_001}
    metadata = {"model_provider": provider}
    said = AIMessage("Short.", usage_metadata=usage, response_metadata=metadata)
    state = {"messages": [HumanMessage("Hi"), said, HumanMessage("And?")]}

    def summarizes(model: Any) -> bool:
        middleware = SummarizationMiddleware(model, trigger=("tokens", 8_000), keep=("messages", 1))
        return middleware.before_model(state, Runtime()) is not None

    assert summarizes(routed) is summarizes(routed._backing().strong) is (provider == "openai")
