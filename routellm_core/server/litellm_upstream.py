"""Ask a model through LiteLLM, which speaks to every provider."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from routellm_core._litellm import import_litellm, quiet_litellm, unseen_arguments
from routellm_core._optional import require
from routellm_core.controller.litellm_call import DRAFT_TAG
from routellm_core.policy import check_model
from routellm_core.server.errors import UpstreamError
from routellm_core.server.events import event
from routellm_core.server.upstream import answer_of, failure, passed_on

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from routellm_core.server.upstream import Endpoint, ModelCall, Reply

__all__ = ["LiteLLMUpstream"]

# The fields of a request that LiteLLM takes as arguments. Its other arguments, an address or a
# header among them, are the server's to set and not a client's.
_FIELDS = frozenset(
    {
        "audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs",
        "max_completion_tokens", "max_tokens", "messages", "modalities", "n",
        "parallel_tool_calls", "prediction", "presence_penalty", "reasoning_effort",
        "response_format", "safety_identifier", "seed", "service_tier", "stop", "store", "stream",
        "stream_options", "temperature", "thinking", "tool_choice", "tools", "top_k",
        "top_logprobs", "top_p", "user", "verbosity", "web_search_options",
    }
)  # fmt: skip


_TRACEBACK = "Traceback (most recent call last)"


class LiteLLMUpstream:
    """Translate requests and answers, as LiteLLM does for the model's provider.

    Parameters
    ----------
    endpoint
        Where the model is.

    Raises
    ------
    ConfigurationError
        If the model's provider is unknown or its key is missing.
    MissingDependencyError
        If LiteLLM is not installed.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        check_model(
            endpoint.model,
            role=endpoint.tier,
            api_key=endpoint.api_key,
            base_url=endpoint.base_url,
        )
        self._endpoint = endpoint
        # Of Azure AI's `extra_headers` LiteLLM makes a field of the body as well.
        is_azure_ai = endpoint.model.startswith("azure_ai/")
        self._headers_field = "headers" if is_azure_ai else "extra_headers"
        self._litellm = import_litellm()
        self._error: type[Exception] = require("openai", extra="litellm").OpenAIError

    async def complete(self, call: ModelCall) -> Reply:
        """Return LiteLLM's answer as JSON; see `Upstream`."""
        try:
            with quiet_litellm():
                answer = await self._litellm.acompletion(
                    **self._arguments(call, self._endpoint.attempt_timeout_s)
                )
        except self._error as error:
            raise self._failure(error) from error
        call.answer_headers.update(_headers_of(answer))
        return answer_of(json.dumps(_with_nulls(answer)).encode(), self._endpoint)

    async def stream(self, call: ModelCall) -> AsyncGenerator[bytes, None]:
        """Yield one event for each of LiteLLM's chunks; see `Upstream`."""
        try:
            with quiet_litellm():
                chunks = await self._litellm.acompletion(
                    **self._arguments(call, self._endpoint.idle_timeout_s)
                )
                call.answer_headers.update(_headers_of(chunks))
                try:
                    async for chunk in chunks:
                        yield event(_with_nulls(chunk))
                finally:
                    await _close(chunks)
        except self._error as error:
            raise self._failure(error) from error

    async def aclose(self) -> None:
        """Leave LiteLLM's connections to LiteLLM."""

    def _arguments(self, call: ModelCall, timeout_s: float) -> dict[str, Any]:
        endpoint = self._endpoint
        request = endpoint.taken(call.fields)
        key = endpoint.api_key
        reach = {
            "api_base": endpoint.base_url,
            "api_key": key.get_secret_value() if key else None,
        }
        fields = {name: value for name, value in request.items() if name in _FIELDS}
        others = {name: value for name, value in request.items() if name not in _FIELDS}
        if others:
            fields["extra_body"] = others
        if call.is_draft:
            fields["metadata"] = {"tags": [DRAFT_TAG]}
        if call.is_shadow:
            told = endpoint.model, fields["messages"]
            fields |= unseen_arguments(*told, call_type="acompletion")
        if call.headers:
            fields[self._headers_field] = dict(call.headers)
        return {
            **fields,
            **{name: value for name, value in reach.items() if value is not None},
            "model": endpoint.model,
            "timeout": timeout_s,
            "max_retries": 0,
        }

    def _failure(self, error: Exception) -> UpstreamError:
        status = getattr(error, "status_code", None)
        if not isinstance(status, int) or not 400 <= status < 600:
            status = 502
        code = getattr(error, "code", None)
        if "ContextWindow" in type(error).__name__:
            code = "context_length_exceeded"
        # After some messages LiteLLM tells where in its source it was.
        message = str(error).partition(_TRACEBACK)[0].strip()
        said = {"message": message, "code": code if isinstance(code, str) else None}
        headers = getattr(getattr(error, "response", None), "headers", None) or {}
        raw = json.dumps({"error": {**said, "type": type(error).__name__, "param": None}}).encode()
        return failure(self._endpoint, status=status, raw=raw, headers=dict(headers))


def _with_nulls(answer: Any) -> dict[str, Any]:
    """Return an answer or a chunk as OpenAI writes it, with the nulls that its clients look for."""
    fields: dict[str, Any] = answer.model_dump(exclude_none=True)
    for choice in fields.get("choices") or ():
        choice.setdefault("finish_reason", None)
        if "message" in choice:
            choice["message"].setdefault("content", None)
    return fields


def _headers_of(answer: Any) -> dict[str, str]:
    """Return the provider's headers that a client may see, out of LiteLLM's own names for them."""
    hidden = getattr(answer, "_hidden_params", None) or {}
    told = hidden.get("additional_headers") or {}
    return passed_on(
        {str(name).removeprefix("llm_provider-"): str(value) for name, value in told.items()}
    )


async def _close(chunks: Any) -> None:
    """End the answer at its source: LiteLLM's wrapper leaves that to whoever made the stream."""
    for holder in (chunks, getattr(chunks, "completion_stream", None)):
        for name in ("aclose", "close"):
            close = getattr(holder, name, None)
            if close is None:
                continue
            with suppress(RuntimeError):  # it is being iterated, and ends by that
                ended = close()
                if hasattr(ended, "__await__"):
                    await ended
            break
