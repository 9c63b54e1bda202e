"""Several verifiers as one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from routellm_core._numbers import check_fraction
from routellm_core.answers.steps import together
from routellm_core.answers.verifier import Score, Verifier, Watch, check_level
from routellm_core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from routellm_core.answers.content import Answer, Prompt, Token
    from routellm_core.answers.steps import Plan

__all__ = ["all_of", "any_of", "first_failing", "mean_of"]


def all_of(*verifiers: Verifier) -> Verifier:
    """Combine verifiers that must all be content: the lowest score counts.

    No model is asked once a score is 0. Calibrate the verifiers first: a lowest score of several
    compares them.

    Raises
    ------
    ConfigurationError
        If there are no verifiers, or one is something else.
    """
    return _Extreme("all_of", verifiers, best=0.0, choose=min)


def any_of(*verifiers: Verifier) -> Verifier:
    """Combine verifiers of which one must be content: the highest score counts.

    No model is asked once a score is 1.

    Raises
    ------
    ConfigurationError
        If there are no verifiers, or one is something else.
    """
    return _Extreme("any_of", verifiers, best=1.0, choose=max)


def mean_of(*verifiers: Verifier, weights: Sequence[float] | None = None) -> Verifier:
    """Combine verifiers by the mean of their scores.

    Parameters
    ----------
    weights
        One positive number for each verifier, of any sum; all equal by default.

    Raises
    ------
    ConfigurationError
        If there are no verifiers, or the weights do not fit them.
    """
    return _Mean(verifiers, weights)


def first_failing(*verifiers: Verifier, level: float | Sequence[float] = 0.5) -> Verifier:
    """Ask verifiers one after another, until one fails: the cheap ones go first.

    The score is 0 where one of them, the last excepted, scores below its level; what it scored is
    `raw`. Otherwise it is the score of the last one.

    Parameters
    ----------
    level
        In [0, 1]: what a score must reach; one for all, or one for each but the last.

    Raises
    ------
    ConfigurationError
        If there are no verifiers, or the levels do not fit them.
    """
    return _FirstFailing(verifiers, level)


class _Combination(Verifier):
    def __init__(self, kind: str, verifiers: Sequence[Verifier]) -> None:
        if not verifiers:
            raise ConfigurationError(f"`{kind}` needs at least one verifier.")
        for verifier in verifiers:
            if not isinstance(verifier, Verifier):
                raise ConfigurationError(
                    f"`{kind}` combines verifiers, got a {type(verifier).__name__}. Wrap a "
                    "function in `check`."
                )
        self.verifiers = tuple(verifiers)
        self.name = f"{kind}({', '.join(verifier.name for verifier in verifiers)})"
        wanted = [v.top_logprobs for v in verifiers if v.top_logprobs is not None]
        self.top_logprobs = max(wanted, default=None)

    def _named(self, place: int, score: Score, value: float | None = None) -> Score:
        reason = f"{self.verifiers[place].name}: {score.reason}"
        if value is None:
            return Score(score.value, reason, score.raw)
        return Score(value, reason, score.value)


class _Extreme(_Combination):
    def __init__(
        self,
        kind: str,
        verifiers: Sequence[Verifier],
        *,
        best: float,
        choose: Callable[..., int],
    ) -> None:
        super().__init__(kind, verifiers)
        self._end, self._choose = best, choose

    def _plan(self, prompt: Prompt, answer: Answer) -> Plan[Score]:
        plans = [verifier.plan(prompt, answer) for verifier in self.verifiers]
        scores = yield from together(plans, decides=lambda score: score.value == self._end)
        known = {place: score for place, score in enumerate(scores) if score is not None}
        chosen = self._choose(known, key=lambda place: known[place].value)
        return self._named(chosen, known[chosen])

    def watch(self, prompt: Prompt | str, *, accept: float) -> Watch | None:
        watches = [verifier.watch(prompt, accept=accept) for verifier in self.verifiers]
        needs_all = self._end == 1.0
        if not any(watches) or (needs_all and not all(watches)):
            return None
        return _Watches(self, watches, needs_all=needs_all)


class _Mean(_Combination):
    def __init__(self, verifiers: Sequence[Verifier], weights: Sequence[float] | None) -> None:
        super().__init__("mean_of", verifiers)
        given = [1.0] * len(verifiers) if weights is None else [float(each) for each in weights]
        if len(given) != len(verifiers) or not all(0.0 < each < float("inf") for each in given):
            raise ConfigurationError(
                f"`weights` must be {len(verifiers)} positive numbers, one for each verifier, "
                f"got {weights!r}."
            )
        self.weights = tuple(each / sum(given) for each in given)

    def _plan(self, prompt: Prompt, answer: Answer) -> Plan[Score]:
        plans = [verifier.plan(prompt, answer) for verifier in self.verifiers]
        scores = [score for score in (yield from together(plans)) if score is not None]
        values = [score.value for score in scores]
        value = sum(weight * each for weight, each in zip(self.weights, values, strict=True))
        lowest = values.index(min(values))
        # Weights that add up to 1 but for rounding may lead a hair past it.
        return Score(min(value, 1.0), f"mean, lowest {self._named(lowest, scores[lowest]).reason}")

    def watch(self, prompt: Prompt | str, *, accept: float) -> Watch | None:
        watches = []
        for weight, verifier in zip(self.weights, self.verifiers, strict=True):
            # Below this score the mean stays below `accept` even if all others score 1.
            needed = (check_level(accept) - (1.0 - weight)) / weight
            watches.append(verifier.watch(prompt, accept=needed) if needed > 1e-9 else None)
        return _Watches(self, watches, needs_all=False, weights=self.weights) if any(watches) else (
            None
        )  # fmt: skip


class _FirstFailing(_Combination):
    def __init__(self, verifiers: Sequence[Verifier], level: float | Sequence[float]) -> None:
        super().__init__("first_failing", verifiers)
        gates = len(verifiers) - 1
        levels = [level] * gates if isinstance(level, (int, float)) else list(level)
        if len(levels) != gates:
            raise ConfigurationError(
                f"`level` must be one number, or {gates}: one for each verifier but the last. Got "
                f"{len(levels)}."
            )
        for each in levels:
            check_fraction(each, name="level", within="[0, 1]")
        self.levels = tuple(levels)

    def _plan(self, prompt: Prompt, answer: Answer) -> Plan[Score]:
        for place, (verifier, level) in enumerate(zip(self.verifiers, self.levels, strict=False)):
            score = yield from verifier.plan(prompt, answer)
            if score.value < level:
                return self._named(place, score, 0.0)
        score = yield from self.verifiers[-1].plan(prompt, answer)
        return self._named(len(self.verifiers) - 1, score)

    def watch(self, prompt: Prompt | str, *, accept: float) -> Watch | None:
        if check_level(accept) <= 0.0:
            return None
        levels = (*self.levels, accept)
        watches = [
            verifier.watch(prompt, accept=level)
            for verifier, level in zip(self.verifiers, levels, strict=True)
        ]
        return _Watches(self, watches, needs_all=False) if any(watches) else None


class _Watches(Watch):
    """Watches of one answer, which is rejected when one of them rejects it, or when all do."""

    def __init__(
        self,
        owner: _Combination,
        watches: Sequence[Watch | None],
        *,
        needs_all: bool,
        weights: Sequence[float] | None = None,
    ) -> None:
        self._owner, self._watches, self._needs_all = owner, watches, needs_all
        self._weights = weights

    def feed(self, text: str = "", tokens: Sequence[Token] = ()) -> Score | None:
        rejected: dict[int, Score] = {}
        for place, watch in enumerate(self._watches):
            found = watch.feed(text, tokens) if watch is not None else None
            if found is not None:
                rejected[place] = found
        if len(rejected) < (len(self._watches) if self._needs_all else 1):
            return None
        pick = max if self._needs_all else min
        place = pick(rejected, key=lambda each: rejected[each].value)
        score = self._owner._named(place, rejected[place])
        if self._weights is None:
            return score
        # What the mean can still become.
        return Score(1.0 - self._weights[place] * (1.0 - score.value), score.reason, score.raw)
