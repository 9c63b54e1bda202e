"""A small neural network from an embedding to each model's quality."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from routellm_core.checkpoints import Checkpoint
from routellm_core.errors import CheckpointError, ConfigurationError
from routellm_core.routers.quality import QualityRouter, quality_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from typing_extensions import Self

    from routellm_core.embedders.base import Embedder
    from routellm_core.types import Calibration, ModelPair

__all__ = ["Layer", "MLPRouter"]

Layer = tuple["NDArray[np.float32]", "NDArray[np.float32]"]
"""A weight of shape (inputs, outputs) and a bias of shape (outputs,)."""


class MLPRouter(QualityRouter):
    r"""Predict every model's quality by a multilayer perceptron over the embedding.

    With z_0 = e / |e| and z_l = max(0, z_(l-1) W_l + b_l), the qualities are
    sigmoid(z_(L-1) W_L + b_L): one probability for each model, not a choice among them.

    Parameters
    ----------
    layers
        At least one; the last one has m outputs.
    embedder, models, pair, calibration
        See `QualityRouter`.

    Raises
    ------
    ConfigurationError
        If the layers' shapes do not follow one another.

    References
    ----------
    The MLP-Router of Stripelis et al., TensorOpera Router, arXiv:2408.12320, with independent
    outputs in place of its softmax over experts.
    """

    name: ClassVar[str] = "mlp"
    inline: ClassVar[bool] = True

    def __init__(
        self,
        *,
        layers: Sequence[Layer],
        embedder: Embedder,
        models: Sequence[str],
        pair: ModelPair,
        calibration: Calibration | None = None,
    ) -> None:
        _check_shapes(layers, m=len(models))
        super().__init__(
            embedder,
            dimension=layers[0][0].shape[0],
            models=models,
            pair=pair,
            calibration=calibration,
        )
        self._layers = [
            (np.asarray(weight, dtype=np.float32), np.asarray(bias, dtype=np.float32))
            for weight, bias in layers
        ]

    def _quality(self, embeddings: NDArray[Any]) -> NDArray[np.float64]:
        lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
        hidden = (embeddings / np.where(lengths > 0.0, lengths, 1.0)).astype(np.float32)
        for weight, bias in self._layers[:-1]:
            hidden = np.maximum(hidden @ weight + bias, np.float32(0.0))
        weight, bias = self._layers[-1]
        logits = (hidden @ weight + bias).astype(np.float64)
        quality: NDArray[np.float64] = 0.5 + 0.5 * np.tanh(0.5 * logits)
        return quality

    def _to_checkpoint(self) -> Checkpoint:
        tensors = {}
        for number, (weight, bias) in enumerate(self._layers):
            tensors[f"layers.{number}.weight"] = weight
            tensors[f"layers.{number}.bias"] = bias
        return Checkpoint(**self._common({"n_layers": len(self._layers)}), tensors=tensors)

    @classmethod
    def _from_checkpoint(cls, checkpoint: Checkpoint, **options: Any) -> Self:
        settings = quality_settings(checkpoint, **options)
        n_layers = checkpoint.parameters.get("n_layers")
        if type(n_layers) is not int or not 1 <= n_layers <= 100:
            raise CheckpointError(f"`n_layers` must be an integer in [1, 100], got {n_layers!r}.")
        layers = []
        for number in range(n_layers):
            weight = checkpoint.tensor(f"layers.{number}.weight", shape=(None, None))
            bias = checkpoint.tensor(f"layers.{number}.bias", shape=(weight.shape[1],))
            layers.append((weight, bias))
        try:
            return cls(layers=layers, **settings)
        except ConfigurationError as error:
            raise CheckpointError(f"The checkpoint's layers do not fit: {error}") from error


def _check_shapes(layers: Sequence[Layer], *, m: int) -> None:
    shapes = [weight.shape for weight, _ in layers]
    follow = all(left[1] == right[0] for left, right in pairwise(shapes))
    biases = all(bias.shape == (weight.shape[1],) for weight, bias in layers)
    if not (shapes and follow and biases and shapes[-1][1] == m):
        raise ConfigurationError(
            f"The layers' shapes must follow one another and end in {m} outputs, got {shapes}."
        )
