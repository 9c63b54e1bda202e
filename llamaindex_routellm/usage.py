"""What an answer used, as LlamaIndex's integrations say it."""

from __future__ import annotations

import copy
from typing import Any

from llama_index.core.base.llms.types import ChatResponse, CompletionResponse
from llama_index.core.callbacks import CallbackManager, CBEventType
from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.callbacks.schema import EventPayload

from routellm_core import Usage, look_up, read_usage, reasoning_of, sum_usage

__all__ = ["UsageReader", "usage_of"]


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
        return sum_usage(counted)

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
    # Some integrations leave the tokens of reasoning in the provider's response.
    thought = next((n for place in places if (n := reasoning_of(place)) is not None), None)
    read = (read_usage(place, model=model, reasoning=thought) for place in places)
    found = [usage for usage in read if usage is not None]
    if found:
        # Integrations copy the totals, and not always what of them was cached.
        return next((usage for usage in found if usage.cached_tokens is not None), found[0])
    return None if model is None else Usage(model=model)
