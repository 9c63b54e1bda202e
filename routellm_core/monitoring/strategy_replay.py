"""What a log's calls would have cost as a cascade over their pair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from routellm_core._numbers import check_fraction
from routellm_core.errors import ConfigurationError, DataError
from routellm_core.types import Usage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from routellm_core.monitoring.endings import Pricing
    from routellm_core.monitoring.records import CallRecord

__all__ = ["CascadeReplay", "replay_cascade"]


@dataclass(frozen=True, slots=True)
class CascadeReplay:
    """A log's priced calls, as they were and as a cascade's.

    Parameters
    ----------
    n_calls
        Calls in the log.
    n_scored
        Those whose weak answer has a score in the log; the others are priced with the stated rate.
    n_unpriced
        Calls that are in no sum: a price or a token count is unknown.
    accepted
        The share of weak answers that are accepted.
    actual_usd, cascade_usd, strong_usd, weak_usd
        What the calls cost, would cost as a cascade, all at the strong and all at the weak model,
        each call with its own tokens.
    break_even
        The share of accepted answers below which all-strong would cost less; NaN where it is free.
    """

    n_calls: int
    n_scored: int
    n_unpriced: int
    accepted: float
    actual_usd: float
    cascade_usd: float
    strong_usd: float
    weak_usd: float
    break_even: float


def replay_cascade(
    records: Iterable[CallRecord],
    *,
    pricing: Pricing,
    accept: float | None = None,
    accept_rate: float | None = None,
    verifier_usd: float = 0.0,
) -> CascadeReplay:
    """Price a log's calls as a cascade: the weak model, a verifier, and the strong where rejected.

    Parameters
    ----------
    records
        Of calls in any order.
    pricing
        Prices of the models.
    accept
        The level that scores in the log are compared with.
    accept_rate
        In [0, 1]: the share of answers without a score that are accepted, as calibration has
        measured it.
    verifier_usd
        What scoring an answer costs.

    Raises
    ------
    ConfigurationError
        If neither level nor rate is given, or the rate is outside [0, 1].
    DataError
        If there are no records, none has a price, or one without a score meets no rate.
    """
    if accept is None and accept_rate is None:
        raise ConfigurationError("Pass `accept`, for the log's scores, or `accept_rate`, or both.")
    if accept_rate is not None:
        check_fraction(accept_rate, name="accept_rate", within="[0, 1]")
    n_calls = n_scored = n_unpriced = 0
    accepted = actual = weak_usd = strong_usd = cascade = 0.0
    for record in records:
        n_calls += 1
        usage = Usage(
            record.input_tokens,
            record.output_tokens,
            cached_tokens=record.cached_tokens,
            cache_write_tokens=record.cache_write_tokens,
        )
        weak = pricing.cost_usd(record.weak_model, usage)
        strong = pricing.cost_usd(record.strong_model, usage)
        if weak is None or strong is None or record.cost_usd is None:
            n_unpriced += 1
            continue
        score = None if accept is None else _weak_score(record)
        if score is None and accept_rate is None:
            raise DataError(
                f"Call {record.call_id!r} has no score of the weak model's answer. Pass the share "
                "of answers that are accepted: `--accept-rate` (`accept_rate`)."
            )
        n_scored += score is not None
        chance = accept_rate or 0.0
        if score is not None and accept is not None:
            chance = float(score >= accept)
        accepted += chance
        actual += record.cost_usd + (record.drafts_usd or 0.0) + (record.verifiers_usd or 0.0)
        weak_usd, strong_usd = weak_usd + weak, strong_usd + strong
        cascade += weak + verifier_usd + (1.0 - chance) * strong
    n = n_calls - n_unpriced
    if not n:
        found = "no records" if not n_calls else "no call with known prices and token counts"
        raise DataError(f"The log holds {found}.")
    drafts = weak_usd + n * verifier_usd
    return CascadeReplay(
        n_calls,
        n_scored,
        n_unpriced,
        accepted / n,
        actual,
        cascade,
        strong_usd,
        weak_usd,
        min(1.0, drafts / strong_usd) if strong_usd > 0.0 else float("nan"),
    )


def _weak_score(record: CallRecord) -> float | None:
    """Return the score that the log has of the weak model's answer."""
    for step in record.steps or ():
        if step.get("expert") == "weak" and isinstance(step.get("score"), (int, float)):
            return float(step["score"])
    return None
