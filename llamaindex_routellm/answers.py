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

from routellm_core import holds_answer, look_up, says_words, shows_something

if TYPE_CHECKING:
    from collections.abc import Iterator


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


def holds_words(answer: object, *, finish_reason: str | None = None) -> bool:
    """Return whether a whole answer holds more than blanks and thoughts.

    Parameters
    ----------
    answer
        A response, or only its words. Anything else, such as an object, is an answer.
    finish_reason
        Why it ended, where the answer itself does not say.
    """
    if isinstance(answer, str):
        return says_words(answer, finish_reason=finish_reason)
    if isinstance(answer, (ChatResponse, CompletionResponse)):
        return _holds_answer(answer, finish_reason)
    return True


def says_something(chunk: object) -> bool:
    """Return whether a chunk shows words, thoughts, a tool call or an object; blanks do not."""
    if isinstance(chunk, ChatResponse):
        message = chunk.message
        return bool(
            shows_something(chunk.delta)
            or shows_something(message.content)
            or message.additional_kwargs.get("tool_calls")
            or shows_something((chunk.additional_kwargs or {}).get("thinking_delta"))
            or any(isinstance(block, ToolCallBlock) for block in message.blocks)
        )
    if isinstance(chunk, CompletionResponse):
        return shows_something(chunk.delta) or shows_something(chunk.text)
    return shows_something(chunk) if isinstance(chunk, str) else True


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


def _holds_answer(answer: ChatResponse | CompletionResponse, finish_reason: str | None) -> bool:
    if isinstance(answer, CompletionResponse):
        beside = answer.additional_kwargs or {}
        return _says_words(answer.text, answer, finish_reason) or _holds_more(answer, beside)
    message = answer.message
    for block in message.blocks:
        if isinstance(block, TextBlock):
            if _says_words(block.text, answer, finish_reason):
                return True
        elif not isinstance(block, (ThinkingBlock, CachePoint)):  # media or a call
            return True
    return _holds_more(answer, {**(answer.additional_kwargs or {}), **message.additional_kwargs})


def _says_words(
    text: str, answer: ChatResponse | CompletionResponse, finish_reason: str | None
) -> bool:
    # The reason is looked for only where thoughts may stand: its places are many.
    if finish_reason is None and text.lstrip().startswith("<"):
        finish_reason = finish_reason_of(answer)
    return says_words(text, finish_reason=finish_reason)


def _holds_more(answer: ChatResponse | CompletionResponse, beside: dict[str, Any]) -> bool:
    """Return whether there is a tool call, a refusal in words or the like beside the text."""
    if holds_answer(beside) or beside.get("built_in_tool_calls"):
        return True
    choices = look_up(answer.raw, "choices")
    message = look_up(choices[0], "message") if isinstance(choices, list) and choices else None
    return bool(look_up(message, "refusal"))
