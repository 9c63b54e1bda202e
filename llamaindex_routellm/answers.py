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
)

from llamaindex_routellm.usage import look_up
from routellm_core import holds_answer, unusable_answer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llama_index.core.base.llms.types import ContentBlock

__all__ = ["finish_reason_of", "unusable_reason"]

_REASON_NAMES = (
    "finish_reason",
    "stop_reason",
    "stopReason",
    "finishReason",
    "done_reason",
)
_INSIDE = ("choices", "candidates", "delta", "messageStop")
"""Where a provider's own response or event keeps the reason, if not at its top."""


def unusable_reason(answer: object, escalate_filtered: bool) -> str | None:
    """Return why another model should answer, as `unusable_answer` of the core says it.

    Parameters
    ----------
    answer
        A whole answer: a response, or only its words, which do not tell why they ended. Anything
        else, such as an object or a stream, is usable.
    escalate_filtered
        Whether a filtered answer is unusable.

    Returns
    -------
    "empty", "length" or "content_filter"; None if the answer is usable.
    """
    if isinstance(answer, str):
        has_content = bool(answer)
    elif isinstance(answer, (ChatResponse, CompletionResponse)):
        has_content = _holds_answer(answer)
    else:
        return None
    if has_content and not escalate_filtered:
        return None
    return unusable_answer(
        has_content=has_content,
        finish_reason=finish_reason_of(answer),
        escalate_filtered=escalate_filtered,
    )


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
