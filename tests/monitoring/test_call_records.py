"""From a call's end to its record, and the record as JSON."""

import json

import pytest

from routellm_core import (
    CallRecord,
    CircuitOpenError,
    DataError,
    Decision,
    Monitor,
    Price,
    RetrySettings,
    Usage,
    make_decider,
    make_guards,
)
from routellm_core.testing import ScriptedRouter

PRICES = {"big": Price("big", 3e-6, 1e-5), "small": Price("small", 1e-6, 2e-6)}
WEAK = Decision("weak", "small", 0.2, 0.5, "scripted", "win_rate")


@pytest.fixture
def decider():
    return make_decider(router=ScriptedRouter(), strong_model="big", weak_model="small")


@pytest.fixture
def watched(decider):
    """Return a function that begins a call, and one that returns the records so far."""
    records: list[CallRecord] = []

    def with_monitor(**options):
        breaker, retry = options.pop("breaker", None), options.pop("retry", None)
        monitor = Monitor(records.append, **{"prices": PRICES, **options})
        guards = make_guards(monitor=monitor, breaker=breaker, retry=retry)

        def begin(decision=WEAK, text="hello"):
            return guards.begin(
                decision, decider=decider, worth_escalating=lambda error: True, text=text
            )

        def seen() -> list[CallRecord]:
            assert monitor.flush()
            return records

        return begin, seen

    return with_monitor


def test_an_answer_is_recorded_with_its_cost_and_what_it_saved(watched) -> None:
    begin, seen = watched()
    begin().succeeded(Usage(1000, 100, "small-2024-07-18"))
    [record] = seen()
    assert (record.outcome, record.route, record.model) == ("answered", "weak", "small")
    assert (record.win_rate, record.threshold, record.router) == (0.2, 0.5, "scripted")
    assert record.answered_model == "small-2024-07-18"
    assert record.cost_usd == pytest.approx(1000 * 1e-6 + 100 * 2e-6)
    assert record.strong_usd == pytest.approx(1000 * 3e-6 + 100 * 1e-5)
    assert record.saved_usd == pytest.approx(0.004 - 0.0012)
    assert (record.attempts, record.failures, record.error) == (1, (), None)


def test_savings_are_net_of_what_the_router_costs_but_only_where_it_was_asked(watched) -> None:
    begin, seen = watched(router_usd=0.001)
    begin().succeeded(Usage(1000, 100))
    begin(Decision("weak", "small", 0.2, 0.5, "scripted", "sticky")).succeeded(Usage(1000, 100))
    first, second = seen()
    assert first.saved_usd == pytest.approx(0.0028 - 0.001)
    assert (second.router_usd, second.saved_usd) == (0.0, pytest.approx(0.0028))


def test_cached_tokens_count_at_their_prices_in_costs_and_savings(watched) -> None:
    big = Price("big", 3e-6, 1e-5, cache_read_usd=3e-7, cache_write_usd=3.75e-6)
    begin, seen = watched(prices={**PRICES, "big": big})
    usage = Usage(1000, 100, cached_tokens=600, cache_write_tokens=300)
    begin().succeeded(usage)
    [record] = seen()
    assert (record.cached_tokens, record.cache_write_tokens) == (600, 300)
    # The small model has no price for cached tokens: they cost what the others cost.
    assert record.cost_usd == pytest.approx(1000 * 1e-6 + 100 * 2e-6)
    strong = 100 * 3e-6 + 600 * 3e-7 + 300 * 3.75e-6 + 100 * 1e-5
    assert record.strong_usd == pytest.approx(strong)
    assert record.saved_usd == pytest.approx(strong - 0.0012)


@pytest.mark.parametrize(
    ("usage", "prices"), [(None, PRICES), (Usage(5, None), PRICES), (Usage(5, 5), {})]
)
def test_a_cost_that_nobody_knows_is_none_and_never_zero(watched, usage, prices) -> None:
    begin, seen = watched(prices=prices)
    begin(Decision("weak", "no-such-model", 0.2, 0.5, "scripted", "win_rate")).succeeded(usage)
    [record] = seen()
    assert (record.cost_usd, record.saved_usd) == (None, None)


def test_an_escalation_keeps_the_decision_that_it_came_from(watched) -> None:
    begin, seen = watched()
    attempts = begin()
    assert attempts.failed(TimeoutError("late"))
    attempts.succeeded(Usage(10, 1))
    [record] = seen()
    assert (record.route, record.reason) == ("strong", "escalation:TimeoutError")
    assert (record.decided_route, record.decided_reason) == ("weak", "win_rate")
    assert (record.attempts, record.failures) == (2, ("weak:TimeoutError",))


def test_a_stream_that_breaks_off_is_partial(watched) -> None:
    begin, seen = watched()
    attempts = begin()
    attempts.commit()
    assert not attempts.failed(ConnectionError("cut"))
    [record] = seen()
    assert (record.outcome, record.error, record.partial) == ("failed", "ConnectionError", True)
    assert record.attempts == 1
    assert record.first_chunk_ms is not None
    assert record.saved_usd is None


def test_a_caller_who_leaves_is_recorded_once(watched) -> None:
    begin, seen = watched()
    attempts = begin()
    attempts.close()
    attempts.close()
    answered = begin()
    answered.succeeded()
    answered.close()
    assert [record.outcome for record in seen()] == ["abandoned", "answered"]


def test_a_call_that_no_model_may_take_is_recorded_as_refused(watched) -> None:
    begin, seen = watched(breaker=True, retry=RetrySettings())
    strong = Decision("strong", "big", 0.9, 0.5, "scripted", "win_rate")
    for _ in range(5):
        assert not begin(strong).failed(ConnectionError())
    with pytest.raises(CircuitOpenError):
        begin(strong)
    record = seen()[-1]
    assert (record.outcome, record.attempts, record.error) == ("refused", 0, "CircuitOpenError")


def test_a_prompt_is_only_a_keyed_digest_by_default(watched) -> None:
    begin, seen = watched(hash_key=b"k" * 16)
    for text in ("my secret question", "my secret question", "another", ""):
        begin(text=text).succeeded()
    first, again, other, empty = seen()
    assert first.prompt is None
    assert first.prompt_hash == again.prompt_hash != other.prompt_hash
    assert empty.prompt_hash is None
    assert "secret" not in first.to_json()
    assert first.prompt_chars == 18


def test_a_kept_prompt_is_cut_to_the_length_that_was_asked_for(watched) -> None:
    begin, seen = watched(keep_prompt_chars=4)
    begin(text="abcdefgh").succeeded()
    assert seen()[0].prompt == "abcd"


@pytest.mark.parametrize("text", ["\ud800 half a pair", "line\nbreak\x1b[31m", "x" * 300_000])
def test_any_text_can_be_recorded_on_one_line(watched, text: str) -> None:
    begin, seen = watched(keep_prompt_chars=10)
    begin(text=text).succeeded()
    line = seen()[0].to_json()
    assert line.isascii()
    assert line.isprintable()


def test_a_record_survives_its_line_exactly(record) -> None:
    original = record(failures=("weak:TimeoutError",), first_chunk_ms=0.1, cost_usd=1e-7)
    assert CallRecord.from_json(original.to_json()) == original


def test_fields_of_later_versions_are_left_out(record) -> None:
    values = {**json.loads(record().to_json()), "v": 2, "colour": "blue"}
    assert CallRecord.from_json(json.dumps(values)) == record()


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "[]",
        "{}",
        "[" * 100_000,
        '{"call_id": "x"}',
    ],
)
def test_a_line_that_is_no_record_says_so(line: str) -> None:
    with pytest.raises(DataError):
        CallRecord.from_json(line)


@pytest.mark.parametrize(
    ("name", "value"),
    [("outcome", "splendid"), ("win_rate", "0.5"), ("attempts", True), ("failures", "x")],
)
def test_a_wrong_value_is_named(record, name: str, value: object) -> None:
    values = {**json.loads(record().to_json()), name: value}
    with pytest.raises(DataError, match=f"`{name}`"):
        CallRecord.from_json(json.dumps(values))
