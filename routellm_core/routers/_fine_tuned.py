"""What every router is that reads its win rate off a model of transformers."""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar, TypedDict

from routellm_core.checkpoints import NOTES, Checkpoint, read_checkpoint, write_checkpoint
from routellm_core.errors import CheckpointError, ConfigurationError
from routellm_core.routers._torch_models import (
    check_files,
    file_checksums,
    load_pretrained,
    load_tokenizer,
    pick_device,
    pick_dtype,
)
from routellm_core.routers.base import Router

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Self, Unpack

    from routellm_core.hub import CheckpointFolder
    from routellm_core.types import Calibration, ModelPair

__all__ = ["MAX_CHARS", "FineTunedRouter", "SharedOptions"]

MAX_CHARS = 100_000
"""How much of a prompt reaches the tokenizer, at the most."""


class SharedOptions(TypedDict, total=False):
    """What the constructors have in common and hand on."""

    device: str | None
    pair: ModelPair | None
    calibration: Calibration | None
    training: Mapping[str, Any] | None


class FineTunedRouter(Router):
    """Keep a model on its device, and write and read it as transformers does.

    A subclass implements `_win_rates`; and `_parameters` and `_settings`, if its checkpoints hold
    more than a model.

    Parameters
    ----------
    model, tokenizer
        A `PreTrainedModel` of `auto_class`, and its tokenizer.
    batch_size
        Prompts per forward pass.
    device
        Where to compute; by default a CUDA device if there is one.
    pair, calibration, training
        As the checkpoint records them.

    Raises
    ------
    ConfigurationError
        If `batch_size` is below 1.
    """

    auto_class: ClassVar[str]
    """The Auto class of transformers that reads the model."""

    def __init__(
        self, *, model: Any, tokenizer: Any, batch_size: int, **options: Unpack[SharedOptions]
    ) -> None:
        if batch_size < 1:
            raise ConfigurationError(f"`batch_size` must be at least 1, got {batch_size!r}.")
        self.model = model.to(pick_device(options.get("device"))).eval()
        self.tokenizer = tokenizer
        self.batch_size = batch_size
        self.training = dict(options.get("training") or {})
        self._pair, self._calibration = options.get("pair"), options.get("calibration")
        self._lock = Lock()  # a fast tokenizer keeps its padding and truncation in itself

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=Lock())

    @property
    def pair(self) -> ModelPair | None:
        """The models that the router was fitted for; None when the checkpoint does not say."""
        return self._pair

    @classmethod
    def default(cls, **options: Any) -> Self:
        """Return the router of a model and a tokenizer; without them, say what to do instead.

        Raises
        ------
        ConfigurationError
            If there is no model: no checkpoint is bundled.
        """
        if "model" not in options:
            raise ConfigurationError(
                f"Router {cls.name!r} has no bundled checkpoint. Pass `checkpoint`, for example "
                f"'routellm/{cls.name}_gpt4_augmented', or train one with `routellm train "
                f"{cls.name}`."
            )
        return cls(**options)

    def save(self, folder: str | Path) -> Path:
        """Write model, tokenizer and what transformers does not store, and return the folder."""
        folder = Path(folder)
        if folder.exists() and any(folder.iterdir()) and not (folder / NOTES).is_dir():
            raise CheckpointError(
                f"{str(folder)!r} holds files that are not a checkpoint. Choose an empty folder."
            )
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        notes = Checkpoint(
            router=self.name,
            parameters={"files": file_checksums(folder), **self._parameters()},
            pair=self._pair,
            calibration=self._calibration,
            training=self.training,
        )
        write_checkpoint(notes, folder / NOTES)
        return folder

    @classmethod
    def _from_folder(
        cls, folder: CheckpointFolder, *, dtype: str | None = None, **options: Any
    ) -> Self:
        if not options.keys() <= {"batch_size", "device"}:
            raise ConfigurationError(
                f"A {cls.name!r} checkpoint takes the options batch_size, device and dtype, got "
                f"{sorted(options)}."
            )
        notes = cls._notes(folder)
        noted = notes or Checkpoint(cls.name)
        settings = cls._settings(folder, notes)
        dtype = dtype or cls._default_dtype(notes)
        return cls(
            model=load_pretrained(
                cls.auto_class, folder, dtype=dtype if dtype == "auto" else pick_dtype(dtype)
            ),
            tokenizer=load_tokenizer(folder),
            pair=noted.pair,
            calibration=noted.calibration,
            training=noted.training,
            **settings,
            **options,
        )

    @classmethod
    def _notes(cls, folder: CheckpointFolder) -> Checkpoint | None:
        """Return what `save` noted; None for a folder that somebody else wrote."""
        if not (folder.path / NOTES).is_dir():
            return None
        notes = read_checkpoint(folder.path / NOTES, within=folder.within)
        if notes.router != cls.name:
            raise CheckpointError(
                f"{str(folder.path)!r} is a checkpoint of router {notes.router!r}, not of "
                f"{cls.name!r}."
            )
        check_files(folder, notes.parameters.get("files"))
        return notes

    def _parameters(self) -> Mapping[str, Any]:
        """Return what else the notes hold, for `_settings` to find."""
        return {}

    @classmethod
    def _settings(cls, folder: CheckpointFolder, notes: Checkpoint | None) -> Mapping[str, Any]:  # noqa: ARG003
        """Return what else the constructor takes, from the notes or from another's files."""
        return {}

    @classmethod
    def _default_dtype(cls, notes: Checkpoint | None) -> str:  # noqa: ARG003
        """Return the type of weights that nobody chose; "auto" is the one they were saved in."""
        return "float32"
