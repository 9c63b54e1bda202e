"""L-BFGS for many small problems at once.

A batch of k problems of the same p variables runs in lockstep, so that NumPy's price per call is
paid once an iteration. Each problem takes the steps that it would take alone. The stopping rules
are those of scikit-learn's `LogisticRegression`, whose numbers the fits here reproduce.

References
----------
D. C. Liu, J. Nocedal, "On the limited memory BFGS method for large scale optimization",
Mathematical Programming 45 (1989), 503-528.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from routellm_core.ranking.line_search import CURVATURE, DECREASE, LineSearch, Trial

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[np.float64]
    Rows: TypeAlias = NDArray[np.intp]
    Function: TypeAlias = Callable[[Array, Rows], tuple[Array, Array]]

__all__ = ["minimize"]

_MEMORY = 10
_MAX_TRIALS = 50
_EPSILON = float(np.finfo(np.float64).eps)
_SMALLEST_GAIN = 64.0 * _EPSILON


def minimize(function: Function, *, k: int, p: int, tolerance: float, max_iterations: int) -> Array:
    """Return the minimum of each of k functions of p variables, from a start at 0.

    Parameters
    ----------
    function
        Takes points of shape (r, p) and the r problems they belong to, ascending, and returns the
        functions there, (r,), and their gradients, (r, p).
    tolerance
        A problem is solved when no entry of its gradient is larger.
    max_iterations
        Where a problem stops otherwise.

    Returns
    -------
    Shape (k, p).
    """
    points = np.zeros((k, p))
    rows = np.arange(k)
    values, gradients = function(points, rows)
    memory = _Memory(k, p)
    for iteration in range(max_iterations):
        rows = rows[np.abs(gradients[rows]).max(axis=1) > tolerance]
        if not rows.size:
            break
        directions = -memory.apply(gradients[rows], rows)
        first = iteration == 0
        steps = 1.0 / np.linalg.norm(directions, axis=1) if first else np.ones(rows.size)
        steps, new_values, new_gradients, found = _search(
            function, points[rows], values[rows], gradients[rows], directions, steps, rows
        )
        moves = steps[:, None] * directions
        memory.add(moves[found], (new_gradients - gradients[rows])[found], rows[found])
        gains = values[rows] - new_values
        scale = np.maximum(np.maximum(np.abs(values[rows]), np.abs(new_values)), 1.0)
        points[rows[found]] += moves[found]
        values[rows[found]] = new_values[found]
        gradients[rows[found]] = new_gradients[found]
        rows = rows[found & (gains > _SMALLEST_GAIN * scale)]
    return points


def _search(
    function: Function,
    points: Array,
    values: Array,
    gradients: Array,
    directions: Array,
    steps: Array,
    rows: Rows,
) -> tuple[Array, Array, Array, NDArray[np.bool_]]:
    """Return steps, the functions and gradients there, and which problems found a step."""
    slopes = np.einsum("ij,ij->i", gradients, directions)
    steps, new_values, new_gradients = steps.copy(), values.copy(), gradients.copy()
    found = np.zeros(rows.size, dtype=np.bool_)
    searches: dict[int, LineSearch] = {}
    open_rows = np.flatnonzero(slopes < 0.0)
    for _ in range(_MAX_TRIALS):
        tried = points[open_rows] + steps[open_rows, None] * directions[open_rows]
        at, gradients_at = function(tried, rows[open_rows])
        slopes_at = np.einsum("ij,ij->i", gradients_at, directions[open_rows])
        new_values[open_rows], new_gradients[open_rows] = at, gradients_at
        first = slopes[open_rows]
        good = (at <= values[open_rows] + DECREASE * steps[open_rows] * first) & (
            np.abs(slopes_at) <= -CURVATURE * first
        )
        for place in np.flatnonzero(~good):
            row = int(open_rows[place])
            if row not in searches:
                start = Trial(0.0, float(values[row]), float(slopes[row]))
                searches[row] = LineSearch(start, float(steps[row]))
            good[place] = searches[row].advance(float(at[place]), float(slopes_at[place]))
            steps[row] = searches[row].step
        found[open_rows[good]] = True
        open_rows = open_rows[~good]
        if not open_rows.size:
            break
    return steps, new_values, new_gradients, found


class _Memory:
    """The last moves and gradient changes of each problem; an unused place has weight 0."""

    def __init__(self, k: int, p: int) -> None:
        self.moves = np.zeros((_MEMORY, k, p))
        self.changes = np.zeros((_MEMORY, k, p))
        self.weights = np.zeros((_MEMORY, k))
        self.scale = np.ones(k)
        self.used = 0

    def add(self, moves: Array, changes: Array, rows: Rows) -> None:
        """Remember one more move, unless it shows no curvature."""
        products = np.einsum("ij,ij->i", moves, changes)
        squares = np.einsum("ij,ij->i", changes, changes)
        kept = products > _EPSILON * np.maximum(squares, np.finfo(np.float64).tiny)
        moves, changes, rows = moves[kept], changes[kept], rows[kept]
        for array, new in ((self.moves, moves), (self.changes, changes)):
            array[:-1, rows] = array[1:, rows]
            array[-1, rows] = new
        self.weights[:-1, rows] = self.weights[1:, rows]
        self.weights[-1, rows] = 1.0 / products[kept]
        self.scale[rows] = products[kept] / squares[kept]
        self.used = min(_MEMORY, self.used + 1)

    def apply(self, gradients: Array, rows: Rows) -> Array:
        """Return the inverse Hessian's estimate times the gradients: the two-loop recursion."""
        result: Array = gradients.copy()
        whole = rows.size == self.scale.size
        moves = self.moves if whole else self.moves[:, rows]
        changes = self.changes if whole else self.changes[:, rows]
        weights = self.weights if whole else self.weights[:, rows]
        shares: list[Array] = []
        places = range(_MEMORY - 1, _MEMORY - 1 - self.used, -1)
        for place in places:
            shares.append(weights[place] * np.einsum("ij,ij->i", moves[place], result))
            result -= shares[-1][:, None] * changes[place]
        result *= self.scale[rows][:, None]
        for place, share in zip(reversed(places), reversed(shares), strict=True):
            back = weights[place] * np.einsum("ij,ij->i", changes[place], result)
            result += (share - back)[:, None] * moves[place]
        return result
