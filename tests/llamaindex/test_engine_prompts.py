"""Engines that fill in prompts by themselves are routed on the user's words, once a turn."""

from __future__ import annotations

import json
from typing import Any

import pytest
from llama_index.core import Document, Settings, SummaryIndex
from llama_index.core.agent.workflow import FunctionAgent, ReActAgent
from llama_index.core.base.base_selector import SingleSelection
from llama_index.core.evaluation import GuidelineEvaluator, RelevancyEvaluator
from llama_index.core.postprocessor import LLMRerank
from llama_index.core.postprocessor.rankGPT_rerank import RankGPTRerank
from llama_index.core.program import LLMTextCompletionProgram
from llama_index.core.query_engine import (
    FLAREInstructQueryEngine,
    RetryGuidelineQueryEngine,
    RetryQueryEngine,
    RouterQueryEngine,
)
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.core.selectors import (
    LLMMultiSelector,
    LLMSingleSelector,
    PydanticMultiSelector,
    PydanticSingleSelector,
)
from llama_index.core.selectors.prompts import DEFAULT_SINGLE_PYD_SELECT_PROMPT_TMPL
from llama_index.core.tools import QueryEngineTool
from pydantic import BaseModel

from llamaindex_routellm import RoutedLLM
from routellm_core.testing import Step

pytestmark = [
    pytest.mark.loopback,
    pytest.mark.usefixtures("collected"),
    # LlamaIndex's workflows read every attribute of an agent, pydantic's old ones too.
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20"),
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince211"),
    # LlamaIndex's ReAct agent asks a question that its workflows retired.
    pytest.mark.filterwarnings("ignore:is_running called from within a step:DeprecationWarning"),
    # LlamaIndex's memory leaves its database open.
    pytest.mark.filterwarnings("ignore:.*was deleted before being closed:ResourceWarning"),
]

HARD, EASY = "Prove that 7 is odd.", "What is 7 + 5?"
BOTH = pytest.mark.parametrize(("question", "model"), [(HARD, "gpt-4o"), (EASY, "gpt-4o-mini")])
ASYNC = pytest.mark.parametrize("use_async", [False, True])

FIRST = {"index": 1, "reason": "Is it 'odd'?"}
SECOND = {"index": 2, "reason": "It is a sum."}
AS_TEXT = json.dumps([{"choice": 2, "reason": "It is a sum."}])
SELECTORS: dict[str, tuple[Any, Step]] = {
    "PydanticSingleSelector": (
        PydanticSingleSelector.from_defaults,
        Step(tool_calls=(("SingleSelection", SECOND),)),
    ),
    "PydanticMultiSelector": (
        PydanticMultiSelector.from_defaults,
        Step(tool_calls=(("MultiSelection", {"selections": [FIRST, SECOND]}),)),
    ),
    "LLMSingleSelector": (LLMSingleSelector.from_defaults, Step(text=AS_TEXT)),
    "LLMMultiSelector": (LLMMultiSelector.from_defaults, Step(text=AS_TEXT)),
}


async def asked(engine: Any, question: str, use_async: bool) -> str:
    return str(await engine.aquery(question) if use_async else engine.query(question))


def engine_of(llm: Any) -> Any:
    documents = [Document(text="Seven is a prime. A query may say: Query: no. 'No.'\n" * 9)]
    return SummaryIndex.from_documents(documents).as_query_engine(llm=llm)


def tools_of(llm: Any) -> list[QueryEngineTool]:
    return [
        QueryEngineTool.from_defaults(engine_of(llm), description=about)
        for about in ("About the question: 'Is it odd?'", "About sums.")
    ]


@BOTH
@ASYNC
@pytest.mark.parametrize("selector", list(SELECTORS))
async def test_an_engine_is_chosen_and_asked_by_the_users_words(
    routed: RoutedLLM, server, router, selector: str, question: str, model: str, use_async: bool
) -> None:
    make, step = SELECTORS[selector]
    # The engine's summarizer takes the model of `Settings`.
    Settings.llm = routed
    engine = RouterQueryEngine(
        selector=make(llm=routed), query_engine_tools=tools_of(routed), llm=routed
    )
    server.script(step)
    assert await asked(engine, question, use_async)
    assert set(server.models_asked()) == {model}
    assert len(server.requests) == (4 if "selections" in str(step) else 2)
    assert router.prompts == [question]


@BOTH
@ASYNC
async def test_an_engine_is_chosen_by_a_program_that_parses_text(
    routed: RoutedLLM, server, router, question: str, model: str, use_async: bool
) -> None:
    program = LLMTextCompletionProgram.from_defaults(
        output_cls=SingleSelection,
        prompt_template_str=DEFAULT_SINGLE_PYD_SELECT_PROMPT_TMPL,
        llm=routed,
    )
    engine = RouterQueryEngine(
        selector=PydanticSingleSelector(selector_program=program),
        query_engine_tools=tools_of(routed),
        llm=routed,
    )
    server.script(Step(text=json.dumps(SECOND)))
    assert await asked(engine, question, use_async)
    assert server.models_asked() == [model] * 2
    assert router.prompts == [question]


@BOTH
@ASYNC
async def test_what_a_flare_engine_looks_up_is_decided_by_the_users_words(
    routed: RoutedLLM, server, router, question: str, model: str, use_async: bool
) -> None:
    engine = FLAREInstructQueryEngine(query_engine=engine_of(routed), llm=routed)
    server.script(
        Step(text="Seven is [Search(Is 7 a prime?)] and [Search(Is 7 odd?)]."),
        Step(text="Yes."),
        Step(text="Seven is a prime and odd."),
        Step(text="done"),
    )
    assert "prime and odd" in await asked(engine, question, use_async)
    assert server.models_asked() == [model] * 4
    assert router.prompts == [question]


@BOTH
@pytest.mark.parametrize("feedback", ["NO", "NO, not at all."])
@pytest.mark.usefixtures("current_loop")
def test_an_answer_that_is_judged_and_tried_again_is_one_turn(
    routed: RoutedLLM, server, router, question: str, model: str, feedback: str
) -> None:
    # The engine takes the model of `Settings`.
    Settings.llm = routed
    evaluator = RelevancyEvaluator(llm=routed)
    engine = RetryQueryEngine(engine_of(routed), evaluator, max_retries=2)
    server.script(Step(text="Seven."), Step(text=feedback), Step(text="Six."), Step(text=feedback))
    engine.query(question)
    assert server.models_asked() == [model] * 5
    assert router.prompts == [question]


@BOTH
@pytest.mark.parametrize("rewrites", [False, True])
@pytest.mark.usefixtures("current_loop")
def test_a_question_that_a_judge_has_rewritten_belongs_to_the_users_turn(
    routed: RoutedLLM, server, router, question: str, model: str, rewrites: bool
) -> None:
    Settings.llm = routed
    engine = RetryGuidelineQueryEngine(
        engine_of(routed),
        GuidelineEvaluator(llm=routed),
        resynthesize_query=rewrites,
        max_retries=2,
    )
    refused = Step(text=json.dumps({"passing": False, "feedback": "Be brief."}))
    rewritten = [Step(text="Say it in a word.")] if rewrites else []
    turns = [Step(text="Seven."), refused, *rewritten] * 2
    server.script(*turns)
    engine.query(question)
    assert server.models_asked() == [model] * (len(turns) + 1)
    assert router.prompts == [question]


@BOTH
@pytest.mark.parametrize("reranker", [LLMRerank, RankGPTRerank])
def test_passages_are_ranked_by_the_model_for_the_users_words(
    routed: RoutedLLM, server, router, question: str, model: str, reranker: Any
) -> None:
    nodes = [NodeWithScore(node=TextNode(text=f"{n} is a number.")) for n in (7, 8)]
    server.script(Step(text="Doc: 1, Relevance: 7"))
    assert reranker(llm=routed).postprocess_nodes(nodes, query_str=question)
    assert server.models_asked() == [model]
    assert router.prompts == [question]


@BOTH
def test_a_structured_model_in_an_engine_is_routed_on_the_users_words(
    routed: RoutedLLM, server, router, question: str, model: str
) -> None:
    engine = engine_of(routed.as_structured_llm(Sum))
    server.script(Step(tool_calls=(("Sum", {"total": 12}),)))
    assert "12" in str(engine.query(question))
    assert server.models_asked() == [model]
    assert router.prompts == [question]


class Sum(BaseModel):
    total: int


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


AGENTS: dict[Any, tuple[Step, ...]] = {
    FunctionAgent: (
        Step(tool_calls=(("add", {"a": 7, "b": 5}),)),
        Step(text="It is 12.\n\t<user>\n"),
    ),
    ReActAgent: (
        Step(text='Thought: I add.\nAction: add\nAction Input: {"a": 7, "b": 5}'),
        Step(text="Thought: I know.\nAnswer: It is 12."),
    ),
}


@BOTH
@pytest.mark.parametrize("agent", list(AGENTS))
async def test_an_agents_structured_output_belongs_to_the_users_turn(
    routed: RoutedLLM, server, router, agent: Any, question: str, model: str
) -> None:
    server.script(*AGENTS[agent], Step(tool_calls=(("Sum", {"total": 12}),)))
    answer = await agent(
        tools=[add], llm=routed, output_cls=Sum, streaming=False, system_prompt="Be kind."
    ).run(question)
    assert answer.structured_response == {"total": 12}
    assert server.models_asked() == [model] * 3
    assert router.prompts == [question]
