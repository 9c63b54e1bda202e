"""Models without a network and models behind a loopback server, for the tests of `RoutedLLM`."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

# Before anything imports LiteLLM, which would otherwise ask the network for its price table.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")

from llama_index.core import Settings
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    LLMMetadata,
)
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.llms import LLM
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.llms.function_calling import FunctionCallingLLM

from llamaindex_routellm import RoutedLLM
from routellm_core.testing import OpenAIServer, ScriptedRouter
from tests.litellm_clients import close_litellm_clients

HARD, EASY = "Prove that 7 is odd.", "What is 7 + 5?"


class SayingLLM(FunctionCallingLLM):
    """Say the same words to everything, and fail where a test says so."""

    model: str = "saying"
    words: str = "One two three."
    window: int = 4096
    output: int = 256
    is_chat: bool = True
    calls_functions: bool = True
    error: Any = None
    """Raised instead of an answer; in a stream before chunk number `fails_at`."""
    fails_at: int = 0
    raw: Any = None

    _asked: list[tuple[str, Any]] = PrivateAttr(default_factory=list)
    _open: list[int] = PrivateAttr(default_factory=lambda: [0])

    @property
    def asked(self) -> list[str]:
        """The methods that were called, in order."""
        return [method for method, _ in self._asked]

    @property
    def heard(self) -> list[Any]:
        """What was passed to each, in order."""
        return [said for _, said in self._asked]

    @property
    def n_open(self) -> int:
        """Streams that began and did not end."""
        return self._open[0]

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(
            context_window=self.window,
            num_output=self.output,
            is_chat_model=self.is_chat,
            is_function_calling_model=self.calls_functions,
            model_name=self.model,
        )

    def _chunks(self, make: Callable[[str, str], Any]) -> Iterator[Any]:
        self._open[0] += 1
        try:
            said = ""
            pieces = self.words.split(" ") if self.words else []
            for number, piece in enumerate([*pieces, ""]):
                if self.error is not None and number == self.fails_at:
                    raise self.error
                if number < len(pieces):
                    said += piece
                    yield make(said, piece)
        finally:
            self._open[0] -= 1

    def _answer(self, make: Callable[[str, str], Any]) -> Any:
        if self.error is not None:
            raise self.error
        return make(self.words, self.words)

    def _chat_response(self, said: str, delta: str) -> ChatResponse:
        message = ChatMessage(said, role="assistant")
        return ChatResponse(message=message, delta=delta, raw=self.raw)

    def _completion(self, said: str, delta: str) -> CompletionResponse:
        return CompletionResponse(text=said, delta=delta, raw=self.raw)

    @llm_chat_callback()
    def chat(self, messages, **kwargs):
        self._asked.append(("chat", messages))
        return self._answer(self._chat_response)

    @llm_chat_callback()
    async def achat(self, messages, **kwargs):
        self._asked.append(("achat", messages))
        return self._answer(self._chat_response)

    @llm_chat_callback()
    def stream_chat(self, messages, **kwargs):
        self._asked.append(("stream_chat", messages))
        return (chunk for chunk in self._chunks(self._chat_response))

    @llm_chat_callback()
    async def astream_chat(self, messages, **kwargs):
        self._asked.append(("astream_chat", messages))
        return slowly(self._chunks(self._chat_response))

    @llm_completion_callback()
    def complete(self, prompt, formatted=False, **kwargs):
        self._asked.append(("complete", (prompt, formatted)))
        return self._answer(self._completion)

    @llm_completion_callback()
    async def acomplete(self, prompt, formatted=False, **kwargs):
        self._asked.append(("acomplete", (prompt, formatted)))
        return self._answer(self._completion)

    @llm_completion_callback()
    def stream_complete(self, prompt, formatted=False, **kwargs):
        self._asked.append(("stream_complete", (prompt, formatted)))
        return (chunk for chunk in self._chunks(self._completion))

    @llm_completion_callback()
    async def astream_complete(self, prompt, formatted=False, **kwargs):
        self._asked.append(("astream_complete", (prompt, formatted)))
        return slowly(self._chunks(self._completion))

    def _prepare_chat_with_tools(
        self, tools, user_msg=None, chat_history=None, **kwargs
    ) -> dict[str, Any]:
        # As OpenAI's and LiteLLM's do: the caller's list grows.
        messages = chat_history if chat_history is not None else []
        if user_msg:
            messages.append(ChatMessage(user_msg) if isinstance(user_msg, str) else user_msg)
        return {"messages": messages}

    def get_tool_calls_from_response(self, response, error_on_no_tool_call=True, **kwargs):
        self._asked.append(("get_tool_calls_from_response", response))
        return []


async def slowly(chunks: Iterator[Any]) -> Any:
    import asyncio

    try:
        for chunk in chunks:
            await asyncio.sleep(0)
            yield chunk
    finally:
        chunks.close()  # type: ignore[attr-defined]


@pytest.fixture
def saying() -> type[SayingLLM]:
    return SayingLLM


@pytest.fixture
def strong() -> SayingLLM:
    return SayingLLM(model="big", words="I am the big one.")


@pytest.fixture
def weak() -> SayingLLM:
    return SayingLLM(model="small", words="I am small.")


@pytest.fixture
def router() -> ScriptedRouter:
    return ScriptedRouter({HARD: 0.9})


@pytest.fixture
def llm(strong: SayingLLM, weak: SayingLLM, router: ScriptedRouter) -> RoutedLLM:
    return RoutedLLM(strong=strong, weak=weak, router=router, threshold=0.5)


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer(strict=True) as server:
        yield server


def openai_like(server: OpenAIServer, model: str, **options: Any) -> LLM:
    from llama_index.llms.openai_like import OpenAILike

    defaults: dict[str, Any] = {
        "api_base": server.base_url,
        "api_key": "sk-loopback",
        "is_chat_model": True,
        "is_function_calling_model": True,
        "context_window": 16_000,
        "max_retries": 0,
        "timeout": 20.0,
    }
    return OpenAILike(model=model, **{**defaults, **options})


def litellm(server: OpenAIServer, model: str, **options: Any) -> LLM:
    from llama_index.llms.litellm import LiteLLM

    return LiteLLM(
        model=f"openai/{model}",
        api_base=server.base_url,
        api_key="sk-loopback",
        max_retries=1,
        **options,
    )


Maker = Callable[..., LLM]


@pytest.fixture
async def makers() -> AsyncIterator[dict[str, Maker]]:
    """How to make a model that a server answers; connections are closed in the end."""
    made: list[LLM] = []

    def kept(make: Maker) -> Maker:
        def make_and_keep(*arguments: Any, **options: Any) -> LLM:
            made.append(make(*arguments, **options))
            return made[-1]

        return make_and_keep

    yield {"OpenAILike": kept(openai_like), "LiteLLM": kept(litellm)}
    for model in made:
        await close(model)


async def close(model: LLM) -> None:
    if getattr(model, "_client", None) is not None:
        model._client.close()
    if getattr(model, "_aclient", None) is not None:
        await model._aclient.close()
    await close_litellm_clients()


@pytest.fixture
def routed(server: OpenAIServer, makers: dict[str, Maker], router: ScriptedRouter) -> RoutedLLM:
    """Two models behind the server."""
    return RoutedLLM(
        strong=makers["OpenAILike"](server, "gpt-4o"),
        weak=makers["OpenAILike"](server, "gpt-4o-mini"),
        router=router,
        threshold=0.5,
    )


@pytest.fixture
def collected() -> Iterator[None]:
    """Let what a test leaves behind warn in this test, which knows about it."""
    yield
    gc.collect()


@pytest.fixture
def current_loop() -> Iterator[None]:
    """A current event loop.

    Without one LlamaIndex runs every evaluation in a new loop, and its models' connections stay in
    the one before, which is closed by then.
    """
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    gc.collect()
    loop.run_until_complete(asyncio.sleep(0.05))  # what is being closed closes now
    loop.close()
    asyncio.set_event_loop(None)


@pytest.fixture(autouse=True)
def settings() -> Iterator[None]:
    """Give every test the same `Settings`, and leave none behind."""
    before = dict(vars(Settings))
    Settings.embed_model = MockEmbedding(embed_dim=4)
    yield
    vars(Settings).clear()
    vars(Settings).update(before)
