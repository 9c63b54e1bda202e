"""What tuning found, in figures."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from routellm_core._numbers import json_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from routellm_core.labeling.agreement import Interval
    from routellm_core.labeling.reports import LabelReport
    from routellm_core.tuning.measure import NoLoss

__all__ = ["TuneReport"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneReport:
    """What came of a log.

    All figures are of labelled prompts, each scored by a router that was adapted without it, to
    four fifths of the labels.

    Parameters
    ----------
    checkpoint
        The folder of the router, which is adapted to all labels.
    labels
        The file of the labels.
    labelling
        What labelling found and cost.
    n_labels
        Prompts with a label of both models.
    gap_recovered, prior_gap_recovered
        APGR of the adapted router and of the one that it started from: the share of the quality gap
        between the models that routing recovers, averaged over all shares of strong calls.
    gain
        The difference of the two, on the same prompts.
    no_loss
        What can go to the weak model without a loss of quality.
    next_100_labels
        How much APGR a hundred further labels will likely add; None where there are too few labels
        to say.
    doubts
        What speaks against these labels, in sentences.
    """

    checkpoint: str
    labels: str
    labelling: LabelReport
    n_labels: int
    gap_recovered: Interval
    prior_gap_recovered: Interval
    gain: Interval
    no_loss: NoLoss
    next_100_labels: Interval | None
    doubts: Sequence[str] = ()

    def values(self) -> dict[str, object]:
        """Return the report for JSON, with None for what is not known."""
        return {name: json_value(value) for name, value in asdict(self).items()}
