"""Chat models without a network, that remember what they were asked."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    HumanMessage,
    ToolMessage,
)
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import ConfigDict, Field, SecretStr

from langchain_routellm import RoutedChatModel
from routellm_core.testing import OpenAIServer, ScriptedRouter, Step
from routellm_core.testing.openai_answers import answer_request

# Otherwise LiteLLM asks the network for prices when it is imported.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")


class FakeChatModel(BaseChatModel):
    """Answer as the loopback server does, or as scripted, and remember every call."""

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    model: str = "fake"
    temperature: float | None = None
    max_tokens: int | None = None
    timeout: float | None = None
    max_retries: int | None = None
    stop: list[str] | None = None
    streaming: bool | None = None
    api_key: SecretStr | None = None
    script: list[Any] = Field(default_factory=list)
    """For each call: an error to raise, a `Step`, or the chunks of a stream and errors in it."""
    calls: list[dict[str, Any]] = Field(default_factory=list)
    closed: list[bool] = Field(default_factory=list)
    """Whether each stream ended by being closed early."""

    @property
    def _llm_type(self) -> str:
        return "fake"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": self.model, "temperature": self.temperature, "stop": self.stop}

    def bind_tools(
        self, tools: Sequence[Any], *, tool_choice: Any = None, **kwargs: Any
    ) -> Runnable[Any, AIMessage]:
        wanted = "required" if tool_choice in ("any", True) else tool_choice
        if isinstance(wanted, str) and wanted not in ("required", "auto", "none"):
            wanted = {"type": "function", "function": {"name": wanted}}
        if wanted is not None:
            kwargs["tool_choice"] = wanted
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **kwargs)

    def _answer(self, messages: list[BaseMessage], kwargs: dict[str, Any]) -> AIMessage:
        self.calls.append({"messages": messages, **kwargs})
        step = self.script.pop(0) if self.script else Step()
        if isinstance(step, BaseException):
            raise step
        request = {
            "model": kwargs.get("model", self.model),
            "messages": [
                {"role": ROLES.get(message.type, "system"), "content": words_of(message)}
                for message in messages
            ],
            "tools": kwargs.get("tools"),
            "tool_choice": kwargs.get("tool_choice"),
        }
        answer = answer_request(request, step)
        return AIMessage(
            answer.text,
            tool_calls=[
                {"id": call.identity, "name": call.name, "args": json.loads(call.arguments)}
                for call in answer.tool_calls
            ],
            response_metadata={"model_name": answer.model},
            usage_metadata={"input_tokens": 4, "output_tokens": 4, "total_tokens": 8},
        )

    def _generate(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        message = self._answer(messages, {**kwargs, "stop": stop})
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        if self.script and isinstance(self.script[0], list):
            self.calls.append({"messages": messages, **kwargs, "stop": stop})
            yield from self._scripted(self.script.pop(0))
            return
        message = self._answer(messages, {**kwargs, "stop": stop})
        try:
            for piece in str(message.content).split(" ") if message.content else []:
                yield chunk_of(piece + " ")
            yield ChatGenerationChunk(
                message=AIMessageChunk(
                    "",
                    tool_call_chunks=[
                        {
                            "id": call["id"],
                            "name": call["name"],
                            "args": json.dumps(call["args"]),
                            "index": index,
                        }
                        for index, call in enumerate(message.tool_calls)
                    ],
                    response_metadata=message.response_metadata,
                    usage_metadata=message.usage_metadata,
                )
            )
        except GeneratorExit:
            self.closed.append(True)
            raise

    def _scripted(self, parts: list[Any]) -> Iterator[ChatGenerationChunk]:
        for part in parts:
            if isinstance(part, BaseException):
                raise part
            yield chunk_of(part) if isinstance(part, str) else ChatGenerationChunk(message=part)


ROLES = {"human": "user", "ai": "assistant", "tool": "tool"}


def words_of(message: BaseMessage) -> str:
    if isinstance(message.content, str):
        return message.content
    texts = [b if isinstance(b, str) else str(b.get("text", "")) for b in message.content]
    return "\n".join(texts)


def chunk_of(text: str) -> ChatGenerationChunk:
    return ChatGenerationChunk(message=AIMessageChunk(text))


@pytest.fixture(scope="session")
def fake() -> type[FakeChatModel]:
    return FakeChatModel


@pytest.fixture
def router() -> ScriptedRouter:
    """Hard prompts begin with "Prove"; everything else is easy."""

    class ProveRouter(ScriptedRouter):
        """Score by the first word."""

        def _win_rates(self, prompts: Sequence[str]) -> Any:
            self.table = {prompt: 0.9 for prompt in prompts if prompt.startswith("Prove")}
            return super()._win_rates(prompts)

    return ProveRouter(default=0.1)


@pytest.fixture
def make(router: ScriptedRouter) -> Callable[..., RoutedChatModel]:
    """Return a factory of routed fakes; `strong` and `weak` may be given as scripts."""

    def make(strong: Any = (), weak: Any = (), **arguments: Any) -> RoutedChatModel:
        models = {
            role: FakeChatModel(model=role, script=list(value))
            if isinstance(value, (list, tuple))
            else value
            for role, value in (("strong", strong), ("weak", weak))
        }
        return RoutedChatModel(**{**models, "router": router, "threshold": 0.5, **arguments})

    return make


@pytest.fixture(scope="session")
def openai_server() -> Iterator[OpenAIServer]:
    with OpenAIServer() as server:
        yield server


@pytest.fixture
def server(openai_server: OpenAIServer) -> OpenAIServer:
    """Return the loopback server without any earlier requests or steps."""
    openai_server.reset()
    return openai_server


@pytest.fixture
def make_openai(server: OpenAIServer, router: ScriptedRouter) -> Callable[..., RoutedChatModel]:
    """Return a factory of models routed between two of the loopback server's."""

    def make_openai(**arguments: Any) -> RoutedChatModel:
        settings = {"base_url": server.base_url, "api_key": "test", "max_retries": 0}
        pair = {"strong": "openai:gpt-4o", "weak": "openai:gpt-4o-mini"}
        return RoutedChatModel(
            **{**pair, **settings, "router": router, "threshold": 0.5, **arguments}
        )

    return make_openai


@pytest.fixture
def tool_turn() -> list[BaseMessage]:
    """A user's question, the tool call that answered it, and the tool's result."""
    call = {"name": "add", "args": {"a": 1, "b": 2}, "id": "1", "type": "tool_call"}
    return [
        HumanMessage("What is 1 + 2?"),
        AIMessage("", tool_calls=[call]),
        ToolMessage("3", tool_call_id="1"),
    ]


@pytest.fixture
def benchmark(benchmark: Any) -> Any:
    """Run what LangChain's tests would time, once: times are measured in `benchmarks/`."""
    benchmark.disabled = True
    return benchmark


SKIPPED: dict[str, set[str]] = {}
"""Names of the standard tests that were skipped, by test class."""
RAN: dict[str, set[str]] = {}


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Any:
    outcome = yield
    report = outcome.get_result()
    cls = getattr(item, "cls", None)
    if cls is None:
        return
    RAN.setdefault(cls.__name__, set()).add(item.name)
    if report.skipped and not hasattr(report, "wasxfail"):
        SKIPPED.setdefault(cls.__name__, set()).add(item.name)


@pytest.fixture
def skipped() -> dict[str, set[str]]:
    return SKIPPED


@pytest.fixture
def ran() -> dict[str, set[str]]:
    return RAN
