"""What speaks against training on some data, in words, before anything is embedded or fitted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from routellm_core.training.examples import check_models, pair_examples

if TYPE_CHECKING:
    from routellm_core.training.examples import PairExamples, TrainingData
    from routellm_core.types import ModelPair

__all__ = ["data_doubts"]

_SAME = 1e-12


def data_doubts(data: TrainingData, pair: ModelPair) -> tuple[str, ...]:
    """Return what speaks against training on this data, a sentence or two each; () for nothing.

    The trainers themselves take such data. `routellm train` stops, unless `--force` is given.

    Parameters
    ----------
    data
        Outcomes or battles, as read.
    pair
        The two models to choose between.

    Raises
    ------
    UnknownModelError
        If the data does not know a model of the pair.
    DataError
        If no prompt was answered by both.

    Examples
    --------
    >>> from routellm_core import ModelPair
    >>> from routellm_core.data import read_outcomes
    >>> rows = [{"prompt": "1+1?", "model": "big", "quality": 0.5},
    ...         {"prompt": "1+1?", "model": "small", "quality": 1}]
    >>> [doubt] = data_doubts(read_outcomes(rows), ModelPair(strong="big", weak="small"))
    >>> doubt[:70]
    "'big' is named as the strong model and is worse than 'small' on the 1 "
    """
    check_models(data, pair)
    examples = pair_examples(data, pair)
    return tuple(filter(None, [_worse(examples, pair)]))


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
