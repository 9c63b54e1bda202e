"""How a model is reached: by OpenAI's protocol directly, or by LiteLLM."""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pydantic import SecretStr

from routellm_core._litellm import import_litellm
from routellm_core.errors import ConfigurationError, MissingDependencyError
from routellm_core.experts import with_settings
from routellm_core.server.errors import NoAnswerError, UpstreamError, all_words, reported_error
from routellm_core.server.expert_settings import ExpertSettings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from routellm_core.server.expert_settings import UpstreamKind
    from routellm_core.server.settings import ServerSettings

__all__ = [
    "Endpoint",
    "ModelCall",
    "Reply",
    "Upstream",
    "answer_of",
    "endpoint_of",
    "failure",
    "passed_on",
    "reached_by",
    "reported_failure",
    "verifier_endpoint",
]

OPENAI_URL = "https://api.openai.com/v1"

_OPENAI_MODEL = re.compile(r"(gpt-|chatgpt-|o\d)")
_PASSED_ON = re.compile(
    r"retry-after(-ms)?|x-request-id|request-id|(x|anthropic)-ratelimit-[a-z0-9-]+"
)
_ABOUT_CONTENT = re.compile(
    r"flagged|moderat|content[ _-]?(policy|filter)|guardrail|safety|inappropriate|harmful"
    r"|prohibited",
    re.IGNORECASE,
)
_LONGEST_WORDS = 2000


@dataclass(slots=True)
class ModelCall:
    """One request to a model, and what its answer says besides.

    Parameters
    ----------
    fields
        The request.
    headers
        Sent with it: those by which a trace goes on.
    is_draft
        Whether the answer may be rejected.
    is_shadow
        Whether nobody waits for the answer, so that no callback hears of it.
    answer_headers
        Filled with those of the answer that a client may see.
    """

    fields: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    is_draft: bool = False
    is_shadow: bool = False
    answer_headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer, as it came and as it was read."""

    body: bytes
    answer: Mapping[str, Any]


class Upstream(Protocol):
    """Ask one model."""

    async def complete(self, call: ModelCall) -> Reply:
        """Return the answer.

        Raises
        ------
        UpstreamError
            If there is none.
        """
        ...

    def stream(self, call: ModelCall) -> AsyncGenerator[bytes, None]:
        """Yield the answer's server-sent events, any number of whole ones at a time.

        Closing the generator ends the answer at its source.

        Raises
        ------
        UpstreamError
            While it is iterated, if the model fails.
        """
        ...

    async def aclose(self) -> None:
        """Close what is open."""
        ...


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a model is.

    Parameters
    ----------
    tier
        "strong", "weak" or an expert's name: what errors call the model.
    model
        The name that is sent.
    base_url
        None for the provider's own.
    api_key
        None when nothing is sent, or LiteLLM looks into the environment.
    connect_timeout_s, idle_timeout_s, attempt_timeout_s
        Seconds to connect, between the bytes of a stream, and without a byte of a whole answer.
    drop_params
        Fields of a request that the model does not take.
    settings
        Fields that its requests have where they do not set them themselves.
    """

    tier: str
    model: str
    base_url: str | None
    api_key: SecretStr | None
    connect_timeout_s: float = 10.0
    idle_timeout_s: float = 120.0
    attempt_timeout_s: float = 300.0
    drop_params: frozenset[str] = frozenset()
    settings: Mapping[str, Any] = field(default_factory=dict)

    def taken(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return a request in the model's settings, without the fields that it does not take."""
        taken = {name: value for name, value in fields.items() if name not in self.drop_params}
        return with_settings(self.settings, taken) if self.settings else taken

    def redacted(self, text: str) -> str:
        """Return a provider's words without the key."""
        secret = self.api_key.get_secret_value() if self.api_key else ""
        return text.replace(secret, "***") if secret else text


def endpoint_of(tier: str, settings: ServerSettings) -> Endpoint:
    """Return where the settings say a model is."""
    return _endpoint(tier, settings.models[tier], settings)


def verifier_endpoint(model: str, settings: ServerSettings) -> Endpoint:
    """Return where a model is that only a verifier names: where all models are."""
    return _endpoint("verifier", ExpertSettings(model=model), settings)


def _endpoint(tier: str, expert: ExpertSettings, settings: ServerSettings) -> Endpoint:
    return Endpoint(
        tier=tier,
        model=expert.model,
        base_url=expert.base_url or settings.base_url,
        api_key=expert.api_key or settings.upstream_api_key,
        connect_timeout_s=settings.connect_timeout_s,
        idle_timeout_s=settings.idle_timeout_s,
        attempt_timeout_s=settings.attempt_timeout_s,
        drop_params=expert.drop_params,
        settings=expert.settings,
    )


def reached_by(kind: UpstreamKind, endpoint: Endpoint) -> Literal["openai", "litellm"]:
    """Return how a model is reached, which "auto" leaves to its name and address.

    OpenAI's own models, and any model at a given address whose name begins with no provider that
    LiteLLM knows, are spoken to directly.

    Examples
    --------
    >>> reached_by("auto", Endpoint("weak", "gpt-4o-mini", None, None))
    'openai'
    >>> reached_by("auto", Endpoint("weak", "claude-haiku-4-5", None, None))
    'litellm'
    >>> reached_by("auto", Endpoint("weak", "llama3.2", "http://127.0.0.1:11434/v1", None))
    'openai'
    """
    if kind != "auto":
        return kind
    provider, slash, _ = endpoint.model.partition("/")
    if slash:
        if provider == "openai":
            return "openai"
        direct = endpoint.base_url is not None and not _is_provider(provider)
    else:
        direct = endpoint.base_url is not None or bool(_OPENAI_MODEL.match(endpoint.model))
    return "openai" if direct else "litellm"


def openai_address(endpoint: Endpoint) -> tuple[str, str, SecretStr | None]:
    """Return the URL of chat completions, the model's bare name, and the key.

    OpenAI's own key is taken from the environment only for OpenAI's own address.

    Raises
    ------
    ConfigurationError
        If the address needs a key and there is none.
    """
    base, key = endpoint.base_url, endpoint.api_key
    if base is None:
        base = os.environ.get("OPENAI_BASE_URL") or os.environ.get("OPENAI_API_BASE") or OPENAI_URL
        secret = os.environ.get("OPENAI_API_KEY")
        key = key or (SecretStr(secret) if secret else None)
        if key is None:
            own = f"ROUTELLM_{endpoint.tier.upper()}_API_KEY"
            raise ConfigurationError(
                f"The {endpoint.tier} model {endpoint.model!r} needs a key: set OPENAI_API_KEY or "
                f"{own if endpoint.tier in ('strong', 'weak') else 'its `api_key`'}."
            )
    if not base.startswith(("http://", "https://")):
        raise ConfigurationError(
            f"The address of the {endpoint.tier} model must begin with http:// or https://, got "
            f"{base!r}."
        )
    return f"{base.rstrip('/')}/chat/completions", endpoint.model.removeprefix("openai/"), key


def answer_of(raw: bytes, endpoint: Endpoint) -> Reply:
    """Return a body that holds an answer.

    Raises
    ------
    UpstreamError
        If it is not JSON, has no choices, or says that the model failed.
    """
    with suppress(ValueError, RecursionError):
        parsed = json.loads(raw)
        if isinstance(parsed, dict) and isinstance(parsed.get("choices"), list):
            return Reply(raw, parsed)
        error = reported_failure(parsed, endpoint)
        if error is not None:
            raise error
    raise NoAnswerError(f"The {endpoint.tier} model's answer is not a completion.")


def passed_on(headers: Mapping[str, str]) -> dict[str, str]:
    """Return those of a provider's headers that a client may see.

    Examples
    --------
    >>> passed_on({"X-Request-Id": "7", "Set-Cookie": "a=b"})
    {'x-request-id': '7'}
    """
    named = ((name.lower(), value) for name, value in headers.items())
    return {name: value for name, value in named if _PASSED_ON.fullmatch(name)}


def failure(
    endpoint: Endpoint, *, status: int, raw: bytes, headers: Mapping[str, str]
) -> UpstreamError:
    """Return the error that a provider's response means.

    What it says reaches the client, without the key; but for a refused key, which is the server's
    affair and not the client's.
    """
    text = endpoint.redacted(raw.decode("utf-8", "replace"))
    if status == 401 or (status == 403 and not _ABOUT_CONTENT.search(text)):
        return UpstreamError(
            f"The provider of the {endpoint.tier} model refused the server's key "
            f"(status {status}).",
            status=status,
            code="upstream_credentials",
        )
    parsed = None
    with suppress(ValueError, RecursionError):
        parsed = json.loads(text)
    error = reported_error(parsed)
    message = str(error.get("message")) if error is not None else _plain_words(text, parsed)
    code, kind = (None, None) if error is None else (error.get("code"), error.get("type"))
    whole = isinstance(parsed, dict) and isinstance(parsed.get("error"), dict)
    return UpstreamError(
        message or f"The {endpoint.tier} model failed with status {status}.",
        status=status,
        code=code if isinstance(code, str) else None,
        headers=passed_on(headers),
        reported=json.dumps({"error": error}).encode() if whole else None,
        kind=kind if isinstance(kind, str) else None,
        words="" if error is None else all_words(error),
    )


def reported_failure(parsed: Any, endpoint: Endpoint) -> UpstreamError | None:
    """Return the error that comes with status 200, as an event or in an answer's place; or None.

    Its status is the one that the error names, as those of SGLang and OpenRouter do.
    """
    error = reported_error(parsed)
    if error is None:
        return None
    named = (error.get(name) for name in ("code", "status", "status_code", "http_status_code"))
    status = next((s for s in named if isinstance(s, int) and 400 <= s < 600), 502)
    raw = json.dumps({"error": error}).encode()
    return failure(endpoint, status=status, raw=raw, headers={})


def _plain_words(text: str, parsed: Any) -> str:
    """Return what an error's body of no known shape says; "" for a web page."""
    words = parsed if isinstance(parsed, str) else text
    return "" if words.lstrip().startswith("<") else words.strip()[:_LONGEST_WORDS]


def _is_provider(name: str) -> bool:
    try:
        litellm = import_litellm()
    except MissingDependencyError:
        return False
    return name in {str(getattr(provider, "value", provider)) for provider in litellm.provider_list}
