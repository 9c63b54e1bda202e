"""What a log's calls would have cost under other settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from routellm_core.calibration.thresholds import threshold_for
from routellm_core.errors import DataError
from routellm_core.experts import bare_model
from routellm_core.types import Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from routellm_core.monitoring.endings import Pricing
    from routellm_core.monitoring.records import CallRecord
    from routellm_core.routers.base import Router

__all__ = ["Bill", "Replay", "replay", "routed_again"]

_SCORED = ("win_rate", "sticky")
"""Reasons of decisions that a win rate stands behind."""


@dataclass(frozen=True, slots=True)
class Bill:
    """What calls cost.

    Parameters
    ----------
    n_strong
        Calls that went to the strong model.
    cost_usd
        Price of the priced calls' answers.
    saved_usd
        All-strong price of the same, less `cost_usd`.
    """

    n_strong: int
    cost_usd: float
    saved_usd: float


@dataclass(frozen=True, slots=True)
class Replay:
    """A log's calls, as they were and as they would have been.

    Parameters
    ----------
    n_calls
        Calls in the log.
    n_scored
        Those that a win rate decided; the others go where they went.
    n_reproduced
        Calls whose stored decision follows from their stored win rate and threshold.
    n_moved
        Calls that would have gone elsewhere.
    n_unpriced
        Calls that are in no bill: a price or a token count is unknown.
    threshold
        The one that was replayed; None for each call's own.
    actual, replayed
        The bills. A call that would have gone elsewhere is priced with its own tokens,
        as many of them cached as were. Where that
        is the same model with other settings, it writes as many more as the log's answers of the
        one have on average than those of the other; without such answers it is unpriced.
    """

    n_calls: int
    n_scored: int
    n_reproduced: int
    n_moved: int
    n_unpriced: int
    threshold: float | None
    actual: Bill
    replayed: Bill


def routed_again(record: CallRecord, *, threshold: float | None = None) -> str:
    """Return where a call's decision goes under a threshold; None stands for its own.

    Where prompt caches had moved the call's own threshold, they move the other one in proportion.
    """
    if record.decided_reason not in _SCORED or record.win_rate is None:
        return record.decided_route
    if record.decided_reason == "sticky" and threshold is None:
        return record.decided_route
    limit = record.threshold if threshold is None else _moved(record, threshold)
    if limit is None:
        return record.decided_route
    return "strong" if record.win_rate >= limit else "weak"


def _moved(record: CallRecord, threshold: float) -> float:
    """Return another threshold, moved in proportion as prompt caches had moved the call's own."""
    shift = (record.cache or {}).get("shift")
    if not isinstance(shift, (int, float)) or record.threshold is None:
        return threshold
    own = record.threshold - shift
    return min(1.0, threshold * record.threshold / own) if own > 0.0 else threshold


def replay(
    records: Iterable[CallRecord],
    *,
    pricing: Pricing,
    threshold: float | None = None,
    strong_share: float | None = None,
    router: Router | None = None,
) -> Replay:
    """Decide a log's calls again.

    Parameters
    ----------
    records
        Of calls in any order.
    pricing
        Prices of the models.
    threshold
        In [0, 1]; by default each call's own.
    strong_share
        In (0, 1], instead: the threshold that gives this share of the log's scored calls.
    router
        Scores the prompts anew; the records must hold them whole.

    Raises
    ------
    DataError
        If there are no records, or `router` is given and a scored record's prompt is not whole.
    """
    known = list(records)
    if not known:
        raise DataError("The log holds no records.")
    again = known if router is None else _scored_again(known, router)
    if strong_share is not None:
        rates = [
            r.win_rate for r in again if r.decided_reason in _SCORED and r.win_rate is not None
        ]
        if not rates:
            raise DataError("No call of the log was decided by a win rate.")
        threshold = threshold_for(np.array(rates), strong_share=strong_share)
    count = _Count(pricing, _mean_lengths(known))
    for record, anew in zip(known, again, strict=True):
        count.add(record, routed_again(anew, threshold=threshold))
    return count.result(threshold)


class _Count:
    def __init__(self, pricing: Pricing, lengths: Mapping[str, float]) -> None:
        self._pricing = pricing
        self._lengths = lengths
        self._n = self._n_scored = self._n_reproduced = self._n_moved = self._n_unpriced = 0
        self._n_strong = [0, 0]
        self._cost = [0.0, 0.0]
        self._all_strong = 0.0

    def add(self, record: CallRecord, route: str) -> None:
        """Count one call and where it would go."""
        self._n += 1
        self._n_scored += record.decided_reason in _SCORED and record.win_rate is not None
        self._n_reproduced += routed_again(record) == record.decided_route
        moved = route != record.decided_route
        self._n_moved += moved
        final = route if moved else record.route
        self._n_strong[0] += record.route == "strong"
        self._n_strong[1] += final == "strong"
        actual, strong = record.cost_usd, record.strong_usd
        if actual is None:
            usage = Usage(
                record.input_tokens,
                record.output_tokens,
                cached_tokens=record.cached_tokens,
                cache_write_tokens=record.cache_write_tokens,
            )
            actual = self._pricing.cost_usd(record.model, usage)
        if strong is None:
            strong = self._cost_at("strong", record)
        other = self._cost_at(final, record) if moved else actual
        if actual is None or strong is None or other is None:
            self._n_unpriced += 1
            return
        # What a strategy asked before the answer was paid for, wherever the answer came from.
        before = (record.drafts_usd or 0.0) + (record.verifiers_usd or 0.0)
        self._cost[0] += actual + before
        self._cost[1] += other + before
        self._all_strong += strong

    def _cost_at(self, route: str, record: CallRecord) -> float | None:
        """Return what a call costs at a model of the pair; None when nobody knows."""
        model = record.strong_model if route == "strong" else record.weak_model
        written: float | None = record.output_tokens
        is_other_variant = model != record.model and bare_model(model) == bare_model(record.model)
        if is_other_variant and record.decided_reason != "own_effort" and written is not None:
            here, there = self._lengths.get(record.model), self._lengths.get(model)
            written = None if here is None or there is None else max(0.0, written + there - here)
        price = self._pricing.price(model)
        if price is None or written is None or record.input_tokens is None:
            return None
        return price.cost_usd(
            input_tokens=record.input_tokens,
            output_tokens=written,
            cached_tokens=record.cached_tokens or 0,
            cache_write_tokens=record.cache_write_tokens or 0,
        )

    def result(self, threshold: float | None) -> Replay:
        """Return the totals."""
        bills = [
            Bill(n_strong, cost, self._all_strong - cost)
            for n_strong, cost in zip(self._n_strong, self._cost, strict=True)
        ]
        return Replay(
            n_calls=self._n,
            n_scored=self._n_scored,
            n_reproduced=self._n_reproduced,
            n_moved=self._n_moved,
            n_unpriced=self._n_unpriced,
            threshold=threshold,
            actual=bills[0],
            replayed=bills[1],
        )


def _mean_lengths(records: Iterable[CallRecord]) -> dict[str, float]:
    """Return the mean tokens of each model's answers, those of reasoning included."""
    lengths: dict[str, list[int]] = {}
    for record in records:
        if record.outcome == "answered" and record.output_tokens is not None:
            lengths.setdefault(record.model, []).append(record.output_tokens)
    return {model: sum(counts) / len(counts) for model, counts in lengths.items()}


def _scored_again(records: Sequence[CallRecord], router: Router) -> list[CallRecord]:
    """Return the records with another router's win rates."""
    from dataclasses import replace

    prompts = []
    scored = [r.decided_reason in _SCORED and r.win_rate is not None for r in records]
    for record, is_scored in zip(records, scored, strict=True):
        if not is_scored:
            continue
        if record.prompt is None or len(record.prompt) < record.prompt_chars:
            raise DataError(
                f"Call {record.call_id!r} does not hold its whole prompt, which another router "
                "needs. Log with `Monitor(..., keep_prompt_chars=100_000)`."
            )
        prompts.append(record.prompt)
    win_rates = iter(router.win_rates(prompts).tolist())
    return [
        replace(record, win_rate=next(win_rates), router=router.name) if is_scored else record
        for record, is_scored in zip(records, scored, strict=True)
    ]
