"""Another router's win rates, corrected by labels of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from routellm_core._numbers import check_fraction
from routellm_core.checkpoints import Checkpoint, write_checkpoint
from routellm_core.embedders.base import AsyncEmbedder, check_embeddings, identity_of
from routellm_core.embedders.bundled import BundledEmbedder
from routellm_core.embedders.loading import embedder_for
from routellm_core.errors import CheckpointError, ConfigurationError
from routellm_core.routers._correction import Correction, log_lengths
from routellm_core.routers._members import (
    embedders_of,
    load_members,
    named_members,
    replaced_members,
)
from routellm_core.routers.base import Router, check_prompts, check_win_rates
from routellm_core.routers.embedding import EmbeddingRouter, check_embedder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray
    from typing_extensions import Self

    from routellm_core.embedders.base import Embedder
    from routellm_core.hub import CheckpointFolder
    from routellm_core.types import Calibration, ModelPair, WinRates

__all__ = ["AdaptedRouter"]

_PRIOR = "prior"


class AdaptedRouter(Router):
    """Correct another router's win rates by what few labels of one's own say.

    The quality gap that the prior router expects, 2 w - 1, gets a correction that is linear in
    itself, in the prompt's embedding and in the logarithm of its length. The corrected win rate is
    averaged with those of routers that were trained from scratch on the same labels, which count
    more where there are more labels. Without labels the router is its prior.

    Parameters
    ----------
    prior
        The router that is corrected.
    correction
        What the labels add.
    embedder
        What the correction was fitted on. Where the prior was fitted on the same one, a prompt is
        embedded once.
    pair
        The models that the labels compare.
    scratch
        Routers over the same embedder, by name, that were trained from scratch on the labels. A
        name has letters, digits, ".", "_" and "-"; it is not "prior".
    scratch_share
        The weight of their mean, in [0, 1]; the corrected prior has the rest.
    calibration
        Win rates of representative prompts.

    Raises
    ------
    ConfigurationError
        If `prior` is no router, `embedder` has no `embed`, a router of `scratch` is not over it or
        is for another pair, or the share is outside [0, 1], or above 0 without such a router.
    """

    name: ClassVar[str] = "adapted"

    def __init__(
        self,
        *,
        prior: Router,
        correction: Correction,
        embedder: Embedder,
        pair: ModelPair,
        scratch: Mapping[str, Router] | None = None,
        scratch_share: float = 0.0,
        calibration: Calibration | None = None,
    ) -> None:
        if not isinstance(prior, Router):
            raise ConfigurationError(f"`prior` must be a router, got {type(prior).__name__}.")
        self.embedder = check_embedder(embedder, router=self.name)
        self.prior = prior
        self.correction = correction
        self._pair, self._calibration = pair, calibration
        self._scratch = _checked_scratch(
            scratch or {}, embedder=self.embedder, dimension=correction.dimension, pair=pair
        )
        check_fraction(scratch_share, name="scratch_share", within="[0, 1]")
        if scratch_share > 0.0 and not self._scratch:
            raise ConfigurationError(
                f"`scratch_share` must be 0 without a router in `scratch`, got {scratch_share!r}."
            )
        self.scratch_share = scratch_share

    @classmethod
    def default(cls, **options: Any) -> Self:
        """Return the router of these options; without them, say what to do instead.

        Raises
        ------
        ConfigurationError
            If there are no options: no checkpoint is bundled.
        """
        if not options:
            raise ConfigurationError(
                f"Router {cls.name!r} has no bundled checkpoint. Pass `checkpoint`, or make one "
                "with `routellm adapt`."
            )
        return cls(**options)

    @property
    def embedders(self) -> tuple[Embedder, ...]:
        """Correction's and prior's embedders, one for each identity; `load` takes them."""
        found = embedders_of([self.prior])
        found[identity_of(self.embedder) or id(self.embedder)] = self.embedder
        return tuple(found.values())

    @property
    def scratch(self) -> Mapping[str, EmbeddingRouter]:
        """The routers that were trained from scratch on the same labels, by name."""
        return MappingProxyType(self._scratch)

    @property
    def pair(self) -> ModelPair:
        """The models that the labels compare."""
        return self._pair

    def score_known(
        self, prompts: Sequence[str], embeddings: NDArray[Any], prior: WinRates
    ) -> WinRates:
        """Return the win rates of n >= 1 prompts whose embeddings and prior win rates are known.

        Parameters
        ----------
        prompts
            n texts: their lengths count.
        embeddings
            Shape (n, d).
        prior
            Shape (n,): see `prior_win_rates`.
        """
        rates = self.correction.win_rates(prior, log_lengths(prompts), embeddings)
        if not self.scratch_share:
            return rates
        scores = [router.score_embeddings(embeddings) for router in self._scratch.values()]
        mean = np.mean(scores, axis=0)
        averaged: WinRates = np.clip(rates + self.scratch_share * (mean - rates), 0.0, 1.0)
        return averaged

    def prior_win_rates(self, prompts: Sequence[str], embeddings: NDArray[Any]) -> WinRates:
        """Return the prior's win rates of n >= 1 prompts that are embedded already: (n,)."""
        prior = self.prior
        if isinstance(prior, EmbeddingRouter) and self._shares_embeddings:
            scores = prior.score_embeddings(embeddings)
            return check_win_rates(scores, n=len(prompts), name=prior.name)
        return prior.raw_win_rates(prompts)

    async def araw_win_rates(self, prompts: Sequence[str]) -> WinRates:
        """Return win rates before the scale without blocking the event loop."""
        from asyncio import to_thread

        checked = check_prompts(prompts)
        if not checked:
            return np.empty(0, dtype=np.float64)
        embedder, prior = self.embedder, self.prior
        if prior.inline and isinstance(embedder, BundledEmbedder) and len(checked) == 1:
            return self.raw_win_rates(checked)
        if isinstance(embedder, AsyncEmbedder):
            embeddings = self._checked(await embedder.aembed(checked), len(checked))
        else:
            embeddings = await to_thread(self._embedded, checked)
        if self._shares_embeddings:
            rates = await to_thread(self.prior_win_rates, checked, embeddings)
        else:
            rates = await prior.araw_win_rates(checked)
        scores = await to_thread(self.score_known, checked, embeddings, rates)
        return check_win_rates(scores, n=len(checked), name=self.name)

    def save(self, folder: str | Path) -> Path:
        """Write the router and, in folders below, its prior and the others; return the folder.

        Raises
        ------
        CheckpointError
            If the folder holds something that is not a checkpoint.
        ConfigurationError
            If one of them cannot be saved.
        """
        with replaced_members({_PRIOR: self.prior, **self._scratch}, folder) as saved:
            return write_checkpoint(self._with_training(self._checkpoint(saved)), folder)

    @property
    def _shares_embeddings(self) -> bool:
        """Whether the prior takes the same embeddings."""
        prior = self.prior
        if not isinstance(prior, EmbeddingRouter):
            return False
        own = type(prior)._win_rates is EmbeddingRouter._win_rates
        return own and _same_embedder(prior.embedder, self.embedder)

    def _win_rates(self, prompts: Sequence[str]) -> WinRates:
        embeddings = self._embedded(prompts)
        return self.score_known(prompts, embeddings, self.prior_win_rates(prompts, embeddings))

    def _embedded(self, prompts: Sequence[str]) -> NDArray[Any]:
        return self._checked(self.embedder.embed(prompts), len(prompts))

    def _checked(self, embeddings: Any, n: int) -> NDArray[Any]:
        return check_embeddings(embeddings, n=n, dimension=self.correction.dimension)

    def _checkpoint(self, saved: list[dict[str, str]]) -> Checkpoint:
        known = [identity_of(embedder) for embedder in self.embedders]
        return Checkpoint(
            router=self.name,
            parameters={
                **self.correction.parameters(),
                "correction_embedder": identity_of(self.embedder),
                "scratch_share": self.scratch_share,
                "members": saved,
            },
            tensors=self.correction.tensors(),
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
    ) -> Self:
        """Read the prior and the others, and with them the router.

        Parameters
        ----------
        embedder
            One or several: correction and prior take the one of the identity that they were fitted
            on, and load that themselves where none has it.
        """
        if checkpoint.pair is None:
            raise CheckpointError("The checkpoint must name its pair of models.")
        given = embedder if isinstance(embedder, Sequence) else [embedder] if embedder else []
        members = load_members(
            members_in, checkpoint.parameters.get("members"), embedders=given, options={}
        )
        if _PRIOR not in members:
            raise CheckpointError(f"The checkpoint must hold its prior, got {sorted(members)}.")
        embedder = _own_embedder(checkpoint, given, members)
        try:
            router = cls(
                prior=members.pop(_PRIOR),
                correction=Correction.from_checkpoint(checkpoint),
                embedder=embedder,
                pair=checkpoint.pair,
                scratch=members,
                scratch_share=_share(checkpoint),
                calibration=checkpoint.calibration,
            )
        except ConfigurationError as error:
            raise CheckpointError(f"The checkpoint's routers do not fit: {error}") from error
        used = [identity_of(each) for each in router.embedders]
        for each in given:
            if identity_of(each) not in used:
                checkpoint.check_embedder(identity_of(each) or "one without an `identity`")
        return router


def _same_embedder(one: Embedder, other: Embedder) -> bool:
    known = identity_of(one)
    return one is other or (known is not None and known == identity_of(other))


def _checked_scratch(
    routers: Mapping[str, Router], *, embedder: Embedder, dimension: int, pair: ModelPair
) -> dict[str, EmbeddingRouter]:
    found: dict[str, EmbeddingRouter] = {}
    for name, router in (named_members(routers) if routers else {}).items():
        if (
            name == _PRIOR
            or not isinstance(router, EmbeddingRouter)
            or not _same_embedder(router.embedder, embedder)
            or router.dimension != dimension
        ):
            raise ConfigurationError(
                f"Router {name!r} of `scratch` must be one over the embedder of the correction, "
                f"and not be called {_PRIOR!r}, got {type(router).__name__}."
            )
        if router.pair != pair:
            raise ConfigurationError(
                f"Router {name!r} of `scratch` must be for {pair.strong!r} over {pair.weak!r}, got "
                f"{router.pair}."
            )
        found[name] = router
    return found


def _share(checkpoint: Checkpoint) -> float:
    """Return the share of the routers from scratch; 0 of checkpoints that state none."""
    share = checkpoint.parameters.get("scratch_share", 0.0)
    if isinstance(share, bool) or not isinstance(share, (int, float)):
        raise CheckpointError(f"Parameter `scratch_share` must be a number, got {share!r}.")
    return float(share)


def _own_embedder(
    checkpoint: Checkpoint, given: Sequence[Embedder], members: Mapping[str, Router]
) -> Embedder:
    """Return the correction's embedder: a given one, a member's, or one made from its name."""
    recorded = checkpoint.parameters.get("correction_embedder")
    if recorded is not None and not isinstance(recorded, str):
        raise CheckpointError(
            f"Parameter `correction_embedder` must be a name or null, got {recorded!r}."
        )
    known = [*given, *embedders_of(list(members.values())).values()]
    fits = [each for each in known if identity_of(each) == recorded]
    return embedder_for(replace(checkpoint, embedder=recorded), next(iter(fits), None))
