"""Which answers of the weak model are followed by the strong one."""

import pytest

from routellm_core import (
    EmptyAnswerError,
    holds_answer,
    shows_something,
    unusable_answer,
    unusable_answer_error,
)
from routellm_core.policy import fault_of

CUT_OFF = ["length", "max_tokens", "MAX_TOKENS", "max_output_tokens", "model_length"]
FILTERED = ["content_filter", "SAFETY", "refusal", "guardrail_intervened", "PROHIBITED_CONTENT"]


@pytest.mark.parametrize("finish_reason", ["stop", "end_turn", "tool_calls", "", " ", None, "odd"])
def test_an_answer_without_content_is_empty(finish_reason) -> None:
    assert unusable_answer(has_content=False, finish_reason=finish_reason) == "empty"


@pytest.mark.parametrize("finish_reason", CUT_OFF)
def test_an_answer_cut_off_before_its_first_word_is_unusable(finish_reason) -> None:
    assert unusable_answer(has_content=False, finish_reason=finish_reason) == "length"


@pytest.mark.parametrize("finish_reason", ["stop", None, *CUT_OFF])
def test_an_answer_with_content_is_usable_even_when_it_was_cut_off(finish_reason) -> None:
    assert unusable_answer(has_content=True, finish_reason=finish_reason) is None


@pytest.mark.parametrize("has_content", [True, False])
@pytest.mark.parametrize("finish_reason", FILTERED)
def test_a_filtered_answer_is_unusable_only_by_the_setting(finish_reason, has_content) -> None:
    answer = {"has_content": has_content, "finish_reason": finish_reason}
    assert unusable_answer(**answer) is None
    assert unusable_answer(**answer, escalate_filtered=True) == "content_filter"


@pytest.mark.parametrize("reason", ["empty", "length", "content_filter"])
def test_the_error_of_an_unusable_answer_is_an_answers_fault_and_names_the_model(reason) -> None:
    error = unusable_answer_error("small", reason)
    assert isinstance(error, EmptyAnswerError)
    assert fault_of(error) == "answer"
    assert "'small'" in str(error)


CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


@pytest.mark.parametrize(
    "message",
    [
        {"content": "Hi"},
        {"content": [{"type": "text", "text": "Hi"}]},
        {"content": ["Hi"]},
        {"content": [{"type": "thinking", "thinking": "Hm"}, {"type": "text", "text": "Hi"}]},
        {"content": [{"type": "tool_use", "id": "1", "name": "f", "input": {}}]},
        {"content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]},
        {"content": None, "tool_calls": [CALL]},
        {"content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"content": None, "refusal": "I will not."},
        {"content": None, "audio": {"id": "a", "data": "AA"}},
        {"content": "", "images": [{"type": "image_url"}]},
        {"content": "", "invalid_tool_calls": [{"name": "f", "args": "{"}]},
        {"text": "Hi"},
    ],
)
def test_words_calls_refusals_and_media_are_an_answer(message) -> None:
    assert holds_answer(message)


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"role": "assistant", "content": None},
        {"content": "", "tool_calls": []},
        {"content": []},
        {"content": [{"type": "text", "text": ""}]},
        {"content": [{"type": "redacted_thinking", "data": "x"}]},
        {"content": [{"type": "reasoning", "text": "Hm"}]},
        {"content": None, "reasoning_content": "Hm", "thinking_blocks": [{"thinking": "Hm"}]},
        {"content": "", "annotations": [{"type": "url_citation"}]},
        {"text": ""},
        {"content": " \n\t"},
        {"content": [{"type": "text", "text": "\n"}]},
        {"content": ["  "], "refusal": " "},
        {"content": "<think>Hm.</think>"},
        {"content": "\n<Thinking>Hm.</Thinking>\n\n"},
        {"content": "<reasoning></reasoning> "},
    ],
)
def test_nothing_blanks_or_reasoning_alone_is_no_answer(message) -> None:
    assert not holds_answer(message)
    assert not holds_answer(message, finish_reason="length")


@pytest.mark.parametrize("tag", ["think", "thinking", "reasoning", "THINK"])
@pytest.mark.parametrize("finish_reason", CUT_OFF)
def test_thoughts_that_were_cut_off_are_no_answer(tag: str, finish_reason: str) -> None:
    thoughts = f"\n<{tag}>\nThe user asks"
    for content in (thoughts, [{"type": "text", "text": thoughts}]):
        assert not holds_answer({"content": content}, finish_reason=finish_reason)
        assert holds_answer({"content": content}, finish_reason="stop")


@pytest.mark.parametrize(
    "content",
    [
        "<think>Hm.</think> 4",
        "<think>Hm.</think>\n<b>4</b>",
        "So: <think>",
        "<thinker>",
        "<div>",
        "< think>",
    ],
)
def test_words_beside_thoughts_are_an_answer_even_when_it_was_cut_off(content: str) -> None:
    assert holds_answer({"content": content}, finish_reason="length")


@pytest.mark.parametrize(
    "added",
    ["", " ", "\n\n", None, [], [""], [{"type": "text", "text": " "}, "\n"], {}],
)
def test_blanks_show_nothing(added) -> None:
    assert not shows_something(added)


@pytest.mark.parametrize(
    "added",
    [
        "Hi",
        " Hi",
        "<think>",
        [{"type": "thinking", "thinking": "Hm"}],
        [{"type": "thinking", "signature": "x"}],
        [{"type": "tool_use", "name": "f"}],
        [{"type": "image_url", "image_url": {}}],
        {"name": "f", "arguments": ""},
    ],
)
def test_words_thoughts_calls_and_media_show_something(added) -> None:
    assert shows_something(added)
