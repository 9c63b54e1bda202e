"""What is routed by default: what a follow-up continues, and the request in a paste."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from routellm_core import is_follow_up, read_turn, request_in
from routellm_core.controller import Fleet, OpenAIView
from routellm_core.testing import ScriptedRouter

HARD = "Prove that 7 is odd."
FOLLOW_UPS = {
    "en": ["continue", "And why?", "fix it", "Make it shorter, please.", "the second one", "2"],
    "pt": ["continua", "e por quê?", "corrige isso", "mais curto", "sim", "a segunda"],
    "es": ["sigue", "¿Y por qué?", "arréglalo", "más corto", "sí", "continúa por favor"],
    "fr": ["vas-y, continue", "et pourquoi ?", "corrige-le", "plus court", "oui", "encore"],
    "de": ["mach weiter bitte", "und warum?", "kürzer", "ja", "das zweite", "und Berlin?"],
    "it": ["vai avanti", "e perché?", "correggilo", "più corto", "sì", "il secondo"],
    "ru": ["продолжай", "а почему?", "исправь это", "покороче", "да", "второй"],
    "zh": ["请继续", "为什么？", "修一下", "再短一点", "好的", "第二个", "那上海呢？"],
    "ja": ["続けてください", "なぜですか？", "直して", "もっと短く", "はい", "二つ目"],
    "ko": ["계속해 주세요", "왜요?", "고쳐줘", "더 짧게", "네", "두 번째"],
    "ar": ["أكمل من فضلك", "ولماذا؟", "أصلحه", "أقصر", "نعم", "الثاني"],
    "hi": ["आगे बढ़ो", "और क्यों?", "इसे ठीक करो", "छोटा करो", "हाँ", "दूसरा वाला"],
}
COMPLETE = [
    "hi", "thanks!", "gracias", "merci", "こんにちは", "привет", "lol", "2+2", "How are you?",
    "Show that sqrt 2 is irrational", "Why is the sky blue?", "Is it raining?", "Fix the parser",
    "Translate 'dog' to French", "What is the second law of motion?", "谢谢", "",
    "continue the proof of the theorem from the chapter on compactness",
]  # fmt: skip
PASTES = {
    "system_prompt", "rag_context", "few_shot", "code_fence", "pasted_log", "json",
}  # fmt: skip
LADDER = Path(__file__).parents[1] / "ladder" / "cases.jsonl"


def said(*texts: str) -> list[dict[str, Any]]:
    """Return a conversation: the user's and the assistant's messages in turn."""
    return [
        {"role": "assistant" if number % 2 else "user", "content": text}
        for number, text in enumerate(texts)
    ]


def routed(*texts: str) -> str:
    return read_turn(said(*texts), OpenAIView()).text


# Follow-ups


@pytest.mark.parametrize("language", FOLLOW_UPS)
def test_follow_ups_are_recognised_and_routed_on_what_they_continue(language: str) -> None:
    for text in FOLLOW_UPS[language]:
        assert is_follow_up(text), text
        assert routed(HARD, "Seven is 2 x 3 + 1.", text) == HARD, text


@pytest.mark.parametrize("text", ["?", "...", "👍", "b)", "#2", "in French", "What about Spain?"])
def test_marks_choices_and_languages_are_follow_ups(text: str) -> None:
    assert is_follow_up(text)


@pytest.mark.parametrize("text", COMPLETE)
def test_a_message_with_a_subject_of_its_own_is_routed_as_itself(text: str) -> None:
    assert not is_follow_up(text)
    assert routed(HARD, "Yes.", text) == text


def test_a_follow_up_without_a_conversation_is_routed_as_itself() -> None:
    assert routed("continue") == "continue"
    assert routed("continue", "With what?", "go on") == "go on"


def test_several_follow_ups_in_a_row_lead_to_the_same_request_up_to_a_limit() -> None:
    assert routed("hi", "Hello!", HARD, "Yes.", "why?", "So.", "go on") == HARD
    rows = [HARD, *["More.", "go on"] * 32]
    assert routed(*rows) == HARD
    assert routed(*rows, "More.", "continue") == "continue"


def test_an_image_without_words_is_no_request_to_continue() -> None:
    assert routed(HARD, "Yes.", "", "A cat.", "go on") == HARD


def test_the_other_choices_of_text_know_no_follow_ups() -> None:
    messages = said(HARD, "Yes.", "go on")
    expected = {"last_user": "go on", "all_user": f"{HARD}\ngo on"}
    for choice, text in expected.items():
        assert read_turn(messages, OpenAIView(), routing_text=choice).text == text  # type: ignore[arg-type]


def test_each_step_of_a_tool_loop_is_routed_on_the_same_text() -> None:
    messages = said(HARD, "Yes.", "do it again")
    for step in range(4):
        assert read_turn(messages, OpenAIView()).text == HARD
        messages += [
            {"role": "assistant", "content": None, "tool_calls": [{"id": str(step)}]},
            {"role": "tool", "content": "Compute 12.", "tool_call_id": str(step)},
        ]


def test_a_server_routes_a_follow_up_on_its_conversation_unless_told_otherwise() -> None:
    for choice, expected in (("auto", HARD), ("last_user", "go on")):
        router = ScriptedRouter(default=0.5)
        models = {"strong_model": "big", "weak_model": "small"}
        fleet = Fleet({"r": router}, **models, routing_text=choice)  # type: ignore[arg-type]
        decider = fleet.decider(None)
        turn = fleet.turn(said(HARD, "Yes.", "go on"), tools=False, decider=decider)
        assert turn.text == expected


# Pastes


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("Context:\nSeven is odd.\n\nQuestion: Why?\nAnswer:", "Why?"),
        ("Question: Why so?\n\nContext:\nSeven is odd.", "Why so?"),
        ("You are a tutor. Be brief.\n\nUser: Is 7 odd?", "Is 7 odd?"),
        ("What does it print?\n```python\nprint(7)\n```", "What does it print?"),
        ("```\nprint(7)\n```\nWhat does it print?", "What does it print?"),
        ('{"id": 7, "question": "Is 7 odd?"}', "Is 7 odd?"),
        ('List the names.\n{"people": [{"name": "Ana"}]}', "List the names."),
        ("Name the animal.\nIn: a\nOut: b\n\nIn: c\nOut: d\n\nIn: e\nOut:", "Name the animal.\ne"),
        (
            "2031-04-02 08:00:01 INFO a\n2031-04-02 08:00:02 INFO b\n2031-04-02 08:00:03 ERROR c\n"
            "  at main.py\n\nWhich line failed?",
            "Which line failed?",
        ),
    ],
)
def test_the_request_is_found_in_a_paste(text: str, asked: str) -> None:
    assert request_in(text) == asked
    assert routed(text) == asked


@pytest.mark.parametrize(
    "text",
    [
        "Summarise this chat:\nUser: hi\nBot: hello\nUser: bye",
        "Answer both.\nQuestion: Is 7 odd?\nQuestion: Is 8 odd?",
        "Context:\nSeven is odd.\n\nQuestion: Is 7 odd?\nQuestion: Is 8 odd?\nAnswer:",
        "Improve this exam item.\nQuestion: What is 2 + 2?",
        "fix it\n```\nprint(7\n```",
        "```\nprint(7)\n```",
        "Here is ``` one mark\nand nothing else",
        '{"a": 1}',
        '{"question": "Is 7 odd?", "message": "Is 8 odd?"}',
        '{"question": "Is 7',
        "Dear all,\n\nwe meet at 7: be there.\n\nBest,\nAna",
        "12:00:00 start\nWhat does that say?",
        "x" * 200_000 + "\nQuestion: Why?\nAnswer:",
    ],
)
def test_a_doubtful_form_is_routed_whole(text: str) -> None:
    assert request_in(text) == text


def test_a_follow_up_in_a_paste_is_routed_on_the_conversation() -> None:
    assert routed(HARD, "Yes.", "Context:\nSeven.\n\nQuestion: and why?\nAnswer:") == HARD


def test_pastes_of_twelve_languages_are_left_out() -> None:
    cases = [json.loads(line) for line in LADDER.read_text(encoding="utf-8").splitlines()]
    pastes = [case for case in cases if case["kind"] in PASTES]
    assert {case["language"] for case in pastes} >= {"zh", "ar", "hi", "ru", "ko", "ja"}
    for case in pastes:
        for side in ("easier", "harder"):
            request = request_in(case[side])
            assert request in case[side], case
            assert len(request) < 0.75 * len(case[side]), case


@pytest.mark.parametrize("unit", ["\n", "a:\n", "Question:\n", "```", "{\n", "}\n", "[" * 8, "a "])
def test_the_time_to_find_a_request_does_not_explode(unit: str) -> None:
    text = unit * (100_000 // len(unit)) + "\nAnswer:"
    assert isinstance(request_in(text), str)
    assert isinstance(is_follow_up(text), bool)
