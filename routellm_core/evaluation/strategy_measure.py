"""Strategies on one axis of dollars and one of time, with paired bootstrap intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from routellm_core.errors import ConfigurationError
from routellm_core.evaluation.contenders import Contender, fixed, oracle, predict
from routellm_core.evaluation.figures import Estimate
from routellm_core.evaluation.metrics.arrays import Floats
from routellm_core.evaluation.metrics.bootstrap import bootstrap_rounds, interval_of
from routellm_core.evaluation.metrics.curves import area
from routellm_core.evaluation.metrics.money import hull

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from routellm_core.evaluation.contenders import Played, Signals
    from routellm_core.evaluation.expert_answers import ExpertAnswers

__all__ = [
    "BUDGETS",
    "AxisFigures",
    "MeasuredStrategy",
    "StrategyPoint",
    "StrategyResults",
    "best_expert",
    "measure_strategies",
    "random_halves",
]

BUDGETS = (0.25, 0.5, 0.75)
"""Shares of the way from all-weak to all-strong at which qualities are read off."""


@dataclass(frozen=True, slots=True)
class StrategyPoint:
    """One setting of a strategy on the held-out prompts.

    Parameters
    ----------
    setting
        Numbers, by the strategy: a threshold, a level of acceptance, band and level; () for a
        single expert.
    price
        Mean of the axis for a call: US dollars, or milliseconds.
    quality
        Mean, in [0, 1].
    """

    setting: tuple[float, ...]
    price: float
    quality: float


@dataclass(frozen=True, slots=True)
class AxisFigures:
    """A strategy on one axis, dollars or time.

    Parameters
    ----------
    points
        The settings that were best on the prompts that chose, and each expert alone where it was;
        calls may be split between neighbours. Ascending in price.
    at_budgets
        Quality at each of `BUDGETS`.
    gain
        Mean quality between the price of all-weak and of all-strong, as a share of the way from
        all-weak to all-strong quality: APGR, with the axis in place of the share of strong calls.
    over_predict
        The gain less the predictive strategy's, on the same draws; None for that strategy, and
        where nobody predicts.
    """

    points: tuple[StrategyPoint, ...]
    at_budgets: tuple[Estimate, ...]
    gain: Estimate
    over_predict: Estimate | None = None


@dataclass(frozen=True, slots=True)
class MeasuredStrategy:
    """A strategy on both axes; `ms` is None where latencies are not known."""

    name: str
    usd: AxisFigures
    ms: AxisFigures | None


@dataclass(frozen=True, slots=True)
class StrategyResults:
    """Every strategy on one table of answers.

    Parameters
    ----------
    models
        The cheapest first.
    strong
        The one whose price and quality end the axes.
    n_chosen_on, n_measured
        Prompts that chose the settings, and those that everything was measured on.
    alone
        Mean price in US dollars, milliseconds (None where not known) and quality of each model.
    strategies
        In the order in which they were asked for, random and oracle last.
    """

    models: tuple[str, ...]
    strong: str
    n_chosen_on: int
    n_measured: int
    alone: tuple[tuple[float, float | None, float], ...]
    strategies: tuple[MeasuredStrategy, ...]


def random_halves(n: int, *, seed: int = 0) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the rows of two random halves of n prompts, each ascending.

    Raises
    ------
    ConfigurationError
        If there are fewer than 4 prompts.
    """
    if n < 4:
        raise ConfigurationError(f"Strategies need at least 4 answered prompts, got {n}.")
    order = np.random.default_rng(seed).permutation(n)
    return np.sort(order[: n // 2]), np.sort(order[n // 2 :])


def best_expert(answers: ExpertAnswers) -> int:
    """Return the place of the expert of the highest mean quality, the dearest of equals."""
    means = answers.quality.mean(axis=0)
    return int(np.flatnonzero(means == means.max())[-1])


def measure_strategies(
    answers: ExpertAnswers,
    signals: Signals,
    contenders: Sequence[tuple[Contender, Signals | None]],
    *,
    rounds: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> StrategyResults:
    """Measure strategies on answered prompts.

    One random half of the prompts chooses each strategy's settings: the corners of the hull of
    price and quality. The other half measures them, so that a strategy with many settings has no
    advantage. All strategies see the same bootstrap draws.

    Parameters
    ----------
    answers
        Of the experts.
    signals
        The predictive strategy's, which the others are compared with.
    contenders
        Strategies, each with signals of its own or None for `signals`.
    rounds, confidence, seed
        Of the bootstrap; the seed also draws the halves.

    Raises
    ------
    ConfigurationError
        If there are too few prompts, or scores are missing that a strategy needs.
    """
    for contender, own in contenders:  # what is missing is counted on all prompts
        contender.settings(answers, own or signals)
    chosen_on, measured = random_halves(len(answers), seed=seed)
    strong = best_expert(answers)
    singles = [fixed(place, model) for place, model in enumerate(answers.models)]
    entries: list[tuple[Contender, Signals | None]] = [(predict(strong=strong), None)]
    entries += [entry for entry in contenders if entry[0].name != "predict"]
    entries.append((fixed(0, "random"), None))
    by_axis: dict[str, list[AxisFigures]] = {}
    for axis in ["usd"] if answers.ms is None else ["usd", "ms"]:
        curves = [
            _Curve.of([contender, *singles], answers, own or signals, axis, (chosen_on, measured))
            for contender, own in [*entries, (oracle(axis), None)]
        ]
        ends = _ends(answers, measured, axis, strong)
        by_axis[axis] = _figures(curves, ends, rounds=rounds, confidence=confidence, seed=seed)
    names = [*(contender.name for contender, _ in entries), "oracle"]
    held = answers.select(measured)
    return StrategyResults(
        models=answers.models,
        strong=answers.models[strong],
        n_chosen_on=len(chosen_on),
        n_measured=len(measured),
        alone=_alone(held),
        strategies=tuple(
            MeasuredStrategy(name, by_axis["usd"][i], by_axis["ms"][i] if "ms" in by_axis else None)
            for i, name in enumerate(names)
        ),
    )


def _alone(held: ExpertAnswers) -> tuple[tuple[float, float | None, float], ...]:
    """Return mean price, time and quality of each expert."""
    times = [None] * len(held.models) if held.ms is None else held.ms.mean(axis=0).tolist()
    usd, quality = held.usd.mean(axis=0).tolist(), held.quality.mean(axis=0).tolist()
    return tuple(zip(usd, times, quality, strict=True))


@dataclass(frozen=True, slots=True)
class _Curve:
    """Chosen settings played on n held-out prompts: price and quality of shape (n, k)."""

    settings: list[tuple[float, ...]]
    price: Floats
    quality: Floats

    @classmethod
    def of(
        cls,
        contenders: Sequence[Contender],
        answers: ExpertAnswers,
        signals: Signals,
        axis: str,
        halves: tuple[NDArray[np.intp], NDArray[np.intp]],
    ) -> _Curve:
        chosen_on, measured = (answers.select(rows) for rows in halves)
        known, met = (signals.select(rows) for rows in halves)
        plays = [
            (contender, setting)
            for contender in contenders
            for setting in contender.settings(chosen_on, known)
        ]
        tried = [c.play(chosen_on, known, setting) for c, setting in plays]
        prices = np.array([_price(played, axis).mean() for played in tried])
        quality = np.array([played.quality.mean() for played in tried])
        corners, heights = hull(prices, quality)
        places = [
            int(np.flatnonzero((prices == price) & (quality == height))[0])
            for price, height in zip(corners, heights, strict=True)
        ]
        final = [plays[place][0].play(measured, met, plays[place][1]) for place in places]
        return cls(
            [tuple(map(float, plays[place][1])) for place in places],
            np.stack([_price(played, axis) for played in final], axis=1),
            np.stack([played.quality for played in final], axis=1),
        )


def _price(played: Played, axis: str) -> Floats:
    found: Floats = played.usd if axis == "usd" else played.ms  # type: ignore[assignment]
    return found


def _ends(answers: ExpertAnswers, rows: NDArray[np.intp], axis: str, strong: int) -> Floats:
    """Return price and quality of the cheapest and of the strong model: (n, 4)."""
    price, quality = getattr(answers, axis)[rows], answers.quality[rows]
    return np.stack([price[:, 0], price[:, strong], quality[:, 0], quality[:, strong]], axis=1)


def _figures(
    curves: Sequence[_Curve], ends: Floats, *, rounds: int, confidence: float, seed: int
) -> list[AxisFigures]:
    n = len(ends)
    # One matrix for all, so that one product gives every mean of a round.
    parts = [ends, *(part for curve in curves for part in (curve.price, curve.quality))]
    columns = np.concatenate(parts, axis=1)
    widths = [curve.price.shape[1] for curve in curves]
    drawn = bootstrap_rounds(lambda weights: weights @ columns / n, n=n, rounds=rounds, seed=seed)
    whole = _read(columns.mean(axis=0)[None], widths)[0]  # (curves, budgets + 1)
    values = _read(drawn, widths)  # (rounds, curves, budgets + 1)
    found = []
    for place, curve in enumerate(curves):
        estimates = [
            _estimate(whole[place, k], values[:, place, k], confidence)
            for k in range(len(BUDGETS) + 1)
        ]
        over = None
        if place > 0:
            over = _estimate(
                whole[place, -1] - whole[0, -1], values[:, place, -1] - values[:, 0, -1], confidence
            )
        prices, quality = curve.price.mean(axis=0), curve.quality.mean(axis=0)
        order = np.argsort(prices, kind="stable")
        points = tuple(
            StrategyPoint(curve.settings[k], float(prices[k]), float(quality[k])) for k in order
        )
        found.append(AxisFigures(points, tuple(estimates[:-1]), estimates[-1], over))
    return found


def _read(means: Floats, widths: Sequence[int]) -> Floats:
    """Return the quality at each budget and the gain, of each curve in each round."""
    found = np.full((len(means), len(widths), len(BUDGETS) + 1), np.nan)
    for r, row in enumerate(means):
        low, high, weak, strong = row[:4]
        budgets = low + np.array(BUDGETS) * (high - low)
        start = 4
        for c, width in enumerate(widths):
            price, quality = row[start : start + width], row[start + width : start + 2 * width]
            start += 2 * width
            order = np.argsort(price, kind="stable")
            price, quality = price[order], quality[order]
            found[r, c, :-1] = np.interp(budgets, price, quality)
            found[r, c, -1] = _gain(price, quality, (low, high, weak, strong))
    return found


def _gain(price: Floats, quality: Floats, ends: tuple[float, float, float, float]) -> float:
    low, high, weak, strong = ends
    if not high > low or not strong > weak:
        return float("nan")
    grid = np.concatenate([[low], price[(price > low) & (price < high)], [high]])
    mean = float(area(grid, np.interp(grid, price, quality))) / (high - low)
    return (mean - weak) / (strong - weak)


def _estimate(value: Any, rounds: Floats, confidence: float) -> Estimate:
    if not np.isfinite(value):
        return Estimate(None, None, None)
    interval = interval_of(rounds, confidence=confidence)
    return Estimate(float(value), interval.low, interval.high)
