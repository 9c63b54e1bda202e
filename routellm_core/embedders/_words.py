"""Words of many scripts, looked up in a vocabulary or spelled out in hashed pieces."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Pieces", "fold", "pieces_of", "words_of"]

_PRIME = np.uint32(0x01000193)
_MIX = np.uint32(0x9E3779B1)
# Vowel signs are no letters to `re`, so the Indic scripts are named.
_ASCII = bytes(
    code + 32 if 65 <= code <= 90 else code if 97 <= code <= 122 else 32 for code in range(256)
)
_WORD = re.compile(r"[\u0900-\u0dff]+|[^\W\d_\u0900-\u0dff]+")
_DENSE = re.compile(r"[\u1100-\u11ff\u3040-\ua000\uac00-\ud7af\uf900-\ufaff]")
_CYRILLIC = dict(
    zip(
        "абвгдежзийклмнопрстуфхцчшщъыьэюяєіїґ",
        "a|b|v|g|d|e|zh|z|i|i|k|l|m|n|o|p|r|s|t|u|f|h|c|ch|sh|sch||y||e|yu|ya|e|i|i|g".split("|"),  # noqa: SIM905
        strict=True,
    )
)
_GREEK = dict(
    zip(
        "αβγδεζηθικλμνξοπρςστυφχψω",
        "a|b|g|d|e|z|i|th|i|k|l|m|n|x|o|p|r|s|s|t|y|f|ch|ps|o".split("|"),  # noqa: SIM905
        strict=True,
    )
)


def fold(text: str) -> str:
    """Return the text in lower case, Latin letters without accents, Cyrillic and Greek in Latin.

    Examples
    --------
    >>> fold("Équação de Шрёдингер")
    'equacao de shredinger'
    """
    lowered = text.lower()
    return lowered if lowered.isascii() else lowered.translate(_folding())


@cache
def _folding() -> dict[int, str]:
    table = {ord(letter): latin for letter, latin in (_CYRILLIC | _GREEK).items()}
    for code in (*range(0xC0, 0x250), *range(0x370, 0x530), *range(0x1E00, 0x2000)):
        letter = chr(code)
        base = unicodedata.normalize("NFD", letter)[0]
        if base != letter:
            table.setdefault(code, table.get(ord(base), base))
    # Loose accents, and the vowel marks of Arabic.
    for code in (*range(0x300, 0x370), *range(0x64B, 0x660), 0x640):
        table[code] = ""
    table |= {ord("ß"): "ss", ord("æ"): "ae", ord("œ"): "oe", ord("ø"): "o", ord("ı"): "i"}
    return table


def words_of(text: str) -> list[str]:
    """Return the runs of letters of a text, folded.

    Examples
    --------
    >>> words_of("What's 2+2 in C++?")
    ['what', 's', 'in', 'c']
    """
    if text.isascii():
        # Bytes are mapped and cut several times faster than a regular expression matches.
        return text.encode().translate(_ASCII).decode().split()
    return _WORD.findall(fold(text))


class Pieces(NamedTuple):
    """The hashed n-grams of words in one group of scripts.

    Every place in the words begins up to three n-grams, one of each size.
    """

    buckets: NDArray[np.int64]
    """Shape (p, 3): the bucket of every n-gram."""
    shares: NDArray[np.float32]
    """Shape (p, 3): 1 / the number of the word's n-grams, 0 where there is none."""
    words: NDArray[np.int64]
    """Shape (p,), ascending: the index of every place's word."""


def pieces_of(words: Sequence[str], *, buckets: int) -> list[Pieces]:
    """Hash the character n-grams of words: of 3 to 5 letters, in dense scripts of 1 to 3.

    Dense are the East Asian scripts; in the others an n-gram also sees the word's ends.

    Parameters
    ----------
    words
        Folded words, none empty.
    buckets
        A power of 2: n-grams are hashed into [0, buckets).

    Returns
    -------
    One item for each group of scripts that occurs.
    """
    sparse: list[int] = []
    dense: list[int] = []
    for index, word in enumerate(words):
        (dense if _DENSE.match(word) else sparse).append(index)
    groups = []
    if sparse:
        texts = [f"<{words[index]}>" for index in sparse]
        groups.append(_pieces(texts, np.array(sparse), 3, buckets))
    if dense:
        groups.append(_pieces([words[index] for index in dense], np.array(dense), 1, buckets))
    return groups


def _pieces(texts: list[str], group: NDArray[np.int64], smallest: int, buckets: int) -> Pieces:
    codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    lengths = np.array([len(text) for text in texts])
    sizes = np.arange(smallest, smallest + 3)
    left = lengths.cumsum().repeat(lengths) - np.arange(len(codes))
    shares = (1.0 / np.maximum(lengths[:, None] - sizes + 1, 0).sum(axis=1)).repeat(lengths)
    ids = np.zeros((len(codes), 3), dtype=np.int64)
    rolling = codes
    for size in range(1, smallest + 3):
        if size > 1:
            # Unsigned arithmetic wraps around, which is what a hash wants.
            rolling = rolling[:-1] * _PRIME + codes[size - 1 :]
        if size >= smallest:
            mixed = (rolling ^ np.uint32(size)) * _MIX
            mixed >>= np.uint32(8)
            mixed &= np.uint32(buckets - 1)
            ids[: len(rolling), size - smallest] = mixed
        if len(rolling) < 2:
            break
    whole = (left[:, None] >= sizes) * shares[:, None]
    return Pieces(ids, whole.astype(np.float32), group.repeat(lengths))
