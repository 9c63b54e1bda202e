r"""Bradley-Terry ratings, from counts of pairs instead of rows of battles.

Player i beats player j with probability 1 / (1 + 10^((r_j - r_i) / 400)). The likelihood depends on
the battles only through each pair's weight and each pair's wins, so that n battles are added up
once and a fit costs the same for a hundred and for a million of them.

A battle of a player against itself says nothing in this model. RouteLLM, whose numbers are
reproduced, counts it as one against an opponent of the mean rating that wins when the first of the
two did not; `PairTable` keeps such battles as pairs (i, i), and the fit treats them so.

References
----------
R. A. Bradley, M. E. Terry, "Rank analysis of incomplete block designs", Biometrika 39 (1952).
"Similarity-weighted ranking", Ong et al., RouteLLM, arXiv:2406.18665, section 4.2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from routellm_core.ranking.lbfgs import minimize

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[np.float64]

__all__ = ["PairTable", "fit_ratings", "rate_models", "win_rate_of"]

_LOG_BASE = math.log(10.0)
_SCALE = 400.0
_MAX_ITERATIONS = 100


@dataclass(frozen=True, slots=True, eq=False)
class PairTable:
    """Which rows of a sorted list of battles belong to which pair of players.

    Parameters
    ----------
    order
        Shape (n,): the battles sorted by pair, and by score within a pair.
    group_starts
        Shape (g,): where each group of the same pair and score starts in that order.
    group_scores
        Shape (g,): the first player's score in the group.
    pair_starts
        Shape (q,): where each pair starts among the groups.
    pairs
        Shape (q, 2): the two players, the smaller number first.
    n_players
        p, one more than the largest player.
    """

    order: NDArray[np.intp]
    group_starts: NDArray[np.intp]
    group_scores: NDArray[np.float64]
    pair_starts: NDArray[np.intp]
    pairs: NDArray[np.int64]
    n_players: int

    @classmethod
    def of(
        cls,
        player_a: NDArray[np.int64],
        player_b: NDArray[np.int64],
        score_a: NDArray[np.float64],
        *,
        n_players: int,
    ) -> PairTable:
        """Group n >= 1 battles, each of shape (n,)."""
        swapped = player_a > player_b
        first = np.where(swapped, player_b, player_a)
        second = np.where(swapped, player_a, player_b)
        score = np.where(swapped, 1.0 - score_a, score_a)
        order = np.lexsort((score, second, first))
        first, second, score = first[order], second[order], score[order]
        new_pair = np.r_[True, (np.diff(first) != 0) | (np.diff(second) != 0)]
        group_starts = np.flatnonzero(new_pair | np.r_[True, np.diff(score) != 0.0])
        return cls(
            order=order,
            group_starts=group_starts,
            group_scores=score[group_starts],
            pair_starts=np.flatnonzero(new_pair[group_starts]),
            pairs=np.stack([first, second], axis=1)[new_pair],
            n_players=n_players,
        )

    def count(self, weights: NDArray[np.floating]) -> tuple[NDArray[np.float64], ...]:
        """Add weights of shape (k, n), in this table's order: by pair, and won by pair, (k, q)."""
        groups = np.add.reduceat(weights, self.group_starts, axis=1, dtype=np.float64)
        wins = np.add.reduceat(groups * self.group_scores, self.pair_starts, axis=1)
        return np.add.reduceat(groups, self.pair_starts, axis=1), wins

    def design(self) -> NDArray[np.float64]:
        """Return what each rating adds to each pair's log odds: (q, p)."""
        rows = np.arange(len(self.pairs))
        design = np.zeros((len(self.pairs), self.n_players))
        design[rows, self.pairs[:, 0]] = _LOG_BASE
        # In this order a pair (i, i) keeps the second entry only: see the module's docstring.
        design[rows, self.pairs[:, 1]] = -_LOG_BASE
        return design


def fit_ratings(
    table: PairTable, weights: NDArray[np.floating], *, tolerance: float = 1e-4
) -> NDArray[np.float64]:
    """Return the ratings that make the weighted battles most likely.

    Parameters
    ----------
    table
        n battles of p players.
    weights
        Shape (k, n), >= 0, in the table's order; each row is a fit of its own.
    tolerance
        Where a fit stops: the largest entry of the mean log likelihood's gradient. The default is
        RouteLLM's, and its numbers are only reproduced with it: it leaves win rates up to about
        0.002 from those of the exact maximum, which a tolerance of 1e-9 gives.

    Returns
    -------
    Shape (k, p), Elo points around 0. A player without a battle has 0.
    """
    totals, wins = table.count(weights)
    scale = totals.sum(axis=1, keepdims=True)
    totals, wins = totals / scale, wins / scale
    design = table.design()

    def loss(points: Array, rows: NDArray[np.intp]) -> tuple[Array, Array]:
        log_odds = points @ design.T  # (r, p) @ (p, q) -> (r, q)
        total, won = totals[rows], wins[rows]
        values: Array = (total * np.logaddexp(0.0, log_odds) - won * log_odds).sum(axis=1)
        expected = total * (0.5 + 0.5 * np.tanh(0.5 * log_odds))
        return values, (expected - won) @ design

    ratings = minimize(
        loss,
        k=len(weights),
        p=table.n_players,
        tolerance=tolerance,
        max_iterations=_MAX_ITERATIONS,
    )
    return _SCALE * ratings


def rate_models(
    player_a: NDArray[np.int64],
    player_b: NDArray[np.int64],
    score_a: NDArray[np.float64],
    *,
    n_players: int,
    tolerance: float = 1e-4,
) -> NDArray[np.float64]:
    """Return the Elo ratings of p players from n equally weighted battles: (p,), around 0."""
    table = PairTable.of(player_a, player_b, score_a, n_players=n_players)
    ratings: NDArray[np.float64] = fit_ratings(
        table, np.ones((1, len(player_a))), tolerance=tolerance
    )[0]
    return ratings


def win_rate_of(
    rating: NDArray[np.float64] | float, opponent: NDArray[np.float64] | float
) -> NDArray[np.float64]:
    """Return the probability that a player beats an opponent, ties half.

    Examples
    --------
    >>> float(win_rate_of(1400.0, 1000.0).round(4))
    0.9091
    """
    log_odds = _LOG_BASE * (np.asarray(rating, dtype=np.float64) - opponent) / _SCALE
    win_rate: NDArray[np.float64] = 0.5 + 0.5 * np.tanh(0.5 * log_odds)
    return win_rate
