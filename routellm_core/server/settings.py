"""What the server can be told, the same in flags, environment and YAML."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from routellm_core._validation import validation_faults
from routellm_core.controller.config import read_yaml
from routellm_core.errors import ConfigurationError
from routellm_core.policy import DEFAULT_ROUTER_DEADLINE_S, RoutingText
from routellm_core.routers import router_names
from routellm_core.server.expert_settings import ExpertSettings, StrategyName, UpstreamKind
from routellm_core.server.hosts import check_host
from routellm_core.server.origins import ANY, check_origin
from routellm_core.types import Modality

__all__ = ["ENV_PREFIX", "ServerSettings", "UpstreamKind", "read_settings"]

ENV_PREFIX = "ROUTELLM_"
"""The setting `strong_model` is read from `ROUTELLM_STRONG_MODEL`, and so on."""


class ServerSettings(BaseModel):
    """Hold the server's settings, checked.

    A field's name is the flag (`--strong-model`), the environment variable
    (`ROUTELLM_STRONG_MODEL`) and the key in a YAML file (`strong_model`). Two names differ from
    their flags, because RouteLLM's flags have another meaning: `--api-key` is `upstream_api_key`,
    and `api_key`, read from `ROUTELLM_API_KEY`, is what clients must send.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    routers: tuple[str, ...] = ("mf",)
    """Names as `load_router` takes them; the first answers to the model name "auto"."""
    router_options: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """What each router is loaded with, in `load_router`'s words or RouteLLM's."""
    threshold: float | None = Field(default=None, ge=0.0, le=1.0)
    """What "auto" uses; without it and `strong_share`, the router's calibration at one half."""
    strong_share: float | None = Field(default=None, gt=0.0, le=1.0)
    """The share of typical calls that "auto" sends to the strong model, instead of a threshold."""
    routing_text: RoutingText = "auto"
    """Which text of a conversation is routed."""
    router_deadline_s: float = Field(default=DEFAULT_ROUTER_DEADLINE_S, gt=0.0)
    """Seconds a router may take; then the call goes on without it."""
    cache_aware: bool = True
    """Whether the threshold of "auto" moves with what the models have cached of a conversation."""

    strong_model: str | None = None
    """The strong model's name; None serves routing without answers."""
    strong_base_url: str | None = None
    """Where it is reached; None for `base_url`."""
    strong_api_key: SecretStr | None = None
    """Its provider's key; None for `upstream_api_key`."""
    strong_upstream: UpstreamKind = "auto"
    """How it is reached."""
    strong_tools: bool | None = None
    """Whether it can call tools; None for what LiteLLM's table says, else yes."""
    strong_modalities: frozenset[Modality] | None = None
    """What it takes besides text; None for what LiteLLM's table says, else everything."""
    strong_context_window: int | None = Field(default=None, gt=0)
    """Tokens that its prompt may have; None for what LiteLLM's table says, else any number."""
    strong_drop_params: frozenset[str] = frozenset()
    """Fields of a request that it does not take, as temperature or seed: they are left out."""
    weak_model: str | None = None
    """The weak model's name."""
    weak_base_url: str | None = None
    """Where it is reached; None for `base_url`."""
    weak_api_key: SecretStr | None = None
    """Its provider's key; None for `upstream_api_key`."""
    weak_upstream: UpstreamKind = "auto"
    """How it is reached."""
    weak_tools: bool | None = None
    """Whether it can call tools; None for what LiteLLM's table says, else yes."""
    weak_modalities: frozenset[Modality] | None = None
    """What it takes besides text; None for what LiteLLM's table says, else everything."""
    weak_context_window: int | None = Field(default=None, gt=0)
    """Tokens that its prompt may have; None for what LiteLLM's table says, else any number."""
    weak_drop_params: frozenset[str] = frozenset()
    """Fields of a request that it does not take, as temperature or seed: they are left out."""
    experts: dict[str, ExpertSettings] = Field(default_factory=dict)
    """Any number of models by names of your own, the cheapest first, in place of the pair."""
    base_url: str | None = None
    """Where all models are reached."""
    upstream_api_key: SecretStr | None = None
    """The provider's key for all models; None for the provider's environment variable."""

    strategy: StrategyName | None = None
    """How "auto" finds an answer; None for the router's win rate against the threshold."""
    verifier: str | dict[str, Any] | None = None
    """What scores a draft of a cascade: a name, or one with its options; by default "schema"."""
    accept: float | tuple[float, ...] | None = None
    """The score from which a draft is the answer, or one for each expert but the last; or 0.5."""
    band: tuple[float, float] | None = None
    """The win rates between which "hybrid" looks at the weak model's answer."""
    choose: str | dict[str, Any] | None = None
    """What "best_of" chooses by: "consensus", "vote", or a verifier; by default "schema"."""
    limit_s: float | None = Field(default=None, gt=0.0)
    """Seconds after which "best_of" chooses among the answers that have come."""

    host: str = "127.0.0.1"
    """The address to listen on."""
    port: int = Field(default=6060, ge=0, le=65535)
    """The port; 0 for any that is free."""
    workers: int = Field(default=1, ge=1)
    """Processes that serve; they share nothing."""
    api_key: SecretStr | None = None
    """What clients must send as `Authorization: Bearer ...`; None lets anybody in."""
    insecure: bool = False
    """Whether to listen beyond this machine without a key."""
    allowed_hosts: tuple[str, ...] = ()
    """Names that requests may give in `Host` besides localhost and the address; "*" for any.

    By default any, but for a server on a loopback address that asks for no key.
    """
    cors_origins: tuple[str, ...] = ()
    """Origins whose web pages may call the server from a browser; "*" for any, none by default."""
    playground: bool = False
    """Whether to serve the page at /playground."""

    retries: int = Field(default=0, ge=0)
    """Further tries of the same model after a transient fault, before the strong one is asked."""
    breaker: bool = False
    """Whether a model that fails repeatedly is passed over for a while."""
    escalate_filtered: bool = False
    """Whether the strong model is asked where the weak one's answer was filtered."""
    stream_wait_s: float | None = Field(default=None, ge=0.0)
    """Seconds without content after which a stream begins with comments; None waits for content."""
    daily_budget_usd: float | None = Field(default=None, gt=0.0)
    """US dollars a day, in one worker; then the router's strong calls go to the weak model."""
    record_log: str | None = None
    """JSONL file to which every call's decision, latency, tokens and cost are written."""
    record_prompt_chars: int = Field(default=0, ge=0)
    """Characters of each prompt that the log may keep; 0, the default, keeps none."""
    shadow: float = Field(default=0.0, ge=0.0, le=1.0)
    """The share of calls after which another model is asked, too, in the background."""
    shadow_budget_usd: float = Field(default=1.0, gt=0.0)
    """US dollars a day, in one worker, for these answers."""
    shadow_timeout_s: float = Field(default=60.0, gt=0.0)
    """Seconds that such an answer may take."""
    max_outcomes_per_s: float = Field(default=50.0, gt=0.0)
    """Outcomes a second, in one worker; further ones get 429."""
    timeout_s: float = Field(default=600.0, gt=0.0)
    """Seconds that one answer may take, all attempts together."""
    idle_timeout_s: float = Field(default=120.0, gt=0.0)
    """Seconds without a byte of a streamed answer, after which the model has failed."""
    attempt_timeout_s: float = Field(default=300.0, gt=0.0)
    """Seconds that a model may take for a whole answer, or until a stream's first content."""
    connect_timeout_s: float = Field(default=10.0, gt=0.0)
    """Seconds to reach a model."""
    grace_s: float = Field(default=30.0, ge=0.0)
    """Seconds that running answers have to end after SIGTERM."""
    max_concurrency: int = Field(default=512, ge=1)
    """Answers at a time, in one worker; further requests get 429."""
    max_body_bytes: int = Field(default=10 * 2**20, ge=1)
    """Longest request body; a longer one gets 413."""
    max_json_depth: int = Field(default=64, ge=1)
    """Deepest nesting of a request's JSON; a deeper one gets 400."""
    max_json_values: int = Field(default=200_000, ge=1)
    """Most values in a request's JSON; with more it gets 413."""
    max_messages: int = Field(default=10_000, ge=1)
    """Most messages of a request; with more it gets 413."""
    max_parts: int = Field(default=10_000, ge=1)
    """Most content parts, over all messages of a request; with more it gets 413."""
    max_tools: int = Field(default=1024, ge=1)
    """Most tools, or functions, of a request; with more it gets 413."""

    @field_validator("allowed_hosts", "cors_origins", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return _words(value) if isinstance(value, str) else value

    @field_validator("allowed_hosts")
    @classmethod
    def _check_hosts(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(check_host, names))

    @field_validator("cors_origins")
    @classmethod
    def _check_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(check_origin, origins))

    @model_validator(mode="after")
    def _check(self) -> ServerSettings:
        if self.threshold is not None and self.strong_share is not None:
            raise ValueError("pass `threshold` or `strong_share`, not both")
        if (self.strong_model is None) != (self.weak_model is None):
            raise ValueError("pass both `strong_model` and `weak_model`, or neither")
        self._check_experts()
        if not self.routers:
            raise ValueError("`routers` must name at least one router")
        if self.api_key is not None and not self.api_key.get_secret_value().strip():
            raise ValueError("`api_key` is blank; leave it out to serve without a key")
        if not (self.api_key or self.insecure or self.is_local):
            raise ValueError(
                f"listening on {self.host!r} without a key would let anybody spend yours: set "
                f"{ENV_PREFIX}API_KEY, or pass --insecure"
            )
        if ANY in self.cors_origins and not (self.api_key or self.insecure):
            raise ValueError(
                "`cors_origins` '*' without a key would let any web page spend yours: name the "
                f"origins, set {ENV_PREFIX}API_KEY, or pass --insecure"
            )
        if self.shadow and self.record_log is None:
            raise ValueError("`shadow` writes its answers to a log: pass `record_log`")
        needed = {"model", "messages", "stream"} & (self.strong_drop_params | self.weak_drop_params)
        if needed:
            raise ValueError(f"no model can do without `{min(needed)}`")
        if self.playground and self.workers > 1:
            raise ValueError("the playground keeps its sessions in one process: use one worker")
        return self

    def _check_experts(self) -> None:
        if self.experts and self.strong_model is not None:
            raise ValueError("pass `experts`, or `strong_model` and `weak_model`, not both")
        if self.experts and tuple(self.experts) != ("weak", "strong") and self.strategy is None:
            raise ValueError(
                "`experts` need a `strategy`: a router alone tells 'weak' and 'strong' apart"
            )
        for name in ("verifier", "accept", "band", "choose", "limit_s"):
            if self.strategy is None and getattr(self, name) is not None:
                raise ValueError(f"`{name}` is read with a `strategy` only")

    @property
    def has_models(self) -> bool:
        """Whether there are models to answer; without, the server only decides."""
        return bool(self.experts) or self.strong_model is not None

    @property
    def models(self) -> dict[str, ExpertSettings]:
        """What is set of each model, the cheapest first."""
        return dict(self.experts) or {role: self._of_pair(role) for role in ("weak", "strong")}

    def _of_pair(self, role: str) -> ExpertSettings:
        def own(name: str) -> Any:
            return getattr(self, f"{role}_{name}")

        return ExpertSettings(
            model=own("model") or role,
            base_url=own("base_url"),
            api_key=own("api_key"),
            upstream=own("upstream"),
            tools=own("tools"),
            modalities=own("modalities"),
            context_window=own("context_window"),
            drop_params=own("drop_params"),
        )

    @property
    def is_local(self) -> bool:
        """Whether the server listens on a loopback address."""
        return _is_loopback(self.host)


def read_settings(
    flags: Mapping[str, Any] | None = None,
    *,
    config: str | Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> ServerSettings:
    """Return the settings: a flag beats the environment, which beats the file.

    Parameters
    ----------
    flags
        Settings by name; those that are None were not given.
    config
        A YAML file with settings, or one of RouteLLM's, whose keys are names of routers.
    environ
        Environment variables; None for the process's.

    Raises
    ------
    ConfigurationError
        If a setting is unknown, has a wrong value, or does not fit another. The message holds no
        value that may be a secret: see `validation_faults`.
    """
    merged: dict[str, Any] = {} if config is None else _from_file(config)
    merged |= _from_environment(os.environ if environ is None else environ)
    merged |= {name: value for name, value in (flags or {}).items() if value is not None}
    try:
        return ServerSettings(**merged)
    except ValidationError as error:
        faults = validation_faults(error, known=list(ServerSettings.model_fields))
        raise ConfigurationError(
            f"The server's settings cannot be used. {' '.join(faults)}"
        ) from None


def _from_file(path: str | Path) -> dict[str, Any]:
    read = read_yaml(path)
    if not isinstance(read, dict) or not all(isinstance(name, str) for name in read):
        found = "nothing" if read is None else f"{str(read)[:80]!r}"
        raise ConfigurationError(f"{str(path)!r} must hold settings by name, got {found}.")
    known = set(router_names())
    options = {name: read.pop(name) for name in list(read) if name in known}
    others = read.get("router_options", {})
    if options and isinstance(others, dict):
        read["router_options"] = {**others, **options}
    return read


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, field in ServerSettings.model_fields.items():
        text = environ.get(ENV_PREFIX + name.upper())
        if text is None or name in ("router_options", "experts"):
            continue
        several = "tuple" in str(field.annotation) or "frozenset" in str(field.annotation)
        found[name] = _words(text) if several else text
    return found


def _words(text: str) -> list[str]:
    """Return what commas separate."""
    return [word.strip() for word in text.split(",") if word.strip()]


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
