"""Sparse matrices in NumPy, and ridge regression on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from routellm_core.embedders._words import pieces_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["SparseRows", "solve_ridge", "word_rows"]


@dataclass(frozen=True, slots=True)
class _Compressed:
    """Entries sorted by one axis: `others` are their places on the other, `bounds` the cuts."""

    others: NDArray[np.int64]
    values: NDArray[np.float32]
    bounds: NDArray[np.int64]

    def multiply(self, dense: NDArray[np.float32]) -> NDArray[np.float32]:
        out = np.zeros((len(self.bounds) - 1, dense.shape[1]), dtype=np.float32)
        filled = np.flatnonzero(np.diff(self.bounds))
        if filled.size:
            entries = dense[self.others] * self.values[:, None]
            out[filled] = np.add.reduceat(entries, self.bounds[filled], axis=0)
        return out


@dataclass(frozen=True, slots=True)
class SparseRows:
    """A sparse matrix of shape (n, c) that multiplies dense ones from both sides."""

    by_row: _Compressed
    by_column: _Compressed

    @classmethod
    def build(
        cls,
        rows: NDArray[np.int64],
        columns: NDArray[np.int64],
        values: NDArray[np.float32],
        shape: tuple[int, int],
    ) -> SparseRows:
        """Collect entries; those at the same place add up."""
        return cls(
            _compress(rows, columns, values, shape[0]), _compress(columns, rows, values, shape[1])
        )

    def forward(self, dense: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return matrix @ dense: (c, k) -> (n, k)."""
        return self.by_row.multiply(dense)

    def backward(self, dense: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return matrix.T @ dense: (n, k) -> (c, k)."""
        return self.by_column.multiply(dense)

    def scaled(self, factors: NDArray[np.floating]) -> SparseRows:
        """Return the matrix with every row multiplied by a factor: (n,)."""
        by_row, by_column = self.by_row, self.by_column
        own = np.repeat(factors, np.diff(by_row.bounds)).astype(np.float32)
        others = factors[by_column.others].astype(np.float32)
        return SparseRows(
            _Compressed(by_row.others, by_row.values * own, by_row.bounds),
            _Compressed(by_column.others, by_column.values * others, by_column.bounds),
        )


def word_rows(
    words: Sequence[str],
    *,
    buckets: int,
    owner: NDArray[np.int64] | None = None,
    factors: NDArray[np.float64] | None = None,
    n: int | None = None,
    beside: NDArray[np.float64] | None = None,
) -> SparseRows:
    """Return the matrix that averages hashed pieces over words.

    Parameters
    ----------
    words
        w folded words.
    buckets
        Number of columns, a power of 2.
    owner
        Shape (w,): the row of every word, when words are to be added up; else each has its own.
    factors
        Shape (w,): what a word counts; by default 1.
    n
        Number of rows; by default w.
    beside
        Shape (n, e): further columns, to the right of the buckets'; by default none.
    """
    rows, columns, values = [], [], []
    for pieces in pieces_of(words, buckets=buckets):
        present = pieces.shares > 0.0
        word = np.broadcast_to(pieces.words[:, None], present.shape)[present]
        share = pieces.shares[present]
        rows.append(word if owner is None else owner[word])
        columns.append(pieces.buckets[present])
        values.append(share if factors is None else (share * factors[word]).astype(np.float32))
    wide = 0
    if beside is not None:
        wide = beside.shape[1]
        filled = np.nonzero(beside)
        rows.append(filled[0])
        columns.append(buckets + filled[1])
        values.append(beside[filled].astype(np.float32))
    shape = (len(words) if n is None else n, buckets + wide)
    return SparseRows.build(
        np.concatenate(rows), np.concatenate(columns), np.concatenate(values), shape
    )


def solve_ridge(
    rows: SparseRows, targets: NDArray[np.float32], *, ridge: float, steps: int = 100
) -> NDArray[np.float32]:
    """Minimise |rows @ w - targets|^2 + ridge |w|^2 by conjugate gradients.

    Parameters
    ----------
    rows
        Shape (n, c).
    targets
        Shape (n, k): k problems that are solved at once.
    ridge
        Positive.
    steps
        Iterations at most; fewer when all k have converged.

    Returns
    -------
    w, shape (c, k).
    """
    residual = rows.backward(targets)
    solution = np.zeros_like(residual)
    direction = residual.copy()
    energy = (residual**2).sum(axis=0)
    enough = 1e-6 * energy
    for _ in range(steps):
        if bool((energy <= enough).all()):
            break
        curved = rows.backward(rows.forward(direction)) + np.float32(ridge) * direction
        step = energy / np.maximum((direction * curved).sum(axis=0), 1e-30)
        solution += step * direction
        residual -= step * curved
        fresh = (residual**2).sum(axis=0)
        direction = residual + fresh / np.maximum(energy, 1e-30) * direction
        energy = fresh
    return solution


def _compress(
    keys: NDArray[np.int64], others: NDArray[np.int64], values: NDArray[np.float32], length: int
) -> _Compressed:
    order = np.argsort(keys, kind="stable")
    bounds = np.searchsorted(keys[order], np.arange(length + 1))
    return _Compressed(others[order], values[order], bounds)
