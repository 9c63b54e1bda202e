"""What a log's shadow answers say of its router: quality kept, and money saved, without bias."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from routellm_core.errors import DataError, UnknownModelError
from routellm_core.labeling.logged import is_same_model
from routellm_core.monitoring.call_notes import OutcomeRecord, ShadowRecord
from routellm_core.plan.shadow import is_chosen
from routellm_core.types import ModelPair

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from routellm_core.data.outcomes import Outcomes
    from routellm_core.monitoring.call_notes import CallNote
    from routellm_core.monitoring.records import CallRecord
    from routellm_core.training.examples import TrainingData

__all__ = ["Estimated", "ShadowEstimates", "estimate_shadows"]

_Z = 1.959963984540054
_ROUTES = ("weak", "strong")
_FEWEST = 2


class Estimated(NamedTuple):
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ShadowEstimates:
    """What is known of the calls that the router decided and that were answered.

    Parameters
    ----------
    n_calls
        How many there are.
    n_sampled, n_answered, n_labelled
        Those that were sampled, those of them that the other model answered as well, and those of
        these whose answers were labelled.
    other_better
        The share of calls in which the other model's answer would have been better; None without
        labels of both routes that occur.
    quality_kept
        The share of calls in which the caller's answer is at least as good as the strong model's;
        None without labels of weak calls, if there are any.
    saved_usd
        What the calls cost less than they would have at the strong model, by what its own answers
        cost; None without priced ones.
    n_rated
        Calls of which a user said how good the answer was.
    ratings
        The mean score in [0, 1] of these, by route.
    n_orphans
        Outcomes that belong to no call of the log.
    """

    n_calls: int
    n_sampled: int
    n_answered: int
    n_labelled: int
    other_better: Estimated | None
    quality_kept: Estimated | None
    saved_usd: Estimated | None
    n_rated: int
    ratings: Mapping[str, float]
    n_orphans: int


class _Stratum(NamedTuple):
    """The calls that one model answered."""

    n_calls: int
    better: NDArray[np.float64]
    """Of labelled ones, whether the other model's answer is better."""
    better_weights: NDArray[np.float64]
    dearer_usd: NDArray[np.float64]
    """Of priced ones, what the other model's answer cost more."""
    dearer_weights: NDArray[np.float64]


def estimate_shadows(
    records: Iterable[CallRecord],
    notes: Iterable[CallNote],
    labels: TrainingData | None = None,
) -> ShadowEstimates:
    """Estimate what the other model would have made of all calls from those that were sampled.

    Each sampled call stands for as many calls as its probability says, within the calls that the
    same model answered, whose number is known. Calls of which the other model's answer was lost,
    by an error, a full queue or a spent budget, count as if they were lost at random.

    Parameters
    ----------
    records, notes
        Of a log of a pair; see `LogReader`.
    labels
        What `routellm label` made of the same log; None for the figures that need none.

    Raises
    ------
    DataError
        If the log is of other models than a pair, or the labels are of other models than the log.

    References
    ----------
    Hájek's estimator, with post-stratification by route. Shares have Agresti and Coull's interval
    for the effective number of labels, the savings one from the normal distribution.
    """
    known = list(records)
    calls = {r.call_id: r for r in known if r.outcome == "answered" and is_chosen(r.decided_reason)}
    if not {record.route for record in calls.values()} <= set(_ROUTES):
        raise DataError("Shadow answers are estimated for a pair, 'weak' and 'strong', only.")
    shadows: dict[str, ShadowRecord] = {}
    scores: dict[str, float] = {}
    for note in notes:
        if isinstance(note, OutcomeRecord):
            scores[note.call_id] = note.score
        elif note.call_id in calls and note.outcome == "answered":
            shadows[note.call_id] = note
    gaps = {} if labels is None else _gaps(labels, list(calls.values()))
    for text in _in_several_conversations(shadows.values()):
        gaps.pop(text, None)
    strata = {route: _stratum(route, calls, shadows, gaps) for route in _ROUTES}
    routes = {record.call_id: record.route for record in known}
    return ShadowEstimates(
        n_calls=len(calls),
        n_sampled=sum(record.shadow_share is not None for record in calls.values()),
        n_answered=len(shadows),
        n_labelled=sum(len(stratum.better) for stratum in strata.values()),
        other_better=_share(strata.values()),
        quality_kept=_kept(strata),
        saved_usd=_saved(strata["weak"], calls.values()),
        n_rated=sum(call_id in routes for call_id in scores),
        ratings=_ratings(scores, routes),
        n_orphans=sum(call_id not in routes for call_id in scores),
    )


def _in_several_conversations(shadows: Iterable[ShadowRecord]) -> set[str]:
    """Return the texts that stand for several conversations: a label of one says nothing of others.

    A follow-up is logged under the request that it continues.
    """
    known: dict[str, Any] = {}
    return {
        text
        for shadow in shadows
        if known.setdefault(text := shadow.prompt or "", shadow.messages) != shadow.messages
    }


def _gaps(labels: TrainingData, calls: Sequence[CallRecord]) -> dict[str, float]:
    """Return by prompt how much better the strong model's answer is."""
    if not calls:
        return {}
    names = []
    for model in (calls[0].strong_model, calls[0].weak_model):
        found = next((name for name in labels.models if is_same_model(name, model)), None)
        if found is None:
            raise DataError(
                f"The log's model {model!r} is not in the labels, which are of "
                f"{', '.join(labels.models)}."
            )
        names.append(found)
    try:
        outcomes: Outcomes = labels.of_pair(ModelPair(*names))
    except UnknownModelError as error:
        raise DataError(str(error)) from None
    gaps = outcomes.quality[:, 0] - outcomes.quality[:, 1]
    return dict(zip(outcomes.prompts, gaps.tolist(), strict=True))


def _stratum(
    route: str,
    calls: Mapping[str, CallRecord],
    shadows: Mapping[str, ShadowRecord],
    gaps: Mapping[str, float],
) -> _Stratum:
    better: list[tuple[float, float]] = []
    dearer: list[tuple[float, float]] = []
    sign = 1.0 if route == "weak" else -1.0
    for call_id, shadow in shadows.items():
        call = calls[call_id]
        if call.route != route:
            continue
        gap = gaps.get(shadow.prompt or "")
        if gap is not None:
            better.append((float(sign * gap > 0.0), 1.0 / shadow.share))
        if shadow.cost_usd is not None and call.cost_usd is not None:
            dearer.append((shadow.cost_usd - call.cost_usd, 1.0 / shadow.share))
    n_calls = sum(call.route == route for call in calls.values())
    return _Stratum(n_calls, *_columns(better), *_columns(dearer))


def _columns(rows: list[tuple[float, float]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    table = np.array(rows, dtype=np.float64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def _share(strata: Iterable[_Stratum]) -> Estimated | None:
    """Return the share of calls in which the other answer is better."""
    occurring = [stratum for stratum in strata if stratum.n_calls]
    n_calls = sum(stratum.n_calls for stratum in occurring)
    if not n_calls or any(not len(stratum.better) for stratum in occurring):
        return None
    value = centre = variance = 0.0
    for stratum in occurring:
        part = stratum.n_calls / n_calls
        weights = stratum.better_weights
        mean = float(np.average(stratum.better, weights=weights))
        n = float(weights.sum() ** 2 / (weights**2).sum())
        # Two successes and two failures more: a share of 0 among ten labels is not surely 0.
        middle = (n * mean + _Z**2 / 2.0) / (n + _Z**2)
        value += part * mean
        centre += part * middle
        variance += part**2 * middle * (1.0 - middle) / (n + _Z**2)
    half = _Z * math.sqrt(variance)
    return Estimated(value, max(0.0, centre - half), min(1.0, centre + half))


def _kept(strata: Mapping[str, _Stratum]) -> Estimated | None:
    """Return the share of calls whose answer is as good as the strong model's, or its own."""
    weak, n_strong = strata["weak"], strata["strong"].n_calls
    n_calls = weak.n_calls + n_strong
    if not n_calls:
        return None
    if not weak.n_calls:
        return Estimated(1.0, 1.0, 1.0)
    lost = _share([weak])
    if lost is None:
        return None
    part = weak.n_calls / n_calls
    return Estimated(1.0 - part * lost.value, 1.0 - part * lost.high, 1.0 - part * lost.low)


def _saved(weak: _Stratum, calls: Iterable[CallRecord]) -> Estimated | None:
    """Return what weak calls cost less than the strong model's own answers, less the decisions."""
    decisions = math.fsum(
        call.router_usd + (call.drafts_usd or 0.0) + (call.verifiers_usd or 0.0) for call in calls
    )
    if not weak.n_calls:
        return Estimated(-decisions, -decisions, -decisions)
    dearer, weights = weak.dearer_usd, weak.dearer_weights / max(weak.dearer_weights.sum(), 1e-300)
    if len(dearer) < _FEWEST:
        return None
    mean = float(dearer @ weights)
    variance = float((weights**2) @ (dearer - mean) ** 2) * len(dearer) / (len(dearer) - 1)
    value, half = weak.n_calls * mean - decisions, _Z * weak.n_calls * math.sqrt(variance)
    return Estimated(value, value - half, value + half)


def _ratings(scores: Mapping[str, float], routes: Mapping[str, str]) -> dict[str, float]:
    by_route: dict[str, list[float]] = {}
    for call_id, score in scores.items():
        if call_id in routes:
            by_route.setdefault(routes[call_id], []).append(score)
    return {route: float(np.mean(found)) for route, found in sorted(by_route.items())}
