"""Models of transformers that measure texts, each loaded at its first call."""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from routellm_core.errors import ConfigurationError
from routellm_core.hub import find_checkpoint
from routellm_core.routers._torch_models import (
    load_pretrained,
    load_tokenizer,
    pick_device,
    pick_dtype,
)

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Pretrained"]


class Pretrained:
    """A pretrained model with its tokenizer.

    Weights are read as safetensors only, in float32, and no code of the model's folder is run.

    Parameters
    ----------
    model
        A folder, or "owner/name" on the Hugging Face Hub; "owner/name@REVISION" names a revision.
    auto_class
        The Auto class of transformers that loads the model.
    device
        "cpu", "cuda" and so on; by default "cuda" where there is one.
    batch_size
        Texts per forward pass, at least 1.

    Raises
    ------
    ConfigurationError
        If `batch_size` is below 1.
    """

    def __init__(
        self, model: str | Path, *, auto_class: str, device: str | None = None, batch_size: int
    ) -> None:
        if not isinstance(batch_size, int) or batch_size < 1:
            raise ConfigurationError(
                f"`batch_size` must be a whole number of at least 1, got {batch_size!r}."
            )
        self.source, self.batch_size = str(model), batch_size
        self._auto_class, self._device = auto_class, device
        self._lock = Lock()
        self._loaded: tuple[Any, Any] | None = None

    def use(self, function: Callable[[Any, Any], Any]) -> Any:
        """Return what a function makes of the model and the tokenizer, while no other uses them.

        Raises
        ------
        CheckpointError
            If the source holds no usable model.
        MissingDependencyError
            If torch or transformers is not installed.
        """
        # Tokenizers keep the settings of the last call, and may not be shared between threads.
        with self._lock:
            if self._loaded is None:
                self._loaded = self._load()
            return function(*self._loaded)

    def _load(self) -> tuple[Any, Any]:
        name, revision = self.source, ""
        if not Path(name).exists():
            name, _, revision = name.partition("@")
        folder = find_checkpoint(name, revision=revision or None)
        device = pick_device(self._device)
        model = load_pretrained(self._auto_class, folder, dtype=pick_dtype("float32"))
        return model.to(device).eval(), load_tokenizer(folder)
