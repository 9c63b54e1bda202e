"""LlamaIndex: one model at two efforts is a pair."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core import PromptTemplate
from llama_index.core.base.llms.types import (
    ChatMessage,
    LLMMetadata,
    TextBlock,
    ThinkingBlock,
)
from llama_index.core.llms import LLM
from llama_index.core.llms.mock import MockLLM
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai import OpenAI
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel

from llamaindex_routellm import RoutedLLM
from routellm_core import CallRecord, ConfigurationError
from routellm_core.experts import Variant, effort_pair
from routellm_core.testing import OpenAIServer, ScriptedRouter, Step
from tests.effort.conftest import EASY, HARD, HIGH, LOW, MODEL, efforts

pytestmark = pytest.mark.loopback


class Sum(BaseModel):
    """A sum."""

    total: int


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


ADD = FunctionTool.from_defaults(add)


def openai(server: OpenAIServer, **settings: Any) -> OpenAI:
    return OpenAI(model=MODEL, api_base=server.base_url, api_key="any", max_retries=0, **settings)


def unknown(server: OpenAIServer) -> OpenAILike:
    """Return a model that LlamaIndex's OpenAI integration does not know."""
    return OpenAILike(
        model="new-one", api_base=server.base_url, api_key="any", max_retries=0,
        is_chat_model=True, is_function_calling_model=True,
    )  # fmt: skip


WAYS: dict[str, Callable[[OpenAIServer], dict[str, Any]]] = {
    "two ready models": lambda server: {
        "strong": openai(server, reasoning_effort="high"),
        "weak": openai(server, reasoning_effort="low"),
    },
    "two variants of a ready model": lambda server: {
        "strong": Variant(openai(server), reasoning_effort="high"),
        "weak": Variant(openai(server), reasoning_effort="low"),
    },
    "a pair of a ready model": lambda server: {"experts": effort_pair(openai(server))},
    "a pair of a model that nobody knows": lambda server: {"experts": effort_pair(unknown(server))},
    "a pair of a LiteLLM name": lambda _: {"experts": effort_pair("openai/gpt-5-mini")},
}  # fmt: skip


@pytest.fixture(params=WAYS)
def pair(
    request: pytest.FixtureRequest,
    upstream: OpenAIServer,
    router: ScriptedRouter,
    monkeypatch: pytest.MonkeyPatch,
) -> RoutedLLM:
    monkeypatch.setenv("OPENAI_API_BASE", upstream.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    return RoutedLLM(**WAYS[request.param](upstream), router=router, threshold=0.5)


@pytest.fixture
def routed(upstream: OpenAIServer, router: ScriptedRouter) -> RoutedLLM:
    return RoutedLLM(experts=effort_pair(openai(upstream)), router=router, threshold=0.5)


def said(text: str) -> list[ChatMessage]:
    return [ChatMessage(role="user", content=text)]


ASKING: dict[str, Callable[[RoutedLLM, str], Any]] = {
    "chat": lambda llm, text: llm.chat(said(text)),
    "stream_chat": lambda llm, text: list(llm.stream_chat(said(text))),
    "complete": lambda llm, text: llm.complete(text),
    "predict": lambda llm, text: llm.predict(PromptTemplate("{query_str}"), query_str=text),
    "tools": lambda llm, text: llm.chat_with_tools([ADD], user_msg=text),
    "structure": lambda llm, text: llm.structured_predict(
        Sum, PromptTemplate("{query_str}"), query_str=text
    ),
}


@pytest.mark.parametrize("way", ASKING)
def test_each_expert_is_asked_at_its_own_effort(
    pair: RoutedLLM, upstream: OpenAIServer, way: str
) -> None:
    for text in (EASY, HARD):
        ASKING[way](pair, text)
    assert efforts(upstream) == ["low", "high"]
    assert len(set(upstream.models_asked())) == 1


async def test_so_it_is_without_blocking(routed: RoutedLLM, upstream: OpenAIServer) -> None:
    await routed.achat(said(HARD))
    async for _ in await routed.astream_chat(said(EASY)):
        pass
    assert efforts(upstream) == ["high", "low"]


def test_the_record_tells_the_two_apart(routed: RoutedLLM) -> None:
    records = [routed.chat(said(text)).additional_kwargs["routellm"] for text in (EASY, HARD)]
    assert [record["model"] for record in records] == [LOW, HIGH]


OWN: dict[str, Callable[[RoutedLLM, str], Any]] = {
    "chat": lambda llm, text: llm.chat(said(text), reasoning_effort="medium"),
    "stream": lambda llm, text: list(llm.stream_chat(said(text), reasoning_effort="medium")),
    "complete": lambda llm, text: llm.complete(text, reasoning_effort="medium"),
    "tools": lambda llm, text: llm.chat_with_tools([ADD], user_msg=text, reasoning_effort="medium"),
    "structure": lambda llm, text: llm.structured_predict(
        Sum, PromptTemplate("{query_str}"), {"reasoning_effort": "medium"}, query_str=text
    ),
}


@pytest.mark.parametrize("own", OWN)
@pytest.mark.parametrize("text", [EASY, HARD])
def test_a_calls_own_effort_goes_before_the_experts(
    pair: RoutedLLM, upstream: OpenAIServer, own: str, text: str
) -> None:
    OWN[own](pair, text)
    assert efforts(upstream) == ["medium"]


def test_then_the_experts_are_the_same_and_the_record_says_so(routed: RoutedLLM) -> None:
    answer = routed.chat(said(HARD), reasoning_effort="medium")
    record = answer.additional_kwargs["routellm"]
    assert (record["route"], record["reason"]) == ("weak", "own_effort")


def test_an_effort_of_none_is_no_effort_of_the_calls_own(
    routed: RoutedLLM, upstream: OpenAIServer
) -> None:
    answer = routed.chat(said(HARD), reasoning_effort=None)
    assert answer.additional_kwargs["routellm"]["reason"] == "win_rate"
    assert efforts(upstream) == ["high"]


def test_the_pair_is_told_apart_in_records_and_its_reasoning_is_paid_for(
    upstream: OpenAIServer, router: ScriptedRouter
) -> None:
    records: list[CallRecord] = []
    llm = RoutedLLM(
        experts=effort_pair(openai(upstream)), router=router, threshold=0.5,
        answer_tokens={"weak": 100, "strong": 1_100}, monitor=records.append,
    )  # fmt: skip
    upstream.script(Step(text="Twelve it is", reasoning_tokens=97))
    llm.chat(said(EASY))
    llm.guards.monitor.close()
    (record,) = records
    assert (record.model, record.strong_model, record.weak_model) == (LOW, HIGH, LOW)
    assert (record.output_tokens, record.reasoning_tokens) == (100, 97)
    assert record.saved_usd == pytest.approx(4.4e-6 * 1_000)


class Thinking(MockLLM):
    """A model that is told how much to think, and keeps what it was sent."""

    model: str = "thinker"
    thinking_dict: dict[str, Any] | None = None
    sent: list[Any] = []  # noqa: RUF012 - a field

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name=self.model, is_chat_model=True)

    def chat(self, messages: Any, **options: Any) -> Any:
        self.sent.append((self.thinking_dict, options, messages))
        return super().chat(messages, **options)


def test_a_providers_own_word_and_its_thoughts_stay_as_they_are(router: ScriptedRouter) -> None:
    model = Thinking()
    low, high = {"type": "disabled"}, {"type": "enabled", "budget_tokens": 4_000}
    llm = RoutedLLM(
        experts=effort_pair(model, weak=low, strong=high, setting="thinking_dict"),
        router=router, threshold=0.5,
    )  # fmt: skip
    blocks = [ThinkingBlock(content="Seven.", additional_information={"signature": "s"})]
    history = [
        *said(EASY),
        ChatMessage(role="assistant", blocks=[*blocks, TextBlock(text="12")]),
        *said(HARD),
    ]
    llm.chat(history)
    llm.chat(said(EASY))
    llm.chat(said(HARD), thinking_dict={"type": "adaptive"})
    assert [thinks for thinks, _, _ in model.sent] == [high, low, None]
    assert model.sent[0][2][1].blocks == history[1].blocks
    assert model.sent[2][1]["thinking_dict"] == {"type": "adaptive"}
    assert model.thinking_dict is None


def test_two_models_that_are_the_same_are_refused(
    upstream: OpenAIServer, router: ScriptedRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    one = openai(upstream, reasoning_effort="low")
    alike: dict[str, tuple[Any, Any]] = {
        "object": (one, one),
        "model": (one, openai(upstream, reasoning_effort="low")),
        "name": (f"openai/{MODEL}", f"openai/{MODEL}"),
    }
    for strong, weak in alike.values():
        with pytest.raises(ConfigurationError, match=r"same model.*nothing to route"):
            RoutedLLM(strong=strong, weak=weak, router=router, fallback=False)
    RoutedLLM(strong=one, weak=Variant(one, reasoning_effort="high"), router=router)


def test_a_setting_of_another_provider_is_refused_with_the_words_of_this_one() -> None:
    with pytest.raises(ConfigurationError, match=r"no setting `think`.*`thinking_dict`"):
        RoutedLLM(strong=Variant(Thinking(), think=True), weak=Thinking())


def test_a_copy_in_another_process_keeps_its_efforts(
    routed: RoutedLLM, upstream: OpenAIServer
) -> None:
    import pickle

    copied: LLM = pickle.loads(pickle.dumps(routed))
    copied.chat(said(HARD))
    assert efforts(upstream) == ["high"]
