"""Find the user's words in a prompt that a query engine filled in.

In LlamaIndex's default prompt with two chunks of 1024 tokens, the question begins after about 2000
tokens: routing on the whole prompt would mostly be routing on what was retrieved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.prompts import BasePromptTemplate, SelectorPromptTemplate

from llamaindex_routellm.frames import asked_within, framed_question
from llamaindex_routellm.messages import Words
from llamaindex_routellm.templates import QUESTION_NAMES
from llamaindex_routellm.transcripts import conversation_question

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llama_index.core.llms import LLM

__all__ = ["PromptParts", "question_in", "read_prompt", "selected"]


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
            return PromptParts(_innermost(question), [*parts, Words("user", question)])
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


def question_in(text: str) -> str | None:
    """Return the user's question in a text that LlamaIndex has filled in; None in other texts.

    It is found in every default template of `llama_index.core` that holds a question, and in the
    conversation that an agent sends to get its structured output.

    Examples
    --------
    >>> from llama_index.core.prompts.default_prompts import DEFAULT_TEXT_QA_PROMPT
    >>> question_in(DEFAULT_TEXT_QA_PROMPT.format(context_str="Query: no", query_str="Why?"))
    'Why?'
    >>> question_in("Query: Why?") is None
    True
    """
    question = conversation_question(text) or framed_question(text)
    return None if question is None else _innermost(question)


def _innermost(question: str) -> str:
    """Return the user's question within the one that an engine asks."""
    while (inner := asked_within(question)) is not None:
        question = inner
    return question
