"""Every trainer finds a planted rule, finds none where there is none, and says how good it is."""

from __future__ import annotations

import json

import numpy as np
import pytest
from planted import PAIR, battle_rows, outcome_rows, planted, score

from routellm_core import (
    CheckpointError,
    ConfigurationError,
    DataError,
    ModelPair,
    UnknownModelError,
    load_router,
    read_checkpoint,
    router_threshold,
)
from routellm_core.data import read_battles, read_outcomes
from routellm_core.testing import HashingEmbedder
from routellm_core.training import TRAINERS, read_data

EMBEDDER = HashingEmbedder(dimension=64)
NUMPY = ["adapted", "cluster", "ensemble", "knn", "mf", "mlp", "sw_ranking"]
SMALL = {
    "cluster": {"sizes": (8,)},
    "ensemble": {
        "members": ("cluster", "mf"),
        "settings": {"cluster": {"sizes": (8,)}},
        "folds": 2,
    },
}


@pytest.mark.parametrize("kind", ["outcomes", "battles"])
@pytest.mark.parametrize("name", NUMPY)
def test_a_trainer_recovers_a_planted_rule(name, kind) -> None:
    prompts, hard = planted(1200, seed=1)
    rows = outcome_rows(prompts, hard) if kind == "outcomes" else battle_rows(prompts, hard)
    data = read_outcomes(rows) if kind == "outcomes" else read_battles(rows)
    options = {"members": ("mf", "mlp"), "folds": 2} if name == "ensemble" else {}
    result = TRAINERS[name](data, pair=PAIR, embedder=EMBEDDER, **options)
    assert score(result.router) >= 0.9


@pytest.mark.parametrize("name", NUMPY)
def test_a_trainer_finds_nothing_in_shuffled_labels(name) -> None:
    scores = []
    for seed in range(3):
        prompts, hard = planted(800, seed=seed)
        shuffled = np.random.default_rng(seed).permutation(hard)
        data = read_outcomes(outcome_rows(prompts, shuffled))
        options = SMALL.get(name, {})
        router = TRAINERS[name](data, pair=PAIR, embedder=EMBEDDER, seed=seed, **options).router
        scores.append(score(router, seed=50 + seed, shuffled=True))
    assert np.mean(scores) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("name", NUMPY)
def test_a_saved_router_carries_its_report_and_its_calibration(name, tmp_path) -> None:
    prompts, hard = planted(300, seed=2)
    data = read_outcomes(outcome_rows(prompts, hard))
    options = SMALL["ensemble"] if name == "ensemble" else {}
    result = TRAINERS[name](data, pair=PAIR, embedder=EMBEDDER, **options)
    folder = result.save(tmp_path / name)
    router = load_router(name, checkpoint=folder, embedder=EMBEDDER)
    np.testing.assert_allclose(
        router.win_rates(prompts), result.router.win_rates(prompts), atol=1e-6
    )
    assert router.pair == PAIR
    win_rates = router.win_rates(planted(2000, seed=3)[0])
    share = np.mean(win_rates >= router_threshold(router, strong_share=0.1))
    assert share == pytest.approx(0.1, abs=0.09)
    training = read_checkpoint(folder).training
    assert training["metrics"]["n_validation"] == result.metrics["n_validation"]
    assert training["metrics"]["apgr"] > 0.7
    assert training["settings"]["n_train"] > 0


@pytest.mark.parametrize("name", NUMPY)
def test_the_same_seed_gives_the_same_router(name) -> None:
    prompts, hard = planted(200, seed=4)
    data = read_outcomes(outcome_rows(prompts, hard))
    options = SMALL.get(name, {})
    first, second, other = (
        TRAINERS[name](data, pair=PAIR, embedder=EMBEDDER, seed=seed, **options).router
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first.win_rates(prompts), second.win_rates(prompts))
    # A kNN index holds all prompts, whichever part of them chose its k; a correction is fitted to
    # all of them.
    if name not in ("adapted", "knn"):
        assert not np.array_equal(first.win_rates(prompts), other.win_rates(prompts))


@pytest.mark.parametrize("name", ["knn", "cluster", "ensemble", "mlp"])
def test_what_is_kept_has_seen_every_prompt_and_what_is_measured_has_not(name) -> None:
    rng = np.random.default_rng(0)
    prompts, _ = planted(400, seed=7)
    # Nothing can be learnt: only who has seen a prompt can know its label.
    rows = outcome_rows(prompts, rng.random(400) < 0.5)
    options = {"members": ("knn", "mlp"), "folds": 2} if name == "ensemble" else {}
    result = TRAINERS[name](read_outcomes(rows), pair=PAIR, embedder=EMBEDDER, seed=0, **options)
    assert result.settings["n_train"] == len(set(prompts))
    assert result.metrics["apgr"] < 0.65


def test_mf_learns_from_battles_between_other_models() -> None:
    rng = np.random.default_rng(5)
    prompts, hard = planted(1500, seed=5)
    rows = []
    for row, (prompt, needs) in enumerate(zip(prompts, hard, strict=True)):
        a, b = ("big", "tiny") if row % 2 else ("huge", "small")
        if row % 10 == 0:
            a, b = "big", "small"
        winner = "model_a" if needs else ["model_a", "model_b"][rng.integers(2)]
        rows.append({"prompt": prompt, "model_a": a, "model_b": b, "winner": winner})
    router = TRAINERS["mf"](read_battles(rows), pair=PAIR, embedder=EMBEDDER).router
    assert score(router) > 0.85
    assert router.models == ("big", "huge", "small", "tiny")


def test_quality_of_many_models_is_learnt_at_once() -> None:
    prompts, hard = planted(600, seed=6)
    rows = outcome_rows(prompts, hard)
    rows += [{"prompt": p, "model": "half", "quality": 0.5} for p in prompts[::2]]
    for name in ("knn", "mlp", "cluster", "mf"):
        router = TRAINERS[name](read_outcomes(rows), pair=PAIR, embedder=EMBEDDER).router
        assert router.models == ("big", "half", "small")
        quality = router.quality(prompts[:50])
        assert quality[:, 1].mean() == pytest.approx(0.5, abs=0.05), name
        assert quality[:, 0].mean() == pytest.approx(1.0, abs=0.1), name


def test_data_of_either_kind_is_told_apart(tmp_path) -> None:
    prompts, hard = planted(20, seed=7)
    for rows, kind in [
        (outcome_rows(prompts, hard), "Outcomes"),
        (battle_rows(prompts, hard), "Battles"),
        ([{"prompt": prompt, "mixtral_score": 3} for prompt in prompts], "Battles"),
    ]:
        path = tmp_path / f"{kind}.jsonl"
        path.write_text("\n".join(json.dumps(row) for row in rows))
        assert type(read_data(path)).__name__ == kind
    with pytest.raises(
        DataError, match=r"neither outcomes.*`routellm label`, or with `routellm tune`"
    ):
        read_data([{"text": "x"}])


def test_a_pair_that_the_data_does_not_know_is_refused_before_anything_is_embedded() -> None:
    class Refusing(HashingEmbedder):
        def embed(self, texts):
            raise AssertionError("embedded")

    prompts, hard = planted(50, seed=8)
    data = read_outcomes(outcome_rows(prompts, hard))
    for name in NUMPY:
        with pytest.raises(UnknownModelError, match="bigg"):
            TRAINERS[name](data, pair=ModelPair("bigg", "small"), embedder=Refusing())


@pytest.mark.parametrize("share", [0.0, 1.0, 1.5])
def test_a_validation_share_that_leaves_nothing_is_refused(share) -> None:
    prompts, hard = planted(50, seed=9)
    data = read_outcomes(outcome_rows(prompts, hard))
    with pytest.raises(ConfigurationError, match="validation_share"):
        TRAINERS["knn"](data, pair=PAIR, embedder=EMBEDDER, validation_share=share)


def test_too_few_prompts_are_refused() -> None:
    data = read_outcomes(outcome_rows(["a", "b", "c"], np.array([1, 0, 1])))
    with pytest.raises(DataError, match="too few"):
        TRAINERS["mlp"](data, pair=PAIR, embedder=EMBEDDER)


def test_training_does_not_overwrite_what_is_no_checkpoint(tmp_path) -> None:
    prompts, hard = planted(50, seed=10)
    result = TRAINERS["knn"](
        read_outcomes(outcome_rows(prompts, hard)), pair=PAIR, embedder=EMBEDDER
    )
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        result.save(tmp_path)


@pytest.mark.parametrize(
    ("qualities", "message"),
    [
        ((1, 1), "equally good on all 40"),
        ((0.5, 0.5), "equally good on all 40"),
        ((1, 0), "'big' is always better than 'small'"),
        ((0.2, 0.4), "'small' is always better than 'big'"),
    ],
)
@pytest.mark.parametrize("name", NUMPY)
def test_rows_without_a_difference_train_no_router(name, qualities, message) -> None:
    rows = [
        {"prompt": f"Prompt {number}", "model": model, "quality": quality}
        for number in range(40)
        for model, quality in zip(("big", "small"), qualities, strict=True)
    ]
    with pytest.raises(DataError, match=message):
        TRAINERS[name](read_outcomes(rows), pair=PAIR, embedder=EMBEDDER)


def test_few_validation_prompts_are_said(tmp_path) -> None:
    prompts, hard = planted(60, seed=5)
    result = TRAINERS["knn"](
        read_outcomes(outcome_rows(prompts, hard)), pair=PAIR, embedder=EMBEDDER
    )
    assert result.doubt is not None
    assert f"Only {result.metrics['n_validation']} validation prompts" in result.doubt
    many = planted(1200, seed=5)
    assert (
        TRAINERS["knn"](read_outcomes(outcome_rows(*many)), pair=PAIR, embedder=EMBEDDER).doubt
        is None
    )
