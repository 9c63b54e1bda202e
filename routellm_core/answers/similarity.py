"""`bert_sim`: how near two texts are, as the cosine of their pooled embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from routellm_core.embedders import load_embedder
from routellm_core.embedders.base import check_embeddings, identity_of, unit_rows
from routellm_core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from routellm_core.embedders import Embedder

__all__ = ["bert_sim", "embedder_of"]


def bert_sim(
    candidates: Sequence[str],
    references: Sequence[str],
    *,
    embedder: Embedder | str = "bundled",
) -> NDArray[np.float64]:
    """Return the cosine of each candidate's embedding with its reference's.

    It compares texts as wholes, and is not `bert_score`, which matches their tokens.

    Parameters
    ----------
    candidates, references
        n texts each.
    embedder
        Makes one vector of a text: its pooling is part of it, and its `identity` names both. A name
        as `load_embedder` takes it, for example "sentence-transformers:MODEL". Of the bundled
        embedder's vectors only the part for meaning is compared.

    Returns
    -------
    Shape (n,), each in [-1, 1]; 0 where an embedding is all zeros.

    Raises
    ------
    ConfigurationError
        If there are not as many candidates as references.
    RouterError
        If the embedder does not return one finite vector for each text.

    References
    ----------
    "BERTSim" in TO-Router, and the cosine of sentence embeddings in Reimers and Gurevych,
    Sentence-BERT, arXiv:1908.10084.

    Examples
    --------
    >>> bert_sim(["A lake in Italy."], ["A lake in Italy."]).round(6)
    array([1.])
    """
    if len(candidates) != len(references):
        raise ConfigurationError(
            f"`candidates` and `references` must be of one length, got {len(candidates)} and "
            f"{len(references)}."
        )
    if not len(candidates):
        return np.empty(0)
    # Answers repeat: each text is embedded once.
    texts = list(dict.fromkeys([*candidates, *references]))
    vectors = check_embeddings(embedder_of(embedder).embed(texts), n=len(texts))
    units = unit_rows(vectors).astype(np.float64)
    rows = {text: row for row, text in enumerate(texts)}
    left = units[[rows[text] for text in candidates]]
    right = units[[rows[text] for text in references]]
    cosines: NDArray[np.float64] = np.clip((left * right).sum(axis=1), -1.0, 1.0)
    return cosines


def embedder_of(embedder: Embedder | str) -> Embedder:
    """Return the embedder that a name stands for, or the embedder itself; see `bert_sim`."""
    found = load_embedder(embedder) if isinstance(embedder, str) else embedder
    parts = getattr(found, "parts", None)
    return _Meaning(found, parts["meaning"]) if isinstance(parts, dict) else found


class _Meaning:
    """The meaning in the bundled embedder's vectors.

    Their other parts tell how a text looks and what kind of request it is, and are nearly alike for
    any two answers.
    """

    def __init__(self, embedder: Embedder, part: slice) -> None:
        self._embedder, self._part = embedder, part
        self.identity = f"{identity_of(embedder)}:meaning"

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self._embedder.embed(texts)[:, self._part]
