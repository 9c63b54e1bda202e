"""Routers that predict how well each of m models will answer."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from routellm_core.data.outcomes import column_of
from routellm_core.embedders.base import identity_of
from routellm_core.embedders.loading import embedder_for
from routellm_core.errors import CheckpointError, ConfigurationError
from routellm_core.routers.base import check_prompts
from routellm_core.routers.embedding import EmbeddingRouter
from routellm_core.types import ModelPair

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from typing_extensions import Self

    from routellm_core.checkpoints import Checkpoint
    from routellm_core.embedders.base import Embedder
    from routellm_core.types import Calibration, WinRates

__all__ = ["QualityRouter", "QualitySettings", "quality_settings"]

QualitySettings = dict[str, Any]
"""The arguments that every quality router takes besides its own."""


class QualityRouter(EmbeddingRouter):
    """Predict each model's quality, and compare two of them.

    With q the predicted qualities in [0, 1], the win rate is (1 + q_strong - q_weak) / 2: where
    answers are right or wrong, the probability that the strong model's is the better one, ties
    half.

    Parameters
    ----------
    models
        m model names.
    pair
        Two of them.
    embedder, dimension, calibration
        See `EmbeddingRouter`.

    Raises
    ------
    UnknownModelError
        If a model of the pair is not among `models`.
    """

    def __init__(
        self,
        embedder: Embedder,
        *,
        dimension: int,
        models: Sequence[str],
        pair: ModelPair,
        calibration: Calibration | None = None,
    ) -> None:
        super().__init__(embedder, dimension=dimension, calibration=calibration)
        self._models, self._pair = tuple(models), pair
        self._columns = [column_of(model, models) for model in (pair.strong, pair.weak)]

    @classmethod
    def default(cls, **options: Any) -> Self:
        """Return the router of these options; without them, say what to do instead.

        Raises
        ------
        ConfigurationError
            If there are no options: no checkpoint is bundled.
        """
        if "embedder" not in options or "models" not in options:
            raise ConfigurationError(
                f"Router {cls.name!r} has no bundled checkpoint. Pass `checkpoint`, or train one "
                f"with `routellm train {cls.name}`."
            )
        return cls(**options)

    @property
    def pair(self) -> ModelPair:
        """The two models whose win rate is returned."""
        return self._pair

    @property
    def models(self) -> tuple[str, ...]:
        """The models whose quality is predicted, in the order of `quality`'s columns."""
        return self._models

    def quality(self, prompts: Sequence[str]) -> NDArray[np.float64]:
        """Return the predicted quality of every model on every prompt: (n, m), in [0, 1].

        Raises
        ------
        PromptError
            If `prompts` is no sequence of strings.
        """
        checked = check_prompts(prompts)
        if not checked:
            return np.empty((0, len(self._models)))
        return np.concatenate([self._quality(part) for part in self._embedded(checked)])

    def qualities(self, prompts: Sequence[str], models: Sequence[str]) -> NDArray[np.float64]:
        """Return the predicted quality of these models on every prompt: (n, m), in [0, 1].

        Raises
        ------
        UnknownModelError
            If the router was not fitted for one.
        """
        return self.quality(prompts)[:, [column_of(model, self._models) for model in models]]

    def known_model(self, name: str) -> str:
        """Return a model's name as the router spells it.

        Raises
        ------
        UnknownModelError
            If the router was not fitted for it.
        """
        return self._models[column_of(name, self._models)]

    def _score(self, embeddings: NDArray[Any]) -> WinRates:
        quality = self._quality(embeddings)
        strong, weak = self._columns
        return 0.5 + 0.5 * (quality[:, strong] - quality[:, weak])

    @abstractmethod
    def _quality(self, embeddings: NDArray[Any]) -> NDArray[np.float64]:
        """Predict the quality of every model: (n, d) -> (n, m), in [0, 1]."""

    def _common(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the checkpoint fields that every quality router has."""
        return {
            "router": self.name,
            "parameters": {"models": list(self._models), **parameters},
            "pair": self._pair,
            "embedder": identity_of(self.embedder),
            "calibration": self._calibration,
        }


def quality_settings(
    checkpoint: Checkpoint,
    *,
    embedder: Embedder | None = None,
    strong_model: str | None = None,
    weak_model: str | None = None,
) -> QualitySettings:
    """Return what a checkpoint says of embedder, models and pair, for a constructor.

    The stored calibration holds for the stored pair only, and is left out for another.

    Raises
    ------
    CheckpointError
        If the checkpoint does not name its models, or records another embedder.
    ConfigurationError
        If it names no pair, and none is given.
    """
    models = checkpoint.parameters.get("models")
    if not (isinstance(models, list) and all(isinstance(model, str) for model in models)):
        raise CheckpointError(f"The checkpoint must list its models, got {models!r}.")
    stored = checkpoint.pair
    strong = strong_model or (stored.strong if stored else None)
    weak = weak_model or (stored.weak if stored else None)
    if strong is None or weak is None:
        raise ConfigurationError(
            f"Choose `strong_model` and `weak_model` among {', '.join(models)}."
        )
    pair = ModelPair(strong, weak)
    return {
        "embedder": embedder_for(checkpoint, embedder),
        "models": models,
        "pair": pair,
        "calibration": checkpoint.calibration if pair == stored else None,
    }
