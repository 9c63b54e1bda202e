"""Reach libraries that only an extra installs."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from routellm_core.errors import MissingDependencyError

__all__ = ["missing_modules", "require"]

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
