"""Before each step: stop with the best answer, or ask whom it pays most to ask."""

from __future__ import annotations

import math
from itertools import combinations
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import numpy as np

from routellm_core.errors import ConfigurationError
from routellm_core.plan.steps import THE_PLAN_DECIDES, Ask
from routellm_core.strategies.cascade import check_on_verifier_error, check_verifier
from routellm_core.strategies.expectation import expected_maximum
from routellm_core.strategies.predict import Predict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from routellm_core.answers.verifier import Verifier
    from routellm_core.monitoring.prices import Price
    from routellm_core.plan import OnVerifierError, Plan, Report
    from routellm_core.policy import Overrides, RoutingPolicy, Turn
    from routellm_core.types import Decision

__all__ = ["CascadeRouting", "Subsets"]

Subsets = Literal["any", "single", "prefix"]
"""Which sets of experts may answer a call: any, one alone, or the cheapest ones without a gap."""

_NEVER = 2.0


class CascadeRouting(Predict):
    """Route and cascade in one rule, by expected quality less expected cost.

    With R the experts that have answered, the utility of a set S that holds R is

        E[max over m in S of Q_m] - quality_per_usd * sum over m in S of cost_m,

    where Q_m is normal around the router's estimate, and around the verifier's score once m has
    answered. The set of the highest utility is sought; if it is R, the answer of the highest score
    is given out, else its cheapest expert that has not answered is asked.

    Parameters
    ----------
    verifier, on_verifier_error
        See `Cascade`; the scores must be qualities, so calibrate the verifier.
    quality_per_usd
        Quality, in [0, 1], that one more US dollar must buy, at least 0.
    spread
        Standard deviations, at least 0, of a quality around the router's estimate, and around the
        verifier's score.
    subsets
        "single" is routing, "prefix" is a cascade, "any" is both.
    models, answer_tokens, prices
        See `Predict`.

    Raises
    ------
    ConfigurationError
        If an argument has a value that cannot be used.

    References
    ----------
    Dekoninck, Baader, Vechev, A unified approach to routing and cascading for LLMs,
    arXiv:2410.10347. Departures: qualities are independent given the prompt, so that the
    expectation is an integral over one variable and no sampling is needed; the answer that is given
    out is the best by score, not the last.
    """

    name: ClassVar[str] = "cascade_routing"

    def __init__(
        self,
        verifier: Verifier | str,
        *,
        quality_per_usd: float,
        spread: tuple[float, float],
        subsets: Subsets = "any",
        models: Mapping[str, str] | None = None,
        answer_tokens: Mapping[str, float] | None = None,
        prices: Mapping[str, Price] | None = None,
        on_verifier_error: OnVerifierError = "next",
    ) -> None:
        super().__init__(quality_per_usd, models=models, answer_tokens=answer_tokens, prices=prices)
        self.verifier = check_verifier(verifier)
        self.on_verifier_error = check_on_verifier_error(on_verifier_error)
        if subsets not in get_args(Subsets):
            raise ConfigurationError(
                f"`subsets` must be one of {get_args(Subsets)}, got {subsets!r}."
            )
        before, after = spread
        if not (0.0 <= before < math.inf and 0.0 <= after < math.inf):
            raise ConfigurationError(f"`spread` must be two numbers of at least 0, got {spread!r}.")
        self.spread = (float(before), float(after))
        self.subsets: Subsets = subsets

    def first(
        self,
        policy: RoutingPolicy,
        turn: Turn,
        win_rate: Any,
        overrides: Overrides,  # noqa: ARG002
    ) -> Decision:
        """Return the first expert of the best set."""
        names = policy.experts.names
        able, _ = policy.able(turn)
        places = [place for place, name in enumerate(names) if name in able]
        costs = self.costs(policy.experts, prompt_chars=len(turn.text))[places]
        if self.quality_per_usd == 0.0:
            costs = np.zeros(len(places))
        order = [names[place] for place in places]
        qualities = [float(win_rate[place]) for place in places]
        state = _State(self, costs.tolist(), qualities)
        return policy.expert(
            order[state.following() or 0],
            self.name,
            order=order,
            cheapest=able[0],
            qualities=[*qualities, *costs.tolist()],
        )

    def steps(self, decision: Decision, experts: Sequence[str]) -> Plan:
        """Plan a step for each expert that is worth its price, given the answers so far."""
        m = len(experts)
        state = _State(self, list(decision.qualities[m:]), list(decision.qualities[:m]))
        place: int | None = experts.index(decision.route)
        while place is not None:
            alone = self.subsets == "single" or state.is_last(place)
            report: Report = yield Ask(
                experts[place],
                None if alone else self.verifier,
                THE_PLAN_DECIDES,
            )
            state.note(place, report.score)
            place = state.following()


class _State:
    """What is known of a call's experts: estimates, and scores of those that have answered."""

    def __init__(self, rule: CascadeRouting, costs: list[float], qualities: list[float]) -> None:
        self._rule, self._costs = rule, costs
        self._means = qualities
        self._spreads = [rule.spread[0]] * len(qualities)
        self._done: frozenset[int] = frozenset()

    def note(self, place: int, score: float | None) -> None:
        """Note that an expert has answered; None where it failed, or was not scored."""
        self._means[place] = -_NEVER if score is None else score
        self._spreads[place] = self._rule.spread[1] if score is not None else 0.0
        self._done = self._done | {place}

    def following(self) -> int | None:
        """Return the expert to ask next; None to stop."""
        best, chosen = -math.inf, self._done
        for subset in self._subsets():
            value = round(self._utility(subset), 8)
            if value > best:
                best, chosen = value, subset
        open_ = chosen - self._done
        return min(open_, key=lambda place: (self._costs[place], place)) if open_ else None

    def is_last(self, place: int) -> bool:
        """Return whether nobody could be asked after this expert."""
        return len(self._done | {place}) == len(self._means)

    def _utility(self, subset: frozenset[int]) -> float:
        places = sorted(subset)
        cost = sum(self._costs[place] for place in places)
        quality = expected_maximum(
            [self._means[place] for place in places], [self._spreads[place] for place in places]
        )
        return quality - (self._rule.quality_per_usd or 0.0) * cost

    def _subsets(self) -> Iterator[frozenset[int]]:
        """Yield the sets that may answer: first the one to stop with, then by size and price."""
        places, done = range(len(self._means)), self._done
        if done:
            yield done
        if self._rule.subsets == "single":
            if not done:
                yield from (frozenset((place,)) for place in places)
        elif self._rule.subsets == "prefix":
            yield from (frozenset(range(n)) for n in range(max(1, len(done) + 1), len(places) + 1))
        else:
            rest = [place for place in places if place not in done]
            for size in range(1, len(rest) + 1):
                yield from (done | frozenset(more) for more in combinations(rest, size))
