"""Tokens as providers and their clients count them, in one form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from routellm_core.types import Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["look_up", "read_usage", "reasoning_of", "sum_usage"]

_READ = (
    "prompt_tokens", "input_tokens", "prompt_token_count", "prompt_eval_count", "inputTokens",
    "promptTokenCount",
)  # fmt: skip
_WRITTEN = (
    "completion_tokens", "output_tokens", "candidates_token_count", "eval_count", "outputTokens",
    "candidatesTokenCount",
)  # fmt: skip
_TOTAL = ("total_tokens", "total_token_count", "totalTokenCount")
_ANSWER_DETAILS = ("completion_tokens_details", "output_tokens_details", "output_token_details")
_REASONING = (
    "reasoning_tokens", "thinking_tokens", "thoughts_token_count", "thoughtsTokenCount",
    "reasoning",
)  # fmt: skip
_DETAILS = ("prompt_tokens_details", "input_tokens_details", "input_token_details")
"""Where OpenAI's chat completions, its responses and LangChain keep the parts of a prompt."""
_CACHED = ("cached_tokens", "cache_read")
_CACHE_WRITES = ("cache_creation_tokens", "cache_write_tokens", "cache_creation")
_BY_LIFETIME = ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")
"""Anthropic's cache writes by how long they are kept; LangChain then counts 0 of either."""
# Beside the counts: DeepSeek, Gemini, Moonshot.
_CACHED_BESIDE = (
    "prompt_cache_hit_tokens", "cached_content_token_count", "cachedContentTokenCount",
    "cached_tokens",
)  # fmt: skip
# Anthropic and Amazon Bedrock count these beside `input_tokens` and not in it.
_APART_CACHED = ("cache_read_input_tokens", "cacheReadInputTokens")
_APART_WRITES = ("cache_creation_input_tokens", "cacheWriteInputTokens")
_COUNTS = (
    "input_tokens", "output_tokens", "reasoning_tokens", "cached_tokens", "cache_write_tokens",
)  # fmt: skip
_APART = frozenset({"input_tokens", "inputTokens"})


def read_usage(
    counts: object, *, model: str | None = None, reasoning: int | None = None
) -> Usage | None:
    """Return the tokens that a provider or a client counts, whatever it calls them.

    Known are the fields of OpenAI, Anthropic, Amazon Bedrock, DeepSeek, Gemini, Moonshot, Ollama,
    LangChain and LiteLLM.

    Parameters
    ----------
    counts
        A mapping or an object with the counts as its items or attributes.
    model
        The model that answered.
    reasoning
        Tokens of reasoning, where they are told elsewhere; see `reasoning_of`.

    Returns
    -------
    With `input_tokens` as the whole prompt, the cached part included; None where the prompt and the
    answer are not both counted.

    Examples
    --------
    >>> usage = read_usage(
    ...     {"input_tokens": 10, "cache_read_input_tokens": 900, "output_tokens": 5}
    ... )
    >>> usage.input_tokens, usage.cached_tokens, usage.cache_write_tokens
    (910, 900, None)
    """
    name = next((name for name in _READ if _count(counts, (name,)) is not None), None)
    written = _count(counts, _WRITTEN)
    if name is None or written is None:
        return None
    read: int = _count(counts, (name,))  # type: ignore[assignment]
    usage = Usage.counted(
        read,
        written,
        model,
        reasoning=reasoning_of(counts) if reasoning is None else reasoning,
        total=_count(counts, _TOTAL),
    )
    cached, cache_writes = _parts(counts)
    if cached is None:
        cached = _count(counts, _CACHED_BESIDE)
    apart_cached, apart_writes = _count(counts, _APART_CACHED), _count(counts, _APART_WRITES)
    if name in _APART and cached is None and cache_writes is None:
        read += (apart_cached or 0) + (apart_writes or 0)
    cached = apart_cached if cached is None else cached
    cache_writes = apart_writes if cache_writes is None else cache_writes
    if cached is not None:
        cached = min(cached, read)
    if cache_writes is not None:
        cache_writes = min(cache_writes, read - (cached or 0))
    return replace(usage, input_tokens=read, cached_tokens=cached, cache_write_tokens=cache_writes)


def reasoning_of(counts: object) -> int | None:
    """Return the tokens of reasoning that a provider or a client counts; None where it does not.

    Examples
    --------
    >>> reasoning_of({"completion_tokens_details": {"reasoning_tokens": 64}})
    64
    """
    details = (look_up(counts, name) for name in _ANSWER_DETAILS)
    found = (_count(place, _REASONING) for place in (*details, counts))
    return next((count for count in found if count is not None), None)


def sum_usage(found: Sequence[Usage]) -> Usage:
    """Return what several answers used together, with the last one's model.

    What not one of them counts is None.

    Examples
    --------
    >>> usage = sum_usage([Usage(5, 1, cached_tokens=3), Usage(7, 1, "m")])
    >>> usage.input_tokens, usage.cached_tokens, usage.cache_write_tokens, usage.model
    (12, 3, None, 'm')
    """
    return Usage(
        model=found[-1].model if found else None,
        **{name: _sum(getattr(one, name) for one in found) for name in _COUNTS},
    )


def _sum(counts: Iterable[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _parts(counts: object) -> tuple[int | None, int | None]:
    """Return what a prompt's details say of its cached part, read and written."""
    for name in _DETAILS:
        details = look_up(counts, name)
        if details is not None:
            lifetimes = [_count(details, (kind,)) or 0 for kind in _BY_LIFETIME]
            return _count(details, _CACHED), sum(lifetimes) or _count(details, _CACHE_WRITES)
    return None, None


def _count(place: object, names: tuple[str, ...]) -> int | None:
    for name in names:
        count = look_up(place, name)
        if isinstance(count, int) and not isinstance(count, bool) and count >= 0:
            return count
    return None


def look_up(holder: Any, name: str) -> Any:
    """Return a value by its name, from a mapping or an object; None when it is not there."""
    if isinstance(holder, Mapping):
        return holder.get(name)
    return getattr(holder, name, None)
