"""Find the user's words in a prompt that a query engine filled in.

In LlamaIndex's default prompt with two chunks of 1024 tokens, the question begins after about 2000
tokens: routing on the whole prompt would mostly be routing on what was retrieved.
"""

from __future__ import annotations

from functools import lru_cache
from string import Formatter
from typing import TYPE_CHECKING, Any, NamedTuple

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.prompts import BasePromptTemplate, SelectorPromptTemplate

from llamaindex_routellm.messages import Words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llama_index.core.llms import LLM

__all__ = ["QUESTION_NAMES", "PromptParts", "question_in", "read_prompt"]

QUESTION_NAMES = ("query_str", "question", "query")
"""The template variables that hold the user's words, the surest first."""

_SHORTEST_HEAD = 8


class PromptParts(NamedTuple):
    """What a prompt will say: its question, and everything that is filled in."""

    question: str
    parts: Sequence[ChatMessage | Words]


def read_prompt(
    prompt: BasePromptTemplate, arguments: Mapping[str, Any], llm: LLM
) -> PromptParts | None:
    """Return the question of a prompt without filling it in; None when it does not name one.

    Parameters
    ----------
    prompt
        A selector is resolved for `llm`; values that were filled in earlier count.
    arguments
        The values to fill in. Not mutated.
    llm
        Who will be prompted.
    """
    template = selected(prompt, llm)
    values: dict[str, Any] = {**template.kwargs, **arguments}
    for name in QUESTION_NAMES:
        question = values.pop(name, None)
        question = getattr(question, "query_str", question)
        if isinstance(question, str) and question.strip():
            parts = [part for value in values.values() for part in _parts(value)]
            return PromptParts(question, [*parts, Words("user", question)])
    return None


def selected(prompt: BasePromptTemplate, llm: LLM) -> BasePromptTemplate:
    """Return the template that a prompt means for a model."""
    return prompt.select(llm) if isinstance(prompt, SelectorPromptTemplate) else prompt


def _parts(value: Any) -> Sequence[ChatMessage | Words]:
    if isinstance(value, str):
        return (Words("system", value),)
    if isinstance(value, (list, tuple)):
        return [item for item in value if isinstance(item, ChatMessage)]
    return ()


class _Frame(NamedTuple):
    """The fixed words around the question of a template."""

    head: str
    before: str
    after: str
    is_first: bool
    is_last: bool


def question_in(text: str) -> str | None:
    """Return the question in a text that was made with one of LlamaIndex's default templates.

    Examples
    --------
    >>> from llama_index.core.prompts.default_prompts import DEFAULT_TEXT_QA_PROMPT
    >>> question_in(DEFAULT_TEXT_QA_PROMPT.format(context_str="Query: no", query_str="Why?"))
    'Why?'
    >>> question_in("Query: Why?") is None
    True
    """
    heads, frames = _frames()
    if not text.startswith(heads):
        return None
    for frame in frames:
        if text.startswith(frame.head):
            question = _framed(text, frame)
            if question is not None:
                return question
    return None


def _framed(text: str, frame: _Frame) -> str | None:
    """Return what stands in the frame; None when the frame does not fit."""
    at = 0 if frame.is_first else text.rfind(frame.before)
    if at < 0:
        return None
    start = at + len(frame.before)
    tail = frame.after.rstrip()
    end = text.rfind(tail, start) if frame.is_last else text.find(tail, start)
    if end < 0:
        return None
    return text[start:end].strip() or None


@lru_cache(maxsize=1)
def _frames() -> tuple[tuple[str, ...], tuple[_Frame, ...]]:
    frames = tuple(
        frame
        for template, variable in _default_templates()
        if len((frame := _frame(template, variable)).head) >= _SHORTEST_HEAD
    )
    return tuple(frame.head for frame in frames), frames


def _frame(template: str, variable: str) -> _Frame:
    pieces = [(literal, name) for literal, name, _, _ in Formatter().parse(template)]
    names = [name for _, name in pieces]
    at = names.index(variable)
    after = pieces[at + 1][0] if at + 1 < len(pieces) else ""
    is_last = all(name is None for name in names[at + 1 :])
    return _Frame(pieces[0][0], pieces[at][0], after, is_first=at == 0, is_last=is_last)


def _default_templates() -> list[tuple[str, str]]:
    """Return the templates whose filled-in text reaches models, each with its question's name."""
    from llama_index.core.agent.workflow.prompts import DEFAULT_STATE_PROMPT
    from llama_index.core.chat_engine import condense_plus_context, condense_question
    from llama_index.core.prompts import default_prompts
    from llama_index.core.prompts.chat_prompts import CHAT_REFINE_PROMPT
    from llama_index.core.retrievers import fusion_retriever

    refine = CHAT_REFINE_PROMPT.message_templates[0].content or ""
    return [
        (default_prompts.DEFAULT_TEXT_QA_PROMPT_TMPL, "query_str"),
        (default_prompts.DEFAULT_TREE_SUMMARIZE_TMPL, "query_str"),
        (default_prompts.DEFAULT_REFINE_PROMPT_TMPL, "query_str"),
        (default_prompts.DEFAULT_QUERY_PROMPT_TMPL, "query_str"),
        (default_prompts.DEFAULT_QUERY_PROMPT_MULTIPLE_TMPL, "query_str"),
        (refine, "query_str"),
        (condense_question.DEFAULT_TEMPLATE, "question"),
        (condense_plus_context.DEFAULT_CONDENSE_PROMPT_TEMPLATE, "question"),
        (default_prompts.HYDE_TMPL, "context_str"),
        (fusion_retriever.QUERY_GEN_PROMPT, "query"),
        (DEFAULT_STATE_PROMPT, "msg"),
    ]
