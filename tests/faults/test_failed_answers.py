"""Rows 1 to 9 and 15: answers that do not come, or are none."""

import time

import pytest

from routellm_core import CircuitOpenError, RetrySettings
from routellm_core.testing import Step
from tests.faults.applications import HARD, KEY, Application

pytestmark = pytest.mark.loopback


def chain_of(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in found:
        found.append(following)
        following = following.__cause__ or following.__context__
    return found


def test_row_01_a_rate_limit_is_waited_for_as_long_as_it_says(application, server) -> None:
    app: Application = application(retry=RetrySettings(retries=1, deadline_s=10.0))
    server.script(Step(status=429, headers={"retry-after": "1"}), model="small")
    answer = app.ask()
    assert (answer.route, app.asked()) == ("weak", ["small", "small"])
    first, second = server.requests
    assert 1.0 <= second.received_s - first.received_s < 3.0


def test_row_01_a_rate_limit_beyond_the_deadline_is_not_waited_for(application, server) -> None:
    app: Application = application(retry=RetrySettings(retries=1, deadline_s=5.0))
    server.script(Step(status=429, headers={"retry-after": "3600"}), model="small")
    began = time.monotonic()
    assert app.ask().route == "strong"
    assert time.monotonic() - began < 4.0
    assert app.asked() == ["small", "big"]


@pytest.mark.parametrize("status", [500, 502, 503, 529])
def test_row_02_a_server_error_is_tried_again_then_elsewhere(application, server, status) -> None:
    app: Application = application(retry=RetrySettings(retries=2, backoff_s=0.001))
    server.script(*[Step(status=status)] * 3, model="small")
    answer = app.ask()
    assert answer.route == "strong"
    assert answer.reason.startswith("escalation:")
    assert app.asked() == ["small", "small", "small", "big"]
    record = app.record()
    assert record.attempts == 4
    assert [failure.split(":")[0] for failure in record.failures] == ["weak"] * 3
    assert (record.decided_route, record.route, record.outcome) == ("weak", "strong", "answered")


def test_row_03_a_model_that_hangs_is_left_at_its_clients_timeout(application, server) -> None:
    app: Application = application(timeout_s=0.5)
    server.script(Step(hang=True), model="small")
    began = time.monotonic()
    assert app.ask().route == "strong"
    assert 0.4 < time.monotonic() - began < 4.0


async def test_row_03_an_asynchronous_attempt_is_left_at_its_own_limit(application, server) -> None:
    app: Application = application(
        timeout_s=30.0, retry=RetrySettings(attempt_timeout_s=0.5, deadline_s=10.0)
    )
    await app.aask(HARD)  # connections and imports are not timed
    server.script(Step(hang=True), model="small")
    began = time.monotonic()
    assert (await app.aask()).route == "strong"
    assert 0.4 < time.monotonic() - began < 3.0


async def test_row_03_the_total_deadline_ends_the_call(application, server) -> None:
    app: Application = application(timeout_s=30.0, retry=RetrySettings(deadline_s=0.5))
    await app.aask(HARD)
    server.script(Step(hang=True), model="small")
    server.script(Step(hang=True), model="big")
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        await app.aask()
    assert 0.4 < time.monotonic() - began < 2.0


def test_row_04_a_refused_connection_is_not_waited_for(application, server, dead_url) -> None:
    app: Application = application(weak_url=dead_url)
    began = time.monotonic()
    assert app.ask().route == "strong"
    assert time.monotonic() - began < 3.0


@pytest.mark.parametrize("status", [401, 403])
def test_row_05_refused_credentials_are_final_and_no_key_is_told(
    application, server, status
) -> None:
    app: Application = application(retry=RetrySettings(retries=3))
    server.script(Step(status=status), model="small")
    with pytest.raises(Exception) as caught:
        app.ask()
    assert app.asked() == ["small"]
    assert not any(KEY in f"{error!s}{error!r}" for error in chain_of(caught.value))
    assert app.record().model.removeprefix("openai/") == "small"


@pytest.mark.parametrize("status", [400, 404, 422])
def test_row_06_a_bad_request_is_passed_through(application, server, status) -> None:
    app: Application = application(retry=RetrySettings(retries=3))
    server.script(Step(status=status), model="small")
    with pytest.raises(Exception, match="Scripted error"):
        app.ask()
    assert app.asked() == ["small"]


@pytest.mark.parametrize("body", ["{", "", '{"choices": []}', "<html>busy</html>", "null"])
def test_row_07_an_answer_that_is_none_is_followed_by_the_other_model(
    application, server, body
) -> None:
    app: Application = application()
    server.script(Step(body=body), model="small")
    assert app.ask().route == "strong"
    assert app.asked() == ["small", "big"]


def test_row_08_a_prompt_too_long_goes_to_the_other_model(application, server) -> None:
    app: Application = application(retry=RetrySettings(retries=3))
    server.script(Step(status=400, error_code="context_length_exceeded"), model="small")
    assert app.ask().route == "strong"
    assert app.asked() == ["small", "big"]


def test_row_08_a_prompt_too_long_for_the_strong_model_is_an_error(application, server) -> None:
    app: Application = application()
    server.script(Step(status=400, error_code="context_length_exceeded"), model="big")
    with pytest.raises(Exception, match="Scripted error"):
        app.ask(HARD)
    assert app.asked() == ["big"]


def test_row_09_a_refusal_of_content_is_the_callers(application, server) -> None:
    app: Application = application()
    server.script(Step(status=400, error_code="content_policy_violation"), model="small")
    with pytest.raises(Exception, match="Scripted error"):
        app.ask()
    assert app.asked() == ["small"]


def test_row_09_a_refusal_of_content_is_tried_elsewhere_where_that_is_asked_for(
    application, server
) -> None:
    app: Application = application(escalate_on=(Exception,))
    server.script(Step(status=400, error_code="content_policy_violation"), model="small")
    assert app.ask().route == "strong"


def test_row_15_when_both_models_fail_one_error_holds_both_causes(
    application, server, dead_url
) -> None:
    app: Application = application(weak_url=dead_url)
    server.script(Step(status=500), model="big")
    with pytest.raises(Exception) as caught:
        app.ask()
    names = " ".join(type(error).__name__ for error in chain_of(caught.value))
    assert "Connect" in names
    assert "InternalServerError" in names


def test_row_15_with_both_breakers_open_nothing_is_sent_and_the_error_comes_at_once(
    application, server
) -> None:
    app: Application = application(breaker=True)
    server.script(*[Step(status=500)] * 10)
    for _ in range(5):
        with pytest.raises(Exception):  # noqa: B017
            app.ask()
    assert app.asked() == ["small", "big"] * 5
    # A machine that is busy delays some of the calls; what waits in the code delays all.
    best_s = float("inf")
    for _ in range(10):
        began = time.monotonic()
        with pytest.raises(CircuitOpenError, match="Seconds until another try"):
            app.ask()
        best_s = min(best_s, time.monotonic() - began)
    assert best_s < 0.05
    assert app.asked() == ["small", "big"] * 5
    assert app.record().outcome == "refused"
