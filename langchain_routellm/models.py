"""The models of one routed model, and what is worked out from them once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseChatModel

from langchain_routellm.backing import adapted, capabilities, make_model, model_label
from langchain_routellm.drafts import Recording, draft_model, recording_for
from langchain_routellm.tools import ToolBinder
from routellm_core import ConfigurationError, Router
from routellm_core.experts import Expert, ExpertTable

__all__ = ["BackingModels", "identity_of", "models_given"]

_NO_DROPS: Mapping[str, frozenset[str]] = {}


class BackingModels:
    """Hold the models that are called: the user's own, private copies, or made from strings.

    Parameters
    ----------
    given
        By route, chat models or strings that name them, the cheapest first.
    settings
        What all get, by field name.
    drops
        By route, names of settings and arguments that its model is not given.
    optional
        Names of settings that a ready model without such a field does without.
    has_drafts
        Whether an answer may be held back and rejected.

    Raises
    ------
    ConfigurationError
        If one is neither a chat model nor the name of one, or cannot take the settings.
    MissingDependencyError
        If a package is needed for a name and is not installed.
    """

    def __init__(
        self,
        given: Mapping[str, Any],
        settings: Mapping[str, object],
        *,
        drops: Mapping[str, frozenset[str]] = _NO_DROPS,
        optional: frozenset[str] = frozenset(),
        has_drafts: bool = False,
    ) -> None:
        self._drops = drops
        self._given = given
        self.models: dict[str, BaseChatModel] = {}
        """The models by route, the strongest first: whose tools are shown, and tokens counted."""
        for role, model in reversed(list(given.items())):
            taken = self.taken(role, settings)
            self.models[role] = (
                make_model(model, taken, role=role)
                if isinstance(model, str)
                else adapted(model, role=role, settings=taken, optional=optional)
            )
        self.drafts: dict[str, BaseChatModel] = {}
        """By route, the model for answers that may be rejected; empty where there are none."""
        if has_drafts:
            self.drafts = {route: draft_model(model) for route, model in self.models.items()}
        every = list(self.models.values())
        self.strong, self.weak = every[0], every[-1]
        self.binder = ToolBinder(self.models, drops, self.drafts)
        self.labels = {role: model_label(model) for role, model in self.models.items()}
        self.name = "|".join(self.labels.values())
        """All models' names."""
        # Middleware compares these with what answers say, and adapts messages and tools to them.
        self.provider = _common(model._get_ls_params().get("ls_provider") for model in every)
        """The provider of all models, else "routellm"."""
        self.llm_type = _common(model._llm_type for model in every)
        """The type of all models, else "routellm"."""

    @cached_property
    def experts(self) -> ExpertTable:
        """The models as a table. The first time LiteLLM's table is read from disk."""
        return ExpertTable(
            Expert(route, self.labels[route], capabilities(self.models[route]))
            for route in self._given
        )

    def recording(self, route: str, hidden: Sequence[BaseCallbackHandler]) -> Recording:
        """Return what records a draft, for handlers that do not see drafts."""
        return recording_for(hidden, self.drafts[route], self.models[route])

    def taken(self, route: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return those arguments that the model of a route is given."""
        dropped = self._drops.get(route)
        if not dropped:
            return arguments if isinstance(arguments, dict) else dict(arguments)
        return {name: value for name, value in arguments.items() if name not in dropped}

    def route_of(self, model: BaseChatModel) -> str | None:
        """Return the route whose model this is, by identity or by class and name; None for none."""
        for route, own in self.models.items():
            if model is own or model is self._given[route]:
                return route
        if not model._get_ls_params().get("ls_model_name"):
            return None
        kind = type(model), model_label(model)
        return next(
            (route for route, own in self.models.items() if (type(own), model_label(own)) == kind),
            None,
        )


def models_given(strong: Any, weak: Any, experts: Any) -> dict[str, Any]:
    """Return the models as the user gave them, by route, the cheapest first.

    Raises
    ------
    ConfigurationError
        If a pair and experts are given, or neither, or `experts` is no mapping of names.
    """
    if experts is None:
        for name, model in (("strong", strong), ("weak", weak)):
            if model is None:
                raise ConfigurationError(
                    f"`{name}` is missing. Pass `strong` and `weak`, or `experts`."
                )
        return {"weak": weak, "strong": strong}
    if strong is not None or weak is not None:
        raise ConfigurationError("Pass `strong` and `weak`, or `experts`, not both.")
    if not isinstance(experts, Mapping) or not experts:
        raise ConfigurationError(
            "`experts` must map at least one name to a model, the cheapest first, as in "
            f"{{'fast': 'openai:gpt-4o-mini'}}, got {type(experts).__name__}."
        )
    ExpertTable(Expert(name, "") for name in experts)  # refuses what is no name
    return dict(experts)


def _common(values: Iterable[str | None]) -> str:
    """Return the one value that all have, else "routellm"."""
    different = set(values)
    return (different.pop() if len(different) == 1 else None) or "routellm"


def identity_of(router: str | Router) -> str:
    """Return a text that differs between routers that decide differently, as far as can be told."""
    if isinstance(router, str):
        return router
    plain = {
        name: value
        for name, value in sorted(vars(router).items())
        if isinstance(value, (str, int, float, bool, type(None)))
    }
    return f"{type(router).__module__}.{type(router).__qualname__}{plain}"
