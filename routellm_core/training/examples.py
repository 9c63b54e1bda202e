"""What every trainer starts from: data, a split, embeddings."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from routellm_core._numbers import check_fraction
from routellm_core.data.battles import Battles, read_battles
from routellm_core.data.columns import check_columns, map_advice, renamed
from routellm_core.data.outcomes import Outcomes, column_of, read_outcomes, sameness
from routellm_core.data.rows import BadRowCount, numbered_rows, source_name
from routellm_core.embedders.base import check_embeddings
from routellm_core.errors import ConfigurationError, DataError
from routellm_core.monitoring.call_logs import read_notes
from routellm_core.training.rated_calls import rated_calls

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from routellm_core.data.rows import RowSource
    from routellm_core.embedders.base import Embedder
    from routellm_core.types import ModelPair, WinRates

__all__ = [
    "PairExamples",
    "TrainingData",
    "check_models",
    "check_signal",
    "embed_all",
    "has_signal",
    "pair_examples",
    "read_data",
    "split_rows",
]

_SAME = 1e-12
"""Differences between labels that come of rounding."""

TrainingData: TypeAlias = "Battles | Outcomes"
"""What a router can learn from."""

_AT_ONCE = 256
_MIN_EACH = 2


@dataclass(frozen=True, slots=True, eq=False)
class PairExamples:
    """n prompts, with the quality of the strong and the weak model's answers.

    Parameters
    ----------
    prompts
        n prompts.
    strong, weak
        Shape (n,), in [0, 1].
    """

    prompts: tuple[str, ...]
    strong: NDArray[np.float64]
    weak: NDArray[np.float64]

    @property
    def labels(self) -> WinRates:
        """The soft label of each prompt: (1 + strong - weak) / 2, so that a tie is 1/2."""
        return 0.5 * (1.0 + self.strong - self.weak)

    def select(self, rows: NDArray[Any]) -> PairExamples:
        """Return some of the prompts, by position."""
        prompts = tuple(self.prompts[row] for row in rows)
        return PairExamples(prompts, self.strong[rows], self.weak[rows])


def read_data(
    source: RowSource,
    *,
    strict: bool = False,
    columns: Mapping[str, str] | None = None,
    scale: tuple[float, float] | None = None,
) -> TrainingData:
    """Read battles or outcomes, whichever the first good row looks like.

    Parameters
    ----------
    source, strict
        See `read_outcomes` and `read_battles`. The log of a `Monitor` that keeps whole prompts is
        read as outcomes: of each call of which its user said how good the answer was.
    columns
        The source's own names of columns, by ours: `{"prompt": "question"}`.
    scale
        The lowest and the highest quality of outcomes, where they are grades, as (1, 5).

    Raises
    ------
    DataError
        If the rows are neither, or cannot be read, or a column of `columns` is missing.
    ConfigurationError
        If there is a scale and the rows are battles, or a name of `columns` is not ours.
    """
    source = source if isinstance(source, (str, Path)) else list(source)
    notes = read_notes(source)
    if notes is not None:
        return read_outcomes(rated_calls(source, notes), strict=strict)
    own = columns or {}
    bad, first = BadRowCount(), None
    for line, found in numbered_rows(source):
        if isinstance(found, DataError):
            bad.add(line, str(found))
            continue
        if first is None:
            first = found
            check_columns(first, own)
        row = renamed(found, own)
        if "quality" in row:
            with _advice(row, ("prompt", "model")):
                return read_outcomes(source, strict=strict, columns=own, scale=scale)
        if "model_a" in row or "mixtral_score" in row:
            if scale is not None:
                raise ConfigurationError(
                    "`scale` is for the qualities of outcomes, and "
                    f"{source_name(source)} holds battles."
                )
            with _advice(row, ("prompt",)):
                return read_battles(source, strict=strict, columns=own)
    why = f"{bad.report(bad.n)}" if bad.n else "It is empty."
    if first is not None:
        why = map_advice(renamed(first, own), ("prompt", "model", "quality"))
    raise DataError(
        f"{source_name(source)} holds neither outcomes (prompt, model, quality) nor battles "
        f"(prompt, model_a, model_b, winner). {why} A log of calls has to be labelled first: with "
        "`routellm label`, or with `routellm tune`, which goes on to a router."
    )


@contextmanager
def _advice(row: Mapping[str, Any], needed: Sequence[str]) -> Iterator[None]:
    """Add how to name the columns that a row does not have, where reading fails."""
    try:
        yield
    except DataError as error:
        advice = map_advice(row, needed)
        if not advice:
            raise
        raise DataError(f"{error} {advice}") from error


def pair_examples(data: TrainingData, pair: ModelPair) -> PairExamples:
    """Return the prompts on which both models of a pair were seen."""
    outcomes = data.of_pair(pair)
    return PairExamples(outcomes.prompts, outcomes.quality[:, 0], outcomes.quality[:, 1])


def split_rows(
    prompts: Sequence[str], *, validation_share: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split rows at random into training and validation, equal prompts on one side.

    Raises
    ------
    ConfigurationError
        If the share is outside (0, 1).
    DataError
        If a side would have fewer than two prompts.
    """
    check_fraction(validation_share, name="validation_share", within="(0, 1)")
    unique = {prompt: number for number, prompt in enumerate(dict.fromkeys(prompts))}
    n = len(unique)
    held = round(validation_share * n)
    if min(held, n - held) < _MIN_EACH:
        raise DataError(
            f"{n} prompts are too few to hold {validation_share:.0%} of them back for validation."
        )
    chosen = np.zeros(n, dtype=np.bool_)
    chosen[np.random.default_rng(seed).permutation(n)[:held]] = True
    side = chosen[[unique[prompt] for prompt in prompts]]
    return np.flatnonzero(~side), np.flatnonzero(side)


def embed_all(
    embedder: Embedder, prompts: Sequence[str], *, show_progress: bool = False
) -> NDArray[np.float32]:
    """Embed prompts in parts of 256: (n, d)."""
    from routellm_core.training.progress import steps

    starts = range(0, len(prompts), _AT_ONCE)
    parts = []
    for start in steps(starts, "embedding prompts", show=show_progress):
        texts = list(prompts[start : start + _AT_ONCE])
        parts.append(check_embeddings(embedder.embed(texts), n=len(texts)).astype(np.float32))
    return np.concatenate(parts)


def check_models(data: TrainingData, pair: ModelPair) -> None:
    """Refuse a pair that the data does not know.

    Raises
    ------
    UnknownModelError
        If a model is not in the data.
    """
    for model in (pair.strong, pair.weak):
        column_of(model, data.models)


def check_signal(examples: PairExamples, pair: ModelPair) -> None:
    """Refuse prompts on which the two models differ by the same everywhere: nothing can be learnt.

    Raises
    ------
    DataError
        If all soft labels are equal.
    """
    same = sameness(examples.labels - 0.5, pair)
    if same is not None:
        raise DataError(
            f"{same} No router can learn from that which prompts need the strong model: bring rows "
            "on which the answers differ."
        )


def has_signal(examples: PairExamples) -> bool:
    """Return whether the two models differ more on some prompts than on others."""
    return len(examples.prompts) > 0 and float(np.ptp(examples.labels)) > _SAME
