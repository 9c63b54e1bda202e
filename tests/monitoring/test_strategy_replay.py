"""A log's calls priced as a cascade."""

import pytest

from routellm_core import ConfigurationError, DataError
from routellm_core.monitoring import CallRecord, Price, Pricing
from routellm_core.monitoring.strategy_replay import replay_cascade

PRICING = Pricing({"small": Price("small", 0.0, 1.0), "big": Price("big", 0.0, 10.0)})


def call(place, *, score=None, tokens=2, **more):
    steps = None if score is None else ({"expert": "weak", "score": score},)
    return CallRecord(
        call_id=str(place), started_at=0.0, outcome="answered", route="strong", model="big",
        reason="win_rate", decided_route="strong", decided_reason="win_rate", win_rate=0.6,
        threshold=0.5, router="r", strong_model="big", weak_model="small", input_tokens=1,
        output_tokens=tokens, cost_usd=10.0 * (tokens or 0), steps=steps, **more,
    )  # fmt: skip


def test_without_scores_the_rate_decides_what_the_strong_model_is_paid() -> None:
    found = replay_cascade(
        [call(0), call(1, tokens=4)], pricing=PRICING, accept_rate=0.75, verifier_usd=0.5
    )
    assert (found.n_calls, found.n_scored, found.accepted) == (2, 0, 0.75)
    assert (found.weak_usd, found.strong_usd, found.actual_usd) == (6.0, 60.0, 60.0)
    assert found.cascade_usd == pytest.approx(6.0 + 1.0 + 0.25 * 60.0)
    assert found.break_even == pytest.approx(7.0 / 60.0)
    even = replay_cascade([call(0), call(1, tokens=4)], pricing=PRICING,
                          accept_rate=found.break_even, verifier_usd=0.5)  # fmt: skip
    assert even.cascade_usd == pytest.approx(even.strong_usd)


def test_logged_scores_go_before_the_rate() -> None:
    records = [call(0, score=0.9), call(1, score=0.5), call(2, score=0.49), call(3)]
    found = replay_cascade(records, pricing=PRICING, accept=0.5, accept_rate=0.5)
    assert (found.n_scored, found.accepted) == (3, (1 + 1 + 0 + 0.5) / 4)
    assert found.cascade_usd == pytest.approx(4 * 2.0 + 20.0 + 0.5 * 20.0)
    with pytest.raises(DataError, match=r"Call '3' has no score.*`--accept-rate`"):
        replay_cascade(records, pricing=PRICING, accept=0.5)


def test_what_was_paid_counts_drafts_and_verifiers() -> None:
    records = [call(0, drafts_usd=2.0, verifiers_usd=0.25)]
    assert replay_cascade(records, pricing=PRICING, accept_rate=1.0).actual_usd == 22.25


def test_calls_without_a_price_are_in_no_sum_and_an_empty_log_is_refused() -> None:
    found = replay_cascade([call(0), call(1, tokens=None)], pricing=PRICING, accept_rate=0.0)
    assert (found.n_calls, found.n_unpriced, found.cascade_usd) == (2, 1, 22.0)
    with pytest.raises(DataError, match="no records"):
        replay_cascade([], pricing=PRICING, accept_rate=0.0)
    with pytest.raises(ConfigurationError, match=r"`accept`.*`accept_rate`"):
        replay_cascade([call(0)], pricing=PRICING)
    with pytest.raises(ConfigurationError, match="accept_rate"):
        replay_cascade([call(0)], pricing=PRICING, accept_rate=1.5)
