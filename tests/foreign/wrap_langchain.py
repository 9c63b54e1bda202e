"""A pytest plugin that puts a `RoutedChatModel` around every chat model that a test hands over.

Load it with `-p wrap_langchain` in a run of LangChain's, LangGraph's or deepagents'
own tests. A test keeps its fake model, and whatever it reads from it; only the agent or middleware
that takes the model gets it wrapped.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import os
from collections.abc import Callable
from types import ModuleType
from typing import Any

from langchain_core.language_models import BaseChatModel

from langchain_routellm import RoutedChatModel, calls
from routellm_core.testing import ScriptedRouter

__all__ = ["routed"]

_DOORS = (
    ("langchain.agents", "create_agent"),
    ("langchain.agents.factory", "create_agent"),
    ("langgraph.prebuilt", "create_react_agent"),
    ("langgraph.prebuilt.chat_agent_executor", "create_react_agent"),
    ("deepagents", "create_deep_agent"),
    ("deepagents.graph", "create_deep_agent"),
)
"""Functions that take a chat model as `model`, under each name by which tests import them."""

_MIDDLEWARE = ("langchain.agents.middleware", "deepagents.middleware")
"""Packages whose classes take one."""


def routed(model: object) -> object:
    """Return a routed model for a chat model, with the model behind it; others as they are."""
    if not isinstance(model, BaseChatModel) or isinstance(model, RoutedChatModel):
        return model
    never = model.model_copy(update={"tags": [*(model.tags or ()), "strong"]})
    return RoutedChatModel(
        strong=never, weak=model, router=ScriptedRouter({}, default=0.2), threshold=0.5
    )


def _wrapping(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function with its models wrapped, whether given by place or by name."""

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return function(
            *(routed(value) for value in args),
            **{name: routed(value) for name, value in kwargs.items()},
        )

    return wrapped


def _module(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        return None


def _takes_a_model(cls: type) -> bool:
    names = inspect.signature(cls.__init__).parameters
    return "__init__" in vars(cls) and any("model" in name for name in names)


def pytest_configure() -> None:
    """Wrap the doors before any test module is imported."""
    if "WITHOUT_RECORD" in os.environ:
        calls.stamped = lambda answer, record: answer  # type: ignore[assignment]
    functions: dict[Callable[..., Any], Callable[..., Any]] = {}
    for module_name, name in _DOORS:
        module = _module(module_name)
        function = getattr(module, name, None)
        if function is not None:
            setattr(module, name, functions.setdefault(function, _wrapping(function)))
    classes = {
        cls
        for package in _MIDDLEWARE
        for cls in vars(_module(package) or ModuleType("none")).values()
        if inspect.isclass(cls) and _takes_a_model(cls)
    }
    for cls in classes:
        cls.__init__ = _wrapping(cls.__init__)  # type: ignore[misc]
