"""Read LlamaIndex's chat messages for the policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from llama_index.core.base.llms.types import (
    AudioBlock,
    ChatMessage,
    DocumentBlock,
    ImageBlock,
    MessageRole,
    TextBlock,
    ToolCallBlock,
    VideoBlock,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from routellm_core import DecisionRecord, Modality, RecentValues, Role

__all__ = ["ChatView", "Owners", "Words", "text_of", "tool_call_ids"]

Owners: TypeAlias = "RecentValues[tuple[str, str], DecisionRecord]"
"""Whose answer called a tool: the record, by the user's words and the tool call's id."""

_ROLES: dict[str, Role] = {
    MessageRole.SYSTEM: "system",
    MessageRole.DEVELOPER: "system",
    MessageRole.USER: "user",
    MessageRole.ASSISTANT: "assistant",
    MessageRole.CHATBOT: "assistant",
    MessageRole.MODEL: "assistant",
    MessageRole.FUNCTION: "tool",
    MessageRole.TOOL: "tool",
}

_MODALITIES: dict[type, Modality] = {
    ImageBlock: "image",
    AudioBlock: "audio",
    VideoBlock: "video",
    DocumentBlock: "file",
}

_AGENT_WORDS = (
    ("Observation: ", "Action:"),
    ("Result of executing the code given:\n\n", "<execute>"),
    ("Error while parsing the output: ", ""),
    ("FAILURE: Your previous response was empty.\n", ""),
)
"""How ReAct and CodeAct agents begin what they say in the user's name, and what led to it."""

_NOTHING: frozenset[Modality] = frozenset()


class Words(NamedTuple):
    """Be a message that holds only words, as the parts of a prompt do."""

    speaker: Role
    words: str


class ChatView:
    """Read the messages of one conversation; a `MessageView` of `routellm_core`.

    What an agent says in the user's name, such as ReAct's "Observation:", counts as a tool's.

    Parameters
    ----------
    messages
        Oldest first. Not mutated.
    owners
        Whose answer a tool call belongs to.
    """

    __slots__ = ("_by_agents", "_messages", "_owners")

    def __init__(
        self, messages: Sequence[ChatMessage | Words], owners: Owners | None = None
    ) -> None:
        self._messages = messages
        self._owners = owners
        self._by_agents = _said_by_agents(messages) if len(messages) > 1 else set()

    def role(self, message: ChatMessage | Words) -> Role:
        """Return who speaks."""
        if isinstance(message, Words):
            return message.speaker
        role = _ROLES.get(message.role, "user")
        return "tool" if role == "user" and id(message) in self._by_agents else role

    def text(self, message: ChatMessage | Words) -> str:
        """Return the words; "" when there are none."""
        return message.words if isinstance(message, Words) else text_of(message)

    def modalities(self, message: ChatMessage | Words) -> frozenset[Modality]:
        """Return what the message holds besides text."""
        if isinstance(message, Words):
            return _NOTHING
        found = [_MODALITIES[type(block)] for block in message.blocks if type(block) in _MODALITIES]
        return frozenset(found) if found else _NOTHING

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
        for message in reversed(self._messages):
            if self.role(message) == "user":
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


def _said_by_agents(messages: Sequence[ChatMessage | Words]) -> set[int]:
    """Return the `id` of every message that an agent wrote in the user's name."""
    found: set[int] = set()
    answer = ""
    after_answer = False
    for message in messages:
        if isinstance(message, Words):
            continue
        role = _ROLES.get(message.role)
        if role == "assistant":
            answer, after_answer = text_of(message), True
        elif role == "user" and after_answer and _sounds_like_an_agent(text_of(message), answer):
            found.add(id(message))
        else:
            after_answer = False
    return found


def _sounds_like_an_agent(text: str, answer: str) -> bool:
    return any(text.startswith(opening) and cause in answer for opening, cause in _AGENT_WORDS)
