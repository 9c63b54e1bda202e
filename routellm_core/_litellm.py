"""Reach LiteLLM, the library that speaks to every provider."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from routellm_core._optional import require
from routellm_core._warnings import ignore_third_party_warnings

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["import_litellm", "quiet_litellm"]

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
