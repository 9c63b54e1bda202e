"""Prompts with a rule in them: three of nine words say that the big model is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from routellm_core import ModelPair
from routellm_core.evaluation.metrics import apgr

if TYPE_CHECKING:
    from collections.abc import Sequence

PAIR = ModelPair(strong="big", weak="small")
HARD_SHARE = 0.15
_HARD = ["prove", "quantum", "infinitely", "primes"]
_EASY = ["what", "is", "the", "capital", "of", "france", "hello", "how", "do", "i", "sort", "list",
         "in", "python", "sum", "two", "numbers"]  # fmt: skip


class UnlikeEmbedder:
    """Gives each prompt a direction of its own: one can be recognised, and says nothing of others.

    Whoever ranks such prompts right has seen their labels.
    """

    identity = "unlike"

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        seeds = [list(text.encode()) for text in texts]
        return np.stack([np.random.default_rng(seed).normal(size=512) for seed in seeds])


def planted(n: int, *, seed: int) -> tuple[list[str], np.ndarray]:
    """Return n prompts, and whether each needs the big model."""
    rng = np.random.default_rng(seed)
    hard = rng.random(n) < HARD_SHARE
    prompts = []
    for row in hard:
        words = list(rng.choice(_EASY, 6)) + list(rng.choice(_HARD if row else _EASY, 3))
        prompts.append(" ".join(rng.permutation(words)))
    return prompts, hard


def outcome_rows(prompts: list[str], hard: np.ndarray) -> list[dict[str, Any]]:
    return [
        {"prompt": prompt, "model": model, "quality": float(model == "big" or not needs)}
        for prompt, needs in zip(prompts, hard, strict=True)
        for model in ("big", "small")
    ]


def battle_rows(prompts: list[str], hard: np.ndarray) -> list[dict[str, Any]]:
    return [
        {
            "prompt": prompt,
            "model_a": "big" if row % 2 else "small",
            "model_b": "small" if row % 2 else "big",
            "winner": ("model_a" if row % 2 else "model_b") if needs else "tie",
        }
        for row, (prompt, needs) in enumerate(zip(prompts, hard, strict=True))
    ]


def score(router: Any, *, n: int = 1200, seed: int = 99, shuffled: bool = False) -> float:
    """Return a router's APGR on prompts of its own."""
    prompts, hard = planted(n, seed=seed)
    if shuffled:
        hard = np.random.default_rng(seed).permutation(hard)
    return apgr(router.win_rates(prompts), weak=1.0 - hard, strong=np.ones(len(hard)))
