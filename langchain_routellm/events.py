"""LangChain's third streaming protocol: typed events, pulled by the reader.

The reader gets one stream of our own, fed from the target's. Until the first event that holds
content, the target's stream may be replaced by the strong model's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from langchain_core.language_models import LanguageModelInput
from langchain_core.runnables import RunnableConfig

from langchain_routellm.calls import Call
from langchain_routellm.dispatch import Dispatching
from langchain_routellm.messages import finish_reason_in
from langchain_routellm.watching import is_empty_block
from routellm_core import RECORD_KEY
from routellm_core.answers import Token
from routellm_core.plan import ChunkGate, astream, stream

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
                call = self._begin(input, config, kwargs, kind=EventCall)
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
        def open_(call: Call) -> Iterator[Event]:
            target, rest = self._target(call.route, kwargs, draft=call.is_draft)
            events: Any = target.stream_events(
                call.given(model_input), call.config(), version="v3", **call.kept(rest)
            )
            return iter(events)

        for event in stream(call, open_):
            call.show()
            yield event

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
                call = await self._abegin(input, config, kwargs, kind=EventCall)
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
        async def open_(call: Call) -> AsyncIterator[Event]:
            target, rest = self._target(call.route, kwargs, draft=call.is_draft)
            events: Any = target.astream_events(
                call.given(model_input), call.config(), version="v3", **call.kept(rest)
            )
            return _read(await events)

        async with aclosing(astream(call, open_)) as events:
            async for event in events:
                await call.ashow()
                yield event


async def _read(events: Any) -> AsyncGenerator[Event, None]:
    """Yield a stream's events; the stream is left, and its run ended, with this generator."""
    async with events:
        async for event in events:
            yield event


class EventCall(Call):
    """Follow a call whose chunks are events."""

    __slots__ = ()

    def has_content(self, chunk: Event) -> bool:
        """Return whether an event holds words, a tool call or another block that is not empty."""
        kind = chunk.get("event")
        return kind not in ("message-start", "message-finish") and not is_empty_block(chunk)

    def ends(self, chunk: Event) -> bool:
        """Return whether an event is the message's end."""
        return chunk.get("event") == "message-finish"

    def end_reason(self, chunks: Sequence[Event]) -> str | None:
        """Return the finish reason that the last event has."""
        return finish_reason_in(chunks[-1].get("metadata") or {}) if chunks else None

    def merged(self, chunks: Sequence[Event]) -> Any:
        """Return the message that events make up; None where its end is missing."""
        from langchain_core.language_models.chat_model_stream import ChatModelStream

        if not chunks or chunks[-1].get("event") != "message-finish":
            return None
        whole = ChatModelStream()
        for event in chunks:
            whole.dispatch(event)
        return whole.output

    def delta(self, chunk: Event) -> tuple[str, Sequence[Token]]:
        """Return the text that an event adds."""
        return str((chunk.get("delta") or {}).get("text") or ""), ()

    def signed_chunks(self, chunks: list[Event]) -> list[Event]:
        """Return the events with the record on the end of the message, if it is there."""
        last = chunks[-1]
        if last.get("event") != "message-finish":
            return chunks
        metadata = {**(last.get("metadata") or {}), RECORD_KEY: self.record()}
        return [*chunks[:-1], {**last, "metadata": metadata}]

    def gate(self) -> ChunkGate[Event]:
        """Return the gate for the current attempt's events."""
        return _EventGate(self)


class _EventGate(ChunkGate[Event]):
    """Give out the end of a message when its call is over: its reader asks for nothing more."""

    __slots__ = ()

    def release(self) -> list[Event]:
        """Commit to this attempt; return what was held back."""
        released = super().release()
        if released and released[-1].get("event") == "message-finish":
            self.call.succeeded()
        return released

    def rest(self, chunks: Iterator[Event]) -> Iterator[Event]:
        """Return the events up to the message's end, with the record on it."""
        for event in chunks:
            if event.get("event") == "message-finish":
                self.held.append(event)
            else:
                yield event
        yield from self.release()

    async def arest(self, chunks: AsyncIterator[Event]) -> AsyncIterator[Event]:
        """Return the events up to the message's end, with the record on it."""
        async for event in chunks:
            if event.get("event") == "message-finish":
                self.held.append(event)
            else:
                yield event
        for event in self.release():
            yield event


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
