"""Early rejection: what a draft's chunks lead to, whichever framework they come from."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk
from litellm.types.utils import ModelResponseStream
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse
from openai.types.chat import ChatCompletionChunk

from routellm_core import ConfigurationError
from routellm_core.answers import (
    Answer,
    DraftWatch,
    Prompt,
    Score,
    ScoreCalibration,
    Token,
    all_of,
    calibrated,
    check,
    first_failing,
    is_json,
    judge,
    logprob,
    mean_of,
    no_refusal,
    schema,
)
from routellm_core.calibration import ProbabilityMap

REFUSAL = "I'm sorry, but I can't help with that."
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "people": {"type": "integer"}},
    "required": ["city"],
    "additionalProperties": False,
}


def openai_chunk(text: str | None, logprob: float | None = None) -> dict[str, Any]:
    tokens = [] if logprob is None else [{"token": text, "logprob": logprob, "top_logprobs": []}]
    return {
        "id": "1",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "delta": {"role": "assistant", "content": text},
                "finish_reason": None,
                "logprobs": {"content": tokens} if tokens else None,
            }
        ],
    }


def langchain_chunk(text: str, logprob: float | None = None) -> AIMessageChunk:
    tokens = [] if logprob is None else [{"token": text, "logprob": logprob, "top_logprobs": []}]
    metadata = {"logprobs": {"content": tokens}} if tokens else {}
    return AIMessageChunk(content=text, response_metadata=metadata)


SHAPES = {
    "text": lambda text: text,
    "answer": Answer,
    "mapping": openai_chunk,
    "openai": lambda text: ChatCompletionChunk.model_validate(openai_chunk(text)),
    "litellm": lambda text: ModelResponseStream(**openai_chunk(text)),
    "langchain": langchain_chunk,
    "langchain blocks": lambda text: AIMessageChunk(
        content=[{"type": "reasoning", "text": "{"}, {"type": "text", "text": text}]
    ),
    "langchain generation": lambda text: ChatGenerationChunk(message=AIMessageChunk(content=text)),
    "llamaindex chat": lambda text: ChatResponse(
        message=ChatMessage(content=f"all so far and {text}"), delta=text
    ),
    "llamaindex completion": lambda text: CompletionResponse(text="all so far", delta=text),
}


CHECKED = first_failing(no_refusal(), schema(), judge())


@pytest.mark.parametrize("shape", SHAPES)
def test_a_refusal_is_rejected_at_its_first_words_in_every_shape(shape: str) -> None:
    watch = DraftWatch("Who won?", CHECKED, accept=0.5)
    assert watch.wants_chunks
    pieces = ["I'm sorry, ", "but I ", "can't help ", "with that. ", "More."]
    verdicts = [watch.feed(SHAPES[shape](piece)) for piece in pieces]
    first = next(place for place, verdict in enumerate(verdicts) if verdict is not None)
    assert first in (2, 3)
    assert verdicts[first] is verdicts[-1] is watch.rejection  # and stays rejected
    assert watch.rejection == Score(0.0, "no_refusal: a refusal (en)")
    assert watch.n_chars == len("".join(pieces[: first + 1]))
    assert not watch.wants_chunks


@pytest.mark.parametrize("shape", SHAPES)
def test_broken_json_is_rejected_where_the_prompt_asks_for_a_schema(shape: str) -> None:
    pieces = ['{"city": ', '"Rome", ', '"people": "', 'many"}']
    watch = DraftWatch(Prompt("Where?", schema=CITY), CHECKED, accept=0.5)
    verdicts = [watch.feed(SHAPES[shape](piece)) for piece in pieces]
    assert [verdict is None for verdict in verdicts] == [True, True, False, False]
    assert verdicts[2].reason.startswith("schema: not of the schema")
    # Without a schema any text may stand there.
    free = DraftWatch("Where?", CHECKED, accept=0.5)
    assert [free.feed(SHAPES[shape](piece)) for piece in pieces] == [None] * 4


@pytest.mark.parametrize("chunk", [openai_chunk, langchain_chunk])
def test_a_running_log_probability_rejects_after_its_first_tokens(chunk: Any) -> None:
    verifier = logprob(early_after=5, early_slack=0.1)
    watch = DraftWatch("p", verifier, accept=0.8)
    low = math.log(0.6)
    verdicts = [watch.feed(chunk("word ", low)) for _ in range(6)]
    assert [verdict is None for verdict in verdicts] == [True] * 4 + [False] * 2
    assert watch.n_tokens == 5
    assert verdicts[4].value == pytest.approx(0.6)
    sure = DraftWatch("p", verifier, accept=0.8)
    assert [sure.feed(chunk("word ", math.log(0.75))) for _ in range(30)] == [None] * 30


def test_the_verifier_itself_is_watched_with_its_level() -> None:
    map_ = ProbabilityMap(np.array([[0.5, 0.0], [0.9, 1.0]]))
    by_map = calibrated(logprob("min"), ScoreCalibration("logprob", map_))
    for verifier, level in ((logprob("min"), 0.7), (by_map, 0.5), (all_of(logprob("min")), 0.7)):
        watch = DraftWatch("p", verifier, accept=level)
        assert watch.feed(Answer("a", (Token("a", math.log(0.72)),))) is None
        rejection = watch.feed(Answer("b", (Token("b", math.log(0.68)),)))
        assert rejection.value < level


def test_nothing_is_read_where_nothing_could_be_rejected() -> None:
    everything = DraftWatch("p", CHECKED, accept=0.0)
    # These two can only look at a whole answer.
    unwatched = DraftWatch("p", all_of(judge(), check(is_json)), accept=0.5)
    for watch in (everything, unwatched):
        assert not watch.wants_chunks
        assert watch.feed(REFUSAL) is None
        assert watch.n_chars == 0
    with pytest.raises(ConfigurationError, match="`accept` must be a finite number"):
        DraftWatch("p", judge(), accept=float("nan"))
    with pytest.raises(ConfigurationError, match="a text or a `Prompt`"):
        DraftWatch(None, judge(), accept=0.5)


@pytest.mark.parametrize(
    "chunk",
    [
        {"choices": []},  # the last one of OpenAI, which counts tokens
        openai_chunk(None),
        {"choices": [{"delta": {"tool_calls": [{"index": 0}]}}]},
        AIMessageChunk(content=""),
        AIMessageChunk(content=[{"type": "thinking", "thinking": REFUSAL}]),
        ChatResponse(message=ChatMessage(content=None), delta=None),
    ],
)
def test_a_chunk_without_text_changes_nothing(chunk: Any) -> None:
    watch = DraftWatch(Prompt("p", schema=CITY), CHECKED, accept=0.5)
    assert watch.feed(chunk) is None
    assert watch.feed('{"city": "Rome"}') is None
    assert watch.n_chars == len('{"city": "Rome"}')
    assert watch.feed(REFUSAL) is not None


TEXTS = st.sampled_from(
    [
        REFUSAL,
        "I can't help but admire your garden.",
        '{"city": "Rome", "people": 4}',
        '```json\n{"city": "Rome"}\n```',
        '{"town": 1}',
        '{"city": "Rome"',
        "Rome",
        "",
        json.dumps({"city": "x" * 50}),
    ]
)


@given(TEXTS, st.lists(st.integers(1, 9), min_size=1, max_size=20), st.sampled_from([0.5, 1.0]))
def test_a_rejected_draft_would_not_have_been_accepted(
    text: str, sizes: list[int], accept: float
) -> None:
    prompt = Prompt("Where?", schema=CITY)
    for verifier in (schema(), no_refusal(), all_of(schema(), no_refusal()), mean_of(schema())):
        watch = DraftWatch(prompt, verifier, accept=accept)
        rest, verdict, turn = text, None, 0
        while rest and verdict is None:
            size = sizes[turn % len(sizes)]
            verdict, rest, turn = watch.feed(rest[:size]), rest[size:], turn + 1
        whole = verifier.score(prompt, text).value
        if verdict is not None:
            assert verdict.value < accept
            assert whole < accept
