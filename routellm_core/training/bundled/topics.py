"""How much a word belongs to hard requests: fitted on seed prompts and lexicons of 12 languages.

A word's topic is the mean over its hashed pieces, a text's the mean over its words, so that words
never seen share what their relatives have, across languages where roots are shared.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from routellm_core.embedders._surface import brevity_features, surface_features
from routellm_core.embedders._words import words_of
from routellm_core.embedders.bundled import BundledEmbedder
from routellm_core.training.bundled.sparse import SparseRows, solve_ridge, word_rows
from routellm_core.training.bundled.tables import embedder_tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from routellm_core.training.bundled.meaning import Meaning

__all__ = [
    "SEEDS",
    "Seed",
    "fit_topics",
    "held_out_topics",
    "paste_seeds",
    "read_lexicon",
    "read_seeds",
    "text_rows",
]

SEEDS = Path(__file__).parent.parent / "seeds"
_PASTED_CHARS = 150
# Large enough for the ridge penalty to leave the effect of brevity alone.
_BREVITY_SCALE = 3.0
_LEVELS = {"easy": -1.0, "medium": 0.0, "hard": 1.0}
_SCIENCES = {
    "astronomy", "astrophysics", "biology", "chemistry", "engineering", "fluids", "maths",
    "medicine", "neuroscience", "number_theory", "pharmacology", "physics", "quantum_computing",
    "robotics", "statistics", "geology", "geodesy", "epidemiology", "ecology",
}  # fmt: skip
_COMPUTING = {"code", "cryptography", "cs", "distributed", "ml", "security"}


@dataclass(frozen=True, slots=True)
class Seed:
    """A hand-written prompt: see the README beside the file."""

    prompt: str
    language: str
    level: str
    kind: str
    held_out: bool
    pasted: bool = False
    """Whether the request stands in pasted material, which says nothing of its level."""

    @property
    def targets(self) -> tuple[float, float, float]:
        """Hardness in [-1, 1]; whether it is hard science; whether it is computing."""
        hard = self.level == "hard"
        return (
            _LEVELS[self.level],
            float(hard and self.kind in _SCIENCES),
            float(self.level != "easy" and self.kind in _COMPUTING),
        )


def read_seeds() -> list[Seed]:
    """Read the seed prompts that come with the package."""
    lines = (SEEDS / "prompts.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines if line.strip()]
    return [
        Seed(row["prompt"], row["language"], row["level"], row["kind"], row["split"] == "heldout")
        for row in rows
    ]


def paste_seeds(seeds: Sequence[Seed], *, each: int = 3, seed: int = 0) -> list[Seed]:
    """Put requests into pasted material: the same pastes around easy and around hard ones.

    Parameters
    ----------
    seeds
        Where requests are drawn from: those of the paste's language and split, short enough.
    each
        How many easy and how many hard ones every paste gets.
    seed
        Of the draw.
    """
    rng = np.random.default_rng(seed)
    lines = (SEEDS / "pastes.jsonl").read_text(encoding="utf-8").splitlines()
    found = []
    for row in map(json.loads, lines):
        held_out = row["split"] == "heldout"
        for level in ("easy", "hard"):
            fitting = [
                own
                for own in seeds
                if (own.language, own.level, own.held_out) == (row["language"], level, held_out)
                and len(own.prompt) < _PASTED_CHARS
            ]
            for index in rng.permutation(len(fitting))[:each].tolist():
                own = fitting[index]
                prompt = row["paste"].replace("{request}", own.prompt)
                found.append(replace(own, prompt=prompt, pasted=True))
    return found


def fit_topics(
    seeds: Sequence[Seed],
    meaning: Meaning,
    *,
    lexicon_weight: float = 0.3,
    vocabulary_weight: float = 0.01,
    ridge: float = 0.005,
) -> NDArray[np.float32]:
    """Fit the topics of hashed pieces by ridge regression.

    Three kinds of rows teach them: seed prompts; the lexicons' stems, hard or easy; and the English
    vocabulary, labelled by a regression of the lexicons on word vectors, for cognates. That a seed
    prompt is short is fitted beside its words and not kept: "why?" is easy because nothing follows,
    not because of its word.

    Parameters
    ----------
    seeds
        Prompts to fit on; leave held-out ones away.
    meaning
        Word vectors and the number of pieces.
    lexicon_weight, vocabulary_weight
        What a row of either kind counts, a seed prompt being 1; 0 leaves the kind away.
    ridge
        Penalty on the squared topics.

    Returns
    -------
    Shape (buckets, 3), the columns as in `Seed.targets`.
    """
    texts = [seed.prompt for seed in seeds]
    brevity = [np.stack([np.ones(len(seeds)), _BREVITY_SCALE * _few_words(texts)], axis=1)]
    targets = [np.array([seed.targets for seed in seeds])]
    weights = [np.ones(len(seeds))]
    if lexicon_weight > 0.0:
        stems, hardness = read_lexicon()
        texts += stems
        targets.append(np.stack([hardness, 0.0 * hardness, 0.0 * hardness], axis=1))
        weights.append(np.full(len(stems), lexicon_weight))
    if vocabulary_weight > 0.0:
        labels = _vocabulary_hardness(meaning)
        texts += meaning.words
        targets.append(np.stack([labels, 0.0 * labels, 0.0 * labels], axis=1))
        weights.append(np.full(len(labels), vocabulary_weight))
    brevity.append(np.zeros((len(texts) - len(seeds), 2)))
    buckets = len(meaning.pieces)
    rows = text_rows(texts, buckets=buckets, beside=np.concatenate(brevity))
    roots = np.sqrt(np.concatenate(weights))
    scaled = np.concatenate(targets) * roots[:, None]
    return solve_ridge(rows.scaled(roots), scaled.astype(np.float32), ridge=ridge)[:buckets]


def held_out_topics(
    seeds: Sequence[Seed], meaning: Meaning, *, folds: int = 5, seed: int = 0
) -> NDArray[np.float32]:
    """Return each seed prompt's topics as fitted without it: shape (n, 3).

    What is fitted on top of topics must see them as they are on new prompts.
    """
    fold_of = np.random.default_rng(seed).permutation(len(seeds)) % folds
    topics = np.zeros((len(seeds), 3), dtype=np.float32)
    for number in range(folds):
        pieces = fit_topics(
            [s for s, f in zip(seeds, fold_of, strict=True) if f != number], meaning
        )
        embedder = BundledEmbedder(embedder_tables(meaning, pieces, training={}))
        out = np.flatnonzero(fold_of == number)
        vectors = embedder.embed([seeds[i].prompt for i in out.tolist()])
        topics[out] = vectors[:, embedder.parts["topics"]]
    return topics


def text_rows(
    texts: Sequence[str], *, buckets: int, beside: NDArray[np.float64] | None = None
) -> SparseRows:
    """Return the matrix that averages pieces over words, and words over texts.

    Its shape is (n, buckets), or (n, buckets + e) with further columns `beside` of shape (n, e).
    """
    words: list[str] = []
    counts = np.zeros(len(texts), dtype=np.int64)
    for index, text in enumerate(texts):
        found = words_of(text)
        words += found
        counts[index] = len(found)
    owner = np.repeat(np.arange(len(texts)), counts)
    factors = 1.0 / counts[owner]
    return word_rows(
        words, buckets=buckets, owner=owner, factors=factors, n=len(texts), beside=beside
    )


def _few_words(texts: Sequence[str]) -> NDArray[np.float64]:
    words = np.array([len(words_of(text)) for text in texts])
    return brevity_features(surface_features(texts), words)[:, 0].astype(np.float64)


def read_lexicon(language: str | None = None) -> tuple[list[str], NDArray[np.float64]]:
    """Return the stems of one language or all, and 1.0 for a hard stem, -1.0 for an easy one."""
    lexicon = json.loads((SEEDS / "lexicon.json").read_text(encoding="utf-8"))
    pairs = [
        (stem, 1.0 if kind.startswith("hard") else -1.0)
        for name, lists in sorted(lexicon.items())
        if language in (None, name)
        for kind, stems in sorted(lists.items())
        for stem in stems
    ]
    return [stem for stem, _ in pairs], np.array([hardness for _, hardness in pairs])


def _vocabulary_hardness(meaning: Meaning) -> NDArray[np.float64]:
    """Label every vocabulary word in (-1, 1), by the English lexicon and the words' vectors."""
    stems, hardness = read_lexicon("en")
    starts: dict[str, float] = {
        stem: hard for stem, hard in zip(stems, hardness, strict=True) if " " not in stem
    }
    lengths = sorted({len(stem) for stem in starts}, reverse=True)
    labels = np.zeros(len(meaning.words))
    for index, word in enumerate(meaning.words):
        labels[index] = next(
            (starts[word[:length]] for length in lengths if word[:length] in starts), 0.0
        )
    vectors = meaning.vectors / meaning.weights[:, None]
    known = labels != 0.0
    x, y = vectors[known].astype(np.float64), labels[known]
    coefficients = np.linalg.solve(x.T @ x + 3.0 * np.eye(x.shape[1]), x.T @ y)
    guessed: NDArray[np.float64] = np.tanh(vectors @ coefficients)
    return np.where(known, labels, guessed)
