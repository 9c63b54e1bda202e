"""Real clients against the server, as their users write them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from openai import APIError, AsyncOpenAI, AuthenticationError, NotFoundError, OpenAI
from pydantic import BaseModel

from routellm_core._litellm import import_litellm
from routellm_core.testing import OpenAIServer, Step
from tests.server.conftest import EASY, HARD, KEY, Served

pytestmark = pytest.mark.loopback

SAID: list[Any] = [{"role": "user", "content": HARD}]
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


class City(BaseModel):
    """A city."""

    name: str
    people: int


@pytest.fixture
def client(served: Served) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{served.url}/v1", api_key=KEY, max_retries=0) as client:
        yield client


def test_openai_asks_and_streams(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="router-mf-0.5", messages=SAID)
    assert answer.choices[0].message.content == f"big heard: {HARD}"
    with client.chat.completions.create(
        model="auto", messages=SAID, stream=True, stream_options={"include_usage": True}
    ) as stream:
        chunks = list(stream)
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices).startswith("big")
    assert chunks[-1].usage is not None


def test_openai_reads_the_decision_from_headers_and_body(client: OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model="auto", messages=SAID, extra_body={"routellm": {"decision": True}}
    )
    assert raw.headers["x-routellm-route"] == "strong"
    answer: Any = raw.parse()
    assert answer.routellm["win_rate"] == 0.9


def test_openai_calls_tools_whole_and_streamed(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="auto", messages=SAID, tools=[TOOL])
    assert answer.choices[0].message.tool_calls[0].function.name == "weather"  # type: ignore[index,union-attr]
    with client.chat.completions.stream(model="auto", messages=SAID, tools=[TOOL]) as stream:
        final = stream.get_final_completion()
    assert json.loads(final.choices[0].message.tool_calls[0].function.arguments)  # type: ignore[index]


def test_openai_fills_a_schema(client: OpenAI) -> None:
    parsed = client.chat.completions.parse(model="auto", messages=SAID, response_format=City)
    assert isinstance(parsed.choices[0].message.parsed, City)
    answer = client.chat.completions.create(
        model="auto", messages=SAID, response_format={"type": "json_object"}
    )
    assert json.loads(answer.choices[0].message.content or "")


def test_openai_lists_models(client: OpenAI) -> None:
    assert [model.id for model in client.models.list()][:3] == ["auto", "big", "small"]
    assert client.models.retrieve("auto").owned_by == "routellm"


def test_openai_understands_the_servers_errors(
    client: OpenAI, served: Served, upstream: OpenAIServer
) -> None:
    with pytest.raises(NotFoundError, match="is not served"):
        client.chat.completions.create(model="gpt-9", messages=SAID)
    with pytest.raises(AuthenticationError, match="valid key"):
        client.with_options(api_key="wrong").models.list()
    upstream.script(Step(pieces=("a", "b", "c"), cut_after=3))
    with pytest.raises(APIError, match="cannot be reached"):
        list(client.chat.completions.create(model="auto", messages=SAID, stream=True))


async def test_openai_async_asks_and_streams(served: Served) -> None:
    async with AsyncOpenAI(base_url=f"{served.url}/v1", api_key=KEY) as client:
        answer = await client.chat.completions.create(model="auto", messages=SAID)
        assert answer.model == "big"
        stream = await client.chat.completions.create(model="auto", messages=SAID, stream=True)
        said = [chunk.choices[0].delta.content or "" async for chunk in stream]
        assert "".join(said) == f"big heard: {HARD}"


async def test_langchain_talks_to_it(served: Served) -> None:
    openai = pytest.importorskip("langchain_openai")
    async with httpx.AsyncClient() as http:
        await langchain_asks(
            openai.ChatOpenAI(
                model="auto", base_url=f"{served.url}/v1", api_key=KEY, http_async_client=http
            )
        )


async def langchain_asks(llm: Any) -> None:
    answer = llm.invoke(EASY)
    assert answer.content == "small heard: Hello!"
    assert answer.response_metadata["model_name"] == "small"
    assert "".join(chunk.content for chunk in llm.stream(HARD)) == f"big heard: {HARD}"
    assert (await llm.ainvoke(HARD)).content == f"big heard: {HARD}"
    assert llm.bind_tools([TOOL]).invoke(HARD).tool_calls[0]["name"] == "weather"
    assert isinstance(llm.with_structured_output(City).invoke(HARD), City)


async def test_llama_index_talks_to_it(served: Served) -> None:
    module = pytest.importorskip("llama_index.llms.openai_like")
    async with httpx.AsyncClient() as http:
        await llama_index_asks(
            module.OpenAILike(
                model="auto",
                api_base=f"{served.url}/v1",
                api_key=KEY,
                is_chat_model=True,
                async_http_client=http,
            )
        )


async def llama_index_asks(llm: Any) -> None:
    assert llm.complete(EASY).text == "small heard: Hello!"
    *_, last = llm.stream_complete(HARD)
    assert last.text == f"big heard: {HARD}"
    assert (await llm.acomplete(HARD)).text == f"big heard: {HARD}"


def test_litellm_talks_to_it(served: Served) -> None:
    litellm = import_litellm()
    reach = {"api_base": f"{served.url}/v1", "api_key": KEY, "model": "openai/router-mf-0.5"}
    answer = litellm.completion(**reach, messages=SAID)
    assert answer.choices[0].message.content == f"big heard: {HARD}"
    chunks = litellm.completion(**reach, messages=SAID, stream=True)
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert said == f"big heard: {HARD}"
    called = litellm.completion(**reach, messages=SAID, tools=[TOOL])
    assert called.choices[0].message.tool_calls[0].function.name == "weather"
