"""Prices of models, from LiteLLM's price table and without a network."""

from __future__ import annotations

from dataclasses import dataclass

from routellm_core.experts import bare_model
from routellm_core.model_table import table_entries

__all__ = ["Price", "price_of"]


@dataclass(frozen=True, slots=True)
class Price:
    """What a model charges.

    Parameters
    ----------
    model
        The name in LiteLLM's price table.
    input_usd, output_usd
        US dollars per token read and per token written, without discounts for cached or batched
        tokens.
    """

    model: str
    input_usd: float
    output_usd: float

    def cost_usd(self, *, input_tokens: float, output_tokens: float) -> float:
        """Return the price of one call, or of many together, in US dollars.

        Examples
        --------
        >>> price = Price("m", input_usd=2e-6, output_usd=1e-5)
        >>> price.cost_usd(input_tokens=500, output_tokens=100)
        0.002
        """
        return self.input_usd * input_tokens + self.output_usd * output_tokens


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
            return Price(model=name, input_usd=float(read), output_usd=float(written))
    return None
