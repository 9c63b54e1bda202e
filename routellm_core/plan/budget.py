"""A soft cap on what calls cost in a period."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, get_args

from routellm_core.errors import BudgetExceededError, ConfigurationError
from routellm_core.monitoring.endings import Pricing
from routellm_core.types import Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from routellm_core.experts import Expert
    from routellm_core.monitoring.prices import Price
    from routellm_core.types import Decision

__all__ = ["Budget", "BudgetPeriod", "OverBudget", "Reservation"]

BudgetPeriod: TypeAlias = Literal["hour", "day", "week", "month", "ever"]
OverBudget: TypeAlias = Literal["weak", "refuse"]

_CHARS_PER_TOKEN = 4.0
_MOVABLE = (
    "win_rate", "empty_prompt", "router_error", "expert", "cascade_routing", "best_of",
)  # fmt: skip
"""Reasons of decisions that are the policy's own choice. An override, a missing capability or a
turn that has begun is not."""
_NEWEST = 0.1
"""Weight of the newest call in the running mean cost of a model's calls."""


_NO_LENGTHS: Mapping[str, float] = {}


class _Asked(NamedTuple):
    """What the price of an answer is expected from."""

    prompt_chars: int
    answer_tokens: Mapping[str, float]


class Budget:
    """Cap what calls cost, softly.

    Each call reserves what it is expected to cost before it begins and settles what it did cost
    when it ends, so that calls in parallel cannot all spend the same last cent. The cap is soft
    because nobody knows the length of an answer beforehand: spending can pass it by what the calls
    in flight cost more than was reserved for them.

    When a strong call no longer fits, "weak" sends it to the weak model with the reason "budget",
    and weak calls go on; "refuse" refuses every call that does not fit. Only decisions of the
    router are moved: a call's own override, a capability that only the strong model has, a turn
    that has begun there and an escalation go on, and are counted.

    Counts live in this process. A call whose model has no known price costs nothing here and is
    counted in `n_unpriced`; one whose tokens were not reported is settled at its reservation.

    Parameters
    ----------
    limit_usd
        US dollars per period, above 0.
    period
        "hour", "day", "week" (from Monday), "month", each in UTC, or "ever".
    over
        What happens to a call that does not fit.
    answer_tokens
        Expected length of an answer, at least 0, until a model's first call is settled; where an
        expert has its own `answer_tokens`, these.
    prices
        Prices that LiteLLM's table lacks or that were negotiated, by model name.
    clock
        Seconds since 1970.

    Raises
    ------
    ConfigurationError
        If an argument has a value that cannot be used.
    """

    def __init__(
        self,
        limit_usd: float,
        *,
        period: BudgetPeriod = "day",
        over: OverBudget = "weak",
        answer_tokens: int = 500,
        prices: Mapping[str, Price] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not 0.0 < limit_usd < math.inf:
            raise ConfigurationError(f"`limit_usd` must be above 0, got {limit_usd!r}.")
        for name, value, known in (
            ("period", period, get_args(BudgetPeriod)),
            ("over", over, get_args(OverBudget)),
        ):
            if value not in known:
                raise ConfigurationError(f"`{name}` must be one of {known}, got {value!r}.")
        if answer_tokens < 0:
            raise ConfigurationError(f"`answer_tokens` must be at least 0, got {answer_tokens!r}.")
        self.limit_usd = limit_usd
        self.period: BudgetPeriod = period
        self.over: OverBudget = over
        self._answer_tokens = answer_tokens
        self._prices = prices
        self._clock = clock
        self._reset()

    def _reset(self) -> None:
        self.pricing = Pricing(self._prices)
        self._lock = threading.Lock()
        self._mean_usd: dict[str, float] = {}
        self._spent_usd = 0.0
        self._reserved_usd = 0.0
        self._ends_at = -math.inf
        self.n_unpriced = 0

    def __deepcopy__(self, memo: dict[int, Any]) -> Budget:
        return self

    def __getstate__(self) -> dict[str, Any]:
        """Keep the settings only: a copy in another process starts unspent."""
        names = ("limit_usd", "period", "over", "_answer_tokens", "_prices", "_clock")
        return {name: getattr(self, name) for name in names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._reset()

    @property
    def spent_usd(self) -> float:
        """What settled calls of this period cost."""
        with self._lock:
            self._turn_over()
            return self._spent_usd

    @property
    def remaining_usd(self) -> float:
        """What is neither spent nor reserved in this period; negative past the cap."""
        with self._lock:
            self._turn_over()
            return self.limit_usd - self._spent_usd - self._reserved_usd

    def reserve(
        self,
        decision: Decision,
        *,
        cheapest: Expert,
        prompt_chars: int,
        answer_tokens: Mapping[str, float] = _NO_LENGTHS,
    ) -> tuple[Decision, Reservation]:
        """Return where a call goes under this budget, and what is set aside for it.

        Parameters
        ----------
        decision
            Where it would go.
        cheapest
            Where it goes when that does not fit.
        prompt_chars
            Length of what is sent, as far as it is known.
        answer_tokens
            Expected tokens of an answer, by model, where they are known.

        Raises
        ------
        BudgetExceededError
            If it does not fit, and the budget refuses.
        """
        asked = _Asked(prompt_chars, answer_tokens)
        expected = self._expected_usd(decision.model, asked)
        with self._lock:
            self._turn_over()
            if self._spent_usd + self._reserved_usd + expected > self.limit_usd:
                decision, expected = self._over(decision, expected, cheapest, asked)
            self._reserved_usd += expected
            return decision, Reservation(self, expected, self._ends_at, asked)

    def _extend(self, reservation: Reservation, model: str) -> bool:
        expected = self._expected_usd(model, reservation.asked)
        with self._lock:
            self._turn_over()
            if self._spent_usd + self._reserved_usd + expected > self.limit_usd:
                return False
            if reservation.ends_at == self._ends_at:
                self._reserved_usd += expected
                reservation.expected_usd += expected
            return True

    def _over(
        self, decision: Decision, expected: float, cheapest: Expert, asked: _Asked
    ) -> tuple[Decision, float]:
        if self.over == "refuse":
            raise BudgetExceededError(
                f"The budget of {self.limit_usd:g} USD per {self.period} is used up: "
                f"{self._spent_usd:.6g} USD spent, {self._reserved_usd:.6g} USD reserved."
            )
        if decision.reason.partition(":")[0] not in _MOVABLE:
            return decision, expected
        if decision.route == cheapest.name and decision.reason != "best_of":
            return decision, expected
        moved = replace(decision, route=cheapest.name, model=cheapest.label, reason="budget")
        return moved, self._expected_usd(cheapest.label, asked)

    def _expected_usd(self, model: str, asked: _Asked) -> float:
        mean = self._mean_usd.get(model)
        if mean is not None:
            return mean
        price = self.pricing.price(model)
        if price is None:
            return 0.0
        return price.cost_usd(
            input_tokens=asked.prompt_chars / _CHARS_PER_TOKEN,
            output_tokens=asked.answer_tokens.get(model, self._answer_tokens),
        )

    def _settle(
        self,
        reservation: Reservation,
        answers: Sequence[tuple[str, Usage | None]],
        besides: Sequence[tuple[str, Usage | None]],
    ) -> None:
        costs = [
            (model, self.pricing.cost_usd(model, usage or Usage()))
            for model, usage in (*answers, *besides)
        ]
        n_unpriced = sum(self.pricing.price(model) is None for model, _ in costs)
        unknown = any(cost is None for _, cost in costs)
        known = sum(cost for _, cost in costs if cost is not None)
        with self._lock:
            self._turn_over()
            self.n_unpriced += n_unpriced > 0
            # A verdict is shorter than an answer, and tells nothing of what one costs.
            for model, cost in costs[: len(answers)]:
                if cost is not None:
                    mean = self._mean_usd.get(model, cost)
                    self._mean_usd[model] = mean + _NEWEST * (cost - mean)
            if reservation.ends_at == self._ends_at:
                self._reserved_usd -= reservation.expected_usd
            self._spent_usd += max(known, reservation.expected_usd) if unknown else known

    def _release(self, reservation: Reservation) -> None:
        with self._lock:
            self._turn_over()
            if reservation.ends_at == self._ends_at:
                self._reserved_usd -= reservation.expected_usd

    def _turn_over(self) -> None:
        """Begin a new period when the last one is over."""
        now = self._clock()
        if now >= self._ends_at:
            self._ends_at = _end_of(self.period, now)
            self._spent_usd = 0.0
            self._reserved_usd = 0.0


class Reservation:
    """What a budget has set aside for one call."""

    __slots__ = ("_budget", "_open", "asked", "ends_at", "expected_usd")

    def __init__(self, budget: Budget, expected_usd: float, ends_at: float, asked: _Asked) -> None:
        self._budget = budget
        self._open = True
        self.expected_usd = expected_usd
        self.ends_at = ends_at
        self.asked = asked

    def extend(self, model: str) -> bool:
        """Set aside what one more answer is expected to cost; return whether it fits."""
        return self._budget._extend(self, model)

    def settle(
        self,
        model: str,
        usage: Usage | None,
        drafts: Sequence[tuple[str, Usage | None]] = (),
        besides: Sequence[tuple[str, Usage | None]] = (),
    ) -> None:
        """Exchange the reservation for what the call cost; the second time does nothing.

        Parameters
        ----------
        model, usage
            Of the answer.
        drafts
            Models and usage of the answers before it.
        besides
            Models and usage of what verifiers asked.
        """
        if self._open:
            self._open = False
            self._budget._settle(self, ((model, usage), *drafts), besides)

    def fail(
        self,
        drafts: Sequence[tuple[str, Usage | None]],
        besides: Sequence[tuple[str, Usage | None]] = (),
    ) -> None:
        """Exchange the reservation for what a call without an answer cost on the way."""
        if not (drafts or besides):
            self.release()
        elif self._open:
            self._open = False
            self._budget._settle(self, drafts, besides)

    def release(self) -> None:
        """Give back what a call without an answer did not spend; the second time does nothing."""
        if self._open:
            self._open = False
            self._budget._release(self)


def _end_of(period: BudgetPeriod, now: float) -> float:
    """Return when the period that holds a time ends, both in seconds since 1970."""
    if period == "ever":
        return math.inf
    hour = datetime.fromtimestamp(now, timezone.utc).replace(minute=0, second=0, microsecond=0)
    day = hour.replace(hour=0)
    if period == "hour":
        end = hour + timedelta(hours=1)
    elif period == "day":
        end = day + timedelta(days=1)
    elif period == "week":
        end = day + timedelta(days=7 - day.weekday())
    else:
        end = (day.replace(day=28) + timedelta(days=4)).replace(day=1)
    return end.timestamp()
