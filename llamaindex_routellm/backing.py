"""The models behind a route: made from names, given the caller's handlers, shown without keys."""

from __future__ import annotations

import copy
import re
from importlib import import_module
from typing import Any

from llama_index.core.callbacks import CallbackManager
from llama_index.core.llms import LLM

from llamaindex_routellm.copies import with_field
from routellm_core import ConfigurationError, MissingDependencyError, check_model, import_litellm

__all__ = ["public_settings", "resolve_backing", "with_handlers"]

_SECRET = re.compile(
    r"api_?key|secret|passw|credential|authorization|headers|_token$|^token$", re.IGNORECASE
)


def resolve_backing(model: Any, *, name: str, max_tries: int) -> LLM:
    """Return a model for a model, or for the name of one of LiteLLM's.

    Parameters
    ----------
    model
        An `LLM`, or a string such as "openai/gpt-4o" or "ollama/llama3".
    name
        Of the argument, for errors.
    max_tries
        How often a model made from a name is asked, with pauses of at least 4 s. LiteLLM's own
        default of 10 would wait 70 s before another model gets its turn.

    Raises
    ------
    ConfigurationError
        If the value is neither, or names a model whose provider is unknown or key is missing.
    MissingDependencyError
        If a name is given and `llama-index-llms-litellm` is not installed.
    """
    if isinstance(model, LLM):
        return model
    if not isinstance(model, str) or not model.strip():
        raise ConfigurationError(
            f"`{name}` must be a LlamaIndex `LLM` or the name of a LiteLLM model such as "
            f"'openai/gpt-4o-mini', got {type(model).__name__}."
        )
    make = _litellm_class()
    check_model(model, role=name)
    made = make(model=model, max_retries=max_tries)
    assert isinstance(made, LLM)  # noqa: S101 - for the type checker
    return made


def _litellm_class() -> Any:
    try:
        import_litellm()  # first, or the next import fetches a price table
        return import_module("llama_index.llms.litellm").LiteLLM
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"`{error.name}` is not installed. "
            "Install it with `pip install 'routellm-plugins[llamaindex]'`.",
            name=error.name,
        ) from error


def with_handlers(model: LLM, manager: CallbackManager) -> LLM:
    """Return the model, or a copy of it that also reports to the manager's handlers.

    The model itself is never changed: somebody else may use it, with other handlers. The copy
    shares its client.
    """
    wanted = manager.handlers
    if not wanted:
        return model
    own = model.callback_manager.handlers
    if own is wanted or all(_holds(own, handler) for handler in wanted):
        return model
    extra = [handler for handler in own if not _holds(wanted, handler)]
    if extra:
        # A copy, because it keeps the trace; the constructor would refuse some combinations.
        manager = copy.copy(manager)
        manager.handlers = [*wanted, *extra]
    return with_field(model, "callback_manager", manager)


def _holds(handlers: list[Any], handler: Any) -> bool:
    return any(held is handler for held in handlers)


def public_settings(value: Any) -> Any:
    """Return settings as JSON values, without what may be a key.

    Examples
    --------
    >>> public_settings({"model": "m", "api_key": "sk-1", "max_tokens": 5, "tokenizer": len})
    {'model': 'm', 'max_tokens': 5, 'tokenizer': 'builtins.builtin_function_or_method'}
    """
    if isinstance(value, dict):
        return {
            str(name): public_settings(inner)
            for name, inner in value.items()
            if not _SECRET.search(str(name))
        }
    if isinstance(value, (list, tuple)):
        return [public_settings(inner) for inner in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return f"{type(value).__module__}.{type(value).__qualname__}"
