"""Names that stand for functions and classes: built in, or registered by installed packages."""

from __future__ import annotations

from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from routellm_core.errors import ConfigurationError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["make_registered", "registered_names"]

_NOTHING: Mapping[str, Any] = MappingProxyType({})


def registered_names(group: str, built_in: Mapping[str, str]) -> list[str]:
    """Return every registered name, sorted: built in, and from installed packages."""
    return sorted({*built_in, *_entry_points(group)})


def make_registered(
    kind: str,
    name: str,
    group: str,
    built_in: Mapping[str, str],
    makes: type,
    arguments: Sequence[Any] = (),
    options: Mapping[str, Any] = _NOTHING,
) -> Any:
    """Return what a registered name makes of its arguments.

    A built-in name cannot be taken over by an installed package.

    Parameters
    ----------
    kind
        What the name stands for, in one lower-case noun, for errors.
    name
        See `registered_names`.
    group
        The packages' entry-point group.
    built_in
        "module:attribute" by name.
    makes
        The class of what is made.
    arguments, options
        Passed to what is registered.

    Raises
    ------
    ConfigurationError
        If nobody registered the name, it cannot be imported, an argument is wrong, or what is made
        is no `makes`.
    """
    target = built_in.get(name) or _entry_points(group).get(name)
    if target is None:
        known = registered_names(group, built_in)
        raise ConfigurationError(
            f"Unknown {kind} {name!r}.{did_you_mean(str(name), known)} Known: {', '.join(known)}."
        )
    module, _, attribute = target.partition(":")
    try:
        make = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(
            f"The {kind} {name!r} is registered as {target!r}, which cannot be imported: {error}"
        ) from error
    try:
        made = make(*arguments, **options)
    except TypeError as error:
        raise ConfigurationError(f"The {kind} {name!r} cannot be made: {error}") from error
    if not isinstance(made, makes):
        raise ConfigurationError(
            f"The {kind} {name!r} is registered as {target!r}, which makes no `{makes.__name__}` "
            f"but a {type(made).__name__}."
        )
    return made


def _entry_points(group: str) -> dict[str, str]:
    from importlib.metadata import entry_points

    return {point.name: point.value for point in entry_points(group=group)}
