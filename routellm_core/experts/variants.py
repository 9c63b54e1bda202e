"""The same model with different settings: as many experts as there are settings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from routellm_core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "EFFORT_SETTINGS",
    "SHOWN_SETTINGS",
    "Variant",
    "bare_model",
    "check_settings",
    "distinct_labels",
    "effort_pair",
    "missing_setting",
    "model_and_settings",
    "sets_effort",
    "with_settings",
    "without_unset_effort",
]

EFFORT_SETTINGS = frozenset(
    {
        "effort",
        "reasoning",
        "reasoning_effort",
        "reasoning_options",
        "think",
        "thinking",
        "thinking_budget",
        "thinking_config",
        "thinking_dict",
        "thinking_level",
    }
)
"""The names under which providers and frameworks take how much a model is to think."""

SHOWN_SETTINGS = EFFORT_SETTINGS | {
    "max_completion_tokens", "max_tokens", "service_tier", "temperature", "top_k", "top_p",
    "verbosity",
}  # fmt: skip
"""Settings by which two experts of one model may be told apart in records."""

_NO_SETTINGS = frozenset(
    {
        "api_base", "api_key", "base_url", "default_headers", "extra_headers", "headers",
        "messages", "metadata", "model", "model_name", "stream", "tool_choice", "tools",
    }
)  # fmt: skip
_LABEL_START = " ("


@dataclass(frozen=True, slots=True, init=False)
class Variant:
    """A model with settings of its own, which tell it from the same model with others.

    Parameters
    ----------
    model
        What could stand in its place: a ready model of the framework, or a model's name.
    settings
        Arguments of every call, under the model's own names: `reasoning_effort` for OpenAI's
        models and for any that LiteLLM asks; Anthropic's `thinking`, Gemini's `thinking_budget`
        and Ollama's `reasoning` for those integrations. A call's own setting goes before them.

    Raises
    ------
    ConfigurationError
        If there are no settings, or one says where or what is asked rather than how.

    Examples
    --------
    >>> Variant("openai/o4-mini", reasoning_effort="low")
    Variant('openai/o4-mini', reasoning_effort='low')
    """

    model: Any
    settings: Mapping[str, Any]

    def __init__(self, model: Any, /, **settings: Any) -> None:
        if isinstance(model, Variant):
            model, settings = model.model, {**model.settings, **settings}
        if not settings:
            raise ConfigurationError(
                "A `Variant` needs a setting, as in `Variant('openai/o4-mini', "
                "reasoning_effort='low')`. Without one, pass the model itself."
            )
        object.__setattr__(self, "model", model)
        object.__setattr__(self, "settings", check_settings(settings))

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value!r}" for name, value in self.settings.items())
        return f"Variant({self.model!r}, {settings})"


def effort_pair(
    model: Any, *, weak: Any = "low", strong: Any = "high", setting: str = "reasoning_effort"
) -> dict[str, Variant]:
    """Return a pair of experts that are one model at two efforts, for the argument `experts`.

    Parameters
    ----------
    model
        See `Variant`.
    weak, strong
        The two efforts.
    setting
        The model's own name for it.

    Raises
    ------
    ConfigurationError
        If both efforts are equal.

    Examples
    --------
    >>> effort_pair("openai/o4-mini")["weak"]
    Variant('openai/o4-mini', reasoning_effort='low')
    >>> effort_pair("ollama:qwen3", weak=False, strong=True, setting="reasoning")["strong"]
    Variant('ollama:qwen3', reasoning=True)
    """
    if weak == strong:
        raise ConfigurationError(
            f"The two efforts of `effort_pair` must differ, got {weak!r} twice."
        )
    return {
        "weak": Variant(model, **{setting: weak}),
        "strong": Variant(model, **{setting: strong}),
    }


def model_and_settings(given: Any) -> tuple[Any, Mapping[str, Any]]:
    """Return the model and the settings that a user's value means."""
    return (given.model, given.settings) if isinstance(given, Variant) else (given, {})


def check_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return an expert's settings.

    Raises
    ------
    ConfigurationError
        If one says where or what is asked.
    """
    wrong = sorted(_NO_SETTINGS & settings.keys())
    if wrong:
        raise ConfigurationError(
            f"`{wrong[0]}` is no setting that makes an expert: it says what is asked, or where. "
            "Set it where the model is made."
        )
    return dict(settings)


def sets_effort(arguments: Mapping[str, Any]) -> bool:
    """Return whether a call's arguments say how much to think; None says nothing."""
    return any(arguments.get(name) is not None for name in EFFORT_SETTINGS & arguments.keys())


def missing_setting(argument: str, model: type, setting: str, fields: Iterable[str]) -> str:
    """Return what to say of a setting that a class of models does not have.

    Parameters
    ----------
    argument
        The user's, which named the model.
    model
        Its class.
    setting
        The name of what it does not have.
    fields
        The names of what it has.
    """
    known = " or ".join(f"`{name}`" for name in sorted(EFFORT_SETTINGS & set(fields)))
    own = f" How much it thinks is set by {known}." if known else ""
    return f"The model of `{argument}`, a {model.__name__}, has no setting `{setting}`.{own}"


def without_unset_effort(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a call's arguments without efforts that are None, which says nothing."""
    unset = [name for name in EFFORT_SETTINGS & arguments.keys() if arguments[name] is None]
    return {k: v for k, v in arguments.items() if k not in unset} if unset else arguments


def with_settings(settings: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return a call's arguments, with an expert's settings where the call has none of its own.

    A call that says how much to think, under whatever name, gets nothing else on that.

    Examples
    --------
    >>> with_settings({"reasoning_effort": "low"}, {"temperature": 1, "reasoning_effort": None})
    {'reasoning_effort': 'low', 'temperature': 1}
    >>> with_settings({"reasoning_effort": "low"}, {"thinking": {"type": "disabled"}})
    {'thinking': {'type': 'disabled'}}
    """
    own = {
        name: value
        for name, value in arguments.items()
        if value is not None or name not in settings
    }
    if sets_effort(own):
        settings = {key: value for key, value in settings.items() if key not in EFFORT_SETTINGS}
    return {**settings, **own}


def distinct_labels(models: Sequence[tuple[str, Mapping[str, Any]]]) -> list[str]:
    """Return names that tell models apart: those of one name by the settings that differ.

    Parameters
    ----------
    models
        Name and settings of each.

    Examples
    --------
    >>> distinct_labels([("m", {"effort": "low", "n": 1}), ("m", {"effort": "high", "n": 1})])
    ['m (effort=low)', 'm (effort=high)']
    """
    differing = {
        name: _differing(own for other, own in models if other == name) for name, _ in models
    }
    return [
        f"{name}{_LABEL_START}{_shown(settings, differing[name])})" if differing[name] else name
        for name, settings in models
    ]


def bare_model(label: str) -> str:
    """Return the model's own name, of a label that tells its settings.

    Examples
    --------
    >>> bare_model("o4-mini (reasoning_effort=low)")
    'o4-mini'
    """
    return label.partition(_LABEL_START)[0]


def _differing(settings: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the names of the settings that not all have with the same value."""
    every = list(settings)
    names = sorted({name for own in every for name in own})
    return [name for name in names if any(own.get(name) != every[0].get(name) for own in every)]


def _shown(settings: Mapping[str, Any], names: Sequence[str]) -> str:
    return ", ".join(f"{name}={_text(settings.get(name))}" for name in names)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
