"""Several routers as one: the weighted mean of their win rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from routellm_core._numbers import bad_number
from routellm_core.checkpoints import Checkpoint, write_checkpoint
from routellm_core.embedders.base import AsyncEmbedder, check_embeddings, identity_of
from routellm_core.errors import CheckpointError, ConfigurationError
from routellm_core.routers._members import (
    embedders_of,
    load_members,
    loaded_members,
    named_members,
    replaced_members,
)
from routellm_core.routers.base import Router, check_prompts, check_win_rates
from routellm_core.routers.embedding import EmbeddingRouter

if TYPE_CHECKING:
    from pathlib import Path
    from typing import TypeGuard

    from numpy.typing import ArrayLike, NDArray
    from typing_extensions import Self

    from routellm_core.embedders.base import Embedder
    from routellm_core.hub import CheckpointFolder
    from routellm_core.types import Calibration, ModelPair, WinRates

__all__ = ["EnsembleRouter"]

_ROUNDING = 1e-6


class EnsembleRouter(Router):
    """Average the win rates of several routers, each with a weight of its own.

    With w_j the win rate of member j, the win rate is the sum of a_j w_j(x), where the weights a_j
    are at least 0 and sum to 1. A member whose win rates spread more widely than another's moves
    the mean by more; stacked weights, which `train_ensemble` fits, take account of that.

    Members over the same embedder get the prompts' embeddings from one call of it, and a member of
    weight 0 is not asked.

    Parameters
    ----------
    members
        N >= 1 routers, by name. A name has 1 to 64 letters, digits, ".", "_" and "-", and begins
        with a letter or a digit: it becomes a folder when the ensemble is saved. Routers in a
        sequence are named by their kind: "knn", "mlp", "mlp-2".
    weights
        Shape (N,), finite, at least 0, not all 0; divided by their sum. By default all are equal.
    calibration
        Win rates of representative prompts.

    Raises
    ------
    ConfigurationError
        If there is no member, a name or a weight cannot be used, or two members were fitted for
        different pairs of models.

    References
    ----------
    Wolpert, Stacked generalization, 1992; Breiman, Stacked regressions, 1996, for weights that are
    not negative.

    Examples
    --------
    >>> from routellm_core import load_router
    >>> router = EnsembleRouter([load_router("random", seed=1), load_router("random", seed=2)])
    >>> sorted(router.members), router.weights
    (['random', 'random-2'], (0.5, 0.5))
    """

    name: ClassVar[str] = "ensemble"

    def __init__(
        self,
        members: Mapping[str, Router] | Sequence[Router],
        *,
        weights: ArrayLike | None = None,
        calibration: Calibration | None = None,
    ) -> None:
        self._members = named_members(members)
        self._weights = _checked_weights(weights, n=len(self._members))
        self._pair = _common_pair(self._members)
        self._calibration = calibration

    @classmethod
    def default(cls, **options: Any) -> Self:
        """Return an ensemble of routers that are named, or there already.

        Parameters
        ----------
        options
            `members`: names as `load_router` takes them, or routers, in a sequence or by name;
            and what the constructor takes besides.

        Raises
        ------
        ConfigurationError
            If there are no members: no checkpoint is bundled.
        UnknownRouterError
            If a member is named that nobody registered, and that is no checkpoint.
        """
        members = options.pop("members", None)
        if members is None:
            raise ConfigurationError(
                "Router 'ensemble' has no bundled checkpoint. Pass `checkpoint`, or `members`, for "
                "example `members=['mf', './my-router']`, or train one with `routellm train "
                "ensemble`."
            )
        return cls(loaded_members(members), **options)

    @property
    def members(self) -> Mapping[str, Router]:
        """The routers, by name, in the order of `weights`."""
        return MappingProxyType(self._members)

    @property
    def weights(self) -> tuple[float, ...]:
        """N numbers in [0, 1] that sum to 1, in the order of `members`."""
        return tuple(self._weights.tolist())

    @property
    def embedders(self) -> tuple[Embedder, ...]:
        """The members' embedders, one for each identity; `load` takes them as `embedder`."""
        return tuple(embedders_of(list(self._members.values())).values())

    @property
    def pair(self) -> ModelPair | None:
        """The models that the members were fitted for; None when all of them fit any pair."""
        return self._pair

    def _win_rates(self, prompts: Sequence[str]) -> WinRates:
        return self._mean(prompts, {})

    async def araw_win_rates(self, prompts: Sequence[str]) -> WinRates:
        """Return win rates before the scale without blocking the event loop."""
        shared = embedders_of([member for _, member, _ in self._asked() if _is_shared(member)])
        waiting = {key: each for key, each in shared.items() if isinstance(each, AsyncEmbedder)}
        if not waiting:
            return await super().araw_win_rates(prompts)
        from asyncio import gather, to_thread

        checked = check_prompts(prompts)
        if not checked:
            return np.empty(0, dtype=np.float64)
        found = await gather(*(embedder.aembed(checked) for embedder in waiting.values()))
        known = dict(zip(waiting, found, strict=True))
        win_rates = await to_thread(self._mean, checked, known)
        return check_win_rates(win_rates, n=len(checked), name=self.name)

    def save(self, folder: str | Path) -> Path:
        """Write the ensemble and its members as one folder, and return it.

        Each member is a checkpoint of its own below `members`, whose checksum the ensemble
        records. What is there already is replaced only when every member has been written.

        Raises
        ------
        CheckpointError
            If the folder holds something that is not a checkpoint.
        ConfigurationError
            If a member cannot be saved.
        """
        with replaced_members(self._members, folder) as saved:
            return write_checkpoint(self._with_training(self._checkpoint(saved)), folder)

    def _asked(self) -> list[tuple[str, Router, float]]:
        """Return the members that count, with their weights."""
        rows = zip(self._members.items(), self._weights.tolist(), strict=True)
        return [(name, member, weight) for (name, member), weight in rows if weight > 0.0]

    def _mean(self, prompts: Sequence[str], known: dict[object, Any]) -> WinRates:
        """Return the weighted mean: (n,).

        Parameters
        ----------
        known
            Embeddings of the prompts, so far as they are there, by the keys of `embedders_of`.
        """
        embeddings = dict(known)
        total = np.zeros(len(prompts))
        for name, member, weight in self._asked():
            if _is_shared(member):
                key = identity_of(member.embedder) or id(member.embedder)
                if key not in embeddings:
                    embeddings[key] = member.embedder.embed(prompts)
                vectors = check_embeddings(
                    embeddings[key], n=len(prompts), dimension=member.dimension
                )
                win_rates = member.score_embeddings(vectors)
            else:
                win_rates = member.raw_win_rates(prompts)
            total += weight * check_win_rates(win_rates, n=len(prompts), name=name)
        # The weights' sum is 1 up to rounding.
        return np.minimum(total, 1.0)

    def _checkpoint(self, saved: list[dict[str, str]]) -> Checkpoint:
        known = [identity_of(embedder) for embedder in self.embedders]
        return Checkpoint(
            router=self.name,
            parameters={"members": saved},
            tensors={"weights": self._weights},
            pair=self._pair,
            embedder=", ".join(filter(None, known)) or None,
            calibration=self._calibration,
        )

    @classmethod
    def _from_folder(cls, folder: CheckpointFolder, **options: Any) -> Self:
        return super()._from_folder(folder, members_in=folder, **options)

    @classmethod
    def _from_checkpoint(  # type: ignore[override]  # names its options
        cls,
        checkpoint: Checkpoint,
        *,
        members_in: CheckpointFolder,
        embedder: Embedder | Sequence[Embedder] | None = None,
        strong_model: str | None = None,
        weak_model: str | None = None,
    ) -> Self:
        """Read the members, and with them the ensemble.

        Parameters
        ----------
        embedder
            One or several: each member takes the one of the identity that it was fitted on, and
            loads that itself where none has it.
        strong_model, weak_model
            Another pair, for members that take one. The stored calibration is left out then.
        """
        named = {"strong_model": strong_model, "weak_model": weak_model}
        given = _several(embedder)
        members = load_members(
            members_in,
            checkpoint.parameters.get("members"),
            embedders=given,
            options={name: model for name, model in named.items() if model is not None},
        )
        weights = checkpoint.tensor("weights", shape=(len(members),))
        bad = bad_number(weights, low=0.0, high=1.0)
        if bad or abs(float(weights.sum()) - 1.0) > _ROUNDING:
            raise CheckpointError(
                f"The members' weights must be at least 0 and sum to 1, got "
                f"{bad or float(weights.sum())}."
            )
        router = cls(members, weights=weights)
        _check_used(given, by=router)
        router._calibration = checkpoint.calibration if router.pair == checkpoint.pair else None
        return router


def _several(embedder: Embedder | Sequence[Embedder] | None) -> list[Embedder]:
    if embedder is None:
        return []
    return list(embedder) if isinstance(embedder, Sequence) else [embedder]


def _check_used(given: Sequence[Embedder], *, by: EnsembleRouter) -> None:
    """Refuse an embedder that no member was fitted on."""
    used = [identity_of(embedder) for embedder in by.embedders]
    for embedder in given:
        if identity_of(embedder) not in used:
            raise CheckpointError(
                f"The members were fitted on the embedders {used}, got {identity_of(embedder)!r}. "
                "Leave it out, or train a new ensemble."
            )


def _is_shared(member: Router) -> TypeGuard[EmbeddingRouter]:
    """Return whether a member scores embeddings, which others of the same embedder may share."""
    return (
        isinstance(member, EmbeddingRouter)
        and type(member)._win_rates is EmbeddingRouter._win_rates
    )


def _checked_weights(weights: ArrayLike | None, *, n: int) -> NDArray[np.float64]:
    if weights is None:
        return np.full(n, 1.0 / n)
    try:
        values = np.array(weights, dtype=np.float64)
    except (TypeError, ValueError):
        raise ConfigurationError(f"`weights` must be {n} numbers, got {weights!r}.") from None
    if values.shape != (n,):
        raise ConfigurationError(
            f"`weights` must be one number for each of {n} members, got shape {values.shape}."
        )
    bad = bad_number(values, low=0.0)
    if bad:
        raise ConfigurationError(f"`weights` must be finite and at least 0, got {bad}.")
    total = float(values.sum())
    if not total > 0.0:
        raise ConfigurationError("`weights` must not all be 0: no member would be asked.")
    return values / total


def _common_pair(members: Mapping[str, Router]) -> ModelPair | None:
    first: tuple[str, ModelPair] | None = None
    for name, member in members.items():
        pair = member.pair
        if pair is None:
            continue
        if first is None:
            first = name, pair
        elif pair != first[1]:
            raise ConfigurationError(
                "The members of an ensemble must be fitted for one pair of models: "
                f"{first[0]!r} is for {first[1].strong!r} over {first[1].weak!r}, and {name!r} for "
                f"{pair.strong!r} over {pair.weak!r}. Choose `strong_model` and `weak_model` alike "
                "when loading them, or leave one out."
            )
    return None if first is None else first[1]
