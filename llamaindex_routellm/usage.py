"""What an answer used, as LlamaIndex's integrations say it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from llama_index.core.base.llms.types import ChatResponse, CompletionResponse
from llama_index.core.callbacks import CallbackManager, CBEventType
from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.callbacks.schema import EventPayload

from routellm_core import Usage

__all__ = ["UsageReader", "look_up", "usage_of"]

_READ = ("prompt_tokens", "input_tokens", "prompt_token_count", "prompt_eval_count")
_WRITTEN = ("completion_tokens", "output_tokens", "candidates_token_count", "eval_count")
_TOTAL = ("total_tokens", "total_token_count")
_DETAILS = ("completion_tokens_details", "output_tokens_details", "output_token_details")
_REASONING = ("reasoning_tokens", "thoughts_token_count")


class UsageReader(BaseCallbackHandler):
    """Note what the model says of its answers, where the caller gets only words or objects."""

    def __init__(self) -> None:
        super().__init__([], [])
        self._found: list[Usage] = []

    @property
    def usage(self) -> Usage | None:
        """What was used so far; None when no answer said so."""
        counted = [one for one in self._found if one.input_tokens is not None]
        if not counted:
            return self._found[-1] if self._found else None
        thought = [one.reasoning_tokens for one in counted if one.reasoning_tokens is not None]
        return Usage(
            sum(one.input_tokens or 0 for one in counted),
            sum(one.output_tokens or 0 for one in counted),
            counted[-1].model,
            sum(thought) if thought else None,
        )

    def forget(self) -> None:
        """Begin anew, for another attempt."""
        self._found.clear()

    def added_to(self, manager: CallbackManager) -> CallbackManager:
        """Return a copy of a manager that has this handler, too."""
        copied = copy.copy(manager)
        copied.handlers = [*manager.handlers, self]
        return copied

    def on_event_start(
        self,
        event_type: CBEventType,  # noqa: ARG002
        payload: dict[str, Any] | None = None,  # noqa: ARG002
        event_id: str = "",
        parent_id: str = "",  # noqa: ARG002
        **kwargs: Any,  # noqa: ARG002
    ) -> str:
        """Do nothing."""
        return event_id

    def on_event_end(
        self,
        event_type: CBEventType,
        payload: dict[str, Any] | None = None,
        event_id: str = "",  # noqa: ARG002
        **kwargs: Any,  # noqa: ARG002
    ) -> None:
        """Note one answer's tokens."""
        if event_type is not CBEventType.LLM or not payload:
            return
        for name in (EventPayload.RESPONSE, EventPayload.COMPLETION):
            found = usage_of(payload.get(name))
            if found is not None:
                self._found.append(found)

    def start_trace(self, trace_id: str | None = None) -> None:
        """Do nothing."""

    def end_trace(
        self,
        trace_id: str | None = None,
        trace_map: dict[str, list[str]] | None = None,
    ) -> None:
        """Do nothing."""


def usage_of(answer: object) -> Usage | None:
    """Return an answer's tokens and model; None when it says nothing of them.

    Integrations put the counts beside the answer, or leave them in the provider's own response.
    """
    if not isinstance(answer, (ChatResponse, CompletionResponse)):
        return None
    raw = answer.raw
    model = look_up(raw, "model")
    model = model if isinstance(model, str) and model else None
    places = [answer.additional_kwargs, look_up(raw, "usage"), look_up(raw, "usage_metadata"), raw]
    if isinstance(answer, ChatResponse):
        places.append(answer.message.additional_kwargs)
    for place in places:
        read, written = _count(place, _READ), _count(place, _WRITTEN)
        if read is not None and written is not None:
            total = _count(place, _TOTAL)
            return Usage.counted(read, written, model, reasoning=_thought(places), total=total)
    return None if model is None else Usage(model=model)


def _thought(places: list[Any]) -> int | None:
    """Return the tokens of reasoning, which some integrations leave in the provider's response."""
    details = (look_up(place, name) for place in places for name in _DETAILS)
    counts = (_count(place, _REASONING) for place in (*details, *places))
    return next((count for count in counts if count is not None), None)


def _count(place: Any, names: tuple[str, ...]) -> int | None:
    for name in names:
        count = look_up(place, name)
        if isinstance(count, int) and not isinstance(count, bool) and count >= 0:
            return count
    return None


def look_up(holder: Any, name: str) -> Any:
    """Return a value by its name, from a mapping or an object; None when it is not there."""
    if isinstance(holder, Mapping):
        return holder.get(name)
    return getattr(holder, name, None)
