"""The whole road from a log to a router: labels, adaptation, calibration, report."""

from routellm_core.tuning.measure import NoLoss
from routellm_core.tuning.report import TuneReport
from routellm_core.tuning.tune import TuneJob, labels_path, tune

__all__ = ["NoLoss", "TuneJob", "TuneReport", "labels_path", "tune"]
