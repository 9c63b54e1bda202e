"""What routers over an embedder share."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from routellm_core.embedders.base import AsyncEmbedder, check_embeddings
from routellm_core.errors import ConfigurationError
from routellm_core.routers.base import Router, check_prompts, check_win_rates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from routellm_core.embedders.base import Embedder
    from routellm_core.types import Calibration, WinRates

__all__ = ["EmbeddingRouter", "check_embedder"]

_CHUNK = 64


class EmbeddingRouter(Router):
    """Score prompts by their embeddings.

    A subclass implements `_score`. If the embedder has an `aembed`, the async methods wait for it
    without a thread.

    Parameters
    ----------
    embedder
        Any object with `embed(texts) -> (n, d)`.
    dimension
        Length d of an embedding.
    calibration
        Win rates of representative prompts.

    Raises
    ------
    ConfigurationError
        If `embedder` has no `embed`.
    """

    def __init__(
        self, embedder: Embedder, *, dimension: int, calibration: Calibration | None = None
    ) -> None:
        self.embedder = check_embedder(embedder, router=self.name)
        self.dimension = dimension
        self._calibration = calibration

    def _win_rates(self, prompts: Sequence[str]) -> WinRates:
        return np.concatenate([self._score(part) for part in self._embedded(prompts)])

    async def araw_win_rates(self, prompts: Sequence[str]) -> WinRates:
        """Return win rates before the scale without blocking the event loop."""
        if not isinstance(self.embedder, AsyncEmbedder):
            return await super().araw_win_rates(prompts)
        from asyncio import to_thread

        checked = check_prompts(prompts)
        if not checked:
            return np.empty(0, dtype=np.float64)
        embeddings = self._checked(await self.embedder.aembed(checked), len(checked))
        if self.inline and len(checked) == 1:
            scores = self._score(embeddings)
        else:
            scores = await to_thread(self.score_embeddings, embeddings)
        return check_win_rates(scores, n=len(checked), name=self.name)

    def score_embeddings(self, embeddings: NDArray[Any]) -> WinRates:
        """Return the win rates of n >= 1 prompts that are embedded already: (n, d) -> (n,)."""
        starts = range(0, len(embeddings), _CHUNK)
        return np.concatenate([self._score(embeddings[i : i + _CHUNK]) for i in starts])

    def _embedded(self, prompts: Sequence[str]) -> list[NDArray[Any]]:
        """Return the prompts' embeddings in parts of at most 64 rows."""
        embeddings = self._checked(self.embedder.embed(prompts), len(prompts))
        return [embeddings[i : i + _CHUNK] for i in range(0, len(embeddings), _CHUNK)]

    def _checked(self, embeddings: Any, n: int) -> NDArray[Any]:
        return check_embeddings(embeddings, n=n, dimension=self.dimension)

    @abstractmethod
    def _score(self, embeddings: NDArray[Any]) -> WinRates:
        """Compute the win rates of 1 <= n <= 64 embeddings: (n, d) -> (n,)."""


def check_embedder(embedder: Any, *, router: str) -> Embedder:
    """Return the embedder, or say what one is.

    Raises
    ------
    ConfigurationError
        If it has no `embed`.
    """
    if not callable(getattr(embedder, "embed", None)):
        raise ConfigurationError(
            f"Router {router!r} needs an `embedder`: an object with `embed(texts) -> (n, d)`, got "
            f"{type(embedder).__name__}."
        )
    checked: Embedder = embedder
    return checked
