"""Every endpoint: one decision, the chosen model's own method, and the record on the answer."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import numpy as np
import pytest
from llama_index.core.base.llms.types import (
    AudioBlock,
    ChatMessage,
    CitableBlock,
    CitationBlock,
    ContentBlock,
    DocumentBlock,
    ImageBlock,
    TextBlock,
    VideoBlock,
)
from llama_index.core.prompts import PromptTemplate
from pydantic import BaseModel

from llamaindex_routellm import RoutedLLM
from routellm_core import KNOWN_PARTS, ConfigurationError, RetrySettings, Router
from routellm_core.testing import ScriptedRouter

HARD, EASY = "Prove that 7 is odd.", "What is 7 + 5?"

ENDPOINTS = ["chat", "achat", "stream_chat", "astream_chat"]
ENDPOINTS += ["complete", "acomplete", "stream_complete", "astream_complete"]
STREAMS = [name for name in ENDPOINTS if "stream" in name]
WHOLE = [name for name in ENDPOINTS if "stream" not in name]
TOOL_CHATS = [
    "chat_with_tools", "achat_with_tools", "stream_chat_with_tools", "astream_chat_with_tools",
]  # fmt: skip


async def call(llm: Any, endpoint: str, said: str = EASY, **kwargs: Any) -> list[Any]:
    """Return the responses of an endpoint: one, or the chunks of a stream."""
    argument: Any = said if "complete" in endpoint else [ChatMessage(said)]
    if endpoint.endswith("_with_tools"):
        answer = getattr(llm, endpoint)([], said, **kwargs)
    else:
        answer = getattr(llm, endpoint)(argument, **kwargs)
    if endpoint.startswith("a"):
        answer = await answer
    if "stream" not in endpoint:
        return [answer]
    if endpoint.startswith("a"):
        return [chunk async for chunk in answer]
    return list(answer)


def said_in(responses: Sequence[Any]) -> str:
    last = responses[-1]
    return str(last.message.content if hasattr(last, "message") else last.text)


def record_of(response: Any) -> dict[str, Any]:
    return response.additional_kwargs["routellm"]


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize(("said", "route"), [(HARD, "strong"), (EASY, "weak")])
async def test_the_chosen_models_own_method_answers(
    llm: RoutedLLM, strong, weak, endpoint: str, said: str, route: str
) -> None:
    chosen, other = (strong, weak) if route == "strong" else (weak, strong)
    responses = await call(llm, endpoint, said)
    direct = await call(chosen, endpoint, said)
    assert said_in(responses) == said_in(direct)
    assert len(responses) == len(direct)
    assert chosen.asked == [endpoint, endpoint]
    assert other.asked == []


@pytest.mark.parametrize("endpoint", [name for name in ENDPOINTS if "complete" in name])
async def test_a_completion_without_a_prompt_is_the_error_of_llamaindexs_own_models(
    llm: RoutedLLM, weak, endpoint: str
) -> None:
    async def ask(model: Any) -> None:
        answer = getattr(model, endpoint)(temperature=0.0)
        await answer if endpoint.startswith("a") else answer

    message = "^No prompt provided in positional or keyword arguments$"
    for model in (weak, llm):
        with pytest.raises(ValueError, match=message):
            await ask(model)
    assert weak.asked == []


@pytest.mark.parametrize("endpoint", [name for name in ENDPOINTS if "complete" in name])
async def test_a_prompt_may_be_named(llm: RoutedLLM, weak, router, endpoint: str) -> None:
    answer = getattr(llm, endpoint)(prompt=EASY, formatted=True)
    if endpoint.startswith("a"):
        answer = await answer
    if "stream" in endpoint:
        answer.close() if not endpoint.startswith("a") else await answer.aclose()
    assert weak.heard == [(EASY, True)]
    assert router.prompts == [EASY]


@pytest.mark.parametrize("endpoint", ENDPOINTS + TOOL_CHATS)
async def test_every_response_and_chunk_carries_the_decision(llm: RoutedLLM, endpoint) -> None:
    responses = await call(llm, endpoint, HARD)
    expected = {
        "route": "strong",
        "model": "big",
        "win_rate": 0.9,
        "threshold": 0.5,
        "router": "scripted",
        "reason": "win_rate",
    }
    assert [record_of(response) for response in responses] == [expected] * len(responses)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_the_decision_is_nowhere_that_a_provider_would_see(saying, llm, endpoint) -> None:
    llm.weak = saying(raw={"id": 1})
    for response in await call(llm, endpoint):
        assert response.raw == {"id": 1}
        if hasattr(response, "message"):
            assert response.message.additional_kwargs == {}


def test_the_models_own_response_is_not_written_on(llm: RoutedLLM, weak, monkeypatch) -> None:
    own = weak._chat_response("Mine.", "Mine.")
    monkeypatch.setattr(type(weak), "_answer", lambda self, make: own)
    assert record_of(llm.chat([ChatMessage(EASY)]))["route"] == "weak"
    assert own.additional_kwargs == {}


@pytest.mark.parametrize("endpoint", ENDPOINTS + TOOL_CHATS)
async def test_a_failed_weak_model_is_followed_by_the_strong_one(
    llm: RoutedLLM, strong, weak, endpoint: str
) -> None:
    weak.error = TimeoutError("slow")
    responses = await call(llm, endpoint)
    assert said_in(responses).split() == strong.words.split() or "stream" in endpoint
    assert {record_of(r)["reason"] for r in responses} == {"escalation:TimeoutError"}
    assert {record_of(r)["model"] for r in responses} == {"big"}
    assert len(strong.asked) == 1


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_the_strong_model_never_falls_back(llm: RoutedLLM, strong, weak, endpoint) -> None:
    strong.error = TimeoutError("slow")
    with pytest.raises(TimeoutError):
        await call(llm, endpoint, HARD)
    assert weak.asked == []


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_an_error_of_the_request_is_the_callers(llm: RoutedLLM, strong, weak, endpoint):
    weak.error = ZeroDivisionError("a bug")
    with pytest.raises(ZeroDivisionError):
        await call(llm, endpoint)
    assert strong.asked == []


@pytest.mark.parametrize("options", [{"fallback": False}, {"escalate_on": (ValueError,)}])
async def test_what_is_worth_escalating_can_be_said(strong, weak, router, options) -> None:
    llm = RoutedLLM(strong=strong, weak=weak, router=router, threshold=0.5, **options)
    weak.error = TimeoutError("slow")
    with pytest.raises(TimeoutError):
        await call(llm, "chat")
    weak.error = ValueError("odd")
    if options == {"fallback": False}:
        with pytest.raises(ValueError, match="odd"):
            await call(llm, "chat")
    else:
        assert said_in(await call(llm, "chat")) == strong.words


@pytest.mark.parametrize("endpoint", ["chat", "achat", "stream_chat", "astream_chat"])
async def test_when_both_fail_both_errors_are_told(llm, strong, weak, endpoint) -> None:
    weak.error, strong.error = TimeoutError("weak"), TimeoutError("strong")
    with pytest.raises(TimeoutError, match="strong") as caught:
        await call(llm, endpoint)
    assert caught.value.__context__ is weak.error


@pytest.mark.parametrize("endpoint", STREAMS)
async def test_after_its_first_words_a_stream_never_changes_models(
    llm: RoutedLLM, strong, weak, endpoint: str
) -> None:
    weak.error, weak.fails_at = TimeoutError("cut"), 1
    with pytest.raises(TimeoutError):
        await call(llm, endpoint)
    assert strong.asked == []


@pytest.mark.parametrize("endpoint", STREAMS)
async def test_chunks_without_content_do_not_bind_a_stream_to_its_model(
    llm: RoutedLLM, strong, weak, endpoint: str
) -> None:
    weak.words, weak.error, weak.fails_at = "  x", TimeoutError("cut"), 2
    responses = await call(llm, endpoint)
    assert {record_of(response)["route"] for response in responses} == {"strong"}
    assert len(responses) == len(strong.words.split())


@pytest.mark.parametrize("endpoint", STREAMS)
async def test_chunks_without_content_are_handed_on_in_order(llm, weak, endpoint) -> None:
    weak.words = "  x "
    deltas = [response.delta for response in await call(llm, endpoint)]
    assert deltas == ["", "", "x", ""]


# LlamaIndex's decorator itself fails when a stream of completions is empty.
@pytest.mark.parametrize("endpoint", ["stream_chat", "astream_chat"])
async def test_a_stream_without_a_chunk_is_a_failure(llm: RoutedLLM, weak, endpoint: str) -> None:
    weak.words = ""
    responses = await call(llm, endpoint)
    assert record_of(responses[0])["reason"] == "escalation:EmptyAnswerError"


@pytest.mark.parametrize("endpoint", ["stream_chat", "astream_chat"])
async def test_an_empty_stream_that_is_final_ends_as_it_would_directly(
    strong, weak, router, endpoint
) -> None:
    weak.words = ""
    llm = RoutedLLM(strong=strong, weak=weak, router=router, threshold=0.5, fallback=False)
    assert await call(llm, endpoint) == []


def test_a_stream_asks_its_model_when_it_is_opened(llm: RoutedLLM, weak) -> None:
    chunks = llm.stream_chat([ChatMessage(EASY)])
    assert weak.asked == ["stream_chat"]
    assert len(list(chunks)) == 3


def test_leaving_a_stream_closes_the_models(llm: RoutedLLM, weak) -> None:
    chunks = llm.stream_chat([ChatMessage(EASY)])
    next(chunks)
    assert weak.n_open == 1
    chunks.close()
    assert weak.n_open == 0


async def test_leaving_an_async_stream_closes_the_models(llm: RoutedLLM, weak) -> None:
    chunks = await llm.astream_chat([ChatMessage(EASY)])
    await chunks.__anext__()
    assert weak.n_open == 1
    await chunks.aclose()
    # LlamaIndex's decorator leaves the innermost generator to the event loop's next turns.
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert weak.n_open == 0


@pytest.mark.parametrize("endpoint", ["achat", "astream_chat"])
async def test_a_cancellation_is_never_followed_by_another_model(
    llm: RoutedLLM, strong, weak, endpoint: str
) -> None:
    weak.error = asyncio.CancelledError()
    with pytest.raises(asyncio.CancelledError):
        await call(llm, endpoint)
    assert strong.asked == []


class Limiter:
    def __init__(self) -> None:
        self.acquired: list[str] = []

    def acquire(self, num_tokens: int = 0) -> None:
        self.acquired.append("sync")

    async def async_acquire(self, num_tokens: int = 0) -> None:
        self.acquired.append("async")


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_every_request_waits_for_the_rate_limiter(strong, weak, router, endpoint) -> None:
    limiter = Limiter()
    llm = RoutedLLM(strong=strong, weak=weak, router=router, threshold=0.5, rate_limiter=limiter)
    await call(llm, endpoint)
    kind = "async" if endpoint.startswith("a") else "sync"
    assert limiter.acquired == [kind]


@pytest.mark.parametrize("endpoint", ENDPOINTS + TOOL_CHATS)
async def test_one_call_can_change_the_policy(llm: RoutedLLM, router, endpoint: str) -> None:
    forced = await call(llm, endpoint, EASY, routellm_route="strong")
    assert record_of(forced[0])["reason"] == "override"
    assert router.prompts == []
    strict = await call(llm, endpoint, HARD, routellm_threshold=0.95)
    assert record_of(strict[0])["route"] == "weak"
    assert record_of(strict[0])["threshold"] == 0.95


@pytest.mark.parametrize("endpoint", ENDPOINTS + TOOL_CHATS)
@pytest.mark.parametrize(
    ("question", "fails", "taken"),
    [
        (HARD, False, [{"temperature": 0.5, "seed": 1}]),
        (EASY, False, [{"seed": 1}]),
        (EASY, True, [{"seed": 1}, {"temperature": 0.5, "seed": 1}]),
    ],
)
async def test_what_a_model_does_not_take_is_left_out_for_it_alone(
    saying, router, endpoint: str, question: str, fails: bool, taken: list[Any]
) -> None:
    seen: list[dict[str, Any]] = []

    class Taking(saying):  # type: ignore[misc,valid-type]
        """Note the keyword arguments of each call."""

        def _prepare_chat_with_tools(self, tools, user_msg=None, chat_history=None, **kwargs):
            named = {name: kwargs[name] for name in ("temperature", "seed") if name in kwargs}
            return {**super()._prepare_chat_with_tools(tools, user_msg, chat_history), **named}

    def noting(name: str) -> Any:
        own = getattr(saying, name)

        def note(self: Any, *said: Any, **kwargs: Any) -> Any:
            seen.append({n: kwargs[n] for n in kwargs if n not in ("messages", "formatted")})
            return own(self, *said, **kwargs)

        return note

    for name in ENDPOINTS:
        setattr(Taking, name, noting(name))
    llm = RoutedLLM(
        strong=Taking(),
        weak=Taking(error=TimeoutError("slow") if fails else None),
        router=router,
        threshold=0.5,
        drop_params={"weak": ["temperature", "unknown"]},
    )
    await call(llm, endpoint, question, temperature=0.5, seed=1)
    assert seen == taken


def test_what_was_prepared_is_left_out_as_well(llm: RoutedLLM, weak, monkeypatch) -> None:
    monkeypatch.setattr(
        type(weak),
        "_prepare_chat_with_tools",
        lambda self, *_, **__: {"messages": [], "tool_choice": None, "tools": []},
    )
    seen: list[Any] = []
    monkeypatch.setattr(type(weak), "chat", lambda self, messages, **kwargs: seen.append(kwargs))
    llm.drop_params = {"weak": ["tool_choice"]}
    llm.fallback = False
    llm.chat(**llm._prepare_chat_with_tools([], EASY))
    assert seen == [{"tools": []}]


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_prediction_of_an_object_leaves_out_what_a_model_does_not_take(
    llm: RoutedLLM, weak, monkeypatch, *, is_async: bool
) -> None:
    seen: list[Any] = []

    def predict(self, output_cls, prompt, llm_kwargs, **_: Any) -> str:
        seen.append(llm_kwargs)
        return "made"

    async def apredict(self, *given: Any, **named: Any) -> str:
        return predict(self, *given, **named)

    monkeypatch.setattr(type(weak), "structured_predict", predict)
    monkeypatch.setattr(type(weak), "astructured_predict", apredict)
    llm.drop_params = {"weak": ["temperature"]}
    given = (BaseModel, PromptTemplate("{text}"), {"temperature": 0.5, "seed": 1})
    if is_async:
        await llm.astructured_predict(*given, text=EASY)
    else:
        llm.structured_predict(*given, text=EASY)
    assert seen == [{"seed": 1}]


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_prediction_of_an_object_leaves_out_the_settings_that_the_caller_leaves_out(
    llm: RoutedLLM, weak, monkeypatch, *, is_async: bool
) -> None:
    seen: list[Any] = []

    def predict(self, *, output_cls, prompt, text) -> str:
        seen.append((output_cls, text))
        return "made"

    async def apredict(self, **named: Any) -> str:
        return predict(self, **named)

    monkeypatch.setattr(type(weak), "structured_predict", predict)
    monkeypatch.setattr(type(weak), "astructured_predict", apredict)
    given = (BaseModel, PromptTemplate("{text}"))
    if is_async:
        await llm.astructured_predict(*given, text=EASY)
    else:
        llm.structured_predict(*given, text=EASY)
    assert seen == [(BaseModel, EASY)]


def test_a_wrong_override_is_refused(llm: RoutedLLM) -> None:
    with pytest.raises(ConfigurationError, match="routellm_route"):
        llm.chat([ChatMessage(EASY)], routellm_route="fast")


@pytest.mark.parametrize(
    ("router", "reason"),
    [
        (ScriptedRouter(error=KeyError("gone")), "router_error:KeyError"),
        (ScriptedRouter(default=float("nan")), "router_error:RouterError"),
        (ScriptedRouter(default=1.5), "router_error:RouterError"),
    ],
)
@pytest.mark.parametrize("endpoint", ["chat", "achat"])
async def test_a_routers_fault_sends_the_call_to_the_strong_model(
    strong, weak, router, reason: str, endpoint: str
) -> None:
    llm = RoutedLLM(strong=strong, weak=weak, router=router, threshold=0.5)
    record = record_of((await call(llm, endpoint))[0])
    assert (record["route"], record["reason"]) == ("strong", reason)


def test_a_message_that_is_only_an_image_goes_to_the_strong_model(llm: RoutedLLM, router) -> None:
    message = ChatMessage(blocks=[ImageBlock(url="http://127.0.0.1/cat.png")])
    assert message.content is None
    assert record_of(llm.chat([message]))["reason"] == "empty_prompt"
    assert router.prompts == []


IMAGE = ImageBlock(url="http://127.0.0.1/cat.png")
HOLDING: list[tuple[str, Any]] = [
    ("image", IMAGE),
    ("image", CitableBlock(title="t", source="s", content=[IMAGE])),
    (
        "image",
        CitationBlock(cited_content=IMAGE, source="s", title="t", additional_location_info={}),
    ),
    ("audio", AudioBlock(url="http://127.0.0.1/a.wav", format="wav")),
    ("video", VideoBlock(url="http://127.0.0.1/v.mp4", video_mimetype="video/mp4")),
    ("file", DocumentBlock(url="http://127.0.0.1/d.pdf", document_mimetype="application/pdf")),
]


@pytest.mark.parametrize(("modality", "block"), HOLDING)
@pytest.mark.parametrize("role", ["user", "tool"])
def test_a_blind_model_gets_no_block_that_holds_more_than_words(
    saying, router, role: str, modality: str, block: Any
) -> None:
    blind = saying(model="openai/gpt-3.5-turbo")
    seeing = saying(model="gemini/gemini-2.5-flash")
    llm = RoutedLLM(strong=seeing, weak=blind, router=router, threshold=1.0)
    message = ChatMessage(role=role, blocks=[TextBlock(text="Look"), block])
    record = record_of(llm.chat([ChatMessage("Hi"), message]))
    assert record["reason"] == f"capability:{modality}"


def test_llamaindex_has_no_block_that_the_table_does_not_know() -> None:
    union = ContentBlock.__args__[0].__args__  # type: ignore[attr-defined]
    kinds = {block.model_fields["block_type"].default for block in union}
    assert kinds <= KNOWN_PARTS.keys()
    assert kinds >= {"text", "image", "citable"}


def test_words_beside_an_image_are_routed(llm: RoutedLLM, router) -> None:
    image = ImageBlock(url="http://127.0.0.1/cat.png")
    llm.chat([ChatMessage(blocks=[TextBlock(text="What"), image, TextBlock(text="is it?")])])
    assert router.prompts == ["What\nis it?"]


def test_a_prompt_over_the_weak_window_goes_to_the_strong_model(saying, strong, router) -> None:
    llm = RoutedLLM(strong=strong, weak=saying(window=100), router=router, threshold=0.5)
    record = record_of(llm.chat([ChatMessage("x" * 401)]))
    assert (record["route"], record["reason"]) == ("strong", "capability:context_window")


async def test_the_callers_messages_are_never_changed(llm: RoutedLLM) -> None:
    history = [ChatMessage("Be brief.", role="system"), ChatMessage("Hi"), ChatMessage(EASY)]
    before = [message.model_dump_json() for message in history]
    for endpoint in ENDPOINTS[:4]:
        answer = getattr(llm, endpoint)(history)
        if endpoint.startswith("a"):
            await answer
    for endpoint in TOOL_CHATS:
        answer = getattr(llm, endpoint)([], "And now?", history)
        if endpoint.startswith("a"):
            await answer
    assert [message.model_dump_json() for message in history] == before


def test_each_attempt_gets_a_list_of_its_own(llm: RoutedLLM, strong, weak) -> None:
    weak.error = TimeoutError("slow")
    llm.chat_with_tools([], "And now?", [ChatMessage(EASY)])
    assert [message.content for message in strong.heard[0]] == [EASY, "And now?"]


class SleepingRouter(Router):
    """Hold its thread for a while, as a model on a processor does."""

    name: ClassVar[str] = "sleeping"

    def __init__(self, seconds: float = 0.6) -> None:
        self.seconds = seconds
        self.threads: set[int] = set()

    def _win_rates(self, prompts: Sequence[str]) -> np.ndarray:
        self.threads.add(threading.get_ident())
        time.sleep(self.seconds)
        return np.full(len(prompts), 0.9)


@pytest.mark.parametrize("endpoint", ["achat", "astream_chat", "acomplete"])
async def test_a_slow_router_leaves_the_event_loop_running(strong, weak, endpoint: str) -> None:
    router = SleepingRouter()
    llm = RoutedLLM(strong=strong, weak=weak, router=router, threshold=0.5, router_deadline_s=None)
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0.01)
            beats += 1

    heart = asyncio.ensure_future(beat())
    responses = await call(llm, endpoint)
    heart.cancel()
    assert record_of(responses[0])["reason"] == "win_rate"
    # Blocked, the loop would beat at most once or twice in 0.6 s; free, about 60 times.
    assert beats >= 6
    assert threading.get_ident() not in router.threads


def test_a_router_that_runs_late_is_not_waited_for(strong, weak) -> None:
    llm = RoutedLLM(
        strong=strong,
        weak=weak,
        router=SleepingRouter(seconds=1.0),
        threshold=0.5,
        router_deadline_s=0.05,
    )
    record = record_of(llm.chat([ChatMessage(EASY)]))
    assert record["reason"].startswith("router_error:")
    assert "Timeout" in record["reason"]


def test_new_event_loops_are_welcome(llm: RoutedLLM) -> None:
    with ThreadPoolExecutor(1) as pool:
        for _ in range(2):
            answers = pool.submit(lambda: asyncio.run(call(llm, "achat"))).result()
            assert record_of(answers[0])["route"] == "weak"


async def test_calls_at_the_same_time_keep_their_own_decisions(llm: RoutedLLM) -> None:
    questions = [HARD, EASY] * 20
    answers = await asyncio.gather(*(call(llm, "achat", question) for question in questions))
    routes = [record_of(answer[0])["route"] for answer in answers]
    assert routes == ["strong", "weak"] * 20


def test_a_turn_asks_the_router_once(llm: RoutedLLM, router) -> None:
    for _ in range(3):
        llm.chat([ChatMessage(EASY)])
    assert router.prompts == [EASY]


@pytest.mark.parametrize("endpoint", STREAMS)
async def test_a_strong_model_that_fails_before_its_first_chunk_is_tried_again(
    saying, weak, router, endpoint: str
) -> None:
    class OnceBusy(saying):  # type: ignore[misc,valid-type]
        def _chunks(self, make):
            error, self.error = self.error, None
            if error is not None:
                raise error
            yield from super()._chunks(make)

    strong = OnceBusy(model="big", words="I am the big one.", error=TimeoutError("Busy."))
    llm = RoutedLLM(
        strong=strong, weak=weak, router=router, threshold=0.5, retry=RetrySettings(1, 0.0)
    )
    assert len(await call(llm, endpoint, HARD)) == 5
    assert len(strong.asked) == 2
