"""Parts without a network: a scripted router, and an embedder that needs no weights."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from routellm_core.errors import ConfigurationError
from routellm_core.routers.base import Router
from routellm_core.types import Calibration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from routellm_core.types import WinRates

__all__ = ["HashingEmbedder", "ScriptedRouter"]

_UNIFORM = Calibration(np.array([0.0, 1.0]), n_prompts=0, source="uniform, for tests")


class ScriptedRouter(Router):
    """Return the win rates that a test says.

    Parameters
    ----------
    win_rates
        Win rate by prompt.
    default
        The win rate of every other prompt. It is passed on unchecked, so that a test can script a
        router's fault with a NaN or a number outside [0, 1].
    error
        Raised instead of any answer.
    """

    name: ClassVar[str] = "scripted"
    inline: ClassVar[bool] = True

    def __init__(
        self,
        win_rates: Mapping[str, float] | None = None,
        *,
        default: float = 0.0,
        error: Exception | None = None,
    ) -> None:
        self.table = dict(win_rates or {})
        self.default_win_rate = default
        self.error = error
        self.prompts: list[str] = []
        """Every prompt that was scored, in order."""

    @property
    def calibration(self) -> Calibration:
        """The uniform distribution: a strong share p means the threshold 1 - p."""
        return _UNIFORM

    def _win_rates(self, prompts: Sequence[str]) -> WinRates:
        self.prompts.extend(prompts)
        if self.error is not None:
            raise self.error
        return np.array([self.table.get(p, self.default_win_rate) for p in prompts])


class HashingEmbedder:
    """Embed texts as normalised counts of hashed words: stateless, seeded, no network.

    Parameters
    ----------
    dimension
        d >= 1, the length of a vector.
    """

    def __init__(self, *, dimension: int = 32) -> None:
        if dimension < 1:
            raise ConfigurationError(f"`dimension` must be at least 1, got {dimension!r}.")
        self.dimension = dimension
        self.identity = f"hashing-{dimension}"

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return a vector of length 1 for each of n texts, of 0 for a blank one: (n, d)."""
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in zip(vectors, texts, strict=True):
            for word in text.lower().split():
                digest = blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()
                number = int.from_bytes(digest, "little")
                row[number % self.dimension] += 1.0 if number >> 63 else -1.0
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return (vectors / np.where(lengths > 0.0, lengths, 1.0)).astype(np.float32)
