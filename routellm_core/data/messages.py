"""Prompts out of rows that hold whole conversations: OpenAI's, LangChain's and ShareGPT's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from routellm_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from routellm_core.types import Modality

__all__ = ["CONVERSATION_FIELDS", "LoggedMessages", "are_messages", "prompt_field"]

CONVERSATION_FIELDS = ("messages", "conversations", "conversation")
"""Where logs keep the messages of a conversation."""

_ROLES: dict[str, Literal["system", "user", "assistant", "tool"]] = {
    "system": "system",
    "developer": "system",
    "systemmessage": "system",
    "user": "user",
    "human": "user",
    "humanmessage": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "aimessage": "assistant",
    "gpt": "assistant",
    "tool": "tool",
    "function": "tool",
    "function_response": "tool",
    "observation": "tool",
    "toolmessage": "tool",
}


class LoggedMessages:
    """Read messages as OpenAI, LangChain, LangSmith and ShareGPT write them."""

    def role(self, message: Mapping[str, Any]) -> Literal["system", "user", "assistant", "tool"]:
        """Return who speaks; an unknown role is the assistant's."""
        stated = message.get("role") or message.get("from") or message.get("type") or ""
        if stated in ("constructor", ""):
            names = message.get("id")
            stated = names[-1] if isinstance(names, list) and names else ""
        return _ROLES.get(str(stated).lower(), "assistant")

    def text(self, message: Mapping[str, Any]) -> str:
        """Return the words, text blocks joined by newlines."""
        content = self._content(message)
        if isinstance(content, str):
            return content
        blocks: Sequence[Any] = content if isinstance(content, list) else ()
        texts = [
            block if isinstance(block, str) else block.get("text")
            for block in blocks
            if isinstance(block, (str, Mapping))
        ]
        return "\n".join(text for text in texts if isinstance(text, str))

    def modalities(self, message: Mapping[str, Any]) -> frozenset[Modality]:  # noqa: ARG002
        """Return nothing: a log is read for its words."""
        return frozenset()

    def record(self, message: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Return nothing: earlier decisions are not looked at."""
        return

    def _content(self, message: Mapping[str, Any]) -> Any:
        for inner in ("kwargs", "data"):
            if "content" not in message and isinstance(message.get(inner), Mapping):
                return message[inner].get("content")
        return message.get("content", message.get("value"))


def are_messages(values: Sequence[Any]) -> bool:
    """Return whether values are messages, each of which says who speaks.

    Examples
    --------
    >>> are_messages([{"role": "user", "content": "Hi"}]), are_messages([{"x": 1}])
    (True, False)
    """
    return bool(values) and all(
        isinstance(value, Mapping) and value.keys() & {"role", "from", "type"} for value in values
    )


def prompt_field(row: Mapping[str, Any]) -> str:
    """Return a row's prompt: a text, or the last user message of a conversation in its place.

    A table holds a conversation as JSON in a text. Other JSON is a prompt like any.

    Raises
    ------
    DataError
        If there is none.

    Examples
    --------
    >>> prompt_field({"messages": [{"role": "user", "content": "Hello!"}]})
    'Hello!'
    """
    places = [name for name in ("prompt", *CONVERSATION_FIELDS) if row.get(name) is not None]
    value = row[places[0]] if places else None
    if isinstance(value, str):
        value = _decoded(value) or value
    if isinstance(value, str):
        if not value.strip():
            raise DataError(f"`{places[0]}` is blank.")
        return value
    if isinstance(value, (list, tuple)):
        view = LoggedMessages()
        for message in reversed(value):
            if isinstance(message, Mapping) and view.role(message) == "user":
                text = view.text(message)
                if text.strip():
                    return text
        raise DataError(f"`{places[0]}` holds no message with words from the user.")
    if value is None:
        raise DataError(
            f"`prompt` must be a text, got nothing; the row's fields: {', '.join(map(str, row))}."
        )
    raise DataError(f"`{places[0]}` must be a text, got {type(value).__name__}.")


def _decoded(text: str) -> list[Any] | None:
    """Return the messages that JSON in a text holds; None for any other text."""
    if not text.lstrip().startswith("["):
        return None
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return values if are_messages(values) else None
