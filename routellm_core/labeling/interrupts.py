"""Run a coroutine so that Ctrl-C cancels it, as Python does by itself from 3.11 on."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

__all__ = ["run_interruptible"]

T = TypeVar("T")


def run_interruptible(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in an event loop of its own; Ctrl-C cancels it and lets it end in order.

    Before Python 3.11 `asyncio.run` raises `KeyboardInterrupt` wherever the loop happens to be,
    within other libraries as well, whose calls are then left behind half begun.

    Raises
    ------
    KeyboardInterrupt
        After the coroutine has ended, if it was interrupted.
    """
    by_default = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if sys.version_info >= (3, 11) or not by_default:
        return asyncio.run(coroutine)
    return asyncio.run(_cancelled_by_interrupt(coroutine))


async def _cancelled_by_interrupt(coroutine: Coroutine[Any, Any, T]) -> T:
    loop, task = asyncio.get_running_loop(), asyncio.ensure_future(coroutine)
    interrupted = False

    def interrupt() -> None:
        nonlocal interrupted
        interrupted = True
        task.cancel()

    try:
        loop.add_signal_handler(signal.SIGINT, interrupt)
    except (NotImplementedError, RuntimeError, ValueError):  # Windows, or not the main thread
        return await task
    try:
        return await task
    except asyncio.CancelledError:
        if interrupted:
            raise KeyboardInterrupt from None
        raise
    finally:
        loop.remove_signal_handler(signal.SIGINT)
