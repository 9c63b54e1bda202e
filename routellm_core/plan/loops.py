"""The only loops that ask models: whole answers and streams, synchronous and asynchronous.

An adapter supplies a `RoutedCall` and a function that asks the expert on the call's route. Every
sleep, timeout and cleanup between the first attempt and the answer is here.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing, closing, nullcontext
from time import sleep
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from routellm_core.plan.gate import ChunkGate
from routellm_core.plan.judging import ais_given, is_given
from routellm_core.plan.side_by_side import abest_of, best_of
from routellm_core.plan.steps import AskAll

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        AsyncIterator,
        Awaitable,
        Callable,
        Generator,
        Iterator,
    )

    from routellm_core.plan.calls import RoutedCall

__all__ = ["adrive", "aopened", "astream", "drive", "opened", "stream"]

A = TypeVar("A")
C = TypeVar("C")

_END: Any = object()
_NEXT: Any = object()
"""In place of an answer: another expert is asked."""


def drive(call: RoutedCall[A, Any], ask: Callable[[Any], A]) -> A:
    """Ask until there is an answer, or none can be expected.

    Parameters
    ----------
    call
        Says after every attempt whether another follows, and on which route.
    ask
        Takes a call and asks the expert on its route.

    Raises
    ------
    Exception
        The last attempt's, as it was.
    """
    while True:
        try:
            if call.attempts.step is None:
                answer = ask(call)
                call.check(answer)
            else:
                answer = _step(call, ask)
        except BaseException as error:  # `failed` knows what is worth another attempt
            if call.failed(error):
                sleep(call.wait_s)
                continue
            if not call.has_instead(error):
                raise
            return cast("A", call.instead)
        if answer is not _NEXT:
            call.succeeded(answer)
            return answer


async def adrive(call: RoutedCall[A, Any], ask: Callable[[Any], Awaitable[A]]) -> A:
    """Ask as `drive` does, each attempt within its timeout."""
    while True:
        try:
            if call.attempts.step is None:
                answer: A = await _asked(call, ask)
                call.check(answer)
            else:
                answer = await _astep(call, ask)
        except BaseException as error:  # `failed` knows what is worth another attempt
            if call.failed(error):
                await asyncio.sleep(call.wait_s)
                continue
            if not call.has_instead(error):
                raise
            return cast("A", call.instead)
        if answer is not _NEXT:
            call.succeeded(answer)
            return answer


def opened(call: RoutedCall[Any, C], open_: Callable[[Any], Iterator[C]]) -> Iterator[C] | None:
    """Open a stream now, from the first expert that opens one; None where several are asked."""
    while not isinstance(call.attempts.step, AskAll):
        try:
            return open_(call)
        except BaseException as error:  # `failed` knows what is worth another attempt
            if not call.failed(error):
                raise
            sleep(call.wait_s)
    return None


async def aopened(
    call: RoutedCall[Any, C], open_: Callable[[Any], Awaitable[AsyncIterator[C]]]
) -> AsyncIterator[C] | None:
    """Open a stream as `opened` does."""
    while not isinstance(call.attempts.step, AskAll):
        try:
            return await call.asked(open_)
        except BaseException as error:  # `failed` knows what is worth another attempt
            if not call.failed(error):
                raise
            await asyncio.sleep(call.wait_s)
    return None


def stream(
    call: RoutedCall[Any, C],
    open_: Callable[[Any], Iterator[C]],
    *,
    begun: Iterator[C] | None = None,
) -> Generator[C, None, None]:
    """Yield an answer's chunks; until content was given out, another model may take over.

    Where a verifier scores the whole answer, or several experts are asked at once, the chunks are
    held back until one answer is accepted.

    Parameters
    ----------
    call
        As for `drive`.
    open_
        Takes a call and opens the stream of the expert on its route.
    begun
        The first attempt's stream, where it is open already.

    Raises
    ------
    Exception
        The last attempt's, as it was.
    """
    chunks = _stream(call, open_, begun)
    return chunks if call.attempts.shadow is None else _shadowed(call, chunks)


def _shadowed(
    call: RoutedCall[Any, C], chunks: Generator[C, None, None]
) -> Generator[C, None, None]:
    """Yield the chunks of a sampled call; at its end the other model is asked."""
    shadow = call.attempts.shadow
    assert shadow is not None  # noqa: S101 - asked before
    try:
        with closing(chunks):
            for chunk in chunks:
                shadow.note(chunk)
                if call.ends(chunk):  # after which nobody asks for more
                    shadow.take(call)
                yield chunk
    finally:
        shadow.take(call)


async def _ashadowed(
    call: RoutedCall[Any, C], chunks: AsyncGenerator[C, None]
) -> AsyncGenerator[C, None]:
    """Yield chunks as `_shadowed` does."""
    shadow = call.attempts.shadow
    assert shadow is not None  # noqa: S101 - asked before
    try:
        async with aclosing(chunks):
            async for chunk in chunks:
                shadow.note(chunk)
                if call.ends(chunk):
                    shadow.take(call)
                yield chunk
    finally:
        shadow.take(call)


def _stream(
    call: RoutedCall[Any, C], open_: Callable[[Any], Iterator[C]], begun: Iterator[C] | None
) -> Generator[C, None, None]:
    while True:
        first, begun = begun, None
        gate: Any = None
        try:
            if call.holds_back:
                gate = _step(call, _reading(open_, first))
            else:
                gate = call.gate()
                with _closing(open_(call) if first is None else first) as chunks:
                    for chunk in chunks:
                        yield from gate.admit(chunk)
                        if gate.is_open:
                            break
                    yield from gate.rest(chunks) if gate.is_open else gate.end()
        except BaseException as error:  # `failed` knows what is worth another attempt
            if call.failed(error):
                sleep(call.wait_s)
                continue
            if not call.has_instead(error):
                raise
            yield from call.instead.release()
            return
        if gate is not _NEXT:
            call.commit()  # the gate is a branch's where several were asked
            if not gate.is_open:
                yield from gate.release()
            call.succeeded()
            return


def astream(
    call: RoutedCall[Any, C],
    open_: Callable[[Any], Awaitable[AsyncIterator[C]]],
    *,
    begun: AsyncIterator[C] | None = None,
) -> AsyncGenerator[C, None]:
    """Yield an answer's chunks as `stream` does, each attempt within its timeout."""
    chunks = _astream(call, open_, begun)
    return chunks if call.attempts.shadow is None else _ashadowed(call, chunks)


async def _astream(  # noqa: C901 - a function in between would cost every chunk
    call: RoutedCall[Any, C],
    open_: Callable[[Any], Awaitable[AsyncIterator[C]]],
    begun: AsyncIterator[C] | None,
) -> AsyncGenerator[C, None]:
    while True:
        first, begun = begun, None
        gate: Any = None
        try:
            if call.holds_back:
                gate = await _astep(call, _Reading(open_, first))
            else:
                gate = call.gate()
                chunks = await call.asked(open_) if first is None else first
                # Leaving the loop does not close the inner stream; only this ends its run.
                async with _aclosing(chunks):
                    while not gate.is_open:
                        chunk = await call.within(_anext(chunks))
                        for admitted in gate.end() if chunk is _END else gate.admit(chunk):
                            yield admitted
                    async for chunk in gate.arest(chunks):
                        yield chunk
        except BaseException as error:  # `failed` knows what is worth another attempt
            if call.failed(error):
                await asyncio.sleep(call.wait_s)
                continue
            if not call.has_instead(error):
                raise
            for chunk in call.instead.release():
                yield chunk
            return
        if gate is not _NEXT:
            call.commit()
            for chunk in () if gate.is_open else gate.release():
                yield chunk
            call.succeeded()
            return


def _step(call: RoutedCall[Any, Any], ask: Callable[[Any], Any]) -> Any:
    """Take one step of a call; return its answer, or `_NEXT` where another expert is asked."""
    if isinstance(call.attempts.step, AskAll):
        return best_of(call, ask, drive)
    answer = ask(call)
    call.check(answer)
    if call.verifier is None:
        return answer
    if is_given(call, answer):
        return call.given_answer
    call.starts_again()
    return _NEXT


async def _astep(call: RoutedCall[Any, Any], ask: Callable[[Any], Awaitable[Any]]) -> Any:
    if isinstance(call.attempts.step, AskAll):
        return await abest_of(call, ask, adrive)
    answer = await _asked(call, ask)
    call.check(answer)
    if call.verifier is None:
        return answer
    if await ais_given(call, answer):
        return call.given_answer
    call.starts_again()
    return _NEXT


def _asked(call: RoutedCall[Any, Any], ask: Callable[[Any], Awaitable[Any]]) -> Awaitable[Any]:
    """Ask within the attempt's time; a stream that is read whole minds its first content only."""
    return ask(call) if isinstance(ask, _Reading) else call.asked(ask)


def _reading(
    open_: Callable[[Any], Iterator[C]], first: Iterator[C] | None
) -> Callable[[Any], ChunkGate[C]]:
    """Return what asks a stream for its whole answer, or for as much of it as may be accepted."""

    def ask(call: RoutedCall[Any, C]) -> ChunkGate[C]:
        gate: ChunkGate[C] = ChunkGate.whole(call)
        with _closing(open_(call) if first is None else first) as chunks:
            for chunk in chunks:
                if gate.hold(chunk):
                    break
        return gate

    return ask


class _Reading(Generic[C]):
    """Ask a stream for its answer as `_reading` does; only its first content must come in time."""

    def __init__(
        self,
        open_: Callable[[Any], Awaitable[AsyncIterator[C]]],
        first: AsyncIterator[C] | None,
    ) -> None:
        self._open = open_
        self._first = first

    async def __call__(self, call: RoutedCall[Any, C]) -> ChunkGate[C]:
        gate: ChunkGate[C] = ChunkGate.whole(call)
        chunks = await call.asked(self._open) if self._first is None else self._first
        wait = call.within
        async with _aclosing(chunks):
            while (chunk := await wait(_anext(chunks))) is not _END:
                if gate.hold(chunk):
                    break
                if call.has_content(chunk):
                    wait = call.attempts.before_deadline
        return gate


async def _anext(chunks: AsyncIterator[C]) -> C:
    """Return the next chunk, or `_END`; `anext` with a default is no coroutine."""
    try:
        return await chunks.__anext__()
    except StopAsyncIteration:
        return cast("C", _END)


def _closing(chunks: Any) -> Any:
    return closing(chunks) if hasattr(chunks, "close") else nullcontext(chunks)


def _aclosing(chunks: Any) -> Any:
    return aclosing(chunks) if hasattr(chunks, "aclose") else nullcontext(chunks)
