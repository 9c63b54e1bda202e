"""How often each model's answers win."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from routellm_core.labeling.judgments.difficulty import share_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from routellm_core.labeling.agreement import Interval
    from routellm_core.labeling.judgments.votes import Vote

__all__ = ["ModelRecord", "model_records"]


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """One model's votes.

    Parameters
    ----------
    model
        Its name.
    n_votes
        Votes on one of its answers.
    win_rate
        The share of them for it, a tie being one half, with a 95 % bootstrap interval over
        questions.
    against
        By opponent: the same share.
    """

    model: str
    n_votes: int
    win_rate: Interval
    against: Mapping[str, float]


def model_records(votes: Sequence[Vote], *, seed: int = 0) -> tuple[ModelRecord, ...]:
    """Return every model's record, the highest win rate first."""
    found: dict[str, list[tuple[str, str, float]]] = {}  # (opponent, question, score)
    for vote in votes:
        a, b, score = vote.model_a, vote.model_b, vote.score_a
        found.setdefault(a, []).append((b, vote.question, score))
        found.setdefault(b, []).append((a, vote.question, 1.0 - score))
    records = [_record(model, rows, seed=seed) for model, rows in sorted(found.items())]
    return tuple(sorted(records, key=lambda one: -one.win_rate.value))


def _record(model: str, rows: Sequence[tuple[str, str, float]], *, seed: int) -> ModelRecord:
    scores: dict[str, list[float]] = {}
    for opponent, _, score in rows:
        scores.setdefault(opponent, []).append(score)
    return ModelRecord(
        model=model,
        n_votes=len(rows),
        win_rate=share_of([(question, score) for _, question, score in rows], seed=seed),
        against={name: sum(of) / len(of) for name, of in sorted(scores.items())},
    )
