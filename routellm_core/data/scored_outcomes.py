"""Outcomes with what a strategy needs beside quality and cost: scores, answers, latencies."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from routellm_core.data.outcomes import column_of, number_field, read_outcomes
from routellm_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from routellm_core.data.outcomes import Outcomes
    from routellm_core.data.rows import RowSource

__all__ = ["ScoredOutcomes", "read_scored_outcomes"]

_LIMITS = {
    "score": (0.0, 1.0),
    "logprob": (-math.inf, 0.0),
    "latency_ms": (0.0, math.inf),
    "input_tokens": (0.0, math.inf),
    "output_tokens": (0.0, math.inf),
    "verifier_usd": (0.0, math.inf),
    "verifier_ms": (0.0, math.inf),
}


@dataclass(frozen=True, slots=True, eq=False)
class ScoredOutcomes:
    """Outcomes of n prompts and m models, and what else is known of each answer.

    Parameters
    ----------
    outcomes
        Prompts, models, quality and cost.
    values
        Shape (n, m) by the name of the column, NaN where it is not known: `score` in [0, 1], a
        verifier's; `logprob`, the mean over the answer's tokens, at most 0; `latency_ms`;
        `input_tokens`, `output_tokens`; `verifier_usd` and `verifier_ms`, what scoring the answer
        took.
    answers
        n tuples of m texts; None where an answer's text is not known.
    """

    outcomes: Outcomes
    values: Mapping[str, NDArray[np.float64]]
    answers: tuple[tuple[str | None, ...], ...]

    def select(self, rows: NDArray[Any] | Sequence[int]) -> ScoredOutcomes:
        """Return some of the prompts, by position or by mask."""
        kept = np.arange(len(self.answers))[np.asarray(rows)]
        return ScoredOutcomes(
            self.outcomes.select(kept),
            {name: array[kept] for name, array in self.values.items()},
            tuple(self.answers[row] for row in kept),
        )

    def of_models(self, models: Sequence[str]) -> ScoredOutcomes:
        """Return the prompts that all of these models answered, with their columns in this order.

        Raises
        ------
        UnknownModelError
            If a model is not in the table.
        DataError
            If no prompt was answered by all.
        """
        columns = [column_of(model, self.outcomes.models) for model in models]
        known = np.isfinite(self.outcomes.quality[:, columns]).all(axis=1)
        if not known.any():
            raise DataError(f"No prompt was answered by all of {', '.join(models)}.")
        part = self.select(np.flatnonzero(known))
        table = part.outcomes
        return ScoredOutcomes(
            type(table)(
                table.prompts,
                tuple(models),
                table.quality[:, columns],
                table.cost[:, columns],
                table.report,
            ),
            {name: array[:, columns] for name, array in part.values.items()},
            tuple(tuple(row[column] for column in columns) for row in part.answers),
        )


def read_scored_outcomes(
    source: RowSource,
    *,
    strict: bool = False,
    columns: Mapping[str, str] | None = None,
    scale: tuple[float, float] | None = None,
) -> ScoredOutcomes:
    """Read outcomes as `read_outcomes` does, with the further columns that a row may have.

    Parameters
    ----------
    source
        Rows of `prompt`, `model`, `quality` and, where they are known, `cost`, `score`, `answer`,
        `logprob`, `latency_ms`, `input_tokens`, `output_tokens`, `verifier_usd` and `verifier_ms`.
        Numbers of several rows of one prompt and model are averaged; the last answer counts.
    strict, columns, scale
        As for `read_outcomes`.

    Raises
    ------
    DataError
        As `read_outcomes`, and in `strict` mode where a further column holds no such number.

    Examples
    --------
    >>> rows = [{"prompt": "1+1?", "model": "small", "quality": 1, "score": 0.9, "answer": "2"}]
    >>> read_scored_outcomes(rows).values["score"]
    array([[0.9]])
    """
    numbers: dict[tuple[str, str], list[list[float]]] = {}
    texts: dict[tuple[str, str], str] = {}

    def keep(prompt: str, model: str, row: Mapping[str, Any]) -> None:
        found = [_optional(row, name, *limits) for name, limits in _LIMITS.items()]
        answer = row.get("answer")
        if answer is not None and not isinstance(answer, str):
            raise DataError(f"`answer` must be a text, got {type(answer).__name__}.")
        numbers.setdefault((prompt, model), []).append(found)
        if answer is not None:
            texts[prompt, model] = answer

    outcomes = read_outcomes(source, strict=strict, columns=columns, scale=scale, also=keep)
    shape = (len(outcomes.prompts), len(outcomes.models), len(_LIMITS))
    values = np.full(shape, np.nan)
    places = {prompt: row for row, prompt in enumerate(outcomes.prompts)}
    for (prompt, model), rows in numbers.items():
        values[places[prompt], outcomes.models.index(model)] = _mean_of_known(np.array(rows))
    answers = tuple(
        tuple(texts.get((prompt, model)) for model in outcomes.models)
        for prompt in outcomes.prompts
    )
    by_name = {name: values[:, :, place] for place, name in enumerate(_LIMITS)}
    return ScoredOutcomes(outcomes, by_name, answers)


def _optional(row: Mapping[str, Any], name: str, low: float, high: float) -> float:
    if row.get(name) in (None, ""):
        return math.nan
    return number_field(row, name, low=low, high=high)


def _mean_of_known(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean of each column's numbers: (k, c) -> (c,); NaN where there is none."""
    known = np.isfinite(rows)
    n_known = known.sum(axis=0)
    return np.where(
        n_known > 0, np.where(known, rows, 0.0).sum(axis=0) / np.maximum(n_known, 1), np.nan
    )
