"""Reach libraries that only an extra installs."""

import os
import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from routellm_core.errors import MissingDependencyError

__all__ = ["import_litellm", "missing_modules", "require"]

_LOCAL_PRICES = "LITELLM_LOCAL_MODEL_COST_MAP"

_MODULES = {
    "langchain": ("langchain_core", "langchain", "langchain_litellm"),
    "llamaindex": ("llama_index.core", "llama_index.llms.litellm"),
    "litellm": ("litellm",),
    "torch": ("torch", "transformers", "accelerate", "peft"),
    "server": ("fastapi", "uvicorn", "aiohttp", "prometheus_client", "gradio"),
    "eval": ("pandas", "pyarrow", "matplotlib", "datasets"),
    "monitoring": ("prometheus_client", "opentelemetry.sdk"),
    "scale": ("ray",),
}


def require(module: str, *, extra: str) -> Any:
    """Import a module, or say which extra brings it.

    Raises
    ------
    MissingDependencyError
        If the module, or its package, is not installed.

    Examples
    --------
    >>> require("json", extra="none").dumps([1])
    '[1]'
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"`{error.name or module}` is not installed. "
            f"Install it with `pip install 'routellm-plugins[{extra}]'`.",
            name=error.name,
        ) from error


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
    before = os.environ.get(_LOCAL_PRICES)
    os.environ[_LOCAL_PRICES] = "True"
    try:
        return require("litellm", extra="litellm")
    finally:
        if before is None:
            del os.environ[_LOCAL_PRICES]
        else:
            os.environ[_LOCAL_PRICES] = before


def missing_modules(extra: str) -> list[str]:
    """Return those of an extra's modules that are not installed, importing none of them.

    Examples
    --------
    >>> missing_modules("torch")
    [...]
    """
    return [module for module in _MODULES[extra] if not _is_installed(module)]


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the package around it
        return False
