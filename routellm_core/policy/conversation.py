"""Which words of a conversation are routed, and which earlier answer belongs to the same turn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, get_args

from routellm_core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from routellm_core.types import Modality

__all__ = ["MessageView", "Role", "RoutingText", "Turn", "check_routing_text", "read_turn"]

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


def read_turn(
    messages: Sequence[M],
    view: MessageView[M],
    *,
    routing_text: RoutingText = "last_user",
    tools: bool = False,
    small_window: int | None = None,
) -> Turn:
    """Summarise a conversation for the policy.

    A turn begins at the last user message and includes every answer and tool result after it: an
    answer found there belongs to the same turn, and its record keeps the route.

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
    record: Mapping[str, Any] | None = None
    modalities = _NOTHING
    spoken: list[tuple[Role, str]] = []
    turn_is_open = True
    n_chars = 0
    for message in reversed(messages):
        role = view.role(message)
        text = view.text(message)
        n_chars += len(text)
        found = view.modalities(message)
        if found:
            modalities |= found
        if turn_is_open:
            if role == "user":
                turn_is_open = False
            elif role == "assistant" and record is None:
                record = view.record(message)
        spoken.append((role, text))
    # One character may be several tokens, but never more than its bytes / 4 rounded up.
    count_bytes = small_window is not None and n_chars > small_window
    n_bytes = sum(len(t.encode("utf-8", "replace")) for _, t in spoken) if count_bytes else 0
    return Turn(
        text=_select(spoken, routing_text),
        record=None if turn_is_open else record,
        modalities=modalities,
        tools=tools,
        n_chars=n_chars,
        n_bytes=n_bytes,
    )


def _select(spoken: Sequence[tuple[Role, str]], routing_text: RoutingText) -> str:
    """Join the texts that are routed; `spoken` is newest first."""
    if routing_text == "last_user":
        for role, text in spoken:
            if role == "user":
                return text
        # A conversation without a user, as some pipelines send: all there is.
        return "\n".join(text for _, text in reversed(spoken) if text)
    if routing_text == "all_user":
        return "\n".join(text for role, text in reversed(spoken) if role == "user" and text)
    return "\n".join(text for _, text in reversed(spoken) if text)
