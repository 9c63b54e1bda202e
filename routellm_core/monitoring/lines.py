"""Records as lines of JSON, made in the few microseconds that a call's own thread has for them.

A line says what the record says. What it is spared: the record itself, and encoding again what
hardly changes from one call to the next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from routellm_core.monitoring.endings import call_id, digester
from routellm_core.monitoring.records import json_of

if TYPE_CHECKING:
    from routellm_core.monitoring.endings import Ending, RecordMaker
    from routellm_core.monitoring.prices import Price
    from routellm_core.types import Usage

__all__ = ["LineMaker"]

_MOST_SHARED = 256

# What every line says anew.
_CHANGING = frozenset(
    {
        "call_id",
        "started_at",
        "win_rate",
        "threshold",
        "cache",
        "decision_ms",
        "call_ms",
        "first_chunk_ms",
        "input_tokens",
        "output_tokens",
        "reasoning_tokens",
        "cached_tokens",
        "cache_write_tokens",
        "cost_usd",
        "router_usd",
        "strong_usd",
        "saved_usd",
        "prompt_hash",
        "prompt_chars",
        "prompt",
        "shadow_share",
    }
)


class _Shared(NamedTuple):
    """Be what many lines have in common: their beginning, and the prices of their models."""

    beginning: str
    price: Price | None
    strong_price: Price | None


class LineMaker:
    """Make lines of endings.

    Parameters
    ----------
    maker
        Makes records of endings: its prices, its key and its length of prompts hold here, too.
    """

    __slots__ = ("_digest", "_maker", "_shared")

    def __init__(self, maker: RecordMaker) -> None:
        self._maker = maker
        self._digest = digester(maker.hash_key)
        self._shared: dict[tuple[object, ...], _Shared] = {}

    def line(self, ending: Ending) -> str:
        """Return the line of a call, without its line break."""
        if ending.steps:
            return self._maker.record(ending).to_json()
        shared, maker, text, usage = self._shared_by(ending), self._maker, ending.text, ending.usage
        decided, first_chunk_s = ending.decided, ending.first_chunk_s
        win_rate, threshold = decided.win_rate, decided.threshold
        more = "" if decided.cache is None else f',"cache":{json_of(decided.cache.record())}'
        if first_chunk_s is not None:
            more += f',"first_chunk_ms":{first_chunk_s * 1e3:.4f}'
        if text:
            more += f',"prompt_hash":"{self._digest(text)}"'
        if maker.keep_prompt_chars:
            more += f',"prompt":{json_of(text[: maker.keep_prompt_chars])}'
        if ending.shadow_share is not None:
            more += f',"shadow_share":{ending.shadow_share!r}'
        if maker.router_usd:
            more += f',"router_usd":{maker.decision_usd(ending):.12f}'
        # Both to the last digit: replaying a log compares them.
        return (
            f'{shared.beginning},"call_id":"{call_id(ending.number)}"'
            f',"started_at":{ending.started_at:.6f}'
            f',"win_rate":{"null" if win_rate is None else repr(win_rate)}'
            f',"threshold":{"null" if threshold is None else repr(threshold)}'
            f',"decision_ms":{ending.decision_s * 1e3:.4f},"call_ms":{ending.call_s * 1e3:.4f}'
            f',"prompt_chars":{len(text)}'
            f"{self._spent(ending, usage, shared) if usage is not None else ''}{more}}}"
        )

    def _spent(self, ending: Ending, usage: Usage, shared: _Shared) -> str:
        """Return the fields that say what was read and written, and what it cost."""
        n_read, n_written = usage.input_tokens, usage.output_tokens
        n_cached, n_cache_writes = usage.cached_tokens, usage.cache_write_tokens
        n_thought = usage.reasoning_tokens
        parts = "" if n_thought is None else f',"reasoning_tokens":{n_thought}'
        if n_cached is not None:
            parts += f',"cached_tokens":{n_cached}'
        if n_cache_writes is not None:
            parts += f',"cache_write_tokens":{n_cache_writes}'
        if n_read is None or n_written is None:
            return (
                f',"input_tokens":{"null" if n_read is None else n_read}'
                f',"output_tokens":{"null" if n_written is None else n_written}{parts}'
            )
        price, strong = shared.price, shared.strong_price
        tokens = f',"input_tokens":{n_read},"output_tokens":{n_written}{parts}'
        cost = None if price is None else price.input_usd * n_read + price.output_usd * n_written
        if price is not None and cost is not None and (n_cached or n_cache_writes):
            cost += _cached_usd(price, n_cached or 0, n_cache_writes or 0)
        more = ending.more_tokens
        if strong is None or more is None:
            return tokens if cost is None else f'{tokens},"cost_usd":{cost:.12f}'
        strong_cost = strong.input_usd * n_read + strong.output_usd * max(0.0, n_written + more)
        if n_cached or n_cache_writes:
            strong_cost += _cached_usd(strong, n_cached or 0, n_cache_writes or 0)
        if cost is None:
            return f'{tokens},"strong_usd":{strong_cost:.12f}'
        saved = strong_cost - cost - self._maker.decision_usd(ending)
        return (
            f'{tokens},"cost_usd":{cost:.12f},"strong_usd":{strong_cost:.12f}'
            f',"saved_usd":{f"{saved:.12f}" if ending.outcome == "answered" else "null"}'
        )

    def _shared_by(self, ending: Ending) -> _Shared:
        decision, decided, usage = ending.decision, ending.decided, ending.usage
        key = (
            decision.route,
            decision.model,
            decision.reason,
            decided.route,
            decided.reason,
            decided.router,
            ending.outcome,
            ending.attempts,
            ending.failures,
            ending.error,
            ending.partial,
            ending.checkpoint,
            ending.strong_model,
            ending.weak_model,
            None if usage is None else usage.model,
        )
        shared = self._shared.get(key)
        if shared is None:
            values = self._maker.record(ending).values()
            constant = {name: value for name, value in values.items() if name not in _CHANGING}
            pricing = self._maker.pricing
            shared = _Shared(
                json_of(constant)[:-1],
                pricing.price(decision.model),
                pricing.price(ending.strong_model),
            )
            if len(self._shared) >= _MOST_SHARED:
                self._shared.clear()
            self._shared[key] = shared
        return shared


def _cached_usd(price: Price, n_cached: int, n_cache_writes: int) -> float:
    """Return what cached tokens cost more than others; negative where they cost less."""
    return price.cost_usd(
        input_tokens=0,
        output_tokens=0,
        cached_tokens=n_cached,
        cache_write_tokens=n_cache_writes,
    )
