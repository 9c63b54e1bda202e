"""Several embedders as one."""

import numpy as np
import pytest

from routellm_core import ConfigurationError, RouterError
from routellm_core.embedders import load_embedder
from routellm_core.embedders.joined import JoinedEmbedder
from routellm_core.testing import HashingEmbedder

TEXTS = ["What is 7 + 5?", "Prove that 7 is odd.", ""]


def test_the_cosine_of_joined_vectors_is_the_mean_of_their_parts() -> None:
    parts = HashingEmbedder(dimension=16), HashingEmbedder(dimension=64)
    joined = JoinedEmbedder(*parts).embed(TEXTS)
    assert joined.shape == (3, 80)
    assert joined.dtype == np.float32

    def cosine(vectors: np.ndarray) -> float:
        left, right = vectors[:2]
        return float(left @ right / np.linalg.norm(left) / np.linalg.norm(right))

    assert cosine(joined) == pytest.approx(np.mean([cosine(part.embed(TEXTS)) for part in parts]))


def test_a_name_of_several_makes_them_all() -> None:
    joined = load_embedder("bundled+bundled")
    bundled = load_embedder("bundled")
    assert isinstance(joined, JoinedEmbedder)
    assert joined.identity == f"{bundled.identity}+{bundled.identity}"
    assert load_embedder(joined.identity).embed(TEXTS).shape == joined.embed(TEXTS).shape


def test_a_part_without_a_name_leaves_the_whole_without_one() -> None:
    nameless = HashingEmbedder(dimension=8)
    nameless.identity = None
    assert JoinedEmbedder(HashingEmbedder(dimension=8), nameless).identity is None


def test_one_embedder_is_not_joined_and_an_unknown_part_is_named() -> None:
    with pytest.raises(ConfigurationError, match="at least 2"):
        JoinedEmbedder(HashingEmbedder(dimension=8))
    with pytest.raises(ConfigurationError, match="'nonsense'"):
        load_embedder("bundled+nonsense")


def test_a_part_that_returns_a_nan_is_refused() -> None:
    class Broken:
        def embed(self, texts):
            return np.full((len(texts), 4), np.nan)

    with pytest.raises(RouterError, match="NaN"):
        JoinedEmbedder(HashingEmbedder(dimension=8), Broken()).embed(TEXTS)
