"""What the server can be told of experts and of the strategy that asks them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from routellm_core.answers import load_verifier
from routellm_core.errors import ConfigurationError
from routellm_core.experts import Capabilities, Variant, check_settings
from routellm_core.policy import known_capabilities
from routellm_core.strategies import load_strategy
from routellm_core.types import Modality

if TYPE_CHECKING:
    from collections.abc import Mapping

    from routellm_core.answers import Verifier
    from routellm_core.strategies import Strategy

__all__ = ["ExpertSettings", "StrategyName", "UpstreamKind", "make_strategy"]

UpstreamKind = Literal["auto", "openai", "litellm"]
"""How a model is reached: by OpenAI's protocol, by LiteLLM, or as its name and address suggest."""

StrategyName = Literal["cascade", "hybrid", "best_of"]
"""What the server can do besides routing by the prompt alone."""

_TAKEN: Mapping[str, tuple[str, ...]] = {
    "cascade": ("verifier", "accept"),
    "hybrid": ("verifier", "accept", "band"),
    "best_of": ("choose", "limit_s"),
}
_DEFAULTS: Mapping[str, Any] = {"verifier": "schema", "accept": 0.5, "choose": "schema"}


class ExpertSettings(BaseModel):
    """Hold what is set of one model; a text alone is its name."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    model: str
    """The model's name."""
    base_url: str | None = None
    """Where it is reached; None for the server's `base_url`."""
    api_key: SecretStr | None = None
    """Its provider's key; None for `upstream_api_key`."""
    upstream: UpstreamKind = "auto"
    """How it is reached."""
    tools: bool | None = None
    """Whether it can call tools; None for what LiteLLM's table says, else yes."""
    modalities: frozenset[Modality] | None = None
    """What it takes besides text; None for what LiteLLM's table says, else everything."""
    context_window: int | None = Field(default=None, gt=0)
    """Tokens that its prompt may have; None for what LiteLLM's table says, else any number."""
    drop_params: frozenset[str] = frozenset()
    """Fields of a request that it does not take, as temperature or seed: they are left out."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """Fields of its requests, as `reasoning_effort`; a request's own go before them."""
    answer_tokens: float | None = Field(default=None, ge=0.0, allow_inf_nan=False)
    """Tokens that its answers are expected to have, those of reasoning included."""

    @model_validator(mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        return {"model": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _check(self) -> ExpertSettings:
        needed = {"model", "messages", "stream"} & self.drop_params
        if needed:
            raise ValueError(f"no model can do without `{min(needed)}`")
        check_settings(self.settings)
        return self

    @property
    def expert(self) -> str | Variant:
        """The model, with its settings where it has some."""
        return Variant(self.model, **self.settings) if self.settings else self.model

    @property
    def capabilities(self) -> Capabilities:
        """What the model can take: as set, else as known by its name."""
        known = known_capabilities(self.model)
        return Capabilities(
            modalities=known.modalities if self.modalities is None else self.modalities,
            tools=known.tools if self.tools is None else self.tools,
            context_window=self.context_window or known.context_window,
        )


def make_strategy(name: str, given: Mapping[str, Any]) -> Strategy:
    """Return the strategy that settings mean.

    Parameters
    ----------
    name
        See `StrategyName`.
    given
        The settings `verifier`, `accept`, `band`, `choose` and `limit_s`; None where not set.
        Without a verifier it is "schema".

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
        if key in options and options[key] not in ("consensus", "vote"):
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
