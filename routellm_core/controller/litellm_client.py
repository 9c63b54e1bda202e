"""Reach LiteLLM, the library that speaks to every provider."""

from __future__ import annotations

import os
import sys
from typing import Any

from routellm_core._optional import require

__all__ = ["import_litellm"]

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
    if "litellm" in sys.modules:
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
