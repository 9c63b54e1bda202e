"""Log-probabilities: their fields in each provider's answers, and the scores made of them."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage
from litellm.types.utils import ChoiceLogprobs
from llama_index.core.base.llms.types import ChatMessage, ChatResponse
from openai.types.chat import ChatCompletion

from routellm_core import ConfigurationError, VerifierError
from routellm_core.answers import Answer, Token, logprob, read_tokens

ITEMS = [
    {
        "token": "Yes",
        "logprob": -0.25,
        "bytes": [89],
        "top_logprobs": [{"token": "Yes", "logprob": -0.25}, {"token": "No", "logprob": -1.5}],
    },
    {"token": ".", "logprob": -0.5, "bytes": None, "top_logprobs": []},
]
TOKENS = (Token("Yes", -0.25, (("Yes", -0.25), ("No", -1.5))), Token(".", -0.5))
PLAIN = (Token("Yes", -0.25), Token(".", -0.5))

OPENAI = {
    "id": "1",
    "object": "chat.completion",
    "created": 0,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": "Yes."},
            "logprobs": {"content": ITEMS, "refusal": None},
        }
    ],
}
OLDER = {"tokens": ["Yes", "."], "token_logprobs": [-0.25, -0.5], "text_offset": [0, 3]}
GEMINI = {
    "candidates": [
        {
            "content": {"parts": [{"text": "Yes."}]},
            "avgLogprobs": -0.375,
            "logprobsResult": {
                "chosenCandidates": [
                    {"token": "Yes", "logProbability": -0.25, "tokenId": 1},
                    {"token": ".", "logProbability": -0.5},
                ],
                "topCandidates": [
                    {
                        "candidates": [
                            {"token": "Yes", "logProbability": -0.25},
                            {"token": "No", "logProbability": -1.5},
                        ]
                    }
                ],
            },
        }
    ]
}
RESPONSES = {
    "output": [
        {"type": "reasoning", "summary": []},
        {
            "type": "message",
            "content": [{"type": "output_text", "text": "Yes.", "logprobs": ITEMS}],
        },
    ]
}
SNAKE = SimpleNamespace(
    chosen_candidates=[
        SimpleNamespace(token="Yes", log_probability=-0.25),
        SimpleNamespace(token=".", log_probability=-0.5),
    ],
    top_candidates=None,
)


@pytest.mark.parametrize(
    ("answer", "tokens"),
    [
        (OPENAI, TOKENS),
        (ChatCompletion.model_validate(OPENAI), TOKENS),
        (ChoiceLogprobs(content=ITEMS), TOKENS),
        (ITEMS, TOKENS),
        (RESPONSES, TOKENS),
        (AIMessage("Yes.", response_metadata={"logprobs": {"content": ITEMS}}), TOKENS),
        (
            ChatResponse(
                message=ChatMessage(role="assistant", content="Yes."),
                raw=ChatCompletion.model_validate(OPENAI),
            ),
            TOKENS,
        ),
        (GEMINI, TOKENS),
        (AIMessage("Yes.", response_metadata={"logprobs_result": SNAKE}), PLAIN),
        ({"choices": [{"text": "Yes.", "logprobs": OLDER}]}, PLAIN),
        (
            {"choices": [{"logprobs": {**OLDER, "top_logprobs": [{"Yes": -0.25, "No": -1.5}]}}]},
            TOKENS,
        ),
        ({"model": "m", "message": {"content": "Yes."}, "logprobs": ITEMS}, TOKENS),  # Ollama
        ({"completion_probabilities": ITEMS, "content": "Yes."}, TOKENS),  # llama.cpp
        (
            {
                "generated_text": "Yes.",
                "details": {
                    "tokens": [
                        {"id": 1, "text": "Yes", "logprob": -0.25, "special": False},
                        {"id": 2, "text": ".", "logprob": -0.5, "special": False},
                    ]
                },
            },
            PLAIN,
        ),
        (
            {"logprobs": [{"text": "Yes.", "token_ids": [1, 2], "logprobs": [-0.25, -0.5]}]},
            (Token("Yes.", -0.25), Token("", -0.5)),
        ),  # Cohere
        (AIMessage("Yes.", response_metadata={"logprobs": None}), ()),
        ({"choices": []}, ()),
        ("Yes.", ()),
        (None, ()),
    ],
)
def test_tokens_are_found_in_the_fields_of_each_provider(
    answer: Any, tokens: tuple[Token, ...]
) -> None:
    assert read_tokens(answer) == tokens


def test_an_echoed_first_token_without_probability_is_left_out() -> None:
    assert read_tokens({"tokens": ["a", "b"], "token_logprobs": [None, -1.0]}) == (
        Token("b", -1.0),
    )


def test_numbers_outside_the_range_are_bounded_or_refused() -> None:
    (token,) = read_tokens([{"token": "a", "logprob": -9999.0}])
    assert token.logprob == math.log(1e-10)
    assert read_tokens([{"token": "a", "logprob": 1e-7}])[0].logprob == 0.0
    for bad in (float("nan"), 0.9):
        with pytest.raises(VerifierError, match="must be at most 0"):
            read_tokens([{"token": "a", "logprob": bad}])


def answer_of(logprobs: Any) -> Answer:
    return Answer("x", tokens=tuple(Token("x", float(value)) for value in logprobs))


@pytest.mark.parametrize(
    ("statistic", "raw"),
    [("mean", -1.0), ("min", -3.0), ("lowest_tenth", -3.0), ("quantile", -0.5)],
)
def test_statistics_of_four_tokens_by_hand(statistic: Any, raw: float) -> None:
    # At a half the quantile lies midway between the second and the third.
    score = logprob(statistic, quantile=0.5).score("p", answer_of([0.0, -0.25, -0.75, -3.0]))
    assert score.raw == pytest.approx(raw)
    assert score.value == pytest.approx(math.exp(raw))


def test_the_lowest_tenth_of_thirty_tokens_is_three() -> None:
    answer = answer_of([-0.1] * 27 + [-1.0, -2.0, -3.0])
    assert logprob("lowest_tenth").score("p", answer).raw == pytest.approx(-2.0)


def test_the_margin_is_the_mean_difference_of_the_two_best() -> None:
    tokens = (
        Token("a", math.log(0.5), (("b", math.log(0.25)), ("a", math.log(0.5)))),
        Token("a", math.log(0.75), (("a", math.log(0.75)), ("b", math.log(0.25)))),
    )
    verifier = logprob("margin")
    assert verifier.top_logprobs == 2
    assert verifier.score("p", Answer("aa", tokens=tokens)).value == pytest.approx(0.375)
    with pytest.raises(VerifierError, match="fewer than two alternatives"):
        verifier.score("p", answer_of([-1.0]))


def test_an_answer_without_log_probabilities_is_no_verdict() -> None:
    with pytest.raises(VerifierError, match="without log-probabilities"):
        logprob().score("p", "text")


@pytest.mark.parametrize(
    "options",
    [
        {"statistic": "median"},
        {"quantile": 30},
        {"early_after": 0},
        {"early_slack": -0.1},
        {"early_slack": float("nan")},
    ],
)
def test_settings_that_cannot_be_used_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        logprob(**options)


def fed(verifier: Any, logprobs: Any, accept: float) -> int | None:
    """Return after how many tokens a stream is rejected."""
    watch = verifier.watch("p", accept=accept)
    assert watch is not None
    for place, token in enumerate(answer_of(logprobs).tokens, start=1):
        if watch.feed("x", [token]) is not None:
            return place
    return None


def test_a_running_mean_far_below_the_level_rejects_after_twenty_tokens() -> None:
    sure, unsure = math.log(0.9), math.log(0.45)
    assert fed(logprob(), [unsure] * 30, accept=0.6) == 20
    assert fed(logprob(), [unsure] * 30, accept=0.5) is None  # within the slack
    assert fed(logprob(early_after=5), [unsure] * 30, accept=0.6) == 5
    assert fed(logprob(), [sure] * 25 + [math.log(1e-9)], accept=0.6) == 26
    watch = logprob(early_after=1).watch("p", accept=0.6)
    assert watch is not None
    first = watch.feed("", answer_of([unsure]).tokens)
    assert watch.feed("", answer_of([0.0] * 99).tokens) == first


@given(
    st.lists(st.floats(-5, 0), min_size=1, max_size=30), st.floats(0.01, 1.0), st.integers(1, 30)
)
def test_an_early_rejection_by_the_least_token_is_right_about_the_end(
    logprobs: list[float], accept: float, parts: int
) -> None:
    watch = logprob("min").watch("p", accept=accept)
    assert watch is not None
    early = None
    for start in range(0, len(logprobs), parts):
        early = watch.feed("", answer_of(logprobs[start : start + parts]).tokens)
    whole = logprob("min").score("p", answer_of(logprobs))
    assert (early is not None) == (whole.value < accept)
    assert early is None or early.value >= whole.value


def test_other_statistics_wait_for_the_whole_answer() -> None:
    for statistic in ("lowest_tenth", "quantile", "margin"):
        assert logprob(statistic).watch("p", accept=0.5) is None  # type: ignore[arg-type]
    assert logprob().watch("p", accept=0.05) is None
