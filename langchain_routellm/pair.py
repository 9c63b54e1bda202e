"""The two models of one routed model, and what is worked out from them once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from langchain_core.language_models import BaseChatModel

from langchain_routellm.backing import adapted, capabilities, make_model, model_label
from langchain_routellm.tools import ToolBinder
from routellm_core import Router

__all__ = ["BackingPair", "identity_of"]


class BackingPair:
    """Hold the models that are called: the user's own, private copies, or made from strings.

    Parameters
    ----------
    strong, weak
        Chat models, or strings that name them.
    settings
        What both get, by field name.

    Raises
    ------
    ConfigurationError
        If either is neither a chat model nor the name of one, or cannot take the settings.
    MissingDependencyError
        If a package is needed for a name and is not installed.
    """

    def __init__(self, strong: Any, weak: Any, settings: Mapping[str, object]) -> None:
        self.models: dict[str, BaseChatModel] = {
            role: make_model(model, settings, role=role)
            if isinstance(model, str)
            else adapted(model, role=role, settings=settings)
            for role, model in (("strong", strong), ("weak", weak))
        }
        self.strong = self.models["strong"]
        self.weak = self.models["weak"]
        self.binder = ToolBinder(self.models)
        self.labels = {role: model_label(model) for role, model in self.models.items()}
        self.name = "|".join(self.labels.values())
        """Both models' names."""
        both = self.models.values()
        # Middleware compares these with what answers say, and adapts messages and tools to them.
        self.provider = _common(model._get_ls_params().get("ls_provider") for model in both)
        """The provider of both models, else "routellm"."""
        self.llm_type = _common(model._llm_type for model in both)
        """The type of both models, else "routellm"."""
        self.capabilities = {role: capabilities(model) for role, model in self.models.items()}


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
