"""The same model with other settings: read from it, put on it, and taken off again."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

from llamaindex_routellm.copies import with_field
from llamaindex_routellm.history import dialect_of
from llamaindex_routellm.metadata import model_name
from routellm_core import ConfigurationError
from routellm_core.experts import EFFORT_SETTINGS, SHOWN_SETTINGS, effort_pair, missing_setting

if TYPE_CHECKING:
    from llama_index.core.llms import LLM

__all__ = ["Efforts", "check_different", "efforts_of", "settings_of", "varied"]

_MORE = "additional_kwargs"
"""The field of many models for arguments that have none of their own."""


class Efforts(NamedTuple):
    """What a call that says by itself how much to think needs to know of the models.

    Parameters
    ----------
    open_models
        By expert, the models as they leave it open; empty where none says anything of it.
    is_all
        Whether the experts differ in nothing else.
    """

    open_models: Mapping[str, LLM]
    is_all: bool


def efforts_of(models: Mapping[str, LLM], *, is_all: bool) -> Efforts:
    """Return the models without their efforts."""
    if not any(EFFORT_SETTINGS & settings_of(model).keys() for model in models.values()):
        return Efforts({}, is_all)
    return Efforts({name: _without_effort(model) for name, model in models.items()}, is_all)


def settings_of(llm: LLM) -> dict[str, Any]:
    """Return the settings by which a model may be told from another one of its name."""
    names = SHOWN_SETTINGS & type(llm).model_fields.keys()
    every = {**{name: getattr(llm, name) for name in names}, **_more(llm)}
    return {
        name: value for name, value in every.items() if value is not None and name in SHOWN_SETTINGS
    }


def varied(llm: LLM, settings: Mapping[str, Any], *, name: str) -> LLM:
    """Return a private copy of a model that has the settings.

    Parameters
    ----------
    llm
        The user's model; not mutated.
    settings
        Values by field name.
    name
        Of the argument, for errors.

    Raises
    ------
    ConfigurationError
        If the model has no field of one of the names.
    """
    fields, more = type(llm).model_fields, dict(_more(llm))
    # OpenAI's integration passes over its own field for models that it does not know yet.
    by_request = EFFORT_SETTINGS if dialect_of(llm) in ("openai", "litellm") else frozenset()
    for setting, value in settings.items():
        takes_more = _MORE in fields and setting in EFFORT_SETTINGS
        if setting in fields and setting not in by_request:
            llm = with_field(llm, setting, value)
        elif takes_more:
            more[setting] = value
        else:
            raise ConfigurationError(missing_setting(name, type(llm), setting, fields))
    return with_field(llm, _MORE, more) if more != _more(llm) else llm


def check_different(models: Mapping[str, LLM]) -> None:
    """Refuse models between which there is nothing to route.

    Raises
    ------
    ConfigurationError
        If two are one model with the same settings.
    """
    for (role, llm), (other_role, other) in combinations(models.items(), 2):
        if not _are_alike(llm, other):
            continue
        example = effort_pair(model_name(llm))["weak"]
        raise ConfigurationError(
            f"`{other_role}` and `{role}` are the same model, {model_name(llm)!r}, with the same "
            "settings: there is nothing to route between. Pass different models, or one model "
            f"with different settings, as in `{role}={example!r}`."
        )


def _are_alike(llm: LLM, other: LLM) -> bool:
    if llm is other:
        return True
    # Of an integration it is known that its fields are all that its requests depend on.
    if type(llm) is not type(other) or not type(llm).__module__.startswith("llama_index.llms."):
        return False
    return model_name(llm) == model_name(other) and _plain(llm) == _plain(other)


def _plain(llm: LLM) -> dict[str, Any]:
    """Return the fields that say what is asked, and where."""
    values = {name: getattr(llm, name) for name in type(llm).model_fields}
    return {
        name: value
        for name, value in values.items()
        if value is None or isinstance(value, (bool, int, float, str, dict, list))
    }


def _without_effort(llm: LLM) -> LLM:
    fields = type(llm).model_fields
    for name in EFFORT_SETTINGS & fields.keys():
        if getattr(llm, name) is not None:
            llm = with_field(llm, name, fields[name].get_default(call_default_factory=True))
    more = _more(llm)
    if EFFORT_SETTINGS & more.keys():
        kept = {name: value for name, value in more.items() if name not in EFFORT_SETTINGS}
        llm = with_field(llm, _MORE, kept)
    return llm


def _more(llm: LLM) -> Mapping[str, Any]:
    more = getattr(llm, _MORE, None)
    return more if isinstance(more, Mapping) else {}
