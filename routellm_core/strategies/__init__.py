"""How a call becomes an answer: one model, a cascade, a hybrid, or the best of several."""

from routellm_core.strategies.base import Strategy
from routellm_core.strategies.best_of import BestOf
from routellm_core.strategies.cascade import Cascade
from routellm_core.strategies.hybrid import Hybrid
from routellm_core.strategies.predict import Predict
from routellm_core.strategies.weights import CostWeight, quality_per_usd_for

__all__ = [
    "BestOf",
    "Cascade",
    "CostWeight",
    "Hybrid",
    "Predict",
    "Strategy",
    "quality_per_usd_for",
]
