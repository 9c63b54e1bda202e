"""Embeddings of any API that LiteLLM speaks to, OpenAI's first."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from routellm_core._litellm import quiet_litellm
from routellm_core._optional import require
from routellm_core.embedders.texts import clean_texts
from routellm_core.errors import ConfigurationError, RouterError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["LiteLLMEmbedder"]

_PASSING = (
    "RateLimitError",
    "APIConnectionError",
    "Timeout",
    "InternalServerError",
    "ServiceUnavailableError",
    "BadGatewayError",
)
# LiteLLM reports a key that is missing as an internal error of the server.
_MISSING_KEY = "missing credentials"
_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 30.0


class LiteLLMEmbedder:
    """Embed texts by an embeddings API.

    RouteLLM's published checkpoints need `LiteLLMEmbedder("text-embedding-3-small")` and an OpenAI
    key. Texts go out in batches; a fault that passes is tried again after 0.5, 1, 2, ... seconds.
    Wrap it in `CachedEmbedder` to pay for each text once.

    Parameters
    ----------
    model
        As LiteLLM names it: "text-embedding-3-small", "cohere/embed-multilingual-v3.0".
    batch_size
        Texts per request.
    max_chars
        Of a longer text only its first so many characters are sent. The default keeps English
        within the 8,191 tokens that OpenAI takes.
    max_retries
        How often a request is tried again after a fault that may pass. Each time, a provider's
        client may try again by itself: OpenAI's does so twice.
    timeout_s
        For each request.
    options
        Passed to `litellm.embedding`, for example `api_key`, `api_base` or `dimensions`.

    Raises
    ------
    ConfigurationError
        If a number is out of range.
    """

    def __init__(
        self,
        model: str,
        *,
        batch_size: int = 256,
        max_chars: int = 24_000,
        max_retries: int = 2,
        timeout_s: float = 30.0,
        **options: Any,
    ) -> None:
        if batch_size < 1 or max_chars < 1 or max_retries < 0 or not timeout_s > 0.0:
            raise ConfigurationError(
                "`batch_size` and `max_chars` must be at least 1, `max_retries` at least 0 and "
                f"`timeout_s` positive, got {batch_size!r}, {max_chars!r}, {max_retries!r} and "
                f"{timeout_s!r}."
            )
        self.model, self.batch_size, self.max_chars = model, batch_size, max_chars
        self.max_retries, self.timeout_s = max_retries, timeout_s
        self.options = options
        dimensions = options.get("dimensions")
        self.identity = f"litellm:{model}" + (f"@{dimensions}" if dimensions else "")

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one vector for each of n >= 1 texts: shape (n, d), float32.

        Raises
        ------
        MissingDependencyError
            If litellm is not installed.
        RouterError
            If the API refuses, or still fails after the last retry.
        """
        parts = []
        for request in self._requests(texts):
            for wait_s in self._waits():
                try:
                    with quiet_litellm() as litellm:
                        response = litellm.embedding(**request)
                    break
                except _api_error() as error:
                    self._check(error, last=wait_s is None)
                time.sleep(wait_s or 0.0)
            parts.append(_vectors(response, n=len(request["input"])))
        return np.concatenate(parts)

    async def aembed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return what `embed` returns, without blocking the event loop."""
        from asyncio import sleep

        parts = []
        for request in self._requests(texts):
            for wait_s in self._waits():
                try:
                    with quiet_litellm() as litellm:
                        response = await litellm.aembedding(**request)
                    break
                except _api_error() as error:
                    self._check(error, last=wait_s is None)
                await sleep(wait_s or 0.0)
            parts.append(_vectors(response, n=len(request["input"])))
        return np.concatenate(parts)

    def _requests(self, texts: Sequence[str]) -> Iterator[dict[str, Any]]:
        cleaned = clean_texts(texts, max_chars=self.max_chars)
        for start in range(0, len(cleaned), self.batch_size):
            yield {
                "model": self.model,
                "input": cleaned[start : start + self.batch_size],
                "timeout": self.timeout_s,
                **self.options,
            }

    def _waits(self) -> Iterator[float | None]:
        """Yield the wait after each try, None after the last one."""
        for number in range(self.max_retries):
            yield min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2.0**number)
        yield None

    def _check(self, error: Exception, *, last: bool) -> None:
        passing = type(error).__name__ in _PASSING and _MISSING_KEY not in str(error).lower()
        if passing and not last:
            return
        tries = f" after {self.max_retries + 1} tries" if passing else ""
        raise RouterError(f"Embedding with {self.model!r} failed{tries}: {error}") from error


def _api_error() -> type[Exception]:
    """Return the class above every error that LiteLLM raises."""
    found: type[Exception] = require("openai", extra="litellm").OpenAIError
    return found


def _vectors(response: Any, *, n: int) -> NDArray[np.float32]:
    rows = sorted(response.data, key=lambda row: row["index"])
    if len(rows) != n:
        raise RouterError(f"The embeddings API answered {len(rows)} of {n} texts.")
    return np.array([row["embedding"] for row in rows], dtype=np.float32)
