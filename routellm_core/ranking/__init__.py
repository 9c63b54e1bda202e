"""Ratings from battles, and tiers from ratings."""

from routellm_core.ranking.bradley_terry import PairTable, fit_ratings, rate_models, win_rate_of
from routellm_core.ranking.tiers import optimal_tiers

__all__ = ["PairTable", "fit_ratings", "optimal_tiers", "rate_models", "win_rate_of"]
