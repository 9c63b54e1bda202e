"""Ask models, through LiteLLM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from routellm_core._litellm import quiet_litellm
from routellm_core._optional import require
from routellm_core.errors import ConfigurationError, RouteLLMError
from routellm_core.labeling.calls import Reply
from routellm_core.monitoring.redaction import redacted
from routellm_core.policy.model_check import check_model

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from routellm_core.labeling.calls import Call

__all__ = ["AskError", "Asker", "LiteLLMAsker"]

_FATAL = frozenset({401, 403, 404})
_REFUSED = frozenset({400, 413, 422, 429})
_FOR_GOOD = frozenset({400, 413, 422})


class AskError(RouteLLMError, RuntimeError):
    """Report a call that got no answer.

    Parameters
    ----------
    message
        What happened.
    fatal
        Whether every other call of this model would fail as well.
    retry
        Whether the same call may succeed later.
    maybe_paid
        Whether the provider may have charged it.
    """

    def __init__(self, message: str, *, fatal: bool, retry: bool, maybe_paid: bool) -> None:
        super().__init__(message)
        self.fatal = fatal
        self.retry = retry
        self.maybe_paid = maybe_paid


class Asker(Protocol):
    """What sends a call to its model."""

    async def ask(self, call: Call) -> Reply:
        """Return the answer, without its price.

        Raises
        ------
        AskError
            If there is none.
        """


class LiteLLMAsker:
    """Calls through LiteLLM, each sent once with the call's key as its idempotency key.

    Parameters
    ----------
    base_urls
        By model name, for models with an address of their own.
    base_url, api_key
        For all others; by default what the environment says.
    timeout_s
        Of one call.

    """

    def __init__(
        self,
        *,
        base_urls: Mapping[str, str] | None = None,
        base_url: str | None = None,
        api_key: str | None = None,
        timeout_s: float = 120.0,
    ) -> None:
        self._base_urls = dict(base_urls or {})
        self._base_url = base_url
        self._api_key = api_key
        self._timeout_s = timeout_s

    def __repr__(self) -> str:
        return f"LiteLLMAsker(base_url={self._base_url!r})"

    def check(self, models: Sequence[str]) -> None:
        """Refuse models that certainly cannot be asked, before any call.

        Raises
        ------
        MissingDependencyError
            If there are models, and LiteLLM is not installed.
        ConfigurationError
            If a provider is unknown or its key is missing.
        """
        for model in models:
            base_url = self._base_urls.get(model, self._base_url)
            check_model(model, role="labelling", api_key=self._api_key, base_url=base_url)
            self._check_provider(model, base_url)

    def _check_provider(self, model: str, base_url: str | None) -> None:
        with quiet_litellm() as litellm:
            try:
                litellm.get_llm_provider(model, api_base=base_url)
            except litellm.exceptions.BadRequestError:
                raise ConfigurationError(
                    f"LiteLLM knows no provider of {model!r}. Write 'provider/model'; for a server "
                    f"with OpenAI's interface 'openai/{model}', with its address in `--base-url` "
                    "(`base_url`)."
                ) from None

    async def ask(self, call: Call) -> Reply:
        """Return the answer; see `Asker`."""
        provider_error: type[Exception] = require("openai", extra="litellm").OpenAIError
        try:
            with quiet_litellm() as litellm:
                answer = await litellm.acompletion(**self._arguments(call))
        except provider_error as error:
            raise _ask_error(call, error) from error
        return _reply(answer)

    def _arguments(self, call: Call) -> dict[str, Any]:
        reach = {
            "api_base": self._base_urls.get(call.model, self._base_url),
            "api_key": self._api_key,
        }
        return {
            **{name: value for name, value in reach.items() if value is not None},
            "model": call.model,
            "messages": [dict(message) for message in call.messages],
            "max_tokens": call.max_tokens,
            "temperature": call.temperature,
            "timeout": self._timeout_s,
            "max_retries": 0,
            "drop_params": True,  # some models refuse a temperature
            "extra_headers": {"idempotency-key": call.key},
        }


def _ask_error(call: Call, error: Exception) -> AskError:
    stated = getattr(error, "status_code", None)
    status = stated if isinstance(stated, int) else 0
    kind = type(error).__name__
    # A provider may repeat the key that it refuses.
    words = redacted(" ".join(str(error).split()))[:300]
    return AskError(
        f"{call.model!r} gave no answer ({kind}, status {status or 'unknown'}): {words}",
        fatal=status in _FATAL,
        retry=status not in _FATAL | _FOR_GOOD,
        maybe_paid=status not in _FATAL | _REFUSED,
    )


def _reply(answer: Any) -> Reply:
    choices = getattr(answer, "choices", None) or ()
    text = getattr(getattr(choices[0], "message", None), "content", None) if choices else None
    usage = getattr(answer, "usage", None)
    read, written = (
        getattr(usage, name, None) or None for name in ("prompt_tokens", "completion_tokens")
    )
    # LiteLLM counts the tokens itself where the provider did not.
    return Reply(text or "", read, written)
