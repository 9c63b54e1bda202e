"""The one base class of all routers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from routellm_core._numbers import bad_number
from routellm_core.checkpoints import Checkpoint, read_checkpoint, write_checkpoint
from routellm_core.errors import CheckpointError, ConfigurationError, PromptError, RouterError
from routellm_core.hub import find_checkpoint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from huggingface_hub import HfApi
    from numpy.typing import NDArray
    from typing_extensions import Self

    from routellm_core.hub import CheckpointFolder
    from routellm_core.types import Calibration, ModelPair, Scale, WinRates

__all__ = ["Router", "check_prompts", "check_win_rates"]


class Router(ABC):
    """Score how much a prompt needs the strong model.

    A subclass implements `_win_rates`, and `_to_checkpoint` and `_from_checkpoint` if it has
    something to save. A router is a pure function of the prompt: the same prompt has the same win
    rate alone or in a batch, today or tomorrow, in any thread.
    """

    name: ClassVar[str]
    """The name under which the router is registered."""

    inline: ClassVar[bool] = False
    """Whether one prompt is scored so fast (well under 1 ms) that a thread would cost more."""

    checkpoint_id: str | None = None
    """The beginning of the checksum of the checkpoint that was loaded; None if none was."""

    _calibration: Calibration | None = None

    training: Mapping[str, Any] = MappingProxyType({})
    """Provenance and measured figures, as the checkpoint that was loaded states them."""

    @property
    def pair(self) -> ModelPair | None:
        """The models that the router was fitted for; None when it fits any pair."""
        return None

    @property
    def calibration(self) -> Calibration | None:
        """The stored win rates of representative prompts; None when there are none.

        It is asked for at every call: a router that overrides this should make it once.
        """
        return self._calibration

    def set_calibration(self, calibration: Calibration | None) -> None:
        """Put another calibration, and with it its scale, in the place of the stored one."""
        self._calibration = calibration

    @property
    def scale(self) -> Scale:
        """What win rates and thresholds are.

        "percentile": the share of the calibration's prompts that need the strong model less.
        "probability": the probability that the strong model's answer is the better one, ties
        counting half, as the router was fitted to it.
        """
        calibration = self.calibration
        return "probability" if calibration is None or calibration.scale is None else "percentile"

    def win_rates(self, prompts: Sequence[str]) -> WinRates:
        """Return the win rate of every prompt, on the router's scale.

        Parameters
        ----------
        prompts
            n prompts of any length; the empty string is a prompt. Not mutated.

        Returns
        -------
        Shape (n,), float64, finite, in [0, 1]: what thresholds are compared with; see `scale`.

        Raises
        ------
        PromptError
            If `prompts` is one string, or holds anything but strings.
        RouterError
            If the router broke its contract: another shape, NaN, or a number outside [0, 1].
        """
        return self.scaled(self.raw_win_rates(prompts))

    def raw_win_rates(self, prompts: Sequence[str]) -> WinRates:
        """Return win rates before the scale: probabilities, as `win_rates` takes and checks them.

        Shape (n,), float64, finite, in [0, 1]: the probability that the strong model's answer is
        the better one, ties counting half.
        """
        checked = check_prompts(prompts)
        if not checked:
            return np.empty(0, dtype=np.float64)
        return check_win_rates(self._win_rates(checked), n=len(checked), name=self.name)

    def scaled(self, raw: WinRates) -> WinRates:
        """Return raw win rates on the router's scale: (n,) -> (n,), in the same order."""
        calibration = self.calibration
        if calibration is None or calibration.scale is None:
            return raw
        return np.interp(raw, calibration.scale[:, 0], calibration.scale[:, 1])

    def win_rate(self, prompt: str) -> float:
        """Return the win rate of one prompt, as `win_rates` does for many."""
        return float(self.win_rates((prompt,))[0])

    def qualities(self, prompts: Sequence[str], models: Sequence[str]) -> NDArray[np.float64]:
        """Return the expected quality of each model on every prompt.

        Parameters
        ----------
        prompts
            n prompts.
        models
            m names, as this router's training data spell them.

        Returns
        -------
        Shape (n, m), float64, in [0, 1], in the order of `models`. Of the router's own pair, the
        win rate w stands for the strong model and 1 - w for the weak one; routers that tell more
        models apart return what they expect of each.

        Raises
        ------
        ConfigurationError
            If the router tells no other models apart than those of its pair.
        """
        pair = self.pair
        if pair is None or {*models} != {pair.strong, pair.weak} or len(models) != 2:
            known = "" if pair is None else f" It was fitted for {pair.strong!r} and {pair.weak!r}."
            raise ConfigurationError(
                f"Router {self.name!r} compares two models and cannot rate {list(models)!r}."
                f"{known} For more models, train 'knn', 'mlp' or 'cluster' on their outcomes, or "
                "use 'mf'."
            )
        win_rates = self.raw_win_rates(prompts)
        columns = {pair.strong: win_rates, pair.weak: 1.0 - win_rates}
        return np.stack([columns[model] for model in models], axis=1)

    async def awin_rates(self, prompts: Sequence[str]) -> WinRates:
        """Return the win rates without blocking the event loop.

        The work moves to a thread, unless there is so little of it that it is done at once.
        """
        return self.scaled(await self.araw_win_rates(prompts))

    async def araw_win_rates(self, prompts: Sequence[str]) -> WinRates:
        """Return win rates before the scale without blocking the event loop."""
        if self.inline and len(prompts) <= 1:
            return self.raw_win_rates(prompts)
        from asyncio import to_thread

        return await to_thread(self.raw_win_rates, prompts)

    async def awin_rate(self, prompt: str) -> float:
        """Return the win rate of one prompt without blocking the event loop."""
        return float((await self.awin_rates((prompt,)))[0])

    def save(self, folder: str | Path) -> Path:
        """Write the router as a checkpoint folder and return the folder.

        Raises
        ------
        CheckpointError
            If the folder holds something that is not a checkpoint.
        ConfigurationError
            If this router cannot be saved.
        """
        return write_checkpoint(self._with_training(self._to_checkpoint()), folder)

    @classmethod
    def load(cls, source: str | Path, *, revision: str | None = None, **options: Any) -> Self:
        """Read a router from a checkpoint folder, or from the Hugging Face Hub.

        Parameters
        ----------
        source
            The folder that `save` wrote, or "owner/name" on the Hub.
        revision
            A branch, a tag or a commit on the Hub.
        options
            What this router's checkpoints leave open; see the class.

        Raises
        ------
        CheckpointError
            If the checkpoint is missing, damaged, unsafe, or another router's.
        """
        return cls._from_folder(find_checkpoint(source, revision=revision), **options)

    def push_to_hub(
        self, repository: str, *, private: bool = True, api: HfApi | None = None
    ) -> str:
        """Upload the router and a model card to the Hugging Face Hub, and return the commit's URL.

        See `routellm_core.routers.publishing.push_to_hub`.
        """
        from routellm_core.routers.publishing import push_to_hub

        return push_to_hub(self, repository, private=private, api=api)

    @classmethod
    def _from_folder(cls, folder: CheckpointFolder, **options: Any) -> Self:
        checkpoint = read_checkpoint(folder.path, within=folder.within)
        if checkpoint.router != cls.name:
            raise CheckpointError(
                f"{str(folder.path)!r} is a checkpoint of router {checkpoint.router!r}, not of "
                f"{cls.name!r}. Load it with `load_router({checkpoint.router!r}, checkpoint=...)`."
            )
        router = cls._from_checkpoint(checkpoint, **options)
        router.checkpoint_id = None if checkpoint.checksum is None else checkpoint.checksum[:16]
        router.training = dict(checkpoint.training)
        return router

    @classmethod
    def default(cls, **options: Any) -> Self:
        """Return the router that a bare name means: constructed, or from bundled weights."""
        return cls(**options)

    @abstractmethod
    def _win_rates(self, prompts: Sequence[str]) -> WinRates:
        """Compute the win rates of n >= 1 checked prompts: shape (n,)."""

    def _with_training(self, checkpoint: Checkpoint) -> Checkpoint:
        """Return what is written, with the training record of the checkpoint that was loaded."""
        return replace(checkpoint, training=dict(self.training))

    def _to_checkpoint(self) -> Checkpoint:
        raise ConfigurationError(f"A {self.name!r} router cannot be saved.")

    @classmethod
    def _from_checkpoint(cls, checkpoint: Checkpoint, **options: Any) -> Self:  # noqa: ARG003
        raise ConfigurationError(f"A {cls.name!r} router cannot be loaded from a checkpoint.")


def check_prompts(prompts: Sequence[str]) -> Sequence[str]:
    """Return the prompts as a list or a tuple, after a look at each.

    Raises
    ------
    PromptError
        If they are no sequence of strings.
    """
    if isinstance(prompts, str):
        raise PromptError(
            "`prompts` must be a sequence of strings, got one string. Use `win_rate(prompt)`."
        )
    if not isinstance(prompts, (list, tuple)):
        try:
            prompts = tuple(prompts)
        except TypeError:
            raise PromptError(
                f"`prompts` must be a sequence of strings, got {type(prompts).__name__}."
            ) from None
    for index, prompt in enumerate(prompts):
        if not isinstance(prompt, str):
            raise PromptError(
                f"Every prompt must be a string, got {type(prompt).__name__} at index {index}."
            )
    return prompts


def check_win_rates(values: WinRates, *, n: int, name: str) -> WinRates:
    """Return the win rates as float64, after a look at each.

    Raises
    ------
    RouterError
        If they are not n numbers in [0, 1].
    """
    try:
        win_rates = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise RouterError(f"Router {name!r} did not return numbers: {error}") from error
    if win_rates.shape != (n,):
        raise RouterError(
            f"Router {name!r} must return win rates of shape ({n},), got shape {win_rates.shape}."
        )
    # Written so that NaN fails it.
    if not (win_rates.min() >= 0.0 and win_rates.max() <= 1.0):
        bad = bad_number(win_rates, low=0.0, high=1.0)
        raise RouterError(f"Router {name!r} must return win rates in [0, 1], got {bad}.")
    return win_rates
