"""What docs/reliability.md promises, on every way in."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from routellm_core import Budget, RetrySettings
from routellm_core.answers import consistency
from routellm_core.strategies import Cascade
from routellm_core.testing import ScriptedRouter, Step
from tests.faults.applications import EASY, HARD, PRICES
from tests.promises.ways_in import WAYS, Way

pytestmark = pytest.mark.loopback

every_way = pytest.mark.parametrize("way", WAYS, ids=str)
# The server takes prices from LiteLLM's table, which has none for the models here.
every_priced_way = pytest.mark.parametrize(
    "way", [w for w in WAYS if w.application != "server"], ids=str
)
every_async_way = pytest.mark.parametrize("way", [w for w in WAYS if w.is_async], ids=str)
every_stream = pytest.mark.parametrize("way", [w for w in WAYS if w.streams], ids=str)


class FailingRouter(ScriptedRouter):
    """Fail at every prompt."""

    def _win_rates(self, prompts: Any) -> Any:
        raise RuntimeError("The embedder is down.")


class LateRouter(ScriptedRouter):
    """Take longer than any deadline here."""

    inline = False

    def _win_rates(self, prompts: Any) -> Any:
        time.sleep(0.3)
        return super()._win_rates(prompts)


@every_way
async def test_a_failed_weak_model_is_followed_by_the_strong_one(application, way: Way) -> None:
    app = application(way.application)
    app.server.script(Step(status=500), model="small")
    assert await way(app, EASY) == f"big heard: {EASY}"
    assert app.asked() == ["small", "big"]
    record = app.record()
    assert (record.route, record.outcome, record.attempts) == ("strong", "answered", 2)
    assert record.reason.startswith("escalation:")


@every_way
@pytest.mark.parametrize("words", ["", " \n"])
async def test_an_answer_without_words_is_followed_by_the_strong_models(
    application, way: Way, words: str
) -> None:
    app = application(way.application)
    app.server.script(Step(text=words), model="small")
    # Events of version 2 are the model's own, and show its blanks as they come.
    assert (await way(app, EASY)).lstrip() == f"big heard: {EASY}"
    assert app.asked() == ["small", "big"]


@every_way
async def test_a_prompt_too_long_goes_to_the_strong_model(application, way: Way) -> None:
    app = application(way.application)
    app.server.script(Step(status=400, error_code="context_length_exceeded"), model="small")
    assert await way(app, EASY) == f"big heard: {EASY}"


@every_way
@pytest.mark.parametrize("status", [400, 401])
async def test_a_fault_of_the_request_or_the_key_is_raised(
    application, way: Way, status: int
) -> None:
    app = application(way.application)
    app.server.script(Step(status=status), model="small")
    with pytest.raises(Exception):  # noqa: B017 - each client has its own class
        await way(app, EASY)
    assert app.asked() == ["small"]
    assert app.record().outcome == "failed"


@every_way
async def test_the_strong_model_never_falls_back(application, way: Way) -> None:
    app = application(way.application)
    app.server.script(Step(status=500), model="big")
    with pytest.raises(Exception):  # noqa: B017 - each client has its own class
        await way(app, HARD)
    assert app.asked() == ["big"]


@every_way
async def test_the_same_model_is_tried_again_as_asked(application, way: Way) -> None:
    app = application(way.application, retry=RetrySettings(retries=1, backoff_s=0.001))
    app.server.script(Step(status=500), model="small")
    assert await way(app, EASY) == f"small heard: {EASY}"
    assert app.asked() == ["small", "small"]
    record = app.record()
    assert (record.route, record.reason, record.attempts) == ("weak", "win_rate", 2)


@every_way
async def test_a_failing_router_means_the_strong_model(application, way: Way) -> None:
    app = application(way.application, router=FailingRouter())
    assert await way(app, EASY) == f"big heard: {EASY}"
    assert app.record().reason == "router_error:RuntimeError"


@every_way
async def test_a_late_router_means_the_strong_model(application, way: Way) -> None:
    app = application(way.application, router=LateRouter(default=0.1))
    if way.application != "controller":  # which has the default
        app = application(way.application, router=LateRouter(default=0.1), router_deadline_s=0.02)
    assert await way(app, EASY) == f"big heard: {EASY}"
    assert app.record().reason == "router_error:TimeoutError"


@every_async_way
async def test_an_attempt_is_given_up_at_its_timeout(application, way: Way) -> None:
    app = application(way.application, timeout_s=30.0, retry=RetrySettings(attempt_timeout_s=0.4))
    await way(app, HARD)  # connections and imports are not timed
    app.server.script(Step(hang=True), model="small")
    began = time.monotonic()
    answer = await asyncio.wait_for(way(app, EASY), 20.0)
    assert answer == f"big heard: {EASY}"
    assert time.monotonic() - began < 10.0
    assert app.record().reason.startswith("escalation:")


@every_way
async def test_an_open_breaker_spares_the_model(application, way: Way) -> None:
    app = application(way.application, breaker=True)
    app.server.script(*[Step(status=500)] * 5, model="small")
    for _ in range(6):
        assert await way(app, EASY) == f"big heard: {EASY}"
    assert app.asked() == ["small", "big"] * 5 + ["big"]
    assert app.record().reason == "breaker_open"


@every_priced_way
async def test_over_its_budget_a_call_goes_to_the_weak_model(application, way: Way) -> None:
    app = application(way.application, budget=Budget(1e-12, prices=PRICES))
    await way(app, HARD)
    assert await way(app, HARD) == f"small heard: {HARD}"
    assert app.record().reason == "budget"


@every_way
async def test_every_call_has_one_record(application, way: Way) -> None:
    app = application(way.application)
    await way(app, EASY)
    record = app.record()
    assert (record.route, record.outcome, record.attempts) == ("weak", "answered", 1)
    # A stream counts its tokens if its client asks for that, as only LangChain's does here.
    if not way.streams or way.application == "langchain":
        assert (record.input_tokens or 0) > 0
        assert (record.output_tokens or 0) > 0
    if way.application != "server":
        assert len(app.records) == 1


@every_way
async def test_a_paste_is_routed_on_the_request_in_it(application, way: Way) -> None:
    app = application(way.application)
    await way(app, f"Context:\nThe tower is 324 m high.\n\nQuestion: {HARD}\nAnswer:")
    assert (app.record().route, app.record().win_rate) == ("strong", 0.9)


@every_way
async def test_the_whole_paste_is_routed_where_that_is_asked_for(application, way: Way) -> None:
    app = application(way.application, routing_text="last_user")
    await way(app, f"Context:\nThe tower is 324 m high.\n\nQuestion: {HARD}\nAnswer:")
    assert (app.record().route, app.record().win_rate) == ("weak", 0.1)


@every_way
async def test_what_a_verifier_asks_is_in_the_record(application, way: Way) -> None:
    if way.application == "server":
        options = {"strategy": "cascade", "verifier": {"consistency": {"k": 2}}, "accept": 0.5}
    else:
        options = {"strategy": Cascade(consistency(2), accept=0.5)}
    app = application(way.application, **options)
    await way(app, EASY)
    samples = [step for step in app.record().steps if step["outcome"] == "sample"]
    assert [step["expert"] for step in samples] == ["weak", "weak"]
    assert all(step["input_tokens"] > 0 and step["output_tokens"] > 0 for step in samples)


@every_stream
async def test_after_the_first_words_an_error_is_an_error(application, way: Way) -> None:
    app = application(way.application)
    app.server.script(Step(pieces=("one", " two"), cut_after=2), model="small")
    with pytest.raises(Exception):  # noqa: B017 - each client has its own class
        await way(app, EASY)
    assert app.asked() == ["small"]
