"""Every way into a routed model, one entry each: how to ask, and what came back as text."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from langchain.agents import create_agent
from langchain_core.messages import HumanMessage
from llama_index.core import PromptTemplate
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool

from langchain_routellm import RoutingMiddleware
from tests.faults.applications import Application

__all__ = ["WAYS", "Way"]

Ask = Callable[[Any, str], Awaitable[str]]


@dataclass(frozen=True)
class Way:
    """One entry point."""

    application: str
    """"langchain", "llamaindex", "controller" or "server"."""
    name: str
    ask: Ask
    """Sends a text through an application's routed model; returns the answer's words."""
    is_async: bool
    streams: bool

    async def __call__(self, app: Application, text: str) -> str:
        app.n_asked += 1
        return await self.ask(app.model, text)

    def __str__(self) -> str:
        return f"{self.application}-{self.name}"


WAYS: list[Way] = []


def way(application: str, *, is_async: bool = False, streams: bool = False) -> Any:
    def register(ask: Any) -> Any:
        async def in_thread(model: Any, text: str) -> str:
            # As a program without an event loop would.
            return str(await asyncio.to_thread(ask, model, text))

        name = ask.__name__.removeprefix(f"{application}_")
        WAYS.append(Way(application, name, ask if is_async else in_thread, is_async, streams))
        return ask

    return register


# LangChain


def said(text: str) -> list[HumanMessage]:
    return [HumanMessage(text)]


def get_weather(city: str) -> str:
    """Get the weather of a city."""
    return city


@way("langchain")
def langchain_invoke(model: Any, text: str) -> str:
    return model.invoke(text).text


@way("langchain", is_async=True)
async def langchain_ainvoke(model: Any, text: str) -> str:
    return (await model.ainvoke(text)).text


@way("langchain")
def langchain_batch(model: Any, text: str) -> str:
    return model.batch([text])[0].text


@way("langchain", is_async=True)
async def langchain_abatch(model: Any, text: str) -> str:
    return (await model.abatch([text]))[0].text


@way("langchain")
def langchain_batch_as_completed(model: Any, text: str) -> str:
    [(_, answer)] = model.batch_as_completed([text])
    return answer.text


@way("langchain", is_async=True)
async def langchain_abatch_as_completed(model: Any, text: str) -> str:
    [answer] = [answer async for _, answer in model.abatch_as_completed([text])]
    return answer.text


@way("langchain")
def langchain_generate(model: Any, text: str) -> str:
    return model.generate([said(text)]).generations[0][0].text


@way("langchain", is_async=True)
async def langchain_agenerate(model: Any, text: str) -> str:
    return (await model.agenerate([said(text)])).generations[0][0].text


@way("langchain")
def langchain_hook_generate(model: Any, text: str) -> str:
    return model._generate(said(text)).generations[0].text


@way("langchain", is_async=True)
async def langchain_hook_agenerate(model: Any, text: str) -> str:
    return (await model._agenerate(said(text))).generations[0].text


@way("langchain", streams=True)
def langchain_stream(model: Any, text: str) -> str:
    return "".join(chunk.text for chunk in model.stream(text))


@way("langchain", is_async=True, streams=True)
async def langchain_astream(model: Any, text: str) -> str:
    async with aclosing(model.astream(text)) as chunks:
        return "".join([chunk.text async for chunk in chunks])


@way("langchain", streams=True)
def langchain_stream_events_v3(model: Any, text: str) -> str:
    return model.stream_events(text, version="v3").output.text


@way("langchain", is_async=True, streams=True)
async def langchain_astream_events_v3(model: Any, text: str) -> str:
    return (await (await model.astream_events(text, version="v3")).output).text


@way("langchain", is_async=True, streams=True)
async def langchain_astream_events_v2(model: Any, text: str) -> str:
    async with aclosing(model.astream_events(text, version="v2")) as events:
        pieces = [
            event["data"]["chunk"].text
            async for event in events
            if event["event"] == "on_chat_model_stream"
        ]
    return "".join(pieces)


@way("langchain")
def langchain_tools_invoke(model: Any, text: str) -> str:
    return model.bind_tools([get_weather], tool_choice="none").invoke(text).text


@way("langchain", is_async=True)
async def langchain_tools_ainvoke(model: Any, text: str) -> str:
    return (await model.bind_tools([get_weather], tool_choice="none").ainvoke(text)).text


@way("langchain")
def langchain_agent(model: Any, text: str) -> str:
    return create_agent(model).invoke({"messages": said(text)})["messages"][-1].text


@way("langchain", is_async=True)
async def langchain_async_agent(model: Any, text: str) -> str:
    return (await create_agent(model).ainvoke({"messages": said(text)}))["messages"][-1].text


def behind_middleware(model: Any) -> Any:
    middleware = RoutingMiddleware(
        strong=model.strong, weak=model.weak, router="random", threshold=0.5
    )
    middleware.routed = model
    return create_agent(model.strong, middleware=[middleware])


@way("langchain")
def langchain_middleware(model: Any, text: str) -> str:
    return behind_middleware(model).invoke({"messages": said(text)})["messages"][-1].text


@way("langchain", is_async=True)
async def langchain_async_middleware(model: Any, text: str) -> str:
    state = await behind_middleware(model).ainvoke({"messages": said(text)})
    return state["messages"][-1].text


# LlamaIndex

TEMPLATE = PromptTemplate("{text}")
TOOLS = [FunctionTool.from_defaults(get_weather)]


def message(text: str) -> list[ChatMessage]:
    return [ChatMessage(content=text)]


@way("llamaindex")
def llamaindex_complete(model: Any, text: str) -> str:
    return model.complete(text).text


@way("llamaindex", is_async=True)
async def llamaindex_acomplete(model: Any, text: str) -> str:
    return (await model.acomplete(text)).text


@way("llamaindex", streams=True)
def llamaindex_stream_complete(model: Any, text: str) -> str:
    return "".join(chunk.delta or "" for chunk in model.stream_complete(text))


@way("llamaindex", is_async=True, streams=True)
async def llamaindex_astream_complete(model: Any, text: str) -> str:
    async with aclosing(await model.astream_complete(text)) as chunks:
        return "".join([chunk.delta or "" async for chunk in chunks])


@way("llamaindex")
def llamaindex_chat(model: Any, text: str) -> str:
    return model.chat(message(text)).message.content


@way("llamaindex", is_async=True)
async def llamaindex_achat(model: Any, text: str) -> str:
    return (await model.achat(message(text))).message.content


@way("llamaindex", streams=True)
def llamaindex_stream_chat(model: Any, text: str) -> str:
    return "".join(chunk.delta or "" for chunk in model.stream_chat(message(text)))


@way("llamaindex", is_async=True, streams=True)
async def llamaindex_astream_chat(model: Any, text: str) -> str:
    async with aclosing(await model.astream_chat(message(text))) as chunks:
        return "".join([chunk.delta or "" async for chunk in chunks])


@way("llamaindex")
def llamaindex_predict(model: Any, text: str) -> str:
    return model.predict(TEMPLATE, text=text)


@way("llamaindex", is_async=True)
async def llamaindex_apredict(model: Any, text: str) -> str:
    return await model.apredict(TEMPLATE, text=text)


@way("llamaindex", streams=True)
def llamaindex_stream(model: Any, text: str) -> str:
    return "".join(model.stream(TEMPLATE, text=text))


@way("llamaindex", is_async=True, streams=True)
async def llamaindex_astream(model: Any, text: str) -> str:
    async with aclosing(await model.astream(TEMPLATE, text=text)) as tokens:
        return "".join([token async for token in tokens])


@way("llamaindex")
def llamaindex_chat_with_tools(model: Any, text: str) -> str:
    return model.chat_with_tools(TOOLS, user_msg=text, tool_choice="none").message.content


@way("llamaindex", is_async=True)
async def llamaindex_achat_with_tools(model: Any, text: str) -> str:
    answer = await model.achat_with_tools(TOOLS, user_msg=text, tool_choice="none")
    return answer.message.content


@way("llamaindex", streams=True)
def llamaindex_stream_chat_with_tools(model: Any, text: str) -> str:
    chunks = model.stream_chat_with_tools(TOOLS, user_msg=text, tool_choice="none")
    return "".join(chunk.delta or "" for chunk in chunks)


@way("llamaindex", is_async=True, streams=True)
async def llamaindex_astream_chat_with_tools(model: Any, text: str) -> str:
    stream = await model.astream_chat_with_tools(TOOLS, user_msg=text, tool_choice="none")
    async with aclosing(stream) as chunks:
        return "".join([chunk.delta or "" async for chunk in chunks])


# The Controller


def request(text: str, **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": text}]
    return {"model": "auto", "messages": messages, "max_retries": 0, "num_retries": 0, **more}


def words(chunk: Any) -> str:
    return (chunk.choices[0].delta.content or "") if chunk.choices else ""


@way("controller")
def controller_completion(model: Any, text: str) -> str:
    return model.completion(**request(text)).choices[0].message.content


@way("controller", is_async=True)
async def controller_acompletion(model: Any, text: str) -> str:
    return (await model.acompletion(**request(text))).choices[0].message.content


@way("controller")
def controller_chat_completions(model: Any, text: str) -> str:
    return model.chat.completions.create(**request(text)).choices[0].message.content


@way("controller", streams=True)
def controller_stream(model: Any, text: str) -> str:
    return "".join(words(chunk) for chunk in model.completion(**request(text, stream=True)))


@way("controller", is_async=True, streams=True)
async def controller_astream(model: Any, text: str) -> str:
    async with await model.acompletion(**request(text, stream=True)) as chunks:
        return "".join([words(chunk) async for chunk in chunks])


# The server, through the client that people have


@way("server", is_async=True)
async def server_chat(client: Any, text: str) -> str:
    answer = await client.chat.completions.create(
        model="auto", messages=[{"role": "user", "content": text}]
    )
    return answer.choices[0].message.content


@way("server", is_async=True, streams=True)
async def server_stream(client: Any, text: str) -> str:
    chunks = await client.chat.completions.create(
        model="auto", messages=[{"role": "user", "content": text}], stream=True
    )
    async with chunks:
        return "".join([words(chunk) async for chunk in chunks])
