"""What a routed model works out once from its fields, and what its copies leave behind."""

from __future__ import annotations

import asyncio
import threading
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from langchain_core.language_models import BaseChatModel

from langchain_routellm.checks import check_picklable
from langchain_routellm.dispatch import Dispatching
from langchain_routellm.models import BackingModels
from langchain_routellm.routing import Routing
from routellm_core import Guards, Score

__all__ = ["FORWARDED", "GUARD_FIELDS", "PreparedModel", "in_event_loop"]

T = TypeVar("T")

FORWARDED = (
    "temperature", "max_tokens", "timeout", "max_retries", "stop", "streaming", "api_key",
    "base_url", "cache", "rate_limiter", "output_version", "custom_get_token_ids", "callbacks",
    "tags",
)  # fmt: skip
"""The fields that all models get."""

_LOADING = threading.RLock()
_READY = _MODELS, _ROUTING, _GUARDS = "_models_ready", "_routing_ready", "_guards_ready"
_ASSIGNED = "_assigned"
GUARD_FIELDS = frozenset({"retry", "breaker", "budget", "monitor", "shadow", "experts"})
_NOTHING: frozenset[str] = frozenset()


class PreparedModel(Dispatching, BaseChatModel):
    """A chat model that prepares its models, router and guards once, and anew after a change."""

    @abstractmethod
    def _make_models(self) -> BackingModels:
        """Return the models that are called."""

    @abstractmethod
    def _make_routing(self) -> Routing:
        """Return how calls are decided; this may load a router."""

    @abstractmethod
    def _make_guards(self) -> Guards:
        """Return the retries, breakers, budget, monitor and shadow."""

    @property
    def guards(self) -> Guards:
        """The retries, breakers, budget, monitor and shadow, as they are now; copies share them."""
        guards: Guards | None = self.__dict__.get(_GUARDS)
        if guards is None:
            with _LOADING:
                guards = self.__dict__.get(_GUARDS)
                if guards is None:
                    guards = self.__dict__[_GUARDS] = self._make_guards()
        return guards

    def record_outcome(self, call_id: str, score: Score, *, comment: str | None = None) -> None:
        """Write down how good an answer was, beside the record of its call.

        `answer.response_metadata["routellm"]["call_id"]` names the call; see
        `Monitor.record_outcome`.

        Raises
        ------
        ConfigurationError
            If a value cannot be used, or there is no `monitor` with a log.
        """
        self.guards.record_outcome(call_id, score, comment=comment)

    @property
    def _assigned(self) -> frozenset[str]:
        """The fields for all models that were assigned after construction."""
        return cast("frozenset[str]", self.__dict__.get(_ASSIGNED, _NOTHING))

    def _backing(self) -> BackingModels:
        models: BackingModels | None = self.__dict__.get(_MODELS)
        if models is None:
            models = self.__dict__[_MODELS] = self._make_models()
        return models

    def _routing(self) -> Routing:
        routing: Routing | None = self.__dict__.get(_ROUTING)
        return routing if routing is not None else self._load_routing()

    async def _arouting(self) -> Routing:
        routing: Routing | None = self.__dict__.get(_ROUTING)
        return routing if routing is not None else await asyncio.to_thread(self._load_routing)

    def _load_routing(self) -> Routing:
        with _LOADING:
            routing: Routing | None = self.__dict__.get(_ROUTING)
            if routing is None:
                routing = self.__dict__[_ROUTING] = self._make_routing()
            return routing

    def _settings(self) -> dict[str, object]:
        """Return what the models get, by field name: what was set to something."""
        settings = {name: getattr(self, name) for name in FORWARDED}
        settings["disable_streaming"] = self.disable_streaming or None
        settings["verbose"] = self.verbose or None
        own = {key: value for key, value in (self.metadata or {}).items() if key != "lc_versions"}
        settings["metadata"] = own or None
        return {name: value for name, value in settings.items() if value is not None}

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name in FORWARDED:
            self.__dict__[_ASSIGNED] = self._assigned | {name}
        if name in type(self).model_fields:
            self._forget()
        if name in GUARD_FIELDS:
            self.__dict__.pop(_GUARDS, None)

    def model_copy(self: T, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> T:
        """Return a copy; what was worked out from the changed fields is worked out again."""
        copy = cast("Any", super()).model_copy(update=update, deep=deep)
        copy._forget()
        if deep or GUARD_FIELDS & set(update or ()):
            copy.__dict__.pop(_GUARDS, None)
        return cast("T", copy)

    def __getstate__(self) -> dict[Any, Any]:
        for name in ("router", "strong", "weak", "experts", "strategy", "monitor"):
            check_picklable(name, getattr(self, name))
        state: dict[Any, Any] = super().__getstate__()
        fields = {key: value for key, value in state["__dict__"].items() if key not in _READY}
        return {**state, "__dict__": fields}

    def __deepcopy__(self: T, memo: dict[int, Any] | None = None) -> T:
        bare = cast("Any", super()).__copy__()
        bare._forget()  # locks and threads among it cannot be copied
        bare.__dict__.pop(_GUARDS, None)
        return cast("T", super(PreparedModel, bare).__deepcopy__(memo))

    def _forget(self) -> None:
        self.__dict__.pop(_MODELS, None)
        self.__dict__.pop(_ROUTING, None)


def in_event_loop() -> bool:
    """Return whether this thread runs an event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
