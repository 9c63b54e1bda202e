"""Which answers are unusable: one rule for streams and plain calls of every adapter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from routellm_core.errors import EmptyAnswerError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "holds_answer",
    "is_cut_off",
    "says_words",
    "shows_something",
    "unusable_answer",
    "unusable_answer_error",
]

_ANSWER_FIELDS = (
    "content",
    "text",
    "tool_calls",
    "invalid_tool_calls",
    "function_call",
    "refusal",
    "audio",
    "images",
)
"""Where a message holds an answer. Reasoning, signatures and annotations are none by themselves."""

_REASONING_PARTS = frozenset({"thinking", "redacted_thinking", "reasoning", "reasoning_content"})

_THOUGHTS = ("think", "thinking", "reasoning")
"""The tags between which models write their reasoning into the text of an answer."""

_WORDY_PARTS = frozenset({"text", "output_text", "thinking", "reasoning"})
"""Parts of a stream that are empty without words."""

_CUT_OFF = frozenset({"length", "max_tokens", "max_output_tokens", "model_length"})
_FILTERED = frozenset(
    {
        "blocklist",
        "content_filter",
        "content_filtered",
        "error_toxic",
        "guardrail_intervened",
        "image_safety",
        "prohibited_content",
        "recitation",
        "refusal",
        "safety",
        "sensitive",
        "spii",
    }
)
"""OpenAI's word and those of Anthropic, Bedrock, Cohere, Gemini and Zhipu, in lower case."""

_WORDS: Mapping[str, str] = {
    "content_filter": "its content was filtered",
    "empty": "it ended without content",
    "length": "the token limit was reached before the first word",
}


def unusable_answer(
    *, has_content: bool, finish_reason: str | None, escalate_filtered: bool = False
) -> str | None:
    """Return why another model should answer; None for an answer to pass on as it is.

    Parameters
    ----------
    has_content
        Whether the answer holds words, a tool call, a refusal in words, or media. In a stream,
        whether anything was handed to the caller, see `shows_something`. Of a whole answer, or of
        a stream that was held back to its end, see `holds_answer`.
    finish_reason
        In any provider's words; None when there is none.
    escalate_filtered
        Whether a filtered answer is unusable, with or without content. By default it is the
        provider's verdict on the request, and passed on.

    Returns
    -------
    "empty", "length" or "content_filter"; None if the answer is usable.

    Examples
    --------
    >>> unusable_answer(has_content=False, finish_reason="stop")
    'empty'
    >>> unusable_answer(has_content=False, finish_reason="MAX_TOKENS")
    'length'
    >>> unusable_answer(has_content=False, finish_reason="content_filter") is None
    True
    >>> unusable_answer(has_content=True, finish_reason="length") is None
    True
    """
    reason = (finish_reason or "").strip().lower()
    if reason in _FILTERED:
        return "content_filter" if escalate_filtered else None
    if has_content:
        return None
    return "length" if is_cut_off(reason) else "empty"


def is_cut_off(finish_reason: str | None) -> bool:
    """Return whether a model stopped at a limit of tokens, in any provider's words.

    Examples
    --------
    >>> is_cut_off("MAX_TOKENS"), is_cut_off("stop"), is_cut_off(None)
    (True, False, False)
    """
    return (finish_reason or "").strip().lower() in _CUT_OFF


def unusable_answer_error(model: str, reason: str) -> EmptyAnswerError:
    """Return the error for a reason that `unusable_answer` gave.

    Examples
    --------
    >>> print(unusable_answer_error("small", "length"))
    Model 'small' gave no usable answer: the token limit was reached before the first word.
    """
    return EmptyAnswerError(f"Model {model!r} gave no usable answer: {_WORDS[reason]}.")


def shows_something(value: object) -> bool:
    r"""Return whether what a chunk adds shows a reader something; blanks alone do not.

    Parameters
    ----------
    value
        A text, a list of parts in any provider's shape, or anything else, such as a call. Thoughts
        count here, with or without tags: what a reader saw cannot be taken back.

    Examples
    --------
    >>> shows_something(" \n"), shows_something([{"type": "text", "text": ""}])
    (False, False)
    >>> shows_something([{"type": "thinking", "thinking": "Hm"}]), shows_something("<think>")
    (True, True)
    """
    if isinstance(value, str):
        return bool(value) and not value.isspace()
    if isinstance(value, (list, tuple)):
        return any(map(shows_something, value))
    if isinstance(value, dict) and value.get("type") in _WORDY_PARTS:
        words = [value[name] for name in ("text", "thinking", "reasoning") if name in value]
        return any(map(shows_something, words)) if words else bool(value)
    return bool(value)


def says_words(text: str, *, finish_reason: str | None = None) -> bool:
    r"""Return whether the text of a whole answer says more than blanks and thoughts.

    Parameters
    ----------
    text
        As the model wrote it. Reasoning stands at its beginning, as in `<think>...</think>`.
    finish_reason
        In any provider's words. Thoughts without an end are none of an answer where the model
        stopped at a limit of tokens; else they are taken for the answer.

    Examples
    --------
    >>> says_words("  \n"), says_words("<think>Hm.</think>\n"), says_words("<think>Hm.</think> Hi")
    (False, False, True)
    >>> says_words("<think>Hm. So", finish_reason="length"), says_words("<think>Hm. So")
    (False, True)
    """
    words = text.lstrip()
    if not words.startswith("<"):
        return bool(words)
    lowered = words.lower()
    tag = next((tag for tag in _THOUGHTS if lowered.startswith(f"<{tag}>")), None)
    if tag is None:
        return True
    _, end, rest = lowered.partition(f"</{tag}>")
    return shows_something(rest) if end else not is_cut_off(finish_reason)


def holds_answer(message: Mapping[str, Any], *, finish_reason: str | None = None) -> bool:
    """Return whether a whole message holds more than blanks and reasoning.

    Parameters
    ----------
    message
        In OpenAI's shape: `content` as a string or a list of parts, `tool_calls`, `refusal`,
        `audio` and so on.
    finish_reason
        As for `says_words`.

    Examples
    --------
    >>> holds_answer({"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]})
    True
    >>> holds_answer({"role": "assistant", "content": "", "reasoning_content": "Let me think"})
    False
    >>> holds_answer({"content": [{"type": "thinking", "thinking": "Let me think"}]})
    False
    """
    return any(_says_something(message.get(name), finish_reason) for name in _ANSWER_FIELDS)


def _says_something(value: object, finish_reason: str | None) -> bool:
    if isinstance(value, str):
        return says_words(value, finish_reason=finish_reason)
    if isinstance(value, (list, tuple)):
        return any(_part_says_something(part, finish_reason) for part in value)
    return bool(value)


def _part_says_something(part: object, finish_reason: str | None) -> bool:
    if not isinstance(part, dict):
        return _says_something(part, finish_reason)
    if part.get("type") in _REASONING_PARTS:
        return False
    # A text part without text is empty; any other part is media or a call.
    return _says_something(part["text"], finish_reason) if "text" in part else bool(part)
