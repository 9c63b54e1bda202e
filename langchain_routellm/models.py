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
from langchain_routellm.variants import (
    check_taken,
    says_effort,
    settings_of,
    varied,
    without_effort,
)
from routellm_core import ConfigurationError, Router
from routellm_core.experts import (
    EFFORT_SETTINGS,
    Expert,
    ExpertTable,
    model_and_settings,
    without_unset_effort,
)

__all__ = ["BackingModels", "identity_of", "models_given"]

_NO_DROPS: Mapping[str, frozenset[str]] = {}


class BackingModels:
    """Hold the models that are called: the user's own, private copies, or made from strings.

    Parameters
    ----------
    given
        By route, chat models or strings that name them, or a `Variant` of one, the cheapest first.
    settings
        What all get, by field name.
    drops
        By route, names of settings and arguments that its model is not given.
    optional
        Names of settings that a ready model without such a field does without.
    has_drafts
        Whether an answer may be held back and rejected.
    answer_tokens
        Expected tokens of an answer, by route.

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
        answer_tokens: Mapping[str, float] | None = None,
    ) -> None:
        self._drops = drops
        self._given = given
        self._has_drafts = has_drafts
        self._answer_tokens = answer_tokens or {}
        self.has_effort = False
        self.models: dict[str, BaseChatModel] = {}
        """The models by route, the strongest first: whose tools are shown, and tokens counted."""
        for role, model in reversed(list(given.items())):
            taken = self.taken(role, settings)
            bare, own = model_and_settings(model)
            if isinstance(bare, str):
                made = make_model(bare, {**taken, **own}, role=role)
                check_taken(made, own, role=role)
            else:
                made = adapted(bare, role=role, settings=taken, optional=optional)
                made = varied(made, own, role=role) if own else made
            self.models[role] = made
        self.drafts: dict[str, BaseChatModel] = {}
        """By route, the model for answers that may be rejected; empty where there are none."""
        if has_drafts:
            self.drafts = {route: draft_model(model) for route, model in self.models.items()}
        every = list(self.models.values())
        self.strong, self.weak = every[0], every[-1]
        self.binder = ToolBinder(self.models, drops, self.drafts)
        names = {role: model_label(model) for role, model in self.models.items()}
        self._settings = {role: settings_of(model) for role, model in self.models.items()}
        told = ExpertTable(
            Expert(role, name, settings=self._settings[role]) for role, name in names.items()
        )
        self.labels = {expert.name: expert.label for expert in told}
        """What records call the models, by route."""
        self.name = "|".join(dict.fromkeys(names.values()))
        """All models' names."""
        self.has_effort = any(EFFORT_SETTINGS & own.keys() for own in self._settings.values())
        """Whether one of the models says how much to think."""
        # Middleware compares these with what answers say, and adapts messages and tools to them.
        self.provider = _common(model._get_ls_params().get("ls_provider") for model in every)
        """The provider of all models, else "routellm"."""
        self.llm_type = _common(model._llm_type for model in every)
        """The type of all models, else "routellm"."""

    @cached_property
    def experts(self) -> ExpertTable:
        """The models as a table. The first time LiteLLM's table is read from disk."""
        return ExpertTable(
            Expert(
                route,
                model_label(self.models[route]),
                capabilities(self.models[route]),
                self._settings[route],
                self._answer_tokens.get(route),
            )
            for route in self._given
        )

    @cached_property
    def without_effort(self) -> BackingModels:
        """The models as they are asked where a call says by itself how much to think."""
        return BackingModels(
            {route: without_effort(self.models[route]) for route in self._given},
            {},
            drops=self._drops,
            has_drafts=self._has_drafts,
        )

    def for_call(self, arguments: Mapping[str, Any]) -> BackingModels:
        """Return the models for a call's arguments: its own effort goes before theirs."""
        return self.without_effort if self.has_effort and says_effort(arguments) else self

    def recording(self, route: str, hidden: Sequence[BaseCallbackHandler]) -> Recording:
        """Return what records a draft, for handlers that do not see drafts."""
        return recording_for(hidden, self.drafts[route], self.models[route])

    def taken(self, route: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return those arguments that the model of a route is given."""
        if self.has_effort:
            arguments = without_unset_effort(arguments)
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
        alike = [r for r, own in self.models.items() if (type(own), model_label(own)) == kind]
        if len(alike) > 1:
            settings = settings_of(model)
            alike = [route for route in alike if self._settings[route] == settings] or alike
        return alike[0] if alike else None


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
