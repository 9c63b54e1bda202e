"""Graded answers: prompts, what a model answered, and how good that was."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from routellm_core._numbers import bad_number
from routellm_core.data.columns import check_columns, check_scale, renamed
from routellm_core.data.messages import prompt_field
from routellm_core.data.outcomes import model_field, number_field
from routellm_core.data.rows import numbered_rows, parse_rows
from routellm_core.errors import ConfigurationError, DataError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from routellm_core.data.rows import RowReport, RowSource

__all__ = ["GradedAnswers", "read_answers"]


@dataclass(frozen=True, slots=True, eq=False)
class GradedAnswers:
    """n answers and their quality.

    Parameters
    ----------
    prompts, answers
        n texts each; a prompt may stand in several rows.
    quality
        Shape (n,), in [0, 1], higher is better.
    win_rates
        Shape (n,), in [0, 1]: the router's win rate of the prompt; NaN where it is not known.
    logprobs
        Shape (n,), at most 0: the mean log-probability of the answer's tokens; NaN where it is not
        known.
    finish_reasons
        Why each model stopped, in its provider's words; None where that is not known.
    models
        Who answered; "" where that is not known.
    report
        What was read, and which rows were bad.
    """

    prompts: tuple[str, ...]
    answers: tuple[str, ...]
    quality: NDArray[np.float64]
    win_rates: NDArray[np.float64]
    logprobs: NDArray[np.float64]
    finish_reasons: tuple[str | None, ...]
    models: tuple[str, ...]
    report: RowReport

    def __post_init__(self) -> None:
        n = len(self.prompts)
        for name in ("answers", "quality", "win_rates", "logprobs", "finish_reasons", "models"):
            if len(getattr(self, name)) != n:
                raise ConfigurationError(
                    f"`{name}` must have {n} entries, got {len(getattr(self, name))}."
                )
        bad = bad_number(self.quality, low=0.0, high=1.0)
        if bad:
            raise ConfigurationError(f"`quality` must lie in [0, 1], got {bad}.")
        bad = bad_number(self.win_rates, low=0.0, high=1.0, nan=True)
        if bad:
            raise ConfigurationError(f"`win_rates` must lie in [0, 1] or be NaN, got {bad}.")
        bad = bad_number(self.logprobs, high=0.0, nan=True)
        if bad:
            raise ConfigurationError(f"`logprobs` must be at most 0 or NaN, got {bad}.")

    def __len__(self) -> int:
        return len(self.prompts)

    def select(self, rows: NDArray[Any] | Sequence[int]) -> GradedAnswers:
        """Return some of the rows, by position or by mask."""
        kept = np.arange(len(self))[np.asarray(rows)]

        def some(values: Sequence[Any]) -> tuple[Any, ...]:
            return tuple(values[row] for row in kept)

        return GradedAnswers(
            some(self.prompts), some(self.answers), self.quality[kept], self.win_rates[kept],
            self.logprobs[kept], some(self.finish_reasons), some(self.models), self.report,
        )  # fmt: skip

    def of_model(self, model: str) -> GradedAnswers:
        """Return the answers of one model.

        Raises
        ------
        DataError
            If there are none.
        """
        rows = [row for row, name in enumerate(self.models) if name == model]
        if not rows:
            known = sorted({name for name in self.models if name})
            raise DataError(
                f"No answer is of model {model!r}.{did_you_mean(model, known)} "
                f"Models: {', '.join(known) or 'no row names one'}."
            )
        return self.select(rows)


class _Row(NamedTuple):
    prompt: str
    answer: str
    quality: float
    win_rate: float
    logprob: float
    finish_reason: str | None
    model: str


def read_answers(
    source: RowSource,
    *,
    strict: bool = False,
    columns: Mapping[str, str] | None = None,
    scale: tuple[float, float] | None = None,
) -> GradedAnswers:
    """Read rows of (prompt, answer, quality) and, if known, what else tells about an answer.

    Parameters
    ----------
    source
        A file ending in .jsonl, .json, .csv, .tsv or .parquet, the name of a data set on the
        Hugging Face Hub, or the rows themselves. `quality` lies in [0, 1], true and false
        included; `answer` may be empty. Optional: `model`, `win_rate` in [0, 1], `logprob` (the
        mean over the answer's tokens, at most 0) and `finish_reason`. Where there is no `prompt`,
        the last user message of `messages` or `conversations` is.
    strict
        Stop at the first bad row instead of leaving bad rows out.
    columns
        The source's own names of columns, by ours: `{"answer": "response"}`.
    scale
        The lowest and the highest quality, where they are grades: (1, 5) makes 1 a 0 and 5 a 1. By
        default (0, 1).

    Raises
    ------
    DataError
        If the source cannot be read, or holds no usable row, or `strict` met a bad row, or a
        column is missing.
    ConfigurationError
        If the scale is not two rising numbers, or `columns` names something else.

    Examples
    --------
    >>> rows = [{"prompt": "1+1?", "answer": "2", "quality": 1, "logprob": -0.1},
    ...         {"prompt": "1+2?", "answer": "2", "quality": 0}]
    >>> read_answers(rows).logprobs
    array([-0.1,  nan])
    """
    limits = (0.0, 1.0) if scale is None else scale
    check_scale(limits)
    own = columns or {}
    source = source if isinstance(source, (str, Path)) else list(source)
    if own:
        readable = (row for _, row in numbered_rows(source) if not isinstance(row, DataError))
        first = next(readable, None)
        if first is not None:
            check_columns(first, own)
    rows: list[_Row] = []
    report = parse_rows(
        source, lambda row, _: rows.append(_parsed(renamed(row, own), limits)), strict=strict
    )
    return GradedAnswers(
        prompts=tuple(row.prompt for row in rows),
        answers=tuple(row.answer for row in rows),
        quality=np.array([row.quality for row in rows]),
        win_rates=np.array([row.win_rate for row in rows]),
        logprobs=np.array([row.logprob for row in rows]),
        finish_reasons=tuple(row.finish_reason for row in rows),
        models=tuple(row.model for row in rows),
        report=report,
    )


def _parsed(row: Mapping[str, Any], scale: tuple[float, float]) -> _Row:
    answer = row.get("answer")
    if answer is None:
        raise DataError(
            f"`answer` is missing: the row has {', '.join(map(str, row))}. If one of these is the "
            "answer, say so: `--map answer=COLUMN`."
        )
    if not isinstance(answer, str):
        raise DataError(f"`answer` must be a text, got {type(answer).__name__}.")
    low, high = scale
    return _Row(
        prompt_field(row),
        answer,
        (_grade(row, scale) - low) / (high - low),
        _optional(row, "win_rate", low=0.0, high=1.0),
        _optional(row, "logprob", low=-math.inf, high=0.0),
        str(row["finish_reason"]) if row.get("finish_reason") else None,
        model_field(row, "model") if row.get("model") else "",
    )


def _grade(row: Mapping[str, Any], scale: tuple[float, float]) -> float:
    try:
        return number_field(row, "quality", low=scale[0], high=scale[1])
    except DataError as error:
        raise DataError(
            f"{error} For grades on another scale pass `--scale LOW:HIGH`, in Python "
            "`scale=(LOW, HIGH)`."
        ) from None


def _optional(row: Mapping[str, Any], name: str, *, low: float, high: float) -> float:
    if row.get(name) in (None, ""):
        return math.nan
    return number_field(row, name, low=low, high=high)
