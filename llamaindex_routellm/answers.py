"""What a model's answer holds, and why it ended, as LlamaIndex's integrations tell it."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import (
    CachePoint,
    ChatResponse,
    CompletionResponse,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)

from llamaindex_routellm.usage import look_up
from routellm_core import holds_answer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llama_index.core.base.llms.types import ContentBlock

__all__ = ["finish_reason_of", "holds_words", "says_something"]

_REASON_NAMES = (
    "finish_reason",
    "stop_reason",
    "stopReason",
    "finishReason",
    "done_reason",
)
_INSIDE = ("choices", "candidates", "delta", "messageStop")
"""Where a provider's own response or event keeps the reason, if not at its top."""


def holds_words(answer: object) -> bool:
    """Return whether a whole answer holds more than thoughts.

    Parameters
    ----------
    answer
        A response, or only its words. Anything else, such as an object, is an answer.
    """
    if isinstance(answer, str):
        return bool(answer)
    if isinstance(answer, (ChatResponse, CompletionResponse)):
        return _holds_answer(answer)
    return True


def says_something(chunk: object) -> bool:
    """Return whether a chunk holds words, thoughts, a tool call or an object."""
    if isinstance(chunk, ChatResponse):
        message = chunk.message
        return bool(
            chunk.delta
            or message.content
            or message.additional_kwargs.get("tool_calls")
            or (chunk.additional_kwargs or {}).get("thinking_delta")
            or any(isinstance(block, ToolCallBlock) for block in message.blocks)
        )
    if isinstance(chunk, CompletionResponse):
        return bool(chunk.delta or chunk.text)
    return chunk != ""


def finish_reason_of(answer: object) -> str | None:
    """Return why an answer or a chunk of one ended, in the provider's words; None if unsaid.

    Examples
    --------
    >>> finish_reason_of(CompletionResponse(text="", raw={"choices": [{"finish_reason": "stop"}]}))
    'stop'
    """
    if not isinstance(answer, (ChatResponse, CompletionResponse)):
        return None
    # Events of OpenAI's Responses hold the response so far.
    holders = (answer.raw, look_up(answer.raw, "response"))
    incomplete = [look_up(look_up(h, "incomplete_details"), "reason") for h in holders]
    places = [place for holder in holders for place in _places(holder)]
    places.append(answer.additional_kwargs)
    if isinstance(answer, ChatResponse):
        places.append(answer.message.additional_kwargs)
    found = (look_up(place, name) for place in places for name in _REASON_NAMES)
    for reason in (*incomplete, *found):
        if isinstance(reason, Enum):
            return reason.name
        if isinstance(reason, str) and reason:
            return reason
    return None


def _places(holder: Any) -> Iterator[Any]:
    for name in _INSIDE:
        inside = look_up(holder, name)
        yield inside[0] if isinstance(inside, (list, tuple)) and inside else inside
    yield holder


def _holds_answer(answer: ChatResponse | CompletionResponse) -> bool:
    if isinstance(answer, CompletionResponse):
        return bool(answer.text) or _holds_more(answer, answer.additional_kwargs or {})
    message = answer.message
    if any(_says_something(block) for block in message.blocks):
        return True
    return _holds_more(answer, {**(answer.additional_kwargs or {}), **message.additional_kwargs})


def _says_something(block: ContentBlock) -> bool:
    if isinstance(block, TextBlock):
        return bool(block.text)
    # Any other block is media or a call.
    return not isinstance(block, (ThinkingBlock, CachePoint))


def _holds_more(answer: ChatResponse | CompletionResponse, beside: dict[str, Any]) -> bool:
    """Return whether there is a tool call, a refusal in words or the like beside the text."""
    if holds_answer(beside) or beside.get("built_in_tool_calls"):
        return True
    choices = look_up(answer.raw, "choices")
    message = look_up(choices[0], "message") if isinstance(choices, list) and choices else None
    return bool(look_up(message, "refusal"))
