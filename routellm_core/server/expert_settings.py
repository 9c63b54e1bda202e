"""What the server can be told of experts."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from routellm_core.experts import Capabilities, Variant, check_settings
from routellm_core.policy import known_capabilities
from routellm_core.types import Modality

__all__ = ["ExpertSettings", "StrategyName", "UpstreamKind"]

UpstreamKind = Literal["auto", "openai", "litellm"]
"""How a model is reached: by OpenAI's protocol, by LiteLLM, or as its name and address suggest."""

StrategyName = Literal["cascade", "hybrid", "best_of"]
"""What the server can do besides routing by the prompt alone."""


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
