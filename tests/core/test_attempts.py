"""Retries, deadlines and breakers around one call."""

import sys
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from json import JSONDecodeError
from types import SimpleNamespace

import pytest

from routellm_core import (
    Attempts,
    Breaker,
    BreakerSettings,
    CircuitOpenError,
    ConfigurationError,
    Decision,
    EmptyAnswerError,
    RetrySettings,
    escalation_filter,
    fault_of,
)
from routellm_core.experts import ExpertTable
from routellm_core.plan import FailedAttempt
from routellm_core.policy import retry_after_of

WEAK = Decision("weak", "small", 0.1, 0.5, "scripted", "win_rate")
STRONG = Decision("strong", "big", 0.9, 0.5, "scripted", "win_rate")


PAIR = ExpertTable.of_pair(strong_model="big", weak_model="small")


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Answer(Exception):  # noqa: N818 - stands for a provider's HTTP answer
    def __init__(self, status_code=503, retry_after=None):
        headers = {} if retry_after is None else {"retry-after": retry_after}
        self.response = type("Response", (), {"status_code": status_code, "headers": headers})()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def machine(clock):
    def make(decision=WEAK, breakers=None, **retry) -> Attempts:
        return Attempts(
            decision,
            experts=PAIR,
            worth_escalating=escalation_filter(None),
            retry=RetrySettings(**retry),
            breakers=breakers,
            clock=clock,
            jitter=lambda: 1.0,
        )

    return make


def test_the_same_model_is_tried_again_with_growing_pauses_and_then_the_strong_one(machine) -> None:
    attempts = machine(retries=2, backoff_s=0.5)
    waits = []
    while attempts.failed(Answer(500)):
        waits.append((attempts.decision.route, attempts.wait_s))
    assert waits == [
        ("weak", 0.5), ("weak", 1.0), ("strong", 0.0), ("strong", 0.5), ("strong", 1.0),
    ]  # fmt: skip
    assert attempts.failures[0] == FailedAttempt("weak", "small", "Answer")
    assert [failure.route for failure in attempts.failures] == ["weak"] * 3 + ["strong"] * 3


def test_a_pause_is_never_longer_than_the_longest(machine) -> None:
    attempts = machine(STRONG, retries=9, backoff_s=1.0, max_backoff_s=3.0)
    waits = []
    while attempts.failed(Answer()):
        waits.append(attempts.wait_s)
    assert waits == [1.0, 2.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0]


def test_a_pause_that_the_provider_asks_for_is_kept_when_it_fits_the_deadline(machine) -> None:
    attempts = machine(retries=1, deadline_s=10.0)
    assert attempts.failed(Answer(429, "1"))
    assert (attempts.decision.route, attempts.wait_s) == ("weak", 1.0)


def test_a_pause_beyond_the_deadline_means_the_strong_model_at_once(machine) -> None:
    for attempts in (machine(retries=1, deadline_s=10.0), machine(retries=1)):
        assert attempts.failed(Answer(429, "3600"))
        assert (attempts.decision.route, attempts.wait_s) == ("strong", 0.0)


def test_no_attempt_begins_after_the_deadline(machine, clock) -> None:
    attempts = machine(retries=5, deadline_s=10.0)
    assert attempts.remaining_s == 10.0
    clock.now += 10.0
    assert not attempts.failed(Answer())
    assert attempts.remaining_s == 0.0
    assert attempts.decision == WEAK


@pytest.mark.parametrize("error", [Answer(400), Answer(401), Answer(404), ValueError("bug")])
def test_a_request_at_fault_is_tried_once(machine, error) -> None:
    assert not machine(retries=5).failed(error)


def test_a_full_context_is_not_retried_but_escalated(machine) -> None:
    class ContextWindowExceededError(Exception):
        pass

    attempts = machine(retries=5)
    assert attempts.failed(ContextWindowExceededError())
    assert attempts.decision.route == "strong"


@pytest.mark.parametrize("error", [EmptyAnswerError(), JSONDecodeError("x", "{", 0)])
def test_an_answer_that_is_none_is_escalated_once(machine, error) -> None:
    assert fault_of(error) == "answer"
    attempts = machine(retries=5)
    assert attempts.failed(error)
    assert attempts.decision.route == "strong"
    assert not attempts.failed(error)


def test_content_policy_is_the_requests_fault() -> None:
    class ContentPolicyViolationError(Exception):
        status_code = 500

    assert fault_of(ContentPolicyViolationError()) == "request"


def test_the_last_error_carries_the_earlier_ones(machine) -> None:
    first, second = TimeoutError("weak"), ConnectionError("strong")
    second.__cause__ = OSError("socket")
    attempts = machine()
    assert attempts.failed(first)
    assert not attempts.failed(second)
    assert second.__cause__.__context__ is first


def test_the_same_error_twice_makes_no_loop(machine) -> None:
    error = TimeoutError()
    attempts = machine()
    attempts.failed(error)
    attempts.failed(error)
    assert error.__context__ is None


# Breakers


@pytest.fixture
def breakers(clock) -> dict[str, Breaker]:
    settings = BreakerSettings(failures=2, cooldown_s=5.0)
    return {route: Breaker(settings, clock=clock) for route in ("strong", "weak")}


def test_a_weak_model_that_keeps_failing_is_passed_over(machine, breakers, clock) -> None:
    for _ in range(2):
        attempts = machine(breakers=breakers)
        assert attempts.failed(Answer())
        attempts.succeeded()
    assert breakers["weak"].state == "open"
    attempts = machine(breakers=breakers)
    assert attempts.decision == replace(WEAK, route="strong", model="big", reason="breaker_open")
    clock.now += 5.0
    probe = machine(breakers=breakers)
    assert probe.decision.route == "weak"
    assert machine(breakers=breakers).decision.route == "strong"
    probe.succeeded()
    assert breakers["weak"].state == "closed"


def test_with_both_breakers_open_a_call_fails_at_once(machine, breakers) -> None:
    for _ in range(2):
        attempts = machine(breakers=breakers)
        assert attempts.failed(Answer())
        assert not attempts.failed(Answer())
    for decision in (WEAK, STRONG):
        with pytest.raises(CircuitOpenError, match="not asked for now"):
            machine(decision, breakers=breakers)


def test_an_open_strong_breaker_never_sends_a_call_to_the_weak_model(machine, breakers) -> None:
    for _ in range(2):
        assert not machine(STRONG, breakers=breakers).failed(Answer())
    with pytest.raises(CircuitOpenError):
        machine(STRONG, breakers=breakers)
    attempts = machine(breakers=breakers)
    assert not attempts.failed(Answer())
    assert attempts.decision == WEAK


def test_bad_requests_and_cancellations_open_no_breaker(machine, breakers) -> None:
    for error in (Answer(400), KeyboardInterrupt(), ValueError()) * 3:
        assert not machine(breakers=breakers).failed(error)
    assert breakers["weak"].state == "closed"


# Reading errors


def test_a_retry_after_header_is_seconds_or_a_date() -> None:
    soon = datetime.now(timezone.utc) + timedelta(seconds=30)
    date = retry_after_of(Answer(429, format_datetime(soon, usegmt=True)))
    assert date is not None
    assert 25.0 < date <= 30.0
    assert retry_after_of(Answer(429, "Wed, 21 Oct 2015 07:28:00 GMT")) == 0.0
    assert retry_after_of(Answer(429, "1.5")) == 1.5
    for nothing in (
        Answer(429),
        Answer(429, "soon"),
        Answer(429, "-3"),
        Answer(429, "nan"),
        ValueError(),
    ):
        assert retry_after_of(nothing) is None


@pytest.mark.parametrize(
    "bad",
    [{"retries": -1}, {"backoff_s": -0.1}, {"max_backoff_s": float("nan")}, {"deadline_s": 0}],
)
def test_retry_settings_out_of_range_are_refused(bad) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(bad))):
        RetrySettings(**bad)


@pytest.fixture
def litellm(monkeypatch):
    stand_in = SimpleNamespace(suppress_debug_info=False)
    monkeypatch.setitem(sys.modules, "litellm", stand_in)
    return stand_in


def test_litellm_prints_no_advice_while_a_failure_would_be_answered(machine, litellm) -> None:
    attempts = machine(retries=1)
    assert litellm.suppress_debug_info
    assert attempts.failed(Answer())  # the weak model is tried again
    assert litellm.suppress_debug_info
    assert attempts.failed(Answer())  # the strong model is asked, whose failure is final
    assert not litellm.suppress_debug_info


ENDS = {
    "content": lambda attempts: attempts.commit(),
    "an answer": lambda attempts: attempts.succeeded(),
    "a final error": lambda attempts: attempts.failed(Answer(400)),
    "nobody waiting": lambda attempts: attempts.close(),
}


@pytest.mark.parametrize("end", ENDS)
def test_litellm_prints_as_before_after(machine, litellm, end) -> None:
    first, second = machine(), machine()
    for attempts in (first, second):
        assert litellm.suppress_debug_info
        ENDS[end](attempts)
        ENDS[end](attempts)
    assert not litellm.suppress_debug_info


def test_litellm_is_let_alone_by_a_strong_call(machine, litellm) -> None:
    attempts = machine(STRONG)
    assert not litellm.suppress_debug_info
    attempts.close()
