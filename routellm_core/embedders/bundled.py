"""The embedder that comes with the package: no network, no torch, well under a millisecond."""

from __future__ import annotations

from functools import cache
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from routellm_core.checkpoints import Checkpoint, read_checkpoint
from routellm_core.embedders._surface import (
    BREVITY_NAMES,
    SURFACE_NAMES,
    brevity_features,
    clip_text,
    surface_features,
)
from routellm_core.embedders._words import pieces_of, words_of
from routellm_core.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["BundledEmbedder"]

_TABLES = Path(__file__).parent / "tables"
_KIND = "bundled-embedder"
_CHUNK_CHARS = 100_000
# A text whose weighted word vectors add up to this length is halfway to a vector of length 1.
_EVIDENCE = 20.0


class BundledEmbedder:
    """Embed texts by static word vectors, cross-lingual topics and the look of the text.

    A vector has four parts: `meaning`, the weighted sum of word vectors, shortened to a length
    below 1 that is the smaller the fewer known words there are; `topics`, the mean over words of
    how much a word belongs to hard and to everyday requests, in any of twelve languages; `surface`,
    counts of kinds of characters; and `brevity`, whether there are few words or none, which tables
    made before it was added do without. A word that is not in the vocabulary is spelled out in
    hashed n-grams of its letters. Of a text longer than 8,000 characters only the first and the
    last 4,000 are read.

    Parameters
    ----------
    tables
        What training made: see `routellm_core.training.bundled`. By default the bundled tables,
        which are read once per process.

    Raises
    ------
    CheckpointError
        If the tables are damaged, or not an embedder's.

    Examples
    --------
    >>> embedder = BundledEmbedder()
    >>> vectors = embedder.embed(["Hello!", "Prove Fermat's little theorem."])
    >>> vectors.shape == (2, embedder.dimension)
    True
    """

    def __init__(self, tables: Checkpoint | None = None) -> None:
        self._tables = _bundled() if tables is None else _Tables(tables)
        self.identity = self._tables.identity
        """Names the tables by a checksum of their content."""
        self.dimension = self.parts["brevity"].stop
        """Length d of a vector."""

    def __reduce__(self) -> tuple[type[BundledEmbedder], tuple[Checkpoint | None]]:
        source = None if self._tables is _bundled() else self._tables.source
        return type(self), (source,)

    @property
    def parts(self) -> dict[str, slice]:
        """Where the parts of a vector lie: `meaning`, `topics`, `surface`, `brevity`."""
        tables = self._tables
        sizes = {
            "meaning": tables.meaning,
            "topics": tables.topics,
            "surface": len(SURFACE_NAMES),
            "brevity": tables.brevity,
        }
        ends = np.cumsum(list(sizes.values())).tolist()
        return {
            name: slice(end - size, end)
            for (name, size), end in zip(sizes.items(), ends, strict=True)
        }

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one vector for each of n texts: shape (n, d), float32, finite.

        A text has the same vector alone and in a batch, up to rounding.
        """
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        for first, chunk in _chunks(texts):
            self._embed(chunk, vectors[first : first + len(chunk)])
        return vectors

    def _embed(self, texts: list[str], out: NDArray[np.float32]) -> None:
        tables = self._tables
        width = tables.meaning + tables.topics
        sums, words = tables.word_sums(texts)
        meaning = sums[:, : tables.meaning]
        lengths = np.sqrt(np.einsum("ij,ij->i", meaning, meaning))
        np.divide(meaning, (lengths + _EVIDENCE)[:, None], out=out[:, : tables.meaning])
        weights = np.maximum(sums[:, width:], 1e-6)
        np.divide(sums[:, tables.meaning : width], weights, out=out[:, tables.meaning : width])
        surface = surface_features(texts)
        out[:, width : width + len(SURFACE_NAMES)] = surface
        if tables.brevity:
            out[:, -tables.brevity :] = brevity_features(surface, words)


class _Tables:
    """The arrays of a `BundledEmbedder`, unpacked for look-ups.

    A row of `rows` holds a word's meaning, its topics and its weight; rows from `n_words` on are
    those of hashed pieces. Row sums over a text are all that is needed of its words.
    """

    def __init__(self, source: Checkpoint) -> None:
        if source.router != _KIND:
            raise CheckpointError(f"Expected tables of {_KIND!r}, got {source.router!r}.")
        self.source = source
        words = source.tensor("words", shape=(None,)).tobytes().decode().split("\n")
        self.vocabulary = {word: index for index, word in enumerate(words)}
        self.n_words = len(words)
        scale = source.tensor("scale", shape=(None,)).astype(np.float32)
        packed = source.tensor("rows", shape=(None, len(scale)))
        self.buckets = len(packed) - self.n_words
        # One row of zeros at the end, which the index -1 of an unknown word leads to.
        self.rows = np.zeros((len(packed) + 1, len(scale)), dtype=np.float32)
        np.multiply(packed, scale, out=self.rows[:-1])
        self.topics = int(source.parameters.get("topics", 0))
        self.meaning = len(scale) - self.topics - 1
        self.brevity = len(BREVITY_NAMES) if source.parameters.get("brevity") else 0
        if self.buckets < 1 or self.buckets & (self.buckets - 1) or self.meaning < 1:
            raise CheckpointError("The embedder's tables do not fit together.")
        self.identity = f"bundled-{source.parameters.get('checksum')}"

    def word_sums(self, texts: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Sum the rows of every text's words, and count the words.

        Returns
        -------
        Shape (n, meaning + topics + 1), and shape (n,).
        """
        words: list[str] = []
        counts = np.zeros(len(texts) + 1, dtype=np.int64)
        for index, text in enumerate(texts):
            words += words_of(text)
            counts[index + 1] = len(words)
        found = map(self.vocabulary.get, words, repeat(-1))
        ids = np.fromiter(found, dtype=np.int64, count=len(words))
        unknown = (ids < 0).nonzero()[0]
        sums = _segment_sums(self.rows.take(ids, axis=0), counts)
        if unknown.size:
            owner = counts.searchsorted(unknown, side="right") - 1
            self._add_unknown([words[index] for index in unknown.tolist()], owner, sums)
        return sums, np.diff(counts)

    def _add_unknown(
        self, words: list[str], owner: NDArray[np.int64], sums: NDArray[np.float32]
    ) -> None:
        for pieces in pieces_of(words, buckets=self.buckets):
            rows = self.rows.take(pieces.buckets + self.n_words, axis=0)
            spelled = np.einsum("psw,ps->pw", rows, pieces.shares)
            bounds = owner[pieces.words].searchsorted(np.arange(len(sums) + 1))
            sums += _segment_sums(spelled, bounds)


def _segment_sums(rows: NDArray[np.float32], bounds: NDArray[np.int64]) -> NDArray[np.float32]:
    """Sum rows[bounds[i]:bounds[i + 1]] for every i, 0 for an empty segment."""
    if len(bounds) == 2 and len(rows):
        alone: NDArray[np.float32] = np.add.reduceat(rows, (0,), axis=0)
        return alone
    sums = np.zeros((len(bounds) - 1, rows.shape[1]), dtype=np.float32)
    filled = (bounds[1:] > bounds[:-1]).nonzero()[0]
    if filled.size:
        sums[filled] = np.add.reduceat(rows, bounds[filled], axis=0)
    return sums


def _chunks(texts: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Clip the texts, and cut the batch where its arrays would leave the processor's cache."""
    first, size = 0, 0
    chunk: list[str] = []
    for index, text in enumerate(texts):
        chunk.append(clip_text(text))
        size += len(chunk[-1])
        if size >= _CHUNK_CHARS:
            yield first, chunk
            first, size, chunk = index + 1, 0, []
    if chunk:
        yield first, chunk


@cache
def _bundled() -> _Tables:
    return _Tables(read_checkpoint(_TABLES))
