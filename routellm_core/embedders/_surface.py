"""What a text looks like, without its vocabulary: counts of kinds of characters.

All texts of a batch are laid out as one array of code points, so that a feature costs a few passes
of NumPy over the batch and no Python loop over characters.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["BREVITY_NAMES", "SURFACE_NAMES", "brevity_features", "clip_text", "surface_features"]

HEAD_CHARS = 4000
_SHORT_CHARS = 200.0
TAIL_CHARS = 4000

_OTHER, _LOWER, _UPPER, _DIGIT, _SPACE, _NEWLINE, _STOP, _COMMA = range(8)
_QUESTION, _BANG, _QUOTE, _OPEN, _CLOSE, _BRACKET, _DOLLAR, _BACKSLASH = range(8, 16)
_SCRIPT, _OPERATOR, _COLON, _PERCENT, _CODE, _LATIN, _CYRILLIC, _ARABIC = range(16, 24)
_INDIC, _HANGUL, _KANA, _HAN, _MATHS, _SYMBOL, _LETTER, _A_TO_J = range(24, 32)
# Kinds that also depend on the neighbours.
_NUMBER, _COMMAND, _CAPITALISED, _SENTENCE_END, _OPTION, _BLANK_LINE, _MAYBE_OPTION = range(32, 39)
_KINDS = 39

_CHARACTERS = {
    _SPACE: " \t\r\u00a0\u3000",
    _NEWLINE: "\n",
    _STOP: ".。．।",
    _COMMA: ",，、،",
    _QUESTION: "?？؟¿",
    _BANG: "!！¡",
    _QUOTE: "\"'“”‘’«»„「」『』",
    _OPEN: "(（",
    _CLOSE: ")）",
    _BRACKET: "[]{}【】",
    _DOLLAR: "$",
    _BACKSLASH: "\\",
    _SCRIPT: "^_",
    _OPERATOR: "=+-*/<>|~×÷±≤≥≠≈−–",
    _COLON: ":;：；",
    _PERCENT: "%€£°",
    _CODE: "`#@&",
}
_RANGES = [
    (0x61, 0x7B, _LOWER),
    (0x41, 0x4B, _A_TO_J),
    (0x4B, 0x5B, _UPPER),
    (0x30, 0x3A, _DIGIT),
    (0x00C0, 0x0250, _LATIN),
    (0x0370, 0x0530, _CYRILLIC),
    (0x0590, 0x0780, _ARABIC),
    (0x0900, 0x0E00, _INDIC),
    (0x0E00, 0x1100, _LETTER),
    (0x1100, 0x1200, _HANGUL),
    (0x1E00, 0x2000, _LATIN),
    (0x2190, 0x2400, _MATHS),
    (0x2460, 0x2E80, _SYMBOL),
    (0x3040, 0x3100, _KANA),
    (0x3130, 0x3190, _HANGUL),
    (0x3400, 0xA000, _HAN),
    (0xAC00, 0xD7B0, _HANGUL),
    (0xF900, 0xFB00, _HAN),
    (0xFB50, 0xFE00, _ARABIC),
    (0xFE70, 0xFF00, _ARABIC),
    (0xFF66, 0xFFA0, _KANA),
]

_LOGS = (
    "log_chars",
    "log_question_chars",
    "log_option_chars",
    "log_numbers",
    "log_sentences",
    "log_sentence_chars",
    "log_lines",
    "log_line_chars",
    "log_commands",
    "log_operators",
    "log_long",
)
# Share of the characters that are of some kinds, and the factor that brings it near 1.
_SHARES: dict[str, tuple[float, tuple[int, ...]]] = {
    "digit_share": (1.0, (_DIGIT, _NUMBER)),
    "upper_share": (1.0, (_UPPER, _A_TO_J, _CAPITALISED, _OPTION)),
    "capitalised_share": (10.0, (_CAPITALISED,)),
    "command_share": (10.0, (_COMMAND,)),
    "operator_share": (10.0, (_OPERATOR,)),
    "script_share": (10.0, (_SCRIPT,)),
    "dollar_share": (10.0, (_DOLLAR,)),
    "bracket_share": (10.0, (_BRACKET,)),
    "paren_share": (10.0, (_OPEN, _CLOSE)),
    "code_share": (10.0, (_CODE,)),
    "quote_share": (10.0, (_QUOTE,)),
    "comma_share": (10.0, (_COMMA,)),
    "colon_share": (10.0, (_COLON,)),
    "percent_share": (10.0, (_PERCENT,)),
    "question_share": (10.0, (_QUESTION,)),
    "bang_share": (10.0, (_BANG,)),
    "maths_share": (10.0, (_MATHS,)),
    "symbol_share": (1.0, (_SYMBOL,)),
    "latin_share": (1.0, (_LATIN,)),
    "cyrillic_share": (1.0, (_CYRILLIC,)),
    "arabic_share": (1.0, (_ARABIC,)),
    "indic_share": (1.0, (_INDIC,)),
    "hangul_share": (1.0, (_HANGUL,)),
    "kana_share": (1.0, (_KANA,)),
    "han_share": (1.0, (_HAN,)),
    "blank_share": (1.0, (_SPACE, _NEWLINE, _BLANK_LINE)),
}
_OTHERS = ("options", "has_options", "number_density", "numbers_in_options")

SURFACE_NAMES: tuple[str, ...] = (*_LOGS, *_SHARES, *_OTHERS)
"""Names of the surface features, in order."""
BREVITY_NAMES: tuple[str, ...] = ("few_words", "no_words")
"""Names of the brevity features, in order."""
_HAN_SHARE, _KANA_SHARE = (SURFACE_NAMES.index(name) for name in ("han_share", "kana_share"))
_LOG_CHARS = SURFACE_NAMES.index("log_chars")
_DENSE_WORD_CHARS = 2.0


def clip_text(text: str) -> str:
    """Return the part of a text that is looked at: the first and the last 4,000 characters.

    Tasks stand at the beginning or at the end of a long prompt; what lies between is material.
    """
    if len(text) <= HEAD_CHARS + TAIL_CHARS:
        return text
    return f"{text[:HEAD_CHARS]}\n{text[-TAIL_CHARS:]}"


def surface_features(texts: Sequence[str]) -> NDArray[np.float32]:
    """Return the features named by `SURFACE_NAMES` of n clipped texts: (n, 40), in [0, 3]."""
    # Every text stands between two line breaks, whether it is alone or in a batch.
    codes = np.frombuffer(
        "\n".join(["", *texts, ""]).encode("utf-32-le", "surrogatepass"), dtype=np.uint32
    )
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)) + 1
    starts = np.cumsum(lengths) - lengths
    kinds = _kinds(codes)
    rows = np.repeat(np.arange(len(texts), dtype=np.int64) * _KINDS, lengths)
    rows += kinds
    counts = np.bincount(rows, minlength=len(texts) * _KINDS).reshape(-1, _KINDS)
    question_chars, numbers_in_options = _options(codes[1:], kinds, starts, lengths)
    return _features(counts.astype(np.float32), lengths, question_chars, numbers_in_options)


def brevity_features(surface: NDArray[np.float32], words: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return 1 / (1 + the number of words), and whether there is none: shape (n, 2).

    Where words are written without spaces, two characters are taken for a word.

    Parameters
    ----------
    surface
        Shape (n, 40): the same texts' surface features.
    words
        Shape (n,): the number of their runs of letters.
    """
    chars = np.expm1(3.0 * surface[:, _LOG_CHARS])
    dense = (surface[:, _HAN_SHARE] + surface[:, _KANA_SHARE]) * chars / _DENSE_WORD_CHARS
    number = np.maximum(words, dense)
    features = np.empty((len(words), len(BREVITY_NAMES)), dtype=np.float32)
    features[:, 0] = 1.0 / (1.0 + number)
    features[:, 1] = number < 0.5
    return features


@cache
def _kind_table() -> NDArray[np.uint8]:
    table = np.full(0x10000, _OTHER, dtype=np.uint8)
    for first, end, kind in _RANGES:
        table[first:end] = kind
    for kind, characters in _CHARACTERS.items():
        table[[ord(character) for character in characters]] = kind
    table.flags.writeable = False
    return table


def _kinds(codes: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """Return the kind of every character but the first, which only is the second's neighbour."""
    alone = _kind_table().take(codes, mode="clip")
    if int(codes.max()) > 0xFFFF:
        alone[codes > 0xFFFF] = _SYMBOL
        alone[(codes >= 0x20000) & (codes < 0x33480)] = _HAN
    by_next, by_previous = _neighbour_tables()
    keys = alone.astype(np.uint16)
    keys[:-1] += alone[1:] * np.uint16(64)
    kinds = by_next.take(keys[1:])
    keys = kinds.astype(np.uint16)
    keys += alone[:-1] * np.uint16(64)
    return by_previous.take(keys)


@cache
def _neighbour_tables() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return kind by (kind + 64 * next kind), and by (that kind + 64 * previous kind)."""
    by_next = np.tile(np.arange(64, dtype=np.uint8), (64, 1)).T.copy()
    by_next[_BACKSLASH, [_LOWER, _UPPER, _A_TO_J]] = _COMMAND
    for mark in (_STOP, _BANG):
        by_next[mark, [_SPACE, _NEWLINE]] = _SENTENCE_END
    for capital in (_UPPER, _A_TO_J):
        by_next[capital, _LOWER] = _CAPITALISED
    by_next[_A_TO_J, [_STOP, _CLOSE]] = _MAYBE_OPTION
    by_previous = np.tile(np.arange(64, dtype=np.uint8), (64, 1)).T.copy()
    by_previous[_DIGIT, :] = _NUMBER
    by_previous[_DIGIT, _DIGIT] = _DIGIT
    by_previous[_NEWLINE, _NEWLINE] = _BLANK_LINE
    by_previous[_MAYBE_OPTION, :] = _A_TO_J
    by_previous[_MAYBE_OPTION, [_SPACE, _NEWLINE, _OPEN]] = _OPTION
    return by_next.T.ravel().copy(), by_previous.T.ravel().copy()


def _options(
    codes: NDArray[np.uint32],
    kinds: NDArray[np.uint8],
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the characters before the options, and the numbers in them, of every text."""
    ends = starts + lengths
    first = np.flatnonzero(kinds == _OPTION)
    if not first.size:
        return lengths.astype(np.float32), np.zeros(len(lengths), dtype=np.float32)
    first = first[codes[first] == 0x41]
    position = np.searchsorted(first, starts)
    split = ends.copy()
    if first.size:
        candidate = first[np.minimum(position, first.size - 1)]
        inside = (position < first.size) & (candidate < ends)
        split[inside] = candidate[inside]
    numbers = np.flatnonzero(kinds == _NUMBER)
    in_options = np.searchsorted(numbers, ends) - np.searchsorted(numbers, split)
    return (split - starts).astype(np.float32), in_options.astype(np.float32)


def _features(
    counts: NDArray[np.float32],
    lengths: NDArray[np.int64],
    question_chars: NDArray[np.float32],
    numbers_in_options: NDArray[np.float32],
) -> NDArray[np.float32]:
    chars = lengths.astype(np.float32)
    options = np.minimum(counts[:, _OPTION], 10.0)
    has_options = options >= 3.0
    question = np.where(has_options, np.maximum(question_chars, 1.0), chars)
    in_options = np.where(has_options, numbers_in_options, np.float32(0.0))
    features = np.empty((len(chars), len(SURFACE_NAMES)), dtype=np.float32)
    logs = features[:, : len(_LOGS)]
    np.matmul(counts, _sum_matrix(), out=logs)
    logs[:, 3] -= in_options
    features[:, -2] = logs[:, 3] / np.sqrt(question)
    logs[:, 4] += 1.0
    logs[:, 6] += 1.0
    logs[:, 0] = chars
    logs[:, 1] = question
    logs[:, 2] = chars - question
    logs[:, 5] = question / logs[:, 4]
    logs[:, 7] = chars / logs[:, 6]
    # Below this length a text is just short: a terse question may be hard, a greeting is not.
    logs[:, 10] = np.maximum(chars, _SHORT_CHARS)
    np.log1p(logs, out=logs)
    logs /= 3.0
    shares = features[:, len(_LOGS) : -len(_OTHERS)]
    np.matmul(counts, _share_matrix(), out=shares)
    shares /= chars[:, None]
    features[:, -4] = options / 10.0
    features[:, -3] = has_options
    features[:, -1] = in_options / np.maximum(options, 1.0) / 3.0
    return np.minimum(features, 3.0, out=features)


@cache
def _sum_matrix() -> NDArray[np.float32]:
    """Return which kinds add up to which of `_LOGS`: shape (kinds, logs)."""
    matrix = np.zeros((_KINDS, len(_LOGS)), dtype=np.float32)
    sums = {
        "log_numbers": (_NUMBER,),
        "log_sentences": (_SENTENCE_END, _QUESTION),
        "log_lines": (_NEWLINE, _BLANK_LINE),
        "log_commands": (_COMMAND,),
        "log_operators": (_OPERATOR,),
    }
    for name, kinds in sums.items():
        matrix[list(kinds), _LOGS.index(name)] = 1.0
    return matrix


@cache
def _share_matrix() -> NDArray[np.float32]:
    matrix = np.zeros((_KINDS, len(_SHARES)), dtype=np.float32)
    for column, (factor, kinds) in enumerate(_SHARES.values()):
        matrix[list(kinds), column] = factor
    return matrix
