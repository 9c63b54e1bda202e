"""Soft labels: how probable it is that the weak model's answer will do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from routellm_core._numbers import bad_number
from routellm_core.errors import ConfigurationError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["SOFT_MODES", "SoftMode", "best_shift", "soft_labels"]

SoftMode = Literal["det", "prob", "trans"]
"""How answers become a label; see `soft_labels`."""
SOFT_MODES: tuple[str, ...] = get_args(SoftMode)


def soft_labels(weak: ArrayLike, strong: ArrayLike, *, mode: str = "prob") -> NDArray[np.float64]:
    """Return P(quality of weak >= quality of strong - t) for each prompt, over pairs of samples.

    Parameters
    ----------
    weak, strong
        Shapes (n, k) and (n, l): the qualities of k and l answers to each of n prompts.
    mode
        - "det": from the first answer of each alone, t = 0: 0 or 1.
        - "prob": from all answers, t = 0.
        - "trans": from all answers, with `best_shift`'s t, for a weak model that is rarely as good.

    Returns
    -------
    Shape (n,), in [0, 1]: 1 where the weak model will do. The strong model's win rate is 1 less it.

    Raises
    ------
    ConfigurationError
        If there is no such mode, or the shapes do not fit, or a quality is not finite.

    References
    ----------
    Ding et al., Hybrid LLM, 2024, arXiv:2404.14618.

    Examples
    --------
    >>> soft_labels([[0.2, 0.8]], [[0.5, 0.9]]).tolist()
    [0.25]
    """
    if mode not in SOFT_MODES:
        raise ConfigurationError(f"`mode` must be one of {', '.join(SOFT_MODES)}, got {mode!r}.")
    gaps = _gaps(weak, strong)
    if mode == "det":
        return (gaps[:, 0] <= 0.0).astype(np.float64)
    shift = best_shift(weak, strong) if mode == "trans" else 0.0
    means: NDArray[np.float64] = (gaps <= shift).mean(axis=1)
    return means


def best_shift(weak: ArrayLike, strong: ArrayLike) -> float:
    """Return the t >= 0 at which soft labels differ most: the mean of |y_i - y_j| is greatest.

    The labels change only where t passes a gap between two answers, so every such t is tried and
    the result is exact; the least t wins a tie. It takes time n k l log(n k l).

    Parameters
    ----------
    weak, strong
        As for `soft_labels`.

    References
    ----------
    Ding et al., Hybrid LLM, 2024, arXiv:2404.14618, section 3.3.

    Examples
    --------
    >>> best_shift([[0.0], [0.2]], [[1.0], [1.0]])
    0.8
    """
    gaps = _gaps(weak, strong)
    n, n_pairs = gaps.shape
    levels = (gaps <= 0.0).sum(axis=1)
    # at_most[a]: how many prompts have a label of at most a / n_pairs.
    at_most = np.cumsum(np.bincount(levels, minlength=n_pairs + 1)).tolist()
    levels = levels.tolist()
    rows, columns = np.nonzero(gaps > 0.0)
    passed = gaps[rows, columns]
    order = np.argsort(passed, kind="stable")
    change, best_change, best = 0, 0, 0.0
    for place, event in enumerate(order):
        row, shift = rows[event], passed[event]
        level = levels[row]
        # The row's label rises by a step: away from those at or below, towards those above.
        change += (at_most[level] - 1) - (n - at_most[level])
        at_most[level] -= 1
        levels[row] = level + 1
        is_last = place + 1 == len(order) or passed[order[place + 1]] > shift
        if is_last and change > best_change:
            best_change, best = change, float(shift)
    return best


def _gaps(weak: ArrayLike, strong: ArrayLike) -> NDArray[np.float64]:
    """Return strong less weak quality for all pairs of answers: (n, k * l)."""
    low, high = (np.asarray(each, dtype=np.float64) for each in (weak, strong))
    for name, array in (("weak", low), ("strong", high)):
        if array.ndim != 2 or not array.shape[1]:
            raise ConfigurationError(
                f"`{name}` must have shape (prompts, answers), got {array.shape}."
            )
        bad = bad_number(array)
        if bad:
            raise ConfigurationError(f"`{name}` must hold finite qualities, got {bad}.")
    if len(low) != len(high):
        raise ConfigurationError(
            f"`weak` and `strong` must have as many prompts, got {len(low)} and {len(high)}."
        )
    return (high[:, :, None] - low[:, None, :]).reshape(len(low), -1)
