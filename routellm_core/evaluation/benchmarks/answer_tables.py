"""Benchmarks whose quality is how similar an answer is to a known one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from routellm_core.answers import bert_sim
from routellm_core.data.messages import prompt_field
from routellm_core.data.outcomes import Outcomes, model_field, read_outcomes, text_field
from routellm_core.data.rows import parse_rows
from routellm_core.errors import ConfigurationError, DataError
from routellm_core.evaluation.benchmarks.tables import OutcomeTable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from routellm_core.answers import Similarity

__all__ = ["AnswerTable"]


class _Row(NamedTuple):
    prompt: str
    model: str
    answer: str
    reference: str
    cost: Any


class AnswerTable(OutcomeTable):
    """Own answers, one row per prompt and model: `prompt`, `model`, `answer`, `reference`.

    The quality of an answer is its similarity to the reference, negative ones as 0; an empty answer
    has quality 0. `cost`, `domain` and prompts to leave out are as for `OutcomeTable`. Similarity
    to one known answer is a coarse measure: where answers can be judged, judge them.

    Parameters
    ----------
    similarity
        Takes n answers and n references, and returns n numbers up to 1; by default `bert_sim` with
        the bundled embedder. The F1 of `bert_score` is another.

    References
    ----------
    BERTSim as the quality of an answer: TO-Router.
    """

    name: ClassVar[str] = "answers"

    def __init__(self, similarity: Similarity | None = None) -> None:
        self._similarity: Similarity = bert_sim if similarity is None else similarity

    def _outcomes(self, path: Path) -> Outcomes:
        rows: list[_Row] = []
        parse_rows(path, lambda row, _: rows.append(_parsed(row)), strict=False)
        said = [row for row in rows if row.answer.strip()]
        found = np.asarray(
            self._similarity([row.answer for row in said], [row.reference for row in said]),
            dtype=np.float64,
        )
        if found.shape != (len(said),) or not np.isfinite(found).all():
            raise ConfigurationError(
                f"`similarity` must return {len(said)} finite numbers, got shape {found.shape}."
            )
        values = iter(np.clip(found, 0.0, 1.0).tolist())
        return read_outcomes(
            {
                "prompt": row.prompt,
                "model": row.model,
                "quality": next(values) if row.answer.strip() else 0.0,
                "cost": row.cost,
            }
            for row in rows
        )


def _parsed(row: Mapping[str, Any]) -> _Row:
    answer = row.get("answer")
    if answer is None:
        raise DataError(f"`answer` is missing: the row has {', '.join(map(str, row))}.")
    if not isinstance(answer, str):
        raise DataError(f"`answer` must be a text, got {type(answer).__name__}.")
    return _Row(
        prompt_field(row),
        model_field(row, "model"),
        answer,
        text_field(row, "reference"),
        row.get("cost"),
    )
