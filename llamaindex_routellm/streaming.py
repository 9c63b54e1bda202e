"""Hand a stream on: sign its chunks, and change models only before it says anything."""

from __future__ import annotations

import asyncio
from time import sleep
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from llama_index.core.base.llms.types import ChatResponse, CompletionResponse, ToolCallBlock
from llama_index_instrumentation.dispatcher import active_instrument_tags

from llamaindex_routellm.records import stamped

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        AsyncIterator,
        Awaitable,
        Callable,
        Generator,
        Iterator,
    )

    from llama_index.core.llms import LLM

    from llamaindex_routellm.calls import Call

__all__ = ["arelay", "relay", "says_something"]

S = TypeVar("S")
T = TypeVar("T")

_END: Any = object()


def relay(call: Call, send: Callable[[LLM], Iterator[T]]) -> Generator[T, None, None]:
    """Open a stream now, and return a generator of its signed chunks.

    Chunks without content are held back until the first one with content, because until then the
    strong model may still take over.
    """
    return _relayed(call, _Source(call.run(send)), send)


async def arelay(
    call: Call, send: Callable[[LLM], Awaitable[AsyncIterator[T]]]
) -> AsyncGenerator[T, None]:
    """Open a stream as `relay` does, without blocking the event loop."""
    return _arelayed(call, _Source(await call.arun(send)), send)


def says_something(chunk: object) -> bool:
    """Return whether a chunk holds words, thoughts, a tool call or an object."""
    if isinstance(chunk, ChatResponse):
        message = chunk.message
        return bool(
            chunk.delta
            or message.content
            or message.additional_kwargs.get("tool_calls")
            or (chunk.additional_kwargs or {}).get("thinking_delta")
            or any(isinstance(block, ToolCallBlock) for block in message.blocks)
        )
    if isinstance(chunk, CompletionResponse):
        return bool(chunk.delta or chunk.text)
    return chunk != ""


class _Source(Generic[S, T]):
    """The stream that is read now, and its last chunk."""

    __slots__ = ("chunks", "last")

    def __init__(self, chunks: S) -> None:
        self.chunks = chunks
        self.last: T | None = None


def _relayed(
    call: Call, source: _Source[Iterator[T], T], send: Callable[[LLM], Iterator[T]]
) -> Generator[T, None, None]:
    try:
        held = _first_chunks(call, source, send)
        call.commit()
        record, tags = call.decision.record(), call.tags()
        for chunk in held:
            source.last = chunk
            yield stamped(chunk, record)
        while True:
            try:
                chunk = _next(source.chunks, tags)
            except BaseException as error:
                # Final by now; what failed before is told with it.
                call.failed(error)
                raise
            if chunk is _END:
                call.succeeded(source.last)
                return
            source.last = chunk
            yield stamped(chunk, record)
    finally:
        _close(source.chunks)
        call.close(source.last)
        call.remember(source.last)


def _first_chunks(
    call: Call, source: _Source[Iterator[T], T], send: Callable[[LLM], Iterator[T]]
) -> list[T]:
    """Read up to the first chunk with content, from the model that gets so far."""
    held: list[T] = []
    while call.may_escalate and not (held and says_something(held[-1])):
        refusal = None
        try:
            chunk = _next(source.chunks, call.tags())
            if chunk is _END:
                refusal = call.refusal(held)
                if refusal is None:
                    break
                raise refusal
        except BaseException as error:
            if call.failed(error):
                sleep(call.wait_s)
                _close(source.chunks)
                held.clear()
                source.chunks = call.run(send)
                continue
            if error is refusal:
                break
            raise
        held.append(chunk)
    return held


async def _arelayed(
    call: Call,
    source: _Source[AsyncIterator[T], T],
    send: Callable[[LLM], Awaitable[AsyncIterator[T]]],
) -> AsyncGenerator[T, None]:
    try:
        held = await _afirst_chunks(call, source, send)
        call.commit()
        record, tags = call.decision.record(), call.tags()
        for chunk in held:
            source.last = chunk
            yield stamped(chunk, record)
        while True:
            try:
                chunk = await _anext(source.chunks, tags)
            except BaseException as error:
                # Final by now; what failed before is told with it.
                call.failed(error)
                raise
            if chunk is _END:
                call.succeeded(source.last)
                return
            source.last = chunk
            yield stamped(chunk, record)
    finally:
        await _aclose(source.chunks)
        call.close(source.last)
        call.remember(source.last)


async def _afirst_chunks(
    call: Call,
    source: _Source[AsyncIterator[T], T],
    send: Callable[[LLM], Awaitable[AsyncIterator[T]]],
) -> list[T]:
    held: list[T] = []
    while call.may_escalate and not (held and says_something(held[-1])):
        refusal = None
        try:
            chunk = await call.within(_anext(source.chunks, call.tags()))
            if chunk is _END:
                refusal = call.refusal(held)
                if refusal is None:
                    break
                raise refusal
        except BaseException as error:
            if call.failed(error):
                await asyncio.sleep(call.wait_s)
                await _aclose(source.chunks)
                held.clear()
                source.chunks = await call.arun(send)
                continue
            if error is refusal:
                break
            raise
        held.append(chunk)
    return held


def _next(chunks: Iterator[T], tags: dict[str, Any]) -> T:
    """Return the next chunk, made under these instrument tags, or `_END`."""
    token = active_instrument_tags.set(tags)
    try:
        return next(chunks, _END)
    finally:
        active_instrument_tags.reset(token)


async def _anext(chunks: AsyncIterator[T], tags: dict[str, Any]) -> T:
    token = active_instrument_tags.set(tags)
    try:
        return await chunks.__anext__()
    except StopAsyncIteration:
        return _END  # type: ignore[no-any-return]
    finally:
        active_instrument_tags.reset(token)


def _close(chunks: object) -> None:
    close = getattr(chunks, "close", None)
    if close is not None:
        close()


async def _aclose(chunks: object) -> None:
    close = getattr(chunks, "aclose", None)
    if close is not None:
        await close()
