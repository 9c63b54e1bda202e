"""Labels of one's own correct a router that is there already: a few help, none change nothing."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import numpy as np
import pytest
from planted import PAIR, UnlikeEmbedder, battle_rows, outcome_rows, planted, score
from typer.testing import CliRunner

from routellm_core import (
    CheckpointError,
    ConfigurationError,
    DataError,
    ModelPair,
    UnknownModelError,
    load_router,
    read_checkpoint,
    write_checkpoint,
)
from routellm_core.cli.app import app
from routellm_core.data import read_battles, read_outcomes
from routellm_core.embedders.bundled import BundledEmbedder
from routellm_core.routers._correction import Correction
from routellm_core.routers.adapted import AdaptedRouter
from routellm_core.testing import HashingEmbedder
from routellm_core.training import train_adapted, train_knn
from routellm_core.training.correction import Deviations, fit_correction, no_correction
from routellm_core.training.folds import folds_of

EMBEDDER = HashingEmbedder(dimension=64)
BLIND = load_router("random", seed=1)
MF = load_router("mf")


def corrected(data, **options):
    """Train without routers from scratch, which take most of the time."""
    return train_adapted(data, **{"pair": PAIR, "from_scratch": (), **options})


def outcomes(n: int, *, seed: int):
    return read_outcomes(outcome_rows(*planted(n, seed=seed)))


def test_thirty_labels_help_a_prior_that_knows_nothing() -> None:
    scores = [
        score(corrected(outcomes(30, seed=s), embedder=EMBEDDER).router) - score(load_router("mf"))
        for s in range(5)
    ]
    assert np.mean(scores) > 0.0


def test_with_many_labels_it_is_as_good_as_the_rule() -> None:
    router = corrected(outcomes(1200, seed=1), prior=BLIND, embedder=EMBEDDER).router
    assert score(router) > 0.9


def test_without_a_correction_it_is_its_prior() -> None:
    prompts, _ = planted(50, seed=1)
    prior = load_router("mf")
    correction = fit_correction(
        np.empty(0), np.empty(0), np.empty((0, 64)), np.empty(0), Deviations()
    )
    for embedder, d in ((EMBEDDER, 64), (BundledEmbedder(), BundledEmbedder().dimension)):
        same = correction if d == 64 else no_correction(d)
        router = AdaptedRouter(prior=prior, correction=same, embedder=embedder, pair=PAIR)
        np.testing.assert_array_equal(router.raw_win_rates(prompts), prior.raw_win_rates(prompts))


def test_deviations_of_zero_leave_the_prior_as_it_is() -> None:
    rng = np.random.default_rng(0)
    prior, labels = rng.random(40), rng.integers(0, 2, 40).astype(float)
    lengths, embeddings = rng.random(40), rng.normal(size=(40, 5))
    nothing = Deviations(embedding=0.0, rescaling=0.0, bias=0.0)
    correction = fit_correction(prior, lengths, embeddings, labels, nothing)
    np.testing.assert_array_equal(correction.win_rates(prior, lengths, embeddings), prior)


@pytest.mark.parametrize("n", [12, 200])
def test_the_correction_is_the_posterior_mean(n: int) -> None:
    rng = np.random.default_rng(n)
    embeddings = rng.normal(size=(n, 20)) + 1.0
    prior, lengths = rng.uniform(0.3, 0.7, n), rng.uniform(1.0, 8.0, n)
    labels = rng.integers(0, 3, n) / 2.0
    found = fit_correction(prior, lengths, embeddings, labels, Deviations())
    # Gaussian-process regression with the kernel that the deviations imply.
    gap = 2.0 * prior - 1.0
    units = [(gap - gap.mean()) / gap.std(), (lengths - lengths.mean()) / lengths.std()]
    z = np.clip((embeddings - embeddings.mean(0)) / embeddings.std(0), -5.0, 5.0)
    kernel = 1.0 + sum(9e-4 * np.outer(unit, unit) for unit in units) + 1e-2 * z @ z.T / 20
    observed = 2.0 * labels - 1.0
    added = kernel @ np.linalg.solve(kernel + observed.var() * np.eye(n), observed - gap)
    expected = np.clip(prior + added / 2.0, 0.0, 1.0)
    np.testing.assert_allclose(found.win_rates(prior, lengths, embeddings), expected, atol=1e-9)


def test_labels_of_battles_and_of_outcomes_correct_alike() -> None:
    prompts, hard = planted(60, seed=3)
    routers = [
        corrected(data, embedder=EMBEDDER).router
        for data in (
            read_outcomes(outcome_rows(prompts, hard)),
            read_battles(battle_rows(prompts, hard)),
        )
    ]
    # A battle that the strong model wins is a gap of 1, as the outcomes 1 and 0 are.
    np.testing.assert_allclose(routers[0].raw_win_rates(prompts), routers[1].raw_win_rates(prompts))


def test_two_labels_are_enough_and_none_is_an_error() -> None:
    rows = outcome_rows(["Prove it.", "Hello."], np.array([True, False]))
    result = corrected(read_outcomes(rows))
    assert result.metrics["n_validation"] == 2
    hard, easy = result.router.raw_win_rates(["Prove it.", "Hello."])
    assert hard > easy
    with pytest.raises(DataError, match="No prompt was answered by both"):
        corrected(read_outcomes(rows[:1] + rows[-1:]))
    with pytest.raises(UnknownModelError, match="bigg"):
        train_adapted(read_outcomes(rows), pair=ModelPair("bigg", "small"))


def test_every_prompt_is_measured_by_a_fit_that_did_not_see_it() -> None:
    prompts, _ = planted(200, seed=7)
    noise = np.random.default_rng(0).random(200) < 0.5
    # Nothing can be learnt: only who has seen a prompt can know its label.
    data = read_outcomes(outcome_rows(prompts, noise))
    result = corrected(data, prior=BLIND, embedder=UnlikeEmbedder(), embedding_deviation=9.0)
    assert result.metrics["n_validation"] == result.settings["n_train"] == len(set(prompts))
    assert result.metrics["apgr"] < 0.6
    assert result.router.calibration is result.calibration
    assert result.calibration.n_prompts == len(set(prompts))


def test_folds_that_are_measured_together_do_not_rank_against_the_labels() -> None:
    # Nothing can be learnt, and 30 labels say so: whoever knows nothing has 0.5.
    found = []
    for seed in range(40):
        rng = np.random.default_rng(1000 + seed)
        prompts, _ = planted(30, seed=seed)
        data = read_outcomes(outcome_rows(prompts, rng.random(30) < 0.5))
        metrics = corrected(data, prior=MF, embedder=EMBEDDER).metrics
        found.append([metrics["apgr"], metrics["auroc"], metrics["prior_apgr"]])
    means, errors = np.mean(found, axis=0), np.std(found, axis=0) / np.sqrt(len(found))
    assert np.all(np.abs(means - 0.5) < 2.5 * errors), (means, errors)


def test_the_prior_is_measured_beside_it() -> None:
    data = outcomes(80, seed=2)
    result = corrected(data, embedder=EMBEDDER)
    rates = load_router("mf").raw_win_rates(data.prompts)
    gaps = data.quality[:, 0] - data.quality[:, 1]
    assert result.metrics["prior_brier"] == pytest.approx(
        np.mean((rates - (1.0 + gaps) / 2.0) ** 2)
    )
    assert result.metrics["brier"] < result.metrics["prior_brier"]
    assert 0.0 < result.metrics["prior_apgr"] < 1.0


@pytest.mark.parametrize(
    ("n", "share", "held"), [(2, 0.2, 2), (30, 0.2, 30), (300, 0.2, 300), (10_000, 0.2, 2000)]
)
def test_as_many_folds_are_held_back_as_it_takes(n: int, share: float, held: int) -> None:
    folds = folds_of(n, share=share, seed=0)
    inside = np.concatenate([inside for _, inside in folds])
    assert len(inside) == len(set(inside.tolist())) == held
    for outside, rows in folds:
        assert sorted([*outside, *rows]) == list(range(n))


@pytest.mark.parametrize("share", [0.0, 1.0, float("nan")])
def test_a_share_of_nothing_or_of_all_is_refused(share: float) -> None:
    with pytest.raises(ConfigurationError, match="validation_share"):
        corrected(outcomes(20, seed=1), validation_share=share)


@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_a_deviation_that_is_none_is_refused(value: float) -> None:
    with pytest.raises(ConfigurationError, match=r"deviation of `embedding`.*from 0 on"):
        corrected(outcomes(20, seed=1), embedding_deviation=value)


def test_saved_and_loaded_it_is_the_same_to_the_bit(tmp_path) -> None:
    prompts, _ = planted(40, seed=9)
    result = corrected(outcomes(40, seed=1))
    folder = result.save(tmp_path / "mine")
    for router in (load_router(str(folder)), load_router("adapted", checkpoint=folder)):
        np.testing.assert_array_equal(
            router.raw_win_rates(prompts), result.router.raw_win_rates(prompts)
        )
        assert router.pair == PAIR
        assert router.calibration is not None
        assert router.checkpoint_id
    again = load_router(str(folder)).save(tmp_path / "again")
    np.testing.assert_array_equal(
        load_router(str(again)).raw_win_rates(prompts), result.router.raw_win_rates(prompts)
    )
    settings = read_checkpoint(folder).training["settings"]
    assert settings["prior"] == "mf"
    assert settings["n_train"] == 40


def test_an_adapted_router_can_be_adapted_again(tmp_path) -> None:
    first = corrected(outcomes(40, seed=1)).save(tmp_path / "first")
    second = corrected(outcomes(40, seed=2), prior=first)
    prompts, _ = planted(20, seed=9)
    loaded = load_router(str(second.save(tmp_path / "second")))
    np.testing.assert_array_equal(
        loaded.raw_win_rates(prompts), second.router.raw_win_rates(prompts)
    )
    # What is in its place is replaced.
    third = load_router(str(corrected(outcomes(40, seed=3)).save(tmp_path / "second")))
    assert third.prior.name == "mf"


def test_a_router_over_an_embedder_without_a_name_takes_it_from_the_caller(tmp_path) -> None:
    data = outcomes(60, seed=1)
    prior = train_knn(data, pair=PAIR, embedder=EMBEDDER).save(tmp_path / "knn")
    prior = load_router(str(prior), embedder=EMBEDDER)
    result = corrected(data, prior=prior)
    assert result.router.embedder is EMBEDDER
    folder = result.save(tmp_path / "mine")
    loaded = load_router(str(folder), embedder=EMBEDDER)
    np.testing.assert_array_equal(
        loaded.raw_win_rates(data.prompts), result.router.raw_win_rates(data.prompts)
    )
    with pytest.raises(CheckpointError, match="hashing-64"):
        load_router(str(folder))


def test_an_embedder_that_nothing_was_fitted_on_is_refused(tmp_path) -> None:
    folder = corrected(outcomes(40, seed=1)).save(tmp_path / "mine")
    with pytest.raises(CheckpointError, match="got 'hashing-64'"):
        load_router(str(folder), embedder=EMBEDDER)


def test_correction_and_prior_may_have_embedders_of_their_own(tmp_path) -> None:
    data = outcomes(60, seed=1)
    narrow = HashingEmbedder(dimension=16)
    prior = train_knn(data, pair=PAIR, embedder=narrow).router
    result = corrected(data, prior=prior, embedder=EMBEDDER)
    loaded = load_router(str(result.save(tmp_path / "mine")), embedder=[EMBEDDER, narrow])
    expected = result.router.raw_win_rates(data.prompts)
    np.testing.assert_array_equal(loaded.raw_win_rates(data.prompts), expected)
    assert loaded.prior.embedder is narrow
    # An ensemble passes them on.
    both = load_router("ensemble", members=[loaded, load_router("random")])
    again = load_router(str(both.save(tmp_path / "both")), embedder=[EMBEDDER, narrow])
    np.testing.assert_array_equal(
        again.raw_win_rates(data.prompts), both.raw_win_rates(data.prompts)
    )


def test_a_prior_of_another_checkpoint_is_refused(tmp_path) -> None:
    folder = corrected(outcomes(40, seed=1)).save(tmp_path / "mine")
    prior = folder / "members" / "prior"
    load_router("mf", strong_model="gpt-4").save(prior)
    with pytest.raises(CheckpointError, match="not the one that was saved there"):
        load_router(str(folder))
    (prior / "config.json").unlink()
    with pytest.raises(CheckpointError, match="does not exist"):
        load_router(str(folder))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("members", None, "must list the name, the router and the checksum"),
        ("bias", "much", "`bias` must be a number"),
        ("correction_embedder", 3, "`correction_embedder` must be a name"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused(tmp_path, key, value, message) -> None:
    folder = corrected(outcomes(40, seed=1)).save(tmp_path / "mine")
    stored = read_checkpoint(folder)
    write_checkpoint(replace(stored, parameters={**stored.parameters, key: value}), folder)
    with pytest.raises(CheckpointError, match=message):
        load_router(str(folder))


def test_members_that_are_not_a_prior_are_refused(tmp_path) -> None:
    folder = load_router("ensemble", members=["random", "mf"]).save(tmp_path / "mine")
    members = read_checkpoint(folder).parameters["members"]
    stored = read_checkpoint(corrected(outcomes(40, seed=1)).save(tmp_path / "a"))
    write_checkpoint(replace(stored, parameters={**stored.parameters, "members": members}), folder)
    with pytest.raises(CheckpointError, match="must hold its prior"):
        load_router(str(folder))


def test_options_that_it_does_not_take_are_named(tmp_path) -> None:
    folder = corrected(outcomes(40, seed=1)).save(tmp_path / "mine")
    with pytest.raises(ConfigurationError, match="strong_model"):
        load_router(str(folder), strong_model="gpt-4")
    with pytest.raises(ConfigurationError, match="`routellm adapt`"):
        load_router("adapted")


@pytest.mark.parametrize("prior", ["mf", "random"])
def test_an_embedder_that_waits_is_awaited(prior: str) -> None:
    class Waiting(HashingEmbedder):
        waited = 0

        async def aembed(self, texts):
            self.waited += 1
            return self.embed(texts)

    embedder = Waiting(dimension=64)
    router = corrected(outcomes(40, seed=1), prior=load_router(prior), embedder=embedder).router
    prompts, _ = planted(20, seed=9)
    found = asyncio.run(router.araw_win_rates(prompts))
    np.testing.assert_allclose(found, router.raw_win_rates(prompts), atol=1e-12)
    assert embedder.waited == 1


def test_prompts_are_embedded_once_where_the_prior_takes_the_same_embeddings() -> None:
    class Counting(HashingEmbedder):
        calls = 0

        def embed(self, texts):
            self.calls += 1
            return super().embed(texts)

    counting = Counting(dimension=64)
    data = outcomes(60, seed=1)
    prior = train_knn(data, pair=PAIR, embedder=counting).router
    router = corrected(data, prior=prior).router
    counting.calls = 0
    router.raw_win_rates(list(data.prompts))
    assert counting.calls == 1


@pytest.mark.parametrize("command", [["adapt"], ["train", "adapted"]])
def test_a_command_makes_one(command, tmp_path) -> None:
    path, out = tmp_path / "labels.jsonl", tmp_path / "mine"
    path.write_text("\n".join(json.dumps(row) for row in outcome_rows(*planted(40, seed=1))))
    arguments = ["--data", str(path), "--pair", "big", "small", "--out", str(out), "--json"]
    result = CliRunner().invoke(app, [*command, *arguments])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["n_validation"] == 40
    assert report["prior_apgr"] is not None
    prompts, _ = planted(20, seed=9)
    expected = train_adapted(outcomes(40, seed=1), pair=PAIR).router.raw_win_rates(prompts)
    np.testing.assert_array_equal(load_router(str(out)).raw_win_rates(prompts), expected)


def test_a_command_takes_any_prior(tmp_path) -> None:
    path, out = tmp_path / "labels.jsonl", tmp_path / "mine"
    path.write_text("\n".join(json.dumps(row) for row in outcome_rows(*planted(40, seed=1))))
    arguments = ["--data", str(path), "--pair", "big", "small", "--out", str(out)]
    result = CliRunner().invoke(app, ["adapt", *arguments, "--prior", "random"])
    assert result.exit_code == 0, result.output
    assert load_router(str(out)).prior.name == "random"
    result = CliRunner().invoke(app, ["adapt", *arguments, "--force", "--prior", "./nothing"])
    assert result.exit_code == 1
    assert "'./nothing' does not exist" in result.stderr


def test_a_correction_states_its_numbers() -> None:
    correction = Correction(np.zeros(2), np.ones(2), np.array([0.2, 0.0]), bias=0.1)
    rates = correction.win_rates(
        np.array([0.5, 0.95]), np.zeros(2), np.array([[1.0, 9.0], [100.0, 0.0]])
    )
    # The second is clipped at five deviations, and cut at 1.
    np.testing.assert_allclose(rates, [0.65, 1.0])
