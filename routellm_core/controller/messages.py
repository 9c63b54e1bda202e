"""Read messages as OpenAI words them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from routellm_core.policy import ROLE_NAMES, is_tool_result_content, modalities_of

if TYPE_CHECKING:
    from routellm_core.policy import Role
    from routellm_core.types import Modality

__all__ = ["Message", "OpenAIView", "offers_tools"]

Message: TypeAlias = Mapping[str, Any]
"""One message of a chat completion request."""


class OpenAIView:
    """Read OpenAI's messages; what is malformed counts as empty.

    A decision record is never read: a client could have written it. A turn keeps its route all the
    same, because each of its steps is decided by the same words.

    Examples
    --------
    >>> view = OpenAIView()
    >>> view.text({"role": "user", "content": [{"type": "text", "text": "Hi"}]})
    'Hi'
    """

    def role(self, message: Message) -> Role:
        """Return who speaks; an unknown speaker counts as the user."""
        name = message.get("role")
        role = ROLE_NAMES.get(name, "user") if isinstance(name, str) else "user"
        content = message.get("content")
        return "tool" if role == "user" and is_tool_result_content(content) else role

    def text(self, message: Message) -> str:
        """Return the words, text parts joined by newlines."""
        content = message.get("content")
        if isinstance(content, str):
            return content
        return "\n".join(
            part["text"] for part in _parts(content) if isinstance(part.get("text"), str)
        )

    def modalities(self, message: Message) -> frozenset[Modality]:
        """Return what the message holds besides text."""
        return modalities_of(message.get("content"))

    def record(self, message: Message) -> None:
        """Return None."""


def offers_tools(request: Mapping[str, Any]) -> bool:
    """Return whether a request offers tools, by today's field or the older `functions`."""
    return bool(request.get("tools") or request.get("functions"))


def _parts(content: Any) -> list[Mapping[str, Any]]:
    if not isinstance(content, list):
        return []
    return [part for part in content if isinstance(part, Mapping)]
