"""Checkpoint folders: `config.json`, `model.safetensors`, and a checksum for every byte.

Reading runs no code from the folder, follows no path out of it, and allocates no more than the
files themselves take. `config.json` states the size and SHA-256 of the tensor file and, under
"checksum", the SHA-256 of its own canonical JSON.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from routellm_core._numbers import bad_number
from routellm_core._scales import stored_calibration
from routellm_core.errors import CheckpointError, CheckpointNotFoundError, ConfigurationError
from routellm_core.types import Calibration, ModelPair

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = [
    "FORMAT",
    "FORMAT_VERSION",
    "NOTES",
    "Checkpoint",
    "check_target",
    "notes_folder",
    "read_checkpoint",
    "write_checkpoint",
]

FORMAT = "routellm-checkpoint"
NOTES = "routellm"
"""The folder, inside a folder that holds a model of transformers, that holds the checkpoint."""

FORMAT_VERSION = 1

_CONFIG = "config.json"
_TENSORS = "model.safetensors"
_OLDER = " (`BundledEmbedder(read_checkpoint(FOLDER))`, its release's `embedders/tables` as FOLDER)"
_MAX_CONFIG_BYTES = 4 * 2**20
_MAX_TENSOR_BYTES = 16 * 2**30
_CALIBRATION = ("quantiles", "quality_floors", "tokens", "probability", "scale", "better")
# What a write that was killed leaves behind.
_UNFINISHED = re.compile(r"\.(?:config\.json|model\.safetensors|members)\.\w+")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_KEYS = {
    "format",
    "format_version",
    "router",
    "pair",
    "embedder",
    "parameters",
    "calibration",
    "training",
    "tensors",
    "checksum",
}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A saved router, in memory.

    Parameters
    ----------
    router
        Registered name of the router that wrote it.
    parameters
        The router's scalar settings, JSON values only.
    tensors
        The router's arrays by name. Names starting with "calibration." are reserved.
    pair
        The models that the router was fitted for; None when it fits any pair.
    embedder
        Identity of the embedder that the weights were fitted on; None when there is none.
    calibration
        Win rates of representative prompts.
    training
        Provenance and measured figures, JSON values only: data, licence, command, seed, metrics.
    checksum
        SHA-256 that names exactly these settings and tensors; None unless read from a folder.
    """

    router: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    tensors: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    pair: ModelPair | None = None
    embedder: str | None = None
    calibration: Calibration | None = None
    training: Mapping[str, Any] = field(default_factory=dict)
    checksum: str | None = field(default=None, compare=False)

    def tensor(self, name: str, *, shape: tuple[int | None, ...]) -> NDArray[Any]:
        """Return a tensor after checking its shape, where None stands for any length.

        Raises
        ------
        CheckpointError
            If the tensor is missing, has another shape, or holds a NaN or an infinity.
        """
        array = self.tensors.get(name)
        if array is None:
            raise CheckpointError(
                f"The checkpoint has no tensor {name!r}. It holds: {sorted(self.tensors)}."
            )
        expected = tuple("any" if length is None else length for length in shape)
        if len(array.shape) != len(shape) or any(
            want not in (None, got) for want, got in zip(shape, array.shape, strict=True)
        ):
            raise CheckpointError(
                f"Tensor {name!r} must have shape {expected}, got {tuple(array.shape)}."
            )
        bad = bad_number(array) if array.dtype.kind == "f" else ""
        if bad:
            raise CheckpointError(f"Tensor {name!r} holds a NaN or an infinity: {bad}.")
        return array

    def check_embedder(self, identity: str) -> None:
        """Refuse an embedder other than the one that the weights were fitted on.

        Raises
        ------
        CheckpointError
            If the identities differ.
        """
        if self.embedder != identity:
            ours = identity.startswith("bundled-") and str(self.embedder).startswith("bundled-")
            raise CheckpointError(
                f"The checkpoint was fitted on embedder {self.embedder!r}, got {identity!r}. Pass "
                f"the embedder it was fitted on{_OLDER if ours else ''}, or train a new checkpoint."
            )


def write_checkpoint(checkpoint: Checkpoint, folder: str | Path) -> Path:
    """Write a checkpoint folder and return it.

    A checkpoint that is there already is replaced, file by file and each at once; the
    configuration comes last, so that an interrupted write is noticed when it is read.

    Raises
    ------
    CheckpointError
        If the folder holds files but no checkpoint.
    ConfigurationError
        If a setting is not JSON, or a tensor not numeric.
    """
    from safetensors.numpy import save

    folder = check_target(folder)
    tensors = {name: np.ascontiguousarray(array) for name, array in checkpoint.tensors.items()}
    if checkpoint.calibration is not None:
        for name in _CALIBRATION:
            array = getattr(checkpoint.calibration, name)
            if array is not None:
                tensors[f"calibration.{name}"] = np.ascontiguousarray(array)
    for name, array in tensors.items():
        if array.dtype.kind not in "fiub":
            raise ConfigurationError(f"Tensor {name!r} must be numeric, got {array.dtype}.")
    blob = save(tensors)
    config = _config(checkpoint, blob)
    config["checksum"] = _checksum(config)
    text = json.dumps(config, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    _replace(folder / _TENSORS, blob)
    _replace(folder / _CONFIG, text.encode())
    return folder


def check_target(folder: str | Path) -> Path:
    """Return a folder that a checkpoint may be written to: a new, an empty or a checkpoint's one.

    Raises
    ------
    CheckpointError
        If the folder holds files but no checkpoint.
    """
    folder = Path(folder)
    names = [path.name for path in folder.iterdir()] if folder.exists() else []
    if _CONFIG not in names and not all(map(_UNFINISHED.fullmatch, names)):
        raise CheckpointError(
            f"{str(folder)!r} holds files that are not a checkpoint. Choose an empty folder."
        )
    return folder


def read_checkpoint(folder: str | Path, *, within: str | Path | None = None) -> Checkpoint:
    """Read a checkpoint folder after checking every byte of it.

    Parameters
    ----------
    folder
        Holds `config.json` and `model.safetensors`.
    within
        The folder that the files, after following links, must lie in; by default `folder`.

    Raises
    ------
    CheckpointNotFoundError
        If the folder or one of its files is missing.
    CheckpointError
        If the format, a checksum, a size or a value is wrong, or a file lies elsewhere.
    """
    folder = Path(folder)
    root = Path(folder if within is None else within).resolve()
    raw = _read(folder / _CONFIG, root=root, limit=_MAX_CONFIG_BYTES)
    config = _parse(raw, folder)
    tensors = _tensors(config["tensors"], folder=folder, root=root)
    arrays: dict[str, Any] = {
        name: tensors.pop(f"calibration.{name}", None) for name in _CALIBRATION
    }
    if arrays["quantiles"] is None:
        arrays["quantiles"] = np.empty(0)
    try:
        pair = config["pair"]
        stored = config["calibration"]
        return Checkpoint(
            router=config["router"],
            parameters=config["parameters"],
            tensors=tensors,
            pair=None if pair is None else ModelPair(**pair),
            embedder=config["embedder"],
            calibration=None if stored is None else stored_calibration(stored, arrays),
            training=config["training"],
            checksum=config["checksum"],
        )
    except (TypeError, AttributeError, ConfigurationError) as error:
        _refuse(folder, f"it has a wrong value: {error}")


def notes_folder(folder: str | Path) -> Path:
    """Return where a saved router keeps its checkpoint: in the folder itself, or one below.

    A router over a model of transformers leaves the folder to that library, whose files have the
    same names, and keeps its own checkpoint below.
    """
    below = Path(folder) / NOTES
    return below if below.is_dir() else Path(folder)


def _config(checkpoint: Checkpoint, blob: bytes) -> dict[str, Any]:
    pair, calibration = checkpoint.pair, checkpoint.calibration
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "router": checkpoint.router,
        "pair": None if pair is None else {"strong": pair.strong, "weak": pair.weak},
        "embedder": checkpoint.embedder,
        "parameters": dict(checkpoint.parameters),
        "calibration": None
        if calibration is None
        else {
            "n_prompts": calibration.n_prompts,
            "source": calibration.source,
            "scale": "probability" if calibration.scale is None else "percentile",
        },
        "training": dict(checkpoint.training),
        "tensors": {"bytes": len(blob), "sha256": sha256(blob).hexdigest()},
    }


def _checksum(config: Mapping[str, Any]) -> str:
    content = {key: value for key, value in config.items() if key != "checksum"}
    try:
        canonical = json.dumps(
            content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
        )
        return sha256(canonical.encode()).hexdigest()
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"A checkpoint's settings must be JSON values: {error}") from error


def _parse(raw: bytes, folder: Path) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in pairs}) < len(pairs):
            raise ValueError("a key stands there twice")
        return dict(pairs)

    def refuse_constant(name: str) -> NoReturn:
        raise ValueError(f"{name} is not a JSON number")

    try:
        config = json.loads(
            raw.decode("utf-8"), object_pairs_hook=unique, parse_constant=refuse_constant
        )
    except (ValueError, RecursionError) as error:
        _refuse(folder, f"its {_CONFIG} is not valid JSON: {error}")
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        _refuse(folder, f'its {_CONFIG} does not say "format": "{FORMAT}"')
    _check_config(config, folder)
    return config


def _check_config(config: dict[str, Any], folder: Path) -> None:
    version = config.get("format_version")
    if version != FORMAT_VERSION:
        _refuse(
            folder,
            f"it has format version {version!r}, and this release reads version {FORMAT_VERSION}",
        )
    if set(config) != _KEYS:
        _refuse(folder, f"its {_CONFIG} has other keys than {sorted(_KEYS)}")
    try:
        matches = config["checksum"] == _checksum(config)
    except (ConfigurationError, RecursionError):
        matches = False
    if not matches:
        _refuse(folder, f"the checksum of its {_CONFIG} does not match: it was changed or damaged")
    if not (
        isinstance(config["router"], str) and isinstance(config["embedder"], (str, type(None)))
    ):
        _refuse(folder, "its router and its embedder must be names")
    if not all(isinstance(config[key], dict) for key in ("parameters", "training")):
        _refuse(folder, "its parameters and its training record must be objects")


def _tensors(stated: Any, *, folder: Path, root: Path) -> dict[str, NDArray[Any]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    if not (
        isinstance(stated, dict)
        and type(stated.get("bytes")) is int
        and _SHA256.fullmatch(str(stated.get("sha256")))
    ):
        _refuse(folder, f"it does not state the size and the checksum of {_TENSORS}")
    size = stated["bytes"]
    blob = _read(folder / _TENSORS, root=root, limit=min(size, _MAX_TENSOR_BYTES))
    if len(blob) != size:
        _refuse(folder, f"its {_TENSORS} has {len(blob)} bytes instead of {size}")
    if sha256(blob).hexdigest() != stated["sha256"]:
        _refuse(folder, f"the checksum of its {_TENSORS} does not match: it was changed or damaged")
    try:
        return dict(load(blob))
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        _refuse(folder, f"its {_TENSORS} cannot be read: {error}")


def _read(path: Path, *, root: Path, limit: int) -> bytes:
    try:
        resolved = path.resolve(strict=True)
        if not resolved.is_relative_to(root):
            raise CheckpointError(f"{str(path)!r} leads out of its checkpoint folder.")
        size = resolved.stat().st_size
        if size > limit:
            raise CheckpointError(
                f"{str(path)!r} has {size} bytes, more than the {limit} it may have."
            )
        return resolved.read_bytes()
    except FileNotFoundError:
        raise CheckpointNotFoundError(
            f"{str(path)!r} does not exist. A checkpoint is a folder with {_CONFIG} and {_TENSORS}."
        ) from None
    except (OSError, RuntimeError, ValueError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{str(path)!r} cannot be read: {error}") from error


def _replace(path: Path, content: bytes) -> None:
    from tempfile import mkstemp

    descriptor, temporary = mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _refuse(folder: Path, why: str) -> NoReturn:
    raise CheckpointError(f"{str(folder)!r} is not a usable checkpoint: {why}.")
