"""From a share to a threshold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routellm_core import (
    Calibration,
    ConfigurationError,
    load_router,
    router_threshold,
    threshold_for,
)
from routellm_core.policy import Target, resolve_router, resolve_threshold
from routellm_core.testing import ScriptedRouter

one_rate = st.floats(0.0, 1.0) | st.sampled_from([0.2, 0.5, 0.8])
rates = st.lists(one_rate, min_size=1, max_size=60)


def test_half_of_four_prompts_go_to_the_strong_model() -> None:
    win_rates = np.array([0.1, 0.4, 0.2, 0.3])
    threshold = threshold_for(win_rates, strong_share=0.5)
    assert (win_rates >= threshold).tolist() == [False, True, False, True]


@given(rates, st.floats(0.001, 1.0))
def test_no_threshold_comes_nearer_to_the_share(values: list[float], share: float) -> None:
    win_rates = np.array(values)
    wanted = min(len(values), int(np.floor(share * len(values) + 0.5)))
    threshold = threshold_for(win_rates, strong_share=share)
    sent = int((win_rates >= threshold).sum())
    if wanted == 0:
        assert sent == 0 or threshold == 1.0
        return
    possible = {int((win_rates >= value).sum()) for value in win_rates}
    assert abs(sent - wanted) == min(abs(count - wanted) for count in possible)
    # Of two that are equally near, the one with more strong calls.
    assert sent >= wanted or 2 * wanted - sent not in possible


def test_win_rates_that_are_all_equal_go_to_the_strong_model() -> None:
    assert threshold_for(np.full(10, 0.5), strong_share=0.1) == 0.5


@pytest.mark.parametrize("bad", [0.0, -0.1, 1.5, float("nan")])
def test_a_share_outside_the_unit_interval_is_refused(bad: float) -> None:
    with pytest.raises(ConfigurationError, match="must lie in"):
        threshold_for(np.array([0.5]), strong_share=bad)
    with pytest.raises(ConfigurationError, match="must lie in"):
        router_threshold(load_router("random"), strong_share=bad)


def test_a_share_in_percent_is_answered_with_the_share_that_is_meant() -> None:
    with pytest.raises(ConfigurationError, match=r"got 30\. Did you mean 0\.3\?"):
        router_threshold(load_router("random"), strong_share=30)


def test_no_win_rates_give_no_threshold() -> None:
    with pytest.raises(ConfigurationError, match="at least one"):
        threshold_for(np.array([]), strong_share=0.5)


def test_a_share_too_small_for_any_prompt_sends_none() -> None:
    assert threshold_for(np.array([0.25, 0.5]), strong_share=0.1) > 0.5


def test_a_stored_calibration_is_interpolated() -> None:
    class Calibrated(ScriptedRouter):
        @property
        def calibration(self) -> Calibration:
            return Calibration(np.array([0.0, 0.2, 1.0]), n_prompts=3, source="test")

    router = Calibrated()
    assert router_threshold(router, strong_share=0.5) == pytest.approx(0.2)
    assert router_threshold(router, strong_share=0.25) == pytest.approx(0.6)
    assert router_threshold(router, strong_share=1.0) == 0.0


@pytest.mark.parametrize(
    ("share", "sent"),
    [(0.1, 0.2), (0.3, 0.2), (0.49, 0.2), (0.5, 0.8), (0.7, 0.8), (0.85, 0.8), (1.0, 1.0)],
)
def test_ties_in_a_stored_calibration_go_the_nearer_way(share: float, sent: float) -> None:
    win_rates = np.repeat([0.1, 0.5, 0.9], [200, 600, 200])

    class Calibrated(ScriptedRouter):
        @property
        def calibration(self) -> Calibration:
            quantiles = np.quantile(win_rates, np.linspace(0.0, 1.0, 1000))
            return Calibration(quantiles, n_prompts=1000, source="test")

    threshold = router_threshold(Calibrated(), strong_share=share)
    assert (win_rates >= threshold).mean() == pytest.approx(sent)


class Uncalibrated(ScriptedRouter):
    @property
    def calibration(self) -> None:
        return None


def test_a_share_needs_a_calibrated_router() -> None:
    with pytest.raises(ConfigurationError, match="stores no calibration"):
        router_threshold(Uncalibrated(), strong_share=0.5)


def test_the_default_is_half_the_calls_or_the_even_chance() -> None:
    def resolve(router, threshold=None, strong_share=None):
        return resolve_threshold(router, threshold=threshold, strong_share=strong_share)

    assert resolve(ScriptedRouter()) == 0.5
    assert resolve(Uncalibrated()) == 0.5
    assert resolve(ScriptedRouter(), strong_share=0.3) == pytest.approx(0.7)
    assert resolve(ScriptedRouter(), threshold=0.25) == 0.25
    with pytest.raises(ConfigurationError, match="not both"):
        resolve(ScriptedRouter(), threshold=0.2, strong_share=0.3)


def test_a_router_is_a_router_or_a_name() -> None:
    router = ScriptedRouter()
    assert resolve_router(router) is router
    assert resolve_router("random").name == "random"
    for wrong in (None, 0.5, lambda prompt: 0.5, ScriptedRouter):
        with pytest.raises(ConfigurationError, match="subclass"):
            resolve_router(wrong)


@pytest.mark.parametrize(
    "quantiles", [[], [0.5], [0.5, 0.4], [0.0, 1.1], [-0.1, 1.0], [0.0, float("nan")], [[0.0, 1.0]]]
)
def test_quantiles_that_are_none_are_refused(quantiles: list) -> None:
    with pytest.raises(ConfigurationError, match="ascending"):
        Calibration(np.array(quantiles), n_prompts=1, source="x")


@pytest.mark.parametrize(
    "wrong",
    [
        {"threshold": 1.5},
        {"strong_share": 0.0},
        {"max_cost": 0.0},
        {"max_cost": float("inf")},
        {"min_quality": 1.01},
        {"min_quality": "0.9"},
        {"max_cost": None, "strong_share": "0.3"},
        {"strong_share": 0.5, "max_cost": 1.0},
        {"call_tokens": (1.0, 1.0)},
    ],
)
def test_a_target_that_no_router_could_reach_is_refused_without_one(wrong: dict) -> None:
    with pytest.raises(ConfigurationError):
        Target(**wrong)
