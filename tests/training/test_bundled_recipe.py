"""The recipe of the bundled router, end to end on small data with a planted rule."""

import json
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from routellm_core.checkpoints import read_checkpoint
from routellm_core.embedders.bundled import BundledEmbedder
from routellm_core.errors import DataError
from routellm_core.evaluation.metrics import apgr
from routellm_core.routers.mf import MatrixFactorizationRouter
from routellm_core.training.bundled.__main__ import main
from routellm_core.training.bundled.demands import OutcomeBlock, fit_demands, logistic
from routellm_core.training.bundled.failed_runs import without_failed_runs
from routellm_core.training.bundled.meaning import Meaning
from routellm_core.training.bundled.recipe import Recipe, run_recipe
from routellm_core.training.bundled.sources import (
    Source,
    read_sources,
    task_group,
    without_overlap,
)
from routellm_core.training.bundled.sparse import solve_ridge, word_rows
from routellm_core.training.bundled.topics import Seed, fit_topics, text_rows

PLANTED = (
    "the big model alone is right where a prompt speaks of rivers, both are right elsewhere",
)
RIVERS = ["river", "water", "lake", "stream", "flood", "bridge"]
KITCHENS = ["kitchen", "bread", "cheese", "butter", "oven", "soup"]
MODELS = ["gemini-1.5-pro-002", "Meta-Llama-3_1-8B-Instruct", "Qwen1.5-7B-Chat"]


def planted_data(folder: Path, *, shuffled: bool = False, n: int = 240) -> Path:
    rng = np.random.default_rng(3)
    prompts, rivers = [], []
    for number in range(n):
        words = RIVERS if number % 2 else KITCHENS
        picked = rng.choice(words, 12).tolist()
        prompts.append(f"Tell me more about the {' and the '.join(picked)}.")
        rivers.append(bool(number % 2))
    labels = rng.permutation(rivers) if shuffled else np.array(rivers)
    ids = [f"p{number}" for number in range(n)]
    table = {
        "prompt_id": ids,
        "source": ["one" if number % 4 < 2 else "two" for number in range(n)],
        "task": ["planted"] * n,
        "prompt": prompts,
        "may_ship": [True] * n,
    }
    rows = [
        (prompt_id, model, float(model == MODELS[0] or not river))
        for prompt_id, river in zip(ids, labels, strict=True)
        for model in MODELS
    ]
    outcomes = dict(
        zip(("prompt_id", "model", "quality"), map(list, zip(*rows, strict=True)), strict=True)
    )
    (folder / "train").mkdir(parents=True)
    pyarrow.parquet.write_table(pyarrow.table(table), folder / "train" / "prompts.parquet")
    pyarrow.parquet.write_table(pyarrow.table(outcomes), folder / "train" / "outcomes.parquet")
    return folder


def train(data: Path, out: Path) -> MatrixFactorizationRouter:
    run_recipe(Recipe(data, out, topics="bundled"))
    embedder = BundledEmbedder(read_checkpoint(out / "tables"))
    return MatrixFactorizationRouter.load(out / "mf", embedder=embedder)


def planted_apgr(router: MatrixFactorizationRouter) -> float:
    """Score prompts that were not trained on; the big model is better on rivers only."""
    rng = np.random.default_rng(9)
    kinds = [RIVERS, KITCHENS] * 30
    prompts = [f"Tell me more about the {' and the '.join(rng.choice(k, 12))}." for k in kinds]
    weak = np.array([0.0, 1.0] * 30)
    return apgr(router.win_rates(prompts), weak=weak, strong=np.ones(60))


def test_the_recipe_recovers_a_planted_rule_and_repeats_itself(tmp_path: Path) -> None:
    data = planted_data(tmp_path / "data")
    router = train(data, tmp_path / "first")
    assert router.models == tuple(sorted(MODELS))
    # Half the prompts need the strong model: a perfect router has an APGR of 0.75.
    assert planted_apgr(router) > 0.72
    again = train(data, tmp_path / "second")
    prompts = ["A river.", "Bread and butter."]
    np.testing.assert_array_equal(again.win_rates(prompts), router.win_rates(prompts))
    assert router.calibration is not None
    assert router.training["prompts"] == {"one": 120, "two": 120}


def test_shuffled_outcomes_teach_nothing(tmp_path: Path) -> None:
    data = planted_data(tmp_path / "data", shuffled=True)
    main(["--data", str(data), "--out", str(tmp_path / "out"), "--validate", "--topics", "bundled"])
    sources = json.loads((tmp_path / "out" / "report.json").read_text())["sources"]
    assert sources["one"]["router"] == pytest.approx(0.5, abs=0.1)
    assert sources["two"]["router"] == pytest.approx(0.5, abs=0.1)


def test_the_validation_report_has_every_row_for_every_unit(tmp_path: Path) -> None:
    data = planted_data(tmp_path / "data")
    main(["--data", str(data), "--out", str(tmp_path / "out"), "--validate", "--topics", "bundled"])
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert set(report["sources"]) == {"one", "two"}
    assert report["sources"]["one"]["router"] > 0.7
    assert report["sources"]["one"]["oracle"] == pytest.approx(0.75, abs=0.02)
    assert set(report["pairs_mean"]) == {"router", "length", "difficulty_ridge", "oracle"}
    assert set(report["seeds"]) >= {"en", "zh"}


def test_missing_data_is_reported_by_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"prompts\.parquet"):
        read_sources(tmp_path)


def source(prompts: list[str], quality: object, models: tuple[str, ...] = ("a", "b")) -> Source:
    values = np.array(quality, dtype=np.float64)
    return Source("s", tuple(prompts), ("t",) * len(prompts), models, values, may_ship=True)


def test_prompts_that_repeat_a_benchmark_are_dropped() -> None:
    story = "A train leaves the old station at nine and travels for three hours to the coast"
    mine = source(
        [
            f"{story}. How far?\nA. 1\nB. 2",
            "What colour is the sea at noon?",
            f"Well: {story}. How far is it?",
        ],
        np.ones((3, 2)),
    )
    (kept,), dropped = without_overlap([mine], [f"{story}. How far?\nA. 7\nB. 9"])
    assert kept.prompts == ("What colour is the sea at noon?",)
    assert dropped == {"s": 2}
    (kept,), dropped = without_overlap([mine], ["what color is the sea", "Name a bird."])
    assert len(kept.prompts) == 3
    # A stem of a few words repeats a benchmark only when it is the same.
    (kept,), dropped = without_overlap([mine], ["what colour is the SEA at noon? A. blue"])
    assert dropped == {"s": 0}
    (kept,), dropped = without_overlap([mine], ["what colour is the SEA, at noon?\nA. blue"])
    assert dropped == {"s": 1}


def test_a_run_that_failed_is_left_out() -> None:
    rng = np.random.default_rng(0)
    models = ("Qwen1.5-7B-Chat", "gemini-1.5-pro-002", "Phi-3-mini-4k-instruct")
    quality = (rng.random((60, 3)) < 0.7).astype(float)
    quality[:30, 1] = 0.0
    mixed = Source("s", ("p",) * 60, ("x",) * 30 + ("y",) * 30, models, quality, may_ship=True)
    cleaned = without_failed_runs(mixed).quality
    assert np.isnan(cleaned[:30, 1]).all()
    assert np.isnan(cleaned).sum() == 30


def test_task_groups_put_school_maths_before_maths() -> None:
    groups = [task_group(t) for t in ("gsm8k", "minerva_math_algebra", "human_eval", "vicuna")]
    assert groups == ["school_maths", "hard_maths", "code", "generation"]


def test_newtons_method_finds_the_demands_that_made_the_data() -> None:
    rng = np.random.default_rng(1)
    features = rng.normal(size=(4000, 3))
    projection = np.array([[1.0, 0.0], [0.0, 0.7], [0.0, 0.0]])
    abilities = np.array([[1.0, -1.0], [1.0, 0.0], [1.0, 1.0]])
    ease = np.array([0.2, 0.0, 0.5])
    chance = logistic(features @ projection @ abilities.T + ease)
    quality = (rng.random(chance.shape) < chance).astype(float)
    quality[rng.random(chance.shape) < 0.2] = np.nan
    block = OutcomeBlock(features, quality, abilities, weight=1.0)
    model = fit_demands([block], penalties=np.full((3, 2), 1e-4))
    np.testing.assert_allclose(model.projection, projection, atol=0.1)
    np.testing.assert_allclose(model.eases[0], ease, atol=0.12)


def test_the_penalty_pulls_to_its_centre() -> None:
    block = OutcomeBlock(np.zeros((10, 1)), np.full((10, 1), 0.5), np.ones((1, 1)), weight=1.0)
    model = fit_demands([block], penalties=np.ones((1, 1)), centre=np.array([[0.3]]))
    assert model.projection[0, 0] == pytest.approx(0.3)


def test_ridge_regression_on_pieces_solves_the_normal_equations() -> None:
    rows = word_rows(["river", "rivers", "bread"], buckets=64)
    targets = np.array([[1.0], [1.0], [-1.0]], dtype=np.float32)
    solution = solve_ridge(rows, targets, ridge=0.1)
    gradient = rows.backward(rows.forward(solution) - targets) + 0.1 * solution
    assert np.abs(gradient).max() < 1e-3
    assert rows.forward(solution)[0, 0] > 0.5 > -0.3 > rows.forward(solution)[2, 0]


def test_further_columns_stand_to_the_right_of_the_buckets() -> None:
    beside = np.array([[0.0, 2.0], [3.0, 0.0]])
    rows = word_rows(["river", "bread"], buckets=64, beside=beside)
    weights = np.zeros((66, 1), dtype=np.float32)
    weights[64:] = [[10.0], [1.0]]
    assert rows.forward(weights).ravel().tolist() == [2.0, 30.0]


def test_a_one_word_prompt_is_easy_for_its_brevity_more_than_for_its_word() -> None:
    short = ["yes", "why", "okay", "hello", "again", "more", "later"]
    long = ["why do eigenvalues of normal operators commute", "prove spectra compact entirely"]
    seeds = [Seed(text, "en", "easy", "oneword", held_out=False) for text in short]
    seeds += [Seed(text, "en", "hard", "maths", held_out=False) for text in long]
    pieces = np.zeros((2**10, 2), dtype=np.float32)
    meaning = Meaning(["river"], pieces[:1], np.ones(1, dtype=np.float32), pieces)
    options = {"lexicon_weight": 0.0, "vocabulary_weight": 0.0}
    topics = fit_topics(seeds, meaning, **options)
    hardness = text_rows(["why", "eigenvalues"], buckets=2**10).forward(topics)[:, 0]
    assert abs(hardness).max() < 0.2


def test_pooled_eases_are_drawn_to_a_line_in_ability() -> None:
    general = np.array([-1.0, 0.0, 1.0])
    abilities = np.stack([np.ones(3), general], axis=1)
    chance = logistic(np.array([-1.0, 0.6, 1.0]))
    quality = (np.arange(200)[:, None] < 200 * chance).astype(float)

    def bend(ease_penalty: float, *, pooled: bool = True) -> float:
        block = OutcomeBlock(np.zeros((200, 1)), quality, abilities, 1.0, pooled=pooled)
        model = fit_demands([block], penalties=np.ones((1, 2)), ease_penalty=ease_penalty)
        low, middle, high = model.eases[0]
        return float(abs(middle - (low + high) / 2))

    assert bend(0.0) == pytest.approx(0.6, abs=0.03)
    assert bend(100.0) < 0.05
    assert bend(100.0, pooled=False) == pytest.approx(0.6, abs=0.03)
