"""Prompts, answers, known answers and feedback, from the logs that people have."""

import csv
import json

import pytest

from routellm_core import JsonlSink
from routellm_core.data.columns import parse_scale
from routellm_core.errors import ConfigurationError
from routellm_core.labeling.feedback import FeedbackReader, feedback_quality
from routellm_core.labeling.logged import LoggedPrompt, is_same_model, transcript
from routellm_core.labeling.logs import read_logged_prompts
from routellm_core.monitoring import CallRecord

QUESTION = {"role": "user", "content": "2 + 2?"}
OPENAI = {
    "request": {"model": "router-mf-0.5", "messages": [QUESTION]},
    "response": {
        "model": "gpt-4o-2024-08-06",
        "choices": [{"message": {"role": "assistant", "content": "Four."}}],
    },
}
BATCH = {
    "custom_id": "1",
    "body": {"model": "gpt-4o", "messages": [QUESTION]},
    "response": {"status_code": 200, "body": OPENAI["response"]},
}
RESPONSES_API = {
    "model": "gpt-4o",
    "input": [QUESTION],
    "output": [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]},
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Four."}],
        },
    ],
}
ANTHROPIC = {
    "request": {"model": "claude", "messages": [QUESTION]},
    "response": {
        "model": "claude",
        "content": [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "Four."}],
    },
}
GEMINI = {
    "prompt": "2 + 2?",
    "model": "gemini",
    "response": {"candidates": [{"content": {"role": "model", "parts": [{"text": "Four."}]}}]},
}


def serialised(kind: str, text: str) -> dict:
    return {
        "lc": 1,
        "type": "constructor",
        "id": ["langchain", "schema", "messages", kind],
        "kwargs": {"content": text},
    }


LANGSMITH = {
    "run_type": "llm",
    "dataset_id": None,
    "inputs": {"messages": [[serialised("HumanMessage", "2 + 2?")]]},
    "outputs": {
        "generations": [[{"text": "Four.", "message": serialised("AIMessage", "Four.")}]],
        "llm_output": {"model_name": "gpt-4o"},
    },
    "extra": {"invocation_params": {"model": "gpt-4o"}},
}
LANGSMITH_CHAIN = {
    "inputs": {"question": "2 + 2?"},
    "outputs": {"messages": [serialised("HumanMessage", "2 + 2?"), {"type": "ai", "content": "4"}]},
    "extra": {"metadata": {"ls_model_name": "gpt-4o"}},
}
LANGFUSE = {
    "type": "GENERATION",
    "model": "gpt-4o",
    "input": [QUESTION],
    "output": {"role": "assistant", "content": "Four."},
}
TRAINING = {"model": "gpt-4o", "messages": [QUESTION, {"role": "assistant", "content": "Four."}]}
PLAIN = {"question": "2 + 2?", "model": "gpt-4o", "answer": "Four."}
STRUCTURED = {"prompt": "2 + 2?", "model": "gpt-4o", "response": '{"text": "Four."}'}


@pytest.mark.parametrize(
    ("row", "model", "answer"),
    [
        (OPENAI, "gpt-4o-2024-08-06", "Four."),
        (BATCH, "gpt-4o-2024-08-06", "Four."),
        (RESPONSES_API, "gpt-4o", "Four."),
        (ANTHROPIC, "claude", "Four."),
        (GEMINI, "gemini", "Four."),
        (LANGSMITH, "gpt-4o", "Four."),
        (LANGSMITH_CHAIN, "gpt-4o", "4"),
        (LANGFUSE, "gpt-4o", "Four."),
        (TRAINING, "gpt-4o", "Four."),
        (PLAIN, "gpt-4o", "Four."),
        # What a model wrote as JSON is its answer.
        (STRUCTURED, "gpt-4o", '{"text": "Four."}'),
    ],
)
def test_each_kind_of_row_has_its_prompt_and_answer(row: dict, model: str, answer: str) -> None:
    (found,) = read_logged_prompts([row]).prompts
    assert found == LoggedPrompt("2 + 2?", (), {model: answer})


def test_a_table_holds_the_same_as_json(tmp_path) -> None:
    path = tmp_path / "runs.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["run_type", "inputs", "outputs", "extra", "expected_output"])
        parts = (json.dumps(LANGSMITH[name]) for name in ("inputs", "outputs", "extra"))
        writer.writerow(["llm", *parts, "4"])
        writer.writerow(["llm", '{"question": "Why?"}', '{"output": "So."}', "", ""])
    first, second = read_logged_prompts(path, model="m").prompts
    assert first == LoggedPrompt("2 + 2?", (), {"gpt-4o": "Four."}, "4")
    assert second == LoggedPrompt("Why?", (), {"m": "So."})


def test_answers_of_several_models_stand_in_one_row_or_in_many() -> None:
    rows = [
        {"prompt": "p", "answers": {"a": "1", "b": {"content": "2"}}},
        {"prompt": "q", "answers": [{"model": "a", "answer": "3"}]},
        {"prompt": "p", "model_a": "c", "answer_a": "4", "model_b": "a", "answer_b": "not first"},
        {"prompt": "q", "model": "b", "output": "5", "reference": 7},
    ]
    p, q = read_logged_prompts(rows).prompts
    assert p.answers == {"a": "1", "b": "2", "c": "4"}
    assert q.answers == {"a": "3", "b": "5"}
    assert (p.reference, q.reference) == (None, "7")


def test_an_answer_of_nobody_is_not_taken_for_a_models() -> None:
    row = {"prompt": "p", "answer": "who said this?"}
    assert read_logged_prompts([row]).prompts[0].answers == {}
    assert read_logged_prompts([row], model="m").prompts[0].answers == {"m": "who said this?"}


def test_the_outputs_of_a_data_set_are_known_answers() -> None:
    example = {"dataset_id": "d", "inputs": {"question": "2 + 2?"}, "outputs": {"answer": "4"}}
    (found,) = read_logged_prompts([example], model="m").prompts
    assert found == LoggedPrompt("2 + 2?", (), {}, "4")
    (found,) = read_logged_prompts([{"prompt": "p", "x": {"y": 5}}], reference_field="x.y").prompts
    assert found.reference == "5"


def test_a_conversation_is_kept_up_to_its_last_question() -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
        {"role": "tool", "content": "sunny", "tool_call_id": "1"},
        {"role": "assistant", "content": "Sunny."},
        {"role": "user", "content": "Tomorrow?"},
        {"role": "assistant", "content": "Rain."},
    ]
    (found,) = read_logged_prompts([{"model": "m", "messages": messages}]).prompts
    assert found.prompt == "Tomorrow?"
    assert [m["content"] for m in found.messages] == [
        "Be brief.", "Weather?", "Sunny.", "Tomorrow?",
    ]  # fmt: skip
    assert found.answers == {"m": "Rain."}
    assert transcript(found).endswith("Assistant: Sunny.\n\nUser: Tomorrow?")


def record(number: int, prompt: str | None) -> CallRecord:
    return CallRecord(
        call_id=f"c{number}", started_at=0.0, outcome="answered", route="weak", model="m",
        reason="win_rate", decided_route="weak", decided_reason="win_rate", win_rate=0.1,
        threshold=0.5, router="mf", prompt=prompt, prompt_chars=8,
    )  # fmt: skip


def test_the_log_of_a_monitor_is_read_with_its_renamed_files(tmp_path) -> None:
    size = len(record(0, "prompt 0").to_json()) + 1
    sink = JsonlSink(tmp_path / "calls.jsonl", max_bytes=2 * size, keep=9)
    for number in range(5):
        sink.write(record(number, f"prompt {number}"))
    sink.write(record(5, "promp"))
    sink.write(record(6, None))
    sink.close()
    found = read_logged_prompts(tmp_path / "calls.jsonl")
    assert [one.prompt for one in found.prompts] == [f"prompt {number}" for number in range(5)]
    assert (found.report.n_rows, found.report.n_bad) == (7, 2)
    assert "keep_prompt_chars" in str(found.report)


def test_plain_prompts_are_read(tmp_path) -> None:
    path = tmp_path / "prompts.txt"
    path.write_text("one\n\ntwo\none\n")
    assert [p.prompt for p in read_logged_prompts(path).prompts] == ["one", "two"]


def test_a_half_surrogate_does_not_travel_on() -> None:
    (found,) = read_logged_prompts([{"prompt": "a\ud83d"}]).prompts
    assert found.prompt == "a?"


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("openai/gpt-4o", "gpt-4o", True),
        ("openai:gpt-4o", "gpt-4o-2024-08-06", True),
        ("claude-3-haiku@20240307", "anthropic/claude-3-haiku-20240307", True),
        ("GPT-4o", "gpt-4o", True),
        ("gpt-4o", "gpt-4o-mini", False),
        ("ollama/qwen3:8b", "qwen3:8b", True),
        ("qwen3:8b", "llama3.1:8b", False),
    ],
)
def test_one_model_has_several_spellings(first: str, second: str, same: bool) -> None:
    assert is_same_model(first, second) is same
    assert is_same_model(second, first) is same


def test_logged_answers_are_found_under_the_names_that_labelling_uses() -> None:
    logged = LoggedPrompt("p", (), {"gpt-4o-2024-08-06": "x", "other": "y"})
    assert logged.named(["openai/gpt-4o"]).answers == {"openai/gpt-4o": "x", "other": "y"}


RATED = [
    ({"feedback": "👍"}, 1.0),
    ({"feedback": -1}, 0.0),
    ({"thumbs_up": False}, 0.0),
    ({"rating": "Thumbs down"}, 0.0),
    ({"feedback": {"score": 0.25}}, 0.25),
    ({"feedback": [{"key": "user_score", "score": 1}, {"key": "toxicity", "score": 9}]}, 1.0),
    ({"feedback_stats": {"user_score": {"n": 4, "avg": 0.75}}}, 0.75),
    ({"feedback_stats": '{"user_score": {"n": 4, "avg": 0.75}}'}, 0.75),
    ({"scores": [{"name": "user-feedback", "value": 1, "dataType": "BOOLEAN"}]}, 1.0),
    ({"scores": {"user-feedback": {"values": [1, 0], "average": 0.5}}}, 0.5),
    ({"metadata": {"liked": "yes"}}, 1.0),
]


@pytest.mark.parametrize(("fields", "quality"), RATED)
def test_each_kind_of_rating_is_read(fields: dict, quality: float) -> None:
    row = {"prompt": "p", "model": "m", "answer": "a", **fields}
    (found,) = read_logged_prompts([row], feedback=FeedbackReader()).prompts
    assert feedback_quality(found.feedback["m"]) == (quality, 1.0)
    assert read_logged_prompts([row]).prompts[0].feedback == {}


def test_grades_need_their_scale() -> None:
    row = {"prompt": "p", "model": "m", "stars": 4}
    with pytest.raises(Exception, match="--scale LOW:HIGH"):
        read_logged_prompts([row], feedback=FeedbackReader(["stars"]))
    reader = FeedbackReader(["stars"], scale=parse_scale("1:5"))
    (found,) = read_logged_prompts([row], feedback=reader).prompts
    assert feedback_quality(found.feedback["m"]) == (0.75, 1.0)
    with pytest.raises(ConfigurationError, match="LOW:HIGH"):
        parse_scale("5")


def test_retries_and_edits_say_less_than_ratings() -> None:
    rows = [
        {"prompt": "a", "model": "m", "answer": "one two three four", "edited": "one two three 4"},
        {"prompt": "b", "model": "m", "regenerated": True, "feedback": 1},
        {"prompt": "c", "model": "m", "answer": "x", "session_id": "s"},
        {"prompt": "C ", "model": "m", "answer": "y", "session_id": "s"},
        {"prompt": "c", "model": "m", "answer": "z", "session_id": "t"},
        {"prompt": "d", "model": "m", "retried": "false", "edited": ""},
    ]
    found = read_logged_prompts(rows, feedback=FeedbackReader()).prompts
    signs = {one.prompt: feedback_quality(one.feedback.get("m", ())) for one in found}
    assert signs["a"] == (0.75, 0.5)
    assert signs["b"] == (pytest.approx(2 / 3), 1.5)
    assert signs["c"] == (0.0, 0.5)
    assert signs["C "][1] == signs["d"][1] == 0.0
