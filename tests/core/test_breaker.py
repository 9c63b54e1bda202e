"""A breaker opens, probes once, and closes only on news that is new."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest

from routellm_core import ConfigurationError
from routellm_core.plan.breaker import Breaker, BreakerSettings, Permit


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(BreakerSettings(failures=3, window_s=10.0, cooldown_s=5.0), clock=clock)


def enter(breaker: Breaker) -> Permit:
    permit = breaker.enter()
    assert permit is not None
    return permit


def fail(breaker: Breaker, times: int = 3) -> None:
    for _ in range(times):
        enter(breaker).failed()


def test_it_opens_after_enough_failures_and_says_for_how_long(breaker, clock) -> None:
    fail(breaker, 2)
    assert breaker.state == "closed"
    fail(breaker, 1)
    assert (breaker.state, breaker.enter(), breaker.retry_in_s) == ("open", None, 5.0)
    clock.now += 5.0
    assert (breaker.state, breaker.retry_in_s) == ("half_open", 0.0)


def test_failures_outside_the_window_are_forgotten(breaker, clock) -> None:
    fail(breaker, 2)
    clock.now += 10.0
    fail(breaker, 2)
    assert breaker.state == "closed"


def test_a_success_forgets_the_failures(breaker) -> None:
    fail(breaker, 2)
    enter(breaker).succeeded()
    fail(breaker, 2)
    assert breaker.state == "closed"


def test_half_open_lets_exactly_one_probe_pass_under_64_threads(breaker, clock) -> None:
    fail(breaker)
    clock.now += 6.0
    with ThreadPoolExecutor(64) as pool:
        permits = list(pool.map(lambda _: breaker.enter(), range(640)))
    assert sum(permit is not None for permit in permits) == 1


def test_a_probe_closes_it_or_opens_it_again(breaker, clock) -> None:
    fail(breaker)
    clock.now += 5.0
    enter(breaker).failed()
    assert breaker.state == "open"
    clock.now += 5.0
    enter(breaker).succeeded()
    assert breaker.state == "closed"
    fail(breaker, 2)
    assert breaker.state == "closed"


def test_a_cancelled_probe_makes_room_for_another(breaker, clock) -> None:
    fail(breaker)
    clock.now += 5.0
    enter(breaker).dropped()
    enter(breaker).succeeded()
    assert breaker.state == "closed"


def test_of_overlapping_cooldowns_the_latest_end_counts(breaker, clock) -> None:
    slow, slower = enter(breaker), enter(breaker)
    fail(breaker)
    clock.now += 3.0
    slow.failed(retry_after_s=60.0)
    assert breaker.retry_in_s == 60.0
    clock.now += 1.0
    slower.failed()
    assert breaker.retry_in_s == 59.0


def test_the_success_of_an_older_call_does_not_close_it(breaker) -> None:
    old = enter(breaker)
    fail(breaker)
    old.succeeded()
    assert breaker.state == "open"


def test_an_old_probe_does_not_end_a_newer_opening(breaker, clock) -> None:
    fail(breaker)
    clock.now += 5.0
    first = enter(breaker)
    first.failed()
    clock.now += 5.0
    second = enter(breaker)
    first.dropped()
    assert breaker.enter() is None
    second.succeeded()
    assert breaker.state == "closed"


def test_a_copy_in_another_process_starts_closed(breaker) -> None:
    fail(breaker)
    copy = pickle.loads(pickle.dumps(breaker))
    assert (copy.state, copy.settings) == ("closed", breaker.settings)


@pytest.mark.parametrize(
    "bad", [{"failures": 0}, {"window_s": 0.0}, {"cooldown_s": -1.0}, {"cooldown_s": float("nan")}]
)
def test_settings_out_of_range_are_refused(bad: dict) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(bad))):
        BreakerSettings(**bad)
