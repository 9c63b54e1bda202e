"""Two routers on the same prompts: by how much they differ, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from routellm_core.evaluation.metrics import (
    apgr,
    apgr_of,
    bootstrap_rounds,
    cpt,
    cpt_of,
    interval_of,
    quality_at,
)
from routellm_core.evaluation.metrics.curves import cost_quality_curve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from routellm_core.evaluation.benchmarks.base import LoadedBenchmark
    from routellm_core.evaluation.metrics.arrays import Floats
    from routellm_core.evaluation.metrics.bootstrap import Statistic

__all__ = ["Comparison", "Difference", "compare"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure of two routers.

    Parameters
    ----------
    figure
        Its name.
    first, second
        Its value for each router.
    difference, low, high
        First minus second, with its paired 95 % bootstrap interval.
    higher_is_better
        Whether a positive difference speaks for the first router.
    """

    figure: str
    first: float
    second: float
    difference: float
    low: float
    high: float
    higher_is_better: bool

    @property
    def verdict(self) -> str:
        """Which router the interval speaks for: "first", "second", or "neither"."""
        if self.low > 0.0:
            return "first" if self.higher_is_better else "second"
        if self.high < 0.0:
            return "second" if self.higher_is_better else "first"
        return "neither"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two routers on one benchmark.

    Parameters
    ----------
    benchmark
        Its name.
    n
        How many prompts.
    agreement
        Share of prompts that both send to the same model, at half strong calls each.
    differences
        APGR, CPT(50 %), and quality at each share that was asked for.
    """

    benchmark: str
    n: int
    agreement: float
    differences: tuple[Difference, ...]


def compare(
    first: Floats,
    second: Floats,
    benchmark: LoadedBenchmark,
    *,
    shares: Sequence[float] = (0.3, 0.5, 0.7),
    rounds: int = 1000,
    seed: int = 0,
) -> Comparison:
    """Return how two routers' scores differ on a benchmark, on the same bootstrap draws.

    Parameters
    ----------
    first, second
        Win rates of the benchmark's n prompts, in its order.
    benchmark
        Prompts and outcomes.
    shares
        Strong shares at which mean quality is compared.
    rounds, seed
        Of the bootstrap.

    Raises
    ------
    ConfigurationError
        If the strong model is not better than the weak one on average.
    """
    weak, strong = benchmark.weak, benchmark.strong
    n = len(benchmark)

    def difference(figure: str, values: list[float], statistics: list[Statistic]) -> Difference:
        drawn = [bootstrap_rounds(s, n=n, rounds=rounds, seed=seed) for s in statistics]
        interval = interval_of(drawn[0] - drawn[1])
        return Difference(
            figure=figure,
            first=values[0],
            second=values[1],
            difference=values[0] - values[1],
            low=interval.low,
            high=interval.high,
            higher_is_better=not figure.startswith("CPT"),
        )

    both = [first, second]
    found = [
        difference(
            "APGR",
            [apgr(s, weak=weak, strong=strong) for s in both],
            [apgr_of(s, weak=weak, strong=strong) for s in both],
        ),
        difference(
            "CPT(50 %)",
            [float(cpt(s, weak=weak, strong=strong) or 0.0) for s in both],
            [cpt_of(s, weak=weak, strong=strong) for s in both],
        ),
    ]
    for share in shares:
        found.append(
            difference(
                f"quality at {share:.0%} strong",
                [quality_at(s, strong_share=share, weak=weak, strong=strong) for s in both],
                [_quality_at(s, benchmark, share) for s in both],
            )
        )
    return Comparison(benchmark.name, n, _agreement(first, second), tuple(found))


def _quality_at(scores: Floats, benchmark: LoadedBenchmark, share: float) -> Statistic:
    """Return mean quality with a fixed chance to be strong per prompt, as a function of weights.

    The chances are those of all prompts: 1 above the share's score, 0 below, and in between for
    its ties.
    """
    curve = cost_quality_curve(scores, weak=benchmark.weak, strong=benchmark.strong)
    step = int(np.searchsorted(curve.shares, share))
    threshold = curve.thresholds[step]
    run = curve.shares[step] - curve.shares[step - 1] if step else 1.0
    part = (share - curve.shares[step - 1]) / run if step else 0.0
    chances = (scores > threshold) + part * (scores == threshold)
    values = benchmark.weak + chances * (benchmark.strong - benchmark.weak)

    def statistic(weights: Floats) -> Floats:
        means: Floats = weights @ values / weights.sum(axis=1)
        return means

    return statistic


def _agreement(first: Floats, second: Floats) -> float:
    from routellm_core.calibration import threshold_for

    routes = [scores >= threshold_for(scores, strong_share=0.5) for scores in (first, second)]
    return float((routes[0] == routes[1]).mean())
