"""New models in trained routers: by hand on tiny routers, then the bundled one."""

import copy
import json
import math
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_checkpoints import TableEmbedder

from routellm_core import (
    CheckpointError,
    ConfigurationError,
    DataError,
    ModelPair,
    Router,
    Turn,
    UnknownModelError,
    choose_prompts,
    load_router,
    make_decider,
    read_checkpoint,
    write_checkpoint,
)
from routellm_core.data import read_outcomes
from routellm_core.experts import Expert, ExpertTable
from routellm_core.routers._ability import GaussianPrior, fit_ability
from routellm_core.routers._battle_model import BattleModel
from routellm_core.routers._outcome_model import OutcomeModel
from routellm_core.routers.cluster import ClusterRouter
from routellm_core.routers.knn import KNNRouter
from routellm_core.routers.mf import MatrixFactorizationRouter
from routellm_core.routers.model_adder import model_adder
from routellm_core.routers.prompt_choice import choose_rows
from routellm_core.routers.publishing import model_card
from routellm_core.routers.similarity import CosineIndex
from routellm_core.strategies import Predict
from routellm_core.testing import ROUTER_CHECKS, HashingEmbedder
from routellm_core.training.bundled.topics import read_seeds

SEEDS = [seed.prompt for seed in read_seeds()]
EMBEDDER = TableEmbedder(
    {"east": [2.0, 0.0], "north": [0.0, 3.0], "north-east": [1.0, 1.0], "nowhere": [0.0, 0.0]}
)
COMMON = {
    "embedder": EMBEDDER,
    "models": ["big", "small"],
    "pair": ModelPair("big", "small"),
}


def cluster() -> ClusterRouter:
    """Return two clusters, east and north; the mean of the models is 0.75 and 0.5."""
    centres = CosineIndex.of(np.array([[1.0, 0.0], [0.0, 1.0]]))
    return ClusterRouter(centres=centres, table=np.array([[1.0, 0.5], [0.75, 0.25]]), **COMMON)


def knn() -> KNNRouter:
    """Return four prompts, two to each side; the mean of the models is 0.75 and 0.5."""
    index = CosineIndex.of(np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]]))
    quality = np.array([[1.0, 0.5], [1.0, 0.5], [0.75, 0.25], [0.75, 0.25]])
    return KNNRouter(index=index, quality=quality, k=2, **COMMON)


ROUTERS = {"mf": MatrixFactorizationRouter.default, "cluster": cluster, "knn": knn}
PROMPTS = {"mf": SEEDS[:70], "cluster": ["east", "north", "north-east"]}
PROMPTS["knn"] = PROMPTS["cluster"]


def rows(model: str, quality: dict[str, float]) -> list[dict[str, object]]:
    return [{"prompt": p, "model": model, "quality": q} for p, q in quality.items()]


def some_rows(name: str, model: str = "new") -> list[dict[str, object]]:
    return rows(model, {p: float(i % 2) for i, p in enumerate(PROMPTS[name][:40])})


@pytest.mark.parametrize("name", ROUTERS)
def test_what_is_said_of_other_models_stays_the_same_to_the_bit(name: str, tmp_path) -> None:
    router, prompts = ROUTERS[name](), PROMPTS[name]
    models, pair = router.models, router.pair
    quality, win_rates = router.quality(prompts), router.win_rates(prompts)
    alone = router.quality(prompts[:1])
    router.add_model("new", some_rows(name))
    first = router.quality(prompts)[:, -1]
    router.add_model("newer", some_rows(name, "newer"), like=models[0])
    router.add_model("newest", like="new")
    folder = router.save(tmp_path / name)
    options = {} if name == "mf" else {"embedder": EMBEDDER}
    loaded = load_router(name, checkpoint=folder, **options)
    again = pickle.loads(pickle.dumps(router))
    for found in (router, loaded, again):
        assert found.models == (*models, "new", "newer", "newest")
        assert found.pair == pair
        np.testing.assert_array_equal(found.quality(prompts)[:, : len(models)], quality)
        np.testing.assert_array_equal(found.quality(prompts)[:, len(models)], first)
        np.testing.assert_array_equal(found.quality(prompts[:1])[:, : len(models)], alone)
        np.testing.assert_array_equal(found.win_rates(prompts), win_rates)
        np.testing.assert_array_equal(found.quality(prompts), router.quality(prompts))
        assert found.added_models == router.added_models


@pytest.mark.parametrize("m", [3, 7, 15, 31])
def test_matrix_products_of_another_width_change_no_bit_of_the_others(m: int) -> None:
    """Linear-algebra libraries round a column by where it stands among m or m + 1."""
    rng = np.random.default_rng(m)
    sizes = {"projection": (8, 16), "abilities": (m, 16), "eases": (m,)}
    arrays = {name: rng.normal(size=size).astype(np.float32) for name, size in sizes.items()}
    model = OutcomeModel(
        models=tuple(f"m{number}" for number in range(m)),
        mean=np.zeros(8, dtype=np.float32),
        scale=np.ones(8, dtype=np.float32),
        bound=3.0,
        **arrays,
    )
    for n in (1, 8, 64):
        demands = rng.normal(size=(n, 16)).astype(np.float32)
        grown = model.with_model("new", ability=rng.normal(size=16), ease=0.3)
        two = grown.with_model("newer", ability=rng.normal(size=16), ease=0.1)
        np.testing.assert_array_equal(grown.quality(demands)[:, :m], model.quality(demands))
        np.testing.assert_array_equal(two.quality(demands)[:, :-1], grown.quality(demands))


@pytest.mark.parametrize("name", ROUTERS)
def test_a_saved_new_model_is_one_of_the_pair_and_an_expert(name: str, tmp_path) -> None:
    router = ROUTERS[name]()
    router.add_model("new", some_rows(name))
    options = {} if name == "mf" else {"embedder": EMBEDDER}
    known = router.models[0]
    loaded = load_router(
        name,
        checkpoint=router.save(tmp_path / name),
        strong_model="new",
        weak_model=known,
        **options,
    )
    assert loaded.pair == ModelPair("new", known)
    quality = loaded.qualities(PROMPTS[name], ["new", known])
    np.testing.assert_allclose(
        loaded.raw_win_rates(PROMPTS[name]), (1 + quality[:, 0] - quality[:, 1]) / 2, atol=1e-6
    )


@pytest.mark.parametrize("check", ROUTER_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", ROUTERS)
def test_a_router_with_a_new_model_in_its_pair_passes_the_shipped_checks(
    name: str, check: Callable[[Router], None], tmp_path: Path
) -> None:
    hashing = HashingEmbedder(dimension=8)
    prompts = [f"Prompt {number}" for number in range(30)]
    index = CosineIndex.of(hashing.embed(prompts))
    quality = np.random.default_rng(0).uniform(size=(30, 2))
    router = {
        "mf": MatrixFactorizationRouter.default,
        "cluster": lambda: ClusterRouter(
            centres=index, table=quality, **{**COMMON, "embedder": hashing}
        ),
        "knn": lambda: KNNRouter(
            index=index, quality=quality, k=5, **{**COMMON, "embedder": hashing}
        ),
    }[name]()
    answers = {prompt: float(number % 3 == 0) for number, prompt in enumerate(prompts)}
    if name == "mf":  # a model as able as GPT-4, so that win rates spread as widely
        able = router.qualities(SEEDS, ["gpt-4-0613"])[:, 0]
        answers = dict(zip(SEEDS, able.tolist(), strict=True))
    router.add_model("new", rows("new", answers))
    options = {} if name == "mf" else {"embedder": hashing}
    folder = router.save(tmp_path / name)
    check(load_router(name, checkpoint=folder, strong_model="new", **options))


def test_a_new_model_is_an_expert_that_predict_can_choose() -> None:
    router = MatrixFactorizationRouter.default()
    perfect = rows("newcomer", dict.fromkeys(SEEDS[:100], 1.0))
    table = ExpertTable([Expert("small", "gemma3-1b"), Expert("fresh", "vendor/newcomer-2")])
    strategy = Predict(quality_per_usd=0.0, models={"fresh": "newcomer"})
    with pytest.raises(UnknownModelError, match="'newcomer'"):
        make_decider(router=router, experts=table, strategy=strategy)
    router.add_model("newcomer", perfect)
    decider = make_decider(router=router, experts=table, strategy=strategy)
    assert decider.decide(Turn("Prove that pi is irrational.")).route == "fresh"


@pytest.mark.parametrize("name", ROUTERS)
def test_without_outcomes_a_model_is_a_guess_and_says_so(name: str, tmp_path) -> None:
    router = ROUTERS[name]()
    known = router.models[1]
    report = router.add_model("new", like=known)
    assert report.is_guess
    assert report.n_prompts == 0
    assert report.like == report.nearest[0] == known
    assert max(report.standard_error) > 0.0
    quality = router.quality(PROMPTS[name])
    np.testing.assert_allclose(quality[:, -1], quality[:, 1], atol=1e-6)
    checkpoint = read_checkpoint(router.save(tmp_path / name))
    assert checkpoint.training["added_models"]["new"]["basis"] == "guess"
    assert f"| new | a guess: like {known} |" in model_card(checkpoint)


@pytest.mark.parametrize("name", ROUTERS)
def test_a_model_that_is_always_better_is_found_to_be(name: str) -> None:
    router, prompts = ROUTERS[name](), PROMPTS[name]
    good = router.add_model("good", rows("good", dict.fromkeys(prompts, 1.0)))
    bad = router.add_model("bad", rows("bad", dict.fromkeys(prompts, 0.0)))
    assert good.ability[0] > bad.ability[0]
    quality = router.qualities(prompts, ["good", "bad"])
    assert (quality[:, 0] > quality[:, 1]).all()
    assert (quality >= 0.0).all()
    assert (quality <= 1.0).all()


def test_cluster_shrinks_the_new_models_mean_towards_the_known_models() -> None:
    router = cluster()
    report = router.add_model("new", rows("new", {"east": 0.25, "north": 1.0}), prior=2.0)
    # Residuals of -0.5 and 0.5 from 0.75 and 0.5: no shift, and a third of each.
    assert report.ability == (0.0,)
    assert report.standard_error == (pytest.approx(math.sqrt(0.5 + 2 * 0.25) / 4),)
    expected = [0.75 - 0.5 / 3, 0.5 + 0.5 / 3]
    assert router.quality(["east", "north"])[:, 2] == pytest.approx(expected)


def test_knn_asks_the_new_models_own_neighbours() -> None:
    router = knn()
    report = router.add_model("new", rows("new", {"east": 0.25, "north": 1.0}), prior=2.0)
    assert report.ability == (0.0,)
    # k = 2 of 4 is 1 of 2.
    expected = [0.75 - 0.5 / 3, 0.5 + 0.5 / 3]
    assert router.quality(["east", "north"])[:, 2] == pytest.approx(expected)


@pytest.mark.parametrize("make", [cluster, knn])
def test_known_models_outcomes_tell_how_easy_the_prompts_were(make) -> None:
    outcomes = [
        *rows("new", {"east": 1.0, "north": 0.75}),
        *rows("big", {"east": 1.0, "north": 1.0}),
        *rows("small", {"east": 0.75, "north": 0.75}),
        *rows("stranger", {"east": 0.0, "north": 0.0}),
    ]
    router = make()
    report = router.add_model("new", outcomes, prior=1.0)
    # Beyond what is expected: 0, 0.25, 0.25 and 0.5, and a prompt of 0.
    assert report.prompt_shift == pytest.approx(1.0 / 5)
    assert report.ability == (pytest.approx((0.25 + 0.25 - 2 * 0.2) / 3),)


def test_an_ability_is_the_mode_of_its_posterior() -> None:
    rng = np.random.default_rng(0)
    design = np.column_stack([np.ones(30), rng.normal(size=(30, 2))])
    quality = rng.uniform(size=30)
    prior = GaussianPrior(np.array([0.3, 1.0, -0.2]), np.diag([0.5, 0.0, 2.0])[:, [0, 2]])
    found = fit_ability(design, quality, prior, offset=0.1)
    assert found.parameters[1] == 1.0
    assert found.standard_errors[1] == 0.0

    def log_posterior(parameters: np.ndarray) -> float:
        logits = design @ parameters + 0.1
        away = (parameters - prior.mean)[[0, 2]] / [0.5, 2.0]
        likelihood = quality * logits - np.logaddexp(0.0, logits)
        return float(likelihood.sum() - 0.5 * away @ away)

    best, step = log_posterior(found.parameters), 1e-3
    moves = [step * np.array(move) for move in ([1.0, 0, 0], [0, 0, 1.0])]
    assert all(log_posterior(found.parameters + s * m) < best for m in moves for s in (1, -1))
    curvature = [
        [
            (
                log_posterior(found.parameters + a + b)
                - log_posterior(found.parameters + a - b)
                - log_posterior(found.parameters - a + b)
                + log_posterior(found.parameters - a - b)
            )
            / (4 * step**2)
            for b in moves
        ]
        for a in moves
    ]
    np.testing.assert_allclose(
        found.covariance[np.ix_([0, 2], [0, 2])], np.linalg.inv(-np.array(curvature)), rtol=1e-3
    )


def test_the_prior_is_the_known_models_spread() -> None:
    parameters = np.array([[0.0, 1.0], [2.0, 1.0], [4.0, 1.0]])
    prior = GaussianPrior.of_population(parameters)
    assert prior.mean.tolist() == [2.0, 1.0]
    np.testing.assert_allclose(prior.factor @ prior.factor.T, [[4.0, 0.0], [0.0, 0.0]])
    four_times = GaussianPrior.of_population(parameters, strength=4.0, mean=parameters[0])
    assert four_times.mean.tolist() == [0.0, 1.0]
    np.testing.assert_allclose(four_times.factor @ four_times.factor.T, [[1.0, 0.0], [0.0, 0.0]])
    # A correlation of 1 among few models is believed in part: 2 models beside 2 + 2.
    two = GaussianPrior.of_population(np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]]))
    np.testing.assert_allclose(two.factor @ two.factor.T, [[1.0, 1 / 3], [1 / 3, 1.0]])


def test_outcomes_drawn_of_an_ability_give_it_back_within_its_errors() -> None:
    """Of 40 models drawn from the bundled router's spread, at 95 %: at least 33 hold each number.

    P(fewer than 33 of 40 at 0.95) < 0.005; the draws are seeded.
    """
    router = MatrixFactorizationRouter.default()
    model = router.graded_model()
    known = np.column_stack([model.eases, model.abilities[:, 1]]).astype(np.float64)
    demands = router.demands(SEEDS).astype(np.float64)
    rng = np.random.default_rng(3)
    held, errors = np.zeros((40, 2)), {50: [], 400: []}
    for number in range(40):
        ease, ability = rng.multivariate_normal(known.mean(axis=0), np.cov(known.T))
        right = 1 / (1 + np.exp(-(ease + demands[:, 0] + ability * demands[:, 1])))
        for n in (50, 400):
            drawn = rng.permutation(len(SEEDS))[:n]
            quality = {SEEDS[i]: float(rng.uniform() < right[i]) for i in drawn}
            report = copy.copy(router).add_model("new", rows("new", quality))
            assert report.parameters == ("ease", "ability 1", "ability 2")
            assert report.ability[1] == 1.0
            assert report.standard_error[1] == 0.0
            errors[n].append(report.standard_error[0])
            off = np.abs(np.array(report.ability)[[0, 2]] - [ease, ability])
            held[number] = off <= 1.96 * np.array(report.standard_error)[[0, 2]]
    assert (held.sum(axis=0) >= 33).all()
    assert np.mean(errors[400]) < 0.8 * np.mean(errors[50])


def test_mf_takes_hard_prompts_for_hard_where_known_models_answered_them() -> None:
    prompts = SEEDS[:200]
    base = MatrixFactorizationRouter.default()
    known = {m: base.quality(prompts)[:, base.models.index(m)] for m in base.models[:8]}
    logit = {m: np.log(q / (1 - q)) for m, q in known.items()}
    # Everybody is worse than expected by 1.5, and the new model is like the first.
    truth = {m: 1 / (1 + np.exp(1.5 - x)) for m, x in logit.items()}
    first = base.models[0]
    own = rows("new", dict(zip(prompts, truth[first].tolist(), strict=True)))
    others = [
        row
        for m, q in truth.items()
        for row in rows(m, dict(zip(prompts, q.tolist(), strict=True)))
    ]
    ease = float(base.graded_model().eases[0])
    alone = copy.copy(base).add_model("new", own)
    beside = copy.copy(base).add_model("new", [*own, *others])
    assert alone.prompt_shift == 0.0
    assert alone.ability[0] < ease - 1.0
    assert beside.prompt_shift == pytest.approx(-1.5, abs=0.1)
    assert beside.ability[0] == pytest.approx(ease, abs=0.25)


def test_names_that_stand_for_a_trained_model_are_likenesses() -> None:
    router = MatrixFactorizationRouter.default()
    assert router.add_model("new", like="openai:gpt-4o-mini").like == "gemini-1.5-flash-002"
    router.add_model("gpt-4o-mini", some_rows("mf", "gpt-4o-mini"))
    assert router.known_model("openai:gpt-4o-mini") == "gpt-4o-mini"
    assert router.checkpoint_id is None


@pytest.mark.parametrize("name", ROUTERS)
def test_a_prior_that_counts_more_holds_the_model_nearer_to_its_start(name: str) -> None:
    router = ROUTERS[name]()
    known, prompts = router.models[1], PROMPTS[name]
    start = router.quality(prompts)[:, 1]
    off = []
    for prior in (0.1, 1.0, 1e6):
        grown = copy.copy(router)
        grown.add_model("new", some_rows(name), like=known, prior=prior)
        off.append(np.abs(grown.quality(prompts)[:, -1] - start).mean())
    assert off[0] > off[1] > off[2]
    assert off[2] < 1e-3


@pytest.mark.parametrize("name", ROUTERS)
def test_mistakes_are_named_and_change_nothing(name: str) -> None:
    router = ROUTERS[name]()
    models, good = router.models, some_rows(name)
    for arguments, error, told in (
        (("",), ConfigurationError, "needs a name"),
        (("new",), ConfigurationError, "Pass its `outcomes`.*or `like`"),
        ((models[0].upper(), good), ConfigurationError, "knows '.*' already"),
        (("newer", good), DataError, r"no row of model 'newer'\. Did you mean 'new'\?.*hold: new"),
        (("new", []), DataError, "empty"),
    ):
        with pytest.raises(error, match=told):
            router.add_model(*arguments)
    for prior in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ConfigurationError, match="`prior` must be a positive number"):
            router.add_model("new", good, prior=prior)
    with pytest.raises(UnknownModelError, match="'nobody'"):
        router.add_model("new", good, like="nobody")
    unanswered = read_outcomes([*good, *rows("other", {"elsewhere": 1.0})]).select([len(good)])
    with pytest.raises(DataError, match="no quality of 'new'"):
        router.add_model("new", unanswered)
    assert router.models == models
    assert router.added_models == {}
    router.add_model("new", good)
    with pytest.raises(ConfigurationError, match="knows 'new' already"):
        router.add_model("NEW", good)


def test_routers_that_compare_two_models_take_no_third() -> None:
    with pytest.raises(ConfigurationError, match="'random' takes no new models"):
        model_adder(load_router("random"))
    factors = np.ones((2, 2), dtype=np.float32)
    battles = BattleModel(("big", "small"), factors, factors, np.zeros(2, dtype=np.float32))
    router = MatrixFactorizationRouter(battles, pair=COMMON["pair"], embedder=EMBEDDER)
    with pytest.raises(ConfigurationError, match="fitted to battles"):
        router.add_model("new", some_rows("knn"))
    with pytest.raises(ConfigurationError, match="fitted to battles"):
        choose_prompts(router, ["east"], 1)
    mine = load_router("mf", model_names={"mine": "gpt-4-0613"})
    with pytest.raises(ConfigurationError, match="`model_names` says that 'mine' stands for"):
        mine.add_model("mine", like="gpt-4-0613")


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("mf", {"n_added": 99}),
        ("mf", {"n_added": True}),
        ("cluster", {"n_added": -1}),
        ("cluster", {"n_added": 2}),
        ("knn", {"added": 1}),
        ("knn", {"added": [{}, {}]}),
        ("knn", {"added": ["like"]}),
        ("knn", {"added": [{"like": 2, "k": 1, "prior": 5.0, "prompt_shift": 0.0}]}),
        ("knn", {"added": [{"like": None, "k": 9, "prior": 5.0, "prompt_shift": 0.0}]}),
        ("knn", {"added": [{"like": None, "k": 1, "prior": 0.0, "prompt_shift": 0.0}]}),
        ("knn", {"added": [{"like": None, "k": 1, "prior": 5.0, "prompt_shift": None}]}),
    ],
)
def test_a_checkpoint_whose_added_models_do_not_fit_is_refused(
    name: str, parameters: dict[str, object], tmp_path
) -> None:
    router = ROUTERS[name]()
    router.add_model("new", some_rows(name))
    saved = read_checkpoint(router.save(tmp_path / name))
    broken = replace(saved, parameters={**saved.parameters, **parameters})
    options = {} if name == "mf" else {"embedder": EMBEDDER}
    with pytest.raises(CheckpointError, match=r"`n_added`|`added`|added model 0"):
        load_router(name, checkpoint=write_checkpoint(broken, tmp_path / "broken"), **options)


@pytest.mark.parametrize("kept", [[], {"new": 1}, {"new": {"name": "new"}}])
def test_a_damaged_report_is_a_checkpoint_error(kept: object) -> None:
    router = MatrixFactorizationRouter.default()
    router.training = {"added_models": kept}
    with pytest.raises(CheckpointError, match="'added_models'"):
        _ = router.added_models


def test_each_choice_adds_its_gain_to_the_log_determinant() -> None:
    rng = np.random.default_rng(1)
    features, weights = rng.normal(size=(40, 3)), rng.uniform(0.0, 0.25, size=40)
    chosen, gains = choose_rows(features, weights, 12)

    def log_det(picked: list[int]) -> float:
        information = np.eye(3) + (features[picked].T * weights[picked]) @ features[picked]
        return float(np.linalg.slogdet(information)[1])

    picked: list[int] = []
    for row, gain in zip(chosen.tolist(), gains, strict=True):
        possible = [log_det([*picked, other]) for other in range(40) if other not in picked]
        assert log_det([*picked, row]) == pytest.approx(max(possible), abs=1e-9)
        assert gain == pytest.approx(log_det([*picked, row]) - log_det(picked), abs=1e-9)
        picked.append(row)
    assert len({*picked}) == 12


def test_chosen_prompts_make_an_ability_surer_than_random_ones() -> None:
    router = MatrixFactorizationRouter.default()
    chosen = choose_prompts(router, SEEDS, 30)
    assert chosen.tolist() == choose_prompts(router, SEEDS, 30).tolist()
    assert chosen.tolist() != choose_prompts(router, SEEDS, 30, seed=1).tolist()
    every = choose_prompts(router, SEEDS, 30, candidates=len(SEEDS))
    assert choose_prompts(router, SEEDS, 10, candidates=10_000).tolist() == every[:10].tolist()
    drawn = choose_prompts(router, SEEDS, 10, candidates=10)
    assert sorted(drawn) == sorted(np.random.default_rng(0).permutation(len(SEEDS))[:10])
    errors = {}
    for name, positions in (
        ("chosen", chosen),
        ("every", every),
        ("random", np.random.default_rng(0).permutation(len(SEEDS))[:30]),
    ):
        quality = {SEEDS[i]: 0.5 for i in positions}
        report = copy.copy(router).add_model("new", rows("new", quality))
        errors[name] = report.standard_error
    for number in (0, 2):
        assert errors["every"][number] < errors["random"][number]
        assert errors["chosen"][number] < errors["random"][number]


def test_equal_prompts_are_chosen_once_and_the_first_of_them() -> None:
    router = MatrixFactorizationRouter.default()
    prompts = ["Hi!", "Prove Fermat's theorem.", "Hi!", "Prove Fermat's theorem."]
    assert sorted(choose_prompts(router, prompts, 2).tolist()) == [0, 1]
    with pytest.raises(DataError, match="3 prompts cannot be chosen among 2 different ones"):
        choose_prompts(router, prompts, 3)
    for n in (0, -1, True, 1.5):
        with pytest.raises(ConfigurationError, match="`n` must be a whole number from 1 on"):
            choose_prompts(router, prompts, n)
    with pytest.raises(ConfigurationError, match="`candidates` must be at least n = 2, got 1"):
        choose_prompts(router, prompts, 2, candidates=1)
    with pytest.raises(ConfigurationError, match="got router 'knn'"):
        choose_prompts(knn(), ["east"], 1)
    with pytest.raises(UnknownModelError, match="nobody"):
        choose_prompts(router, prompts, 1, like="nobody")
    easy_for_the_strong = choose_prompts(router, SEEDS, 5, like="gpt-4-0613")
    hard_for_the_weak = choose_prompts(router, SEEDS, 5, like="gemma3-1b")
    assert easy_for_the_strong.tolist() != hard_for_the_weak.tolist()


def test_a_report_is_json_and_comes_back(tmp_path) -> None:
    router = MatrixFactorizationRouter.default()
    report = router.add_model("new", some_rows("mf"), like="gpt-4-0613")
    values = json.loads(json.dumps(report.values()))
    assert values["basis"] == "outcomes"
    assert type(report).of_values(values) == report
    card = model_card(read_checkpoint(router.save(tmp_path / "mf")))
    assert "| new | 40 prompts, starting from gpt-4-0613 |" in card
