"""What speaks against training on some data, in words, before anything is embedded or fitted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from routellm_core.data.battles import Battles
from routellm_core.training.examples import check_models, check_signal, pair_examples

if TYPE_CHECKING:
    from routellm_core.data.rows import RowReport
    from routellm_core.training.examples import PairExamples, TrainingData
    from routellm_core.types import ModelPair

__all__ = ["MAX_BAD_SHARE", "MIN_PROMPTS", "data_doubts", "many_bad_rows"]

MAX_BAD_SHARE = 0.05
"""The share of rows that may be unusable before it is likely that the rest was misread, too."""

MIN_PROMPTS = 200
"""How many prompts a training should have at least."""

_SAME = 1e-12


def data_doubts(data: TrainingData, pair: ModelPair, *, trainer: str) -> tuple[str, ...]:
    """Return what speaks against training on this data, a sentence or two each; () for nothing.

    The trainers themselves take such data. `routellm train` stops, unless `--force` is given.

    Parameters
    ----------
    data
        Outcomes or battles, as read.
    pair
        The two models to choose between.
    trainer
        A name in `TRAINERS`: some learn from answers of other models, too.

    Raises
    ------
    UnknownModelError
        If the data does not know a model of the pair.
    DataError
        If no prompt was answered by both, or there is nothing to learn: see `check_signal`.

    Examples
    --------
    >>> from routellm_core import ModelPair
    >>> from routellm_core.data import read_outcomes
    >>> rows = [{"prompt": "1+1?", "model": "big", "quality": 0.5},
    ...         {"prompt": "1+1?", "model": "small", "quality": 1},
    ...         {"prompt": "2+2?", "model": "big", "quality": 1},
    ...         {"prompt": "2+2?", "model": "small", "quality": 1}]
    >>> pair = ModelPair(strong="big", weak="small")
    >>> for doubt in data_doubts(read_outcomes(rows), pair, trainer="knn"):
    ...     print(doubt.partition(":")[0])
    'big' is named as the strong model and is worse than 'small' on the 2 prompts that both answered
    Only 2 prompts to learn from that both models answered, and a router needs at least 200
    """
    check_models(data, pair)
    examples = pair_examples(data, pair)
    if trainer in ("adapted", "auto"):  # made for few, or falls back to it
        check_signal(examples, pair)
        few = ""
    elif _uses_other_models(data, trainer):
        few = _too_few(len(set(data.prompts)), "")
    else:
        check_signal(examples, pair)
        few = _too_few(len(set(examples.prompts)), " that both models answered")
    return tuple(filter(None, [many_bad_rows(data.report), _worse(examples, pair), few]))


def _uses_other_models(data: TrainingData, trainer: str) -> bool:
    """Return whether a trainer learns from battles between any two models of this data."""
    learns = trainer == "sw_ranking" or (trainer == "mf" and isinstance(data, Battles))
    return learns and len(data.models) > 2


def many_bad_rows(report: RowReport) -> str:
    """Say that more rows are unusable than a few; "" where it is not so."""
    if report.n_bad <= MAX_BAD_SHARE * report.n_rows:
        return ""
    reason = str(report.shown[0]).rstrip(".") if report.shown else "no reason is kept"
    return (
        f"{report.n_bad:,} of {report.n_rows:,} rows cannot be used, more than "
        f"{MAX_BAD_SHARE:.0%}; {reason}. Correct these rows or take them out of the file."
    )


def _worse(examples: PairExamples, pair: ModelPair) -> str:
    """Say that the model called strong has the lower mean quality; "" where it has not."""
    strong, weak = float(examples.strong.mean()), float(examples.weak.mean())
    if strong >= weak - _SAME:
        return ""
    return (
        f"{pair.strong!r} is named as the strong model and is worse than {pair.weak!r} on the "
        f"{len(examples.prompts):,} prompts that both answered: mean quality {strong:.4g} against "
        f"{weak:.4g}. Name the better model first: `--pair {pair.weak} {pair.strong}`, in Python "
        f"`ModelPair(strong={pair.weak!r}, weak={pair.strong!r})`."
    )


def _too_few(n: int, which: str) -> str:
    if n >= MIN_PROMPTS:
        return ""
    return (
        f"Only {n:,} prompts to learn from{which}, and a router needs at least {MIN_PROMPTS}: "
        "bring more rows, for example with `routellm label LOG --sample 1000`. With fewer, "
        "`routellm adapt` corrects the bundled router."
    )
