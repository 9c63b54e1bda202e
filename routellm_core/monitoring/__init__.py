"""Costs and records of calls."""

from routellm_core.monitoring.prices import Price, price_of

__all__ = ["Price", "price_of"]
