"""Find training prompts among benchmark prompts: equal ones, and nearly equal ones.

Texts are compared as sets of five-character shingles of their lower-cased letters and digits.
MinHash signatures find pairs that may be near, and their shingles' true Jaccard similarity decides.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from routellm_core.errors import ConfigurationError
from routellm_core.evaluation.shingles import (
    BAND_ROWS,
    N_HASHES,
    SLACK,
    exact_form,
    jaccard,
    pieces,
    signatures,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Match", "Overlap", "find_matches", "overlap", "uncontaminated"]

_SHOWN = 20
_KEPT = 100
_NOT_EQUAL = 0.9999
_BREAK = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class Match:
    """A training prompt that is, or nearly is, a benchmark prompt.

    Parameters
    ----------
    train_index, test_index
        Places in the two lists.
    similarity
        Jaccard similarity of their shingles; 1 for texts that are equal but for case and spaces.
    """

    train_index: int
    test_index: int
    similarity: float


@dataclass(frozen=True, slots=True)
class Overlap:
    """How much of a benchmark stands in training data.

    Parameters
    ----------
    n_train, n_test
        How many prompts were compared.
    n_exact, n_near
        Benchmark prompts with an equal training prompt, and others with a near one.
    threshold
        The similarity from which a pair is near.
    shown
        The beginnings of up to 20 benchmark prompts that were found, the most similar first.
    """

    n_train: int
    n_test: int
    n_exact: int
    n_near: int
    threshold: float
    shown: tuple[str, ...]


def overlap(train: Sequence[str], test: Sequence[str], *, threshold: float = 0.8) -> Overlap:
    """Return how much of a benchmark stands in training data; see `find_matches`.

    Examples
    --------
    >>> overlap(["What is 2 + 2?"], ["what is  2 + 2 ?", "Name a river."]).n_exact
    1
    """
    matches = find_matches(train, test, threshold=threshold)
    best: dict[int, float] = {}
    for match in matches:
        best[match.test_index] = max(match.similarity, best.get(match.test_index, 0.0))
    ordered = sorted(best, key=lambda index: (-best[index], index))
    n_exact = sum(similarity == 1.0 for similarity in best.values())
    return Overlap(
        n_train=len(train),
        n_test=len(test),
        n_exact=n_exact,
        n_near=len(best) - n_exact,
        threshold=threshold,
        shown=tuple(" ".join(test[index].split())[:_KEPT] for index in ordered[:_SHOWN]),
    )


def uncontaminated(
    train: Sequence[str], test: Sequence[str], *, threshold: float = 0.8
) -> NDArray[np.bool_]:
    """Return which training prompts are neither equal nor near to any benchmark prompt.

    What to train on, so that the benchmark measures something. Every copy of a prompt that is in
    `train` more than once is left out.

    Parameters
    ----------
    train, test, threshold
        As for `find_matches`.

    Returns
    -------
    Shape (len(train),).

    Examples
    --------
    >>> uncontaminated(["Name a river.", "2 + 2?", "name a  river."], ["Name a river."]).tolist()
    [False, True, False]
    """
    matched = {
        exact_form(train[m.train_index]) for m in find_matches(train, test, threshold=threshold)
    }
    return np.array([exact_form(text) not in matched for text in train], dtype=np.bool_)


def find_matches(
    train: Sequence[str], test: Sequence[str], *, threshold: float = 0.8
) -> list[Match]:
    """Return all pairs of equal texts, and nearly all pairs at least this similar.

    Parameters
    ----------
    train, test
        Texts. Blank ones match nothing.
    threshold
        Jaccard similarity in [0.5, 1]. Of pairs with similarity 0.8 fewer than one in a thousand
        are missed, with 0.5 about one in eight.

    Returns
    -------
    Sorted by place in `test`, then in `train`. Each text of `train` that is there twice counts
    once, at its first place.

    Raises
    ------
    ConfigurationError
        If `threshold` is outside [0.5, 1].

    References
    ----------
    Broder, On the resemblance and containment of documents, 1997.
    """
    if not 0.5 <= threshold <= 1.0:
        raise ConfigurationError(f"`threshold` must lie in [0.5, 1], got {threshold!r}.")
    first_place: dict[str, int] = {}
    for index, text in enumerate(train):
        first_place.setdefault(exact_form(text), index)
    first_place.pop("", None)
    found = {
        (index, first_place[form]): 1.0
        for index, form in enumerate(map(exact_form, test))
        if form in first_place
    }
    places = list(first_place.values())
    trains, tests = [_words(train[place]) for place in places], [_words(text) for text in test]
    for index, row in _candidates(trains, tests, threshold=threshold):
        pair = index, places[row]
        if pair not in found:
            similarity = jaccard(np.unique(pieces(tests[index])), np.unique(pieces(trains[row])))
            if similarity >= threshold:
                found[pair] = min(similarity, _NOT_EQUAL)
    return [Match(place, index, similarity) for (index, place), similarity in sorted(found.items())]


def _candidates(trains: list[str], tests: list[str], *, threshold: float) -> list[tuple[int, int]]:
    """Return (test, train) rows whose signatures agree in a band, and nearly often enough."""
    train_signatures, test_signatures = signatures(trains), signatures(tests)
    found: set[tuple[int, int]] = set()
    for band in range(0, N_HASHES, BAND_ROWS):
        buckets: dict[bytes, list[int]] = {}
        for row, part in enumerate(train_signatures[:, band : band + BAND_ROWS]):
            buckets.setdefault(part.tobytes(), []).append(row)
        for index, part in enumerate(test_signatures[:, band : band + BAND_ROWS]):
            if tests[index]:
                rows = buckets.get(part.tobytes(), ())
                found.update((index, row) for row in rows if trains[row])
    if not found:
        return []
    pairs = np.array(sorted(found))
    agreement = (test_signatures[pairs[:, 0]] == train_signatures[pairs[:, 1]]).mean(axis=1)
    # Agreement estimates the similarity with a standard deviation of at most 0.045.
    kept = pairs[agreement >= threshold - SLACK]
    return [(int(index), int(row)) for index, row in kept]


def _words(text: str) -> str:
    """Return lower-cased letters and digits, with single spaces between them."""
    return _BREAK.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip()
