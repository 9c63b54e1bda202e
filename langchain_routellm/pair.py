"""The two models of one routed model, and what is worked out from them once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from langchain_core.language_models import BaseChatModel

from langchain_routellm.backing import adapted, capabilities, make_model, model_label
from langchain_routellm.tools import ToolBinder
from routellm_core import Capabilities, Router

__all__ = ["BackingPair", "identity_of"]

_NO_DROPS: Mapping[str, frozenset[str]] = {}


class BackingPair:
    """Hold the models that are called: the user's own, private copies, or made from strings.

    Parameters
    ----------
    strong, weak
        Chat models, or strings that name them.
    settings
        What both get, by field name.
    drops
        By route, names of settings and arguments that its model is not given.
    optional
        Names of settings that a ready model without such a field does without.

    Raises
    ------
    ConfigurationError
        If either is neither a chat model nor the name of one, or cannot take the settings.
    MissingDependencyError
        If a package is needed for a name and is not installed.
    """

    def __init__(
        self,
        strong: Any,
        weak: Any,
        settings: Mapping[str, object],
        *,
        drops: Mapping[str, frozenset[str]] = _NO_DROPS,
        optional: frozenset[str] = frozenset(),
    ) -> None:
        self._drops = drops
        self.models: dict[str, BaseChatModel] = {}
        for role, model in (("strong", strong), ("weak", weak)):
            taken = self.taken(role, settings)
            self.models[role] = (
                make_model(model, taken, role=role)
                if isinstance(model, str)
                else adapted(model, role=role, settings=taken, optional=optional)
            )
        self.strong = self.models["strong"]
        self.weak = self.models["weak"]
        self.binder = ToolBinder(self.models, drops)
        self.labels = {role: model_label(model) for role, model in self.models.items()}
        self.name = "|".join(self.labels.values())
        """Both models' names."""
        both = self.models.values()
        # Middleware compares these with what answers say, and adapts messages and tools to them.
        self.provider = _common(model._get_ls_params().get("ls_provider") for model in both)
        """The provider of both models, else "routellm"."""
        self.llm_type = _common(model._llm_type for model in both)
        """The type of both models, else "routellm"."""

    @cached_property
    def capabilities(self) -> dict[str, Capabilities]:
        """What each model can take, by role. The first time LiteLLM's table is read from disk."""
        return {role: capabilities(model) for role, model in self.models.items()}

    def taken(self, route: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return those arguments that the model of a route is given."""
        dropped = self._drops.get(route)
        if not dropped:
            return arguments if isinstance(arguments, dict) else dict(arguments)
        return {name: value for name, value in arguments.items() if name not in dropped}

    def route_of(self, model: BaseChatModel, given: tuple[Any, Any]) -> str | None:
        """Return the route whose model this is, by identity or by class and name; None for neither.

        Parameters
        ----------
        model
            Any chat model.
        given
            The strong and the weak model as the user gave them, which may differ from the copies
            that are called.
        """
        for (route, own), user in zip(self.models.items(), given, strict=True):
            if model is own or model is user:
                return route
        if not model._get_ls_params().get("ls_model_name"):
            return None
        kind = type(model), model_label(model)
        return next(
            (route for route, own in self.models.items() if (type(own), model_label(own)) == kind),
            None,
        )


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
