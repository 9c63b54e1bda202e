"""The events of a draft, which callback handlers get when it becomes the answer."""

from __future__ import annotations

import copy
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.callbacks.schema import EventPayload

from llamaindex_routellm.copies import with_field

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llama_index.core.callbacks import CallbackManager, CBEventType
    from llama_index.core.llms import LLM

__all__ = ["HeldEvents", "with_held"]


class HeldEvents(BaseCallbackHandler):
    """Keep the events of one attempt, which have no tags, until they are wanted.

    Parameters
    ----------
    handlers
        Who gets them then.
    manager
        Whose trace they become part of.
    """

    def __init__(self, handlers: Sequence[BaseCallbackHandler], manager: CallbackManager) -> None:
        super().__init__([], [])
        self._handlers = tuple(handlers)
        self._manager = manager
        self._events: list[Callable[[BaseCallbackHandler], Any]] = []
        self._places: list[tuple[str, str]] = []

    def release(self) -> None:
        """Give the events to the handlers, once."""
        events, self._events = self._events, []
        for parent_id, event_id in self._places:
            self._manager.trace_map[parent_id].append(event_id)
        for event in events:
            for handler in self._handlers:
                event(handler)

    def drop(self) -> None:
        """Forget the events."""
        self._events.clear()

    def on_event_start(
        self,
        event_type: CBEventType,
        payload: dict[str, Any] | None = None,
        event_id: str = "",
        parent_id: str = "",
        **kwargs: Any,
    ) -> str:
        """Keep the event."""

        def event(handler: BaseCallbackHandler) -> None:
            if event_type not in handler.event_starts_to_ignore:
                handler.on_event_start(
                    event_type, payload, event_id=event_id, parent_id=parent_id, **kwargs
                )

        self._places.append((parent_id, event_id))
        self._events.append(event)
        return event_id

    def on_event_end(
        self,
        event_type: CBEventType,
        payload: dict[str, Any] | None = None,
        event_id: str = "",
        **kwargs: Any,
    ) -> None:
        """Keep the event."""
        if payload and isinstance(payload.get(EventPayload.EXCEPTION), GeneratorExit):
            # A stream that was left. Its own error would keep the frames, and so the stream.
            payload = {**payload, EventPayload.EXCEPTION: GeneratorExit()}

        def event(handler: BaseCallbackHandler) -> None:
            if event_type not in handler.event_ends_to_ignore:
                handler.on_event_end(event_type, payload, event_id=event_id, **kwargs)

        self._events.append(event)

    def start_trace(self, trace_id: str | None = None) -> None:
        """Keep the event."""
        self._events.append(lambda handler: handler.start_trace(trace_id))

    def end_trace(
        self,
        trace_id: str | None = None,
        trace_map: dict[str, list[str]] | None = None,
    ) -> None:
        """Keep the event."""
        self._events.append(lambda handler: handler.end_trace(trace_id, trace_map))


def with_held(
    model: LLM, manager: CallbackManager, *live: BaseCallbackHandler
) -> tuple[LLM, HeldEvents]:
    """Return a copy of a model whose events are held, and what holds them.

    Parameters
    ----------
    model
        Not changed; its own handlers wait, too.
    manager
        Of the routing model, with further handlers.
    live
        Handlers that get the events at once.
    """
    handlers = list(manager.handlers)
    handlers += [own for own in model.callback_manager.handlers if own not in handlers]
    held = HeldEvents(handlers, manager)
    reporting = copy.copy(manager)
    reporting.handlers = [held, *live]
    reporting._trace_map = defaultdict(list)
    return with_field(model, "callback_manager", reporting), held
