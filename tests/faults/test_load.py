"""Rows 19, 21, 22, 33, 39, 44 and 48: many calls at once, odd prompts, silent logs, sick sinks."""

import asyncio
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import pytest

from routellm_core import (
    Breaker,
    BreakerSettings,
    ConfigurationError,
    Monitor,
    Router,
    Sink,
    load_router,
    make_decider,
)
from routellm_core.testing import FaultServer, ScriptedRouter, Step
from tests.faults.applications import APPLICATIONS, HARD, KEY, Application

pytestmark = pytest.mark.loopback


def test_row_19_an_open_breaker_sends_nothing_and_a_half_open_one_a_single_probe(
    application, server
) -> None:
    app: Application = application(breaker=BreakerSettings(failures=2, cooldown_s=0.5))
    server.script(*[Step(status=500)] * 2, model="small")
    for _ in range(2):
        assert app.ask().route == "strong"
    server.reset()
    answer = app.ask()
    assert (answer.route, answer.reason) == ("strong", "breaker_open")
    assert app.asked() == ["big"]
    assert app.model.guards.breakers["weak"].state == "open"
    time.sleep(0.6)
    assert app.model.guards.breakers["weak"].state == "half_open"
    server.reset()
    # Long enough for all 64 to come while the probe is out.
    server.script(Step(delay_s=3.0), model="small")
    with ThreadPoolExecutor(64) as threads:
        answers = list(threads.map(lambda _: app.ask(), range(64)))
    assert app.asked().count("small") == 1
    assert sorted(answer.route for answer in answers).count("weak") == 1
    assert app.model.guards.breakers["weak"].state == "closed"


class HashRouter(Router):
    """Score a prompt by the digits in it, slowly enough for threads to meet."""

    name = "hash"
    inline = True

    def _win_rates(self, prompts):
        return np.array([int(prompt.rsplit(" ", 1)[1]) % 100 / 100 for prompt in prompts])


@pytest.mark.parametrize("name", ["langchain", "llamaindex"])
def test_row_21_64_threads_with_200_calls_decide_as_one_thread_does(name: str) -> None:
    from langchain_core.language_models import FakeListChatModel
    from llama_index.core.llms import MockLLM

    from langchain_routellm import RoutedChatModel
    from llamaindex_routellm import RoutedLLM

    def model(threshold: float):
        if name == "langchain":
            return RoutedChatModel(
                strong=FakeListChatModel(responses=["strong"]),
                weak=FakeListChatModel(responses=["weak"]),
                router=HashRouter(),
                threshold=threshold,
                monitor=records.append,
                breaker=True,
            )
        return RoutedLLM(
            strong=MockLLM(max_tokens=2),
            weak=MockLLM(max_tokens=1),
            router=HashRouter(),
            threshold=threshold,
            monitor=records.append,
            breaker=True,
        )

    def ask(model, number: int) -> tuple[str, str, float]:
        prompt = f"question {number}"
        if name == "langchain":
            answer = model.invoke(prompt)
            record = answer.response_metadata["routellm"]
            return answer.text, record["route"], record["win_rate"]
        answer = model.complete(prompt)
        record = answer.additional_kwargs["routellm"]
        text = "strong" if answer.text == "text text" else "weak"
        return text, record["route"], record["win_rate"]

    records: list = []
    models = {0.3: model(0.3), 0.7: model(0.7)}
    expected = {
        (threshold, number): ask(models[threshold], number)
        for threshold in models
        for number in range(100)
    }

    def work(thread: int) -> list:
        threshold = (0.3, 0.7)[thread % 2]
        numbers = np.random.default_rng(thread).integers(0, 100, 200).tolist()
        return [(threshold, n, ask(models[threshold], n)) for n in numbers]

    with ThreadPoolExecutor(64) as threads:
        found = [one for several in threads.map(work, range(64)) for one in several]
    assert len(found) == 64 * 200
    for threshold, number, (text, route, win_rate) in found:
        assert (text, route, win_rate) == expected[threshold, number]
        assert text == route == ("strong" if number / 100 >= threshold else "weak")
    for one in models.values():
        assert one.guards.monitor.flush(timeout_s=60.0)
    assert len(records) == 64 * 200 + 200


@pytest.mark.parametrize("name", ["langchain", "llamaindex"])
async def test_row_22_a_cold_start_loads_the_router_once_and_a_failed_load_is_tried_again(
    name: str, server, monkeypatch
) -> None:
    loads: list[float] = []

    def default(cls, **options):
        loads.append(time.monotonic())
        time.sleep(0.1)
        if len(loads) == 1:
            raise ConfigurationError("The weights are not there yet.")
        return loaded

    loaded = load_router("mf")
    monkeypatch.setattr(type(loaded), "default", classmethod(default))
    app = APPLICATIONS[name](server, router="mf")
    assert loads == []
    with pytest.raises(ConfigurationError, match="not there yet"):
        app.ask()
    with ThreadPoolExecutor(32) as threads:
        waiting = [threads.submit(app.ask) for _ in range(32)]
        tasks = [asyncio.create_task(app.aask()) for _ in range(32)]
        await asyncio.gather(*tasks)
        for one in waiting:
            await asyncio.wrap_future(one)
    assert len(loads) == 2


def test_row_33_no_words_and_no_key_are_logged_recorded_or_shown(
    application, server, caplog
) -> None:
    caplog.set_level(logging.DEBUG, logger="routellm_core")
    words = "my-very-secret-question"
    router = ScriptedRouter(error=ValueError(words))
    app: Application = application(router=router, breaker=True)
    for step in (Step(), Step(status=500), Step(status=400), Step(body="{"), Step(reset=True)):
        server.script(step, model="big")
        with suppress(Exception):  # whatever the provider's library says
            app.ask(words)
    own = [r.getMessage() for r in caplog.records if r.name.startswith("routellm_core")]
    assert any("failed with ValueError" in line for line in own)
    shown = "\n".join(own) + repr(app.model) + repr(app.monitor)
    if app.name != "controller":
        shown += repr(app.model.guards)
    assert app.monitor.flush()
    shown += "".join(record.to_json() for record in app.records)
    assert words not in shown
    assert KEY not in shown


@pytest.mark.parametrize(
    "text",
    ["x" * 5_000_000, "line\n" * 100_000, "half \ud800 a pair", "😀" * 1000, "", " ", "\x00"],
    ids=["5 MB", "100k lines", "surrogate", "emoji", "empty", "blank", "NUL"],
)
def test_row_39_odd_prompts_are_scored_in_bounded_time(text: str) -> None:
    from routellm_core import read_turn
    from routellm_core.controller.messages import OpenAIView

    router = load_router("mf")
    decider = make_decider(router=router, threshold=0.5, strong_model="big", weak_model="small")
    router.win_rate("warm")
    best = float("inf")
    for _ in range(3):
        began = time.perf_counter()
        turn = read_turn([{"role": "user", "content": text}], OpenAIView())
        decision = decider.decide(turn)
        best = min(best, time.perf_counter() - began)
    assert decision.route in ("strong", "weak")
    assert not decision.reason.startswith("router_error")
    assert best < 0.5


def test_row_44_without_usage_a_cost_is_unknown_and_counted(application, server) -> None:
    app: Application = application()
    server.script(Step(usage=False), model="small")
    app.ask()
    record = app.record()
    assert (record.outcome, record.cost_usd, record.saved_usd) == ("answered", None, None)
    app.ask()
    assert app.record().cost_usd > 0.0
    assert app.record().saved_usd > 0.0


def test_row_44_streams_are_priced_where_the_provider_counts(application, server) -> None:
    app: Application = application()
    app.stream()
    record = app.record()
    if app.name == "langchain":  # asks for usage by itself
        assert record.cost_usd > 0.0
    else:
        assert record.cost_usd is None or record.cost_usd > 0.0
    assert record.first_chunk_ms > 0.0


def test_row_48_sinks_that_raise_or_hang_do_not_touch_a_call(application, server) -> None:
    class Raising(Sink):
        def write(self, record) -> None:
            raise RuntimeError("exporter down")

    class Hanging(Sink):
        free = threading.Event()

        def write(self, record) -> None:
            self.free.wait()

    hanging = Hanging()
    monitor = Monitor(Raising(), hanging, queue_size=5)
    app: Application = application(monitor=monitor)
    for _ in range(20):
        assert app.ask(HARD).route == "strong"
    assert monitor.n_lost >= 10
    hanging.free.set()


def test_row_20_a_success_of_an_older_request_does_not_close_an_open_breaker(server) -> None:
    app = APPLICATIONS["langchain"](server, breaker=BreakerSettings(failures=2, cooldown_s=30.0))
    server.script(Step(delay_s=0.5), *[Step(status=500)] * 2, model="small")
    with ThreadPoolExecutor(1) as thread:
        older = thread.submit(app.ask)
        while not server.requests:
            time.sleep(0.01)
        app.ask()
        app.ask()
        assert older.result().route == "weak"
    breaker: Breaker = app.model.guards.breakers["weak"]
    assert breaker.state == "open"
    assert FaultServer is type(server)
