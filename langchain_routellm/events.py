"""LangChain's third streaming protocol: typed events, pulled by the reader.

The reader gets one stream of our own, fed from the target's. Until the first event that holds
content, the target's stream may be replaced by the strong model's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing
from time import sleep
from typing import TYPE_CHECKING, Any

from langchain_core.language_models import LanguageModelInput
from langchain_core.runnables import RunnableConfig

from langchain_routellm.dispatch import Dispatching
from langchain_routellm.messages import finish_reason_in
from langchain_routellm.routing import Call
from langchain_routellm.watching import is_empty_block
from routellm_core import RECORD_KEY

if TYPE_CHECKING:
    # Not there in every version of LangChain that this package accepts.
    from langchain_core.language_models.chat_model_stream import (
        AsyncChatModelStream,
        ChatModelStream,
    )

__all__ = ["EventDispatching"]

Event = Mapping[str, Any]


class EventDispatching(Dispatching):
    """Add what `stream_events(version="v3")` and `astream_events(version="v3")` call."""

    def _chat_model_stream_v3(
        self,
        input: LanguageModelInput,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> ChatModelStream:
        """Return the routed event stream; nothing is decided before it is read."""
        from langchain_core.language_models.chat_model_stream import ChatModelStream

        outer = ChatModelStream()
        events: Iterator[Event] | None = None

        def start() -> None:
            nonlocal events
            if events is None:
                call = self._begin(input, config, kwargs)
                events = self._events(call, input, kwargs)

        def pump() -> bool:
            start()
            assert events is not None  # noqa: S101 - `start` sees to it
            return _feed(outer, events)

        outer.set_start(start)
        outer.bind_pump(pump)
        return outer

    def _events(
        self, call: Call, model_input: LanguageModelInput, kwargs: dict[str, Any]
    ) -> Iterator[Event]:
        target, rest = self._target(call.route, kwargs)
        gate = _EventGate(call)
        try:
            inner: Any = target.stream_events(model_input, call.config(), version="v3", **rest)
            for event in inner:
                yield from gate.admit(event)
            last = gate.end()
            call.succeeded()
            yield from last
        except BaseException as error:  # `failed` knows what is worth another attempt
            if not call.failed(error):
                if not call.gives_up(error):
                    raise
                yield from gate.release()
                return
            sleep(call.wait_s)
            yield from self._events(call, model_input, kwargs)

    async def _achat_model_stream_v3(
        self,
        input: LanguageModelInput,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> AsyncChatModelStream:
        """Return the routed event stream; nothing is decided before it is read."""
        from langchain_core.language_models.chat_model_stream import AsyncChatModelStream

        outer = AsyncChatModelStream()

        async def produce() -> None:
            try:
                call = await self._abegin(input, config, kwargs)
                async with aclosing(self._aevents(call, input, kwargs)) as events:
                    async for event in events:
                        outer.dispatch(event)
            except BaseException as error:
                outer.fail(error)
                if not isinstance(error, Exception):
                    raise

        async def start() -> None:
            if outer._producer_task is None:
                outer._producer_task = asyncio.get_running_loop().create_task(produce())

        outer.set_start(start)
        return outer

    async def _aevents(
        self, call: Call, model_input: LanguageModelInput, kwargs: dict[str, Any]
    ) -> AsyncGenerator[Event, None]:
        target, rest = self._target(call.route, kwargs)
        gate = _EventGate(call)
        try:
            inner: Any = await target.astream_events(
                model_input, call.config(), version="v3", **rest
            )
            async with inner:
                unread = aiter(inner)
                while (event := await _next(unread, call, gate)) is not None:
                    for admitted in gate.admit(event):
                        yield admitted
            last = gate.end()
            call.succeeded()
            for held in last:
                yield held
        except BaseException as error:  # `failed` knows what is worth another attempt
            if not call.failed(error):
                if not call.gives_up(error):
                    raise
                for held in gate.release():
                    yield held
                return
            await asyncio.sleep(call.wait_s)
            async with aclosing(self._aevents(call, model_input, kwargs)) as events:
                async for event in events:
                    yield event


async def _next(events: AsyncIterator[Event], call: Call, gate: _EventGate) -> Event | None:
    """Return the next event, None at the end; only the first content must come in time."""
    following = anext(events, None)
    return await (following if gate.is_open else call.within(following))


class _EventGate:
    """Hold the start of a message back until its content; put the record on its end."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._held: list[Event] = []
        self._finish_reason: str | None = None
        self.is_open = False
        """Whether content reached the caller."""

    def admit(self, event: Event) -> list[Event]:
        """Return the events that may be handed out now, in order."""
        kind = event.get("event")
        if kind == "message-finish":
            metadata = {**(event.get("metadata") or {})}
            self._finish_reason = finish_reason_in(metadata)
            metadata[RECORD_KEY] = self._call.decision.record()
            self._held.append({**event, "metadata": metadata})
            return []  # its reader asks for nothing more; the call must be over before
        self._held.append(event)
        says_nothing = kind == "message-start" or is_empty_block(event)
        return [] if says_nothing and self._call.may_escalate else self.release()

    def end(self) -> list[Event]:
        """Return what was held back of a stream that is over.

        Raises
        ------
        EmptyAnswerError
            If it said nothing, and another model may still say something.
        """
        if not self.is_open:
            self._call.check_end(said=False, finish_reason=self._finish_reason)
        return self.release()

    def release(self) -> list[Event]:
        """Commit to this attempt; return what was held back."""
        self._call.commit()
        self.is_open = True
        admitted, self._held = self._held, []
        return admitted


def _feed(outer: ChatModelStream, events: Iterator[Event]) -> bool:
    """Move one event into the outer stream; return whether there was one."""
    try:
        event = next(events, None)
    except Exception as error:  # noqa: BLE001 - the reader of the stream gets it
        outer.fail(error)
        return False
    if event is None:
        return False
    outer.dispatch(event)
    return True
