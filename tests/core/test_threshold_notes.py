"""Thresholds that send nearly all calls to one model: said once, on every way in.

A threshold is noted once in a process, so each test has its own.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from llama_index.core.llms import MockLLM
from typer.testing import CliRunner

from langchain_routellm import RoutedChatModel
from llamaindex_routellm import RoutedLLM
from routellm_core import Calibration, load_router, make_decider, router_threshold
from routellm_core.calibration import threshold_advice, threshold_share
from routellm_core.cli.app import app
from routellm_core.controller import Controller
from routellm_core.policy import Overrides, Turn
from routellm_core.server.app import make_fleet
from routellm_core.server.settings import ServerSettings
from routellm_core.testing import ScriptedRouter

_USELESS = itertools.count(101)


class NarrowRouter(ScriptedRouter):
    """Scores between 0.5 and 0.7."""

    @property
    def calibration(self) -> Calibration:
        return Calibration(np.linspace(0.5, 0.7, 201), n_prompts=1000, source="for tests")


@pytest.fixture
def useless() -> float:
    """Return a threshold below all scores that no other test used."""
    return next(_USELESS) / 1_000_000


def langchain(threshold: float | None) -> RoutedChatModel:
    return RoutedChatModel(
        strong=FakeListChatModel(responses=["s"]),
        weak=FakeListChatModel(responses=["w"]),
        threshold=threshold,
    )


def llamaindex(threshold: float | None) -> RoutedLLM:
    return RoutedLLM(strong=MockLLM(), weak=MockLLM(), threshold=threshold)


def controller(threshold: float | None) -> Controller:
    return Controller(["mf"], "s", "w", threshold=threshold)


def decide(controller: Controller, model: str) -> None:
    decider, overrides = controller.fleet.plan(model)
    decider.decide(Turn("Hi"), overrides)


async def adecide(threshold: float) -> None:
    decider = make_decider(router=load_router("mf"), strong_model="s", weak_model="w")
    await decider.adecide(Turn("Hi"), Overrides(threshold=threshold))
    await decider.adecide_many([Turn("Hi")] * 2, [Overrides(threshold=threshold)] * 2)


WAYS: dict[str, Callable[[float], Any]] = {
    "RoutedChatModel": lambda t: langchain(t).invoke("Hi"),
    "RoutedChatModel, a call": lambda t: langchain(None).invoke(
        "Hi", {"configurable": {"routellm_threshold": t}}
    ),
    "RoutedChatModel, a batch": lambda t: langchain(None).batch(
        ["Hi", "Ho"], {"configurable": {"routellm_threshold": t}}
    ),
    "RoutedLLM": lambda t: llamaindex(t).complete("Hi"),
    "RoutedLLM, a call": lambda t: llamaindex(None).complete("Hi", routellm_threshold=t),
    "Controller": controller,
    "Controller, a model's name": lambda t: decide(controller(None), f"router-mf-{t}"),
    "Controller.route": lambda t: controller(None).route("Hi", "mf", t),
    "server settings": lambda t: make_fleet(ServerSettings(threshold=t)),
    "routellm route": lambda t: CliRunner().invoke(app, ["route", "-t", str(t), "Hi"]),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_threshold_that_does_nothing_is_said_once(
    way: str, useless: float, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="routellm_core.policy.threshold_notes"):
        WAYS[way](useless)
        WAYS[way](useless)
    (said,) = [text for text in caplog.messages if "Threshold" in text]
    router = load_router("mf")
    assert router_threshold(router, strong_share=0.3) == pytest.approx(0.7)
    assert said == (
        f"Threshold {useless:g} sends all calls to the strong model: router 'mf' gives percentiles "
        "of its calibration prompts. Threshold 0.700 sends 30% to the strong model, as "
        "`strong_share=0.3` does."
    )


async def test_so_it_is_off_the_event_loop(
    useless: float, caplog: pytest.LogCaptureFixture
) -> None:
    await adecide(useless)
    assert len([text for text in caplog.messages if "sends all" in text]) == 1


@pytest.mark.parametrize(
    ("threshold", "said"),
    [
        (0.1, "sends all calls to the strong model"),
        (0.5015, "sends about 99.3% of calls to the strong model"),
        (0.6985, "sends about 99.3% of calls to the weak model"),
        (0.9, "sends all calls to the weak model"),
    ],
)
def test_it_says_how_many_go_where(threshold: float, said: str) -> None:
    assert said in threshold_advice(NarrowRouter(), threshold=threshold)


@pytest.mark.parametrize("threshold", [0.0, 0.51, 0.6, 0.69, 1.0])
def test_a_useful_or_a_deliberate_threshold_needs_no_word(threshold: float) -> None:
    assert threshold_advice(NarrowRouter(), threshold=threshold) == ""


@pytest.mark.parametrize("threshold", [0.001, 0.999])
def test_of_a_router_without_measured_scores_nothing_is_said(threshold: float) -> None:
    for router in (ScriptedRouter(), load_router("random")):
        assert threshold_share(router, threshold=threshold) is None
        assert threshold_advice(router, threshold=threshold) == ""


def test_a_share_of_calls_is_read_between_the_quantiles() -> None:
    assert threshold_share(NarrowRouter(), threshold=0.6) == pytest.approx(0.5)
