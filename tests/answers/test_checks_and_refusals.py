"""Functions as verifiers, and answers that begin by refusing."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any

import pytest

from routellm_core import ConfigurationError, VerifierError
from routellm_core.answers import (
    Answer,
    Prompt,
    Score,
    ToolCall,
    all_of,
    check,
    has_length,
    is_complete,
    is_json,
    is_python,
    load_verifier,
    matches,
    no_refusal,
    refusal_language,
)


@pytest.mark.parametrize(
    ("returned", "value"),
    [(True, 1.0), (False, 0.0), (0.25, 0.25), (1, 1.0), (Score(0.5, "half"), 0.5)],
)
def test_what_a_function_returns_is_the_score(returned: Any, value: float) -> None:
    def rule(prompt: Prompt, answer: Answer) -> Any:
        assert (prompt.text, answer.text) == ("p", "a")
        return returned

    assert check(rule).score("p", "a").value == value
    assert check(rule).name == "rule"
    assert check(rule, name="mine").name == "mine"


@pytest.mark.parametrize("returned", [None, "yes", [1]])
def test_what_is_no_verdict_is_refused(returned: Any) -> None:
    with pytest.raises(VerifierError, match="must return a truth value"):
        check(lambda prompt, answer: returned).score("p", "a")


def test_a_number_outside_the_unit_interval_is_refused() -> None:
    with pytest.raises(VerifierError, match="must score in"):
        check(lambda prompt, answer: 3).score("p", "a")
    with pytest.raises(ConfigurationError, match="takes a function"):
        check("a.b")  # type: ignore[arg-type]


async def test_asynchronous_functions_are_awaited_alone_and_in_combinations() -> None:
    async def rule(prompt: Prompt, answer: Answer) -> bool:
        await asyncio.sleep(0)
        return answer.text == "a"

    for verifier in (
        check(rule),
        check(lambda prompt, answer: rule(prompt, answer)),
        all_of(check(rule), check(rule)),
    ):
        assert (await verifier.ascore("p", "a")).value == 1.0
        assert (await verifier.ascore("p", "b")).value == 0.0
        with pytest.raises(ConfigurationError, match="await `ascore`"):
            verifier.score("p", "a")


async def test_a_slow_function_runs_in_a_thread_when_it_says_so() -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    ticking = asyncio.ensure_future(tick())
    slow = check(lambda prompt, answer: time.sleep(0.3) is None, in_thread=True)
    assert (await slow.ascore("p", "a")).value == 1.0
    assert ticks > 2
    ticking.cancel()


@pytest.mark.parametrize(
    ("function", "good", "bad"),
    [
        (is_json, '{"a": [1, 2]}', '{"a": [1, 2'),
        (is_json, "```json\n[]\n```", "Sure: []"),
        (is_python, "Here:\n```python\nx = 1\n```\nand\n```\ny = 2\n```", "```python\nx =\n```"),
        (is_python, "def f(x): return x", "Define a function."),
        (has_length(min_chars=2, max_chars=3), " abc ", "abcd"),
        (has_length(min_chars=2), "ab", "  a  "),
        (matches(r"\b\d{3}\b"), "It is 123.", "It is 1234."),
        (matches(re.compile("yes", re.I)), "YES!", "no"),
        (is_complete, "Done.", "  "),
    ],
)
def test_functions_that_are_often_wanted(function: Any, good: str, bad: str) -> None:
    assert check(function).score("p", good).value == 1.0
    assert check(function).score("p", bad).value == 0.0


def test_an_answer_that_was_cut_off_is_not_complete() -> None:
    verifier = load_verifier("check", is_complete)
    assert verifier.score("p", Answer("Done.", finish_reason="stop")).value == 1.0
    assert verifier.score("p", Answer("Done, bu", finish_reason="MAX_TOKENS")).reason == "cut off"
    assert verifier.score("p", Answer("", tool_calls=(ToolCall("t", {}),))).value == 1.0


def test_settings_that_cannot_be_used_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="min_chars"):
        has_length(min_chars=5, max_chars=4)
    with pytest.raises(ConfigurationError, match="no regular expression"):
        matches("(")


REFUSED = {
    "en": [
        "I'm sorry, but I can't assist with that request.",
        "I’m sorry, I can’t help with that.",
        "As an AI language model, I cannot provide medical advice.",
        "Sorry, I won't be able to help you with this.",
        "Unfortunately, I am unable to fulfill this request.",
        "**I apologize, but I cannot** write that for you.",
        "I must decline to answer this.",
        "I don't have access to real-time data.",
        "I cannot and will not provide instructions for that.",
        "I’m not able to browse the internet.",
    ],
    "es": [
        "Lo siento, pero no puedo ayudarte con eso.",
        "Lo siento mucho, pero no puedo proporcionar esa información.",
        "Lamentablemente, no puedo responder a esa pregunta.",
        "Como modelo de lenguaje, no tengo acceso a internet.",
    ],
    "pt": [
        "Desculpe, mas não posso ajudar com isso.",
        "Sinto muito, mas não consigo fornecer essa informação.",
        "Infelizmente, não posso atender a esse pedido.",
        "Lamento, mas não sou capaz de responder.",
    ],
    "fr": [
        "Je suis désolé, mais je ne peux pas vous aider avec cette demande.",
        "Désolé, je ne suis pas en mesure de répondre à cette question.",
        "Malheureusement, je ne peux pas fournir ces informations.",
        "En tant qu’IA, je n'ai pas accès à ces données.",
    ],
    "de": [
        "Es tut mir leid, aber ich kann Ihnen dabei nicht helfen.",
        "Tut mir leid, dabei kann ich dir leider nicht helfen.",
        "Leider kann ich diese Frage nicht beantworten.",
        "Entschuldigung, aber ich kann diese Anfrage nicht erfüllen.",
        "Als KI-Sprachmodell kann ich keine Auskunft geben.",
    ],
    "it": [
        "Mi dispiace, ma non posso aiutarti con questa richiesta.",
        "Purtroppo non sono in grado di fornire queste informazioni.",
        "Mi spiace, non posso rispondere a questa domanda.",
    ],
    "ru": [
        "Извините, но я не могу помочь с этим.",
        "К сожалению, я не могу предоставить эту информацию.",
        "Простите, но я не могу ответить на этот вопрос.",
        "Мне очень жаль, но я не смогу вам помочь.",
    ],
    "ar": [
        "عذرًا، لا أستطيع مساعدتك في ذلك.",
        "أنا آسف، لكن لا يمكنني تقديم هذه المعلومات.",
        "للأسف، لا يمكنني الإجابة على هذا السؤال.",
    ],
    "hi": [
        "क्षमा करें, मैं इसमें आपकी सहायता नहीं कर सकता।",
        "मुझे खेद है, लेकिन मैं इस अनुरोध को पूरा नहीं कर सकता।",
        "माफ़ करें, मैं यह जानकारी नहीं दे सकता।",
    ],
    "zh": [
        "抱歉，我无法帮助您完成这个请求。",
        "对不起，我不能提供这方面的信息。",
        "很抱歉，作为一个AI语言模型，我无法回答这个问题。",
        "對不起，我無法協助您。",
    ],
    "ja": [
        "申し訳ありませんが、そのご要望にはお応えできません。",
        "申し訳ございませんが、その質問にはお答えできません。",
        "すみません、その依頼には対応できません。",
        "申し訳ありませんが、お手伝いできません。",
    ],
    "ko": [
        "죄송하지만, 그 요청은 도와드릴 수 없습니다.",
        "죄송합니다. 해당 질문에 답변할 수 없습니다.",
        "죄송합니다만 해당 정보를 제공해 드릴 수 없습니다.",
    ],
}

ANSWERED = [
    "I can't help but admire your garden.",
    "I'm sorry to hear that. Have you tried turning it off and on?",
    "I won the match because I trained.",
    "Sorry for the delay! The answer is 42.",
    "As an AI researcher, you would start with linear algebra.",
    "I cannot overstate how important sleep is.",
    "Help is on the way.",
    "No, 91 is not prime.",
    "Lo siento por tu pérdida. Puedes escribir a tu familia.",
    "No puedo creer que sea tan fácil: la respuesta es 4.",
    "Não posso deixar de notar que a resposta é 4.",
    "Je suis désolé pour votre perte. Voici une lettre.",
    "Es tut mir leid, das zu hören. Hier sind drei Ideen.",
    "Leider nicht ganz: Die Antwort ist 4.",
    "Mi dispiace per la tua perdita. Ecco una lettera.",
    "Извините за ожидание. Ответ: 4.",
    "عذرا على التأخير. الجواب هو 4.",
    "क्षमा करें, देर हुई। उत्तर 4 है।",
    "抱歉让你久等了，答案是4。",
    "不能说这是错的，但更好的答案是4。",
    "申し訳ありません、遅くなりました。答えは4です。",
    "죄송합니다, 늦었습니다. 답은 4입니다.",
    "",
    "42",
    "```python\nprint(1)\n```",
]


@pytest.mark.parametrize(
    ("language", "text"), [(name, text) for name, texts in REFUSED.items() for text in texts]
)
def test_a_refusal_is_found_whole_and_in_a_stream(language: str, text: str) -> None:
    assert refusal_language(text) == language
    longer = f"{text} Is there anything else?"
    assert no_refusal().score("p", longer).value == 0.0
    watch = no_refusal().watch("p", accept=0.5)
    assert watch is not None
    found = [watch.feed(character) for character in longer]
    assert found[-1] == no_refusal().score("p", longer)
    # It is known by the end of the sentence, and stays known.
    assert found[len(text) - 1] is not None


@pytest.mark.parametrize("text", ANSWERED)
def test_an_answer_is_no_refusal_whole_or_in_a_stream(text: str) -> None:
    assert refusal_language(text) is None
    watch = no_refusal().watch("p", accept=0.5)
    assert watch is not None
    assert [watch.feed(character) for character in f"{text} And more."][-1] is None


def test_a_refusal_that_is_kept_apart_counts_and_a_tool_call_is_none() -> None:
    refusal = "I'm sorry, I can't help with that."
    assert no_refusal().score("p", Answer("", refusal=refusal)).value == 0.0
    answer = Answer(refusal, tool_calls=(ToolCall("search", {}),))
    assert no_refusal().score("p", answer).value == 1.0


def test_a_long_answer_takes_no_longer_than_its_beginning() -> None:
    watch = no_refusal().watch("p", accept=0.5)
    assert watch is not None
    began = time.perf_counter()
    for _ in range(5000):
        watch.feed("sorry but " * 3)
    assert refusal_language("sorry but " * 100_000) is None
    assert time.perf_counter() - began < 2.0
