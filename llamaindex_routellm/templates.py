"""LlamaIndex's default prompt templates that hold a question, and the fixed words in them."""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from llama_index.core.base.llms.generic_utils import messages_to_prompt
from llama_index.core.base.llms.types import ChatMessage, MessageRole
from llama_index.core.prompts import BasePromptTemplate, PromptTemplate

from llamaindex_routellm.messages import text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["QUESTION_NAMES", "Pieces", "default_pieces", "wrapper_pieces"]

QUESTION_NAMES = ("query_str", "question", "query")
"""The template variables that hold the user's words, the surest first."""

_OTHER_NAMES = ("msg", "orig_query_str")
"""Variables that hold the user's words in one of LlamaIndex's templates only."""

_TEMPLATES: dict[str, tuple[str, ...]] = {
    "agent.workflow.prompts": ("DEFAULT_STATE_PROMPT",),
    "chat_engine.condense_plus_context": ("DEFAULT_CONDENSE_PROMPT_TEMPLATE",),
    "chat_engine.condense_question": ("DEFAULT_TEMPLATE",),
    "evaluation.answer_relevancy": ("DEFAULT_EVAL_TEMPLATE",),
    "evaluation.context_relevancy": ("DEFAULT_EVAL_TEMPLATE", "DEFAULT_REFINE_TEMPLATE"),
    "evaluation.correctness": ("DEFAULT_EVAL_TEMPLATE",),
    "evaluation.dataset_generation": ("DEFAULT_QUESTION_GENERATION_PROMPT",),
    "evaluation.faithfulness": (
        "DEFAULT_EVAL_TEMPLATE",
        "DEFAULT_REFINE_TEMPLATE",
        "LLAMA3_8B_EVAL_TEMPLATE",
    ),
    "evaluation.guideline": ("DEFAULT_EVAL_TEMPLATE",),
    "evaluation.multi_modal.faithfulness": ("DEFAULT_EVAL_TEMPLATE", "DEFAULT_REFINE_TEMPLATE"),
    "evaluation.multi_modal.relevancy": ("DEFAULT_EVAL_TEMPLATE", "DEFAULT_REFINE_TEMPLATE"),
    "evaluation.pairwise": ("DEFAULT_EVAL_TEMPLATE",),
    "evaluation.relevancy": ("DEFAULT_EVAL_TEMPLATE", "DEFAULT_REFINE_TEMPLATE"),
    "graph_stores.prompts": ("DEFAULT_CYPHER_TEMPALTE_STR",),
    "indices.knowledge_graph.retrievers": ("DEFAULT_SYNONYM_EXPAND_TEMPLATE",),
    "indices.property_graph.sub_retrievers.llm_synonym": ("DEFAULT_SYNONYM_EXPAND_TEMPLATE",),
    "indices.property_graph.sub_retrievers.text_to_cypher": ("DEFAULT_SUMMARY_TEMPLATE",),
    "indices.query.query_transform.feedback_transform": ("DEFAULT_RESYNTHESIS_PROMPT",),
    "indices.query.query_transform.prompts": (
        "DEFAULT_DECOMPOSE_QUERY_TRANSFORM_PROMPT",
        "DEFAULT_IMAGE_OUTPUT_PROMPT",
        "DEFAULT_STEP_DECOMPOSE_QUERY_TRANSFORM_PROMPT",
    ),
    "indices.struct_store.container_builder": ("DEFAULT_CONTEXT_QUERY_TMPL",),
    "indices.struct_store.json_query": ("DEFAULT_RESPONSE_SYNTHESIS_PROMPT",),
    "indices.struct_store.sql_query": (
        "DEFAULT_RESPONSE_SYNTHESIS_PROMPT",
        "DEFAULT_RESPONSE_SYNTHESIS_PROMPT_V2",
    ),
    "indices.vector_store.retrievers.auto_retriever.prompts": (
        "DEFAULT_VECTOR_STORE_QUERY_PROMPT",
    ),
    "postprocessor.node": ("DEFAULT_INFER_PREV_NEXT_TMPL", "DEFAULT_REFINE_INFER_PREV_NEXT_TMPL"),
    "postprocessor.pii": ("DEFAULT_PII_TMPL",),
    "prompts.chat_prompts": (
        "CHAT_CONTENT_CHOICE_SELECT_PROMPT",
        "CHAT_CONTENT_QA_PROMPT",
        "CHAT_CONTENT_REFINE_PROMPT",
        "CHAT_CONTENT_TREE_SUMMARIZE_PROMPT",
        "CHAT_REFINE_PROMPT",
        "CHAT_REFINE_TABLE_CONTEXT_PROMPT",
        "CHAT_SIMPLE_INPUT_PROMPT",
        "CHAT_TEXT_QA_PROMPT",
        "CHAT_TREE_SUMMARIZE_PROMPT",
    ),
    "prompts.default_prompts": (
        "DEFAULT_CHOICE_SELECT_PROMPT",
        "DEFAULT_HYDE_PROMPT",
        "DEFAULT_JSONALYZE_PROMPT",
        "DEFAULT_JSON_PATH_PROMPT",
        "DEFAULT_QUERY_KEYWORD_EXTRACT_TEMPLATE",
        "DEFAULT_QUERY_PROMPT",
        "DEFAULT_QUERY_PROMPT_MULTIPLE",
        "DEFAULT_REFINE_PROMPT",
        "DEFAULT_REFINE_TABLE_CONTEXT_PROMPT",
        "DEFAULT_TABLE_CONTEXT_PROMPT",
        "DEFAULT_TEXT_QA_PROMPT",
        "DEFAULT_TEXT_TO_SQL_PGVECTOR_PROMPT",
        "DEFAULT_TEXT_TO_SQL_PROMPT",
        "DEFAULT_TREE_SUMMARIZE_PROMPT",
        "RANKGPT_RERANK_PROMPT",
        "STRUCTURED_CHOICE_SELECT_PROMPT",
    ),
    "query_engine.citation_query_engine": (
        "CITATION_CHAT_CONTENT_QA_TEMPLATE",
        "CITATION_CHAT_CONTENT_REFINE_TEMPLATE",
        "CITATION_QA_TEMPLATE",
        "CITATION_REFINE_TEMPLATE",
    ),
    "query_engine.flare.answer_inserter": ("DEFAULT_ANSWER_INSERT_PROMPT",),
    "query_engine.flare.base": ("DEFAULT_INSTRUCT_PROMPT",),
    "query_engine.knowledge_graph_query_engine": ("DEFAULT_KG_RESPONSE_ANSWER_PROMPT",),
    "query_engine.sql_join_query_engine": (
        "DEFAULT_SQL_AUGMENT_TRANSFORM_PROMPT",
        "DEFAULT_SQL_JOIN_SYNTHESIS_PROMPT",
    ),
    "query_engine.sql_vector_query_engine": ("DEFAULT_SQL_VECTOR_SYNTHESIS_PROMPT",),
    "question_gen.prompts": ("DEFAULT_SUB_QUESTION_PROMPT_TMPL",),
    "retrievers.fusion_retriever": ("QUERY_GEN_PROMPT",),
    "selectors.prompts": (
        "DEFAULT_MULTIPLE_SELECT_PROMPT",
        "DEFAULT_MULTI_PYD_SELECT_PROMPT_TMPL",
        "DEFAULT_SINGLE_PYD_SELECT_PROMPT_TMPL",
        "DEFAULT_SINGLE_SELECT_PROMPT",
    ),
}
"""The templates that hold a question, by their module in `llama_index.core`."""

_HYDE = "DEFAULT_HYDE_PROMPT"
"""It calls the question its context."""

_WRAPPERS = (
    # `RelevancyEvaluator`, and `FeedbackQueryTransformation`, which the retrying engines ask with.
    "Question: {query}\nResponse: {response}",
    "{query}\n----------------\nHere is a previous bad answer.\n{response}",
    "Here is a previous bad answer.\n{response}\n"
    "Here is some feedback from the evaluator about the response given.\n{feedback}\n"
    "Now answer the question.\n{query}",
)
"""What engines put around a question, without a template, before they ask it as one.

What may stand around another comes first.
"""

# Of the private use area: no template has it.
_MARK = "\ue000"
_VARIABLE = re.compile("\ue000(\\w+)\ue000")


class Pieces(NamedTuple):
    """The fixed words of a filled-in template, and what stands between them.

    Parameters
    ----------
    fixed
        One more than `names`: what stands before, between and after the variables.
    names
        The variables, in the order of the text; one may appear twice.
    question
        The one of `names` that holds the question.
    """

    fixed: tuple[str, ...]
    names: tuple[str, ...]
    question: str


def default_pieces() -> Iterator[Pieces]:
    """Yield the pieces of every default template that holds a question, as models get it.

    A template that the installed LlamaIndex does not have is left out.
    """
    for module, names in _TEMPLATES.items():
        try:
            holder = import_module(f"llama_index.core.{module}")
        except ImportError:
            # Of another version, or in need of a library that is not installed.
            continue
        for name in names:
            template = getattr(holder, name, None)
            if isinstance(template, (str, BasePromptTemplate)):
                yield from _pieces(_template(template), hyde=name == _HYDE)


def wrapper_pieces() -> Iterator[Pieces]:
    """Yield the pieces of what engines put around a question before they ask it as one.

    What may stand around another comes first.
    """
    for wrapper in _WRAPPERS:
        yield from _pieces(PromptTemplate(wrapper))


def _template(template: str | BasePromptTemplate) -> BasePromptTemplate:
    return PromptTemplate(template) if isinstance(template, str) else template


def _pieces(template: BasePromptTemplate, *, hyde: bool = False) -> Iterator[Pieces]:
    known = ("context_str",) if hyde else QUESTION_NAMES + _OTHER_NAMES
    values = {name: _value(name) for name in template.template_vars}
    messages = template.format_messages(**values)
    texts = [text_of(m) for m in messages if m.role == MessageRole.USER][-1:]
    if not isinstance(template, PromptTemplate):
        # As text, for a model that does not chat.
        texts.append(messages_to_prompt(messages))
    for text in texts:
        fixed, names = _VARIABLE.split(text)[::2], _VARIABLE.split(text)[1::2]
        question = next((name for name in known if name in names), None)
        if question is not None:
            yield Pieces(tuple(fixed), tuple(names), question)


def _value(name: str) -> Any:
    marked = f"{_MARK}{name}{_MARK}"
    if name == "context_messages":
        return [ChatMessage(marked)]
    if name == "query_answer_pairs":
        # FLARE's own questions: it is known whose words they came from.
        pair = f"Query: {_MARK}query{_MARK}\nAnswer: {_MARK}answer{_MARK}\n"
        return f"{_MARK}pairs{_MARK}{pair}"
    return marked
