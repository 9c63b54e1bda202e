"""A log in figures, period by period."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from routellm_core.errors import DataError
from routellm_core.monitoring.drift import Baseline

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["LogSummary", "PeriodSummary", "summarise"]

if TYPE_CHECKING:
    from routellm_core.monitoring.records import CallRecord

_MIN_BASELINE = 100
_PERIODS_S = (60.0, 300.0, 900.0, 3600.0, 6 * 3600.0, 86400.0, 7 * 86400.0)
_MANY = 30


@dataclass(frozen=True, slots=True)
class PeriodSummary:
    """The calls of one period.

    Parameters
    ----------
    started_at
        Begin, in seconds since 1970.
    n_calls, n_failed
        Calls, and those without a whole answer that the caller did not leave.
    n_unpriced
        Answers whose cost is unknown.
    strong_share
        Share of calls that ended at the strong model.
    cost_usd, saved_usd
        Over the priced calls.
    decision_ms, call_ms_p50, call_ms_p95
        Median decision, median and 95th percentile of whole calls; None without calls.
    psi
        Drift of the win rates from the baseline; None for the baseline itself, or too few.
    """

    started_at: float
    n_calls: int
    n_failed: int
    n_unpriced: int
    strong_share: float
    cost_usd: float
    saved_usd: float
    decision_ms: float
    call_ms_p50: float
    call_ms_p95: float
    psi: float | None


@dataclass(frozen=True, slots=True)
class LogSummary:
    """A whole log: its periods, and the same figures over all of them."""

    period_s: float
    periods: tuple[PeriodSummary, ...]
    total: PeriodSummary


@dataclass(slots=True)
class _Bin:
    started_at: float
    decision_ms: list[float] = field(default_factory=list)
    call_ms: list[float] = field(default_factory=list)
    win_rates: list[float] = field(default_factory=list)
    n_failed: int = 0
    n_unpriced: int = 0
    n_strong: int = 0
    cost_usd: float = 0.0
    saved_usd: float = 0.0

    def add(self, record: CallRecord) -> None:
        self.decision_ms.append(record.decision_ms)
        self.call_ms.append(record.call_ms)
        self.n_failed += record.outcome in ("failed", "refused")
        self.n_unpriced += record.outcome == "answered" and record.cost_usd is None
        self.n_strong += record.route == "strong"
        self.cost_usd += sum(
            usd or 0.0 for usd in (record.cost_usd, record.drafts_usd, record.verifiers_usd)
        )
        self.saved_usd += record.saved_usd or 0.0
        if record.decided_reason == "win_rate" and record.win_rate is not None:
            self.win_rates.append(record.win_rate)

    def summary(self, baseline: Baseline | None) -> PeriodSummary:
        psi = None
        if baseline is not None and self.win_rates:
            psi = baseline.drift(np.array(self.win_rates)).psi
        n = len(self.call_ms)
        middle, late = np.percentile(self.call_ms, [50, 95]).tolist()
        return PeriodSummary(
            started_at=self.started_at,
            n_calls=n,
            n_failed=self.n_failed,
            n_unpriced=self.n_unpriced,
            strong_share=self.n_strong / n,
            cost_usd=self.cost_usd,
            saved_usd=self.saved_usd,
            decision_ms=float(np.median(self.decision_ms)),
            call_ms_p50=middle,
            call_ms_p95=late,
            psi=psi,
        )


def summarise(
    records: Iterable[CallRecord],
    *,
    period_s: float | None = None,
    baseline: Baseline | None = None,
) -> LogSummary:
    """Return a log's figures.

    Parameters
    ----------
    records
        In any order.
    period_s
        Length of a period; by default one that gives at most some thirty.
    baseline
        What drift is measured from; by default the win rates of the earliest periods with
        100 of them together.

    Raises
    ------
    DataError
        If there are no records.
    """
    known = sorted(records, key=lambda record: record.started_at)
    if not known:
        raise DataError("The log holds no records.")
    first, last = known[0].started_at, known[-1].started_at
    if period_s is None:
        period_s = next((p for p in _PERIODS_S if (last - first) / p <= _MANY), _PERIODS_S[-1])
    bins: dict[float, _Bin] = {}
    total = _Bin(first)
    for record in known:
        begin = record.started_at // period_s * period_s
        bins.setdefault(begin, _Bin(begin)).add(record)
        total.add(record)
    own, own_baseline = _own_baseline(bins) if baseline is None else (set(), baseline)
    periods = tuple(
        found.summary(None if begin in own else own_baseline) for begin, found in bins.items()
    )
    return LogSummary(period_s, periods, total.summary(baseline))


def _own_baseline(bins: dict[float, _Bin]) -> tuple[set[float], Baseline | None]:
    """Return the earliest periods with enough win rates, and the baseline that they make."""
    begins: set[float] = set()
    win_rates: list[float] = []
    for begin, found in bins.items():
        begins.add(begin)
        win_rates += found.win_rates
        if len(win_rates) >= _MIN_BASELINE:
            return begins, Baseline(np.sort(np.array(win_rates)), n_prompts=len(win_rates))
    return begins, None
