"""Strategies as settings state them: in a file, in the server's configuration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from routellm_core.answers.registry import load_verifier
from routellm_core.errors import ConfigurationError
from routellm_core.strategies.registry import load_strategy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from routellm_core.answers.verifier import Verifier
    from routellm_core.strategies.base import Strategy

__all__ = ["make_strategy", "make_verifier", "read_strategy"]

_TAKEN: Mapping[str, tuple[str, ...]] = {
    "cascade": ("verifier", "accept"),
    "hybrid": ("verifier", "accept", "band"),
    "best_of": ("choose", "limit_s"),
    "predict": ("quality_per_usd",),
}
_DEFAULTS: Mapping[str, Any] = {"verifier": "schema", "accept": 0.5, "choose": "schema"}


def read_strategy(path: str | Path, *, verifier: Verifier | str | None = None) -> Strategy:
    """Read a strategy that `routellm calibrate --strategy ... --save PATH` wrote.

    Parameters
    ----------
    path
        A JSON file with `strategy` and its settings; the server reads it as its configuration.
    verifier
        In place of the one that the file names; needed where it names none.

    Raises
    ------
    ConfigurationError
        If the file cannot be read, or holds no strategy, or names no verifier that is needed.
    """
    try:
        stated = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{str(path)!r} cannot be read as a strategy: {error}.") from error
    if not isinstance(stated, dict) or stated.get("strategy") not in _TAKEN:
        raise ConfigurationError(
            f"{str(path)!r} must hold `strategy`, one of {', '.join(_TAKEN)}, and its settings."
        )
    name = str(stated.pop("strategy"))
    if verifier is not None:
        stated["verifier"] = verifier
    if "verifier" in _TAKEN[name] and "verifier" not in stated:
        raise ConfigurationError(
            f"{str(path)!r} names no verifier, for it was calibrated on scores alone. Pass "
            "`verifier`: the one that gave these scores."
        )
    return make_strategy(name, stated)


def make_strategy(name: str, given: Mapping[str, Any]) -> Strategy:
    """Return the strategy that settings mean.

    Parameters
    ----------
    name
        "cascade", "hybrid", "best_of" or "predict".
    given
        The settings `verifier`, `accept`, `band`, `choose`, `limit_s` and `quality_per_usd`; None
        where not set. Without a verifier it is "schema".

    Raises
    ------
    ConfigurationError
        If the strategy does not take a setting, or its value cannot be used.

    Examples
    --------
    >>> make_strategy("cascade", {"verifier": "no_refusal", "accept": 0.7})
    Cascade(<verifier no_refusal>, accept=0.7)
    """
    taken = _TAKEN[name]
    options = {key: value for key, value in given.items() if value is not None}
    unknown = sorted(options.keys() - set(taken))
    if unknown:
        raise ConfigurationError(
            f"The strategy {name!r} takes {' and '.join(f'`{key}`' for key in taken)}, not "
            f"`{unknown[0]}`."
        )
    defaults = {key: value for key, value in _DEFAULTS.items() if key in taken}
    options = {**defaults, **options}
    accept = options.get("accept")
    if isinstance(accept, tuple) and len(accept) == 1:  # as the environment has it
        options["accept"] = accept[0]
    for key in ("verifier", "choose"):
        if isinstance(options.get(key), (str, dict)) and options[key] not in ("consensus", "vote"):
            options[key] = make_verifier(options[key])
    return load_strategy(name, **options)


def make_verifier(stated: Any) -> Verifier:
    """Return the verifier of a name, or of a mapping of one name to options or to verifiers.

    Raises
    ------
    ConfigurationError
        If it is neither, or the verifier cannot be made.

    Examples
    --------
    >>> make_verifier({"all_of": ["no_refusal", {"judge": {"model": "gpt-4o-mini"}}]})
    <verifier all_of(no_refusal, judge)>
    """
    if isinstance(stated, str):
        return load_verifier(stated)
    if isinstance(stated, dict) and len(stated) == 1:
        ((name, options),) = stated.items()
        if isinstance(options, dict):
            return load_verifier(str(name), **options)
        if isinstance(options, list):
            return load_verifier(str(name), *map(make_verifier, options))
    raise ConfigurationError(
        "A verifier must be a name, as in 'no_refusal', or one name with its options, as in "
        f"{{'judge': {{'model': 'gpt-4o'}}}}, got {stated!r}."
    )
