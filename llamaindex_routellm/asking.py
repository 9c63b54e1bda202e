"""What is done around every attempt: its tags in the model's events, its record on every chunk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from llama_index_instrumentation.dispatcher import active_instrument_tags

from llamaindex_routellm.records import stamped
from routellm_core.plan import ChunkGate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from llamaindex_routellm.calls import Call

__all__ = ["SigningGate", "aasking", "asking"]

T = TypeVar("T")


class SigningGate(ChunkGate[Any]):
    """A gate behind which every chunk carries the decision."""

    __slots__ = ()

    call: Call

    def rest(self, chunks: Iterator[Any]) -> Iterator[Any]:
        """Yield what remains of the stream."""
        call, record = self.call, self.call.decision.record()
        for chunk in chunks:
            call.last = chunk
            yield stamped(chunk, record)

    async def arest(self, chunks: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """Yield what remains of the stream."""
        call, record = self.call, self.call.decision.record()
        async for chunk in chunks:
            call.last = chunk
            yield stamped(chunk, record)


def asking(send: Callable[[Call], T]) -> Callable[[Call], T]:
    """Return what asks for an attempt, with the decision in the model's events."""

    def ask(call: Call) -> T:
        call.wait()
        token = active_instrument_tags.set(call.tags())
        try:
            return send(call)
        finally:
            active_instrument_tags.reset(token)

    return ask


def aasking(send: Callable[[Call], Awaitable[T]]) -> Callable[[Call], Awaitable[T]]:
    """Return what asks for an attempt, as `asking` does."""

    async def ask(call: Call) -> T:
        token = active_instrument_tags.set(call.tags())
        try:
            return await send(call)
        finally:
            active_instrument_tags.reset(token)

    return ask
