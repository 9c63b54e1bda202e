"""Stacking: weights by what members say of prompts they did not see."""

from __future__ import annotations

import numpy as np
import pytest
from planted import PAIR, UnlikeEmbedder, battle_rows, outcome_rows, planted
from tiny_checkpoints import tiny_bert

from routellm_core import ConfigurationError, DataError, load_router, read_checkpoint
from routellm_core.data import read_battles, read_outcomes
from routellm_core.embedders.bundled import BundledEmbedder
from routellm_core.testing import HashingEmbedder
from routellm_core.training import read_data, train_adapted, train_ensemble, train_knn
from routellm_core.training.stacking import stacked_weights

EMBEDDER = HashingEmbedder(dimension=32)
DATA = read_outcomes(outcome_rows(*planted(240, seed=1)))


def train(**options):
    return train_ensemble(DATA, pair=PAIR, **{"embedder": EMBEDDER, "folds": 2, **options})


# Weights


def test_weights_by_hand() -> None:
    labels = np.array([1.0, 0.0])
    # Errors -0.4, 0.4 and 0.2, -0.2 of two members cancel at one to two.
    win_rates = np.array([[0.6, 0.4], [1.2, -0.2]])
    np.testing.assert_allclose(stacked_weights(win_rates, labels), [1 / 3, 2 / 3], atol=1e-4)


def test_a_member_that_only_adds_noise_gets_nothing_and_twins_share() -> None:
    rng = np.random.default_rng(0)
    labels = (rng.random(4000) < 0.3).astype(float)
    good = np.clip(0.6 * labels + 0.1 + rng.normal(0, 0.1, 4000), 0, 1)
    weights = stacked_weights(np.stack([good, rng.random(4000), good]), labels)
    np.testing.assert_allclose(weights, [0.5, 0.0, 0.5], atol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_no_other_weights_have_a_lower_brier_score(seed: int) -> None:
    rng = np.random.default_rng(seed)
    chance = rng.random(500)
    labels = (rng.random(500) < chance).astype(float)
    members = [np.clip(chance + rng.normal(0, 0.1 + 0.1 * k, 500), 0, 1) for k in range(6)]
    win_rates = np.stack(members)
    found = stacked_weights(win_rates, labels)
    assert found.min() >= 0.0
    assert found.sum() == pytest.approx(1.0)
    others = rng.dirichlet(np.full(6, 0.3), size=2000)
    errors = ((np.vstack([found, others, np.eye(6)]) @ win_rates - labels) ** 2).mean(axis=1)
    assert errors[0] <= errors.min() + 1e-6


def test_many_members_that_hardly_differ_are_weighed_at_once() -> None:
    rng = np.random.default_rng(1)
    labels = rng.random(300)
    win_rates = np.clip(labels + 1e-7 * rng.normal(size=(30, 300)), 0, 1)
    weights = stacked_weights(win_rates, labels)
    assert weights.min() >= 0.0
    assert weights.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("shape", [(2, 3), (4,), (0, 4), (2, 0)])
def test_win_rates_that_do_not_fit_the_labels_are_refused(shape) -> None:
    with pytest.raises(ConfigurationError, match=r"shape \(k, n\)"):
        stacked_weights(np.zeros(shape), np.zeros(0 if shape == (2, 0) else 4))


# Training


def test_the_report_tells_the_weights_and_every_members_figures(tmp_path) -> None:
    result = train(members=("knn", "mlp"))
    assert list(result.metrics["weights"]) == ["knn", "mlp"]
    assert tuple(result.metrics["weights"].values()) == result.router.weights
    assert result.metrics["n_validation"] == len(DATA)
    for figures in result.metrics["members"].values():
        assert 0.0 < figures["brier"] < 0.3
        assert figures["apgr"] > 0.5
    settings = read_checkpoint(result.save(tmp_path / "both")).training["settings"]
    assert settings["members"] == {"knn": "knn", "mlp": "mlp"}
    assert settings["method"] == "stacked"


def test_the_members_are_those_that_their_trainers_make() -> None:
    result = train(members=("knn", "mlp"), seed=3)
    prompts = planted(50, seed=9)[0]
    alone = train_knn(DATA, pair=PAIR, embedder=EMBEDDER, seed=3).router
    member = result.router.members["knn"]
    np.testing.assert_array_equal(member.raw_win_rates(prompts), alone.raw_win_rates(prompts))
    assert member.embedder is EMBEDDER


def test_a_mean_has_equal_weights_and_honest_figures() -> None:
    rng = np.random.default_rng(0)
    prompts, _ = planted(400, seed=7)
    data = read_outcomes(outcome_rows(prompts, rng.random(400) < 0.5))
    for method in ("mean", "stacked"):
        result = train_ensemble(
            data, pair=PAIR, embedder=EMBEDDER, members=("knn", "mf"), method=method, folds=2
        )
        if method == "mean":
            assert result.router.weights == (0.5, 0.5)
        # Nothing can be learnt.
        assert result.metrics["apgr"] < 0.6


def test_prompts_are_embedded_once_for_all_folds() -> None:
    class Counting(HashingEmbedder):
        n = 0

        def embed(self, texts):
            self.n += len(texts)
            return super().embed(texts)

    counted = {}
    for folds in (2, 4):
        embedder = Counting(dimension=32)
        train(members=("knn",), embedder=embedder, folds=folds)
        counted[folds] = embedder.n
    # Once for the folds, once for the member that is kept.
    n = len(DATA)
    assert counted == {2: 2 * n, 4: 2 * n}


def test_several_members_of_one_kind_have_names_and_settings_of_their_own() -> None:
    result = train(
        members={"narrow": "mlp", "wide": "mlp"},
        settings={"narrow": {"hidden": [4]}, "wide": {"hidden": [32], "max_epochs": 3}},
    )
    layers = {
        name: member._to_checkpoint().tensors for name, member in result.router.members.items()
    }
    assert {name: min(a.shape[-1] for a in each.values()) for name, each in layers.items()} == {
        "narrow": 2,
        "wide": 2,
    }
    sizes = {name: {a.shape for a in each.values()} for name, each in layers.items()}
    assert (32, 4) in sizes["narrow"]
    assert (32, 32) in sizes["wide"]


def test_battles_train_an_ensemble_of_what_learns_from_them() -> None:
    data = read_battles(battle_rows(*planted(240, seed=2)))
    result = train_ensemble(
        data, pair=PAIR, embedder=EMBEDDER, members=("sw_ranking", "knn"), folds=2
    )
    assert result.metrics["apgr"] > 0.7


def test_equal_prompts_and_prompts_of_one_model_stay_out_of_sight() -> None:
    rows = outcome_rows(*planted(60, seed=4))
    rows += [{"prompt": f"only {i}", "model": "big", "quality": 1.0} for i in range(300)]
    result = train_ensemble(
        read_outcomes(rows), pair=PAIR, embedder=EMBEDDER, members=("knn",), folds=5
    )
    assert result.metrics["n_validation"] == len({row["prompt"] for row in rows[:120]})


def test_an_adapted_router_is_a_member_that_is_fitted_without_the_fold(tmp_path) -> None:
    result = train(
        members=("adapted", "knn"), settings={"adapted": {"prior": load_router("random", seed=1)}}
    )
    alone = train_adapted(
        DATA, pair=PAIR, embedder=EMBEDDER, prior=load_router("random", seed=1)
    ).router
    prompts = planted(50, seed=9)[0]
    member = result.router.members["adapted"]
    np.testing.assert_array_equal(member.raw_win_rates(prompts), alone.raw_win_rates(prompts))
    folder = result.save(tmp_path / "both")
    loaded = load_router(str(folder), embedder=EMBEDDER)
    np.testing.assert_array_equal(
        loaded.raw_win_rates(prompts), result.router.raw_win_rates(prompts)
    )
    # Nothing can be learnt: only who has seen a prompt can know its label.
    prompts, _ = planted(200, seed=7)
    noise = read_outcomes(outcome_rows(prompts, np.random.default_rng(0).random(200) < 0.5))
    blind = train_ensemble(
        noise,
        pair=PAIR,
        embedder=UnlikeEmbedder(),
        members=("adapted",),
        settings={"adapted": {"prior": load_router("random"), "embedding_deviation": 9.0}},
        folds=2,
    )
    assert blind.metrics["apgr"] < 0.6


def test_an_adapted_member_has_an_embedder_of_its_own() -> None:
    result = train(members=("adapted",), embedder=None)
    assert result.router.members["adapted"].embedder.identity == BundledEmbedder().identity


def test_a_fine_tuned_member_trains_beside_one_over_embeddings(tmp_path) -> None:
    data = read_outcomes(outcome_rows(*planted(24, seed=5)))
    result = train_ensemble(
        data,
        pair=PAIR,
        embedder=EMBEDDER,
        members=("bert", "knn"),
        settings={"bert": {"epochs": 1, "device": "cpu"}},
        base=tiny_bert(tmp_path / "base", num_labels=2),
        work=tmp_path / "work",
        folds=2,
        validation_share=0.3,
    )
    folder = result.save(tmp_path / "both")
    loaded = load_router("ensemble", checkpoint=folder, embedder=EMBEDDER)
    prompts = planted(5, seed=6)[0]
    np.testing.assert_allclose(
        loaded.raw_win_rates(prompts), result.router.raw_win_rates(prompts), atol=1e-5
    )
    # A file that config.json does not hold is covered, too.
    weights = folder / "members" / "bert" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    with pytest.raises(ValueError, match="checksum"):
        load_router("ensemble", checkpoint=folder, embedder=EMBEDDER)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"members": ("knn", "mpl")}, "Unknown member 'mpl'. Did you mean 'mlp'"),
        ({"members": ("ensemble",)}, "Unknown member 'ensemble'"),
        ({"members": ("random",)}, "Unknown member 'random'"),
        ({"members": {"a": ["mlp"]}}, r"Unknown member \['mlp'\]"),
        ({"members": ()}, "at least one member"),
        ({"members": "knn"}, "must be names of trainers"),
        ({"members": ("knn", "knn")}, "must be different"),
        ({"members": ("knn",), "settings": {"mlp": {}}}, "'mlp' is none of knn"),
        ({"members": ("knn",), "settings": {"knn": {"k": 3}}}, "Member 'knn': .*argument 'k'"),
        ({"members": ("knn",), "embedder": None}, "Member 'knn' needs `embedder`"),
        ({"members": ("bert",)}, "Member 'bert' needs `base`"),
        ({"method": "median"}, "'stacked' or 'mean', got 'median'"),
        ({"folds": 1}, "from 2 on, got 1"),
        ({"folds": 2.5}, "from 2 on, got 2.5"),
    ],
)
def test_what_cannot_be_trained_is_refused(options, message) -> None:
    with pytest.raises(ConfigurationError, match=message):
        train(**options)


def test_too_few_prompts_for_the_folds_are_refused() -> None:
    data = read_data(outcome_rows(["a", "b", "c"], np.array([1, 0, 1])))
    with pytest.raises(DataError, match="3 prompts that both models answered are too few for 5"):
        train_ensemble(data, pair=PAIR, embedder=EMBEDDER)
