"""Names of strategies, and what they stand for."""

from __future__ import annotations

from typing import Any

from routellm_core._registered import make_registered, registered_names
from routellm_core.strategies.base import Strategy

__all__ = ["STRATEGY_ENTRY_POINT_GROUP", "load_strategy", "strategy_names"]

STRATEGY_ENTRY_POINT_GROUP = "routellm.strategies"
"""Packages register strategies of their own under this group: `name = "module:Class"`."""

_BUILT_IN = {
    "best_of": "routellm_core.strategies.best_of:BestOf",
    "cascade": "routellm_core.strategies.cascade:Cascade",
    "cascade_routing": "routellm_core.strategies.cascade_routing:CascadeRouting",
    "hybrid": "routellm_core.strategies.hybrid:Hybrid",
    "predict": "routellm_core.strategies.predict:Predict",
}


def strategy_names() -> list[str]:
    """Return every registered name, sorted: built in, and from installed packages."""
    return registered_names(STRATEGY_ENTRY_POINT_GROUP, _BUILT_IN)


def load_strategy(name: str, *arguments: Any, **options: Any) -> Strategy:
    """Return the strategy that a name and its options stand for.

    Parameters
    ----------
    name
        See `strategy_names`.
    arguments, options
        Passed to the strategy's class.

    Raises
    ------
    ConfigurationError
        If nobody registered the name, what is registered makes no strategy, or an option is wrong.

    Examples
    --------
    >>> load_strategy("cascade", "no_refusal", accept=0.5)
    Cascade(<verifier no_refusal>, accept=0.5)
    """
    made: Strategy = make_registered(
        "strategy", name, STRATEGY_ENTRY_POINT_GROUP, _BUILT_IN, Strategy, arguments, options
    )
    return made
