"""Estimates from sampled calls: near the truth on average, and as sure as they say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from routellm_core import CallRecord, DataError
from routellm_core.data import Outcomes
from routellm_core.data.rows import RowReport
from routellm_core.labeling import estimate_shadows
from routellm_core.monitoring import OutcomeRecord, ShadowRecord

N = 800
N_LOGS = 250
SHARES = (0.1, 0.4)
"""Of the first and of the second half of each log."""


def call(number: int, route: str, *, cost: float = 0.0, share: float | None = None, **more):
    fields = {
        "call_id": f"00000000-1-{number:x}", "started_at": float(number), "outcome": "answered",
        "route": route, "model": route, "reason": "win_rate", "decided_route": route,
        "decided_reason": "win_rate", "win_rate": 0.5, "threshold": 0.5, "router": "mf",
        "strong_model": "strong", "weak_model": "weak", "cost_usd": cost, "shadow_share": share,
    }  # fmt: skip
    return CallRecord(**{**fields, **more})


def shadow(record: CallRecord, *, cost: float, outcome: str = "answered") -> ShadowRecord:
    other = "weak" if record.route == "strong" else "strong"
    return ShadowRecord(
        call_id=record.call_id, started_at=0.0, outcome=outcome, route=other, model=other,
        share=record.shadow_share, ms=1.0, cost_usd=cost, prompt=record.call_id, answers={},
    )  # fmt: skip


def labels(gaps: dict[str, float]) -> Outcomes:
    """Return labels by which the strong model's answer is better where the gap is above 0."""
    gap = np.array(list(gaps.values()))
    quality = np.column_stack([0.5 + 0.5 * gap, 0.5 - 0.5 * gap])
    cost = np.full_like(quality, np.nan)
    return Outcomes(tuple(gaps), ("strong", "weak"), quality, cost, RowReport(len(gap), 0))


def simulated(seed: int):
    """Return a log whose quality and cost drift while the share of sampled calls changes."""
    rng = np.random.default_rng(seed)
    late = np.arange(N) >= N // 2
    is_strong = rng.random(N) < 0.3
    strong_better = rng.random(N) < np.where(is_strong, 0.6, np.where(late, 0.05, 0.35))
    weak_cost, strong_cost = rng.exponential(1.0, N), rng.exponential(np.where(late, 20.0, 10.0))
    share = np.where(late, SHARES[1], SHARES[0])
    sampled = rng.random(N) < share
    records, shadows, gaps = [], [], {}
    for row in range(N):
        cost = (strong_cost if is_strong[row] else weak_cost)[row]
        other = (weak_cost if is_strong[row] else strong_cost)[row]
        route = "strong" if is_strong[row] else "weak"
        chosen = float(share[row]) if sampled[row] else None
        record = call(row, route, cost=float(cost), share=chosen)
        records.append(record)
        if sampled[row]:
            shadows.append(shadow(record, cost=float(other)))
            gaps[record.call_id] = 1.0 if strong_better[row] else -1.0
    truth = {
        "other_better": np.where(is_strong, ~strong_better, strong_better).mean(),
        "quality_kept": 1.0 - (~is_strong & strong_better).mean(),
        "saved_usd": (strong_cost - weak_cost)[~is_strong].sum(),
    }
    return estimate_shadows(records, shadows, labels(gaps)), truth


def test_intervals_cover_the_truth_and_the_estimates_have_no_bias() -> None:
    logs = [simulated(seed) for seed in range(N_LOGS)]
    for name in ("other_better", "quality_kept", "saved_usd"):
        figures = [getattr(found, name) for found, _ in logs]
        truths = np.array([truth[name] for _, truth in logs])
        covered = np.mean([f.low <= t <= f.high for f, t in zip(figures, truths, strict=True)])
        # 95 % less three standard errors of 250 logs, 0.041.
        assert covered >= 0.909, f"{name} is covered in {covered:.1%}"
        errors = np.array([figure.value for figure in figures]) - truths
        assert abs(errors.mean()) <= 3.0 * errors.std() / np.sqrt(N_LOGS), name
        # Without weights the late calls would count four times: far outside of this.
        widths = np.mean([figure.high - figure.low for figure in figures])
        assert widths <= 6.0 * errors.std(), f"the intervals of {name} are too wide"


def test_what_nobody_sampled_or_labelled_is_not_estimated() -> None:
    records = [call(row, "weak", cost=1.0, share=0.5) for row in range(4)]
    found = estimate_shadows(records, [])
    assert (found.n_calls, found.n_sampled, found.n_answered, found.n_labelled) == (4, 4, 0, 0)
    assert (found.other_better, found.quality_kept, found.saved_usd) == (None, None, None)


def test_all_strong_calls_keep_all_quality_and_save_nothing() -> None:
    records = [call(row, "strong", cost=1.0, router_usd=0.25) for row in range(4)]
    found = estimate_shadows(records, [])
    assert found.quality_kept == (1.0, 1.0, 1.0)
    assert found.saved_usd == (-1.0, -1.0, -1.0)


def test_a_share_of_0_among_few_labels_is_not_sure() -> None:
    records = [call(row, "weak", cost=1.0, share=1.0) for row in range(10)]
    shadows = [shadow(record, cost=2.0) for record in records]
    gaps = {record.call_id: -1.0 for record in records}
    found = estimate_shadows(records, shadows, labels(gaps))
    assert found.quality_kept.value == 1.0
    assert 0.6 < found.quality_kept.low < 0.9
    assert found.saved_usd == (10.0, 10.0, 10.0)


def test_calls_that_the_router_did_not_decide_or_that_failed_are_no_part() -> None:
    records = [
        call(1, "weak", decided_reason="override"),
        call(2, "strong", decided_reason="capability:tools"),
        call(3, "weak", outcome="failed"),
        call(4, "weak", share=1.0),
    ]
    notes = [shadow(records[3], cost=1.0, outcome="failed")]
    found = estimate_shadows(records, notes)
    assert (found.n_calls, found.n_sampled, found.n_answered) == (1, 1, 0)


def test_ratings_count_once_for_each_call_and_by_route() -> None:
    records = [call(1, "weak"), call(2, "weak"), call(3, "strong")]
    said = [(1, 1.0), (1, 0.0), (2, 1.0), (3, 0.5), (9, 1.0)]
    notes = [
        OutcomeRecord(call_id=f"00000000-1-{number:x}", recorded_at=0.0, score=score)
        for number, score in said
    ]
    found = estimate_shadows(records, notes)
    assert (found.n_rated, dict(found.ratings)) == (3, {"strong": 0.5, "weak": 0.5})
    assert found.n_orphans == 1


def test_a_log_of_experts_or_labels_of_other_models_are_refused() -> None:
    with pytest.raises(DataError, match="for a pair"):
        estimate_shadows([call(1, "coder")], [])
    other = labels({"x": 1.0})
    with pytest.raises(DataError, match="'gpt-4o' is not in the labels"):
        estimate_shadows([call(1, "weak", strong_model="gpt-4o")], [], other)


def test_a_label_of_a_text_in_several_conversations_is_left_out() -> None:
    records = [call(number, "weak", share=1.0) for number in range(2)]
    alone, continued = (
        replace(shadow(record, cost=0.0), prompt="Sort a list") for record in records
    )
    said = ({"role": "user", "content": "Sort a list"}, {"role": "user", "content": "continue"})
    label = labels({"Sort a list": 1.0})
    assert estimate_shadows(records, [alone, continued], label).n_labelled == 2
    apart = [alone, replace(continued, messages=said)]
    assert estimate_shadows(records, apart, label).n_labelled == 0
