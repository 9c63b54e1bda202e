"""From people's votes to a ranking of questions, and from that to labels."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from routellm_core._numbers import check_fraction, json_value
from routellm_core.data.outcomes import column_of
from routellm_core.data.routes import INFERIOR, SUPERIOR
from routellm_core.errors import ConfigurationError, DataError
from routellm_core.labeling.judgments.difficulty import (
    category_shares,
    group_votes,
    rank_questions,
)
from routellm_core.labeling.judgments.judges import vote_agreement
from routellm_core.labeling.judgments.models import model_records
from routellm_core.labeling.label_rows import write_lines

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from routellm_core.labeling.judgments.difficulty import CategoryShare, Question
    from routellm_core.labeling.judgments.judges import VoteAgreement
    from routellm_core.labeling.judgments.models import ModelRecord
    from routellm_core.labeling.judgments.votes import Judgments

__all__ = ["Analysis", "LabelSplit", "analyze_judgments", "label_questions", "write_labels"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """What votes say of models, questions and judges.

    Parameters
    ----------
    superior, inferior
        The two groups of models, by win rate.
    n_votes, n_group_votes, n_judges
        All votes, those between the two groups, and who gave votes.
    models
        The highest win rate first.
    questions
        The hardest first, each turn by itself.
    mean, prior_votes
        See `Ranking`.
    categories
        The hardest first; empty where no vote says its category.
    agreement
        Between judges; None where no two voted on the same two answers.
    """

    superior: tuple[str, ...]
    inferior: tuple[str, ...]
    n_votes: int
    n_group_votes: int
    n_judges: int
    models: tuple[ModelRecord, ...]
    questions: tuple[Question, ...]
    mean: float
    prior_votes: float
    categories: tuple[CategoryShare, ...]
    agreement: VoteAgreement | None

    @property
    def turns(self) -> tuple[int, ...]:
        """The turns that questions have, ascending."""
        return tuple(sorted({one.turn for one in self.questions}))

    def values(self) -> dict[str, object]:
        """Return the analysis for JSON, with None for what is not known."""
        return {name: json_value(value) for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class LabelSplit:
    """Labelled questions of one turn.

    Parameters
    ----------
    examples
        The hardest and the easiest in turn, with their labels: what a judge is shown.
    test
        All others with their labels, the hardest first.
    """

    examples: tuple[tuple[Question, str], ...]
    test: tuple[tuple[Question, str], ...]


def analyze_judgments(
    judgments: Judgments,
    *,
    superior: Collection[str] | None = None,
    inferior: Collection[str] | None = None,
    seed: int = 0,
) -> Analysis:
    """Rank questions by how much they need a superior model, and say how far judges agree.

    Parameters
    ----------
    judgments
        As `read_judgments` returns.
    superior, inferior
        Names of models; by default superior are those with a win rate above one half, and inferior
        are all that are not superior.
    seed
        Of all bootstrap intervals.

    Raises
    ------
    UnknownModelError
        If nobody voted on a model.
    ConfigurationError
        If a group is empty, or a model is in both.
    DataError
        If no vote is between the two groups.
    """
    models = model_records(judgments.votes, seed=seed)
    better, worse = _groups(models, superior, inferior)
    votes = group_votes(judgments.votes, better, worse)
    if not votes:
        raise DataError(
            f"No vote is between {', '.join(better)} and {', '.join(worse)}. Name other groups "
            "with `--superior` and `--inferior`."
        )
    ranking = rank_questions(votes, seed=seed)
    has_categories = any(one.vote.category for one in votes)
    return Analysis(
        superior=better,
        inferior=worse,
        n_votes=len(judgments),
        n_group_votes=len(votes),
        n_judges=len(judgments.judges),
        models=models,
        questions=ranking.questions,
        mean=ranking.mean,
        prior_votes=ranking.prior_votes,
        categories=category_shares(votes, seed=seed) if has_categories else (),
        agreement=vote_agreement(judgments.votes, seed=seed),
    )


def label_questions(
    analysis: Analysis, *, turn: int = 1, hard_share: float = 0.5, n_examples: int = 8
) -> LabelSplit:
    """Label the questions of one turn: the hardest need the superior model.

    Examples are taken from both ends of the ranking, and are in no test.

    Parameters
    ----------
    turn
        Whose questions are labelled.
    hard_share
        The share of the questions, and of the examples, that is labelled ROUTE_TO_SUPERIOR, in
        (0, 1).
    n_examples
        How many questions are shown to a judge.

    Raises
    ------
    ConfigurationError
        If `hard_share` is outside (0, 1), or `n_examples` negative.
    DataError
        If the turn has no question, or too few for that many examples and a test with both labels.
    """
    check_fraction(hard_share, name="hard_share", within="(0, 1)")
    if n_examples < 0:
        raise ConfigurationError(f"`n_examples` must be at least 0, got {n_examples!r}.")
    questions = [one for one in analysis.questions if one.turn == turn]
    if not questions:
        turns = ", ".join(map(str, analysis.turns))
        raise DataError(f"No question is of turn {turn}. Turns: {turns}.")
    n_hard, hard_shown = round(hard_share * len(questions)), round(hard_share * n_examples)
    easy_shown = n_examples - hard_shown
    hard, easy = questions[:n_hard], questions[n_hard:][::-1]
    if len(hard) <= hard_shown or len(easy) <= easy_shown:
        raise DataError(
            f"{len(questions)} questions of turn {turn}, {len(hard)} of them labelled {SUPERIOR}, "
            f"are too few for {n_examples} examples and a test with both labels. Ask for fewer "
            "examples (`n_examples`), or bring more questions."
        )
    shown = _alternating(
        [(one, SUPERIOR) for one in hard[:hard_shown]],
        [(one, INFERIOR) for one in easy[:easy_shown]],
    )
    rest = [(one, SUPERIOR) for one in hard[hard_shown:]]
    rest += [(one, INFERIOR) for one in easy[easy_shown:][::-1]]
    return LabelSplit(tuple(shown), tuple(rest))


def write_labels(path: str | Path, labelled: Sequence[tuple[Question, str]]) -> None:
    """Write labelled questions as JSON lines, for `label --examples` and the benchmark "routes"."""
    write_lines(path, (_line(question, label) for question, label in labelled))


def _line(question: Question, label: str) -> str:
    values = {
        "prompt": question.prompt,
        "label": label,
        "question_id": question.question,
        "turn": question.turn,
        "category": question.category or None,
        "superior_share": round(question.superior_share.value, 6),
        "difficulty": round(question.difficulty, 6),
        "n_votes": question.n_votes,
    }
    return json.dumps({name: value for name, value in values.items() if value is not None})


def _groups(
    models: Sequence[ModelRecord],
    superior: Collection[str] | None,
    inferior: Collection[str] | None,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    known = sorted(one.model for one in models)
    for name in (*(superior or ()), *(inferior or ())):
        column_of(name, known)
    both = sorted(set(superior or ()) & set(inferior or ()))
    if both:
        raise ConfigurationError(f"{both[0]!r} is both superior and inferior. Name it once.")
    if superior is None:
        chosen = {one.model for one in models if one.win_rate.value > 0.5} - set(inferior or ())
    else:
        chosen = set(superior)
    rest = set(known) - chosen if inferior is None else set(inferior)
    better, worse = (
        tuple(one.model for one in models if one.model in group) for group in (chosen, rest)
    )
    if not better or not worse:
        which = "inferior" if better else "superior"
        raise ConfigurationError(
            f"No model is {which}. Name some with `--{which}`. Models: {', '.join(known)}."
        )
    return better, worse


def _alternating(
    first: Sequence[tuple[Question, str]], second: Sequence[tuple[Question, str]]
) -> list[tuple[Question, str]]:
    """Return both in turn, and the rest of the longer one at the end."""
    found = [one for pair in zip(first, second, strict=False) for one in pair]
    n = min(len(first), len(second))
    return [*found, *first[n:], *second[n:]]
