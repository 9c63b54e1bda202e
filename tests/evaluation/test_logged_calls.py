"""Prompts are found in the files that people have."""

import json
from pathlib import Path

import numpy as np
import pytest

from routellm_core.errors import DataError
from routellm_core.evaluation.logged_calls import read_logged_calls

OPENAI = {
    "model": "gpt-4o",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "First question?"},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": [{"type": "text", "text": "Second question?"}]},
    ],
    "usage": {"prompt_tokens": 40, "completion_tokens": 7},
}
BATCH = {
    "custom_id": "1",
    "body": {"messages": [{"role": "user", "content": "In a batch?"}]},
    "response": {"body": {"usage": {"prompt_tokens": 5, "completion_tokens": 2}}},
}
LANGSMITH = {
    "inputs": {
        "messages": [
            [
                {
                    "lc": 1,
                    "type": "constructor",
                    "id": ["langchain", "schema", "messages", "SystemMessage"],
                    "kwargs": {"content": "Be kind."},
                },
                {
                    "lc": 1,
                    "type": "constructor",
                    "id": ["langchain", "schema", "messages", "HumanMessage"],
                    "kwargs": {"content": "Serialised?"},
                },
            ]
        ]
    },
    "prompt_tokens": 12,
    "completion_tokens": 30,
}
LANGSMITH_TYPED = {"inputs": {"messages": [{"type": "human", "data": {"content": "Typed?"}}]}}
LANGSMITH_TEXT = {"inputs": {"question": "A plain input?"}, "outputs": {"output": "Yes."}}


@pytest.mark.parametrize(
    ("row", "prompt", "read", "written"),
    [
        ({"prompt": "12345678"}, "12345678", 2.0, None),
        ({"instruction": "Do it."}, "Do it.", 1.5, None),
        (OPENAI, "Second question?", 40.0, 7.0),
        (BATCH, "In a batch?", 5.0, 2.0),
        (LANGSMITH, "Serialised?", 12.0, 30.0),
        (LANGSMITH_TYPED, "Typed?", 1.5, None),
        (LANGSMITH_TEXT, "A plain input?", 3.5, None),
    ],
)
def test_each_kind_of_row_has_its_prompt_and_tokens(
    row: dict, prompt: str, read: float, written: float | None
) -> None:
    calls = read_logged_calls([row])
    assert calls.prompts == (prompt,)
    assert calls.prompt_tokens.tolist() == [read]
    if written is None:
        assert np.isnan(calls.output_tokens).all()
    else:
        assert calls.output_tokens.tolist() == [written]


def test_a_named_field_is_looked_up_through_dots() -> None:
    row = {"prompt": "not this", "ticket": {"body": "this one"}}
    assert read_logged_calls([row], field="ticket.body").prompts == ("this one",)


def test_rows_without_a_prompt_are_counted_and_left_out(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    rows = [{"prompt": "fine"}, {"score": 3}, {"messages": []}, {"prompt": "  "}]
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\nbroken")
    calls = read_logged_calls(path)
    assert calls.prompts == ("fine",)
    assert (calls.report.n_rows, calls.report.n_bad) == (5, 4)
    assert "score" in calls.report.shown[0].reason


def test_a_text_file_has_one_prompt_a_line(tmp_path: Path) -> None:
    path = tmp_path / "prompts.txt"
    path.write_text("one\n\n  \ntwo\n", encoding="utf-8")
    assert read_logged_calls(str(path)).prompts == ("one", "two")
    path.write_text("\n")
    with pytest.raises(DataError, match=r"holds no usable row\. It is empty"):
        read_logged_calls(path)
    with pytest.raises(DataError, match="is no file"):
        read_logged_calls(tmp_path / "absent.txt")


def test_a_conversation_nested_without_end_is_no_prompt() -> None:
    row: dict = {"prompt": ""}
    for _ in range(100):
        row = {"inputs": row}
    with pytest.raises(DataError, match="no usable row"):
        read_logged_calls([row])


MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "In JSON?"}]


@pytest.mark.parametrize(
    ("row", "prompt"),
    [
        ({"messages": json.dumps(MESSAGES)}, "In JSON?"),
        ({"input": json.dumps(MESSAGES), "output": "Yes."}, "In JSON?"),
        ({"inputs": json.dumps({"messages": [MESSAGES]})}, "In JSON?"),
        ({"inputs": json.dumps({"question": "Wrapped?"})}, "Wrapped?"),
        ({"request": json.dumps({"body": {"messages": MESSAGES}})}, "In JSON?"),
        # A user may ask about JSON.
        ({"prompt": '{"question": "Fix me"}'}, '{"question": "Fix me"}'),
        ({"prompt": '["a", "b"]'}, '["a", "b"]'),
        ({"input": '{"question": "Fix me"}'}, '{"question": "Fix me"}'),
        ({"prompt": "[not JSON"}, "[not JSON"),
    ],
)
def test_a_table_may_hold_a_conversation_as_json(row: dict, prompt: str) -> None:
    assert read_logged_calls([row]).prompts == (prompt,)


def test_a_record_with_the_beginning_of_its_prompt_is_no_prompt() -> None:
    record = {"v": 1, "call_id": "c", "decided_route": "weak", "prompt_chars": 5, "model": "m"}
    calls = read_logged_calls([{**record, "prompt": "whole"}, {**record, "prompt": "who"}, record])
    assert calls.prompts == ("whole",)
    assert calls.report.n_bad == 2
    assert "3 of its prompt's 5 characters" in calls.report.shown[0].reason
    assert "keep_prompt_chars" in calls.report.shown[0].reason
