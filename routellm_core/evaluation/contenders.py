"""Strategies as settings that are played on answered prompts."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from routellm_core.evaluation.metrics.arrays import Floats

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from routellm_core.evaluation.expert_answers import ExpertAnswers

__all__ = [
    "Contender",
    "Played",
    "Signals",
    "best_of",
    "cascade",
    "experts",
    "fixed",
    "hybrid",
    "oracle",
    "predict",
]

_QUANTILES = 9
_LEVELS = 200


class Played(NamedTuple):
    """What a strategy with one setting makes of n prompts.

    Parameters
    ----------
    usd, quality
        Shape (n,): US dollars and quality in [0, 1] of each call.
    ms
        Shape (n,): milliseconds of each call; None where they are not known.
    rejected
        Shape (n,): whether the first answer was scored and rejected.
    """

    usd: Floats
    quality: Floats
    ms: Floats | None
    rejected: Any = None


class Signals(NamedTuple):
    """What is known of n prompts before an expert is asked.

    Parameters
    ----------
    win_rates
        Shape (n,): a router's, or anything that orders prompts by their need of the strong model.
    estimates
        Shape (n, m): expected qualities of the experts; None where the router rates none.
    """

    win_rates: Floats
    estimates: Floats | None = None

    def select(self, rows: Any) -> Signals:
        """Return those of some prompts."""
        part = None if self.estimates is None else self.estimates[rows]
        return Signals(self.win_rates[rows], part)


class Contender(NamedTuple):
    """A strategy, and the settings that it may take.

    Parameters
    ----------
    name
        What reports call it.
    settings
        Made from some prompts, those that choose: one tuple of numbers each.
    play
        Plays a setting on prompts.
    """

    name: str
    settings: Callable[[ExpertAnswers, Signals], Sequence[Any]]
    play: Callable[[ExpertAnswers, Signals, Any], Played]


def fixed(expert: int, name: str) -> Contender:
    """Return the strategy of asking one expert, by its place, the cheapest being 0."""

    def play(answers: ExpertAnswers, signals: Signals, _: Any) -> Played:  # noqa: ARG001
        return _asked(answers, np.full(len(answers), expert))

    return Contender(name, lambda *_: [()], play)


def predict(*, strong: int = -1) -> Contender:
    """Return the pair's router: a win rate at or above a threshold goes to the strong model."""

    def settings(_: ExpertAnswers, signals: Signals) -> list[tuple[float]]:
        return [(threshold,) for threshold in _levels(signals.win_rates)]

    def play(answers: ExpertAnswers, signals: Signals, setting: tuple[float]) -> Played:
        to_strong = signals.win_rates >= setting[0]
        return _asked(answers, np.where(to_strong, _place(answers, strong), 0))

    return Contender("predict", settings, play)


def experts() -> Contender:
    """Return `Predict` over all experts: the highest estimate less the weighted mean cost."""

    def settings(answers: ExpertAnswers, signals: Signals) -> list[tuple[float, ...]]:
        cost = answers.usd.mean(axis=0)
        return [(weight, *cost) for weight in _weights(_estimates(signals), cost)]

    def play(answers: ExpertAnswers, signals: Signals, setting: tuple[float, ...]) -> Played:
        worth = _estimates(signals) - setting[0] * np.array(setting[1:])
        return _asked(answers, worth.argmax(axis=1))

    return Contender("experts", settings, play)


def cascade() -> Contender:
    """Return the cascade over all experts, with one level of acceptance for each but the last."""

    def settings(answers: ExpertAnswers, _: Signals) -> list[tuple[float]]:
        return [(level,) for level in _levels(answers.scored(len(answers.models) - 1))]

    def play(answers: ExpertAnswers, _: Signals, setting: tuple[float]) -> Played:
        return _cascaded(answers, setting[0], np.ones(len(answers), dtype=bool))

    return Contender("cascade", settings, play)


def hybrid(*, strong: int = -1) -> Contender:
    """Return the router outside a band of win rates, and the cascade inside it."""

    def settings(answers: ExpertAnswers, signals: Signals) -> list[tuple[float, float, float]]:
        ends = _levels(signals.win_rates, n=_QUANTILES)
        accepts = _levels(answers.scored(len(answers.models) - 1), n=_QUANTILES)
        return [
            (low, high, accept) for low, high, accept in product(ends, ends, accepts) if low <= high
        ]

    def play(
        answers: ExpertAnswers, signals: Signals, setting: tuple[float, float, float]
    ) -> Played:
        low, high, accept = setting
        rates = signals.win_rates
        inside = (rates >= low) & (rates < high)
        alone = _asked(answers, np.where(rates >= high, _place(answers, strong), 0))
        checked = _cascaded(answers, accept, inside)
        return Played(
            np.where(inside, checked.usd, alone.usd),
            np.where(inside, checked.quality, alone.quality),
            None
            if checked.ms is None or alone.ms is None
            else np.where(inside, checked.ms, alone.ms),
            inside & checked.rejected,
        )

    return Contender("hybrid", settings, play)


def best_of() -> Contender:
    """Return the strategy of asking every expert at once and keeping the best answer by score."""

    def settings(answers: ExpertAnswers, _: Signals) -> list[tuple[()]]:
        answers.scored(len(answers.models))
        return [()]

    def play(answers: ExpertAnswers, _: Signals, __: tuple[()]) -> Played:
        scores = answers.scored(len(answers.models))
        usd = (answers.usd + answers.verifier_usd).sum(axis=1)
        rows = np.arange(len(answers))
        ms = None
        if answers.ms is not None:
            ms = answers.ms.max(axis=1) + np.asarray(answers.verifier_ms).max(axis=1)
        return Played(usd, answers.quality[rows, scores.argmax(axis=1)], ms)

    return Contender("best_of", settings, play)


def oracle(axis: str = "usd") -> Contender:
    """Return the choice of who knows every answer's quality and price, or time with "ms"."""

    def priced(answers: ExpertAnswers) -> Floats:
        found: Floats = getattr(answers, axis)
        return found

    def settings(answers: ExpertAnswers, _: Signals) -> list[tuple[float]]:
        return [(weight,) for weight in _weights(answers.quality, priced(answers))]

    def play(answers: ExpertAnswers, _: Signals, setting: tuple[float]) -> Played:
        return _asked(answers, (answers.quality - setting[0] * priced(answers)).argmax(axis=1))

    return Contender("oracle", settings, play)


def _asked(answers: ExpertAnswers, places: Any) -> Played:
    rows = np.arange(len(answers))
    ms = None if answers.ms is None else answers.ms[rows, places]
    return Played(answers.usd[rows, places], answers.quality[rows, places], ms)


def _cascaded(answers: ExpertAnswers, accept: float, live: Any) -> Played:
    """Play a cascade on the prompts that are live; the others' figures mean nothing."""
    n, m = answers.quality.shape
    scores = answers.scored(m - 1)
    usd, quality = np.zeros(n), np.zeros(n)
    ms = None if answers.ms is None else np.zeros(n)
    waiting, rejected = live.copy(), np.zeros(n, dtype=bool)
    for place in range(m):
        is_last = place == m - 1
        usd += np.where(waiting, answers.usd[:, place], 0.0)
        if ms is not None and answers.ms is not None:
            ms += np.where(waiting, answers.ms[:, place], 0.0)
        accepted = waiting
        if not is_last:
            usd += np.where(waiting, np.asarray(answers.verifier_usd)[:, place], 0.0)
            if ms is not None:
                ms += np.where(waiting, np.asarray(answers.verifier_ms)[:, place], 0.0)
            accepted = waiting & (scores[:, place] >= accept)
        quality = np.where(accepted, answers.quality[:, place], quality)
        waiting = waiting & ~accepted
        if place == 0:
            rejected = waiting.copy()
    return Played(usd, quality, ms, rejected)


def _place(answers: ExpertAnswers, place: int) -> int:
    return place % len(answers.models)


def _estimates(signals: Signals) -> Floats:
    if signals.estimates is None:
        raise ValueError("The router rates no experts.")
    return signals.estimates


def _levels(values: Floats, *, n: int = _LEVELS) -> list[float]:
    """Return up to n levels among values, ascending, and one above all of them."""
    distinct = np.unique(values)
    if len(distinct) > n:
        distinct = np.unique(np.quantile(values, np.linspace(0.0, 1.0, n), method="higher"))
    return [*distinct.tolist(), float(np.nextafter(distinct[-1], np.inf))]


def _weights(worth: Floats, price: Floats) -> list[float]:
    """Return up to `_LEVELS` weights of the price, ascending, at which choices change."""
    wide = np.broadcast_to(price, worth.shape)
    slopes = []
    for a, b in product(range(worth.shape[1]), repeat=2):
        dearer = wide[:, b] > wide[:, a]
        slopes.append((worth[dearer, b] - worth[dearer, a]) / (wide[dearer, b] - wide[dearer, a]))
    found = np.unique(np.concatenate([[0.0], *slopes]))
    found = found[found >= 0.0]
    # Beyond the last slope the cheapest is always chosen.
    found = np.append(found, 2.0 * found[-1] + 1.0)
    if len(found) > _LEVELS:
        found = found[np.linspace(0, len(found) - 1, _LEVELS).round().astype(int)]
    return [float(weight) for weight in found]
