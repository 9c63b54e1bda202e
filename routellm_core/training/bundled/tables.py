"""From word vectors and topics to the tables of the bundled embedder, and back."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np

from routellm_core.checkpoints import Checkpoint
from routellm_core.training.bundled.meaning import Meaning
from routellm_core.training.bundled.sparse import word_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["embedder_tables", "meaning_of"]

# A guess from spelling says less of a word's meaning than its own vector does.
_PIECE_SHARE = 0.3


def embedder_tables(
    meaning: Meaning, topics: NDArray[np.float32], *, training: Mapping[str, Any]
) -> Checkpoint:
    """Pack the tables into 8-bit integers.

    Parameters
    ----------
    meaning
        Word vectors.
    topics
        Shape (buckets, t): the topics of hashed pieces; those of the vocabulary follow from them.
    training
        Provenance.
    """
    word_topics = _word_means(meaning.words, topics) * meaning.weights[:, None]
    rows = np.concatenate(
        [
            np.hstack([meaning.vectors, word_topics, meaning.weights[:, None]]),
            np.hstack(
                [_PIECE_SHARE * meaning.pieces, topics, np.ones((len(topics), 1), dtype=np.float32)]
            ),
        ]
    )
    words = np.frombuffer("\n".join(meaning.words).encode(), dtype=np.uint8)
    scale = (np.abs(rows).max(axis=0) / 127.0).astype(np.float32)
    packed = np.rint(rows / scale).astype(np.int8)
    content = b"brevity" + words.tobytes() + scale.tobytes() + packed.tobytes()
    digest = sha256(content).hexdigest()
    return Checkpoint(
        router="bundled-embedder",
        parameters={"topics": int(topics.shape[1]), "brevity": True, "checksum": digest[:16]},
        tensors={"words": words, "scale": scale, "rows": packed},
        training=training,
    )


def meaning_of(tables: Checkpoint) -> Meaning:
    """Unpack the word vectors of tables, so that topics can be fitted anew without the encoder."""
    words = tables.tensor("words", shape=(None,)).tobytes().decode().split("\n")
    scale = tables.tensor("scale", shape=(None,)).astype(np.float32)
    rows = tables.tensor("rows", shape=(None, len(scale))).astype(np.float32) * scale
    kept = len(scale) - int(tables.parameters["topics"]) - 1
    return Meaning(
        words=words,
        vectors=rows[: len(words), :kept],
        weights=np.maximum(rows[: len(words), -1], np.float32(1e-3)),
        pieces=rows[len(words) :, :kept] / np.float32(_PIECE_SHARE),
    )


def _word_means(words: Sequence[str], pieces: NDArray[np.float32]) -> NDArray[np.float32]:
    return word_rows(words, buckets=len(pieces)).forward(pieces)
