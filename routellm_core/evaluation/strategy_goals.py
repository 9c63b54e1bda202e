"""The setting of a strategy for a mean cost or a kept quality, proved on held-out prompts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from routellm_core.calibration.quality import check_min_quality, lower_bound
from routellm_core.errors import ConfigurationError
from routellm_core.evaluation.figures import Estimate
from routellm_core.evaluation.metrics.bootstrap import bootstrap_interval, mean_of
from routellm_core.evaluation.strategies import break_even_rejection
from routellm_core.evaluation.strategy_measure import best_expert, random_halves

if TYPE_CHECKING:
    from routellm_core.evaluation.contenders import Contender, Played, Signals
    from routellm_core.evaluation.expert_answers import ExpertAnswers

__all__ = ["StrategySetting", "calibrate_strategy"]


@dataclass(frozen=True, slots=True)
class StrategySetting:
    """A strategy's setting for a goal, and what it comes to on prompts that did not choose it.

    Parameters
    ----------
    strategy
        Its name.
    setting
        Numbers, as `Contender.settings` has them: `(accept,)` of a cascade, `(low, high, accept)`
        of a hybrid, the quality that one US dollar must buy and the experts' mean costs of experts.
    usd, quality, ms
        Means of a call with their intervals, on the held-out prompts; `ms` None where latencies
        are not known.
    kept
        `quality` as a share of the best expert's, and the lower bound that holds with the stated
        confidence.
    rejected
        The share of first answers that are scored and rejected; None where none is scored.
    break_even
        Of a pair: the share of rejected answers from which on all-strong costs less.
    n_chosen_on, n_measured
        Prompts in either half.
    """

    strategy: str
    setting: tuple[float, ...]
    usd: Estimate
    quality: Estimate
    ms: Estimate | None
    kept: Estimate
    rejected: float | None
    break_even: float | None
    n_chosen_on: int
    n_measured: int


def calibrate_strategy(
    contender: Contender,
    answers: ExpertAnswers,
    signals: Signals,
    *,
    max_cost: float | None = None,
    min_quality: float | None = None,
    confidence: float = 0.95,
    rounds: int = 1000,
    seed: int = 0,
) -> StrategySetting:
    """Return a strategy's setting for a goal.

    One random half of the prompts proposes settings, the other half measures them. For a cost, the
    best within it on the first half is taken. For a quality, the proposed settings are tested on
    the other half from the dearest on, and the last before the first that fails is taken, so that
    the floor holds with the stated confidence whatever the number of settings.

    Parameters
    ----------
    contender, answers, signals
        The strategy, the experts' answers, and what is known before.
    max_cost
        Mean US dollars of a call.
    min_quality
        In (0, 1], in place of `max_cost`: the share of the best expert's mean quality to keep.
    confidence
        In (0, 1): of the floor and of every interval.
    rounds, seed
        Of the bootstrap; the seed also draws the halves.

    Raises
    ------
    ConfigurationError
        If not exactly one goal is given, or no setting meets it.

    References
    ----------
    Fixed-sequence testing: Angelopoulos et al., Learn then Test, arXiv:2110.01052.
    """
    if (max_cost is None) == (min_quality is None):
        raise ConfigurationError("Pass either `max_cost` or `min_quality`.")
    contender.settings(answers, signals)  # what is missing is counted on all prompts
    chosen_on, measured = random_halves(len(answers), seed=seed)
    first, known = answers.select(chosen_on), signals.select(chosen_on)
    held, met = answers.select(measured), signals.select(measured)
    settings = contender.settings(first, known)
    tried = [contender.play(first, known, setting) for setting in settings]
    usd = np.array([played.usd.mean() for played in tried])
    quality = np.array([played.quality.mean() for played in tried])
    if max_cost is not None:
        setting = settings[_within(usd, quality, max_cost)]
    else:
        check_min_quality(float(min_quality or 0.0))
        order = [settings[place] for place in _front(usd, quality)[::-1]]
        played = [contender.play(held, met, each) for each in order]
        place = _last_kept(played, _best(held), float(min_quality or 0.0), confidence)
        setting = order[place]
    return _found(
        contender,
        setting,
        held,
        contender.play(held, met, setting),
        n_chosen_on=len(chosen_on),
        options={"rounds": rounds, "confidence": confidence, "seed": seed},
    )


def _within(usd: Any, quality: Any, max_cost: float) -> int:
    fitting = np.flatnonzero(usd <= max_cost)
    if not fitting.size:
        raise ConfigurationError(
            f"`max_cost` must be at least {usd.min():.6g} US dollars a call, got {max_cost!r}."
        )
    best = quality[fitting].max()
    cheapest = fitting[quality[fitting] == best]
    return int(cheapest[usd[cheapest].argmin()])


def _front(usd: Any, quality: Any) -> list[int]:
    """Return the places of the settings that no other is cheaper and as good as, ascending."""
    found: list[int] = []
    for place in np.lexsort((-quality, usd)).tolist():
        if not found or quality[place] > quality[found[-1]]:
            found.append(place)
    return found


def _last_kept(played: list[Played], best: Any, min_quality: float, confidence: float) -> int:
    """Return the place of the last setting before the first that cannot be shown to keep."""
    last = -1
    for place, each in enumerate(played):
        if _kept_low(each, best, min_quality, confidence) < 0.0:
            break
        last = place
    if last < 0:
        kept = played[0].quality.mean() / max(best.mean(), 1e-12)
        raise ConfigurationError(
            f"No setting could be shown to keep {min_quality:.1%} of the best model's quality on "
            f"{len(best):,} held-out prompts: the dearest keeps {kept:.1%} there. Lower "
            "`min_quality`, or bring more prompts."
        )
    return last


def _kept_low(played: Played, best: Any, share: float, confidence: float) -> float:
    """Return a lower bound of the mean of quality less `share` of the best expert's."""
    scaled = (played.quality - share * best + share) / (1.0 + share)
    # The bound takes the values one by one, in an order that must not depend on them.
    scaled = scaled[np.random.default_rng(0).permutation(len(scaled))]
    return lower_bound(scaled, confidence=confidence) * (1.0 + share) - share


def _best(answers: ExpertAnswers) -> Any:
    return answers.quality[:, best_expert(answers)]


def _found(
    contender: Contender,
    setting: Any,
    held: ExpertAnswers,
    played: Played,
    *,
    n_chosen_on: int,
    options: dict[str, Any],
) -> StrategySetting:
    def estimate(values: Any) -> Estimate:
        interval = bootstrap_interval(mean_of(values), n=len(values), **options)
        return Estimate(float(values.mean()), interval.low, interval.high)

    best = _best(held)
    kept = None
    if best.mean() > 0.0:
        change = _kept_low(played, best, 1.0, options["confidence"])
        low = max(0.0, 1.0 + change / float(best.mean()))
        kept = Estimate(float(played.quality.mean() / best.mean()), low, None)
    break_even = None
    scores = played.rejected is not None
    if contender.name == "cascade" and len(held.models) == 2:
        break_even = break_even_rejection(
            weak_usd=float(held.usd[:, 0].mean()),
            strong_usd=float(held.usd[:, 1].mean()),
            verifier_usd=float(np.asarray(held.verifier_usd)[:, 0].mean()),
        )
    return StrategySetting(
        strategy=contender.name,
        setting=tuple(map(float, setting)),
        usd=estimate(played.usd),
        quality=estimate(played.quality),
        ms=None if played.ms is None else estimate(played.ms),
        kept=kept or Estimate(None, None, None),
        rejected=float(played.rejected.mean()) if scores else None,
        break_even=break_even,
        n_chosen_on=n_chosen_on,
        n_measured=len(held),
    )
