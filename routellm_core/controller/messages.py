"""Read messages as OpenAI words them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from routellm_core.policy import ROLE_NAMES

if TYPE_CHECKING:
    from routellm_core.policy import Role
    from routellm_core.types import Modality

__all__ = ["Message", "OpenAIView"]

Message: TypeAlias = Mapping[str, Any]
"""One message of a chat completion request."""

_PARTS: dict[Any, Modality] = {
    "file": "file",
    "image_url": "image",
    "input_audio": "audio",
    "video_url": "video",
}
_NOTHING: frozenset[Modality] = frozenset()


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
        role = message.get("role")
        return ROLE_NAMES.get(role, "user") if isinstance(role, str) else "user"

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
        content = message.get("content")
        if isinstance(content, str):
            return _NOTHING
        kinds = (part.get("type") for part in _parts(content))
        return frozenset(_PARTS[kind] for kind in kinds if isinstance(kind, str) and kind in _PARTS)

    def record(self, message: Message) -> None:
        """Return None."""


def _parts(content: Any) -> list[Mapping[str, Any]]:
    if not isinstance(content, list):
        return []
    return [part for part in content if isinstance(part, Mapping)]
