"""Arrays in, numbers out: how good a router's scores are.

Everywhere, `scores` are the win rates of n prompts, shape (n,), in any order; `weak` and `strong`
are the quality of the two models' answers to the same prompts, shape (n,), in one unit, higher is
better. A prompt goes to the strong model when its score reaches the threshold, so prompts with
tied scores cross over together: a group of ties is one straight segment of every curve, which is
also what breaking its ties at random gives on average.
"""

from routellm_core.evaluation.metrics.bootstrap import (
    Interval,
    apgr_of,
    bootstrap_interval,
    bootstrap_rounds,
    cpt_of,
    curve_of,
    interval_of,
    mean_of,
    paired_difference,
    quality_of,
)
from routellm_core.evaluation.metrics.curves import (
    Curve,
    apgr,
    apgr_grid,
    cost_quality_curve,
    cpt,
    pgr,
    quality_at,
)
from routellm_core.evaluation.metrics.money import (
    aiq,
    arena_score,
    cost_save,
    hull,
    performance_gain,
)
from routellm_core.evaluation.metrics.probabilities import (
    BrierParts,
    Reliability,
    auroc,
    brier,
    brier_parts,
    ece,
    mce,
    nll,
    oracle_scores,
    reliability,
    win_labels,
)

__all__ = [
    "BrierParts",
    "Curve",
    "Interval",
    "Reliability",
    "aiq",
    "apgr",
    "apgr_grid",
    "apgr_of",
    "arena_score",
    "auroc",
    "bootstrap_interval",
    "bootstrap_rounds",
    "brier",
    "brier_parts",
    "cost_quality_curve",
    "cost_save",
    "cpt",
    "cpt_of",
    "curve_of",
    "ece",
    "hull",
    "interval_of",
    "mce",
    "mean_of",
    "nll",
    "oracle_scores",
    "paired_difference",
    "performance_gain",
    "pgr",
    "quality_at",
    "quality_of",
    "reliability",
    "win_labels",
]
