"""A pytest plugin that puts a `RoutedLLM` around every LLM that a test hands over.

Load it with `-p wrap_llamaindex` in a run of llama-index-core's own tests. A test keeps its fake
LLM, and whatever it reads from it; only the class that takes it as `llm` gets it wrapped.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import os
import pkgutil
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import llama_index.core
from llama_index.core.llms import LLM
from llama_index.core.settings import Settings

from llamaindex_routellm import RoutedLLM, asking, calls
from routellm_core.testing import ScriptedRouter

__all__ = ["routed"]


def routed(model: object) -> object:
    """Return a routed LLM for an LLM, with the LLM behind it; others as they are."""
    if not isinstance(model, LLM) or isinstance(model, RoutedLLM):
        return model
    never = model.model_copy(update={"system_prompt": "Never asked."})
    return RoutedLLM(
        strong=never, weak=model, router=ScriptedRouter({}, default=0.2), threshold=0.5
    )


def _wrapping(function: Callable[..., Any], position: int | None) -> Callable[..., Any]:
    """Return a constructor with its `llm` wrapped, whether given by place or by name."""

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if "llm" in kwargs:
            kwargs["llm"] = routed(kwargs["llm"])
        elif position is not None and len(args) > position:
            args = (*args[:position], routed(args[position]), *args[position + 1 :])
        return function(*args, **kwargs)

    return wrapped


def _classes() -> Iterator[type]:
    """Yield the classes of llama-index-core, base classes first."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for found in pkgutil.walk_packages(llama_index.core.__path__, "llama_index.core."):
            try:
                importlib.import_module(found.name)
            except ImportError:  # needs a package that is not installed
                continue
    modules = [m for name, m in list(sys.modules.items()) if name.startswith("llama_index.core.")]
    classes = {c for m in modules for c in vars(m).values() if inspect.isclass(c)}
    yield from sorted(classes, key=lambda cls: (len(cls.__mro__), cls.__qualname__))


def pytest_configure() -> None:
    """Wrap the constructors before any test module is imported."""
    if "WITHOUT_RECORD" in os.environ:
        for module in (asking, calls):
            module.stamped = lambda response, record: response  # type: ignore[attr-defined]
    for cls in _classes():
        if not cls.__module__.startswith("llama_index.core.") or issubclass(cls, LLM):
            continue
        if "__init__" in vars(cls):
            names = list(inspect.signature(cls.__init__).parameters)
            if "llm" in names:
                cls.__init__ = _wrapping(cls.__init__, names.index("llm"))  # type: ignore[misc]
        elif "llm" in getattr(cls, "__annotations__", {}):
            cls.__init__ = _wrapping(cls.__init__, None)  # type: ignore[misc]
    settings = type(Settings)
    settings.llm = property(  # type: ignore[assignment, method-assign]
        settings.llm.fget,  # type: ignore[attr-defined]
        lambda self, model: settings_llm.fset(self, routed(model)),
    )


settings_llm: Any = type(Settings).llm
