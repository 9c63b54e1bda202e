"""LiteLLM keeps its clients for the process; a test closes those that it used."""

from __future__ import annotations

import inspect
import sys

__all__ = ["close_litellm_clients"]


async def close_litellm_clients() -> None:
    """Close every client that LiteLLM keeps, in the event loop that used them."""
    if "litellm" not in sys.modules:
        return
    cache = sys.modules["litellm"].in_memory_llm_clients_cache
    for client in list(cache.cache_dict.values()):
        closing = client.close() if hasattr(client, "close") else None
        if inspect.isawaitable(closing):
            await closing
    cache.flush_cache()
