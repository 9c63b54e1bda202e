"""Which words of a conversation are routed, and which earlier answer belongs to the same turn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, get_args

from routellm_core.errors import ConfigurationError
from routellm_core.policy.tool_results import is_tool_result, without_scratchpad

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from routellm_core.types import Modality

__all__ = [
    "MessageView",
    "Role",
    "RoutingText",
    "Turn",
    "check_routing_text",
    "read_turn",
    "speakers",
]

Role = Literal["system", "user", "assistant", "tool"]
"""Who speaks. What a framework sends in the user's name but no person wrote is "tool"."""

RoutingText = Literal["last_user", "all_user", "conversation"]
"""Which text is routed: the last user message (the default), all of them, or everything said."""

M = TypeVar("M")
M_contra = TypeVar("M_contra", contravariant=True)

_NOTHING: frozenset[Modality] = frozenset()


class MessageView(Protocol[M_contra]):
    """Read the messages of one framework."""

    def role(self, message: M_contra) -> Role:
        """Return who speaks."""
        ...

    def text(self, message: M_contra) -> str:
        """Return the words, text blocks joined by newlines; "" when there are none."""
        ...

    def modalities(self, message: M_contra) -> frozenset[Modality]:
        """Return what the message holds besides text."""
        ...

    def record(self, message: M_contra) -> Mapping[str, Any] | None:
        """Return the decision record that an assistant message carries, unchecked."""
        ...


@dataclass(frozen=True, slots=True)
class Turn:
    """What the policy has to know of a conversation.

    Parameters
    ----------
    text
        The words to route; "" when the user sent none.
    record
        The record on this turn's latest answer, unchecked; None at the beginning of a turn.
    modalities
        What any message holds besides text.
    tools
        Whether tools are offered to the model.
    n_chars
        Characters in all messages together.
    n_bytes
        UTF-8 bytes in all messages together; 0 when not counted, because `n_chars` is small.
    """

    text: str
    record: Mapping[str, Any] | None = None
    modalities: frozenset[Modality] = _NOTHING
    tools: bool = False
    n_chars: int = 0
    n_bytes: int = 0


def check_routing_text(value: str) -> RoutingText:
    """Return a known choice of text.

    Raises
    ------
    ConfigurationError
        If the value is not one of `RoutingText`.
    """
    for known in get_args(RoutingText):
        if value == known:
            return known  # type: ignore[no-any-return]
    raise ConfigurationError(
        f"`routing_text` must be one of {', '.join(map(repr, get_args(RoutingText)))} or a "
        f"function of the messages, got {value!r}."
    )


def speakers(messages: Sequence[M], view: MessageView[M]) -> list[Role]:
    """Return who speaks in each message, in order.

    A tool's result that an agent sends in the user's name is the tool's. Before the first answer
    everything in the user's name is the user's.
    """
    return _speakers(messages, view, [view.text(message) for message in messages])


def read_turn(
    messages: Sequence[M],
    view: MessageView[M],
    *,
    routing_text: RoutingText = "last_user",
    tools: bool = False,
    small_window: int | None = None,
) -> Turn:
    """Summarise a conversation for the policy.

    A turn begins at the last message that a user wrote and includes every answer and tool result
    after it: an answer found there belongs to the same turn, and its record keeps the route.

    Parameters
    ----------
    messages
        Oldest first. Not mutated.
    view
        How to read this framework's messages.
    routing_text
        Which text is routed.
    tools
        Whether tools are offered to the model.
    small_window
        The smallest context window, in tokens, of the models in question; UTF-8 bytes are only
        counted when the characters could exceed it.
    """
    texts = [view.text(message) for message in messages]
    roles = _speakers(messages, view, texts)
    n_chars = sum(map(len, texts))
    # One character may be several tokens, but never more than its bytes / 4 rounded up.
    count_bytes = small_window is not None and n_chars > small_window
    return Turn(
        text=_select(roles, texts, routing_text),
        record=_record(messages, view, roles),
        modalities=_NOTHING.union(*map(view.modalities, messages)),
        tools=tools,
        n_chars=n_chars,
        n_bytes=sum(len(t.encode("utf-8", "replace")) for t in texts) if count_bytes else 0,
    )


def _speakers(messages: Sequence[M], view: MessageView[M], texts: Sequence[str]) -> list[Role]:
    roles: list[Role] = []
    answer: str | None = None
    for message, text in zip(messages, texts, strict=True):
        role = view.role(message)
        if role == "assistant":
            answer = text
        elif role == "user" and answer is not None:
            if is_tool_result(text, answer):
                role = "tool"
            else:
                answer = None
        roles.append(role)
    return roles


def _record(
    messages: Sequence[M], view: MessageView[M], roles: Sequence[Role]
) -> Mapping[str, Any] | None:
    """Return the latest record after the last message that a user wrote."""
    if "user" not in roles:
        return None
    for message, role in zip(reversed(messages), reversed(roles), strict=True):
        if role == "user":
            return None
        if role == "assistant":
            record = view.record(message)
            if record is not None:
                return record
    return None


def _select(roles: Sequence[Role], texts: Sequence[str], routing_text: RoutingText) -> str:
    """Join the texts that are routed."""
    if routing_text == "conversation":
        return "\n".join(filter(None, texts))
    spoken = [text for role, text in zip(roles, texts, strict=True) if role == "user"]
    if routing_text == "all_user":
        return "\n".join(filter(None, map(without_scratchpad, spoken)))
    # A conversation without a user, as some pipelines send: all there is.
    return without_scratchpad(spoken[-1]) if spoken else "\n".join(filter(None, texts))
