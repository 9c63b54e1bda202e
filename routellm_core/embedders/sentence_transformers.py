"""Embeddings of any sentence-transformers model, on this machine."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from routellm_core._optional import require
from routellm_core.embedders.texts import clean_texts
from routellm_core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["SentenceTransformersEmbedder"]

_MAX_CHARS = 100_000


class SentenceTransformersEmbedder:
    """Embed texts by a sentence-transformers model.

    The model is loaded at the first call, from a folder or from the Hugging Face Hub; code that
    comes with a model is never run. A text longer than the model's limit (`max_seq_length`, often
    256 or 512 tokens) is cut at its end.

    Parameters
    ----------
    model
        A name on the Hub or a folder; "NAME@REVISION" names a revision.
    device
        "cpu", "cuda" and so on; by default what the library chooses.
    batch_size
        Texts per forward pass.

    Raises
    ------
    ConfigurationError
        If `batch_size` is below 1.
    """

    def __init__(self, model: str, *, device: str | None = None, batch_size: int = 32) -> None:
        if batch_size < 1:
            raise ConfigurationError(f"`batch_size` must be at least 1, got {batch_size!r}.")
        self.model, self.device, self.batch_size = model, device, batch_size
        self.identity = f"sentence-transformers:{model}"
        self._lock = Lock()
        self._loaded: Any = None

    def __reduce__(self) -> tuple[Any, ...]:
        options = {"device": self.device, "batch_size": self.batch_size}
        return _rebuild, (type(self), self.model, options)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one vector for each of n texts: shape (n, d), float32.

        Raises
        ------
        MissingDependencyError
            If sentence-transformers is not installed.
        ConfigurationError
            If the model cannot be loaded.
        """
        # One forward pass at a time: tokenizers may not be shared between threads.
        with self._lock:
            if self._loaded is None:
                self._loaded = self._load()
            vectors = self._loaded.encode(
                clean_texts(texts, max_chars=_MAX_CHARS),
                batch_size=self.batch_size,
                show_progress_bar=False,
                convert_to_numpy=True,
            )
        return np.asarray(vectors, dtype=np.float32)

    def _load(self) -> Any:
        library = require("sentence_transformers", extra="torch")
        name, _, revision = self.model.partition("@")
        try:
            return library.SentenceTransformer(
                name, revision=revision or None, device=self.device, trust_remote_code=False
            )
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"The embedding model {self.model!r} could not be loaded. Pass a folder, or a name "
                f"on the Hugging Face Hub that this machine can reach or has in its cache: {error}"
            ) from error


def _rebuild(cls: type[SentenceTransformersEmbedder], model: str, options: Any) -> Any:
    return cls(model, **options)
