"""A router that is late, hangs or is busy costs a call its win rate, never its answer."""

import asyncio
import gc
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from routellm_core import ConfigurationError, Decider, Overrides, RoutingPolicy, Turn, make_decider
from routellm_core.policy import scoring
from routellm_core.policy.scoring import WORKERS
from routellm_core.testing import ScriptedRouter

POLICY = RoutingPolicy(threshold=0.5, router="scripted")


class Blocked(ScriptedRouter):
    """Wait for `release` before every answer."""

    inline = False

    def __init__(self):
        super().__init__(default=0.1)
        self.release = threading.Event()
        self.entered = 0

    def _win_rates(self, prompts):
        self.entered += 1
        self.release.wait(30)
        return super()._win_rates(prompts)


@pytest.fixture
def router():
    router = Blocked()
    yield router
    router.release.set()


async def test_a_router_that_is_late_means_the_strong_model(router) -> None:
    decider = Decider(router, POLICY, deadline_s=0.02)
    one, two = [Turn("a")], [Overrides()]
    for decision in [
        decider.decide(Turn("a")),
        await decider.adecide(Turn("a")),
        *decider.decide_many(one, two),
        *(await decider.adecide_many(one, two)),
    ]:
        assert (decision.route, decision.reason) == ("strong", "router_error:TimeoutError")


def test_a_hanging_router_exhausts_no_pool_and_is_asked_again_when_it_is_back(router) -> None:
    decider = Decider(router, POLICY, deadline_s=0.01)
    threads = threading.active_count()
    reasons = {decider.decide(Turn("a")).reason for _ in range(50)}
    assert reasons == {"router_error:TimeoutError"}
    assert threading.active_count() - threads <= WORKERS
    router.release.set()
    patience = time.monotonic() + 10
    while decider.decide(Turn("a")).reason != "win_rate":
        assert time.monotonic() < patience


def test_a_crowd_beyond_the_limit_is_not_kept_waiting(router, monkeypatch) -> None:
    monkeypatch.setattr(scoring, "WAITING", 2)
    decider = Decider(router, POLICY, deadline_s=30.0)
    with ThreadPoolExecutor(2) as crowd:
        waiting = [crowd.submit(decider.decide, Turn("a")) for _ in range(2)]
        patience = time.monotonic() + 10
        while router.entered < 2:
            assert time.monotonic() < patience
        assert decider.decide(Turn("b")).reason == "router_error:RouterError"
        router.release.set()
        assert {call.result().reason for call in waiting} == {"win_rate"}


async def test_an_async_router_is_cancelled_at_its_deadline() -> None:
    class Waiting(ScriptedRouter):
        cancelled = False

        async def awin_rates(self, prompts):
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                self.cancelled = True
                raise

    router = Waiting()
    router.inline = False
    decision = await Decider(router, POLICY, deadline_s=0.01).adecide(Turn("a"))
    assert decision.reason == "router_error:TimeoutError"
    assert router.cancelled


async def test_a_router_in_time_is_heard_and_runs_off_the_loop(router) -> None:
    router.release.set()
    decider = Decider(router, POLICY, deadline_s=30.0)
    assert decider.decide(Turn("a")).route == "weak"
    assert (await decider.adecide(Turn("a"))).route == "weak"
    assert [d.win_rate for d in decider.decide_many([Turn("a")] * 2, [Overrides()] * 2)] == [
        0.1
    ] * 2


def test_an_inline_router_is_asked_without_a_thread() -> None:
    class Here(ScriptedRouter):
        def _win_rates(self, prompts):
            assert threading.current_thread() is threading.main_thread()
            return super()._win_rates(prompts)

    assert Decider(Here(), POLICY, deadline_s=1.0).decide(Turn("a")).reason == "win_rate"


@pytest.mark.parametrize("bad", [0, -1.0, float("nan")])
def test_a_deadline_that_is_none_is_refused(bad) -> None:
    with pytest.raises(ConfigurationError, match="router_deadline_s"):
        make_decider(
            router=ScriptedRouter(), strong_model="a", weak_model="b", router_deadline_s=bad
        )


def routing_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "routellm"}


def test_calls_one_after_the_other_find_one_thread(router) -> None:
    router.release.set()
    decider = Decider(router, POLICY, deadline_s=30.0)
    others = routing_threads()
    for _ in range(200):
        decider.decide(Turn("a"))
    assert len(routing_threads() - others) == 1


def test_a_thread_that_cannot_begin_costs_one_call_its_win_rate_and_no_place(
    router, monkeypatch
) -> None:
    router.release.set()
    monkeypatch.setattr(scoring, "WAITING", 1)
    decider = Decider(router, POLICY, deadline_s=30.0)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", cannot_start)
        for _ in range(3):
            assert decider.decide(Turn("a")).reason == "router_error:RuntimeError"
    assert decider.decide(Turn("a")).reason == "win_rate"


def cannot_start(thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_threads_end_with_the_decider_that_began_them(router) -> None:
    router.release.set()
    others = routing_threads()
    decider = Decider(router, POLICY, deadline_s=30.0)
    decider.decide(Turn("a"))
    (thread,) = routing_threads() - others
    del decider
    gc.collect()
    thread.join(10)
    assert not thread.is_alive()


def test_the_routers_own_error_reaches_the_record_from_a_thread() -> None:
    class Broken(ScriptedRouter):
        inline = False

        def _win_rates(self, prompts):
            raise ZeroDivisionError

    decider = Decider(Broken(), POLICY, deadline_s=30.0)
    assert decider.decide(Turn("a")).reason == "router_error:ZeroDivisionError"
    assert asyncio.run(decider.adecide(Turn("a"))).reason == "router_error:ZeroDivisionError"


def test_a_loop_that_is_closed_before_the_answer_harms_no_thread(router) -> None:
    decider = Decider(router, POLICY, deadline_s=0.05)
    assert asyncio.run(decider.adecide(Turn("a"))).reason == "router_error:TimeoutError"
    router.release.set()
    patience = time.monotonic() + 10
    while decider.decide(Turn("a")).reason != "win_rate":
        assert time.monotonic() < patience


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks are POSIX's")
@pytest.mark.filterwarnings(
    "ignore:This process .* is multi-threaded, use of fork:DeprecationWarning"
)
def test_a_fork_begins_threads_of_its_own(router) -> None:
    router.release.set()
    decider = Decider(router, POLICY, deadline_s=5.0)
    assert decider.decide(Turn("a")).reason == "win_rate"
    child = os.fork()
    if not child:
        os._exit(decider.decide(Turn("a")).reason != "win_rate")
    assert os.waitpid(child, 0)[1] == 0
