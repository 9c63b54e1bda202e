"""Hand a stream on: open it at once, sign its chunks, and tag the model's events."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from llama_index_instrumentation.dispatcher import active_instrument_tags

from llamaindex_routellm.asking import aasking, asking
from routellm_core.plan import aopened, astream, opened, stream

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        AsyncIterator,
        Awaitable,
        Callable,
        Generator,
        Iterator,
    )

    from llamaindex_routellm.calls import Call

__all__ = ["arelay", "relay"]

T = TypeVar("T")


def relay(call: Call, send: Callable[[Call], Iterator[T]]) -> Generator[T, None, None]:
    """Open a stream now, and return a generator of its signed chunks.

    Chunks without content are held back until the first one with content, because until then
    another model may still take over.
    """
    ask = asking(send)

    def open_(call: Call) -> Iterator[T]:
        return _Tagged(ask(call), call)

    return _relayed(call, open_, opened(call.begin(), open_))


async def arelay(
    call: Call, send: Callable[[Call], Awaitable[AsyncIterator[T]]]
) -> AsyncGenerator[T, None]:
    """Open a stream as `relay` does, without blocking the event loop."""
    ask = aasking(send)

    async def open_(call: Call) -> AsyncIterator[T]:
        return _ATagged(await ask(call), call)

    return _arelayed(call, open_, await aopened(call.begin(), open_))


def _relayed(
    call: Call, open_: Callable[[Any], Iterator[T]], begun: Iterator[T] | None
) -> Generator[T, None, None]:
    try:
        yield from stream(call, open_, begun=begun)
    finally:
        call.close()
        call.remember(call.last)


async def _arelayed(
    call: Call, open_: Callable[[Any], Awaitable[AsyncIterator[T]]], begun: AsyncIterator[T] | None
) -> AsyncGenerator[T, None]:
    try:
        async with aclosing(astream(call, open_, begun=begun)) as chunks:
            async for chunk in chunks:
                yield chunk
    finally:
        call.close()
        call.remember(call.last)


class _Tagged(Generic[T]):
    """A stream whose chunks are made under a call's instrument tags."""

    __slots__ = ("_call", "_chunks", "_tags")

    def __init__(self, chunks: Iterator[T], call: Call) -> None:
        self._chunks = chunks
        self._call = call
        self._tags: dict[str, Any] | None = None

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        tags = self._tags
        if tags is None:
            # Now, because the reader's own tags count.
            tags = self._tags = self._call.tags()
        token = active_instrument_tags.set(tags)
        try:
            return next(self._chunks)
        finally:
            active_instrument_tags.reset(token)

    def close(self) -> None:
        """Close the stream."""
        close = getattr(self._chunks, "close", None)
        if close is not None:
            close()


class _ATagged(Generic[T]):
    """A stream whose chunks are made under a call's instrument tags."""

    __slots__ = ("_call", "_chunks", "_tags")

    def __init__(self, chunks: AsyncIterator[T], call: Call) -> None:
        self._chunks = chunks
        self._call = call
        self._tags: dict[str, Any] | None = None

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        tags = self._tags
        if tags is None:
            tags = self._tags = self._call.tags()
        token = active_instrument_tags.set(tags)
        try:
            return await self._chunks.__anext__()
        finally:
            active_instrument_tags.reset(token)

    async def aclose(self) -> None:
        """Close the stream."""
        close = getattr(self._chunks, "aclose", None)
        if close is not None:
            await close()
