"""sw_ranking, knn, cluster and mlp over embeddings small enough to follow by hand."""

import asyncio

import numpy as np
import pytest
from tiny_checkpoints import TableEmbedder

from routellm_core import (
    CheckpointError,
    ConfigurationError,
    DataError,
    ModelPair,
    RouterError,
    UnknownModelError,
    load_router,
    write_checkpoint,
)
from routellm_core.data import read_battles
from routellm_core.routers.cluster import ClusterRouter
from routellm_core.routers.knn import KNNRouter
from routellm_core.routers.mlp import MLPRouter
from routellm_core.routers.similarity import CosineIndex
from routellm_core.routers.sw_ranking import SimilarityWeightedRouter

EMBEDDER = TableEmbedder(
    {"east": [2.0, 0.0], "north": [0.0, 3.0], "north-east": [1.0, 1.0], "nowhere": [0.0, 0.0]}
)
PAIR = ModelPair(strong="big", weak="small")
COMMON = {"embedder": EMBEDDER, "models": ["big", "small", "other"], "pair": PAIR}
# Four training prompts: two to the east, where both are right, and two to the north, where only
# the big one is.
INDEX = CosineIndex.of(np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]]))
OUTCOMES = np.array([[1, 1, np.nan], [1, 1, np.nan], [1, 0, np.nan], [1, 0, 0.5]])


def knn(k: int) -> KNNRouter:
    return KNNRouter(index=INDEX, quality=OUTCOMES, k=k, **COMMON)


def test_knn_averages_the_nearest_prompts() -> None:
    assert knn(2).win_rates(["east", "north"]).tolist() == [0.5, 1.0]
    assert knn(4).win_rates(["east", "north"]).tolist() == [0.75, 0.75]


def test_knn_takes_every_prompt_that_is_as_near_as_the_last() -> None:
    index = CosineIndex.of(np.array([[1.0, 0.0], [3.0, 0.0], [2.0, 0.0]]))
    quality = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.5, 0.0, 0.0]])
    router = KNNRouter(index=index, quality=quality, k=1, **COMMON)
    assert router.quality(["east"])[0, 0] == pytest.approx(0.5)


def test_knn_gives_the_mean_to_a_prompt_like_nothing() -> None:
    assert knn(1).win_rate("nowhere") == pytest.approx(0.75)


def test_knn_falls_back_to_a_models_mean_where_no_neighbour_has_an_outcome() -> None:
    assert knn(1).quality(["east"]).tolist() == [[1.0, 1.0, 0.5]]


@pytest.mark.parametrize("k", [0, -1])
def test_knn_needs_a_neighbour(k: int) -> None:
    with pytest.raises(ConfigurationError, match="at least 1"):
        knn(k)


def test_cluster_gives_the_qualities_of_the_nearest_centre() -> None:
    router = ClusterRouter(
        centres=CosineIndex.of(np.array([[1.0, 0.2], [0.0, 5.0]])),
        table=np.array([[1.0, 0.9, 0.0], [0.8, 0.0, 0.0]]),
        **COMMON,
    )
    assert router.clusters(["east", "north"]).tolist() == [0, 1]
    assert router.clusters([]).shape == (0,)
    np.testing.assert_allclose(router.win_rates(["east", "north"]), [0.55, 0.9])


def test_mlp_is_its_formula() -> None:
    rng = np.random.default_rng(0)
    layers = [(rng.normal(size=(2, 5)), rng.normal(size=5)), (rng.normal(size=(5, 3)), np.ones(3))]
    router = MLPRouter(layers=layers, **COMMON)
    unit = np.array([1.0, 1.0]) / np.sqrt(2.0)
    hidden = np.maximum(0.0, unit @ layers[0][0] + layers[0][1])
    quality = 1.0 / (1.0 + np.exp(-(hidden @ layers[1][0] + 1.0)))
    np.testing.assert_allclose(router.quality(["north-east"])[0], quality, rtol=1e-5)
    assert router.win_rate("north-east") == pytest.approx(0.5 + (quality[0] - quality[1]) / 2, 1e-5)


def test_mlp_refuses_layers_that_do_not_fit() -> None:
    with pytest.raises(ConfigurationError, match="end in 3 outputs"):
        MLPRouter(layers=[(np.ones((2, 4)), np.ones(4)), (np.ones((5, 3)), np.ones(3))], **COMMON)


def test_another_pair_is_two_other_columns(tmp_path) -> None:
    folder = knn(2).save(tmp_path / "knn")
    router = load_router(
        "knn", checkpoint=folder, embedder=EMBEDDER, strong_model="small", weak_model="big"
    )
    assert router.win_rates(["east", "north"]).tolist() == [0.5, 0.0]
    with pytest.raises(UnknownModelError, match="Did you mean 'small'"):
        load_router("knn", checkpoint=folder, embedder=EMBEDDER, weak_model="smal")


def test_a_checkpoint_refuses_another_embedder(tmp_path) -> None:
    folder = knn(2).save(tmp_path / "knn")
    other = TableEmbedder(EMBEDDER.table)
    other.identity = "another"
    with pytest.raises(CheckpointError, match="fitted on embedder 'table', got 'another'"):
        load_router("knn", checkpoint=folder, embedder=other)
    with pytest.raises(CheckpointError, match="has to be passed"):
        load_router("knn", checkpoint=folder)


@pytest.mark.parametrize("name", ["knn", "mlp", "cluster", "sw_ranking"])
def test_a_router_without_a_checkpoint_says_what_to_pass(name: str) -> None:
    with pytest.raises(ConfigurationError, match="checkpoint"):
        load_router(name)


def test_an_embedder_of_another_dimension_is_a_router_error() -> None:
    router = knn(2)
    router.embedder = TableEmbedder({"east": [1.0, 0.0, 0.0]})
    with pytest.raises(RouterError, match="must return shape"):
        router.win_rate("east")


def test_an_embedder_that_returns_a_nan_is_a_router_error() -> None:
    router = knn(2)
    router.embedder = TableEmbedder({"east": [1.0, np.nan]})
    with pytest.raises(RouterError, match="NaN"):
        router.win_rate("east")


def test_what_cannot_embed_is_no_embedder() -> None:
    with pytest.raises(ConfigurationError, match="needs an `embedder`"):
        KNNRouter(index=INDEX, quality=OUTCOMES, k=1, **{**COMMON, "embedder": "text-embedding-3"})


def test_an_async_embedder_is_awaited_and_not_called() -> None:
    class Async(TableEmbedder):
        def embed(self, texts):
            raise AssertionError("blocking")

        async def aembed(self, texts):
            await asyncio.sleep(0)
            return TableEmbedder.embed(self, texts)

    router = KNNRouter(
        index=INDEX, quality=OUTCOMES, k=2, **{**COMMON, "embedder": Async(EMBEDDER.table)}
    )
    win_rates = asyncio.run(router.awin_rates(["east", "north"] * 40))
    assert win_rates.tolist() == [0.5, 1.0] * 40
    assert asyncio.run(router.awin_rates([])).shape == (0,)


BATTLES = [
    {"prompt": p, "model_a": "big", "model_b": "small", "winner": w}
    for p, w in [
        ("east", "tie"),
        ("east", "model_b"),
        ("north", "model_a"),
        ("north", "model_a"),
        ("north", "tie"),
    ]
]


def test_similar_battles_weigh_up_to_ten_times_as_much() -> None:
    router = load_router(
        "sw_ranking",
        battles=BATTLES,
        embedder=EMBEDDER,
        strong_model="big",
        weak_model="small",
        tolerance=1e-10,
    )
    # Similarity 1 weighs 100, similarity 0 weighs 10: wins over weights, exactly.
    assert router.win_rate("east") == pytest.approx((100 * 0.5 + 10 * 2.5) / 230, abs=1e-6)
    assert router.win_rate("north") == pytest.approx((10 * 0.5 + 100 * 2.5) / 320, abs=1e-6)


def test_a_prompt_like_nothing_weighs_all_battles_alike() -> None:
    router = load_router(
        "sw_ranking",
        battles=BATTLES,
        embedder=EMBEDDER,
        strong_model="big",
        weak_model="small",
        tolerance=1e-10,
    )
    assert router.win_rate("nowhere") == pytest.approx(3.0 / 5.0, abs=1e-6)


def test_short_arena_prompts_are_left_out_with_or_without_their_embeddings() -> None:
    rows = [
        {
            "prompt": f'["{"long enough to stay " if i % 2 else "short"}"]',
            "model_a": "big",
            "model_b": "small",
            "winner_model_a": i % 3 == 0,
            "winner_model_b": i % 3 == 1,
        }
        for i in range(12)
    ]
    embeddings = np.random.default_rng(0).normal(size=(12, 2))
    battles = read_battles(rows)
    options = {"embedder": EMBEDDER, "pair": PAIR}
    every = SimilarityWeightedRouter.from_battles(battles, embeddings=embeddings, **options)
    kept = SimilarityWeightedRouter.from_battles(battles, embeddings=embeddings[1::2], **options)
    assert every.win_rate("east") == kept.win_rate("east")
    with pytest.raises(DataError, match="each of 6 battles, got 5"):
        SimilarityWeightedRouter.from_battles(battles, embeddings=embeddings[:5], **options)


def test_embeddings_skip_the_bad_rows_of_the_file() -> None:
    rows = [*BATTLES[:2], {"prompt": "bad"}, *BATTLES[2:]]
    vectors = np.array([EMBEDDER.table.get(row["prompt"], [9.0, 9.0]) for row in rows])
    router = load_router(
        "sw_ranking",
        battles=rows,
        embeddings=vectors,
        embedder=EMBEDDER,
        strong_model="big",
        weak_model="small",
    )
    plain = load_router(
        "sw_ranking", battles=BATTLES, embedder=EMBEDDER, strong_model="big", weak_model="small"
    )
    assert router.win_rate("north") == pytest.approx(plain.win_rate("north"), abs=1e-9)


@pytest.mark.parametrize("content", [b"no array", np.array(["text"]).tobytes()])
def test_a_file_that_is_no_array_is_refused(tmp_path, content) -> None:
    path = tmp_path / "embeddings.npy"
    path.write_bytes(content)
    with pytest.raises(DataError, match="npy"):
        load_router("sw_ranking", battles=BATTLES, embeddings=path, embedder=EMBEDDER)


def test_a_model_without_a_battle_is_named() -> None:
    with pytest.raises(UnknownModelError, match="gpt-4-1106-preview"):
        load_router("sw_ranking", battles=BATTLES, embedder=EMBEDDER)


@pytest.mark.parametrize(
    ("tensor", "value"),
    [
        ("groups.size", np.array([1, 1])),
        ("groups.tiers", np.array([[0, 99], [0, 99], [0, 99]])),
        ("tiers", np.array([0, -1])),
    ],
)
def test_a_checkpoint_with_tiers_or_groups_that_do_not_fit_is_refused(
    tmp_path, tensor, value
) -> None:
    from dataclasses import replace

    router = load_router(
        "sw_ranking", battles=BATTLES, embedder=EMBEDDER, strong_model="big", weak_model="small"
    )
    checkpoint = router._to_checkpoint()
    wrong = replace(checkpoint, tensors={**checkpoint.tensors, tensor: value})
    write_checkpoint(wrong, tmp_path / "wrong")
    with pytest.raises(CheckpointError):
        load_router("sw_ranking", checkpoint=tmp_path / "wrong", embedder=EMBEDDER)
