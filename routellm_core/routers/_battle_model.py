"""Which of two models wins, as arrays: the weights of an `mf` router fitted to battles."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from routellm_core._numbers import bad_number
from routellm_core.errors import CheckpointError, ConfigurationError
from routellm_core.types import ModelPair

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from routellm_core.checkpoints import Checkpoint
    from routellm_core.hub import CheckpointFolder

__all__ = [
    "PUBLISHED_EMBEDDER",
    "PUBLISHED_MODELS",
    "PUBLISHED_PAIR",
    "BattleModel",
    "is_published",
    "read_published",
]

_MAX_BYTES = 2**30

PUBLISHED_EMBEDDER = "litellm:text-embedding-3-small"
"""What RouteLLM's published checkpoints were fitted on."""

PUBLISHED_PAIR = ModelPair(strong="gpt-4-1106-preview", weak="mixtral-8x7b-instruct-v0.1")
"""The pair of RouteLLM's published routers."""

PUBLISHED_MODELS: tuple[str, ...] = (
    "RWKV-4-Raven-14B", "alpaca-13b", "chatglm-6b", "chatglm2-6b", "chatglm3-6b", "claude-1",
    "claude-2.0", "claude-2.1", "claude-instant-1", "codellama-34b-instruct",
    "deepseek-llm-67b-chat", "dolly-v2-12b", "dolphin-2.2.1-mistral-7b", "falcon-180b-chat",
    "fastchat-t5-3b", "gemini-pro", "gemini-pro-dev-api", "gpt-3.5-turbo-0125",
    "gpt-3.5-turbo-0314", "gpt-3.5-turbo-0613", "gpt-3.5-turbo-1106", "gpt-4-0125-preview",
    "gpt-4-0314", "gpt-4-0613", "gpt-4-1106-preview", "gpt4all-13b-snoozy", "guanaco-33b",
    "koala-13b", "llama-13b", "llama-2-13b-chat", "llama-2-70b-chat", "llama-2-7b-chat",
    "llama2-70b-steerlm-chat", "mistral-7b-instruct", "mistral-7b-instruct-v0.2",
    "mistral-medium", "mixtral-8x7b-instruct-v0.1", "mpt-30b-chat", "mpt-7b-chat",
    "nous-hermes-2-mixtral-8x7b-dpo", "oasst-pythia-12b", "openchat-3.5", "openchat-3.5-0106",
    "openhermes-2.5-mistral-7b", "palm-2", "pplx-70b-online", "pplx-7b-online", "qwen-14b-chat",
    "qwen1.5-4b-chat", "qwen1.5-72b-chat", "qwen1.5-7b-chat", "solar-10.7b-instruct-v1.0",
    "stablelm-tuned-alpha-7b", "starling-lm-7b-alpha", "stripedhyena-nous-7b",
    "tulu-2-dpo-70b", "vicuna-13b", "vicuna-33b", "vicuna-7b", "wizardlm-13b", "wizardlm-70b",
    "yi-34b-chat", "zephyr-7b-alpha", "zephyr-7b-beta",
)  # fmt: skip
"""The models of RouteLLM's published checkpoints, in the order of their rows."""


@dataclass(frozen=True, slots=True, eq=False)
class BattleModel:
    """Predict who wins a battle from the prompt's embedding.

    P(i beats j | x) = logistic(s_i - s_j), where s_i = eases[i] + abilities[i] . demands(x) and
    demands(x) = e(x) @ projection. For one pair this is one dot product with e(x).

    Parameters
    ----------
    models
        m names.
    projection
        Shape (d, k).
    abilities
        Shape (m, k).
    eases
        Shape (m,): how well a model does whatever the prompt. Zeros in RouteLLM's format.
    """

    models: tuple[str, ...]
    projection: NDArray[np.float32]
    abilities: NDArray[np.float32]
    eases: NDArray[np.float32]

    @property
    def dimension(self) -> int:
        """Length d of an embedding."""
        return int(self.projection.shape[0])

    def demands(self, embeddings: NDArray[Any]) -> NDArray[np.float32]:
        """Return what prompts ask of a model: (n, d) -> (n, k)."""
        demands: NDArray[np.float32] = np.asarray(embeddings, dtype=np.float32) @ self.projection
        return demands

    def pair_factors(self, strong: int, weak: int) -> tuple[NDArray[np.float64], float]:
        """Return what is left of the factors for one pair: a vector (d,) and a number."""
        difference = self.abilities[strong].astype(np.float64) - self.abilities[weak]
        vector: NDArray[np.float64] = self.projection.astype(np.float64) @ difference
        return vector, float(self.eases[strong]) - float(self.eases[weak])

    def pair_win_rates(
        self, embeddings: NDArray[Any], factors: tuple[NDArray[np.float64], float]
    ) -> NDArray[np.float64]:
        """Return the strong model's probability of winning: (n, d) -> (n,)."""
        vector, ease = factors
        return _logistic(embeddings @ vector + ease)

    def win_rates_of(
        self, demands: NDArray[np.float32], *, strong: int, weak: int
    ) -> NDArray[np.float64]:
        """Return a pair's win rates from demands: (n, k) -> (n,)."""
        difference = self.abilities[strong].astype(np.float64) - self.abilities[weak]
        ease = float(self.eases[strong]) - float(self.eases[weak])
        return _logistic(demands @ difference + ease)

    def quality(self, demands: NDArray[np.float32]) -> NDArray[np.float64]:
        """Refuse: battles say which answer is better, not how good it is.

        Raises
        ------
        ConfigurationError
            Always.
        """
        del demands
        raise ConfigurationError(
            "These `mf` weights were fitted to battles, which compare models and do not grade them:"
            " they have no `quality`. Fit them to outcomes instead."
        )

    def parameters(self) -> dict[str, Any]:
        """Return the scalar settings as a checkpoint names them."""
        return {"form": "battles", "models": list(self.models)}

    def tensors(self) -> dict[str, NDArray[np.float32]]:
        """Return the arrays as a checkpoint names them."""
        return {
            "projection": self.projection,
            "abilities": self.abilities,
            "eases": self.eases,
        }

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint, models: tuple[str, ...]) -> BattleModel:
        """Read the arrays of a checkpoint and check that they fit together.

        Raises
        ------
        CheckpointError
            If one is missing or has another shape.
        """
        projection = checkpoint.tensor("projection", shape=(None, None))
        abilities = checkpoint.tensor("abilities", shape=(len(models), projection.shape[1]))
        return cls(models, projection, abilities, checkpoint.tensor("eases", shape=(len(models),)))


def is_published(folder: CheckpointFolder) -> bool:
    """Say whether a folder holds RouteLLM's published format rather than this project's."""
    if not folder.has("config.json"):
        return False
    config = _config(folder)
    return isinstance(config, dict) and "format" not in config and "num_models" in config


def read_published(folder: CheckpointFolder) -> BattleModel:
    """Read RouteLLM's published format.

    There the score of model i is classifier . (P[i] / |P[i]| * text_proj e), which is linear in
    the embedding e: the model's row and the classifier are multiplied once, here.

    Raises
    ------
    CheckpointError
        If a tensor is missing, of a wrong shape or not finite, or the size is not plausible.
    """
    tensors = _tensors(folder)
    config = _config(folder)
    rows = _matrix(tensors, "P.weight")
    classifier = _matrix(tensors, "classifier.0.weight", "classifier.weight")
    m, k = rows.shape
    if config.get("num_models") != m or m > len(PUBLISHED_MODELS):
        raise CheckpointError(
            f"Tensor 'P.weight' must have a row for each of {config.get('num_models')!r} models, "
            f"and at most {len(PUBLISHED_MODELS)}, got {m}."
        )
    if config.get("use_proj", True):
        projection = _matrix(tensors, "text_proj.0.weight", "text_proj.weight").T
    else:
        projection = np.eye(k)
    if classifier.shape != (1, k) or projection.shape[1] != k:
        raise CheckpointError(
            f"The tensors must share the dimension {k} of 'P.weight', got a classifier of shape "
            f"{classifier.shape} and a projection of shape {projection.T.shape}."
        )
    lengths = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    abilities = rows / lengths * classifier
    return BattleModel(
        PUBLISHED_MODELS[:m],
        projection.astype(np.float32),
        abilities.astype(np.float32),
        np.zeros(m, dtype=np.float32),
    )


def _logistic(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    values: NDArray[np.float64] = 0.5 + 0.5 * np.tanh(0.5 * logits)
    return values


def _config(folder: CheckpointFolder) -> Any:
    try:
        return json.loads(folder.read_text("config.json"))
    except (ValueError, RecursionError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{str(folder.path)!r} has a config.json that is no JSON.") from error


def _tensors(folder: CheckpointFolder) -> dict[str, NDArray[Any]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    blob = folder.read_bytes("model.safetensors", limit=_MAX_BYTES)
    try:
        return dict(load(blob))
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise CheckpointError(f"{str(folder.path)!r} has no readable tensors: {error}") from error


def _matrix(tensors: dict[str, NDArray[Any]], *names: str) -> NDArray[np.float64]:
    for name in names:
        if name in tensors:
            array: NDArray[np.float64] = tensors[name].astype(np.float64)
            if array.ndim != 2:
                raise CheckpointError(f"Tensor {name!r} must be a matrix, got shape {array.shape}.")
            bad = bad_number(array)
            if bad:
                raise CheckpointError(f"Tensor {name!r} must hold finite numbers, got {bad}.")
            return array
    wanted = " or ".join(map(repr, names))
    raise CheckpointError(f"The checkpoint has no tensor {wanted}. It holds: {sorted(tensors)}.")
