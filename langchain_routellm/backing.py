"""The models behind a routed one: made from strings, checked, and adapted in private copies."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from langchain_core.language_models import BaseChatModel, ModelProfile
from langchain_core.runnables import Runnable
from langchain_core.runnables.base import RunnableBindingBase
from pydantic import SecretStr

from routellm_core import (
    Capabilities,
    ConfigurationError,
    MissingDependencyError,
    Modality,
    check_model,
    fault_of,
    import_litellm,
    known_capabilities,
)

__all__ = [
    "adapted",
    "capabilities",
    "field_of",
    "joint_profile",
    "make_model",
    "model_label",
]

logger = logging.getLogger(__name__)

_CALL_SETTINGS = frozenset({"temperature", "max_tokens", "stop", "streaming"})
"""What a model reads at every call, so that a copy of it may differ."""

_MODALITY_KEYS: Mapping[str, Modality] = {
    "image_inputs": "image",
    "audio_inputs": "audio",
    "video_inputs": "video",
    "pdf_inputs": "file",
}


def make_model(name: str, settings: Mapping[str, Any], *, role: str = "strong") -> BaseChatModel:
    """Return the chat model that a string means.

    Parameters
    ----------
    name
        "provider:model" as `init_chat_model` reads it, or a LiteLLM name with a "/". Whichever of
        the two characters comes first decides, so that "ollama:hf.co/x/y" is a provider's model
        and "openrouter/x/y:free" is LiteLLM's.
    settings
        Constructor arguments.
    role
        The model's route, for messages.

    Raises
    ------
    ConfigurationError
        If no provider can be told from the name, or its key is missing.
    MissingDependencyError
        If the provider's package is not installed.
    """
    provider, _, _ = name.partition(":")
    uses_litellm = "/" in provider
    try:
        if uses_litellm:
            import_litellm()  # first, or the next import fetches a price table
            from langchain_litellm import ChatLiteLLM

            renamed = _for_litellm(settings, fields=ChatLiteLLM.model_fields)
            check_model(
                name, role=role, api_key=renamed.get("api_key"), base_url=renamed.get("api_base")
            )
            return ChatLiteLLM(model=name, **renamed)
        from langchain.chat_models import init_chat_model

        model: BaseChatModel = init_chat_model(name, **settings)
    except ImportError as error:
        raise MissingDependencyError(f"Model {name!r} needs a package: {error}") from error
    except ConfigurationError:
        raise
    except ValueError as error:
        if "provider" not in str(error):
            raise
        raise ConfigurationError(
            f"No provider can be told from the model name {name!r}. Write 'provider:model', a "
            "LiteLLM name with a '/', or pass a chat model."
        ) from error
    except Exception as error:
        # A provider's client that misses its key, in the words of its own library.
        if fault_of(error) != "configuration":
            raise
        raise ConfigurationError(
            f"The `{role}` model {name!r} cannot be made: {str(error).splitlines()[0]}"
        ) from error
    return model


def adapted(
    model: Any,
    *,
    role: str,
    settings: Mapping[str, object],
    optional: frozenset[str] = frozenset(),
) -> BaseChatModel:
    """Return a ready model, or a private copy of it that has the settings.

    Parameters
    ----------
    model
        The user's model; not mutated.
    role
        The model's route, for messages.
    settings
        Values by field name. Callbacks, tags and metadata are added to the model's own; everything
        else replaces it.
    optional
        Names of settings that a model without such a field does without; a warning is logged.

    Raises
    ------
    ConfigurationError
        If it is not a chat model, or has its own value of something that cannot be changed any
        more.
    """
    if not isinstance(model, BaseChatModel):
        raise ConfigurationError(_not_a_model(model, role))
    changes: dict[str, object] = {}
    for name, value in settings.items():
        field = field_of(model, name)
        if field is None and name in optional:
            logger.warning("%s It keeps its own.", _not_settable(model, role, name))
            continue
        if field is None:
            raise ConfigurationError(_not_settable(model, role, name))
        current = getattr(model, field)
        if name in _ADDED:
            changes[field] = _ADDED[name](current, value)
        elif _plain(current) != _plain(value):
            if name not in _CALL_SETTINGS and name not in BaseChatModel.model_fields:
                raise ConfigurationError(_not_settable(model, role, name))
            changes[field] = value
    if not changes:
        return model
    copy = model.model_copy(update=changes)
    # Cached from the original: what is part of the cache key would name the wrong settings.
    copy.__dict__.pop("_serialized", None)
    return copy


def model_label(model: BaseChatModel) -> str:
    """Return the name under which a provider knows the model, else its class's name."""
    name = model._get_ls_params().get("ls_model_name")
    return name if isinstance(name, str) and name else type(model).__name__


def capabilities(model: BaseChatModel) -> Capabilities:
    """Return what the model can take.

    Its profile says so, else LiteLLM's table under the model's name; the rest is assumed to work.
    """
    profile = _profile(model) or {}
    known = known_capabilities(_table_name(model))
    modalities = {
        modality
        for key, modality in _MODALITY_KEYS.items()
        if profile.get(key, modality in known.modalities) is not False
    }
    window = profile.get("max_input_tokens")
    calls_tools = type(model).bind_tools is not BaseChatModel.bind_tools
    return Capabilities(
        modalities=frozenset(modalities),
        tools=calls_tools and profile.get("tool_calling", known.tools) is not False,
        context_window=window if isinstance(window, int) and window > 0 else known.context_window,
    )


def _table_name(model: BaseChatModel) -> str:
    """Return the model's name with its provider, which another host of the same model is not."""
    name = model_label(model)
    if type(model).__name__.startswith("ChatLiteLLM"):
        return name  # as LiteLLM writes it
    return f"{model._get_ls_params().get('ls_provider')}:{name}"


def joint_profile(models: Iterable[BaseChatModel]) -> ModelProfile | None:
    """Return what all models promise: flags by AND, limits by min; None if one has none."""
    first, *others = map(_profile, models)
    if first is None or None in others:
        return None
    joint = dict(first)
    for profile in others:
        joint = _joined(joint, cast("Mapping[str, object]", profile))
    return cast("ModelProfile", joint)


def _joined(mine: Mapping[str, object], theirs: Mapping[str, object]) -> dict[str, object]:
    joined: dict[str, object] = {}
    for key in mine.keys() & theirs.keys():
        left, right = mine[key], theirs[key]
        if isinstance(left, bool) and isinstance(right, bool):
            joined[key] = left and right
        elif isinstance(left, int) and isinstance(right, int):
            joined[key] = min(left, right)
        elif left == right:
            joined[key] = left
    return joined


def _profile(model: BaseChatModel) -> Mapping[str, object] | None:
    """Return the model's profile; None if it has none that can be read, as a stand-in's."""
    profile: object = model.profile
    return cast("Mapping[str, object]", profile) if isinstance(profile, Mapping) else None


def _for_litellm(settings: Mapping[str, Any], *, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings under LiteLLM's names: what it does not know it drops in silence."""
    names = {"timeout": "request_timeout", "base_url": "api_base"}
    renamed = {names.get(key, key): _plain(value) for key, value in settings.items()}
    others = {name: renamed.pop(name) for name in list(renamed) if name not in fields}
    return {**renamed, "model_kwargs": others} if others else renamed


def _added_lists(own: Any, more: Any) -> Any:
    if not own:
        return more
    if isinstance(own, list) and isinstance(more, list):
        return [*own, *more]
    manager, others = (own, more) if not isinstance(own, list) else (more, own)
    merged = manager.copy()
    for handler in others if isinstance(others, list) else others.handlers:
        merged.add_handler(handler, inherit=False)
    return merged


def _added_mappings(own: Any, more: Any) -> Any:
    return {**(own or {}), **more}


_ADDED: Mapping[str, Callable[[Any, Any], Any]] = {
    "callbacks": _added_lists,
    "tags": _added_lists,
    "metadata": _added_mappings,
}


def field_of(model: BaseChatModel, name: str) -> str | None:
    """Return the field that a setting's name or alias means; None if the model has none."""
    fields = type(model).model_fields
    if name in fields:
        return name
    return next((field for field, info in fields.items() if info.alias == name), None)


def _plain(value: object) -> object:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def _not_settable(model: BaseChatModel, role: str, name: str) -> str:
    return (
        f"`{name}` cannot be set on the ready `{role}` model, a {type(model).__name__}. Set it "
        "where that model is made, or name the model by a string."
    )


def _not_a_model(model: object, role: str) -> str:
    if isinstance(model, RunnableBindingBase):
        return (
            f"`{role}` must be a plain chat model, got {type(model).__name__}: what is bound to it "
            "would be lost as soon as tools are bound. Call `bind`, `with_config` or `with_retry` "
            "on the routed model instead."
        )
    hint = " Make the model before, and pass it." if isinstance(model, Runnable) else ""
    return f"`{role}` must be a chat model or a model's name, got {type(model).__name__}.{hint}"
