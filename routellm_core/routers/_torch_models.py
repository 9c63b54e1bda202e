"""Models of transformers: loading them from a folder, feeding them, reading their labels."""

from __future__ import annotations

from hashlib import sha256
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from routellm_core._optional import require
from routellm_core.errors import CheckpointError, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import torch

    from routellm_core.hub import CheckpointFolder
    from routellm_core.types import WinRates

__all__ = [
    "batches_by_length",
    "check_files",
    "encoder_limit",
    "file_checksums",
    "load_pretrained",
    "load_tokenizer",
    "pick_device",
    "pick_dtype",
    "probability_of",
]

_DTYPES = ("float32", "bfloat16", "float16")


def pick_device(device: str | None) -> str:
    """Return the device that was asked for; by default "cuda" where there is one, else "cpu"."""
    if device is not None:
        return device
    found = require("torch", extra="torch")
    return "cuda" if found.cuda.is_available() else "cpu"


def pick_dtype(dtype: str) -> torch.dtype:
    """Return torch's type of that name.

    Raises
    ------
    ConfigurationError
        If it is none of float32, bfloat16 and float16.
    """
    if dtype not in _DTYPES:
        raise ConfigurationError(f"`dtype` must be one of {', '.join(_DTYPES)}, got {dtype!r}.")
    found: torch.dtype = getattr(require("torch", extra="torch"), dtype)
    return found


def load_pretrained(kind: str, folder: CheckpointFolder, **options: Any) -> Any:
    """Load a model of transformers, from safetensors and without running code of the folder.

    Parameters
    ----------
    kind
        Name of an Auto class.
    options
        For `from_pretrained`. The type of the weights belongs here: a model that is converted
        after loading has also its rotary frequencies rounded, which changes the answers.

    Raises
    ------
    CheckpointError
        If the folder holds no such model.
    MissingDependencyError
        If transformers is not installed.
    """
    transformers = require("transformers", extra="torch")
    _check_is_model(folder)
    try:
        return getattr(transformers, kind).from_pretrained(
            folder.path, use_safetensors=True, trust_remote_code=False, local_files_only=True,
            **options,
        )  # fmt: skip
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise CheckpointError(f"{str(folder.path)!r} holds no usable model: {error}") from error


def load_tokenizer(folder: CheckpointFolder, **options: Any) -> Any:
    """Load the tokenizer of a folder.

    Raises
    ------
    CheckpointError
        If the folder holds none.
    """
    transformers = require("transformers", extra="torch")
    try:
        return transformers.AutoTokenizer.from_pretrained(
            folder.path, trust_remote_code=False, local_files_only=True, **options
        )
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"{str(folder.path)!r} holds no usable tokenizer: {error}") from error


def batches_by_length(
    lengths: Sequence[int], *, batch_size: int, equal: bool = False
) -> Iterator[list[int]]:
    """Yield positions in batches of similar or of equal length, so that little or none is padded.

    Examples
    --------
    >>> list(batches_by_length([5, 1, 4, 2], batch_size=2))
    [[1, 3], [2, 0]]
    >>> list(batches_by_length([5, 1, 5, 2], batch_size=2, equal=True))
    [[1], [3], [0, 2]]
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    groups = groupby(order, key=lengths.__getitem__) if equal else [(0, iter(order))]
    for _, group in groups:
        rows = list(group)
        for start in range(0, len(rows), batch_size):
            yield rows[start : start + batch_size]


def encoder_limit(config: Any, tokenizer: Any) -> int:
    """Return how many tokens an encoder reads, specials included."""
    positions = int(getattr(config, "max_position_embeddings", 512) or 512)
    if "roberta" in str(config.model_type):
        positions -= int(config.pad_token_id) + 1  # positions start after the padding's
    return min(positions, int(tokenizer.model_max_length))


def probability_of(labels: slice, logits: torch.Tensor) -> WinRates:
    """Return the softmax probability of some of l labels together, on the CPU: (n, l) -> (n,)."""
    scores = logits.double().cpu().numpy()
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    probability: WinRates = odds[:, labels].sum(axis=1) / odds.sum(axis=1)
    return probability


def _check_is_model(folder: CheckpointFolder) -> None:
    if not folder.has("config.json"):
        raise CheckpointError(
            f"{str(folder.path)!r} is not a usable checkpoint: it has no config.json."
        )
    if not any(folder.path.glob("*.safetensors")):
        raise CheckpointError(
            f"{str(folder.path)!r} has no weights as safetensors. Other formats can run code when "
            "they are read, and are not read."
        )


def check_files(folder: CheckpointFolder, stated: object) -> None:
    """Compare the weights with the checksums that were noted when they were saved.

    Raises
    ------
    CheckpointError
        If a file is missing, was changed, or is not noted.
    """
    if stated != file_checksums(folder.path):
        raise CheckpointError(
            f"{str(folder.path)!r} is not a usable checkpoint: its weights are not those that its "
            "checksums name. It was changed or damaged."
        )


def file_checksums(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file of weights, by name."""
    checksums = {}
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            digest = sha256()
            while block := file.read(2**20):
                digest.update(block)
        checksums[path.name] = digest.hexdigest()
    return checksums
