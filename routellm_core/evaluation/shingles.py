"""Texts as sets of five-character pieces, and MinHash signatures that find near ones.

128 hashes in bands of 4: pairs of similarity 0.8 share a band with probability 1 - 5e-8.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

import numpy as np

from routellm_core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = [
    "BAND_ROWS", "N_HASHES", "SLACK", "distinct", "exact_form", "jaccard", "pieces", "signatures",
]  # fmt: skip

N_HASHES = 128
BAND_ROWS = 4
SLACK = 0.15
"""How far below the threshold signatures may agree: three standard deviations, and some."""

_SHINGLE = 5
_MAX_CHARS = 20_000
_SEED = 20240618


def distinct(texts: Sequence[str], *, threshold: float = 0.8) -> NDArray[np.bool_]:
    """Return which texts are neither equal nor near to an earlier one that is.

    Signs count here, so that "2 + 2" and "2 * 2" differ; case and spaces do not.

    Parameters
    ----------
    texts
        n texts.
    threshold
        The Jaccard similarity from which two are near, in [0.5, 1].

    Returns
    -------
    Shape (n,). Which of several near texts stay depends on their order.

    Raises
    ------
    ConfigurationError
        If `threshold` is outside [0.5, 1].

    Examples
    --------
    >>> distinct(["Name a river.", "2 + 2?", "name a  river."]).tolist()
    [True, True, False]
    """
    if not 0.5 <= threshold <= 1.0:
        raise ConfigurationError(f"`threshold` must lie in [0.5, 1], got {threshold!r}.")
    kept = np.zeros(len(texts), dtype=np.bool_)
    seen: set[str] = set()
    buckets: dict[tuple[int, bytes], list[int]] = {}
    spaced = [" ".join(unicodedata.normalize("NFKC", text).casefold().split()) for text in texts]
    marks = signatures(spaced)
    sets: dict[int, NDArray[np.uint64]] = {}
    for row, text in enumerate(spaced):
        form = "".join(text.split())
        if form in seen:
            continue
        bands = [
            (start, marks[row, start : start + BAND_ROWS].tobytes())
            for start in range(0, N_HASHES, BAND_ROWS)
        ]
        own = np.unique(pieces(text))
        others = np.array(sorted({one for band in bands for one in buckets.get(band, ())}), int)
        agreement = (marks[others] == marks[row]).mean(axis=1)
        near = others[agreement >= threshold - SLACK]
        if any(jaccard(own, sets[int(one)]) >= threshold for one in near):
            continue
        kept[row] = True
        seen.add(form)
        sets[row] = own
        for band in bands:
            buckets.setdefault(band, []).append(row)
    return kept


def signatures(texts: list[str]) -> NDArray[np.uint32]:
    """Return the least value of each of 128 hashes over each text's shingles: (n, 128)."""
    # Multiply-shift hashing: odd factors over 64 bits, of which the upper half is kept.
    rng = np.random.default_rng(_SEED)
    factors = rng.integers(0, 2**64, size=(2, N_HASHES, 1), dtype=np.uint64)
    factors[0] |= np.uint64(1)
    found = np.zeros((len(texts), N_HASHES), dtype=np.uint32)
    for row, text in zip(found, texts, strict=True):
        mixed = (pieces(text)[None, :] * factors[0] + factors[1]).min(axis=1)
        row[:] = mixed >> np.uint64(32)
    return found


def pieces(text: str) -> NDArray[np.uint64]:
    """Return the five-character pieces of a text's first 20,000 characters, as numbers."""
    points = np.frombuffer(text[:_MAX_CHARS].encode("utf-32-le", "surrogatepass"), dtype="<u4")
    codes = points.astype(np.uint64)
    if len(codes) < _SHINGLE:
        codes = np.pad(codes, (0, _SHINGLE - len(codes)))
    found = np.zeros(len(codes) - _SHINGLE + 1, dtype=np.uint64)
    for offset in range(_SHINGLE):
        found = found * np.uint64(0x9E3779B97F4A7C15) + codes[offset : offset + len(found)]
        found ^= found >> np.uint64(29)
    return found


def jaccard(first: NDArray[np.uint64], second: NDArray[np.uint64]) -> float:
    """Return the Jaccard similarity of two sets of pieces, each without repetitions."""
    shared = len(np.intersect1d(first, second, assume_unique=True))
    return shared / (len(first) + len(second) - shared)


def exact_form(text: str) -> str:
    """Return the text without spaces and case: 2 + 2 is 2+2, and is not 2 * 2."""
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())
