"""Ask one expert, chosen from the prompt alone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from routellm_core.errors import ConfigurationError
from routellm_core.monitoring.endings import Pricing
from routellm_core.strategies.base import Strategy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from routellm_core.experts import Expert, ExpertTable
    from routellm_core.monitoring.prices import Price
    from routellm_core.policy import Overrides, RoutingPolicy, Turn
    from routellm_core.types import CacheNote, Decision

__all__ = ["Predict"]

_CHARS_PER_TOKEN = 4.0
_ANSWER_TOKENS = 500.0


class Predict(Strategy):
    """Send each call to the expert of the highest expected quality less its expected cost.

    Without `quality_per_usd` it is the default of a pair: a win rate >= the policy's threshold goes
    to the strong model. With it the router rates every expert, and the call goes to

        argmax over m of quality_m(x) - quality_per_usd * cost_m(x),

    the cheaper of equals; the others follow in this order where it fails, as far as they are
    expected to be at least as good.

    Parameters
    ----------
    quality_per_usd
        Quality, in [0, 1], that one more US dollar must buy, at least 0; see
        `quality_per_usd_for` for the one that meets a mean cost. None to compare a win rate.
    models
        Each expert's model as the router's training data spell it; by default its model's name.
    answer_tokens
        Expected tokens of an expert's answer, those of reasoning included, by its name; the
        expert's own where it is not given, and 500 where that has none.
    prices
        Prices that LiteLLM's table lacks, by model name.

    Raises
    ------
    ConfigurationError
        If an argument has a value that cannot be used.
    """

    name: ClassVar[str] = "expert"

    def __init__(
        self,
        quality_per_usd: float | None = None,
        *,
        models: Mapping[str, str] | None = None,
        answer_tokens: Mapping[str, float] | None = None,
        prices: Mapping[str, Price] | None = None,
    ) -> None:
        if quality_per_usd is not None and not 0.0 <= quality_per_usd < math.inf:
            raise ConfigurationError(
                f"`quality_per_usd` must be at least 0, got {quality_per_usd!r}."
            )
        self.quality_per_usd = quality_per_usd
        self._models = dict(models or {})
        self._answer_tokens = dict(answer_tokens or {})
        self._pricing = Pricing(prices)

    def rated(self, experts: ExpertTable) -> Sequence[str] | None:
        """Return every expert's model as the router knows it; None for a pair's win rate.

        Raises
        ------
        ConfigurationError
            If the experts are no pair and there is no `quality_per_usd`, or a price is unknown.
        """
        if self.quality_per_usd is None:
            if not experts.is_pair:
                raise ConfigurationError(
                    f"A win rate compares two models, and there are {list(experts.names)!r}. Pass "
                    "`Predict(quality_per_usd=...)`, or another strategy."
                )
            return None
        for name in (*self._models, *self._answer_tokens):
            experts.check(name)
        if self.quality_per_usd > 0.0:
            for expert in experts:
                if self._pricing.price(expert.label) is None:
                    raise ConfigurationError(
                        f"The price of {expert.model!r} is not known. Pass `prices`, or "
                        "`quality_per_usd=0` for the best expert whatever it costs."
                    )
        return [self._models.get(expert.name, expert.label) for expert in experts]

    def costs(self, experts: ExpertTable, *, prompt_chars: int) -> NDArray[np.float64]:
        """Return what each expert's answer is expected to cost: (m,), US dollars."""
        tokens = prompt_chars / _CHARS_PER_TOKEN
        prices = [self._pricing.price(expert.label) for expert in experts]
        return np.array(
            [
                math.nan
                if price is None
                else price.cost_usd(
                    input_tokens=tokens,
                    output_tokens=self._length(expert),
                )
                for expert, price in zip(experts, prices, strict=True)
            ]
        )

    def _length(self, expert: Expert) -> float:
        """Return the expected tokens of an expert's answer."""
        own = self._answer_tokens.get(expert.name, expert.answer_tokens)
        return _ANSWER_TOKENS if own is None else own

    def first(
        self, policy: RoutingPolicy, turn: Turn, win_rate: Any, overrides: Overrides
    ) -> Decision:
        """Return the decision for a win rate, or for the experts' qualities."""
        if self.quality_per_usd is None:
            return policy.after_scoring(win_rate, overrides, turn=turn)
        quality = np.asarray(win_rate, dtype=np.float64)
        utility = quality
        cost = np.arange(len(quality), dtype=np.float64)
        cache: CacheNote | None = None
        if self.quality_per_usd > 0.0:
            cost, cache = self._costs(policy, turn)
            utility = quality - self.quality_per_usd * cost
        able, _ = policy.able(turn)
        names = policy.experts.names
        ranked = sorted(
            (place for place, name in enumerate(names) if name in able),
            key=lambda place: (-utility[place], cost[place], place),
        )
        best = ranked[0]
        better = [place for place in ranked if quality[place] >= quality[best]]
        return policy.expert(
            names[best],
            self.name,
            order=[names[place] for place in better],
            cheapest=able[0],
            qualities=quality[better].tolist(),
            cache=cache,
        )

    def _costs(
        self, policy: RoutingPolicy, turn: Turn
    ) -> tuple[NDArray[np.float64], CacheNote | None]:
        """Return the experts' costs, in a conversation with what each has cached of it."""
        if turn.history is None or policy.caching is None:
            return self.costs(policy.experts, prompt_chars=len(turn.text)), None
        costs, cache = policy.caching.costs(
            turn.history, price=self._pricing.price, answer_tokens=self._answer_tokens
        )
        return np.array(costs), cache
