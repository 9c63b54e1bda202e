"""Names of routers, and what they stand for."""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

from routellm_core.errors import ConfigurationError, UnknownRouterError, did_you_mean
from routellm_core.routers.base import Router

__all__ = ["ENTRY_POINT_GROUP", "is_registered", "router_class", "router_extra", "router_names"]

ENTRY_POINT_GROUP = "routellm.routers"
"""Packages register routers of their own under this group: `name = "module:Class"`."""


class _Row(NamedTuple):
    target: str
    extra: str | None = None
    """What has to be installed to use the router, past the base install."""


_BUILT_IN = {
    "adapted": _Row("routellm_core.routers.adapted:AdaptedRouter"),
    "bert": _Row("routellm_core.routers.bert:BERTRouter", extra="torch"),
    "causal_llm": _Row("routellm_core.routers.causal_llm:CausalLLMRouter", extra="torch"),
    "cluster": _Row("routellm_core.routers.cluster:ClusterRouter"),
    "ensemble": _Row("routellm_core.routers.ensemble:EnsembleRouter"),
    "knn": _Row("routellm_core.routers.knn:KNNRouter"),
    "mf": _Row("routellm_core.routers.mf:MatrixFactorizationRouter"),
    "mlp": _Row("routellm_core.routers.mlp:MLPRouter"),
    "random": _Row("routellm_core.routers.random:RandomRouter"),
    "sw_ranking": _Row("routellm_core.routers.sw_ranking:SimilarityWeightedRouter"),
}


def router_names() -> list[str]:
    """Return every registered name, sorted: built in, and from installed packages."""
    return sorted({*_BUILT_IN, *_entry_points()})


def is_registered(name: str) -> bool:
    """Return whether a router is registered under the name.

    Installed packages are searched, which reads the disk, only for a name that is not built in.
    """
    return name in _BUILT_IN or name in _entry_points()


def router_class(name: str) -> type[Router]:
    """Return the class that a name stands for, importing only that one.

    A built-in name cannot be taken over by an installed package.

    Raises
    ------
    UnknownRouterError
        If nobody registered the name.
    ConfigurationError
        If a package registered something that is not a `Router` under it.
    """
    row = _BUILT_IN.get(name)
    target = row.target if row else _entry_points().get(name)
    if target is None:
        known = router_names()
        raise UnknownRouterError(
            f"Unknown router {name!r}.{did_you_mean(str(name), known)} "
            f"Known routers: {', '.join(known)}. A router of your own is named by its "
            "checkpoint: a folder as './router', 'owner/name' on the Hugging Face Hub, or "
            "'NAME=CHECKPOINT'."
        )
    module, _, attribute = target.partition(":")
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(
            f"Router {name!r} is registered as {target!r}, which cannot be imported: {error}"
        ) from error
    if not (isinstance(found, type) and issubclass(found, Router)):
        raise ConfigurationError(f"Router {name!r} is registered as {target!r}, not a `Router`.")
    return found


def router_extra(name: str) -> str | None:
    """Return the extra that a built-in router needs, or None when the base install will do."""
    row = _BUILT_IN.get(name)
    return row.extra if row else None


def _entry_points() -> dict[str, str]:
    from importlib.metadata import entry_points

    return {point.name: point.value for point in entry_points(group=ENTRY_POINT_GROUP)}
