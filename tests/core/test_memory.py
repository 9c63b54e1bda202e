"""What the latest texts scored is remembered, and shared by those who ask together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import pytest

from routellm_core import ConfigurationError, RecentValues, Router, Turn, make_decider
from routellm_core.testing import ScriptedRouter
from routellm_core.types import WinRates


class GatedRouter(Router):
    """Answer 0.75, once the gate is open; the first `failures` times, fail instead."""

    name: ClassVar[str] = "gated"

    def __init__(self, *, failures: int = 0) -> None:
        self.gate = asyncio.Event()
        self.failures = failures
        self.n_calls = 0

    def _win_rates(self, prompts: Sequence[str]) -> WinRates:
        return np.full(len(prompts), 0.75)

    async def awin_rates(self, prompts: Sequence[str]) -> WinRates:
        self.n_calls += 1
        failing = self.n_calls <= self.failures
        await self.gate.wait()
        if failing:
            raise ZeroDivisionError
        return self._win_rates(prompts)


def remembering(router: Router, *, size: int = 8):
    return make_decider(
        router=router, threshold=0.5, strong_model="big", weak_model="small", remember=size
    )


def test_a_text_is_scored_once() -> None:
    router = ScriptedRouter(default=0.75)
    decider = remembering(router)
    decisions = [decider.decide(Turn(text)) for text in ("Why?", "How?", "Why?")]
    assert [decision.win_rate for decision in decisions] == [0.75] * 3
    assert router.prompts == ["Why?", "How?"]


async def test_sync_and_async_calls_share_what_is_remembered() -> None:
    router = ScriptedRouter()
    decider = remembering(router)
    await decider.adecide(Turn("Why?"))
    decider.decide(Turn("Why?"))
    await decider.adecide(Turn("Why?"))
    assert router.prompts == ["Why?"]


def test_nothing_is_remembered_unless_asked_for() -> None:
    router = ScriptedRouter()
    decider = remembering(router, size=0)
    for _ in range(2):
        decider.decide(Turn("Why?"))
    assert router.prompts == ["Why?", "Why?"]


def test_the_text_unused_for_longest_is_forgotten() -> None:
    router = ScriptedRouter()
    decider = remembering(router, size=2)
    for text in ("a", "b", "a", "c", "a", "b"):
        decider.decide(Turn(text))
    assert router.prompts == ["a", "b", "c", "b"]


def test_long_and_broken_texts_are_remembered_too() -> None:
    router = ScriptedRouter()
    decider = remembering(router)
    for text in ("\ud800" * 5000, "\ud800" * 5001, "\ud800" * 5000):
        decider.decide(Turn(text))
    assert [len(prompt) for prompt in router.prompts] == [5000, 5001]


def test_a_failed_score_is_not_remembered() -> None:
    router = ScriptedRouter(error=ZeroDivisionError())
    decider = remembering(router)
    assert decider.decide(Turn("Why?")).reason == "router_error:ZeroDivisionError"
    router.error = None
    assert decider.decide(Turn("Why?")).reason == "win_rate"


async def test_coroutines_that_ask_together_share_one_score() -> None:
    router = GatedRouter()
    decider = remembering(router)
    waiting = [asyncio.ensure_future(decider.adecide(Turn("Why?"))) for _ in range(8)]
    await asyncio.sleep(0)
    router.gate.set()
    assert {decision.win_rate for decision in await asyncio.gather(*waiting)} == {0.75}
    assert router.n_calls == 1


async def test_who_stops_waiting_leaves_the_others_their_score() -> None:
    router = GatedRouter()
    decider = remembering(router)
    asking, leaving, staying = (
        asyncio.ensure_future(decider.adecide(Turn("Why?"))) for _ in range(3)
    )
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.sleep(0)
    router.gate.set()
    decisions = await asyncio.gather(asking, staying)
    assert [decision.win_rate for decision in decisions] == [0.75, 0.75]
    assert leaving.cancelled()
    assert router.n_calls == 1


async def test_when_the_one_who_asks_is_cancelled_another_asks() -> None:
    router = GatedRouter()
    decider = remembering(router)
    asking, waiting = (asyncio.ensure_future(decider.adecide(Turn("Why?"))) for _ in range(2))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.sleep(0)
    router.gate.set()
    assert (await waiting).win_rate == 0.75
    assert router.n_calls == 2


async def test_when_the_one_who_asks_fails_another_asks() -> None:
    router = GatedRouter(failures=1)
    decider = remembering(router)
    asking, waiting = (asyncio.ensure_future(decider.adecide(Turn("Why?"))) for _ in range(2))
    await asyncio.sleep(0)
    router.gate.set()
    assert (await asking).reason == "router_error:ZeroDivisionError"
    assert (await waiting).win_rate == 0.75


@pytest.mark.parametrize("size", [-1, 1.5, True, "many"])
def test_a_size_that_is_no_count_is_refused(size: object) -> None:
    with pytest.raises(ConfigurationError, match="integer of at least 0"):
        RecentValues(size=size)  # type: ignore[arg-type]
