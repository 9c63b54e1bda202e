"""Wait for something for a time, in every version of Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable

__all__ = ["wait_within"]

T = TypeVar("T")


async def wait_within(answer: Awaitable[T], seconds: float) -> T:
    """Wait for something in the caller's own task, as far as Python can.

    Parameters
    ----------
    answer
        Is cancelled when the time is over.
    seconds
        At least 0.

    Raises
    ------
    TimeoutError
        When the time is over.
    """
    import asyncio

    if hasattr(asyncio, "timeout"):  # stays in the caller's task, which older Pythons cannot
        async with asyncio.timeout(seconds):
            return await answer
    try:
        return await asyncio.wait_for(answer, seconds)
    except asyncio.TimeoutError:  # a class of its own before Python 3.11
        raise TimeoutError(f"No answer within {seconds:g} s.") from None
