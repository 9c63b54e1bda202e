"""How long answers are: what a call costs depends on it, and on which model writes it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from routellm_core.calibration import CallTokens
from routellm_core.data.messages import prompt_field
from routellm_core.data.rows import numbered_rows
from routellm_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from routellm_core.evaluation.benchmarks.base import LoadedBenchmark
    from routellm_core.evaluation.logged_calls import LoggedCalls

__all__ = ["judged_tokens", "logged_tokens"]

_WRITTEN = ("output_tokens", "completion_tokens")
_CHARS_PER_TOKEN = 4.0


def judged_tokens(path: str | Path, judged: LoadedBenchmark) -> CallTokens | None:
    """Return the tokens of each prompt of an outcome table, at either model.

    A row of the table says under "output_tokens" or "completion_tokens" how long its answer was,
    reasoning included. Where that is missing for a prompt, the model's mean stands in.

    Parameters
    ----------
    path
        The table.
    judged
        What was read of it.

    Returns
    -------
    None where no answer of one of the models was counted.
    """
    counts: dict[tuple[str, str], float] = {}
    for _, row in numbered_rows(str(path)):
        if isinstance(row, DataError):
            continue
        written = _written(row)
        if written is not None:
            with suppress(DataError):  # reported when the outcomes were read
                counts[prompt_field(row), str(row.get("model")).strip()] = written
    strong, weak = (
        np.array([counts.get((prompt, model), np.nan) for prompt in judged.prompts])
        for model in (judged.pair.strong, judged.pair.weak)
    )
    if not (np.isfinite(strong).any() and np.isfinite(weak).any()):
        return None
    read = np.array([len(prompt) / _CHARS_PER_TOKEN for prompt in judged.prompts])
    return CallTokens(prompt=read, strong=_filled(strong), weak=_filled(weak))


def logged_tokens(
    logged: LoggedCalls, *, output_tokens: float | None, judged: CallTokens | None
) -> CallTokens | None:
    """Return the tokens of each logged call, or None when nobody knows how long answers are.

    Parameters
    ----------
    logged
        The calls.
    output_tokens
        Of an answer, where the log does not say.
    judged
        What outcomes say of the two models' answers: their means go before the log, which says
        nothing of the model that did not answer.
    """
    n = len(logged)
    if judged is not None:
        strong, weak = float(judged.strong.mean()), float(judged.weak.mean())
        return CallTokens(logged.prompt_tokens, np.full(n, strong), np.full(n, weak))
    written = logged.output_tokens
    known = written[np.isfinite(written)]
    if output_tokens is None and not known.size:
        return None
    filled = np.where(
        np.isfinite(written), written, known.mean() if output_tokens is None else output_tokens
    )
    return CallTokens(prompt=logged.prompt_tokens, strong=filled, weak=filled)


def _written(row: Mapping[str, Any]) -> float | None:
    for name in _WRITTEN:
        value = row.get(name)
        if value in (None, ""):
            continue
        try:
            number = float(value)
        except (TypeError, ValueError):
            continue
        if 0.0 <= number < np.inf:
            return number
    return None


def _filled(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.isfinite(counts), counts, np.nanmean(counts))
