"""Calibrations that travel with a checkpoint, and the arguments that read them."""

import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from routellm_core import Calibration, load_router, make_decider
from routellm_core.calibration import (
    CalibrationWarning,
    CallTokens,
    calibration_of,
    cost_threshold,
    fit_isotonic,
    quality_threshold,
    router_share_interval,
    with_calibration,
)
from routellm_core.checkpoints import read_checkpoint
from routellm_core.errors import ConfigurationError
from routellm_core.monitoring import price_of
from routellm_core.testing import ScriptedRouter

N = 2000


class Calibrated(ScriptedRouter):
    """A router with a calibration of its own."""

    def __init__(self, calibration: Calibration | None) -> None:
        super().__init__()
        self.stored = calibration

    @property
    def calibration(self) -> Calibration | None:
        return self.stored


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    """2,000 prompts with uniform win rates; the weak model is right on the lower half only."""
    rates = (np.arange(N) + 0.5) / N
    return calibration_of(
        rates,
        source="made up",
        weak=(rates < 0.5) * 1.0,
        strong=np.ones(N),
        # A prompt is as long as its win rate says; the strong model writes twice as much.
        tokens=CallTokens(prompt=1000 * rates, strong=np.full(N, 200.0), weak=np.full(N, 100.0)),
        probability=fit_isotonic(rates, rates),
    )


def test_a_checkpoint_keeps_every_part_of_a_calibration(
    calibration: Calibration, tmp_path: Path
) -> None:
    folder = with_calibration(load_router("random"), calibration, tmp_path / "out")
    read = read_checkpoint(folder).calibration
    assert read is not None
    for name in ("quantiles", "quality_floors", "tokens", "probability"):
        assert getattr(read, name).tolist() == getattr(calibration, name).tolist()
    assert (read.n_prompts, read.source) == (N, "made up")


def test_a_floor_is_looked_up_and_rounded_up(calibration: Calibration) -> None:
    router = Calibrated(calibration)
    threshold = quality_threshold(router, min_quality=0.9)
    # Sending prompts below 0.6 to the weak model keeps exactly 90 %.
    assert 0.55 < threshold < 0.6
    assert quality_threshold(router, min_quality=0.896) == threshold
    assert quality_threshold(router, min_quality=0.85) > threshold


def test_a_floor_above_all_that_were_tested_means_all_strong(calibration: Calibration) -> None:
    with pytest.warns(CalibrationWarning, match="all calls go to the strong model"):
        assert quality_threshold(Calibrated(calibration), min_quality=0.999) == 0.0


def test_a_cost_is_met_with_the_tokens_that_were_counted(calibration: Calibration) -> None:
    threshold = cost_threshold(
        Calibrated(calibration), max_cost=0.5, strong_usd=(1e-3, 2e-3), weak_usd=(1e-4, 2e-4)
    )
    rates = (np.arange(N) + 0.5) / N
    strong, weak = rates + 0.4, 0.1 * rates + 0.02
    assert np.where(rates >= threshold, strong, weak).mean() == pytest.approx(0.5, abs=0.002)


def test_tokens_of_a_call_stand_in_for_counted_ones() -> None:
    router = Calibrated(Calibration(np.linspace(0, 1, 11), n_prompts=11, source="x"))
    prices = {"strong_usd": (2e-6, 8e-6), "weak_usd": (0.0, 0.0)}
    # A strong call costs 0.001 + 0.001, so half the budget buys half the calls.
    found = cost_threshold(router, max_cost=0.001, call_tokens=(500, 125), **prices)
    assert found == pytest.approx(0.5)
    with pytest.raises(ConfigurationError, match="call_tokens="):
        cost_threshold(router, max_cost=0.001, **prices)


def test_a_cost_below_all_weak_means_all_weak_and_a_warning(calibration: Calibration) -> None:
    router = Calibrated(calibration)
    prices = {"strong_usd": (1e-3, 2e-3), "weak_usd": (1e-4, 2e-4)}
    with pytest.warns(CalibrationWarning, match=r"all-weak costs 0\.07"):
        assert cost_threshold(router, max_cost=0.01, **prices) == 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cost_threshold(router, max_cost=5.0, **prices) == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize("stored", [None, Calibration(np.array([0.0, 1.0]), 2, "x")])
def test_what_was_not_calibrated_cannot_be_asked_for(stored: Calibration | None) -> None:
    with pytest.raises(ConfigurationError, match="routellm calibrate --outcomes"):
        quality_threshold(Calibrated(stored), min_quality=0.9)
    with pytest.raises(ConfigurationError, match="max_cost"):
        cost_threshold(Calibrated(stored), max_cost=1.0, strong_usd=(1.0, 1.0), weak_usd=(1.0, 1.0))


def test_an_adapter_s_decider_takes_a_floor(calibration: Calibration) -> None:
    router = Calibrated(calibration)
    decider = make_decider(router=router, min_quality=0.9, strong_model="a", weak_model="b")
    assert decider.policy.threshold == quality_threshold(router, min_quality=0.9)


@pytest.mark.skipif(find_spec("litellm") is None, reason="prices come from litellm")
def test_an_adapter_s_decider_takes_a_cost_and_finds_the_prices(calibration: Calibration) -> None:
    router = Calibrated(calibration)
    names = {"strong_model": "gpt-4o", "weak_model": "gpt-4o-mini"}
    decider = make_decider(router=router, max_cost=0.001, **names)
    strong, weak = (price_of(name) for name in names.values())
    assert strong is not None
    assert weak is not None
    assert decider.policy.threshold == cost_threshold(
        router,
        max_cost=0.001,
        strong_usd=(strong.input_usd, strong.output_usd),
        weak_usd=(weak.input_usd, weak.output_usd),
    )
    with pytest.raises(ConfigurationError, match="'my-own'"):
        make_decider(router=router, max_cost=0.001, strong_model="my-own", weak_model="gpt-4o")


def test_one_target_at_a_time() -> None:
    names = {"strong_model": "a", "weak_model": "b"}
    with pytest.raises(ConfigurationError, match="not both"):
        make_decider(router=ScriptedRouter(), strong_share=0.5, min_quality=0.9, **names)
    with pytest.raises(ConfigurationError, match="only one"):
        make_decider(router=ScriptedRouter(), threshold=0, strong_share=0.5, max_cost=1.0, **names)
    with pytest.raises(ConfigurationError, match="call_tokens"):
        make_decider(router=ScriptedRouter(), strong_share=0.5, call_tokens=(1, 1), **names)


def test_qualities_come_in_pairs() -> None:
    with pytest.raises(ConfigurationError, match="or neither"):
        calibration_of(np.array([0.5]), source="x", weak=[1.0])
    tokens = CallTokens(*(np.ones(3) for _ in range(3)))
    with pytest.raises(ConfigurationError, match="counted for 1"):
        calibration_of(np.array([0.5]), source="x", tokens=tokens)


@pytest.mark.parametrize(
    "wrong",
    [
        {"quality_floors": np.array([[0.9, 0.5], [0.8, 0.6]])},
        {"quality_floors": np.array([0.9, 0.5])},
        {"probability": np.array([[0.1, np.nan]])},
        {"tokens": np.ones((5, 3))},
        {"tokens": np.full((1, 3), -1.0)},
    ],
)
def test_a_damaged_calibration_is_refused(wrong: dict) -> None:
    with pytest.raises(ConfigurationError):
        Calibration(np.array([0.0, 1.0]), n_prompts=2, source="x", **wrong)


def test_the_bundled_router_carries_another_calibration(tmp_path: Path) -> None:
    topics = ["law", "tax", "cell", "atom", "poem", "war", "list", "loop", "proof", "tea"]
    tasks = ["Name a", "Prove a theorem about a", "Translate", "Summarise", "Debug this", "Why a"]
    prompts = [f"{task} {topic}." for task in tasks for topic in topics]
    router = load_router("mf")
    rates = router.win_rates(prompts)
    made = calibration_of(rates, source="my prompts")
    folder = with_calibration(router, made, tmp_path / "mine")
    again = load_router("mf", checkpoint=folder)
    assert again.win_rates(prompts).tolist() == rates.tolist()
    assert again.calibration is not None
    assert (again.calibration.source, again.calibration.n_prompts) == ("my prompts", 60)
    decider = make_decider(router=again, strong_share=0.25, strong_model="a", weak_model="b")
    assert (rates >= decider.policy.threshold).mean() == pytest.approx(0.25, abs=0.04)


def test_a_stored_calibration_says_how_sure_its_shares_are() -> None:
    router = Calibrated(Calibration(np.linspace(0, 1, 11), n_prompts=1000, source="x"))
    found = router_share_interval(router, strong_share=0.3)
    # 1.96 * sqrt(0.3 * 0.7 / 1000) is 2.8 points.
    assert (found.high - found.low) / 2 == pytest.approx(0.028, abs=0.001)
    assert found.low < 0.3 < found.high
    with pytest.raises(ConfigurationError, match="stores no calibration"):
        router_share_interval(Calibrated(None), strong_share=0.3)
