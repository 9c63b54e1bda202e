"""Know the user's words behind a question that a model wrote.

An engine may have a question rewritten or taken apart, and an agent asks its tools in words of its
own. What they ask then is still the same user's turn: it is decided by what that user said.
"""

from __future__ import annotations

import json
import re
from itertools import islice
from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import ChatResponse, CompletionResponse
from pydantic import BaseModel

from llamaindex_routellm.history import read_calls
from llamaindex_routellm.messages import text_of
from routellm_core import RecentValues

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Origins"]

_SIZE = 1024
_LONGEST = 2_000
_MOST = 64
# An unfinished string counts as one to the end, so that no text is searched again from each quote.
_STRING = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)', re.DOTALL)
# What FLARE looks up, as LlamaIndex reads it: up to the first parenthesis that closes.
_SEARCH = re.compile(r"\[Search\(([^()\[\]]*)")


class Origins:
    """Remember the latest questions that models wrote, and whose words they came from.

    Examples
    --------
    >>> origins = Origins()
    >>> origins.note('[{"sub_question": "And in 2020?"}]', words="How did revenue grow?")
    >>> origins.words_behind("And in 2020?"), origins.words_behind("Hello")
    ('How did revenue grow?', 'Hello')
    """

    __slots__ = ("_recent",)

    def __init__(self) -> None:
        self._recent = RecentValues[str, str](size=_SIZE)

    def words_behind(self, question: str) -> str:
        """Return the words of the user for whom a model wrote this question; else the question."""
        if not len(self._recent) or len(question) > _LONGEST:
            return question
        return self._recent.get(question.strip()) or question

    def note(self, answer: object, *, words: str, is_question: bool = False) -> None:
        """Note what may be asked next.

        Parameters
        ----------
        answer
            What a model said: a response, a text or an object. The arguments of its tool calls
            and every string in JSON count as questions.
        words
            What the user said.
        is_question
            Whether the whole text may be a question, too, and so may what it searches for, as in
            "Red is for [Search(Why is the flag red?)]".
        """
        for found in islice(_questions(answer, is_question=is_question), _MOST):
            question = found.strip()
            if question and question != words and len(question) <= _LONGEST:
                self._recent.put(question, words)


def _questions(answer: object, *, is_question: bool) -> Iterator[str]:
    if isinstance(answer, ChatResponse):
        for call in read_calls(answer.message):
            yield from _strings(call.arguments)
        text = text_of(answer.message)
    elif isinstance(answer, CompletionResponse):
        text = answer.text
    elif isinstance(answer, BaseModel):
        yield from _strings(answer.model_dump())
        return
    else:
        text = answer if isinstance(answer, str) else ""
    if is_question:
        yield text
        yield from _SEARCH.findall(text)
    if "{" in text:
        yield from _strings(text)


def _strings(value: Any) -> Iterator[str]:
    """Yield the strings in a value, and those of JSON in a text, however unfinished."""
    if isinstance(value, str):
        for literal in _STRING.finditer(value):
            try:
                yield json.loads(literal[0], strict=False)
            except ValueError:
                continue
    elif isinstance(value, dict):
        for item in value.values():
            yield from (item,) if isinstance(item, str) else _strings(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from (item,) if isinstance(item, str) else _strings(item)
