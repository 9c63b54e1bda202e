"""Arguments that are refused before they do harm."""

from __future__ import annotations

import pickle
from typing import Any

from routellm_core import ConfigurationError
from routellm_core.strategies import Strategy

__all__ = ["check_escalate_on", "check_picklable", "check_strategy"]


def check_escalate_on(classes: Any) -> None:
    """Refuse anything but None and a tuple of exception classes.

    Raises
    ------
    ConfigurationError
        If it is something else.
    """
    if classes is None:
        return
    if not (
        isinstance(classes, tuple)
        and all(isinstance(one, type) and issubclass(one, BaseException) for one in classes)
    ):
        raise ConfigurationError(
            f"`escalate_on` must be None or a tuple of exception classes, got {classes!r}."
        )


def check_picklable(name: str, value: Any) -> None:
    """Refuse a value that another process could not be sent, and name it.

    Raises
    ------
    ConfigurationError
        If it cannot be pickled.
    """
    try:
        pickle.dumps(value)
    except (TypeError, AttributeError, pickle.PicklingError) as error:
        raise ConfigurationError(
            f"The `{name}`, a {type(value).__name__}, cannot be pickled: {error}. Pass its name "
            "instead; it is then made anew where the routed model is unpickled."
        ) from error


def check_strategy(strategy: Any, routes: tuple[str, ...]) -> None:
    """Refuse what is no strategy, and more or other models than a pair without one.

    Parameters
    ----------
    strategy
        As the user gave it.
    routes
        The names of the models, the cheapest first.

    Raises
    ------
    ConfigurationError
        If it is refused.
    """
    if strategy is None:
        if routes != ("weak", "strong"):
            named = ", ".join(map(repr, routes))
            raise ConfigurationError(
                f"`experts` named {named} need a `strategy`: without one a router chooses between "
                "'weak' and 'strong'."
            )
        return
    if not isinstance(strategy, Strategy):
        raise ConfigurationError(
            f"`strategy` must be a `Strategy`, got {type(strategy).__name__}. See "
            "`routellm_core.strategies`."
        )
