"""Votes in the schema of `lmsys/mt_bench_human_judgments`, drawn from known difficulties."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["INFERIOR", "SUPERIOR", "vote_row", "votes"]

SUPERIOR = ["gpt-4", "claude-v1"]
INFERIOR = ["alpaca-13b", "llama-13b"]


def vote_row(
    question: int,
    winner: str,
    *,
    model_a: str = "gpt-4",
    model_b: str = "llama-13b",
    judge: str = "expert_1",
    turn: int = 1,
    prompts: tuple[str, str] | None = None,
) -> dict[str, Any]:
    """Return one row, with the conversations that both models had."""
    first, second = prompts or (f"Question {question}?", f"And question {question} again?")
    said = {
        name: [
            {"content": text, "role": role}
            for text, role in (
                (first, "user"), (f"{model} says so.", "assistant"),
                (second, "user"), (f"{model} says so again.", "assistant"),
            )
        ][: 2 * turn]
        for name, model in (("conversation_a", model_a), ("conversation_b", model_b))
    }  # fmt: skip
    return {
        "question_id": question, "model_a": model_a, "model_b": model_b, "winner": winner,
        "judge": judge, **said, "turn": turn,
    }  # fmt: skip


def votes(
    difficulties: dict[int, float],
    *,
    per_question: int = 20,
    tie_share: float = 0.2,
    seed: int = 0,
    prompts: dict[int, tuple[str, str]] | None = None,
) -> list[dict[str, Any]]:
    """Return votes between all models, for the superior one with each question's probability."""
    rng = np.random.default_rng(seed)
    models = [*SUPERIOR, *INFERIOR]
    rows = []
    for question, difficulty in difficulties.items():
        for n in range(per_question):
            a, b = rng.choice(len(models), 2, replace=False)
            across = (a < len(SUPERIOR)) != (b < len(SUPERIOR))
            first_wins = difficulty if across else 0.5
            if across and a >= len(SUPERIOR):
                first_wins = 1.0 - first_wins
            tie = rng.random() < tie_share
            winner = "tie" if tie else "model_a" if rng.random() < first_wins else "model_b"
            rows.append(
                vote_row(
                    question,
                    winner,
                    model_a=models[a],
                    model_b=models[b],
                    judge=f"{'author' if n % 4 == 0 else 'expert'}_{rng.integers(0, 12)}",
                    turn=1 + n % 2,
                    prompts=None if prompts is None else prompts[question],
                )
            )
    return rows
