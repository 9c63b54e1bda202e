"""Prices of models, from LiteLLM's price table and without a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from routellm_core.experts import bare_model
from routellm_core.model_table import table_entries

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Price", "price_of"]


@dataclass(frozen=True, slots=True)
class Price:
    """What a model charges.

    Parameters
    ----------
    model
        The name in LiteLLM's price table.
    input_usd, output_usd
        US dollars per token read and per token written, without discounts for batches.
    cache_read_usd
        US dollars per prompt token that the provider read from its cache; None for `input_usd`.
    cache_write_usd
        US dollars per prompt token that the provider wrote to its cache; None for `input_usd`.
    """

    model: str
    input_usd: float
    output_usd: float
    cache_read_usd: float | None = None
    cache_write_usd: float | None = None

    @property
    def read_usd(self) -> float:
        """US dollars per prompt token read from the cache, with the default."""
        return self.input_usd if self.cache_read_usd is None else self.cache_read_usd

    @property
    def write_usd(self) -> float:
        """US dollars per prompt token written to the cache, with the default."""
        return self.input_usd if self.cache_write_usd is None else self.cache_write_usd

    @property
    def has_cache_prices(self) -> bool:
        """Whether a cached prompt token has a price of its own."""
        return self.read_usd != self.input_usd or self.write_usd != self.input_usd

    def cost_usd(
        self,
        *,
        input_tokens: float,
        output_tokens: float,
        cached_tokens: float = 0,
        cache_write_tokens: float = 0,
    ) -> float:
        """Return the price of one call, or of many together, in US dollars.

        Parameters
        ----------
        input_tokens, output_tokens
            Tokens read and written in all.
        cached_tokens, cache_write_tokens
            How many of `input_tokens` the provider read from its cache, and wrote to it.

        Examples
        --------
        >>> price = Price("m", input_usd=2e-6, output_usd=1e-5)
        >>> price.cost_usd(input_tokens=500, output_tokens=100)
        0.002
        """
        cost = self.input_usd * input_tokens + self.output_usd * output_tokens
        if cached_tokens:
            cost += (self.read_usd - self.input_usd) * cached_tokens
        if cache_write_tokens:
            cost += (self.write_usd - self.input_usd) * cache_write_tokens
        return cost


def price_of(model: str) -> Price | None:
    """Return a model's price, or None when the price table does not know it.

    The table is LiteLLM's: the one in memory when LiteLLM is imported already, else the copy that
    LiteLLM ships, which is read without importing LiteLLM and without a network.

    Parameters
    ----------
    model
        A name as LiteLLM writes it ("gpt-4o", "openai/gpt-4o"), or as LangChain does
        ("openai:gpt-4o"), with or without the settings that a record tells ("o4-mini
        (reasoning_effort=low)"). A provider that is named must be the table's: another host of the
        same model has its own price, or none that is known.

    Returns
    -------
    None for an unknown model, never a price of 0; a price of 0 is one that the table states, as it
    does for models that run on one's own machine.

    Raises
    ------
    MissingDependencyError
        If LiteLLM is not installed.
    """
    for name, entry in table_entries(bare_model(model)):
        read, written = entry.get("input_cost_per_token"), entry.get("output_cost_per_token")
        if isinstance(read, (int, float)) and isinstance(written, (int, float)):
            return Price(
                model=name,
                input_usd=float(read),
                output_usd=float(written),
                cache_read_usd=_usd(entry, "cache_read_input_token_cost"),
                cache_write_usd=_write_usd(entry, float(read)),
            )
    return None


def _write_usd(entry: Mapping[str, Any], input_usd: float) -> float | None:
    """Return the price of a cache write; the table's 0 means that it costs no more than reading."""
    stated = _usd(entry, "cache_creation_input_token_cost")
    return None if stated is None or stated <= input_usd else stated


def _usd(entry: Mapping[str, Any], name: str) -> float | None:
    value = entry.get(name)
    return float(value) if isinstance(value, (int, float)) else None
