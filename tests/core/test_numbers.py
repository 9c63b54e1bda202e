"""What is wrong with a number is named, and where it stands."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from planted import battle_rows

from routellm_core import (
    Calibration,
    Checkpoint,
    ModelPair,
    RouteLLMError,
    Router,
    calibrate_cost,
    calibrate_quality,
    calibrate_share,
    router_threshold,
)
from routellm_core.calibration import check_min_quality, fit_isotonic
from routellm_core.calibration.probability import ProbabilityMap
from routellm_core.data import Outcomes, RowReport
from routellm_core.embedders.base import check_embeddings
from routellm_core.evaluation import LoadedBenchmark
from routellm_core.evaluation.metrics import arena_score, brier, interval_of, quality_at
from routellm_core.labeling.soft import soft_labels
from routellm_core.monitoring.drift import DriftLimits
from routellm_core.policy import check_threshold
from routellm_core.routers.sw_ranking import SimilarityWeightedRouter
from routellm_core.testing import HashingEmbedder
from routellm_core.training.examples import split_rows

RATES = np.array([0.1, 0.4, 0.8])
PAIR = ModelPair(strong="big", weak="small")


class Fixed(Router):
    name = "fixed"

    def __init__(self, *values: float) -> None:
        self.values = values

    def _win_rates(self, prompts: Any) -> Any:
        return np.array(self.values)


def benchmark(**columns: Any) -> LoadedBenchmark:
    quality = {"weak": np.zeros(3), "strong": np.ones(3), **columns}
    return LoadedBenchmark("mine", PAIR, ("a", "b", "c"), domains=("",) * 3, **quality)


def outcomes(quality: Any, cost: Any) -> Outcomes:
    columns = [np.array(each, dtype=np.float64)[None, :] for each in (quality, cost)]
    return Outcomes(("a",), ("big", "small"), *columns, RowReport(2, 0))


def calibration(**parts: Any) -> Calibration:
    return Calibration(**{"quantiles": RATES, "n_prompts": 3, "source": "test", **parts})


def tensor(values: Any) -> Any:
    checkpoint = Checkpoint(router="knn", tensors={"w": np.array(values)})
    return checkpoint.tensor("w", shape=(None, None))


@pytest.mark.parametrize(
    ("build", "told"),
    [
        (
            lambda: calibrate_quality(RATES, weak=[0, 85, 3], strong=[1, 1, 1], min_quality=0.9),
            "`weak` must lie in [0, 1], got 85.0 at index 1 (2 of 3 are outside).",
        ),
        (
            lambda: calibrate_share(np.array([0.5, np.nan]), strong_share=0.5),
            "Win rates must lie in [0, 1], got nan at index 1.",
        ),
        (
            lambda: calibrate_cost(RATES, weak_cost=0.1, strong_cost=[1, -2, 1], max_cost=1.0),
            "`strong_cost` must be finite and at least 0, got -2.0 at index 1.",
        ),
        (
            lambda: calibrate_cost(RATES, weak_cost=-0.1, strong_cost=1.0, max_cost=1.0),
            "`weak_cost` must be finite and at least 0, got -0.1.",
        ),
        (
            lambda: fit_isotonic(RATES, [0, 1, 1.2]),
            "`labels` must lie in [0, 1], got 1.2 at index 2.",
        ),
        (
            lambda: ProbabilityMap(np.array([[0.1, 0.1], [0.5, 1.5]])),
            "pairs in [0, 1], got 1.5 at index (1, 1).",
        ),
        (
            lambda: ProbabilityMap(np.array([[0.5, 0.1], [0.5, 0.5]])),
            "ascending pairs in [0, 1], got 0.5 at index 1 after 0.5.",
        ),
        (
            lambda: ProbabilityMap(np.array([[0.1, 0.9], [0.5, 0.2]])),
            "ascending pairs in [0, 1], got 0.2 at index 1 after 0.9.",
        ),
        (
            lambda: calibration(quantiles=np.array([0.1, 0.5, 0.4])),
            "ascending numbers in [0, 1], got 0.4 at index 2 after 0.5.",
        ),
        (
            lambda: calibration(quantiles=np.array([0.1, 2.0])),
            "numbers in [0, 1], got 2.0 at index 1.",
        ),
        (
            lambda: calibration(quality_floors=np.array([[0.9, 0.2], [0.8, 0.3]])),
            "`quality_floors` must be ascending pairs in [0, 1], got 0.8 at index 1 after 0.9.",
        ),
        (
            lambda: calibration(tokens=np.array([[1.0, 2, 3], [1, np.inf, 3]])),
            "`tokens` must be finite and at least 0, got inf at index (1, 1).",
        ),
        (
            lambda: Fixed(0.2, 1.5).win_rates(["a", "b"]),
            "must return win rates in [0, 1], got 1.5 at index 1.",
        ),
        (
            lambda: check_embeddings([[1.0, np.nan]], n=1),
            "The embedder returned a NaN or an infinity: nan at index (0, 1).",
        ),
        (
            lambda: tensor([[1.0, np.inf]]),
            "Tensor 'w' holds a NaN or an infinity: inf at index (0, 1).",
        ),
        (
            lambda: brier([0.1, 0.2], [0.0, np.nan]),
            "`labels` must be finite, got nan at index 1.",
        ),
        (lambda: brier([0.1, 1.2], [0.0, 1.0]), "must lie in [0, 1], got 1.2 at index 1."),
        (
            lambda: benchmark(weak=np.array([0.0, 7.0, 1.0])),
            "`weak` of benchmark 'mine' must lie in [0, 1], got 7.0 at index 1.",
        ),
        (
            lambda: benchmark(weak=np.array([0.0, np.nan, 1.0])),
            "`weak` of benchmark 'mine' must lie in [0, 1], got nan at index 1.",
        ),
        (
            lambda: benchmark(weak_cost=np.array([0, -1.0, 0]), strong_cost=np.ones(3)),
            "`weak_cost` of benchmark 'mine' must be finite and at least 0, got -1.0 at index 1.",
        ),
        (
            lambda: outcomes([0.5, 85.0], [np.nan, 0.1]),
            "`quality` must lie in [0, 1] or be NaN, got 85.0 at index (0, 1).",
        ),
        (
            lambda: outcomes([0.5, np.nan], [np.nan, -0.1]),
            "`cost` must be at least 0 or NaN, got -0.1 at index (0, 1).",
        ),
        (
            lambda: soft_labels([[0.0, np.nan]], [[1.0]]),
            "`weak` must hold finite qualities, got nan at index (0, 1).",
        ),
        (
            lambda: SimilarityWeightedRouter.default(
                battles=battle_rows(["a prompt"], np.array([1])),
                embeddings=np.array([[np.nan]]),
                embedder=HashingEmbedder(),
            ),
            "`embeddings` must be finite numbers, got nan at index (0, 0).",
        ),
    ],
)
def test_an_array_that_cannot_be_used_is_told_by_its_first_bad_number(
    build: Callable[[], Any], told: str
) -> None:
    with pytest.raises(RouteLLMError, match=re.escape(told)):
        build()


@pytest.mark.parametrize(
    "use",
    [
        lambda value: check_threshold(value),
        lambda value: check_min_quality(value),
        lambda value: calibrate_share(RATES, strong_share=value),
        lambda value: calibrate_share(RATES, strong_share=0.5, confidence=value),
        lambda value: router_threshold(Fixed(), strong_share=value),
        lambda value: quality_at([0.1], weak=[0], strong=[1], strong_share=value),
        lambda value: interval_of(RATES, confidence=value),
        lambda value: DriftLimits(share_confidence=value),
        lambda value: split_rows(["a"] * 9, validation_share=value, seed=0),
        lambda value: arena_score(value, 1.0),
    ],
)
@pytest.mark.parametrize("value", [30, np.float64(30.0)])
def test_a_percentage_is_answered_with_the_fraction_that_is_meant(
    use: Callable[[Any], Any], value: Any
) -> None:
    with pytest.raises(RouteLLMError, match=r"got .*30.*\. Did you mean 0\.3\?$"):
        use(value)
    with pytest.raises(RouteLLMError, match=r"got .*-0\.5[^?]*\.$"):
        use(-0.5)
