"""Which words of a conversation are routed, and which earlier answer belongs to the same turn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, get_args

from routellm_core.errors import ConfigurationError
from routellm_core.policy.follow_ups import is_follow_up
from routellm_core.policy.pastes import request_in
from routellm_core.policy.tool_results import is_tool_result, without_scratchpad

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from routellm_core.policy.prefixes import History, HistoryReader
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

RoutingText = Literal["auto", "last_user", "all_user", "conversation"]
"""Which text is routed.

"auto", the default: the request in the last user message that says something of itself. A paste
around the request is left out (`request_in`), and a follow-up such as "continue" or "and why?"
(`is_follow_up`) is routed on the latest message before it that is none; where there is no such
message, as itself. "last_user": the last user message as it is; "all_user": all of them;
"conversation": everything said.
"""

M = TypeVar("M")
M_contra = TypeVar("M_contra", contravariant=True)

_NOTHING: frozenset[Modality] = frozenset()

_MOST_FOLLOW_UPS = 32
"""After as many follow-ups in a row, the latest one is routed as itself."""


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
    history
        What the models have cached of the conversation; None where nothing is.
    """

    text: str
    record: Mapping[str, Any] | None = None
    modalities: frozenset[Modality] = _NOTHING
    tools: bool = False
    n_chars: int = 0
    n_bytes: int = 0
    history: History | None = None


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
    routing_text: RoutingText = "auto",
    tools: bool = False,
    small_window: int | None = None,
    request_of: Callable[[str], str] = request_in,
    history: HistoryReader | None = None,
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
    request_of
        With "auto", what finds the request in a user's message.
    history
        Reads what is cached of it at the beginning of a turn; None where nobody asks.
    """
    texts = [view.text(message) for message in messages]
    roles = _speakers(messages, view, texts)
    n_chars = sum(map(len, texts))
    # One character may be several tokens, but never more than its bytes / 4 rounded up.
    count_bytes = small_window is not None and n_chars > small_window
    record = _record(messages, view, roles)
    return Turn(
        text=_select(roles, texts, routing_text, request_of),
        record=record,
        modalities=_NOTHING.union(*map(view.modalities, messages)),
        tools=tools,
        n_chars=n_chars,
        n_bytes=sum(len(t.encode("utf-8", "replace")) for t in texts) if count_bytes else 0,
        history=history.read(messages, roles, texts) if history and record is None else None,
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


def _select(
    roles: Sequence[Role],
    texts: Sequence[str],
    routing_text: RoutingText,
    request_of: Callable[[str], str],
) -> str:
    """Join the texts that are routed."""
    if routing_text == "conversation":
        return "\n".join(filter(None, texts))
    spoken = [text for role, text in zip(roles, texts, strict=True) if role == "user"]
    if routing_text == "all_user":
        return "\n".join(filter(None, map(without_scratchpad, spoken)))
    if not spoken:
        # A conversation without a user, as some pipelines send: all there is.
        return "\n".join(filter(None, texts))
    if routing_text == "auto":
        return _request(spoken, request_of)
    return without_scratchpad(spoken[-1])


def _request(spoken: Sequence[str], request_of: Callable[[str], str]) -> str:
    """Return the latest request in a user's messages, or of follow-ups alone the last.

    One message is returned, so that a follow-up costs no more than what it follows, gets the same
    win rate, and stays with the same model.
    """
    last = request_of(without_scratchpad(spoken[-1]))
    if len(spoken) == 1 or not is_follow_up(last):
        return last
    for text in reversed(spoken[-1 - _MOST_FOLLOW_UPS : -1]):
        request = request_of(without_scratchpad(text))
        if request.strip() and not is_follow_up(request):
            return request
    return last
