"""Tokens as providers count them, in one form."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from routellm_core import Usage, read_usage, sum_usage

# prompt tokens in all, read from the cache, written to it
CASES: dict[str, tuple[dict[str, Any], tuple[int, int | None, int | None]]] = {
    "OpenAI, chat completions": (
        {"prompt_tokens": 2006, "completion_tokens": 9,
         "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 0}},
        (2006, 1920, None),
    ),
    "OpenAI, nothing cached": (
        {"prompt_tokens": 2006, "completion_tokens": 9,
         "prompt_tokens_details": {"cached_tokens": 0}},
        (2006, 0, None),
    ),
    "OpenAI, responses": (
        {"input_tokens": 2006, "output_tokens": 9, "input_tokens_details": {"cached_tokens": 1920}},
        (2006, 1920, None),
    ),
    "OpenRouter": (
        {"prompt_tokens": 2006, "completion_tokens": 9,
         "prompt_tokens_details": {"cached_tokens": 1000, "cache_write_tokens": 500}},
        (2006, 1000, 500),
    ),
    "Anthropic, whose prompt excludes what is cached": (
        {"input_tokens": 50, "output_tokens": 9, "cache_read_input_tokens": 1800,
         "cache_creation_input_tokens": 248},
        (2098, 1800, 248),
    ),
    "Anthropic, a call that only wrote": (
        {"input_tokens": 50, "output_tokens": 9, "cache_read_input_tokens": 0,
         "cache_creation_input_tokens": 2048},
        (2098, 0, 2048),
    ),
    "Bedrock": (
        {"inputTokens": 50, "outputTokens": 9, "cacheReadInputTokens": 100,
         "cacheWriteInputTokens": 7},
        (157, 100, 7),
    ),
    "LangChain": (
        {"input_tokens": 2098, "output_tokens": 9, "total_tokens": 2107,
         "input_token_details": {"cache_read": 1800, "cache_creation": 248}},
        (2098, 1800, 248),
    ),
    "LangChain, Anthropic's writes by lifetime": (
        {"input_tokens": 2098, "output_tokens": 9, "total_tokens": 2107,
         "input_token_details": {"cache_read": 1800, "cache_creation": 0,
                                 "ephemeral_5m_input_tokens": 200,
                                 "ephemeral_1h_input_tokens": 48}},
        (2098, 1800, 248),
    ),
    "LiteLLM of Anthropic, whose prompt includes what is cached": (
        {"prompt_tokens": 2098, "completion_tokens": 9,
         "prompt_tokens_details": {"cached_tokens": 1800, "cache_creation_tokens": 248},
         "cache_read_input_tokens": 1800, "cache_creation_input_tokens": 248},
        (2098, 1800, 248),
    ),
    "LiteLLM, the counts beside only": (
        {"prompt_tokens": 2098, "completion_tokens": 9, "prompt_tokens_details": None,
         "cache_read_input_tokens": 1800, "cache_creation_input_tokens": 248},
        (2098, 1800, 248),
    ),
    "DeepSeek": (
        {"prompt_tokens": 2000, "completion_tokens": 9, "prompt_cache_hit_tokens": 1984,
         "prompt_cache_miss_tokens": 16},
        (2000, 1984, None),
    ),
    "Gemini": (
        {"prompt_token_count": 2000, "candidates_token_count": 9,
         "cached_content_token_count": 1500},
        (2000, 1500, None),
    ),
    "Gemini, REST": (
        {"promptTokenCount": 2000, "candidatesTokenCount": 9, "cachedContentTokenCount": 1500},
        (2000, 1500, None),
    ),
    "Moonshot": (
        {"prompt_tokens": 90, "completion_tokens": 9, "cached_tokens": 64}, (90, 64, None),
    ),
    "Ollama": ({"prompt_eval_count": 26, "eval_count": 9}, (26, None, None)),
    "nothing said": ({"prompt_tokens": 10, "completion_tokens": 9}, (10, None, None)),
}  # fmt: skip


def as_object(value: Any) -> Any:
    if isinstance(value, dict):
        return SimpleNamespace(**{name: as_object(item) for name, item in value.items()})
    return value


@pytest.mark.parametrize("form", [dict, as_object], ids=["mapping", "object"])
@pytest.mark.parametrize("case", CASES)
def test_every_provider_says_what_was_cached(case: str, form: Any) -> None:
    counts, (read, cached, cache_writes) = CASES[case]
    found = read_usage(form(counts), model="m")
    assert found == Usage(read, 9, "m", cached_tokens=cached, cache_write_tokens=cache_writes)


@pytest.mark.parametrize("bad", [None, True, -1, 1.5, "12", [3]])
def test_what_is_no_count_is_not_counted(bad: Any) -> None:
    assert read_usage({"prompt_tokens": bad, "completion_tokens": 3}) is None
    counts = {"prompt_tokens": 9, "completion_tokens": 3, "prompt_cache_hit_tokens": bad}
    assert read_usage(counts) == Usage(9, 3)


def test_no_more_is_cached_than_was_read() -> None:
    counts = {"prompt_tokens": 10, "completion_tokens": 1, "cached_tokens": 99}
    assert read_usage(counts) == Usage(10, 1, cached_tokens=10)
    counts["prompt_tokens_details"] = {"cached_tokens": 8, "cache_write_tokens": 5}  # type: ignore[assignment]
    assert read_usage(counts) == Usage(10, 1, cached_tokens=8, cache_write_tokens=2)


def test_what_no_answer_counts_is_not_counted_in_their_sum() -> None:
    assert sum_usage([Usage(1, 2), Usage(3, 4, "m")]) == Usage(4, 6, "m")
    assert sum_usage([Usage(1, 2), Usage(3, 4, cached_tokens=0)]) == Usage(4, 6, cached_tokens=0)
    assert sum_usage([]) == Usage()
