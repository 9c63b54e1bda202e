"""What a warm prompt cache is worth."""

from __future__ import annotations

import pytest

from routellm_core import ConfigurationError
from routellm_core.monitoring import Price, price_of
from routellm_core.policy.caching import CachedCall, break_even_calls, break_even_price_ratio
from routellm_core.policy.prefixes import _held
from routellm_core.types import Usage

# US dollars per million tokens: 5 and 25, 1 and 5; cached tokens at 0.1 and 1.25 of the input.
LARGE = Price("large", 5e-6, 25e-6, cache_read_usd=0.5e-6, cache_write_usd=6.25e-6)
SMALL = Price("small", 1e-6, 5e-6, cache_read_usd=0.1e-6, cache_write_usd=1.25e-6)
CALL = CachedCall(prompt_tokens=20_000, share=0.85, answer_tokens=500)


def test_staying_with_the_large_model_costs_less_than_its_list_price() -> None:
    assert CALL.warm_usd(LARGE) == pytest.approx(0.0360, abs=1e-12)
    assert CALL.cold_usd(LARGE) == pytest.approx(0.1125, abs=1e-12)


def test_the_first_call_of_the_small_model_pays_for_its_cache() -> None:
    first = CALL.warm_usd(SMALL) + CALL.one_off_usd(SMALL)
    assert first == pytest.approx(0.02675, abs=1e-12)
    assert CALL.mean_usd(SMALL) == pytest.approx(0.02675, abs=1e-12)


def test_escalating_from_a_warm_small_model_costs_more_than_the_list_prices_say() -> None:
    stay = CALL.warm_usd(SMALL)
    switch = CALL.warm_usd(LARGE) + CALL.one_off_usd(LARGE)
    assert stay == pytest.approx(0.0072, abs=1e-12)
    assert switch == pytest.approx(0.13375, abs=1e-12)
    assert switch - stay == pytest.approx(0.12655, abs=1e-12)
    assert CALL.cold_usd(LARGE) - CALL.cold_usd(SMALL) == pytest.approx(0.0900, abs=1e-12)


def test_the_net_saving_is_the_calls_saving_less_the_one_off_cost() -> None:
    saved = 0.0360 - 0.0072
    one_off = 20_000 * 0.85 * 1e-6 * (1.25 - 0.1)
    for n_calls in (1, 4, 10):
        found = CALL.net_saving_usd(LARGE, SMALL, n_calls=n_calls)
        assert found == pytest.approx(n_calls * saved - one_off, abs=1e-12)


@pytest.mark.parametrize(("share", "ratio"), [(0.5, 0.489), (0.85, 0.194), (1.0, 0.080)])
def test_the_price_ratio_at_which_a_switch_pays_at_once(share: float, ratio: float) -> None:
    assert round(break_even_price_ratio(share), 3) == ratio


def test_a_switch_to_half_the_price_pays_from_the_fifth_call_on() -> None:
    assert round(break_even_calls(0.5, 0.85), 2) == 4.16
    half = Price("half", 0.5, 0.0, cache_read_usd=0.05, cache_write_usd=0.625)
    whole = Price("whole", 1.0, 0.0, cache_read_usd=0.1, cache_write_usd=1.25)
    call = CachedCall(1.0, 0.85, 0.0)
    assert call.net_saving_usd(whole, half, n_calls=4) < 0.0
    assert call.net_saving_usd(whole, half, n_calls=5) > 0.0


def test_where_nothing_is_cached_the_cost_is_the_list_price() -> None:
    cold = CALL._replace(share=0.0)
    assert cold.warm_usd(LARGE) == cold.cold_usd(LARGE)
    assert cold.one_off_usd(LARGE) == 0.0
    assert break_even_price_ratio(0.0) == 1.0


def test_a_model_that_has_the_prefix_of_its_own_call_pays_for_the_rest_only() -> None:
    half = CALL.one_off_usd(SMALL, own_share=0.425)
    assert half == pytest.approx(CALL.one_off_usd(SMALL) / 2.0)
    assert CALL.one_off_usd(SMALL, own_share=0.85) == 0.0
    assert CALL.one_off_usd(SMALL, own_share=1.0) == 0.0


def test_without_cache_prices_a_cache_changes_nothing() -> None:
    plain = Price("plain", 1e-6, 5e-6)
    assert not plain.has_cache_prices
    assert CALL.mean_usd(plain) == pytest.approx(CALL.cold_usd(plain))


@pytest.mark.parametrize(
    ("read", "written", "tokens"),
    [(0, None, 0), (0, 0, 0), (None, 0, 0), (0, 1500, 1500), (1000, 500, 1500),
     (1500, None, 1500), (None, None, None)],
)  # fmt: skip
def test_reads_and_writes_count_and_zero_is_an_answer(
    read: int | None, written: int | None, tokens: int | None
) -> None:
    usage = Usage(2000, 1, cached_tokens=read, cache_write_tokens=written)
    # Where nobody counted, the whole prompt is an estimate.
    assert _held(usage, [], 0) == (2000 if tokens is None else tokens, tokens is None)


@pytest.mark.parametrize("bad", [-0.1, 1.1, float("nan")])
def test_a_share_outside_the_unit_interval_is_refused(bad: float) -> None:
    with pytest.raises(ConfigurationError, match="must lie in"):
        break_even_price_ratio(bad)
    with pytest.raises(ConfigurationError, match="must lie in"):
        break_even_calls(0.5, bad)


@pytest.mark.parametrize("bad", [0.0, -1.0, 1.5])
def test_a_price_ratio_that_is_none_is_refused(bad: float) -> None:
    with pytest.raises(ConfigurationError, match="must lie in"):
        break_even_calls(bad, 0.5)


@pytest.mark.parametrize(
    ("model", "read", "write"),
    [
        ("claude-haiku-4-5", 0.1, 1.25),
        ("gpt-4o", 0.5, 1.0),
        ("deepseek/deepseek-chat", 0.1, 1.0),  # the table's price of a write is 0
        ("gpt-4", 1.0, 1.0),  # the table has no cache prices
    ],
)
def test_the_table_tells_what_cached_tokens_cost(model: str, read: float, write: float) -> None:
    price = price_of(model)
    assert price is not None
    assert price.read_usd == pytest.approx(read * price.input_usd)
    assert price.write_usd == pytest.approx(write * price.input_usd)


def test_a_cost_counts_cached_tokens_at_their_prices() -> None:
    cost = SMALL.cost_usd(
        input_tokens=2000, output_tokens=100, cached_tokens=1000, cache_write_tokens=500
    )
    assert cost == pytest.approx((500 * 1.0 + 1000 * 0.1 + 500 * 1.25 + 100 * 5.0) * 1e-6)
