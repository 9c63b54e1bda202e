"""Hold a decision while LlamaIndex's own code makes the calls of one prediction."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator

    from routellm_core import Decision

__all__ = ["apinned_stream", "pinned", "pinned_decision", "pinned_stream"]

T = TypeVar("T")

_PIN: ContextVar[tuple[int, Decision] | None] = ContextVar("routellm_pin", default=None)


def pinned_decision(owner: object) -> Decision | None:
    """Return the decision that is pinned for this model, not for one nested in it."""
    pin = _PIN.get()
    return pin[1] if pin is not None and pin[0] == id(owner) else None


@contextmanager
def pinned(owner: object, decision: Decision) -> Iterator[None]:
    """Send every call of a model where one decision says."""
    token = _PIN.set((id(owner), decision))
    try:
        yield
    finally:
        _PIN.reset(token)


def pinned_stream(
    owner: object, decision: Decision, stream: Iterator[T]
) -> Generator[T, None, None]:
    """Pin a decision while a stream works, not while its reader does."""
    try:
        while True:
            with pinned(owner, decision):
                try:
                    chunk = next(stream)
                except StopIteration:
                    return
            yield chunk
    finally:
        close = getattr(stream, "close", None)
        if close is not None:
            close()


async def apinned_stream(
    owner: object, decision: Decision, stream: AsyncIterator[T]
) -> AsyncGenerator[T, None]:
    """Pin a decision as `pinned_stream` does, for an asynchronous stream."""
    try:
        while True:
            with pinned(owner, decision):
                try:
                    chunk = await stream.__anext__()
                except StopAsyncIteration:
                    return
            yield chunk
    finally:
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()
