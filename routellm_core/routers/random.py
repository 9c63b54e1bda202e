"""The baseline: a coin for every prompt."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from routellm_core.checkpoints import Checkpoint
from routellm_core.errors import CheckpointError, ConfigurationError
from routellm_core.routers.base import Router
from routellm_core.types import Calibration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Self

    from routellm_core.types import Scale, WinRates

__all__ = ["RandomRouter"]

_UNIFORM = Calibration(np.array([0.0, 1.0]), n_prompts=0, source="uniform by construction")


class RandomRouter(Router):
    """Draw every prompt's win rate uniformly from [0, 1).

    The draw is a keyed hash of the prompt: the same prompt and seed give the same win rate in any
    order, thread or process, and different seeds give independent ones. What a router must beat.

    Parameters
    ----------
    seed
        In [0, 2**64).

    Raises
    ------
    ConfigurationError
        If `seed` is not such an integer.

    Examples
    --------
    >>> router = RandomRouter(seed=1)
    >>> router.win_rate("hi") == float(router.win_rates(["other", "hi"])[1])
    True
    """

    name: ClassVar[str] = "random"
    inline: ClassVar[bool] = True

    def __init__(self, *, seed: int = 0) -> None:
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**64:
            raise ConfigurationError(f"`seed` must be an integer in [0, 2**64), got {seed!r}.")
        self.seed = seed

    @property
    def calibration(self) -> Calibration:
        """The uniform distribution, which needs no prompts."""
        return _UNIFORM

    @property
    def scale(self) -> Scale:
        """Percentiles, by construction."""
        return "percentile"

    def _win_rates(self, prompts: Sequence[str]) -> WinRates:
        key = self.seed.to_bytes(8, "little")
        digests = b"".join(
            blake2b(prompt.encode("utf-8", "surrogatepass"), digest_size=8, key=key).digest()
            for prompt in prompts
        )
        bits = np.frombuffer(digests, dtype="<u8").astype(np.uint64)
        # The upper 53 bits fill a float64's mantissa: every value is k / 2**53, below 1.
        win_rates: WinRates = (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53
        return win_rates

    def _to_checkpoint(self) -> Checkpoint:
        return Checkpoint(router=self.name, parameters={"seed": self.seed})

    @classmethod
    def _from_checkpoint(cls, checkpoint: Checkpoint, **options: Any) -> Self:
        if options:
            raise ConfigurationError(f"A random router takes no options, got {sorted(options)}.")
        try:
            return cls(seed=checkpoint.parameters["seed"])
        except (KeyError, ConfigurationError) as error:
            raise CheckpointError(f"The checkpoint holds no usable seed: {error}") from error
