"""Which function trains which router that can be a member of an ensemble."""

from __future__ import annotations

from typing import TYPE_CHECKING

from routellm_core.training.adapted import train_adapted
from routellm_core.training.bert import train_bert
from routellm_core.training.causal_llm import train_causal_llm
from routellm_core.training.cluster import train_cluster
from routellm_core.training.knn import train_knn
from routellm_core.training.mf import train_mf
from routellm_core.training.mlp import train_mlp
from routellm_core.training.sw_ranking import train_sw_ranking

if TYPE_CHECKING:
    from collections.abc import Callable

    from routellm_core.training.trained import Trained

__all__ = ["MEMBER_TRAINERS"]

MEMBER_TRAINERS: dict[str, Callable[..., Trained]] = {
    "adapted": train_adapted,
    "bert": train_bert,
    "causal_llm": train_causal_llm,
    "cluster": train_cluster,
    "knn": train_knn,
    "mf": train_mf,
    "mlp": train_mlp,
    "sw_ranking": train_sw_ranking,
}
"""The trainer of each single router that learns, by the router's name."""
