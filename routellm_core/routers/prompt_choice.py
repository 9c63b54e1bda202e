"""Which prompts tell most of a new model: greedy D-optimal design."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from routellm_core.errors import ConfigurationError, DataError
from routellm_core.routers._ability import GaussianPrior, logistic
from routellm_core.routers._added_ability import known_abilities, with_one
from routellm_core.routers.base import check_prompts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from routellm_core.routers.base import Router

__all__ = ["choose_prompts", "choose_rows"]

_CANDIDATES = 3


def choose_prompts(
    router: Router,
    prompts: Sequence[str],
    n: int,
    *,
    like: str | None = None,
    candidates: int | None = None,
    seed: int = 0,
) -> NDArray[np.int64]:
    """Return the positions of n prompts whose outcomes tell much of a new model's ability.

    Greedy D-optimal design: each prompt is the one that raises log det(I + sum of p (1 - p) d d')
    most, where p is the expected probability of a right answer, and d is (1, the prompt's demands)
    in units of the known models' spread, so that I is the prior of `add_model`.

    Parameters
    ----------
    router
        `mf`, fitted to outcomes.
    prompts
        Prompts to choose among, any number of them; of equal ones the first can be chosen.
    n
        How many, from 1 to the number of different prompts.
    like
        The known model that the new one is believed to be like, whose p is taken. By default
        p (1 - p) is the mean over all trained models.

    candidates
        How many prompts, drawn at random, are looked at; by default 3 n, or all where there are
        fewer. Of very many, the most telling are extremes, for which the router is least to be
        trusted: see docs/results.md.
    seed
        Of that draw.

    Returns
    -------
    Shape (n,), in the order of choice.

    Raises
    ------
    ConfigurationError
        If the router is another one, `n` is below 1 or `candidates` below n.
    DataError
        If there are fewer than n different prompts.
    UnknownModelError
        If the router does not know `like`.

    Examples
    --------
    >>> from routellm_core import load_router
    >>> prompts = ["Hi!", "Prove that pi is irrational.", "Hi!"]
    >>> sorted(choose_prompts(load_router("mf"), prompts, 2).tolist())
    [0, 1]
    """
    from routellm_core.routers.mf import MatrixFactorizationRouter

    if not isinstance(router, MatrixFactorizationRouter):
        raise ConfigurationError(
            f"Prompts are chosen by the abilities of an 'mf' router, got router {router.name!r}. "
            "For others, draw prompts at random."
        )
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
        raise ConfigurationError(f"`n` must be a whole number from 1 on, got {n!r}.")
    first: dict[str, int] = {}
    for position, prompt in enumerate(check_prompts(prompts)):
        first.setdefault(prompt, position)
    if n > len(first):
        raise DataError(f"{n} prompts cannot be chosen among {len(first)} different ones.")
    n_drawn = _CANDIDATES * n if candidates is None else candidates
    if n_drawn < n:
        raise ConfigurationError(f"`candidates` must be at least n = {n}, got {candidates!r}.")
    drawn = np.random.default_rng(seed).permutation(len(first))[:n_drawn]
    different = list(first)
    texts = [different[position] for position in np.sort(drawn)]
    model = router.graded_model()
    demands = router.demands(texts)
    n_trained = len(model.models) - model.n_added
    column = slice(n_trained) if like is None else [model.models.index(router.known_model(like))]
    right = logistic(model.logits(demands).astype(np.float64)[:, column])
    prior = GaussianPrior.of_population(known_abilities(model)[:n_trained])
    weights = (right * (1.0 - right)).mean(axis=1)
    chosen, _ = choose_rows(with_one(demands) @ prior.factor, weights, int(n))
    return np.array([first[texts[row]] for row in chosen], dtype=np.int64)


def choose_rows(
    features: NDArray[np.float64], weights: NDArray[np.float64], n_chosen: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Choose rows one by one, each the one that raises log det(I + sum of w d d') most.

    With M the sum so far, one more row adds exactly log(1 + w d' M^-1 d), and M^-1 follows by a
    rank-one update: a step costs n * p. The greedy choice reaches at least 1 - 1/e of the largest
    possible value.

    Parameters
    ----------
    features
        Shape (n, p): d of each row.
    weights
        Shape (n,), at least 0: w of each row.
    n_chosen
        At most n.

    Returns
    -------
    Positions in the order of choice, the first of equals; and what each added to log det.

    References
    ----------
    D-optimality: Fedorov, Theory of Optimal Experiments, 1972. The bound: Nemhauser, Wolsey and
    Fisher, Mathematical Programming 14 (1978), since log det is submodular.
    """
    inverse = np.eye(features.shape[1])
    leverages = np.einsum("np,np->n", features, features)  # d' M^-1 d of every row
    free = np.ones(len(features), dtype=np.bool_)
    chosen, gains = np.empty(n_chosen, dtype=np.int64), np.empty(n_chosen)
    for step in range(n_chosen):
        gain = np.where(free, np.log1p(weights * leverages), -np.inf)
        row = int(gain.argmax())
        chosen[step], gains[step], free[row] = row, gain[row], False
        direction = inverse @ features[row]
        factor = weights[row] / (1.0 + weights[row] * leverages[row])
        inverse -= factor * np.outer(direction, direction)
        leverages = np.maximum(leverages - factor * (features @ direction) ** 2, 0.0)
    return chosen, gains
