"""Reach LiteLLM, the library that speaks to every provider."""

from __future__ import annotations

import inspect
import os
import sys
import threading
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from routellm_core._optional import require
from routellm_core._warnings import ignore_third_party_warnings

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "Quiet", "close_loop_clients", "import_litellm", "quiet_litellm", "unseen_arguments",
]  # fmt: skip

_SWITCH = "LITELLM_LOCAL_MODEL_COST_MAP"


def import_litellm() -> Any:
    """Return LiteLLM, which takes seconds to import the first time.

    That import fetches a newer price table from the network unless the environment says not to;
    here it does not, and the environment stays as it was.

    Raises
    ------
    MissingDependencyError
        If LiteLLM is not installed.
    """
    ignore_third_party_warnings()
    if sys.modules.get("litellm") is not None:
        return sys.modules["litellm"]
    before = os.environ.get(_SWITCH)
    os.environ[_SWITCH] = "True"
    try:
        return require("litellm", extra="litellm")
    finally:
        if before is None:
            del os.environ[_SWITCH]
        else:
            os.environ[_SWITCH] = before


@contextmanager
def quiet_litellm() -> Iterator[Any]:
    """Yield LiteLLM, which meanwhile prints no advice for calls that fail.

    It prints by one switch for the whole process. The first of several calls at a time turns it,
    and the last one puts it back as it was.
    """
    litellm = import_litellm()
    _quiet.enter(litellm)
    try:
        yield litellm
    finally:
        _quiet.leave(litellm)


class Quiet:
    """Keep LiteLLM from printing advice for calls that fail until `end`, if it is imported.

    For calls of a model that may be one of LiteLLM's.
    """

    __slots__ = ("_litellm",)

    def __init__(self) -> None:
        self._litellm = sys.modules.get("litellm")
        if not hasattr(self._litellm, "suppress_debug_info"):  # another thread is importing it
            self._litellm = None
        if self._litellm is not None:
            _quiet.enter(self._litellm)

    def end(self) -> None:
        """Let it print again; a second time changes nothing."""
        litellm, self._litellm = self._litellm, None
        if litellm is not None:
            _quiet.leave(litellm)


def unseen_arguments(model: str, messages: Any, *, call_type: str) -> dict[str, Any]:
    """Return arguments with which neither LiteLLM's callbacks nor its cache hear of a call.

    Parameters
    ----------
    model, messages
        Of the call.
    call_type
        "completion" or "acompletion".
    """
    require("litellm", extra="litellm")
    logging = _silent_logging()(
        model=model,
        messages=messages,
        stream=False,
        call_type=call_type,
        start_time=datetime.now(),
        litellm_call_id=str(uuid4()),
        function_id="",
    )
    return {
        "no-log": True,
        "cache": {"no-cache": True, "no-store": True},
        "litellm_logging_obj": logging,
    }


@cache
def _silent_logging() -> Any:
    """Return the class of a log of one call that tells no callback before it, either."""
    module = require("litellm.litellm_core_utils.litellm_logging", extra="litellm")

    class SilentLogging(module.Logging):  # type: ignore[misc, name-defined]
        """Tell nobody what is sent, and what came back."""

        def pre_call(self, *args: Any, **kwargs: Any) -> None:
            pass

        def post_call(self, *args: Any, **kwargs: Any) -> None:
            pass

    return SilentLogging


async def close_loop_clients() -> None:
    """Close the clients that LiteLLM keeps for the running event loop, which is about to end.

    It would keep their connections for the process, and report them when they are collected.
    """
    litellm = sys.modules.get("litellm")
    cache = getattr(litellm, "in_memory_llm_clients_cache", None)
    scoped = getattr(cache, "update_cache_key_with_event_loop", None)
    if cache is None or scoped is None:
        return
    suffix = scoped("")
    for key, client in list(cache.cache_dict.items()):
        if suffix and str(key).endswith(suffix):
            closing = client.close() if hasattr(client, "close") else None
            if inspect.isawaitable(closing):
                await closing
            cache.cache_dict.pop(key, None)


class _Quiet:
    """Count the calls that want LiteLLM quiet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._n_calls = 0
        self._before = False

    def enter(self, litellm: Any) -> None:
        with self._lock:
            if self._n_calls == 0:
                self._before = litellm.suppress_debug_info
                litellm.suppress_debug_info = True
            self._n_calls += 1

    def leave(self, litellm: Any) -> None:
        with self._lock:
            self._n_calls -= 1
            if self._n_calls == 0:
                litellm.suppress_debug_info = self._before


_quiet = _Quiet()
