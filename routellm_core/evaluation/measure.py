"""From scores and outcomes to every figure of a report."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from routellm_core.calibration import calibrate_share, fit_isotonic
from routellm_core.evaluation.figures import (
    SHARES,
    TARGETS,
    Baseline,
    CurvePoints,
    Estimate,
    Histogram,
    Measurement,
    Probabilities,
    ReliabilityPoints,
    SharePoint,
    Slice,
)
from routellm_core.evaluation.metrics import (
    aiq,
    apgr,
    apgr_grid,
    auroc,
    bootstrap_interval,
    bootstrap_rounds,
    brier,
    cost_quality_curve,
    cost_save,
    cpt,
    curve_of,
    ece,
    interval_of,
    mce,
    nll,
    oracle_scores,
    performance_gain,
    quality_at,
    quality_of,
    reliability,
    win_labels,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    from numpy.typing import NDArray

    from routellm_core.evaluation.benchmarks.base import LoadedBenchmark
    from routellm_core.evaluation.metrics.arrays import Floats
    from routellm_core.evaluation.metrics.bootstrap import Interval
    from routellm_core.evaluation.metrics.curves import Curve

    Rows: TypeAlias = NDArray[np.intp]

__all__ = ["baselines", "halves", "measure", "probabilities"]

_CURVE_POINTS = 200
_HISTOGRAM_BINS = 25
_SLICE_SHARE = 0.5


def measure(
    scores: Floats,
    benchmark: LoadedBenchmark,
    *,
    scale: Floats | None = None,
    rounds: int = 1000,
    seed: int = 0,
) -> Measurement:
    """Return every figure of a router's scores on a benchmark.

    Parameters
    ----------
    scores
        The raw win rates of the benchmark's n prompts, in its order.
    benchmark
        Prompts and outcomes.
    scale
        What the router makes of raw win rates, see `Calibration`: thresholds are on it.
    rounds
        Of the bootstrap, at least 1.
    seed
        Of the bootstrap and of the halves.
    """
    weak, strong = benchmark.weak, benchmark.strong
    labels = win_labels(weak=weak, strong=strong)
    both = halves(benchmark.domains, seed=seed)
    mapped = _cross_fitted(scores, labels, both)
    has_gap = float((strong - weak).mean()) > 0.0
    curve_estimates = _curve_estimates(scores, benchmark, rounds=rounds, seed=seed)
    better = strong > weak
    value, zero = _aiq(scores, benchmark)
    best = max(float(weak.mean()), float(strong.mean()))
    return Measurement(
        apgr=curve_estimates[0],
        apgr_grid_10=apgr_grid(scores, weak=weak, strong=strong) if has_gap else None,
        cpt=curve_estimates[1:],
        auroc=auroc(scores, better) if 0 < better.sum() < len(better) else None,
        cost_save=_cost_save(scores, benchmark),
        performance_gain=(
            performance_gain(scores, weak=weak, strong=strong) if best > 0.0 else None
        ),
        aiq=value,
        aiq_zero=zero,
        raw=probabilities(scores, labels),
        calibrated=probabilities(mapped, labels),
        shares=tuple(
            _share_point(scores, benchmark, both, share, scale=scale, rounds=rounds, seed=seed)
            for share in SHARES
        ),
        curve=_points(scores, benchmark),
        histogram=_histogram(scores),
        reliability_raw=_reliability(scores, labels),
        reliability_calibrated=_reliability(mapped, labels),
        slices=_slices(scores, benchmark),
    )


def baselines(benchmark: LoadedBenchmark) -> tuple[Baseline, ...]:
    """Return the rows that every table starts with.

    The models alone, chance, sending the longest prompts to the strong model, and the oracle.
    """
    weak, strong = benchmark.weak, benchmark.strong
    mean_weak, mean_strong = float(weak.mean()), float(strong.mean())
    oracle = oracle_scores(weak=weak, strong=strong)
    has_gap = mean_strong > mean_weak
    needed = strong > weak
    weak_cost, strong_cost = benchmark.weak_cost, benchmark.strong_cost
    costs: tuple[float | None, ...] = (None, None, None, None)
    if weak_cost is not None and strong_cost is not None:
        low, high = float(weak_cost.mean()), float(strong_cost.mean())
        best = float(np.where(needed, strong_cost, weak_cost).mean())
        costs = (low, high, (low + high) / 2.0, best)
    lengths = benchmark.prompt_lengths()
    return (
        Baseline("all weak", mean_weak, 0.0, None, None, costs[0]),
        Baseline("all strong", mean_strong, 1.0, None, None, costs[1]),
        Baseline(
            "random, expected",
            (mean_weak + mean_strong) / 2.0,
            0.5,
            0.5 if has_gap else None,
            0.5 if has_gap else None,
            costs[2],
        ),
        Baseline(
            "prompt length",
            quality_at(lengths, weak=weak, strong=strong, strong_share=0.5),
            0.5,
            apgr(lengths, weak=weak, strong=strong) if has_gap else None,
            cpt(lengths, weak=weak, strong=strong) if has_gap else None,
            None,
        ),
        Baseline(
            "oracle",
            float(np.maximum(weak, strong).mean()),
            float(needed.mean()),
            apgr(oracle, weak=weak, strong=strong) if has_gap else None,
            cpt(oracle, weak=weak, strong=strong) if has_gap else None,
            costs[3],
        ),
    )


def _curve_estimates(
    scores: Floats, benchmark: LoadedBenchmark, *, rounds: int, seed: int
) -> tuple[Estimate, ...]:
    """Return APGR and the CPTs with intervals, from one set of draws."""
    weak, strong = benchmark.weak, benchmark.strong
    if not float((strong - weak).mean()) > 0.0:
        return (Estimate(None, None, None),) * (1 + len(TARGETS))
    values = bootstrap_rounds(
        curve_of(scores, weak=weak, strong=strong, targets=TARGETS),
        n=len(scores),
        rounds=rounds,
        seed=seed,
    )
    found = [
        apgr(scores, weak=weak, strong=strong),
        *(cpt(scores, weak=weak, strong=strong, target=target) for target in TARGETS),
    ]
    return tuple(
        _estimate(value, interval_of(column)) for value, column in zip(found, values.T, strict=True)
    )


def _estimate(value: float | None, interval: Interval) -> Estimate:
    defined = not np.isnan(interval.low)
    return Estimate(value, interval.low if defined else None, interval.high if defined else None)


def halves(domains: Sequence[str], *, seed: int) -> tuple[Rows, Rows]:
    """Return two random halves of n prompts, each with half of every domain, as indices.

    Both are everything when there is one prompt only.
    """
    order = np.random.default_rng(seed).permutation(len(domains))
    names = np.unique(np.asarray(domains), return_inverse=True)[1]
    dealt = order[np.argsort(names[order], kind="stable")]
    first, second = np.sort(dealt[0::2]), np.sort(dealt[1::2])
    return (first, second) if second.size else (first, first)


def _cross_fitted(scores: Floats, labels: Floats, both: tuple[Rows, Rows]) -> Floats:
    """Return each half's win rates under the map that was fitted on the other."""
    mapped = np.empty_like(scores)
    for fit_on, apply_to in (both, both[::-1]):
        fitted = fit_isotonic(scores[fit_on], labels[fit_on])
        mapped[apply_to] = fitted(scores[apply_to])
    return mapped


def probabilities(win_rates: Floats, labels: Floats) -> Probabilities:
    """Return how believable win rates are, given labels in [0, 1]."""
    return Probabilities(
        ece=ece(win_rates, labels),
        ece_equal_mass=ece(win_rates, labels, rule="mass"),
        mce=mce(win_rates, labels),
        brier=brier(win_rates, labels),
        nll=nll(win_rates, labels),
    )


def _reliability(win_rates: Floats, labels: Floats) -> ReliabilityPoints:
    table = reliability(win_rates, labels)
    return ReliabilityPoints(
        tuple(table.predicted.tolist()),
        tuple(table.observed.tolist()),
        tuple(table.counts.tolist()),
    )


def _histogram(scores: Floats) -> Histogram:
    low, high = float(scores.min()), float(scores.max())
    if low == high:
        low, high = max(0.0, low - 0.01), min(1.0, high + 0.01)
    counts, _ = np.histogram(scores, _HISTOGRAM_BINS, (low, high))
    return Histogram(low, high, tuple(counts.tolist()))


def _share_point(
    scores: Floats,
    benchmark: LoadedBenchmark,
    both: tuple[Rows, Rows],
    share: float,
    *,
    scale: Floats | None,
    rounds: int,
    seed: int,
) -> SharePoint:
    first, second = both
    target = calibrate_share(scores[first], strong_share=share)
    held_out = scores[second]
    outcomes = {"weak": benchmark.weak[second], "strong": benchmark.strong[second]}
    chosen = held_out >= target.threshold
    interval = bootstrap_interval(
        quality_of(held_out, threshold=target.threshold, **outcomes),
        n=len(held_out),
        rounds=rounds,
        seed=seed,
    )
    quality = float(np.where(chosen, outcomes["strong"], outcomes["weak"]).mean())
    return SharePoint(
        asked=share,
        threshold=target.threshold
        if scale is None
        else float(np.interp(target.threshold, scale[:, 0], scale[:, 1])),
        low=target.interval.low,
        high=target.interval.high,
        achieved=float(chosen.mean()),
        quality=_estimate(quality, interval),
    )


def _points(scores: Floats, benchmark: LoadedBenchmark) -> CurvePoints:
    """Return the curve, thinned to at most 200 points, first and last kept."""
    curve = _curve(scores, benchmark)
    size = len(curve.shares)
    kept = np.unique(np.linspace(0, size - 1, min(size, _CURVE_POINTS)).round().astype(int))
    return CurvePoints(
        tuple(curve.shares[kept].tolist()),
        tuple(curve.quality[kept].tolist()),
        None if benchmark.weak_cost is None else tuple(curve.cost[kept].tolist()),
    )


def _curve(scores: Floats, benchmark: LoadedBenchmark) -> Curve:
    """Return the curve over dollars where they are known, and over strong calls elsewhere."""
    weak_cost, strong_cost = _costs(benchmark)
    return cost_quality_curve(
        scores,
        weak=benchmark.weak,
        strong=benchmark.strong,
        weak_cost=weak_cost,
        strong_cost=strong_cost,
    )


def _costs(benchmark: LoadedBenchmark) -> tuple[Floats, Floats]:
    if benchmark.weak_cost is None or benchmark.strong_cost is None:
        return np.array(0.0), np.array(1.0)
    return benchmark.weak_cost, benchmark.strong_cost


def _cost_save(scores: Floats, benchmark: LoadedBenchmark) -> float | None:
    weak_cost, strong_cost = _costs(benchmark)
    if not float(strong_cost.mean()) > 0.0:
        return None
    return cost_save(
        scores,
        weak=benchmark.weak,
        strong=benchmark.strong,
        weak_cost=weak_cost,
        strong_cost=strong_cost,
    )


def _aiq(scores: Floats, benchmark: LoadedBenchmark) -> tuple[float | None, float | None]:
    """Return AIQ of the router and of the two models alone, from all-weak to all-strong."""
    curve = _curve(scores, benchmark)
    low, high = float(curve.cost[0]), float(curve.cost[-1])
    if not low < high or curve.cost.min() < low:
        return None, None
    router = aiq(curve.cost, curve.quality, cost_min=low, cost_max=high)
    return router, aiq(curve.cost[[0, -1]], curve.quality[[0, -1]])


def _slices(scores: Floats, benchmark: LoadedBenchmark) -> tuple[Slice, ...]:
    threshold = calibrate_share(scores, strong_share=_SLICE_SHARE).threshold
    names = np.array(benchmark.domains)
    rows = []
    for domain in sorted(set(benchmark.domains)):
        inside = names == domain
        weak, strong = benchmark.weak[inside], benchmark.strong[inside]
        chosen = scores[inside] >= threshold
        has_gap = float((strong - weak).mean()) > 0.0
        rows.append(
            Slice(
                domain=domain,
                n=int(inside.sum()),
                weak=float(weak.mean()),
                strong=float(strong.mean()),
                strong_share=float(chosen.mean()),
                quality=float(np.where(chosen, strong, weak).mean()),
                apgr=apgr(scores[inside], weak=weak, strong=strong) if has_gap else None,
                fault=benchmark.faults.get(domain, ""),
            )
        )
    return tuple(rows)
