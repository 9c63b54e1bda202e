"""How a call becomes an answer: one model, a cascade, a hybrid, or the best of several."""

from routellm_core.strategies.base import Strategy
from routellm_core.strategies.best_of import BestOf
from routellm_core.strategies.cascade import Cascade
from routellm_core.strategies.cascade_routing import CascadeRouting
from routellm_core.strategies.expectation import expected_maximum
from routellm_core.strategies.hybrid import Hybrid
from routellm_core.strategies.predict import Predict
from routellm_core.strategies.registry import (
    STRATEGY_ENTRY_POINT_GROUP,
    load_strategy,
    strategy_names,
)
from routellm_core.strategies.stated import read_strategy
from routellm_core.strategies.weights import CostWeight, quality_per_usd_for

__all__ = [
    "STRATEGY_ENTRY_POINT_GROUP",
    "BestOf",
    "Cascade",
    "CascadeRouting",
    "CostWeight",
    "Hybrid",
    "Predict",
    "Strategy",
    "expected_maximum",
    "load_strategy",
    "quality_per_usd_for",
    "read_strategy",
    "strategy_names",
]
