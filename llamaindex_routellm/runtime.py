"""What a routed model works out once and keeps: never copied, pickled or dumped."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from llamaindex_routellm.origins import Origins
from routellm_core import PrefixMemory, RecentValues

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llama_index.core.llms import LLM

    from llamaindex_routellm.messages import Owners
    from llamaindex_routellm.metadata import ExpertFacts
    from llamaindex_routellm.variants import Efforts
    from routellm_core import Decider, Guards

__all__ = ["Runtime"]

N_OWNERS = 4096
"""Tool calls whose model is remembered: those of the turns that are under way."""


class Runtime:
    """Hold a decider, the models' metadata and the owners of tool calls, for all threads.

    No part of it belongs to an event loop.
    """

    __slots__ = (
        "decider", "efforts", "facts", "guards", "lock", "models", "origins", "owners", "prefixes",
    )  # fmt: skip

    def __init__(self, *, guards: Guards | None = None) -> None:
        self.guards = guards
        self.lock = threading.RLock()
        self.decider: Decider | None = None
        self.efforts: Efforts | None = None
        self.facts: ExpertFacts | None = None
        self.models: Mapping[str, LLM] | None = None
        self.owners: Owners = RecentValues(size=N_OWNERS)
        self.origins = Origins()
        self.prefixes = PrefixMemory()

    def forget(self) -> None:
        """Work everything out anew, because a setting changed."""
        with self.lock:
            self.decider = None
            self.efforts = None
            self.facts = None
            self.models = None

    def __reduce__(self) -> tuple[Any, ...]:
        return (Runtime, ())
