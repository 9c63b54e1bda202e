"""A routed model as the root of LangChain's event log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, cast

from langchain_core.runnables import Runnable, RunnableConfig

__all__ = ["ConsumedRunnable"]


class ConsumedRunnable(Runnable[Any, None]):
    """Read a Runnable's stream to its end for the events of its runs; hand on one None.

    `astream_events` ties what its root streams to the run that bears the root's id. A routed model
    has no run of its own, and that of its first attempt is over when another model answers: the
    log would end there, or show each chunk twice. The runs themselves report every chunk.

    Parameters
    ----------
    routed
        The Runnable.
    """

    def __init__(self, routed: Runnable[Any, Any]) -> None:
        self._routed = routed

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> None:  # noqa: A002 - LangChain's name
        """Read an answer."""
        self._routed.invoke(input, config, **kwargs)

    async def astream(
        self,
        input: Any,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[None]:
        """Read a stream to its end."""
        own = cast("RunnableConfig", {k: v for k, v in (config or {}).items() if k != "run_id"})
        async with aclosing(cast("Any", self._routed.astream(input, own, **kwargs))) as chunks:
            async for _ in chunks:
                pass
        yield None
