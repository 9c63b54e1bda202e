"""Arguments that one of the models does not take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from routellm_core.errors import ConfigurationError
from routellm_core.policy.routing import ROUTES

__all__ = ["check_drop_params"]

_NEEDED = frozenset({"messages", "model", "stream"})


def check_drop_params(
    given: Mapping[str, Sequence[str]] | None, *, routes: Sequence[str] = ROUTES
) -> dict[str, frozenset[str]]:
    """Return the names of the arguments to leave out, by route.

    Parameters
    ----------
    given
        By route, names of arguments. None for none.
    routes
        The names of the experts.

    Raises
    ------
    ConfigurationError
        If a key is no route, a value is no list of names, or no call can do without a name.

    Examples
    --------
    >>> check_drop_params({"weak": ["temperature"]})
    {'weak': frozenset({'temperature'})}
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not all(
        route in routes and _are_names(names) for route, names in given.items()
    ):
        named = " and ".join(map(repr, routes))
        raise ConfigurationError(
            f"`drop_params` must map {named} to lists of arguments, as in "
            f"{{{routes[-1]!r}: ['temperature']}}, got {given!r}."
        )
    drops = {route: frozenset(names) for route, names in given.items()}
    needed = sorted(_NEEDED & frozenset().union(*drops.values()))
    if needed:
        raise ConfigurationError(
            f"`drop_params` holds {needed[0]!r}, which every call needs. Leave it out of the list."
        )
    return drops


def _are_names(names: object) -> bool:
    return isinstance(names, (list, tuple, set, frozenset)) and all(
        isinstance(name, str) for name in names
    )
