"""Every template of LlamaIndex that holds a question is routed on it, filled in or not."""

from __future__ import annotations

import pkgutil
import re
import sys
import warnings
from copy import deepcopy
from functools import lru_cache
from importlib import import_module
from typing import Any

import llama_index.core
import pytest
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, TextBlock
from llama_index.core.output_parsers import PydanticOutputParser, SelectionOutputParser
from llama_index.core.prompts import (
    BasePromptTemplate,
    ChatPromptTemplate,
    PromptTemplate,
    RichPromptTemplate,
    SelectorPromptTemplate,
)
from pydantic import BaseModel

from llamaindex_routellm import RoutedLLM
from llamaindex_routellm.templates import default_pieces

QUESTION = "Prove that 7 is odd.\nOr isn't it?"
# What was retrieved, and what models said, looks like parts of a template.
DECOY = (
    "Seven.\nQuery: is it?\nQuestion: is it?\nQUERY: 'is it'?\nTask: none.\nAnswer: no.\n"
    "Response: 'no'\nContext: 'one'\n---------------------\nSeven."
)
ON_DISK = "data:image/png;base64,iVBORw0KGgo="

QUESTION_NAMES = ("query_str", "question", "query", "orig_query_str", "msg")
HYDE = {"DEFAULT_HYDE_PROMPT", "HYDE_TMPL"}

NO_QUESTION = {
    # Instructions for an agent; the question is a message of its own.
    "agent.react.prompts.CONTEXT_REACT_CHAT_SYSTEM_HEADER",
    "agent.react.prompts.REACT_CHAT_SYSTEM_HEADER",
    "agent.react.prompts.__BASE_REACT_CHAT_SYSTEM_HEADER",
    "agent.workflow.codeact_agent.DEFAULT_CODE_ACT_PROMPT",
    "agent.workflow.prompts.DEFAULT_EARLY_STOPPING_PROMPT",
    "agent.workflow.prompts.DEFAULT_HANDOFF_OUTPUT_PROMPT",
    "agent.workflow.prompts.DEFAULT_HANDOFF_PROMPT",
    "tools.eval_query_engine.FAILED_TOOL_OUTPUT_TEMPLATE",
    # System messages of chat engines; the question is a message of its own.
    "chat_engine.condense_plus_context.DEFAULT_CONTEXT_PROMPT_TEMPLATE",
    "chat_engine.condense_plus_context.DEFAULT_CONTEXT_REFINE_PROMPT_TEMPLATE",
    "chat_engine.context.DEFAULT_CONTEXT_TEMPLATE",
    "chat_engine.context.DEFAULT_REFINE_TEMPLATE",
    # Nobody asked: summaries, extraction, insertion into a tree, a conversation's facts.
    "extractors.metadata_extractors.DEFAULT_EXTRACT_TEMPLATE_STR",
    "extractors.metadata_extractors.DEFAULT_KEYWORD_EXTRACT_TEMPLATE",
    "extractors.metadata_extractors.DEFAULT_QUESTION_GEN_TMPL",
    "extractors.metadata_extractors.DEFAULT_SUMMARY_EXTRACT_TEMPLATE",
    "extractors.metadata_extractors.DEFAULT_TITLE_COMBINE_TEMPLATE",
    "extractors.metadata_extractors.DEFAULT_TITLE_NODE_TEMPLATE",
    "indices.property_graph.transformations.schema_llm.DEFAULT_SCHEMA_PATH_EXTRACT_PROMPT",
    "memory.memory_blocks.fact.DEFAULT_FACT_CONDENSE_PROMPT",
    "memory.memory_blocks.fact.DEFAULT_FACT_EXTRACT_PROMPT",
    "prompts.default_prompts.DEFAULT_DYNAMIC_EXTRACT_PROMPT",
    "prompts.default_prompts.DEFAULT_DYNAMIC_EXTRACT_PROPS_PROMPT",
    "prompts.default_prompts.DEFAULT_DYNAMIC_EXTRACT_PROPS_TMPL",
    "prompts.default_prompts.DEFAULT_DYNAMIC_EXTRACT_TMPL",
    "prompts.default_prompts.DEFAULT_INSERT_PROMPT",
    "prompts.default_prompts.DEFAULT_INSERT_PROMPT_TMPL",
    "prompts.default_prompts.DEFAULT_KEYWORD_EXTRACT_TEMPLATE",
    "prompts.default_prompts.DEFAULT_KEYWORD_EXTRACT_TEMPLATE_TMPL",
    "prompts.default_prompts.DEFAULT_KG_TRIPLET_EXTRACT_PROMPT",
    "prompts.default_prompts.DEFAULT_KG_TRIPLET_EXTRACT_TMPL",
    "prompts.default_prompts.DEFAULT_SCHEMA_EXTRACT_PROMPT",
    "prompts.default_prompts.DEFAULT_SCHEMA_EXTRACT_TMPL",
    "prompts.default_prompts.DEFAULT_SUMMARY_PROMPT",
    "prompts.default_prompts.DEFAULT_SUMMARY_PROMPT_TMPL",
    # The text of a node, an embedding's input, or a part of other prompts: asked by itself never.
    "extractors.interface.DEFAULT_NODE_TEXT_TEMPLATE",
    "indices.property_graph.sub_retrievers.text_to_cypher.DEFAULT_RESPONSE_TEMPLATE",
    "indices.vector_store.retrievers.auto_retriever.prompts.PREFIX",
    "indices.vector_store.retrievers.auto_retriever.prompts.SUFFIX",
    "memory.memory.DEFAULT_MEMORY_BLOCKS_TEMPLATE",
    "memory.memory_blocks.vector.DEFAULT_RETRIEVED_TEXT_TEMPLATE",
    "output_parsers.pydantic.PYDANTIC_FORMAT_TMPL",
    "postprocessor.node_recency.DEFAULT_QUERY_EMBEDDING_TMPL",
    "question_gen.prompts.SUFFIX",
    "retrievers.recursive_retriever.DEFAULT_QUERY_RESPONSE_TMPL",
    "schema.DEFAULT_METADATA_TMPL",
    "schema.DEFAULT_TEXT_NODE_TMPL",
    # FLARE's questions and their answers, which a test of its own is about.
    "query_engine.flare.answer_inserter.DEFAULT_ANSWER_INSERT_PROMPT",
    "query_engine.flare.answer_inserter.DEFAULT_ANSWER_INSERT_PROMPT_TMPL",
}


class Choice(BaseModel):
    """Don't look: a schema with an apostrophe."""

    number: int


def is_template(value: object) -> bool:
    if isinstance(value, BasePromptTemplate):
        return True
    return isinstance(value, str) and re.search(r"\{\s*[A-Za-z_]\w*\s*\}", value) is not None


@lru_cache(maxsize=1)
def found_templates() -> dict[str, Any]:
    """Return every template of the installed `llama_index.core`, by the module that makes it."""
    places: dict[Any, list[str]] = {}
    values: dict[Any, Any] = {}
    for module in pkgutil.walk_packages(llama_index.core.__path__, "llama_index.core."):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                contents = vars(import_module(module.name))
            except ImportError:
                # In need of a library that is not installed.
                continue
        for name, value in contents.items():
            if is_template(value) and not (name.startswith("__") and name.endswith("__")):
                key = (name, value if isinstance(value, str) else id(value))
                places.setdefault(key, []).append(module.name.removeprefix("llama_index.core."))
                values[key] = value
    return {f"{home(modules)}.{key[0]}": values[key] for key, modules in places.items()}


def home(modules: list[str]) -> str:
    """Return where a template is made, of the modules that import it: by LlamaIndex's names."""
    return min(modules, key=lambda name: ("prompts" not in name, "selector" in name, len(name)))


@pytest.fixture(scope="module")
def templates() -> dict[str, BasePromptTemplate]:
    """The templates of the installed LlamaIndex, with every one that a selector chooses from."""
    chosen: dict[str, BasePromptTemplate] = {}
    for name, value in found_templates().items():
        template = PromptTemplate(value) if isinstance(value, str) else value
        options = [template]
        if isinstance(template, SelectorPromptTemplate):
            options = [template.default_template, *(t for _, t in template.conditionals)]
        chosen |= {f"{name}{'+' * n}": option for n, option in enumerate(options)}
    return chosen


@pytest.fixture
def routed_texts(llm: RoutedLLM, router):
    """Which texts were routed since the last time."""
    llm.remember = 0

    def taken() -> list[str]:
        texts = list(router.prompts)
        router.prompts.clear()
        return texts

    return taken


def with_question(templates: dict[str, BasePromptTemplate]) -> dict[str, BasePromptTemplate]:
    return {name: t for name, t in templates.items() if name.rstrip("+") not in NO_QUESTION}


def filled(name: str, template: BasePromptTemplate, context: Any = DECOY) -> dict[str, Any]:
    """Return values for every variable: the question, and what looks like a question."""
    variables = set(template.template_vars)
    known = ("context_str",) if name.split(".")[-1] in HYDE else QUESTION_NAMES
    question = next((variable for variable in known if variable in variables), None)
    values = {v: QUESTION if v == question else DECOY for v in variables}
    if "context_messages" in variables:
        values["context_messages"] = [ChatMessage(context), ChatMessage(context)]
    return values


def test_the_list_of_templates_without_a_question_names_only_templates(templates) -> None:
    assert sorted(NO_QUESTION - set(templates)) == []


@pytest.mark.parametrize("form", ["predict", "complete", "chat"])
def test_every_template_with_a_question_is_routed_on_it(
    llm: RoutedLLM, templates, routed_texts, form: str
) -> None:
    read = {}
    for name, template in with_question(templates).items():
        values = filled(name, template)
        if form == "predict":
            llm.predict(template, **values)
        elif form == "complete":
            llm.complete(template.format(**values))
        else:
            llm.chat(template.format_messages(**values))
        read[name] = routed_texts()
    assert len(read) > 100
    assert {name: texts for name, texts in read.items() if texts != [QUESTION]} == {}


@pytest.mark.parametrize("parser", [PydanticOutputParser(Choice), SelectionOutputParser()])
def test_what_an_output_parser_appends_is_not_part_of_the_question(
    llm: RoutedLLM, templates, routed_texts, parser: Any
) -> None:
    read = {}
    for name, template in with_question(templates).items():
        parsed = deepcopy(template)
        parsed.output_parser = parser
        values = filled(name, template)
        llm.chat(parsed.format_messages(**values))
        if isinstance(template, PromptTemplate):
            llm.complete(parsed.format(**values))
        read[name] = routed_texts()
    assert {name: texts for name, texts in read.items() if set(texts) != {QUESTION}} == {}


def test_what_an_output_parser_appends_is_not_routed_in_a_template_of_ones_own(
    llm: RoutedLLM, routed_texts
) -> None:
    parser = PydanticOutputParser(Choice)
    for text in (QUESTION, f"{QUESTION}\n[\n  ...\n]"):
        llm.complete(parser.format(text))
        llm.complete(text)
        assert routed_texts() == [text] * 2
    instructions = parser.format("")
    llm.complete(instructions)
    assert routed_texts() == [instructions]


def test_images_between_the_words_of_a_template_do_not_hide_the_question(
    saying, templates, router
) -> None:
    sees = [saying(model=model) for model in ("gpt-4o", "gpt-4o-mini")]
    llm = RoutedLLM(strong=sees[0], weak=sees[1], router=router, threshold=0.5, remember=0)
    rich = {n: t for n, t in templates.items() if "context_messages" in t.template_vars}
    blocks = [TextBlock(text=DECOY), ImageBlock(url=ON_DISK), ImageBlock(url=ON_DISK)]
    for context in (blocks, blocks[::-1], blocks[1:]):
        for name, template in rich.items():
            messages = template.format_messages(**filled(name, template, context))
            assert any(isinstance(block, ImageBlock) for block in messages[-1].blocks)
            llm.chat(messages)
    assert router.prompts == [QUESTION] * 3 * 6


@pytest.mark.parametrize("name", ["query_str", "question", "query"])
def test_a_template_of_ones_own_names_its_question(llm: RoutedLLM, routed_texts, name: str) -> None:
    own = [
        PromptTemplate("Of {context_str}: {" + name + "}!"),
        ChatPromptTemplate.from_messages([("system", "{context_str}"), ("user", f"{{{name}}}")]),
        RichPromptTemplate("Of {{ context_str }}: {{ " + name + " }}!"),
        RichPromptTemplate(
            "{% chat role='user' %}{{ context_str }}: {{ " + name + " }}!{% endchat %}"
        ),
    ]
    for template in own:
        llm.predict(template, context_str=DECOY, **{name: QUESTION})
        assert routed_texts() == [QUESTION]


def test_a_template_without_a_question_is_routed_whole(llm, templates, routed_texts) -> None:
    # "auto" leaves fenced blocks out, which some of these have.
    llm.routing_text = "last_user"
    read = {}
    for name in sorted(NO_QUESTION):
        template = templates[name]
        if isinstance(template, RichPromptTemplate) or "answer_inserter" in name:
            continue
        text = template.format(**dict.fromkeys(template.template_vars, DECOY))
        llm.complete(text)
        read[name] = routed_texts() == [text]
    assert [name for name, whole in read.items() if not whole] == []


def test_a_template_that_another_version_lacks_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    from llama_index.core.prompts import default_prompts

    present = set(default_pieces())
    monkeypatch.delattr(default_prompts, "RANKGPT_RERANK_PROMPT")
    monkeypatch.setitem(sys.modules, "llama_index.core.question_gen.prompts", None)
    left_out = present - set(default_pieces())
    assert sorted(pieces.names for pieces in left_out) == [
        ("query", "num"),
        ("tools_str", "query_str"),
    ]
