"""The same chat model with other settings: read from it, put on it, and taken off again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from langchain_core.language_models import BaseChatModel
from pydantic import SecretStr

from langchain_routellm.backing import field_of, model_label
from langchain_routellm.tools import BoundTools
from routellm_core import ConfigurationError
from routellm_core.experts import (
    EFFORT_SETTINGS,
    SHOWN_SETTINGS,
    Variant,
    effort_pair,
    missing_setting,
    sets_effort,
)

__all__ = [
    "check_different",
    "check_taken",
    "says_effort",
    "settings_of",
    "varied",
    "without_effort",
]

_MORE = "model_kwargs"
"""The field of many models for arguments that have none of their own."""


def settings_of(model: BaseChatModel) -> dict[str, Any]:
    """Return the settings by which a model may be told from another one of its name."""
    more = getattr(model, _MORE, None)
    own = {
        name: getattr(model, name) for name in type(model).model_fields if name in SHOWN_SETTINGS
    }
    every = {**own, **(more if isinstance(more, Mapping) else {})}
    return {
        name: value for name, value in every.items() if value is not None and name in SHOWN_SETTINGS
    }


def varied(model: BaseChatModel, settings: Mapping[str, Any], *, role: str) -> BaseChatModel:
    """Return a private copy of a ready model that has the settings.

    Raises
    ------
    ConfigurationError
        If the model has no field of one of the names.
    """
    changes: dict[str, Any] = {}
    more: dict[str, Any] = {}
    for name, value in settings.items():
        field = field_of(model, name)
        if field is not None:
            changes[field] = value
        elif _MORE in type(model).model_fields and name in EFFORT_SETTINGS:
            more[name] = value
        else:
            raise ConfigurationError(
                missing_setting(role, type(model), name, type(model).model_fields)
            )
    if more:
        changes[_MORE] = {**(getattr(model, _MORE) or {}), **more}
    return _copied(model, changes)


def check_taken(model: BaseChatModel, settings: Mapping[str, Any], *, role: str) -> None:
    """Refuse settings that the class of a model which was made of them has passed over.

    Raises
    ------
    ConfigurationError
        If it has.
    """
    more = getattr(model, _MORE, None) or {}
    for name in settings:
        if field_of(model, name) is None and name not in more:
            raise ConfigurationError(
                missing_setting(role, type(model), name, type(model).model_fields)
            )


def without_effort(model: BaseChatModel) -> BaseChatModel:
    """Return the model, or a private copy of it that leaves open how much to think."""
    fields = type(model).model_fields
    changes: dict[str, Any] = {
        name: fields[name].get_default(call_default_factory=True)
        for name in EFFORT_SETTINGS & fields.keys()
        if getattr(model, name) is not None
    }
    more = getattr(model, _MORE, None)
    if isinstance(more, Mapping) and EFFORT_SETTINGS & more.keys():
        changes[_MORE] = {name: more[name] for name in more if name not in EFFORT_SETTINGS}
    return _copied(model, changes) if changes else model


def says_effort(arguments: Mapping[str, Any]) -> bool:
    """Return whether a call's arguments, or those that were bound with its tools, say it."""
    tools = arguments.get("tools")
    return sets_effort(arguments) or (isinstance(tools, BoundTools) and sets_effort(tools.options))


def check_different(models: Mapping[str, BaseChatModel], given: Mapping[str, Any]) -> None:
    """Refuse models between which there is nothing to route.

    Parameters
    ----------
    models
        By route.
    given
        What the user passed for each.

    Raises
    ------
    ConfigurationError
        If two are one model with the same settings.
    """
    for (role, model), (other_role, other) in combinations(models.items(), 2):
        named = isinstance(given[role], (str, Variant)) and given[role] == given[other_role]
        if not named and not _are_alike(model, other):
            continue
        example = effort_pair(model_label(model))["weak"]
        raise ConfigurationError(
            f"`{role}` and `{other_role}` are the same model, {model_label(model)!r}, with the "
            "same settings: there is nothing to route between. Pass different models, or one "
            f"model with different settings, as in `{other_role}={example!r}`."
        )


def _are_alike(model: BaseChatModel, other: BaseChatModel) -> bool:
    if model is other:
        return True
    # Only what can be serialised says all that it was made of.
    if type(model) is not type(other) or not model.is_lc_serializable():
        return False
    if model_label(model) != model_label(other) or settings_of(model) != settings_of(other):
        return False
    return model._get_llm_string() == other._get_llm_string() and _own(model) == _own(other)


def _own(model: BaseChatModel) -> Sequence[Any]:
    """Return what tells models apart and is no part of their requests."""
    secrets = [v.get_secret_value() for v in model.__dict__.values() if isinstance(v, SecretStr)]
    return [*secrets, model.name, model.tags, model.metadata]


def _copied(model: BaseChatModel, changes: Mapping[str, Any]) -> BaseChatModel:
    copy = model.model_copy(update=changes)
    # Cached from the original: what is part of the cache key would name the wrong settings.
    copy.__dict__.pop("_serialized", None)
    return copy
