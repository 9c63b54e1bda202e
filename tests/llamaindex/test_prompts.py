"""Prompts are routed on the user's question, and filled in by the model that answers."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.output_parsers import PydanticOutputParser
from llama_index.core.prompts import ChatPromptTemplate, PromptTemplate, RichPromptTemplate
from llama_index.core.prompts.chat_prompts import CHAT_REFINE_PROMPT
from llama_index.core.prompts.default_prompt_selectors import DEFAULT_TEXT_QA_PROMPT_SEL
from llama_index.core.prompts.default_prompts import (
    DEFAULT_REFINE_PROMPT,
    DEFAULT_SUMMARY_PROMPT,
    DEFAULT_TEXT_QA_PROMPT,
    DEFAULT_TREE_SUMMARIZE_PROMPT,
)
from llama_index.core.types import PydanticProgramMode
from pydantic import BaseModel

from llamaindex_routellm import RoutedLLM
from routellm_core.testing import ScriptedRouter

HARD, EASY = "Prove that 7 is odd.", "What is 7 + 5?"
CONTEXT = "Seven is a number.\nQuery: is it?\n" * 200
PREDICTIONS = ["predict", "apredict", "stream", "astream"]
STRUCTURED = [
    "structured_predict",
    "astructured_predict",
    "stream_structured_predict",
    "astream_structured_predict",
]


class Answer(BaseModel):
    words: str


async def predict(llm: Any, method: str, *arguments: Any, **prompt_args: Any) -> Any:
    """Return a prediction: words, or the last object."""
    answer = getattr(llm, method)(*arguments, **prompt_args)
    if method.startswith("a"):
        answer = await answer
    if "stream" not in method:
        return answer
    chunks = [chunk async for chunk in answer] if method.startswith("a") else list(answer)
    return "".join(chunks) if isinstance(chunks[0], str) else chunks[-1]


@pytest.mark.parametrize("method", PREDICTIONS)
@pytest.mark.parametrize("said", [HARD, EASY])
async def test_a_prediction_is_the_chosen_models_own(
    llm: RoutedLLM, strong, weak, router, method: str, said: str
) -> None:
    chosen = strong if said == HARD else weak
    values = {"context_str": CONTEXT, "query_str": said}
    words = await predict(llm, method, DEFAULT_TEXT_QA_PROMPT_SEL, **values)
    assert words == await predict(chosen, method, DEFAULT_TEXT_QA_PROMPT_SEL, **values)
    assert chosen.heard[0] == chosen.heard[1]
    assert router.prompts == [said]


@pytest.mark.parametrize("name", ["query_str", "question", "query"])
@pytest.mark.parametrize("early", [True, False])
async def test_the_question_is_found_in_the_arguments_and_in_what_was_filled_in_before(
    llm: RoutedLLM, router, name: str, early: bool
) -> None:
    prompt: Any = PromptTemplate("Given {context}, say {" + name + "}!")
    values = {name: HARD}
    if early:
        prompt, values = prompt.partial_format(**values), {}
    llm.predict(prompt, context=CONTEXT, **values)
    assert router.prompts == [HARD]


def test_a_selector_is_asked_for_the_template_of_this_model(llm: RoutedLLM, router) -> None:
    prompt = DEFAULT_TEXT_QA_PROMPT_SEL.partial_format(query_str=HARD)
    llm.predict(prompt, context_str=CONTEXT)
    assert router.prompts == [HARD]


def test_chat_and_rich_templates_are_routed_on_their_question(llm: RoutedLLM, router) -> None:
    rich = RichPromptTemplate("{% chat role='user' %}{{ context }} {{ query_str }}{% endchat %}")
    llm.predict(CHAT_REFINE_PROMPT, context_msg=CONTEXT, query_str=HARD, existing_answer="No.")
    llm.predict(rich, context=CONTEXT, query_str=EASY)
    assert router.prompts == [HARD, EASY]


def test_a_template_that_names_no_question_is_routed_on_its_last_user_message(llm, router) -> None:
    messages = [("system", "You are {tone}."), ("user", "Write about {topic}.")]
    llm.predict(ChatPromptTemplate.from_messages(messages), tone="kind", topic="cats")
    llm.predict(PromptTemplate("Write about {topic}."), topic="dogs")
    assert router.prompts == ["Write about cats.", "Write about dogs."]


@pytest.mark.parametrize(
    ("template", "values"),
    [
        (DEFAULT_TEXT_QA_PROMPT, {"context_str": CONTEXT}),
        (DEFAULT_TREE_SUMMARIZE_PROMPT, {"context_str": CONTEXT}),
        (DEFAULT_REFINE_PROMPT, {"context_msg": CONTEXT, "existing_answer": "No."}),
        (CHAT_REFINE_PROMPT, {"context_msg": CONTEXT, "existing_answer": "No."}),
    ],
)
def test_the_question_is_found_in_a_default_prompt_that_is_already_filled_in(
    llm: RoutedLLM, router, template: Any, values: dict[str, str]
) -> None:
    llm.complete(template.format_messages(query_str=HARD, **values)[0].content)
    llm.remember = 0
    llm.chat(template.format_messages(query_str=HARD, **values))
    assert router.prompts == [HARD, HARD]


def test_a_text_that_only_resembles_a_default_prompt_is_routed_whole(llm, router) -> None:
    for text in ("Context information is below.", "Query: Why?\nAnswer: "):
        llm.complete(text)
    assert router.prompts == ["Context information is below.", "Query: Why?\nAnswer: "]


def test_an_agents_state_is_not_part_of_the_question(llm: RoutedLLM, router) -> None:
    from llama_index.core.agent.workflow.prompts import DEFAULT_STATE_PROMPT

    llm.chat([ChatMessage(DEFAULT_STATE_PROMPT.format(state={"n": 1}, msg=HARD))])
    assert router.prompts == [HARD]


def test_what_is_routed_can_be_a_function_of_the_messages(strong, weak, router) -> None:
    llm = RoutedLLM(
        strong=strong,
        weak=weak,
        router=router,
        threshold=0.5,
        routing_text=lambda messages: f"{len(messages)}: {messages[-1].content}",
    )
    llm.chat([ChatMessage("Hi"), ChatMessage(EASY)])
    llm.complete(HARD)
    llm.predict(PromptTemplate("Say {query_str}"), query_str=HARD)
    assert router.prompts == [f"2: {EASY}", f"1: {HARD}", f"1: Say {HARD}"]


def test_all_user_messages_can_be_routed(strong, weak, router) -> None:
    llm = RoutedLLM(strong=strong, weak=weak, router=router, threshold=0.5, routing_text="all_user")
    llm.chat([ChatMessage("Hi"), ChatMessage("Yes?", role="assistant"), ChatMessage(EASY)])
    assert router.prompts == [f"Hi\n{EASY}"]


def test_a_long_context_counts_against_the_weak_models_window(saying, strong, router) -> None:
    weak = saying(model="small", window=1000)
    llm = RoutedLLM(strong=strong, weak=weak, router=router, threshold=0.5)
    llm.predict(DEFAULT_TEXT_QA_PROMPT, context_str="x" * 4001, query_str=EASY)
    assert (strong.asked, weak.asked) == (["chat"], [])


def test_the_weak_models_own_template_is_used(saying, strong, router) -> None:
    weak = saying(is_chat=False, completion_to_prompt=lambda prompt: f"<s>{prompt}</s>")
    llm = RoutedLLM(strong=strong, weak=weak, router=router, threshold=0.5)
    llm.predict(PromptTemplate("Say {query_str}"), query_str=EASY)
    assert weak.heard == [(f"<s>Say {EASY}</s>", True)]


@pytest.mark.parametrize("method", PREDICTIONS)
async def test_a_failed_prediction_is_the_strong_models(llm, strong, weak, method: str) -> None:
    weak.error = TimeoutError("slow")
    words = await predict(llm, method, DEFAULT_SUMMARY_PROMPT, context_str="Seven.")
    assert words.split() == strong.words.split() or "stream" in method
    assert len(strong.asked) == 1


@pytest.mark.parametrize("method", PREDICTIONS)
@pytest.mark.parametrize("said", [HARD, EASY])
async def test_a_system_prompt_of_the_routing_model_is_said_to_the_chosen_one(
    strong, weak, router, method: str, said: str
) -> None:
    llm = RoutedLLM(
        strong=strong, weak=weak, router=router, threshold=0.5, system_prompt="Be kind."
    )
    chosen = strong if said == HARD else weak
    words = await predict(llm, method, PromptTemplate("Well: {query_str}"), query_str=said)
    assert words.split() == chosen.words.split() or "stream" in method
    assert [message.content for message in chosen.heard[0]] == ["Be kind.", f"Well: {said}"]
    assert router.prompts == [said]


async def test_an_output_parser_of_the_routing_model_parses(saying, router) -> None:
    model = saying(words='{"words": "yes"}')
    llm = RoutedLLM(
        strong=model,
        weak=saying(words='{"words": "yes"}'),
        router=router,
        threshold=0.5,
        output_parser=PydanticOutputParser(output_cls=Answer),
    )
    assert llm.predict(PromptTemplate("{query_str}"), query_str=EASY) == "words='yes'"
    assert await llm.apredict(PromptTemplate("{query_str}"), query_str=EASY) == "words='yes'"


@pytest.mark.parametrize("method", STRUCTURED)
@pytest.mark.parametrize("own_mode", [False, True])
@pytest.mark.parametrize("said", [HARD, EASY])
async def test_an_object_is_predicted_by_the_chosen_model(
    saying, router: ScriptedRouter, method: str, own_mode: bool, said: str
) -> None:
    options: dict[str, Any] = {"pydantic_program_mode": PydanticProgramMode.LLM} if own_mode else {}
    strong = saying(words='{"words": "big"}', calls_functions="stream" in method)
    weak = saying(words='{"words": "small"}', calls_functions="stream" in method)
    llm = RoutedLLM(strong=strong, weak=weak, router=router, threshold=0.5, **options)
    prompt = PromptTemplate("Given " + CONTEXT + ", {query_str}")
    answer = await predict(llm, method, Answer, prompt, query_str=said)
    assert answer == Answer(words="big" if said == HARD else "small")
    assert router.prompts == [said]


def test_a_decision_for_a_prediction_is_not_left_behind(strong, weak, router) -> None:
    llm = RoutedLLM(strong=strong, weak=weak, router=router, threshold=0.5, system_prompt="Hm.")
    tokens = llm.stream(PromptTemplate("{query_str}"), query_str=HARD)
    next(tokens)
    assert llm.complete(EASY).additional_kwargs["routellm"]["route"] == "weak"
    assert list(tokens)


def test_a_routed_model_may_be_routed_to(strong, weak, saying, router) -> None:
    inner = RoutedLLM(strong=strong, weak=weak, router=ScriptedRouter(), threshold=0.5)
    best = saying(model="best")
    llm = RoutedLLM(strong=best, weak=inner, router=router, threshold=0.5, system_prompt="Be kind.")
    llm.predict(PromptTemplate("{query_str}"), query_str=EASY)
    llm.predict(PromptTemplate("{query_str}"), query_str=HARD)
    assert (len(weak.asked), len(strong.asked), len(best.asked)) == (1, 0, 1)
