"""Routers from scratch beside the corrected prior: the more labels, the more they count."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import numpy as np
import pytest
from planted import PAIR, battle_rows, outcome_rows, planted

from routellm_core import (
    CheckpointError,
    ConfigurationError,
    ModelPair,
    load_router,
    read_checkpoint,
    write_checkpoint,
)
from routellm_core.data import read_battles, read_outcomes
from routellm_core.routers.adapted import AdaptedRouter
from routellm_core.testing import HashingEmbedder
from routellm_core.training import train_adapted, train_cluster, train_knn
from routellm_core.training.adapted import scratch_share
from routellm_core.training.folds import folds_of

EMBEDDER = HashingEmbedder(dimension=32)
DATA = read_outcomes(outcome_rows(*planted(60, seed=1)))
QUICK = ("knn", "cluster")


def train(data=DATA, **options):
    return train_adapted(
        data, **{"pair": PAIR, "embedder": EMBEDDER, "from_scratch": QUICK, **options}
    )


@pytest.fixture(scope="module")
def result():
    return train()


@pytest.mark.parametrize(
    ("n", "share"), [(1, 0.0), (10, 0.0), (100, 0.4), (1000, 0.8), (100_000, 0.8)]
)
def test_the_share_grows_with_the_logarithm_of_the_number_of_labels(n: int, share: float) -> None:
    assert scratch_share(n) == pytest.approx(share)


def test_they_are_what_their_trainers_make_of_the_same_labels(result) -> None:
    prompts = planted(50, seed=9)[0]
    for name, trainer in (("knn", train_knn), ("cluster", train_cluster)):
        alone = trainer(DATA, pair=PAIR, embedder=EMBEDDER).router
        found = result.router.scratch[name]
        np.testing.assert_array_equal(found.raw_win_rates(prompts), alone.raw_win_rates(prompts))
        assert found.embedder is EMBEDDER


def test_the_win_rate_is_the_weighted_mean(result) -> None:
    prompts = planted(50, seed=9)[0]
    router = result.router
    share = scratch_share(len(DATA))
    assert router.scratch_share == result.settings["scratch_share"] == share > 0.3
    alone = AdaptedRouter(
        prior=router.prior, correction=router.correction, embedder=EMBEDDER, pair=PAIR
    ).raw_win_rates(prompts)
    others = np.mean([each.raw_win_rates(prompts) for each in router.scratch.values()], axis=0)
    expected = (1.0 - share) * alone + share * others
    np.testing.assert_allclose(router.raw_win_rates(prompts), expected, atol=1e-12)
    np.testing.assert_allclose(asyncio.run(router.araw_win_rates(prompts)), expected, atol=1e-12)


def test_up_to_ten_labels_there_are_none() -> None:
    few = read_outcomes(outcome_rows([f"Question {n}" for n in range(10)], np.arange(10) % 2 == 0))
    router = train(few).router
    assert (dict(router.scratch), router.scratch_share) == ({}, 0.0)


def test_rows_of_a_fold_that_do_not_differ_train_none_there() -> None:
    rows = outcome_rows([f"Question {n}" for n in range(15)], np.arange(15) == 3)
    found = train(read_outcomes(rows))
    assert found.metrics["n_validation"] == 15
    assert list(found.router.scratch) == list(QUICK)


def test_battles_train_them_too() -> None:
    found = train(read_battles(battle_rows(*planted(40, seed=1))))
    assert list(found.router.scratch) == list(QUICK)


def test_they_are_measured_on_prompts_that_they_did_not_see(result) -> None:
    errors = []
    for outside, inside in folds_of(len(DATA), share=0.2, seed=0):
        rates = train(DATA.select(outside)).router.raw_win_rates(DATA.select(inside).prompts)
        quality = DATA.quality[inside]
        errors += [*(rates - (1.0 + quality[:, 0] - quality[:, 1]) / 2.0) ** 2]
    assert len(errors) == len(DATA)
    assert result.metrics["brier"] == pytest.approx(np.mean(errors), abs=1e-12)


def test_prompts_are_embedded_once() -> None:
    class Counting(HashingEmbedder):
        n = 0

        def embed(self, texts):
            self.n += len(texts)
            return super().embed(texts)

    counting = Counting(dimension=32)
    router = train(embedder=counting, prior=load_router("random")).router
    assert counting.n == len(DATA)
    router.raw_win_rates(list(DATA.prompts[:7]))
    assert counting.n == len(DATA) + 7


def test_saved_and_loaded_it_is_the_same_to_the_bit(result, tmp_path) -> None:
    prompts = planted(50, seed=9)[0]
    folder = result.save(tmp_path / "mine")
    loaded = load_router(str(folder), embedder=EMBEDDER)
    np.testing.assert_array_equal(
        loaded.raw_win_rates(prompts), result.router.raw_win_rates(prompts)
    )
    assert list(loaded.scratch) == list(QUICK)
    assert read_checkpoint(folder).training["settings"]["from_scratch"] == list(QUICK)
    again = load_router(str(loaded.save(tmp_path / "again")), embedder=EMBEDDER)
    np.testing.assert_array_equal(again.raw_win_rates(prompts), loaded.raw_win_rates(prompts))


@pytest.mark.parametrize("share", ["much", True, 1.5])
def test_a_checkpoint_whose_share_cannot_be_is_refused(result, tmp_path, share) -> None:
    folder = result.save(tmp_path / "mine")
    stored = read_checkpoint(folder)
    write_checkpoint(
        replace(stored, parameters={**stored.parameters, "scratch_share": share}), folder
    )
    with pytest.raises(CheckpointError, match="scratch_share"):
        load_router(str(folder), embedder=EMBEDDER)


def test_a_checkpoint_that_states_no_share_has_none(tmp_path) -> None:
    found = train(from_scratch=())
    folder = found.save(tmp_path / "mine")
    stored = read_checkpoint(folder)
    parameters = {k: v for k, v in stored.parameters.items() if k != "scratch_share"}
    write_checkpoint(replace(stored, parameters=parameters), folder)
    prompts = planted(50, seed=9)[0]
    np.testing.assert_array_equal(
        load_router(str(folder), embedder=EMBEDDER).raw_win_rates(prompts),
        found.router.raw_win_rates(prompts),
    )


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"scratch": {}}, "must be 0 without a router"),
        ({"scratch_share": 1.5}, r"`scratch_share` must lie in \[0, 1\]"),
        ({"scratch": {"coin": load_router("random")}}, "'coin' of `scratch` must be one over"),
        ({"scratch": {"mf": load_router("mf")}}, "'mf' of `scratch` must be one over"),
        ({"pair": ModelPair("a", "b")}, "must be for 'a' over 'b'"),
    ],
)
def test_routers_that_do_not_fit_are_refused(result, changed, message) -> None:
    given = {
        "prior": result.router.prior,
        "correction": result.router.correction,
        "embedder": EMBEDDER,
        "pair": PAIR,
        "scratch": dict(result.router.scratch),
        "scratch_share": 0.5,
    }
    AdaptedRouter(**given)
    with pytest.raises(ConfigurationError, match=message):
        AdaptedRouter(**{**given, **changed})
    prior = {"prior": result.router.scratch["knn"]}
    with pytest.raises(ConfigurationError, match="not be called 'prior'"):
        AdaptedRouter(**{**given, "scratch": prior})


@pytest.mark.parametrize("names", ["mlp", ("mpl",), ("mf",)])
def test_a_trainer_that_is_not_among_them_is_refused(names) -> None:
    with pytest.raises(ConfigurationError, match="must be routers of mlp, knn, cluster"):
        train(from_scratch=names)
