"""Reach libraries that only an extra installs."""

from importlib import import_module
from typing import Any

from routellm_core.errors import MissingDependencyError

__all__ = ["require"]


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
