"""Answers of the weak model that hold nothing: the strong model answers, where it may."""

from __future__ import annotations

import json
from enum import Enum
from types import SimpleNamespace
from typing import Any

import pytest
from llama_index.core.base.llms.types import (
    CachePoint,
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    ImageBlock,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from llama_index.core.prompts import PromptTemplate

from llamaindex_routellm import RoutedLLM
from llamaindex_routellm.answers import finish_reason_of
from routellm_core import BreakerSettings, CallRecord, RetrySettings
from routellm_core.answers import check
from routellm_core.strategies import Cascade
from routellm_core.testing import OpenAIServer, Step

HARD, EASY = "Prove that 7 is odd.", "What is 7 + 5?"
WHOLE = ["chat", "achat", "complete", "acomplete", "chat_with_tools", "achat_with_tools"]
STREAMS = [
    "stream_chat", "astream_chat", "stream_complete", "astream_complete",
    "stream_chat_with_tools", "astream_chat_with_tools",
]  # fmt: skip
PROMPT = PromptTemplate("{query_str}")


async def last_of(llm: Any, endpoint: str, said: str = EASY) -> Any:
    """Return the answer of an endpoint, or the last chunk of one."""
    if endpoint.endswith("_with_tools"):
        answer = getattr(llm, endpoint)([], said)
    else:
        answer = getattr(llm, endpoint)(said if "complete" in endpoint else [ChatMessage(said)])
    if endpoint.startswith("a"):
        answer = await answer
    if "stream" not in endpoint:
        return answer
    if endpoint.startswith("a"):
        return [chunk async for chunk in answer][-1]
    return list(answer)[-1]


def ended(reason: str | None) -> dict[str, Any]:
    return {"choices": [{"finish_reason": reason, "message": {"content": ""}}]}


def silent(model: Any, endpoint: str, reason: str | None) -> None:
    """Let a model say nothing; a stream of it has two chunks without words."""
    model.words = " " if "stream" in endpoint else ""
    model.raw = ended(reason)


@pytest.mark.parametrize("endpoint", WHOLE + STREAMS)
@pytest.mark.parametrize("reason", [None, "stop", "length", "MAX_TOKENS"])
async def test_an_empty_answer_is_followed_by_the_strong_models(
    llm: RoutedLLM, weak, endpoint: str, reason: str | None
) -> None:
    silent(weak, endpoint, reason)
    record = (await last_of(llm, endpoint)).additional_kwargs["routellm"]
    assert (record["route"], record["reason"]) == ("strong", "escalation:EmptyAnswerError")


@pytest.mark.parametrize("endpoint", WHOLE + STREAMS)
async def test_an_answer_of_blanks_is_followed_by_the_strong_models_and_its_own_is_passed_on(
    llm: RoutedLLM, weak, strong, endpoint: str
) -> None:
    weak.words = strong.words = "\n \t\n"
    answer = await last_of(llm, endpoint)
    assert answer.additional_kwargs["routellm"]["reason"] == "escalation:EmptyAnswerError"
    said = answer.text if hasattr(answer, "text") else answer.message.content
    assert said.split() == []
    assert said != ""
    assert len(strong.asked) == 1


@pytest.mark.parametrize("endpoint", WHOLE)
async def test_thoughts_that_were_cut_off_are_followed_by_the_strong_models_answer(
    llm: RoutedLLM, weak, endpoint: str
) -> None:
    weak.words, weak.raw = "<think>Let me", ended("length")
    answer = await last_of(llm, endpoint)
    assert answer.additional_kwargs["routellm"]["route"] == "strong"


@pytest.mark.parametrize("endpoint", STREAMS)
@pytest.mark.parametrize("words", ["\n \n", "<think> Let me", "<think> Hm.</think> \n"])
async def test_a_stream_that_is_held_back_and_holds_no_answer_is_followed_by_the_strong_models(
    strong, weak, router, endpoint: str, words: str
) -> None:
    weak.words, weak.raw = words, ended("length")
    llm = RoutedLLM(
        experts={"weak": weak, "strong": strong},
        router=router,
        strategy=Cascade(check(lambda *_: 1.0, name="all"), accept=0.5),
    )
    answer = await last_of(llm, endpoint)
    assert answer.additional_kwargs["routellm"]["route"] == "strong"
    assert answer.additional_kwargs["routellm"]["reason"] == "escalation:EmptyAnswerError"


@pytest.mark.parametrize("endpoint", STREAMS)
@pytest.mark.parametrize("words", ["\n \n \nI am small.", "<think> Hm"])
async def test_blanks_before_words_and_thoughts_are_streamed(
    llm: RoutedLLM, weak, endpoint: str, words: str
) -> None:
    weak.words = words
    answer = await last_of(llm, endpoint)
    assert answer.additional_kwargs["routellm"]["route"] == "weak"
    said = answer.text if hasattr(answer, "text") else answer.message.content
    assert said == words.replace(" ", "")


@pytest.mark.parametrize("endpoint", WHOLE + STREAMS)
@pytest.mark.parametrize(("setting", "route"), [(False, "weak"), (True, "strong")])
async def test_a_filtered_answer_is_passed_on_unless_the_setting_says_otherwise(
    llm: RoutedLLM, weak, endpoint: str, setting: bool, route: str
) -> None:
    silent(weak, endpoint, "content_filter")
    llm.escalate_filtered = setting
    answer = await last_of(llm, endpoint)
    assert answer.additional_kwargs["routellm"]["route"] == route


@pytest.mark.parametrize("endpoint", WHOLE)
@pytest.mark.parametrize(("setting", "route"), [(False, "weak"), (True, "strong")])
async def test_an_answer_that_was_filtered_after_some_words_is_one_as_well(
    llm: RoutedLLM, weak, endpoint: str, setting: bool, route: str
) -> None:
    weak.raw = ended("SAFETY")
    llm.escalate_filtered = setting
    answer = await last_of(llm, endpoint)
    assert answer.additional_kwargs["routellm"]["route"] == route


@pytest.mark.parametrize("endpoint", WHOLE)
async def test_an_answer_that_was_cut_after_some_words_is_passed_on(
    llm: RoutedLLM, weak, endpoint: str
) -> None:
    weak.raw = ended("length")
    assert (await last_of(llm, endpoint)).additional_kwargs["routellm"]["route"] == "weak"


async def test_a_prompt_without_an_answer_is_answered_by_the_strong_model(
    llm: RoutedLLM, weak, strong
) -> None:
    weak.words = ""
    assert llm.predict(PROMPT, query_str=EASY) == strong.words
    assert await llm.apredict(PROMPT, query_str=EASY) == strong.words
    weak.words = " "
    assert "".join(llm.stream(PROMPT, query_str=EASY)) == strong.words.replace(" ", "")
    tokens = await llm.astream(PROMPT, query_str=EASY)
    assert "".join([token async for token in tokens]) == strong.words.replace(" ", "")


# Where no other model may be asked


FINAL: list[dict[str, Any]] = [
    {"fallback": False},
    {"escalate_on": (TimeoutError,)},
    {"escalate_filtered": False},
]


@pytest.mark.parametrize("endpoint", WHOLE + STREAMS)
@pytest.mark.parametrize("options", FINAL)
async def test_an_answer_that_is_final_is_passed_on_as_it_is(
    strong, weak, router, endpoint: str, options: dict[str, Any]
) -> None:
    records: list[CallRecord] = []
    llm = RoutedLLM(
        strong=strong, weak=weak, router=router, threshold=0.5, monitor=records.append, **options
    )
    silent(weak, endpoint, "content_filter" if "escalate_filtered" in options else "stop")
    answer = await last_of(llm, endpoint)
    assert answer.additional_kwargs["routellm"]["route"] == "weak"
    assert not (answer.message.content if hasattr(answer, "message") else answer.text)
    assert strong.asked == []
    monitor = llm.guards.monitor
    assert monitor is not None
    assert monitor.flush()
    assert [record.outcome for record in records] == ["answered"]


@pytest.mark.parametrize("endpoint", WHOLE + STREAMS)
@pytest.mark.parametrize("question", [HARD, EASY])
async def test_an_empty_answer_of_the_strong_model_is_passed_on(
    llm: RoutedLLM, weak, strong, endpoint: str, question: str
) -> None:
    for model in (weak, strong):
        silent(model, endpoint, "stop")
    answer = await last_of(llm, endpoint, question)
    assert answer.additional_kwargs["routellm"]["route"] == "strong"
    assert len(strong.asked) == 1


@pytest.mark.parametrize("endpoint", WHOLE + STREAMS)
async def test_with_no_time_or_no_other_model_left_an_empty_answer_is_passed_on(
    strong, weak, router, endpoint: str
) -> None:
    silent(weak, endpoint, "stop")
    pair = {"strong": strong, "weak": weak, "router": router, "threshold": 0.5}
    late = RoutedLLM(**pair, retry=RetrySettings(deadline_s=1e-9))
    broken = RoutedLLM(**pair, breaker=BreakerSettings(failures=1))
    permit = broken.guards.breakers["strong"].enter()
    assert permit is not None
    permit.failed()
    for llm in (late, broken) if not endpoint.startswith("a") else (broken,):
        answer = await last_of(llm, endpoint)
        assert answer.additional_kwargs["routellm"]["route"] == "weak"
    assert strong.asked == []


@pytest.mark.parametrize("endpoint", ["chat", "stream_chat"])
async def test_an_empty_answer_of_a_nested_model_is_followed_by_the_outer_strong_one(
    saying, strong, weak, router, endpoint: str
) -> None:
    silent(weak, endpoint, "stop")
    middle = saying(model="middle")
    silent(middle, endpoint, "stop")
    inner = RoutedLLM(strong=middle, weak=weak, router=router, threshold=0.5)
    llm = RoutedLLM(strong=strong, weak=inner, router=router, threshold=0.5)
    answer = await last_of(llm, endpoint)
    assert answer.additional_kwargs["routellm"]["model"] == "big"
    assert len(weak.asked) == len(middle.asked) == 1


# What counts as an answer


def chat(*blocks: Any, raw: Any = None, beside: Any = None, **fields: Any) -> ChatResponse:
    message = ChatMessage(role="assistant", blocks=list(blocks), additional_kwargs=fields)
    return ChatResponse(message=message, raw=raw, additional_kwargs=beside or {})


JSON_CALL = {"id": "1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
REFUSED = {"choices": [{"finish_reason": "stop", "message": {"content": None, "refusal": "No."}}]}
USABLE: list[Any] = [
    chat(TextBlock(text="12")),
    chat(TextBlock(text="<think>Hm.</think>12"), raw=ended("length")),
    chat(TextBlock(text=""), ToolCallBlock(tool_name="add", tool_kwargs={})),
    chat(ImageBlock(url="http://127.0.0.1/cat.png")),
    chat(tool_calls=[JSON_CALL]),
    chat(beside={"refusal": "No."}),
    chat(beside={"built_in_tool_calls": ["searched"]}),
    chat(raw=REFUSED),
    CompletionResponse(text="12"),
    CompletionResponse(text="", additional_kwargs={"tool_calls": [JSON_CALL]}),
]
UNUSABLE: list[Any] = [
    chat(),
    chat(TextBlock(text="")),
    chat(ThinkingBlock(content="Hm.")),
    chat(CachePoint(cache_control={"type": "ephemeral"})),
    chat(tool_calls=[]),
    chat(beside={"built_in_tool_calls": [], "prompt_tokens": 7}),
    chat(TextBlock(text=" \n")),
    chat(TextBlock(text="<think>Hm.</think>\n")),
    chat(TextBlock(text="<think>Hm."), raw=ended("length")),
    CompletionResponse(text=" \n"),
    CompletionResponse(text="<think>Hm.", raw=ended("length")),
    CompletionResponse(text=""),
    CompletionResponse(text="", additional_kwargs={"prompt_tokens": 7}),
]


@pytest.mark.parametrize(
    ("answer", "route"),
    [(answer, "weak") for answer in USABLE] + [(answer, "strong") for answer in UNUSABLE],
)
def test_an_answer_is_words_a_call_media_or_a_refusal(
    llm: RoutedLLM, weak, monkeypatch, answer: Any, route: str
) -> None:
    def say(self: Any, make: Any) -> Any:
        return answer if self is weak else make("12", "12")

    monkeypatch.setattr(type(weak), "_answer", say)
    if isinstance(answer, ChatResponse):
        answered: Any = llm.chat([ChatMessage(EASY)])
    else:
        answered = llm.complete(EASY)
    assert answered.additional_kwargs["routellm"]["route"] == route


class Reason(Enum):
    SAFETY = 3


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (SimpleNamespace(choices=[SimpleNamespace(finish_reason="length")]), "length"),
        ({"choices": [], "usage": {}}, None),
        ({"stop_reason": "max_tokens", "stop_sequence": None}, "max_tokens"),
        ({"type": "message_delta", "delta": {"stop_reason": "refusal"}}, "refusal"),
        ({"stopReason": "guardrail_intervened"}, "guardrail_intervened"),
        ({"messageStop": {"stopReason": "content_filtered"}}, "content_filtered"),
        ({"finish_reason": Reason.SAFETY}, "SAFETY"),
        ({"candidates": [{"finishReason": "RECITATION"}]}, "RECITATION"),
        ({"done_reason": "length"}, "length"),
        ({"incomplete_details": {"reason": "max_output_tokens"}}, "max_output_tokens"),
        (
            SimpleNamespace(response={"incomplete_details": {"reason": "content_filter"}}),
            "content_filter",
        ),
        ({"delta": "a word", "response": None}, None),
        (None, None),
        ("raw", None),
    ],
)
def test_every_providers_reason_is_found(raw: Any, reason: str | None) -> None:
    assert finish_reason_of(chat(raw=raw)) == reason
    assert finish_reason_of(CompletionResponse(text="", raw=raw)) == reason


# Real integrations


def whole(content: str | None, reason: str) -> Step:
    message = {"role": "assistant", "content": content}
    choice = {"index": 0, "message": message, "finish_reason": reason}
    envelope = {"id": "1", "object": "chat.completion", "created": 1, "model": "gpt-4o-mini"}
    return Step(body=json.dumps({**envelope, "choices": [choice]}))


def streamed(reason: str) -> Step:
    envelope = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-mini"}
    choices = [
        {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None},
        {"index": 0, "delta": {}, "finish_reason": reason},
    ]
    events = [f"data: {json.dumps({**envelope, 'choices': [choice]})}\n\n" for choice in choices]
    return Step(events=(*events, "data: [DONE]\n\n"))


@pytest.mark.loopback
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning")
@pytest.mark.parametrize("kind", ["OpenAILike", "LiteLLM"])
@pytest.mark.parametrize("endpoint", ["chat", "achat", "stream_chat", "astream_chat"])
@pytest.mark.parametrize(
    ("reason", "setting", "model"),
    [
        ("stop", False, "gpt-4o"),
        ("length", False, "gpt-4o"),
        ("content_filter", False, "gpt-4o-mini"),
        ("content_filter", True, "gpt-4o"),
    ],
)
async def test_integrations_tell_why_an_answer_is_empty(
    server: OpenAIServer,
    makers,
    router,
    kind: str,
    endpoint: str,
    reason: str,
    setting: bool,
    model: str,
) -> None:
    llm = RoutedLLM(
        strong=makers[kind](server, "gpt-4o"),
        weak=makers[kind](server, "gpt-4o-mini"),
        router=router,
        threshold=0.5,
        escalate_filtered=setting,
    )
    step = streamed(reason) if "stream" in endpoint else whole("", reason)
    server.script(step, model="gpt-4o-mini")
    await last_of(llm, endpoint)
    assert server.models_asked()[-1] == model


@pytest.mark.loopback
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning")
@pytest.mark.parametrize("endpoint", ["chat", "achat", "stream_chat", "astream_chat"])
async def test_an_answered_call_prints_no_advice_of_litellm(
    server: OpenAIServer, makers, router, endpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    llm = RoutedLLM(
        strong=makers["LiteLLM"](server, "gpt-4o"),
        weak=makers["LiteLLM"](server, "gpt-4o-mini"),
        router=router,
        threshold=0.5,
    )
    too_long = {"error": {"message": "maximum context length"}}
    server.script(Step(status=400, body=json.dumps(too_long)), model="gpt-4o-mini")
    await last_of(llm, endpoint)
    assert server.models_asked() == ["gpt-4o-mini", "gpt-4o"]
    assert "Give Feedback" not in "".join(capsys.readouterr())
