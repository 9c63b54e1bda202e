"""The bundled embedder: one vector a text, whatever the text is."""

import pickle

import numpy as np
import pytest

from routellm_core.checkpoints import Checkpoint
from routellm_core.embedders._surface import (
    SURFACE_NAMES,
    brevity_features,
    clip_text,
    surface_features,
)
from routellm_core.embedders._words import fold, pieces_of, words_of
from routellm_core.embedders.bundled import BundledEmbedder
from routellm_core.errors import CheckpointError

TEXTS = [
    "",
    "Hi!",
    "What is 12 x 3?\nA. 36\nB. 40\nC. 15\nD. 1",
    "\n\nA. first\n",
    "Descreva a equação de Navier-Stokes",
    "解释量子纠缠。",
    "상태 방정식",
    "नमस्ते दुनिया",
    "😀🙃" * 20,
    "\ud800 lone",
    "a\x00b",
    "x" * 20_000,
    "zyzzyva qwrtpsdf",
]


@pytest.fixture(scope="module")
def embedder() -> BundledEmbedder:
    return BundledEmbedder()


def feature(text: str, name: str) -> float:
    return float(surface_features([text])[0, SURFACE_NAMES.index(name)])


def test_a_batch_gives_every_text_the_vector_it_has_alone(embedder: BundledEmbedder) -> None:
    batch = embedder.embed(TEXTS)
    alone = np.concatenate([embedder.embed([text]) for text in TEXTS])
    np.testing.assert_allclose(batch, alone, rtol=0, atol=1e-5)
    np.testing.assert_allclose(embedder.embed(TEXTS[::-1])[::-1], batch, rtol=0, atol=1e-5)


def test_vectors_are_finite_float32_of_the_stated_dimension(embedder: BundledEmbedder) -> None:
    vectors = embedder.embed(TEXTS)
    assert vectors.shape == (len(TEXTS), embedder.dimension)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    assert embedder.embed([]).shape == (0, embedder.dimension)


def test_batches_longer_than_a_chunk_keep_their_order(embedder: BundledEmbedder) -> None:
    texts = [f"{'word ' * 2000}{number}" for number in range(60)] + ["Hi!"]
    vectors = embedder.embed(texts)
    np.testing.assert_allclose(vectors[-1], embedder.embed(["Hi!"])[0], rtol=0, atol=1e-5)
    np.testing.assert_allclose(vectors[31], embedder.embed([texts[31]])[0], rtol=0, atol=1e-5)


def test_only_the_head_and_the_tail_of_a_long_text_count(embedder: BundledEmbedder) -> None:
    head, tail = "Prove it. " * 400, "Thank you " * 400
    one, two = (embedder.embed([head + middle * 50_000 + tail]) for middle in ("spam ", "eggs "))
    np.testing.assert_array_equal(one, two)
    assert clip_text("x" * 8000) == "x" * 8000
    assert clip_text("a" * 4000 + "b" + "c" * 4000) == "a" * 4000 + "\n" + "c" * 4000


def test_the_identity_names_the_tables(embedder: BundledEmbedder) -> None:
    assert embedder.identity == BundledEmbedder().identity
    assert embedder.identity.startswith("bundled-")
    assert len(embedder.identity) > len("bundled-") + 8


def test_pickling_keeps_the_vectors(embedder: BundledEmbedder) -> None:
    blob = pickle.dumps(embedder)
    assert len(blob) < 1000, "the bundled tables are found again, not copied"
    np.testing.assert_array_equal(pickle.loads(blob).embed(TEXTS), embedder.embed(TEXTS))


def test_tables_of_another_kind_are_refused() -> None:
    with pytest.raises(CheckpointError, match="bundled-embedder"):
        BundledEmbedder(Checkpoint(router="mf"))


def tiny_tables() -> Checkpoint:
    """Two words of two-dimensional meaning, one topic and a weight; two pieces of nothing."""
    rows = np.array([[60, 0, 40, 20], [0, 20, -20, 20], [0, 0, 0, 10], [0, 0, 0, 10]], np.int8)
    return Checkpoint(
        router="bundled-embedder",
        parameters={"topics": 1, "checksum": "tiny"},
        tensors={
            "words": np.frombuffer(b"good\nbad", dtype=np.uint8),
            "scale": np.full(4, 0.5, dtype=np.float32),
            "rows": rows,
        },
    )


def test_word_rows_add_up_to_what_a_hand_computes() -> None:
    embedder = BundledEmbedder(tiny_tables())
    assert embedder.identity == "bundled-tiny"
    vector = embedder.embed(["Good, bad: GOOD!"])[0]
    # The sum of the meanings is (60, 10), of length sqrt(3700); the topics weigh 30 over 30.
    length = 3700**0.5
    np.testing.assert_allclose(vector[:2], [60 / (length + 20), 10 / (length + 20)], rtol=1e-6)
    assert vector[2] == pytest.approx((20 + 20 - 10) / 30)


def test_tables_made_before_brevity_was_added_keep_their_vectors() -> None:
    older, newer = tiny_tables(), tiny_tables()
    newer.parameters["brevity"] = True
    texts = ["Good, bad: GOOD!", "2+2", ""]
    without, with_it = (BundledEmbedder(tables) for tables in (older, newer))
    assert without.dimension == 2 + 1 + len(SURFACE_NAMES)
    assert with_it.dimension == without.dimension + 2
    assert without.parts["brevity"] == slice(without.dimension, without.dimension)
    vectors = with_it.embed(texts)
    np.testing.assert_array_equal(vectors[:, : without.dimension], without.embed(texts))
    np.testing.assert_allclose(vectors[:, -2:], [[1 / 4, 0], [1, 1], [1, 1]], rtol=1e-6)


@pytest.mark.parametrize(
    ("text", "words"),
    [("Go on", 2), ("a b c d e f g h i j k", 11), ("继续写下去吧", 3), ("続き", 1)],
)
def test_brevity_counts_words_and_pairs_of_characters_where_there_are_no_spaces(
    text: str, words: int
) -> None:
    few, none = brevity_features(surface_features([text]), np.array([len(words_of(text))]))[0]
    assert few == pytest.approx(1 / (1 + words), rel=1e-3)
    assert none == 0.0


def test_words_are_folded_across_scripts() -> None:
    assert fold("Équação ШРЁДИНГЕР") == "equacao shredinger"
    assert words_of("Schrödinger's 2 cats") == ["schrodinger", "s", "cats"]
    assert words_of("जटिल समीकरण") == ["जटिल", "समीकरण"]


def test_relatives_share_pieces_and_strangers_do_not() -> None:
    def pieces(word: str) -> set[int]:
        (group,) = pieces_of([word], buckets=2**15)
        return set(group.buckets[group.shares > 0].tolist())

    assert len(pieces("theorem") & pieces("theorems")) >= 10
    assert not pieces("theorem") & pieces("banana")
    assert pieces("量子") & pieces("量"), "dense scripts share single characters"


def test_the_shares_of_a_words_pieces_add_up_to_one() -> None:
    for group in pieces_of(["a", "theorem", "量子力学", "x" * 500], buckets=2**10):
        sums = np.bincount(group.words, group.shares.sum(axis=1), minlength=4)
        np.testing.assert_allclose(sums[np.unique(group.words)], 1.0, rtol=1e-4)


def test_surface_features_count_what_they_say() -> None:
    text = "Find 12 x 3.5.\nA. 10\nB. 36\nC. 4\nD. 5"
    assert feature(text, "options") == pytest.approx(0.4)
    assert feature(text, "has_options") == 1.0
    # 12, 3 and 5 stand in the question; four numbers in four options.
    assert feature(text, "log_numbers") == pytest.approx(np.log1p(3) / 3)
    assert feature(text, "numbers_in_options") == pytest.approx(1 / 3)
    assert feature(r"\frac{1}{2}", "log_commands") == pytest.approx(np.log1p(1) / 3)
    assert feature("量子", "han_share") == pytest.approx(2 / 3)
    assert feature("Hi", "log_long") == feature("H" * 150, "log_long")
    assert feature("x" * 500, "log_long") > feature("x" * 300, "log_long")
