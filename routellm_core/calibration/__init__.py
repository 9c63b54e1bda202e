"""From scores of real prompts to a threshold: for a share, for a cost, or for a quality floor."""

from routellm_core._scales import on_percentiles, percentile_scale
from routellm_core.calibration.cost import CostTarget, calibrate_cost, check_max_cost
from routellm_core.calibration.logistic import LogisticMap, fit_logistic
from routellm_core.calibration.probability import ProbabilityMap, fit_isotonic, fit_platt
from routellm_core.calibration.quality import QualityTarget, calibrate_quality, check_min_quality
from routellm_core.calibration.share import (
    ShareInterval,
    ShareTarget,
    calibrate_share,
    future_share_interval,
    router_share_interval,
    share_interval,
)
from routellm_core.calibration.stored import (
    CallTokens,
    calibration_of,
    cost_threshold,
    quality_threshold,
    with_calibration,
)
from routellm_core.calibration.thresholds import (
    CalibrationWarning,
    check_share,
    router_threshold,
    threshold_advice,
    threshold_for,
    threshold_share,
)

__all__ = [
    "CalibrationWarning",
    "CallTokens",
    "CostTarget",
    "LogisticMap",
    "ProbabilityMap",
    "QualityTarget",
    "ShareInterval",
    "ShareTarget",
    "calibrate_cost",
    "calibrate_quality",
    "calibrate_share",
    "calibration_of",
    "check_max_cost",
    "check_min_quality",
    "check_share",
    "cost_threshold",
    "fit_isotonic",
    "fit_logistic",
    "fit_platt",
    "future_share_interval",
    "on_percentiles",
    "percentile_scale",
    "quality_threshold",
    "router_share_interval",
    "router_threshold",
    "share_interval",
    "threshold_advice",
    "threshold_for",
    "threshold_share",
    "with_calibration",
]
