"""Measuring on few labels: every prompt is held back once, by turns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from routellm_core._numbers import check_fraction

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from routellm_core.types import WinRates

__all__ = ["centred", "folds_of"]

_ENOUGH = 400


def folds_of(
    n: int, *, share: float, seed: int
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Divide n prompts at random into folds, and return the rows outside and inside of each.

    Parameters
    ----------
    n
        At least 2.
    share
        The share of the prompts in a fold, in (0, 1): there are about 1 / share folds, and at
        least 2. Of these so many are returned as it takes to hold 400 prompts back in all.
    seed
        Which prompts share a fold.

    Raises
    ------
    ConfigurationError
        If the share is outside (0, 1).

    Examples
    --------
    >>> [len(held) for _, held in folds_of(10, share=0.4, seed=0)]
    [5, 5]
    """
    check_fraction(share, name="validation_share", within="(0, 1)")
    count = min(n, max(2, round(1.0 / share)))
    fold = np.random.default_rng(seed).permutation(n) % count
    used = -(-_ENOUGH * count // n)
    rows = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(count)]
    return rows[: max(1, used)]


def centred(win_rates: WinRates, folds: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return win rates without the mean of their fold, to rank prompts of several folds together.

    A fold that holds the high labels leaves the low ones to the router that scores it, whose win
    rates are all lower for it. Taken together as they are, the folds would rank against the labels,
    the more so the fewer there are.

    Parameters
    ----------
    win_rates
        Shape (n,).
    folds
        Shape (n,): each prompt's fold.
    """
    _, places = np.unique(folds, return_inverse=True)
    means = np.bincount(places, weights=win_rates) / np.bincount(places)
    scores: NDArray[np.float64] = win_rates - means[places]
    return scores
