"""What a model's name asks for: a router with its threshold, or a model."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from routellm_core.errors import ConfigurationError, UnknownRouterError, did_you_mean
from routellm_core.policy import check_threshold

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["AUTO", "RoutedName", "read_model_name", "without_additions"]

AUTO = "auto"
"""The name that asks for the first router, at the threshold it is set to."""

_PREFIX = "router-"
_SHARE = "share-"
_NUMBER = re.compile(r"-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")

_PREFIXES = ("openai/", "openai:", "litellm_proxy/", "routellm/", "models/")
_SUFFIX = ":latest"
"""What clients add to every name: LiteLLM's, LangChain's, LlamaIndex's, Google's and Ollama's."""


@dataclass(frozen=True, slots=True)
class RoutedName:
    """Be what a router's model name says.

    Parameters
    ----------
    router
        Name of a loaded router.
    threshold
        In [0, 1]; None when a share is asked for.
    strong_share
        In (0, 1]; None when a threshold is asked for.
    """

    router: str
    threshold: float | None = None
    strong_share: float | None = None


def read_model_name(model: str, *, routers: Iterable[str]) -> RoutedName | None:
    """Read "router-NAME-THRESHOLD" or "router-NAME-share-PERCENT"; None for any other name.

    Capitals and small letters are the same where only one router can be meant.

    Parameters
    ----------
    model
        What a client put in the field `model`.
    routers
        Names of the loaded routers. They may hold hyphens.

    Raises
    ------
    UnknownRouterError
        If the name asks for a router that is not loaded.
    ConfigurationError
        If its threshold or share is not a number in range.

    Examples
    --------
    >>> read_model_name("router-mf-0.116", routers=["mf"])
    RoutedName(router='mf', threshold=0.116, strong_share=None)
    >>> read_model_name("router-mf-share-30", routers=["mf"]).strong_share
    0.3
    >>> read_model_name("gpt-4o", routers=["mf"])
    """
    if model[: len(_PREFIX)].lower() != _PREFIX:
        return None
    wish = model[len(_PREFIX) :]
    known = sorted(routers, key=len, reverse=True)
    router = _named(wish, known)
    if router is not None:
        number = wish[len(router) + 1 :]
        if number.lower().startswith(_SHARE):
            return RoutedName(router, strong_share=_share(number[len(_SHARE) :], model))
        return RoutedName(router, threshold=_threshold(number, model))
    if not model.startswith(_PREFIX):
        return None
    name = wish.rpartition("-")[0] or wish
    raise UnknownRouterError(
        f"Model {model!r} names no loaded router.{did_you_mean(name, known)} "
        f"Loaded routers: {', '.join(sorted(known))}. "
        "Write 'router-NAME-THRESHOLD' or 'router-NAME-share-PERCENT'."
    )


def without_additions(model: str, *, served: Iterable[str]) -> str:
    """Return the name that is meant where a client added to it, or wrote it in other letters.

    Blanks around it, a provider before it, ":latest" behind it, and capitals for small letters or
    the reverse are looked through where one name can be meant.

    Parameters
    ----------
    model
        What a client put in the field `model`.
    served
        Names that are served as they are.

    Returns
    -------
    The name as it is when it is served, or when nothing is known under any reading of it.

    Examples
    --------
    >>> without_additions("openai/auto", served=["gpt-4o"])
    'auto'
    >>> without_additions("openrouter/auto", served=["gpt-4o"])
    'openrouter/auto'
    >>> without_additions("models/AUTO", served=["gpt-4o"])
    'auto'
    """
    known = {AUTO, *served}
    if model in known:
        return model
    readings = _readings(model.strip())
    for reading in readings:
        if reading in known:
            return reading
    for reading in readings:
        alike = [name for name in known if name.lower() == reading.lower()]
        if len(alike) == 1:
            return alike[0]
    bare = readings[-1]
    return bare if bare[: len(_PREFIX)].lower() == _PREFIX else model


def _readings(name: str) -> list[str]:
    """Return a name as it is, without a prefix, and without a suffix."""
    lowered = name.lower()
    prefix = next((each for each in _PREFIXES if lowered.startswith(each)), "")
    bare = name[len(prefix) :]
    ends = bare.lower().endswith(_SUFFIX)
    return [name, bare, bare[: -len(_SUFFIX)] if ends else bare]


def _named(wish: str, routers: Iterable[str]) -> str | None:
    """Return the router, of those given with the longest first, that a name begins with."""
    found = [name for name in routers if wish.startswith(f"{name}-")]
    if found:
        return found[0]
    alike = [name for name in routers if wish.lower().startswith(f"{name.lower()}-")]
    longest = [name for name in alike if len(name) == len(alike[0])]
    return longest[0] if len(longest) == 1 else None


def _threshold(text: str, model: str) -> float:
    return check_threshold(_number(text, model), name=f"threshold of model {model!r}")


def _share(text: str, model: str) -> float:
    percent = _number(text, model)
    if not 0.0 < percent <= 100.0:
        raise ConfigurationError(
            f"The share of model {model!r} must be a percentage in (0, 100], got {text!r}."
        )
    return percent / 100.0


def _number(text: str, model: str) -> float:
    # `float` alone takes other scripts' digits, blanks and underscores as well.
    if not _NUMBER.fullmatch(text):
        raise ConfigurationError(
            f"Model {model!r} must end in a number, got {text!r}. "
            "Write 'router-NAME-THRESHOLD' or 'router-NAME-share-PERCENT'."
        )
    return float(text)
