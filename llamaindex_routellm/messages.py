"""Read LlamaIndex's chat messages for the policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from llama_index.core.base.llms.types import (
    ChatMessage,
    TextBlock,
    ToolCallBlock,
)

from routellm_core import KNOWN_PARTS, ROLE_NAMES, modalities_of, speakers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from routellm_core import DecisionRecord, Modality, RecentValues, Role

__all__ = ["ChatView", "Owners", "Words", "text_of", "tool_call_ids"]

Owners: TypeAlias = "RecentValues[tuple[str, str], DecisionRecord]"
"""Whose answer called a tool: the record, by the user's words and the tool call's id."""

_NOTHING: frozenset[Modality] = frozenset()


class Words(NamedTuple):
    """Be a message that holds only words, as the parts of a prompt do."""

    speaker: Role
    words: str


class ChatView:
    """Read the messages of one conversation; a `MessageView` of `routellm_core`.

    Parameters
    ----------
    messages
        Oldest first. Not mutated.
    owners
        Whose answer a tool call belongs to.
    """

    __slots__ = ("_messages", "_owners")

    def __init__(
        self, messages: Sequence[ChatMessage | Words], owners: Owners | None = None
    ) -> None:
        self._messages = messages
        self._owners = owners

    def role(self, message: ChatMessage | Words) -> Role:
        """Return who speaks."""
        if isinstance(message, Words):
            return message.speaker
        return ROLE_NAMES.get(message.role.value, "user")

    def text(self, message: ChatMessage | Words) -> str:
        """Return the words; "" when there are none."""
        return message.words if isinstance(message, Words) else text_of(message)

    def modalities(self, message: ChatMessage | Words) -> frozenset[Modality]:
        """Return what the message holds besides text."""
        if isinstance(message, Words):
            return _NOTHING
        return modalities_of([_part(block) for block in message.blocks])

    def record(self, message: ChatMessage | Words) -> Mapping[str, Any] | None:
        """Return the record of the answer whose tool calls this message holds."""
        if not self._owners or isinstance(message, Words):
            return None
        identities = list(tool_call_ids(message))
        words = self.user_text() if identities else ""
        records = (self._owners.get((words, identity)) for identity in identities)
        return next((record for record in records if record is not None), None)

    def user_text(self) -> str:
        """Return the words of the last message that a user wrote; "" when there is none."""
        roles = speakers(self._messages, self)
        for message, role in zip(reversed(self._messages), reversed(roles), strict=True):
            if role == "user":
                return self.text(message)
        return ""


def text_of(message: ChatMessage) -> str:
    """Return a message's text blocks, joined by newlines."""
    blocks = message.blocks
    if len(blocks) == 1 and isinstance(blocks[0], TextBlock):
        return blocks[0].text
    return "\n".join(block.text for block in blocks if isinstance(block, TextBlock))


def tool_call_ids(message: ChatMessage) -> Iterator[str]:
    """Yield the ids of the tool calls in a message, whichever integration wrote them."""
    for block in message.blocks:
        if isinstance(block, ToolCallBlock) and block.tool_call_id:
            yield block.tool_call_id
    calls = message.additional_kwargs.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        identity = call.get("id") if isinstance(call, dict) else getattr(call, "id", None)
        if isinstance(identity, str):
            yield identity


def _part(block: Any) -> dict[str, Any]:
    """Return a block as a part with its type, and the blocks that it holds in turn."""
    kind = str(getattr(block, "block_type", type(block).__name__))
    if KNOWN_PARTS.get(kind) is None and kind not in ("citable", "citation"):
        # Nothing is copied of words and calls; an unknown block counts by its name.
        return {"type": kind}
    inside = getattr(block, "content", None) or getattr(block, "cited_content", None) or ()
    mime = getattr(block, "document_mimetype", None)
    blocks = inside if isinstance(inside, (list, tuple)) else [inside]
    return {"type": kind, "mime_type": mime, "content": [_part(held) for held in blocks]}
