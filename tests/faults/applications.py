"""One question, asked through each of the ways in: LangChain, LlamaIndex and the Controller."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

# Otherwise LiteLLM asks the network for prices when it is imported.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")

from langchain_openai import ChatOpenAI
from llama_index.llms.openai_like import OpenAILike

from langchain_routellm import RoutedChatModel
from llamaindex_routellm import RoutedLLM
from routellm_core import CallRecord, Monitor, Price
from routellm_core.controller import Controller
from routellm_core.testing import FaultServer, ScriptedRouter

EASY, HARD = "Hello!", "Prove it."
KEY = "sk-secret-of-the-provider-0123456789"
PRICES = {"big": Price("big", 1e-5, 3e-5), "small": Price("small", 1e-6, 3e-6)}
PRICES |= {f"openai/{name}": price for name, price in PRICES.items()}


def router() -> ScriptedRouter:
    return ScriptedRouter({HARD: 0.9}, default=0.1)


@dataclass
class Answered:
    """An answer: its words, its decision, and where they came from."""

    text: str
    route: str
    reason: str


class Application:
    """Ask a routed model that is served by a `FaultServer`."""

    name: str

    def __init__(self, server: FaultServer, **options: Any) -> None:
        self.server = server
        self.n_asked = 0
        self.records: list[CallRecord] = []
        self.monitor = Monitor(self.records.append, prices=PRICES)
        self.timeout_s: float = options.pop("timeout_s", 5.0)
        self.http_clients: dict[str, Any] = options.pop("http_clients", {})
        self.base_urls = {
            "strong": options.pop("strong_url", server.base_url),
            "weak": options.pop("weak_url", server.base_url),
        }
        self.model = self._make(
            **{
                "router": router(),
                "threshold": 0.5,
                "monitor": self.monitor,
                **options,
            }
        )

    def _make(self, **options: Any) -> Any:
        raise NotImplementedError

    def ask(self, text: str = EASY) -> Answered:
        raise NotImplementedError

    async def aask(self, text: str = EASY) -> Answered:
        raise NotImplementedError

    def stream(self, text: str = EASY) -> list[str]:
        """Return the pieces of a streamed answer."""
        pieces: list[str] = []
        self.stream_into(pieces, text)
        return pieces

    def stream_into(self, pieces: list[str], text: str = EASY) -> None:
        """Append pieces as they come, so that an error leaves what came before."""
        raise NotImplementedError

    def astream(self, text: str = EASY) -> AsyncIterator[str]:
        raise NotImplementedError

    def record(self) -> CallRecord:
        """Return the latest call's record."""
        assert self.monitor.flush()
        return self.records[-1]

    def asked(self) -> list[str]:
        return [name.removeprefix("openai/") for name in self.server.models_asked()]


class LangChainApplication(Application):
    name = "langchain"

    def _make(self, **options: Any) -> RoutedChatModel:
        models = {
            route: ChatOpenAI(
                model=model,
                base_url=self.base_urls[route],
                api_key=KEY,
                max_retries=0,
                timeout=self.timeout_s,
                stream_usage=True,
                **self.http_clients,
            )
            for route, model in (("strong", "big"), ("weak", "small"))
        }
        return RoutedChatModel(**models, **options)

    def ask(self, text: str = EASY) -> Answered:
        return self._answered(self.model.invoke(text))

    async def aask(self, text: str = EASY) -> Answered:
        return self._answered(await self.model.ainvoke(text))

    def stream_into(self, pieces: list[str], text: str = EASY) -> None:
        for chunk in self.model.stream(text):
            if chunk.text:
                pieces.append(chunk.text)

    async def astream(self, text: str = EASY) -> AsyncIterator[str]:
        async with aclosing(self.model.astream(text)) as chunks:
            async for chunk in chunks:
                if chunk.text:
                    yield chunk.text

    @staticmethod
    def _answered(answer: Any) -> Answered:
        record = answer.response_metadata["routellm"]
        return Answered(answer.text, record["route"], record["reason"])


class LlamaIndexApplication(Application):
    name = "llamaindex"

    def _make(self, **options: Any) -> RoutedLLM:
        models = {
            route: OpenAILike(
                model=model,
                api_base=self.base_urls[route],
                api_key=KEY,
                max_retries=0,
                timeout=self.timeout_s,
                is_chat_model=True,
                is_function_calling_model=True,
                context_window=8000,
                additional_kwargs={},
            )
            for route, model in (("strong", "big"), ("weak", "small"))
        }
        return RoutedLLM(**models, **options)

    def ask(self, text: str = EASY) -> Answered:
        return self._answered(self.model.complete(text))

    async def aask(self, text: str = EASY) -> Answered:
        return self._answered(await self.model.acomplete(text))

    def stream_into(self, pieces: list[str], text: str = EASY) -> None:
        for chunk in self.model.stream_complete(text):
            if chunk.delta:
                pieces.append(chunk.delta)

    async def astream(self, text: str = EASY) -> AsyncIterator[str]:
        async with aclosing(await self.model.astream_complete(text)) as chunks:
            async for chunk in chunks:
                if chunk.delta:
                    yield chunk.delta

    @staticmethod
    def _answered(answer: Any) -> Answered:
        record = answer.additional_kwargs["routellm"]
        return Answered(answer.text, record["route"], record["reason"])


class ControllerApplication(Application):
    name = "controller"

    def _make(self, **options: Any) -> Controller:
        scored = options.pop("router")
        return Controller(
            routers={"mf": scored},
            strong_model="openai/big",
            weak_model="openai/small",
            strong_api_base=self.base_urls["strong"],
            weak_api_base=self.base_urls["weak"],
            api_key=KEY,
            **options,
        )

    def _request(self, text: str, **more: Any) -> dict[str, Any]:
        return {
            "model": "auto",
            "messages": [{"role": "user", "content": text}],
            "timeout": self.timeout_s,
            "max_retries": 0,
            "num_retries": 0,
            **more,
        }

    def ask(self, text: str = EASY) -> Answered:
        return self._answered(self.model.completion(**self._request(text)))

    async def aask(self, text: str = EASY) -> Answered:
        return self._answered(await self.model.acompletion(**self._request(text)))

    def stream_into(self, pieces: list[str], text: str = EASY) -> None:
        for chunk in self.model.completion(**self._request(text, stream=True)):
            if chunk.choices and chunk.choices[0].delta.content:
                pieces.append(chunk.choices[0].delta.content)

    async def astream(self, text: str = EASY) -> AsyncIterator[str]:
        async with await self.model.acompletion(**self._request(text, stream=True)) as chunks:
            async for chunk in chunks:
                if chunk.choices and chunk.choices[0].delta.content:
                    yield chunk.choices[0].delta.content

    @staticmethod
    def _answered(answer: Any) -> Answered:
        record = answer.routellm
        return Answered(answer.choices[0].message.content, record["route"], record["reason"])


APPLICATIONS = {
    made.name: made for made in (LangChainApplication, LlamaIndexApplication, ControllerApplication)
}
