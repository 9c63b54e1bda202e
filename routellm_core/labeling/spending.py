"""Money: what a call can cost at most, what was spent, and where the cap stops."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from routellm_core.errors import BudgetExceededError, ConfigurationError
from routellm_core.monitoring import Price, price_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from routellm_core.labeling.calls import Call, Reply

__all__ = ["PriceList", "Spending", "find_prices"]

_TOKENS_PER_MESSAGE = 16
_BYTES_PER_TOKEN = 4.0


class PriceList:
    """The prices of the models of a run.

    Parameters
    ----------
    prices
        By model name; None where it is unknown.
    """

    def __init__(self, prices: Mapping[str, Price | None]) -> None:
        self._prices = dict(prices)

    @property
    def unknown(self) -> list[str]:
        """Models whose price is unknown."""
        return sorted(model for model, price in self._prices.items() if price is None)

    def price(self, model: str) -> Price | None:
        """Return a model's price; None where it is unknown."""
        return self._prices.get(model)

    def most_usd(self, call: Call) -> float:
        """Return what a call can cost at most: one token a byte, and the longest answer.

        0 when the price is unknown.
        """
        price = self._prices.get(call.model)
        if price is None:
            return 0.0
        n_read = call.n_bytes + _TOKENS_PER_MESSAGE * len(call.messages)
        return price.cost_usd(input_tokens=n_read, output_tokens=call.max_tokens)

    def expected_usd(self, call: Call, *, output_tokens: float) -> float:
        """Return what a call will likely cost: one token for four bytes; 0 for no price."""
        price = self._prices.get(call.model)
        if price is None:
            return 0.0
        n_read = call.n_bytes / _BYTES_PER_TOKEN + _TOKENS_PER_MESSAGE / 4 * len(call.messages)
        return price.cost_usd(input_tokens=n_read, output_tokens=output_tokens)

    def cost_usd(self, call: Call, reply: Reply) -> float:
        """Return what an answer cost; at most, where its tokens were not counted; NaN for no price.

        Never more than was reserved for it by a provider that keeps to `max_tokens`.
        """
        price = self._prices.get(call.model)
        if price is None:
            return math.nan
        if reply.input_tokens is None or reply.output_tokens is None:
            return self.most_usd(call)
        return price.cost_usd(input_tokens=reply.input_tokens, output_tokens=reply.output_tokens)


class Spending:
    """A sum that may not pass a cap.

    Parameters
    ----------
    prices
        Of the models.
    max_cost_usd
        The cap in US dollars, earlier runs included; None for no cap.
    spent_usd
        What earlier runs spent.

    Raises
    ------
    ConfigurationError
        If the cap is negative, or there is one and a model's price is unknown.
    """

    def __init__(
        self, prices: PriceList, *, max_cost_usd: float | None = None, spent_usd: float = 0.0
    ) -> None:
        if max_cost_usd is not None and not max_cost_usd >= 0.0:
            raise ConfigurationError(f"`max_cost` must be at least 0, got {max_cost_usd!r}.")
        if max_cost_usd is not None and prices.unknown:
            raise ConfigurationError(
                f"`max_cost` needs the price of {', '.join(map(repr, prices.unknown))}, which the "
                "price table does not know. Pass `--price MODEL=IN:OUT` (`prices=`), in US dollars "
                "per million tokens read and written."
            )
        self.prices = prices
        self.max_cost_usd = max_cost_usd
        self.spent_usd = spent_usd
        self.reserved_usd = 0.0

    def reserve(self, call: Call) -> float:
        """Set aside the most that a call can cost, and return it.

        Raises
        ------
        BudgetExceededError
            If the cap does not allow it.
        """
        most = self.prices.most_usd(call)
        cap = self.max_cost_usd
        if cap is not None and self.spent_usd + self.reserved_usd + most > cap * (1 + 1e-12):
            raise BudgetExceededError(
                f"The next call can cost {most:.6f} USD; {self.spent_usd:.4f} of {cap:.4f} USD are "
                "spent. The same command with a higher `--max-cost` goes on from here."
            )
        self.reserved_usd += most
        return most

    def settle(self, reserved_usd: float, cost_usd: float) -> None:
        """Replace what was set aside for a call by what it cost; NaN counts as nothing."""
        self.reserved_usd = max(self.reserved_usd - reserved_usd, 0.0)
        self.spent_usd += 0.0 if math.isnan(cost_usd) else cost_usd


def find_prices(models: Iterable[str], given: Mapping[str, Price] | None = None) -> PriceList:
    """Return the prices of models: those given, else the price table's."""
    known = given or {}
    return PriceList({model: known.get(model) or price_of(model) for model in set(models)})
