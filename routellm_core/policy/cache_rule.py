"""How a warm prompt cache moves the threshold of a conversation's next turn."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from time import time
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from routellm_core.errors import ConfigurationError, MissingDependencyError
from routellm_core.policy.caching import CachedCall
from routellm_core.types import CacheNote

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from routellm_core.experts import Expert, ExpertTable
    from routellm_core.monitoring.prices import Price
    from routellm_core.policy.prefixes import History
    from routellm_core.routers.base import Router

__all__ = ["CacheAware", "CacheRule", "CacheSettings", "cache_settings"]


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """How routing counts with prompt caches.

    Parameters
    ----------
    ttl_s
        Seconds, above 0, that a provider keeps a prefix after it was last read.
    n_turns
        Turns, above 0, for which a choice of a model is expected to hold: over their calls the cost
        of filling another model's cache is spread.
    answer_tokens
        Expected tokens of an answer, at least 0.
    prices
        Prices that LiteLLM's table lacks or that were negotiated, by model name.

    Raises
    ------
    ConfigurationError
        If an argument has a value that cannot be used.
    """

    ttl_s: float = 300.0
    n_turns: float = 2.0
    answer_tokens: float = 500.0
    prices: Mapping[str, Price] | None = None

    def __post_init__(self) -> None:
        for name in ("ttl_s", "n_turns"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise ConfigurationError(f"`{name}` must be above 0, got {getattr(self, name)!r}.")
        if not 0.0 <= self.answer_tokens < math.inf:
            raise ConfigurationError(
                f"`answer_tokens` must be at least 0, got {self.answer_tokens!r}."
            )


CacheAware: TypeAlias = "bool | CacheSettings"
"""Whether routing counts with prompt caches, or how."""


def cache_settings(value: Any) -> CacheSettings | None:
    """Return the settings that `cache_aware` means; None for none.

    Raises
    ------
    ConfigurationError
        If it is neither a bool nor `CacheSettings`.
    """
    if value is True:
        return CacheSettings()
    if value is False:
        return None
    if isinstance(value, CacheSettings):
        return value
    raise ConfigurationError(
        f"`cache_aware` must be True, False or `CacheSettings`, got {type(value).__name__}."
    )


class CacheRule:
    """Move the threshold, or expected costs, by what the models have cached of a conversation.

    A threshold was set without regard to caches, so it is taken to be right where both models have
    the same share cached. Where they do not, the price of the strong model's answer over the weak
    one's changes by a factor: the mean cost of a call over the next turns, with the one-off cost of
    filling the other cache, against the same without it. The threshold follows the factor on the
    scale that the router has:

    - with a map from win rates to observed ones, on which the threshold says more than one half,
      the win rate over one half is proportional to the price, as `w = (1 + lambda dc) / 2` says;
    - with a calibration, the share of typical prompts below the threshold is proportional to it;
    - otherwise the win rate itself is.

    Without prices, without cache prices, and where nothing is cached, nothing changes.

    Parameters
    ----------
    settings
        How to count.
    experts
        The models.
    router
        Its calibration is the scale of thresholds.
    clock
        Seconds since 1970.
    """

    def __init__(
        self,
        settings: CacheSettings,
        experts: ExpertTable,
        router: Router,
        *,
        clock: Callable[[], float] = time,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self._experts = experts
        self._router = router

    @cached_property
    def prices(self) -> Mapping[str, Price]:
        """The price of each expert that has one; LiteLLM's table is read at the first use."""
        found = {expert.name: self._price(expert) for expert in self._experts}
        return {name: price for name, price in found.items() if price is not None}

    @cached_property
    def cached_experts(self) -> frozenset[str]:
        """The experts whose cached tokens have a price of their own.

        Empty where a price is unknown, so that costs cannot be compared.
        """
        if len(self.prices) < len(self._experts):
            return frozenset()
        return frozenset(name for name, price in self.prices.items() if price.has_cache_prices)

    def holds(self, name: str, model: str) -> bool:
        """Return whether an expert is the model that answered, and has cache prices."""
        return name in self.cached_experts and self._experts[name].label == model

    def moved(self, threshold: float, history: History) -> tuple[float, CacheNote | None]:
        """Return a pair's threshold in a conversation, and why it is another one.

        Parameters
        ----------
        threshold
            The one without regard to caches.
        history
            What the models have cached.

        Returns
        -------
        The same threshold, and None, where nothing is cached, or where the strong model is not the
        dearer one.
        """
        call, shares = self._call(history)
        if call.share <= 0.0:
            return threshold, None
        strong, weak = self.prices["strong"], self.prices["weak"]
        n_calls = self.settings.n_turns * history.calls_per_turn
        there, here = self._own(call, "strong"), self._own(call, "weak")
        gap = there.warm_usd(strong) - here.warm_usd(weak)
        if gap <= 0.0:
            return threshold, None
        more = there.mean_usd(strong, own_share=shares.get("strong", 0.0), n_calls=n_calls)
        less = here.mean_usd(weak, own_share=shares.get("weak", 0.0), n_calls=n_calls)
        found = self._scaled(threshold, (more - less) / gap)
        return found, self._note(history, shares, shift=found - threshold)

    def costs(
        self,
        history: History,
        *,
        price: Callable[[str], Price | None],
        answer_tokens: Mapping[str, float],
    ) -> tuple[list[float], CacheNote | None]:
        """Return the mean cost of each expert's next calls, in US dollars, and why it is so.

        Parameters
        ----------
        history
            What the models have cached.
        price
            Returns the price of a model; where it is None, so is the expert's cost, as NaN.
        answer_tokens
            Expected tokens of an expert's answer, by its name, in place of the table's and the
            settings'.
        """
        call, shares = self._call(history)
        n_calls = self.settings.n_turns * history.calls_per_turn
        costs = []
        for expert in self._experts:
            own = self._own(call, expert.name, answer_tokens.get(expert.name))
            share, priced = shares.get(expert.name, 0.0), price(expert.label)
            costs.append(
                math.nan
                if priced is None
                else own.mean_usd(priced, own_share=share, n_calls=n_calls)
            )
        return costs, self._note(history, shares) if call.share > 0.0 else None

    def _call(self, history: History) -> tuple[CachedCall, dict[str, float]]:
        n_tokens = history.prompt_tokens
        shares = {
            name: min(1.0, held.tokens / n_tokens) if n_tokens > 0.0 else 0.0
            for name, held in history.held.items()
        }
        share = max(shares.values(), default=0.0)
        return CachedCall(n_tokens, share, self.settings.answer_tokens), shares

    def _own(self, call: CachedCall, name: str, answer_tokens: float | None = None) -> CachedCall:
        """Return the call with the tokens that an expert is expected to answer."""
        stated = self._experts[name].answer_tokens if answer_tokens is None else answer_tokens
        return call if stated is None else call._replace(answer_tokens=stated)

    def _note(
        self, history: History, shares: Mapping[str, float], *, shift: float | None = None
    ) -> CacheNote:
        expert = max(shares, key=shares.__getitem__)
        return CacheNote(
            model=self._experts[expert].label,
            share=round(shares[expert], 4),
            shift=None if shift is None else round(shift, 6),
            is_estimated=history.held[expert].is_estimated,
        )

    def _scaled(self, threshold: float, factor: float) -> float:
        """Return the threshold for a price that is `factor` times the one it was set for."""
        calibration = self._router.calibration
        if calibration is None:
            return min(1.0, max(0.0, threshold * factor)) if threshold < 1.0 else threshold
        levels = np.linspace(0.0, 1.0, calibration.quantiles.size)
        rank = float(np.interp(threshold, calibration.quantiles, levels))
        if not 0.0 < rank < 1.0:  # always strong, or never: not a matter of price
            return threshold
        if calibration.probability is not None:
            rates, observed = calibration.probability.T
            over = float(np.interp(threshold, rates, observed)) - 0.5
            if over > 0.0:
                return _inverse(0.5 + over * factor, rates, observed)
        return float(np.interp(min(1.0, rank * factor), levels, calibration.quantiles))

    def _price(self, expert: Expert) -> Price | None:
        from routellm_core.monitoring.prices import price_of

        given = self.settings.prices or {}
        own = given.get(expert.label, given.get(expert.model))
        if own is not None:
            return own
        try:
            return price_of(expert.model)
        except MissingDependencyError:
            return None


def _inverse(value: float, rates: Any, observed: Any) -> float:
    """Return the lowest win rate that stands for at least this observed one; 1 for none."""
    if value > observed[-1]:
        return 1.0
    place = int(np.searchsorted(observed, value))
    if place == 0:
        return float(rates[0])
    (low, high), (below, above) = rates[place - 1 : place + 1], observed[place - 1 : place + 1]
    return float(low + (high - low) * (value - below) / (above - below))
