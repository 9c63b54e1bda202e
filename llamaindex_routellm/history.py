"""Say a conversation's tool calls in the way that one integration expects."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from llama_index.core.base.llms.types import (
    CachePoint,
    ChatMessage,
    ContentBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from llama_index.core.llms import LLM

__all__ = ["Dialect", "NamedCall", "adapted", "call_as_json", "dialect_of", "read_calls"]

Dialect = Literal["blocks", "openai", "litellm", "any"]
"""How an integration keeps tool calls in a message.

"blocks": as `ToolCallBlock`, arguments an object, or as the model itself wrote them. "openai": as
`ToolCallBlock`, arguments an object or its JSON. "litellm": as OpenAI's JSON in
`additional_kwargs`; blocks that hold neither words nor media nor files are refused. "any": the
model adapts messages by itself.
"""


class NamedCall(NamedTuple):
    """Be one call of a tool; `arguments` is an object or its JSON."""

    identity: str | None
    name: str
    arguments: dict[str, Any] | str


def dialect_of(llm: LLM) -> Dialect:
    """Return the dialect that a model understands."""
    return _dialect_of(type(llm))


@lru_cache(maxsize=256)
def _dialect_of(kind: type) -> Dialect:
    modules = [cls.__module__ for cls in kind.__mro__]
    if any(module.startswith("llamaindex_routellm") for module in modules):
        return "any"
    if any(module.startswith("llama_index.llms.litellm") for module in modules):
        return "litellm"
    if any(module.startswith("llama_index.llms.openai.") for module in modules):
        return "openai"
    return "blocks"


def adapted(
    messages: Iterable[ChatMessage],
    dialect: Dialect,
    *,
    system_role: MessageRole | None = None,
    wrote: Callable[[int], bool | None] = lambda _: None,
) -> list[ChatMessage]:
    """Return a new list of messages that a model of this dialect takes.

    Parameters
    ----------
    messages
        Not mutated: a message that has to change is copied.
    dialect
        The model's.
    system_role
        The role that the model expects system messages to have; None leaves them as they are.
    wrote
        Whether the model, or another one of its class, wrote the message with this index; None
        when that is not known. What it wrote itself it takes as it is.
    """
    return [
        _adapted(message, index, dialect, system_role, wrote)
        for index, message in enumerate(messages)
    ]


def _adapted(
    message: ChatMessage,
    index: int,
    dialect: Dialect,
    system_role: MessageRole | None,
    wrote: Callable[[int], bool | None],
) -> ChatMessage:
    if system_role is not None and message.role == MessageRole.SYSTEM:
        message = message.model_copy(update={"role": system_role})
    blocks = message.blocks
    plain = len(blocks) == 1 and isinstance(blocks[0], TextBlock)
    if (plain and not message.additional_kwargs) or dialect == "any":
        return message
    if dialect == "litellm":
        return _for_litellm(message)
    calls = read_calls(message)
    return _for_blocks(message, calls, dialect, wrote(index)) if calls else message


def _for_litellm(message: ChatMessage) -> ChatMessage:
    blocks = [b for b in message.blocks if not isinstance(b, _NOT_FOR_LITELLM)]
    calls = read_calls(message)
    raw = message.additional_kwargs.get("tool_calls")
    streamed = isinstance(raw, list) and any(isinstance(c, dict) and "index" in c for c in raw)
    if len(blocks) == len(message.blocks) and not streamed:
        return message
    others = {name: value for name, value in message.additional_kwargs.items() if name != _CALLS}
    if streamed and isinstance(raw, list):
        others[_CALLS] = [{k: v for k, v in call.items() if k != "index"} for call in raw]
    elif calls:
        others[_CALLS] = [call_as_json(call) for call in calls]
    return message.model_copy(update={"blocks": blocks, "additional_kwargs": others})


def _for_blocks(
    message: ChatMessage, calls: list[NamedCall], dialect: Dialect, is_own: bool | None
) -> ChatMessage:
    has_blocks = any(isinstance(block, ToolCallBlock) for block in message.blocks)
    of_openai = bool(_openai_calls(message.additional_kwargs.get(_CALLS)))
    parse = dialect == "blocks"
    # Of the integrations that write blocks, OpenAI's put their JSON beside them.
    is_foreign = is_own is False or (is_own is None and of_openai)
    if is_own or (has_blocks and not (parse and is_foreign)):
        return message
    words: list[ContentBlock] = [b for b in message.blocks if not isinstance(b, ToolCallBlock)]
    words += [
        ToolCallBlock(
            tool_call_id=call.identity,
            tool_name=call.name,
            tool_kwargs=_parsed(call.arguments) if parse else call.arguments,
        )
        for call in calls
    ]
    others = dict(message.additional_kwargs)
    if of_openai:
        del others[_CALLS]
    return message.model_copy(update={"blocks": words, "additional_kwargs": others})


_CALLS = "tool_calls"
_NOT_FOR_LITELLM = (ToolCallBlock, ThinkingBlock, CachePoint)


def read_calls(message: ChatMessage) -> list[NamedCall]:
    """Return the tool calls of a message, from its blocks or else from OpenAI's JSON."""
    calls = [
        NamedCall(block.tool_call_id, block.tool_name, block.tool_kwargs)
        for block in message.blocks
        if isinstance(block, ToolCallBlock)
    ]
    return calls or _openai_calls(message.additional_kwargs.get(_CALLS))


def _openai_calls(calls: Any) -> list[NamedCall]:
    """Read OpenAI's tool calls, objects or JSON; none when they are somebody else's."""
    found: list[NamedCall] = []
    for call in calls if isinstance(calls, list) else ():
        function = _get(call, "function")
        name = _get(function, "name")
        if not isinstance(name, str):
            return []
        found.append(NamedCall(_get(call, "id"), name, _get(function, "arguments") or "{}"))
    return found


def _get(holder: Any, name: str) -> Any:
    return holder.get(name) if isinstance(holder, dict) else getattr(holder, name, None)


def call_as_json(call: NamedCall) -> dict[str, Any]:
    """Return a tool call in OpenAI's shape."""
    arguments = call.arguments
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments)
    function = {"name": call.name, "arguments": arguments}
    return {"id": call.identity, "type": "function", "function": function}


def _parsed(arguments: dict[str, Any] | str) -> dict[str, Any] | str:
    """Return arguments as an object, or as they are when they are no object's JSON."""
    if isinstance(arguments, str):
        try:
            parsed = json.loads(arguments)
        except ValueError:
            return arguments
        return parsed if isinstance(parsed, dict) else arguments
    return arguments
