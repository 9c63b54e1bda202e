"""The two loops that carry a whole answer through its attempts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import sleep
from typing import TypeVar

from langchain_routellm.routing import Call

__all__ = ["adrive", "drive"]

T = TypeVar("T")


def drive(call: Call, ask: Callable[[], T]) -> T:
    """Ask until there is a usable answer, or none can be expected.

    Parameters
    ----------
    call
        Says after every attempt whether another follows, and on which route.
    ask
        Asks the model of the call's current route.

    Raises
    ------
    Exception
        The last attempt's, as it was.
    """
    while True:
        try:
            answer = ask()
            call.check(answer)
        except BaseException as error:  # `failed` knows what is worth another attempt
            if not call.failed(error):
                if call.gives_up(error):
                    return answer
                raise
            sleep(call.wait_s)
        else:
            call.succeeded()
            return answer


async def adrive(call: Call, ask: Callable[[], Awaitable[T]]) -> T:
    """Ask as `drive` does, each attempt within its timeout."""
    while True:
        try:
            answer = await call.within(ask())
            call.check(answer)
        except BaseException as error:  # `failed` knows what is worth another attempt
            if not call.failed(error):
                if call.gives_up(error):
                    return answer
                raise
            await asyncio.sleep(call.wait_s)
        else:
            call.succeeded()
            return answer
