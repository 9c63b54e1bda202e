"""From the end of a call to its record."""

from __future__ import annotations

import logging
import os
import secrets
from dataclasses import dataclass
from hashlib import blake2b
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from routellm_core.errors import MissingDependencyError
from routellm_core.experts import bare_model
from routellm_core.monitoring.prices import Price, price_of
from routellm_core.monitoring.records import CallRecord
from routellm_core.types import VERIFIER_OUTCOMES, Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from routellm_core.types import Decision, Outcome, StepRecord

__all__ = [
    "Ending", "Pricing", "RecordMaker", "call_id", "next_call_number", "text_digest",
]  # fmt: skip

logger = logging.getLogger(__name__)

NO_USAGE = Usage()
_RUN = secrets.token_hex(4)

next_call_number = count(1).__next__
"""Number the calls of this process."""


class Ending(NamedTuple):
    """What the call's own thread notes when the call ends; the rest is worked out from it.

    Times are in seconds: `started_at` since 1970, the others durations.
    """

    number: int
    started_at: float
    outcome: Outcome
    decision: Decision
    decided: Decision
    strong_model: str
    weak_model: str
    checkpoint: str | None
    decision_s: float
    call_s: float
    first_chunk_s: float | None
    attempts: int
    failures: tuple[str, ...]
    error: str | None
    partial: bool
    usage: Usage | None
    text: str
    steps: tuple[StepRecord, ...] = ()
    more_tokens: float | None = 0.0
    """How many more tokens the strong model is expected to write; None when nobody knows."""
    shadow_share: float | None = None


class Pricing:
    """Look prices up once per model.

    Parameters
    ----------
    prices
        Prices that LiteLLM's table lacks or that were negotiated, by model name.
    """

    def __init__(self, prices: Mapping[str, Price] | None = None) -> None:
        self._own = dict(prices or {})
        self._found: dict[str, Price | None] = {}

    def price(self, model: str) -> Price | None:
        """Return the price of a model, whatever its settings; None when nobody knows it."""
        if model in self._own:
            return self._own[model]
        if model not in self._found:
            bare = bare_model(model)
            self._found[model] = self._own[bare] if bare in self._own else _looked_up(bare)
        return self._found[model]

    def cost_usd(self, model: str, usage: Usage) -> float | None:
        """Return the cost of an answer; None when a price or a count is unknown."""
        if usage.input_tokens is None or usage.output_tokens is None:
            return None
        price = self.price(model)
        if price is None:
            return None
        return price.cost_usd(
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cached_tokens=usage.cached_tokens or 0,
            cache_write_tokens=usage.cache_write_tokens or 0,
        )


@dataclass(frozen=True, slots=True, repr=False)
class RecordMaker:
    """Make records of endings.

    Parameters
    ----------
    pricing
        Prices of the models.
    router_usd
        What one decision costs; for routers that ask a paid embedding service.
    hash_key
        Secret, 16 to 64 bytes.
    keep_prompt_chars
        How much of each text is kept; 0 keeps none.
    """

    pricing: Pricing
    router_usd: float
    hash_key: bytes
    keep_prompt_chars: int

    def record(self, ending: Ending) -> CallRecord:
        """Return the record of a call."""
        usage = ending.usage or NO_USAGE
        decision, decided = ending.decision, ending.decided
        cost = self.pricing.cost_usd(decision.model, usage)
        strong = self._strong_usd(ending, usage)
        router_usd, drafts_usd = self.decision_usd(ending), self.drafts_usd(ending)
        verifiers_usd = self._steps_usd(ending, VERIFIER_OUTCOMES)
        saved = None
        if ending.outcome == "answered" and None not in (cost, strong, drafts_usd, verifiers_usd):
            saved = cast("float", strong) - cast("float", cost) - router_usd
            saved -= cast("float", drafts_usd) + cast("float", verifiers_usd)
        return CallRecord(
            call_id=call_id(ending.number),
            started_at=ending.started_at,
            outcome=ending.outcome,
            route=decision.route,
            model=decision.model,
            reason=decision.reason,
            decided_route=decided.route,
            decided_reason=decided.reason,
            win_rate=decided.win_rate,
            threshold=decided.threshold,
            router=decided.router,
            checkpoint=ending.checkpoint,
            strong_model=ending.strong_model,
            weak_model=ending.weak_model,
            decision_ms=round(ending.decision_s * 1e3, 4),
            call_ms=round(ending.call_s * 1e3, 4),
            first_chunk_ms=_ms(ending.first_chunk_s),
            attempts=ending.attempts,
            failures=ending.failures,
            error=ending.error,
            partial=ending.partial,
            answered_model=usage.model,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            reasoning_tokens=usage.reasoning_tokens,
            cached_tokens=usage.cached_tokens,
            cache_write_tokens=usage.cache_write_tokens,
            cost_usd=cost,
            router_usd=router_usd,
            drafts_usd=drafts_usd if ending.steps else None,
            verifiers_usd=verifiers_usd if _asked_by_verifier(ending) else None,
            strong_usd=strong,
            saved_usd=saved,
            prompt_hash=text_digest(ending.text, key=self.hash_key) if ending.text else None,
            prompt_chars=len(ending.text),
            prompt=ending.text[: self.keep_prompt_chars] if self.keep_prompt_chars else None,
            shadow_share=ending.shadow_share,
            steps=tuple(self._step(step) for step in ending.steps) or None,
            cache=None if decided.cache is None else decided.cache.record(),
        )

    def _strong_usd(self, ending: Ending, usage: Usage) -> float | None:
        """Return what the strong model's answer would have cost."""
        more, written = ending.more_tokens, usage.output_tokens
        if more is None or written is None:
            return None
        price = self.pricing.price(ending.strong_model)
        if price is None or usage.input_tokens is None:
            return None
        return price.cost_usd(
            input_tokens=usage.input_tokens,
            output_tokens=max(0.0, written + more),
            cached_tokens=usage.cached_tokens or 0,
            cache_write_tokens=usage.cache_write_tokens or 0,
        )

    def drafts_usd(self, ending: Ending) -> float | None:
        """Return what the answers cost that were not given out; None when one is unknown."""
        return self._steps_usd(ending, ("rejected", "late"))

    def _steps_usd(self, ending: Ending, outcomes: Sequence[str]) -> float | None:
        """Return the cost of the steps of these outcomes; None when one is unknown."""
        costs = [
            self.pricing.cost_usd(step.model, step.usage or NO_USAGE)
            for step in ending.steps
            if step.outcome in outcomes
        ]
        known = [cost for cost in costs if cost is not None]
        return sum(known) if len(known) == len(costs) else None

    def _step(self, step: StepRecord) -> dict[str, Any]:
        usage = step.usage or NO_USAGE
        values = {
            "expert": step.expert,
            "model": step.model,
            "outcome": step.outcome,
            "score": step.score,
            "ms": _ms(step.seconds),
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "reasoning_tokens": usage.reasoning_tokens,
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
            "cost_usd": self.pricing.cost_usd(step.model, usage),
        }
        return {name: value for name, value in values.items() if value is not None}

    def decision_usd(self, ending: Ending) -> float:
        """Return what the decision cost: nothing, when the router was not asked."""
        decided = ending.decided
        was_asked = decided.win_rate is not None and decided.reason != "sticky"
        return self.router_usd if was_asked else 0.0


def _asked_by_verifier(ending: Ending) -> bool:
    return any(step.outcome in VERIFIER_OUTCOMES for step in ending.steps)


def call_id(number: int) -> str:
    """Return an id that no other call of any process has."""
    return f"{_RUN}-{os.getpid():x}-{number:x}"


def text_digest(text: str, *, key: bytes) -> str:
    """Return a digest of a text that says nothing of it to whoever lacks the key.

    Of more than 100,000 characters only the length and both ends count, so that time is bounded.
    """
    return digester(key)(text)


def digester(key: bytes) -> Callable[[str], str]:
    """Return `text_digest` for one key, which then is prepared only once."""
    begun = blake2b(key=key, digest_size=16)

    def digest(text: str) -> str:
        if len(text) > 100_000:
            text = f"{len(text)}:{text[:50_000]}{text[-50_000:]}"
        hashed = begun.copy()
        hashed.update(text.encode("utf-8", "surrogatepass"))
        return hashed.hexdigest()

    return digest


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1e3, 4)


def _looked_up(model: str) -> Price | None:
    try:
        price = price_of(model)
    except MissingDependencyError:
        price = None
    if price is None:
        logger.warning("No price is known for model %r: its calls count as unpriced.", model)
    return price
