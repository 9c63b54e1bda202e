"""Which prompts are worth a label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from routellm_core.embedders.base import unit_rows
from routellm_core.errors import ConfigurationError
from routellm_core.evaluation.shingles import distinct
from routellm_core.training.cluster import spherical_kmeans

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from routellm_core.embedders.base import Embedder
    from routellm_core.labeling.logged import LoggedPrompt
    from routellm_core.routers.base import Router

__all__ = ["Choice", "choose", "without_near_duplicates"]

_MAX_CLUSTERS = 32
_MAX_TO_CLUSTER = 20_000
_EMBEDDED_AT_ONCE = 1024


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """The prompts to label.

    Parameters
    ----------
    rows
        Their places, in an order of which every beginning is a sample of all: whoever stops early
        has not only the easy ones.
    shares
        Shape (rows,): how probable it was that each is chosen, in (0, 1]; a mean over all prompts
        is estimated with weights 1 / share.
    """

    rows: NDArray[np.int64]
    shares: NDArray[np.float64]


def without_near_duplicates(
    prompts: Sequence[LoggedPrompt],
    *,
    threshold: float = 0.8,
    preferred: Collection[str] = frozenset(),
) -> list[LoggedPrompt]:
    """Return prompts none of which nearly repeats another.

    Of several near ones a preferred one stays, else the one that saves most calls: with more
    answers and a known answer in the log; among equals the first.

    Parameters
    ----------
    prompts
        In the order of the log, which is kept.
    threshold
        Jaccard similarity of five-character pieces from which two are near, in [0.5, 1].
    preferred
        Texts of prompts, as those that people have judged.

    Raises
    ------
    ConfigurationError
        If `threshold` is outside [0.5, 1].
    """

    def rank(row: int) -> tuple[bool, int, bool, int]:
        one = prompts[row]
        return one.prompt not in preferred, -len(one.answers), one.reference is None, row

    order = sorted(range(len(prompts)), key=rank)
    kept = distinct([prompts[row].prompt for row in order], threshold=threshold)
    return [prompts[row] for row in sorted(np.array(order, dtype=np.int64)[kept].tolist())]


def choose(
    prompts: Sequence[str],
    n: int | None = None,
    *,
    always: Sequence[int] = (),
    router: Router | None = None,
    embedder: Embedder | None = None,
    seed: int = 0,
) -> Choice:
    """Choose n prompts over all their kinds, and more of those whose route is open.

    A systematic sample, with unequal probabilities, of the prompts in the order of their clusters
    and, within one, of their win rates: each cluster and each range of win rates has its share.
    Prompts in the middle of the win rates are up to twice as probable as those at either end.

    Parameters
    ----------
    prompts
        N prompts.
    n
        How many to choose; all for None or for more than there are.
    always
        Places of prompts that are chosen in any case, and count towards n.
    router, embedder
        Whose win rates and vectors tell prompts apart; by default the bundled ones.
    seed
        Of the choice and of the order.

    Raises
    ------
    ConfigurationError
        If n is below 1.

    References
    ----------
    Madow, On the theory of systematic sampling, 1949.
    """
    if n is not None and n < 1:
        raise ConfigurationError(f"`sample` must be at least 1, got {n!r}.")
    rng = np.random.default_rng(seed)
    if n is None or n >= len(prompts):
        return Choice(rng.permutation(len(prompts)), np.ones(len(prompts)))
    win_rates = _router(router).win_rates(list(prompts))
    clusters = _clusters(_embedder(embedder), prompts, seed=seed)
    sure = np.zeros(len(prompts), dtype=np.bool_)
    sure[list(always)] = True
    n = max(n, int(sure.sum()))
    shares = inclusion_shares(1.0 + _openness(win_rates), n, sure=sure)
    order = np.lexsort((win_rates, clusters))
    rows = order[systematic(shares[order], n, start=float(rng.random()))]
    rows = rng.permutation(rows)
    return Choice(rows, shares[rows])


def inclusion_shares(
    weights: NDArray[np.float64], n: int, *, sure: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """Return probabilities that add up to n: 1 for those that are sure, else by their weights.

    Examples
    --------
    >>> inclusion_shares(np.array([1.0, 1.0, 8.0]), 2).tolist()
    [0.5, 0.5, 1.0]
    """
    shares = np.zeros(len(weights))
    sure = np.zeros(len(weights), dtype=np.bool_) if sure is None else sure.copy()
    while True:
        shares[sure] = 1.0
        rest = n - int(sure.sum())
        shares[~sure] = rest * weights[~sure] / max(weights[~sure].sum(), 1e-300)
        over = ~sure & (shares >= 1.0)
        if not over.any():
            return shares
        sure |= over


def systematic(shares: NDArray[np.float64], n: int, *, start: float) -> NDArray[np.int64]:
    """Return n places, each with its share as probability: one at each step of 1 of their sums."""
    ends = np.cumsum(shares) * (n / shares.sum())
    return np.minimum(np.searchsorted(ends, start + np.arange(n), side="right"), len(shares) - 1)


def _openness(win_rates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1 for the win rate in the middle of all, falling to 0 at both ends.

    By rank, since nobody knows yet which threshold these win rates will meet.
    """
    ordered = np.sort(win_rates)
    below = np.searchsorted(ordered, win_rates, side="left")
    up_to = np.searchsorted(ordered, win_rates, side="right")
    ranks = (below + up_to) / (2.0 * len(win_rates))
    found: NDArray[np.float64] = 1.0 - np.abs(2.0 * ranks - 1.0)
    return found


def _clusters(embedder: Embedder, prompts: Sequence[str], *, seed: int) -> NDArray[np.int64]:
    starts = range(0, len(prompts), _EMBEDDED_AT_ONCE)
    units = np.concatenate(
        [
            unit_rows(embedder.embed(list(prompts[start : start + _EMBEDDED_AT_ONCE])))
            for start in starts
        ]
    )
    # Centres of a sample do as well as those of all, in bounded time.
    rows = np.random.default_rng(seed).permutation(len(units))[:_MAX_TO_CLUSTER]
    size = max(1, min(_MAX_CLUSTERS, len(units) // 8))
    centres, _ = spherical_kmeans(units[rows], size, seed=seed)
    found: NDArray[np.int64] = (units @ centres.T).argmax(axis=1)
    return found


def _router(router: Router | None) -> Router:
    if router is not None:
        return router
    from routellm_core.routers import load_router

    return load_router("mf")


def _embedder(embedder: Embedder | None) -> Embedder:
    if embedder is not None:
        return embedder
    from routellm_core.embedders import load_embedder

    return load_embedder("bundled")
