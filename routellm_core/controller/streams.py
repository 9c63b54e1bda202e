"""Streams of a routed answer, which begin when the first content is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from typing_extensions import Self

    from routellm_core.controller.litellm_call import LiteLLMCall

__all__ = ["AsyncRoutedStream", "RoutedStream"]

_NOTHING: Any = object()


class RoutedStream:
    """Iterate over an answer's chunks, as LiteLLM makes them.

    Parameters
    ----------
    chunks
        Those that are given out; the first is read at once.
    call
        Tells where the answer comes from, and is told when nobody waits for its end.
    """

    def __init__(self, chunks: Generator[Any, None, None], call: LiteLLMCall) -> None:
        self._chunks = chunks
        self._call = call
        self._first = next(chunks, _NOTHING)
        self.decision = call.decision

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        chunk, self._first = self._first, _NOTHING
        return next(self._chunks) if chunk is _NOTHING else chunk

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the answer early."""
        self._first = _NOTHING
        self._chunks.close()
        self._call.close()


class AsyncRoutedStream:
    """Iterate over an answer's chunks asynchronously; see `RoutedStream`."""

    def __init__(
        self, chunks: AsyncGenerator[Any, None], call: LiteLLMCall, *, first: Any = _NOTHING
    ) -> None:
        self._chunks = chunks
        self._call = call
        self._first = first
        self.decision = call.decision

    @classmethod
    async def begin(cls, chunks: AsyncGenerator[Any, None], call: LiteLLMCall) -> Self:
        """Read the first chunk that is given out."""
        async for first in chunks:
            return cls(chunks, call, first=first)
        return cls(chunks, call)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        chunk, self._first = self._first, _NOTHING
        return await self._chunks.__anext__() if chunk is _NOTHING else chunk

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End the answer early."""
        self._first = _NOTHING
        await self._chunks.aclose()
        self._call.close()
