"""Models grouped into tiers of similar rating."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from routellm_core.errors import ConfigurationError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["optimal_tiers"]


def optimal_tiers(ratings: NDArray[np.float64], *, n_tiers: int) -> NDArray[np.int64]:
    """Split models into neighbouring groups so that the variances within them add up to the least.

    Dynamic programming over the models in order of rating: the best split of the first j models
    into t groups extends a best split of fewer models into t - 1.

    Parameters
    ----------
    ratings
        Shape (m,), m >= 1, in any order.
    n_tiers
        t >= 1. With fewer models than tiers some tiers stay empty.

    Returns
    -------
    Shape (m,), integers in [0, t): each model's tier, 0 the strongest.

    Raises
    ------
    ConfigurationError
        If `n_tiers` is below 1.

    References
    ----------
    Ong et al., RouteLLM, arXiv:2406.18665, section 4.2 and appendix A. As in the authors' code
    the variances are added without their groups' sizes, and of equally good splits the first is
    taken.

    Examples
    --------
    >>> optimal_tiers(np.array([1000.0, 1200.0, 1010.0]), n_tiers=2)
    array([1, 0, 1])
    """
    if n_tiers < 1:
        raise ConfigurationError(f"`n_tiers` must be at least 1, got {n_tiers!r}.")
    order = np.argsort(-ratings, kind="stable")
    ranked = ratings[order]
    m = ranked.size
    variances = np.zeros((m, m))  # of the models i to j, both included
    for i in range(m):
        for j in range(i + 1, m):
            variances[i, j] = ranked[i : j + 1].var()
    cost = variances[0].copy()
    splits = np.zeros((n_tiers, m), dtype=np.int64)
    for tier in range(1, n_tiers):
        before, cost = cost, np.zeros(m)
        for j in range(1, m):
            candidates = before[:j] + variances[1 : j + 1, j]
            splits[tier, j] = np.argmin(candidates)
            cost[j] = candidates[splits[tier, j]]
    ends = [m - 1]
    for tier in range(n_tiers - 1, 0, -1):
        ends.append(int(splits[tier, ends[-1]]))
    tiers = np.empty(m, dtype=np.int64)
    tiers[order] = np.searchsorted(np.array(ends[::-1]), np.arange(m))
    return tiers
