"""Battles: two models answered a prompt, and somebody said which answer was better."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from routellm_core.data.columns import renamed
from routellm_core.data.messages import prompt_field
from routellm_core.data.outcomes import (
    Outcomes,
    check_names,
    column_of,
    model_field,
    number_field,
    text_field,
)
from routellm_core.data.rows import RowReport, parse_rows
from routellm_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from routellm_core.data.rows import RowSource
    from routellm_core.types import ModelPair

__all__ = ["Battles", "read_battles"]

_JUDGED = {"model_a": "gpt-4-1106-preview", "model_b": "mixtral-8x7b-instruct-v0.1"}
_SUFFICES = 4.0
_SCORES = {"model_a": 1.0, "model_b": 0.0, "tie": 0.5, "tie (bothbad)": 0.5}


@dataclass(frozen=True, slots=True, eq=False)
class Battles:
    """n battles, by column.

    Parameters
    ----------
    prompts
        n prompts.
    models
        m model names, sorted.
    model_a, model_b
        Shape (n,), integers: positions in `models`.
    score_a
        Shape (n,), in [0, 1]: 1 where `model_a` won, 0 where `model_b` won, 0.5 for a tie, and a
        probability where the label is soft.
    positions
        Shape (n,), integers, ascending: each battle's position among all rows of its source, bad
        ones included.
    report
        What was read, and which rows were bad.
    from_arena
        Whether the rows were in a schema of Chatbot Arena.
    """

    prompts: tuple[str, ...]
    models: tuple[str, ...]
    model_a: NDArray[np.int64]
    model_b: NDArray[np.int64]
    score_a: NDArray[np.float64]
    positions: NDArray[np.int64]
    report: RowReport
    from_arena: bool = False

    def __len__(self) -> int:
        return len(self.prompts)

    def select(self, rows: NDArray[Any] | Sequence[int]) -> Battles:
        """Return some of the battles, by position in `prompts` or by mask."""
        kept = np.arange(len(self.prompts))[np.asarray(rows)]
        return Battles(
            tuple(self.prompts[row] for row in kept),
            self.models,
            self.model_a[kept],
            self.model_b[kept],
            self.score_a[kept],
            self.positions[kept],
            self.report,
            self.from_arena,
        )

    def of_pair(self, pair: ModelPair) -> Outcomes:
        """Return the battles between two models as outcomes, with columns (strong, weak).

        A model's quality is the mean score of its battles on a prompt; the two columns of a row
        add up to 1.

        Raises
        ------
        UnknownModelError
            If a model fought no battle.
        DataError
            If the two never met.
        """
        strong, weak = (column_of(model, self.models) for model in (pair.strong, pair.weak))
        scores: dict[str, list[float]] = {}
        for prompt, a, b, score in zip(
            self.prompts, self.model_a, self.model_b, self.score_a, strict=True
        ):
            if (a, b) == (strong, weak):
                scores.setdefault(prompt, []).append(float(score))
            elif (a, b) == (weak, strong):
                scores.setdefault(prompt, []).append(1.0 - float(score))
        if not scores:
            raise DataError(f"No battle is between {pair.strong!r} and {pair.weak!r}.")
        means = np.array([np.mean(values) for values in scores.values()])
        quality = np.stack([means, 1.0 - means], axis=1)
        models = (pair.strong, pair.weak)
        return Outcomes(tuple(scores), models, quality, np.full_like(quality, np.nan), self.report)


def read_battles(
    source: RowSource, *, strict: bool = False, columns: Mapping[str, str] | None = None
) -> Battles:
    """Read battles in any of four schemas, which every row may choose for itself.

    - Own: prompt, model_a, model_b and winner, one of "model_a", "model_b", "tie" or
      "tie (bothbad)"; or, for a soft label, `score_a` in [0, 1] in place of the winner.
    - Arena preferences: `prompt` a JSON list of a user's turns, of which the first is taken, and
      winner_model_a, winner_model_b of 0 or 1.
    - Arena conversations: `conversation_a` a list of messages, and winner.
    - RouteLLM's judged answers: prompt, and mixtral_score in [1, 5], how good a judge found
      Mixtral's answer beside GPT-4's. From 4 on it is a tie, below GPT-4 wins; the models are
      "gpt-4-1106-preview" and "mixtral-8x7b-instruct-v0.1".

    Parameters
    ----------
    source
        A file ending in .jsonl, .json, .csv, .tsv or .parquet, the name of a data set on the
        Hugging Face Hub, or the rows themselves.
    strict
        Stop at the first bad row instead of leaving bad rows out.
    columns
        The source's own names of columns, by ours: `{"prompt": "question"}`.

    Raises
    ------
    DataError
        If the source cannot be read, or holds no usable row, or `strict` met a bad row.

    Examples
    --------
    >>> rows = [{"prompt": "1+1?", "model_a": "x", "model_b": "y", "winner": "tie"}]
    >>> read_battles(rows).score_a
    array([0.5])
    """
    prompts: list[str] = []
    fights: list[tuple[str, str, float]] = []
    positions: list[int] = []
    arena = False

    def parse(row: Mapping[str, Any], position: int) -> None:
        nonlocal arena
        row = renamed(row, columns or {})
        if "mixtral_score" in row and "model_a" not in row:
            row = {**row, **_JUDGED, "score_a": _judged_score(row)}
        model_a, model_b = model_field(row, "model_a"), model_field(row, "model_b")
        if model_a == model_b:
            raise DataError(f"`model_a` and `model_b` must differ, got {model_a!r} for both.")
        prompt, score_a = _prompt(row), _score(row)
        prompts.append(prompt)
        fights.append((model_a, model_b, score_a))
        positions.append(position)
        arena = arena or "winner_model_a" in row or "conversation_a" in row

    report = parse_rows(source, parse, strict=strict)
    models = check_names({model for a, b, _ in fights for model in (a, b)})
    places = {model: place for place, model in enumerate(models)}
    return Battles(
        prompts=tuple(prompts),
        models=models,
        model_a=np.array([places[a] for a, _, _ in fights], dtype=np.int64),
        model_b=np.array([places[b] for _, b, _ in fights], dtype=np.int64),
        score_a=np.array([score for _, _, score in fights], dtype=np.float64),
        positions=np.array(positions, dtype=np.int64),
        report=report,
        from_arena=arena,
    )


def _prompt(row: Mapping[str, Any]) -> str:
    if "winner_model_a" in row:
        return _first_turn(row.get("prompt"))
    if "prompt" not in row and "conversation_a" in row:
        return _first_message(row["conversation_a"])
    return prompt_field(row)


def _first_turn(value: Any) -> str:
    turns = value
    if isinstance(value, str):
        try:
            turns = json.loads(value)
        except ValueError as error:
            raise DataError(f"`prompt` must be a JSON list of turns: {error}.") from error
    if not isinstance(turns, list) or not turns or not isinstance(turns[0], str):
        raise DataError("`prompt` must be a list of turns that starts with a text.")
    return turns[0].strip()


def _first_message(value: Any) -> str:
    messages = value
    if isinstance(value, str):
        try:
            messages = json.loads(value)
        except ValueError as error:
            raise DataError(f"`conversation_a` must be a JSON list: {error}.") from error
    for message in messages if isinstance(messages, list) else []:
        if isinstance(message, dict) and message.get("role") == "user":
            return text_field(message, "content").strip()
    raise DataError("`conversation_a` must be a list of messages with one from the user.")


def _judged_score(row: Mapping[str, Any]) -> float:
    """Return GPT-4's score against an answer that RouteLLM lets pass, or does not."""
    score = number_field(row, "mixtral_score", low=1.0, high=5.0)
    return _SCORES["tie" if score >= _SUFFICES else "model_a"]


def _score(row: Mapping[str, Any]) -> float:
    if "winner_model_a" in row:
        if number_field(row, "winner_model_a", low=0.0, high=1.0) == 1.0:
            return 1.0
        return 0.0 if number_field(row, "winner_model_b", low=0.0, high=1.0) == 1.0 else 0.5
    if row.get("score_a") not in (None, ""):
        return number_field(row, "score_a", low=0.0, high=1.0)
    winner = row.get("winner")
    if not isinstance(winner, str) or winner not in _SCORES:
        raise DataError(f"`winner` must be one of {', '.join(_SCORES)}, got {winner!r}.")
    return _SCORES[winner]
