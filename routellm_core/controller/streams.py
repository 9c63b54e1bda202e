"""Streams of a routed answer, which begin when the first content is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from routellm_core.errors import EmptyAnswerError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from typing_extensions import Self

    from routellm_core.types import Decision

__all__ = ["AsyncRoutedStream", "RoutedStream"]


class RoutedStream:
    """Iterate over an answer's chunks, as LiteLLM makes them.

    Parameters
    ----------
    held
        The chunks up to the first content.
    rest
        The others.
    decision
        Where the answer comes from.
    """

    def __init__(self, held: list[Any], rest: Iterator[Any], decision: Decision) -> None:
        self.decision = decision
        self._held = held
        self._rest = rest

    @classmethod
    def open(cls, chunks: Any, decision: Decision) -> Self:
        """Read up to the first content; whatever fails here may be tried elsewhere.

        Raises
        ------
        EmptyAnswerError
            If the stream ends before it.
        """
        iterator = iter(chunks)
        held: list[Any] = []
        for chunk in iterator:
            held.append(chunk)
            if _has_content(chunk):
                return cls(held, iterator, decision)
        raise _empty(decision)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        return self._held.pop(0) if self._held else next(self._rest)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the answer early."""
        self._held = []
        close = getattr(self._rest, "close", None)
        if close is not None:
            close()


class AsyncRoutedStream:
    """Iterate over an answer's chunks asynchronously; see `RoutedStream`."""

    def __init__(self, held: list[Any], rest: AsyncIterator[Any], decision: Decision) -> None:
        self.decision = decision
        self._held = held
        self._rest = rest

    @classmethod
    async def open(cls, chunks: Any, decision: Decision) -> Self:
        """Read up to the first content, as `RoutedStream.open` does."""
        iterator: AsyncIterator[Any] = chunks.__aiter__()
        held: list[Any] = []
        async for chunk in iterator:
            held.append(chunk)
            if _has_content(chunk):
                return cls(held, iterator, decision)
        raise _empty(decision)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        return self._held.pop(0) if self._held else await self._rest.__anext__()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End the answer early."""
        self._held = []
        close = getattr(self._rest, "aclose", None)
        if close is not None:
            await close()


def _has_content(chunk: Any) -> bool:
    """Return whether a chunk says more than who speaks."""
    for choice in chunk.choices:
        if choice.finish_reason:
            return True
        said = choice.delta.model_dump(exclude_none=True)
        if any(value for name, value in said.items() if name != "role"):
            return True
    return False


def _empty(decision: Decision) -> EmptyAnswerError:
    return EmptyAnswerError(f"Model {decision.model!r} ended its stream before the first content.")
