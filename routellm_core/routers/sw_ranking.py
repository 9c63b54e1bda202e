"""Similarity-weighted ranking: Bradley-Terry ratings from the battles most like the prompt."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from routellm_core._numbers import bad_number, first_descent
from routellm_core.checkpoints import Checkpoint
from routellm_core.data.battles import Battles, read_battles
from routellm_core.data.outcomes import column_of
from routellm_core.embedders.base import check_embeddings, identity_of
from routellm_core.embedders.loading import embedder_for
from routellm_core.errors import CheckpointError, ConfigurationError, DataError
from routellm_core.ranking import PairTable, fit_ratings, optimal_tiers, rate_models, win_rate_of
from routellm_core.routers._battle_model import PUBLISHED_PAIR
from routellm_core.routers.embedding import EmbeddingRouter, check_embedder
from routellm_core.routers.similarity import CosineIndex
from routellm_core.types import ModelPair

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Self

    from routellm_core.data.rows import RowSource
    from routellm_core.embedders.base import Embedder
    from routellm_core.types import Calibration, WinRates

__all__ = ["SimilarityWeightedRouter"]

_ARENA_MIN_CHARS = 16
_DEFAULT_TOLERANCE = 1e-4


class SimilarityWeightedRouter(EmbeddingRouter):
    r"""Rate the models by battles, each weighted by its prompt's similarity to the new prompt.

    With e the new prompt's embedding and e_i that of battle i, the battle's weight is
    10 * 10^(s_i / max s) for the cosine s_i of e and e_i. Models are grouped into tiers, and the
    weighted Bradley-Terry ratings of the tiers give the win rate
    1 / (1 + 10^((r_weak - r_strong) / 400)). A prompt similar to nothing weighs all battles alike.

    The weights are added up by pair of tiers before the ratings are fitted, so a prompt costs one
    pass over the embeddings and a fit of at most 55 numbers.

    Parameters
    ----------
    index
        The battles' embeddings, n columns, in the table's order.
    table
        The battles, with tiers for players.
    tiers
        Shape (m,), integers: each model's tier, 0 the strongest.
    models
        m model names.
    pair
        Two of them.
    embedder
        What embedded the battles' prompts.
    tolerance
        Where the fit stops: see `routellm_core.ranking.fit_ratings`.
    calibration
        Win rates of representative prompts.

    References
    ----------
    "Similarity-weighted ranking", Ong et al., RouteLLM, arXiv:2406.18665, section 4.2.
    """

    name: ClassVar[str] = "sw_ranking"

    def __init__(
        self,
        *,
        index: CosineIndex,
        table: PairTable,
        tiers: NDArray[np.int64],
        models: tuple[str, ...],
        pair: ModelPair,
        embedder: Embedder,
        tolerance: float = _DEFAULT_TOLERANCE,
        calibration: Calibration | None = None,
    ) -> None:
        super().__init__(embedder, dimension=index.dimension, calibration=calibration)
        if not tolerance > 0.0:
            raise ConfigurationError(f"`tolerance` must be positive, got {tolerance!r}.")
        strong, weak = (column_of(model, models) for model in (pair.strong, pair.weak))
        self._index, self._table, self._tolerance = index, table, tolerance
        self._tiers, self._models, self._pair = tiers, models, pair
        self._strong_tier, self._weak_tier = int(tiers[strong]), int(tiers[weak])

    @property
    def pair(self) -> ModelPair:
        """The two models whose win rate is returned."""
        return self._pair

    @property
    def tiers(self) -> dict[str, int]:
        """Each model's tier, 0 the strongest."""
        return {model: int(tier) for model, tier in zip(self._models, self._tiers, strict=True)}

    @classmethod
    def from_battles(
        cls,
        battles: Battles,
        *,
        embedder: Embedder,
        embeddings: NDArray[Any] | None = None,
        pair: ModelPair = PUBLISHED_PAIR,
        n_tiers: int = 10,
        tolerance: float = _DEFAULT_TOLERANCE,
    ) -> Self:
        """Build the index: embed the prompts, rate the models, group them into tiers.

        Parameters
        ----------
        battles
            n battles. Of battles in a schema of Chatbot Arena, those with a prompt of fewer than
            16 characters are left out, as RouteLLM does.
        embeddings
            Shape (n, d) for all battles, or for those that are not left out; by default the
            prompts are embedded now.

        Raises
        ------
        DataError
            If the number of embeddings is another one.
        UnknownModelError
            If a model of the pair fought no battle.
        """
        check_embedder(embedder, router=cls.name)
        kept, embeddings = _matched(battles, embeddings)
        for model in (pair.strong, pair.weak):
            column_of(model, kept.models)
        if embeddings is None:
            embeddings = check_embeddings(embedder.embed(kept.prompts), n=len(kept))
        used = np.unique(np.concatenate([kept.model_a, kept.model_b]))
        model_a, model_b = (np.searchsorted(used, side) for side in (kept.model_a, kept.model_b))
        models = tuple(kept.models[column] for column in used)
        ratings = rate_models(
            model_a, model_b, kept.score_a, n_players=len(models), tolerance=tolerance
        )
        tiers = optimal_tiers(ratings, n_tiers=n_tiers)
        table = PairTable.of(tiers[model_a], tiers[model_b], kept.score_a, n_players=n_tiers)
        return cls(
            index=CosineIndex.of(embeddings[table.order]),
            table=table,
            tiers=tiers,
            models=models,
            pair=pair,
            embedder=embedder,
            tolerance=tolerance,
        )

    @classmethod
    def default(  # type: ignore[override]  # names its options
        cls,
        *,
        battles: Battles | RowSource | None = None,
        embeddings: NDArray[Any] | str | Path | None = None,
        embedder: Embedder | None = None,
        strong_model: str = PUBLISHED_PAIR.strong,
        weak_model: str = PUBLISHED_PAIR.weak,
        n_tiers: int = 10,
        tolerance: float = _DEFAULT_TOLERANCE,
    ) -> Self:
        """Return a router over battles that are read now.

        Parameters
        ----------
        battles
            `Battles`, or what `read_battles` takes.
        embeddings
            An array, or a `.npy` file of one; see `from_battles`.

        Raises
        ------
        ConfigurationError
            If `battles` or `embedder` is missing.
        """
        if battles is None or embedder is None:
            raise ConfigurationError(
                "Router 'sw_ranking' has no bundled battles: pass `battles` (a file of battles) and"
                " `embedder`, or `checkpoint`."
            )
        return cls.from_battles(
            battles if isinstance(battles, Battles) else read_battles(battles),
            embedder=embedder,
            embeddings=_array(embeddings),
            pair=ModelPair(strong_model, weak_model),
            n_tiers=n_tiers,
            tolerance=tolerance,
        )

    def _score(self, embeddings: NDArray[Any]) -> WinRates:
        similarities = self._index.similarities(embeddings)
        highest = similarities.max(axis=1, keepdims=True)
        ratios = similarities / np.where(highest == 0.0, np.float32(1.0), highest)
        # A common factor of the weights changes nothing; this one keeps them in (0, 1].
        ratios -= ratios.max(axis=1, keepdims=True)
        weights = np.exp(np.float32(np.log(10.0)) * ratios)
        ratings = fit_ratings(self._table, weights, tolerance=self._tolerance)
        return win_rate_of(ratings[:, self._strong_tier], ratings[:, self._weak_tier])

    def _to_checkpoint(self) -> Checkpoint:
        table = self._table
        sizes = np.diff(np.r_[table.group_starts, len(self._index)])
        pair_of_group = np.searchsorted(table.pair_starts, np.arange(len(sizes)), side="right") - 1
        return Checkpoint(
            router=self.name,
            parameters={
                "models": list(self._models),
                "n_tiers": table.n_players,
                "tolerance": self._tolerance,
            },
            tensors={
                "embeddings": self._index.columns,
                "tiers": self._tiers,
                "groups.size": sizes,
                "groups.score": table.group_scores,
                "groups.tiers": table.pairs[pair_of_group],
            },
            pair=self._pair,
            embedder=identity_of(self.embedder),
            calibration=self._calibration,
        )

    @classmethod
    def _from_checkpoint(  # type: ignore[override]  # names its options
        cls,
        checkpoint: Checkpoint,
        *,
        embedder: Embedder | None = None,
        strong_model: str | None = None,
        weak_model: str | None = None,
    ) -> Self:
        columns = checkpoint.tensor("embeddings", shape=(None, None))
        sizes = checkpoint.tensor("groups.size", shape=(None,))
        scores = checkpoint.tensor("groups.score", shape=(len(sizes),))
        players = checkpoint.tensor("groups.tiers", shape=(len(sizes), 2))
        try:
            models = tuple(checkpoint.parameters["models"])
            n_tiers = int(checkpoint.parameters["n_tiers"])
            tolerance = float(checkpoint.parameters["tolerance"])
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"The checkpoint lacks a usable parameter: {error}") from error
        tiers = checkpoint.tensor("tiers", shape=(len(models),))
        _check_groups(sizes, players, tiers, n_tiers=n_tiers, n=columns.shape[1])
        stored = checkpoint.pair or PUBLISHED_PAIR
        pair = ModelPair(strong_model or stored.strong, weak_model or stored.weak)
        table = PairTable.of(
            *(np.repeat(column, sizes) for column in (players[:, 0], players[:, 1], scores)),
            n_players=n_tiers,
        )
        return cls(
            index=CosineIndex(columns),
            table=table,
            tiers=tiers,
            models=models,
            pair=pair,
            embedder=embedder_for(checkpoint, embedder),
            tolerance=tolerance,
            calibration=checkpoint.calibration if pair == stored else None,
        )


def _matched(
    battles: Battles, embeddings: NDArray[Any] | None
) -> tuple[Battles, NDArray[Any] | None]:
    """Leave out short Arena prompts, and give each battle left its embedding."""
    long = np.array([len(prompt) >= _ARENA_MIN_CHARS for prompt in battles.prompts])
    kept = battles.select(long) if battles.from_arena else battles
    if not len(kept):
        raise DataError(f"No battle has a prompt of {_ARENA_MIN_CHARS} characters or more.")
    if embeddings is None or len(embeddings) == len(kept):
        return kept, embeddings
    if len(embeddings) == len(battles):
        return kept, embeddings[long]
    if len(embeddings) == battles.report.n_rows:
        return kept, embeddings[kept.positions]
    raise DataError(
        f"There must be an embedding for each of {len(kept)} battles, got {len(embeddings)}."
    )


def _array(embeddings: NDArray[Any] | str | Path | None) -> NDArray[Any] | None:
    if embeddings is None:
        return None
    if isinstance(embeddings, (str, Path)):
        try:
            embeddings = np.load(embeddings, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise DataError(f"{str(embeddings)!r} is no `.npy` file of numbers: {error}") from error
    array: NDArray[Any] = np.asarray(embeddings)
    if array.ndim != 2 or array.dtype.kind != "f":
        raise DataError(
            f"`embeddings` must be finite numbers of shape (n, d), got {array.dtype} of shape "
            f"{array.shape}."
        )
    bad = bad_number(array)
    if bad:
        raise DataError(f"`embeddings` must be finite numbers, got {bad}.")
    return array


def _check_groups(
    sizes: NDArray[Any], players: NDArray[Any], tiers: NDArray[Any], *, n_tiers: int, n: int
) -> None:
    integers = all(array.dtype.kind == "i" for array in (sizes, players, tiers))
    if not integers:
        kinds = ", ".join(str(array.dtype) for array in (sizes, players, tiers))
        raise CheckpointError(f"The groups and tiers of battles must be integers, got {kinds}.")
    bad = bad_number(sizes, low=1)
    if bad or int(sizes.sum()) != n or not sizes.size:
        raise CheckpointError(
            f"The groups of battles must be counts that add up to {n}, got "
            f"{bad or int(sizes.sum())}."
        )
    flat = players[:, 0] * n_tiers + players[:, 1]
    bad = bad_number(players, low=0, high=n_tiers - 1) or bad_number(tiers, low=0, high=n_tiers - 1)
    if bad or first_descent(flat):
        raise CheckpointError(
            f"The battles' tiers must be ascending pairs in [0, {n_tiers}), got "
            f"{bad or 'pairs that descend'}."
        )
