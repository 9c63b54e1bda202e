"""The figures of a report, as values."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "SHARES",
    "TARGETS",
    "Baseline",
    "CurvePoints",
    "Estimate",
    "Histogram",
    "Measurement",
    "Probabilities",
    "ReliabilityPoints",
    "SharePoint",
    "Slice",
]

TARGETS = (0.2, 0.5, 0.8)
"""The PGRs whose CPT is reported."""

SHARES = (0.1, 0.3, 0.5, 0.7)
"""The strong shares that are calibrated on one half and looked at on the other."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % bootstrap interval; None where it does not exist."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Probabilities:
    """How believable win rates are; lower is better."""

    ece: float
    ece_equal_mass: float
    mce: float
    brier: float
    nll: float


@dataclass(frozen=True, slots=True)
class ReliabilityPoints:
    """Predicted against observed win rates in bins of equal width."""

    predicted: tuple[float, ...]
    observed: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many prompts have which win rate, in equal bins from the lowest to the highest."""

    low: float
    high: float
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CurvePoints:
    """Strong share, mean quality and, where costs are known, mean US dollars of a call."""

    shares: tuple[float, ...]
    quality: tuple[float, ...]
    cost: tuple[float, ...] | None


@dataclass(frozen=True, slots=True)
class SharePoint:
    """A share calibrated on one half of the prompts and looked at on the other.

    Parameters
    ----------
    asked
        The share of strong calls that was asked for.
    threshold, low, high
        What calibration said: the threshold, and the 95 % interval of its true share.
    achieved
        The share on the other half.
    quality
        Mean quality there.
    """

    asked: float
    threshold: float
    low: float
    high: float
    achieved: float
    quality: Estimate


@dataclass(frozen=True, slots=True)
class Slice:
    """One domain, under the threshold at which half of all calls go to the strong model."""

    domain: str
    n: int
    weak: float
    strong: float
    strong_share: float
    quality: float
    apgr: float | None
    fault: str


@dataclass(frozen=True, slots=True)
class Baseline:
    """What needs no router: a row to compare with."""

    name: str
    quality: float
    strong_share: float | None
    apgr: float | None
    cpt_50: float | None
    cost_usd: float | None


@dataclass(frozen=True, slots=True)
class Measurement:
    """Every figure of one router on one benchmark.

    Parameters
    ----------
    apgr, apgr_grid_10
        Exact, and over the grid of the paper. None without a gap between the models.
    cpt
        CPT of each of `TARGETS`, as shares.
    auroc
        Of "the strong model's answer is strictly better".
    cost_save
        Saving against all-strong at no loss of quality, in dollars where they are known and in
        calls elsewhere; the threshold is picked on the same prompts.
    performance_gain
        Over the better single model, likewise.
    aiq, aiq_zero
        Of the router, and of randomising between the two models, over one range of costs.
    raw, calibrated
        Of the win rates as they are, and after isotonic regression fitted on the other half.
    shares, curve, histogram, reliability_raw, reliability_calibrated, slices
        For tables and figures.
    """

    apgr: Estimate
    apgr_grid_10: float | None
    cpt: tuple[Estimate, ...]
    auroc: float | None
    cost_save: float | None
    performance_gain: float | None
    aiq: float | None
    aiq_zero: float | None
    raw: Probabilities
    calibrated: Probabilities
    shares: tuple[SharePoint, ...]
    curve: CurvePoints
    histogram: Histogram
    reliability_raw: ReliabilityPoints
    reliability_calibrated: ReliabilityPoints
    slices: tuple[Slice, ...]
