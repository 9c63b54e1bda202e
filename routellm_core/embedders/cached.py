"""Embeddings remembered on disk."""

from __future__ import annotations

from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from routellm_core.embedders.base import AsyncEmbedder, Embedder, identity_of
from routellm_core.errors import ConfigurationError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["CachedEmbedder"]

_AT_ONCE = 500
_WAIT_S = 30.0


class CachedEmbedder:
    """Ask an embedder for each text once, and a file for it ever after.

    The file is an SQLite database, which threads and processes may share. A text is stored as its
    SHA-256 under the embedder's identity; the text itself is not stored.

    Parameters
    ----------
    embedder
        One with an `identity`: the cache is worthless when it is not known whose vectors it holds.
    path
        The file. It and its folder are made at the first call.

    Raises
    ------
    ConfigurationError
        If the embedder has no identity.
    """

    def __init__(self, embedder: Embedder, path: str | Path) -> None:
        identity = identity_of(embedder)
        if identity is None:
            raise ConfigurationError(
                f"Only an embedder with an `identity` can be cached, and {type(embedder).__name__} "
                "has none."
            )
        self.embedder, self.path, self.identity = embedder, Path(path), identity
        if isinstance(embedder, AsyncEmbedder):
            self.aembed = self._aembed

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.embedder, self.path)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one vector for each of n >= 1 texts: shape (n, d), float32."""
        keys, known = self._look_up(texts)
        missing = _missing(keys, texts, known)
        if missing:
            self._store(missing, self.embedder.embed(list(missing.values())), known)
        return np.stack([known[key] for key in keys])

    async def _aembed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        from asyncio import to_thread

        keys, known = await to_thread(self._look_up, texts)
        missing = _missing(keys, texts, known)
        if missing and isinstance(self.embedder, AsyncEmbedder):
            vectors = await self.embedder.aembed(list(missing.values()))
            await to_thread(self._store, missing, vectors, known)
        return np.stack([known[key] for key in keys])

    def _look_up(self, texts: Sequence[str]) -> tuple[list[bytes], dict[bytes, NDArray[Any]]]:
        prefix = self.identity.encode("utf-8", "surrogatepass") + b"\0"
        keys = [sha256(prefix + text.encode("utf-8", "surrogatepass")).digest() for text in texts]
        known: dict[bytes, NDArray[Any]] = {}
        with closing(self._open()) as database:
            for start in range(0, len(keys), _AT_ONCE):
                part = keys[start : start + _AT_ONCE]
                marks = ",".join("?" * len(part))
                rows = database.execute(
                    f"SELECT key, vector FROM embeddings WHERE key IN ({marks})",  # noqa: S608 # nosec B608
                    part,
                )
                known.update({key: np.frombuffer(blob, dtype="<f4") for key, blob in rows})
        return keys, known

    def _store(
        self,
        missing: dict[bytes, str],
        vectors: NDArray[Any],
        known: dict[bytes, NDArray[Any]],
    ) -> None:
        new = dict(zip(missing, np.asarray(vectors, dtype="<f4"), strict=True))
        known.update(new)
        with closing(self._open()) as database, database:
            database.executemany(
                "INSERT OR REPLACE INTO embeddings VALUES (?, ?)",
                [(key, vector.tobytes()) for key, vector in new.items()],
            )

    def _open(self) -> sqlite3.Connection:
        import sqlite3

        self.path.parent.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(self.path, timeout=_WAIT_S)
        database.execute(
            "CREATE TABLE IF NOT EXISTS embeddings (key BLOB PRIMARY KEY, vector BLOB NOT NULL)"
        )
        return database


def _missing(
    keys: Sequence[bytes], texts: Sequence[str], known: dict[bytes, NDArray[Any]]
) -> dict[bytes, str]:
    """Return each text that is not known, once."""
    return {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
