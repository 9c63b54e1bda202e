"""Deadlines around asynchronous attempts, and calls that are begun and never made."""

import asyncio

import pytest

from routellm_core import (
    BreakerSettings,
    ConfigurationError,
    Decision,
    RetrySettings,
    make_decider,
    make_guards,
)
from routellm_core.testing import ScriptedRouter

WEAK = Decision("weak", "small", 0.1, 0.5, "scripted", "win_rate")


@pytest.fixture
def begin():
    decider = make_decider(router=ScriptedRouter(), strong_model="big", weak_model="small")

    def begin(**arguments):
        guards = make_guards(**arguments)
        return guards, lambda: guards.begin(
            WEAK, decider=decider, worth_escalating=lambda error: True
        )

    return begin


async def test_an_attempt_that_takes_too_long_is_given_up_and_another_model_asked(begin) -> None:
    _, call = begin(retry=RetrySettings(attempt_timeout_s=0.01))
    attempts = call()
    with pytest.raises(TimeoutError) as caught:
        await attempts.within(asyncio.sleep(60))
    assert attempts.failed(caught.value)
    assert attempts.decision.route == "strong"


async def test_the_deadline_ends_an_attempt_and_begins_no_other(begin) -> None:
    _, call = begin(retry=RetrySettings(deadline_s=0.01, retries=3))
    attempts = call()
    with pytest.raises(TimeoutError) as caught:
        await attempts.within(asyncio.sleep(60))
    assert not attempts.failed(caught.value)


async def test_all_waits_of_an_attempt_share_its_time(begin) -> None:
    _, call = begin(retry=RetrySettings(attempt_timeout_s=60.0))
    attempts, now = call(), 0.0
    attempts._clock = lambda: now
    assert await attempts.within(asyncio.sleep(0, "no content yet")) == "no content yet"
    now = 61.0
    with pytest.raises(TimeoutError) as caught:
        await attempts.within(asyncio.sleep(0.01))
    assert attempts.failed(caught.value)
    assert await attempts.within(asyncio.sleep(0, "strong")) == "strong"  # has its own time


async def test_without_a_limit_an_answer_is_waited_for(begin) -> None:
    _, call = begin()
    assert await call().within(asyncio.sleep(0, "answer")) == "answer"


def test_a_call_that_is_dropped_gives_its_probe_and_its_budget_back(begin) -> None:
    records: list = []
    guards, call = begin(
        breaker=BreakerSettings(failures=1, cooldown_s=1e-9), budget=1.0, monitor=records.append
    )
    call().failed(ConnectionError())
    probe = call()
    assert guards.breakers["weak"].enter() is None  # the only probe is out
    del probe
    assert guards.breakers["weak"].enter() is not None
    assert guards.monitor.flush()
    assert records[-1].outcome == "abandoned"


@pytest.mark.parametrize("name", ["deadline_s", "attempt_timeout_s"])
def test_a_limit_must_be_above_zero(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"`{name}`"):
        RetrySettings(**{name: 0.0})
