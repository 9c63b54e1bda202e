"""Matrix factorisation: by hand on tiny factors, then the bundled weights."""

import math
from pathlib import Path

import numpy as np
import pytest

from routellm_core import CheckpointError, ConfigurationError, ModelPair, UnknownModelError
from routellm_core import load_router as load_any_router
from routellm_core.calibration import router_threshold
from routellm_core.checkpoints import read_checkpoint
from routellm_core.routers._model_names import NEAREST, resolve_model
from routellm_core.routers._outcome_model import OutcomeModel
from routellm_core.routers.mf import MatrixFactorizationRouter
from routellm_core.training.bundled.topics import read_seeds

LANGUAGES = ["ar", "de", "en", "es", "fr", "hi", "it", "ja", "ko", "pt", "ru", "zh"]


class LengthEmbedder:
    """Embed a text as its length and 1."""

    identity = "length-2"

    def embed(self, texts):
        return np.array([[len(text), 1.0] for text in texts], dtype=np.float32)


def array(*rows: object) -> np.ndarray:
    return np.array(rows, dtype=np.float32)


def tiny(**changes: object) -> MatrixFactorizationRouter:
    outcome_model = OutcomeModel(
        models=("big", "small"),
        mean=array(2.0, 0.0),
        scale=array(2.0, 1.0),
        bound=3.0,
        projection=array([-1.0, 0.5], [0.0, 0.0]),
        abilities=array([1.0, 1.0], [1.0, 0.0]),
        eases=array(1.0, 0.0),
    )
    options = {
        "pair": ModelPair("big", "small"),
        "embedder": LengthEmbedder(),
        "calibration_demands": array([0.0, 0.0], [-1.0, 0.5], [-3.0, 1.5]),
        "calibration_source": "three prompts",
    }
    return MatrixFactorizationRouter(outcome_model, **(options | changes))


def raw(router: MatrixFactorizationRouter, prompt: str) -> float:
    return float(router.raw_win_rates([prompt])[0])


def logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_the_win_rate_is_what_a_hand_computes() -> None:
    # Four characters: (4 - 2) / 2 = 1, so the demands are (-1, 0.5).
    expected = (1 + logistic(1 - 1 + 0.5) - logistic(-1)) / 2
    assert raw(tiny(), "abcd") == pytest.approx(expected, abs=1e-6)


def test_far_out_embeddings_are_clipped_at_the_bound() -> None:
    expected = (1 + logistic(1 - 3 + 1.5) - logistic(-3)) / 2
    assert raw(tiny(), "x" * 8) == pytest.approx(expected, abs=1e-6)
    assert raw(tiny(), "x" * 900) == pytest.approx(expected, abs=1e-6)


def test_the_pair_collapses_to_the_same_numbers_as_the_full_formula() -> None:
    router = load_any_router("mf", strong_model="gpt-4", weak_model="mixtral-8x7b")
    prompts = ["Hi!", "Prove Cauchy's theorem.", "解释量子纠缠。", ""]
    quality = router.quality(prompts)
    assert quality.shape == (4, len(router.models))
    strong, weak = (
        quality[:, router.models.index(m)] for m in ("gpt-4-0613", "Mixtral-8x7B-Instruct-v0.1")
    )
    np.testing.assert_allclose(router.raw_win_rates(prompts), (1 + strong - weak) / 2, atol=1e-5)
    assert router.quality([]).shape == (0, len(router.models))


def test_where_both_succeed_or_both_fail_the_win_rate_is_near_one_half() -> None:
    ease = array(9.0, 8.0)
    model = tiny().outcome_model
    for sign in (1, -1):
        extreme = OutcomeModel(
            model.models,
            model.mean,
            model.scale,
            3.0,
            model.projection,
            model.abilities,
            sign * ease,
        )
        router = MatrixFactorizationRouter(
            extreme, pair=ModelPair("big", "small"), embedder=LengthEmbedder()
        )
        assert router.win_rate("ab") == pytest.approx(0.5, abs=0.01)


def test_swapping_the_models_mirrors_the_win_rates() -> None:
    swapped = tiny(strong_model="small", weak_model="big")
    for prompt in ("", "abcd", "a longer prompt"):
        assert swapped.win_rate(prompt) == pytest.approx(1 - tiny().win_rate(prompt), abs=1e-6)


def test_calibration_follows_the_pair() -> None:
    calibration = tiny().calibration
    assert calibration is not None
    assert calibration.n_prompts == 3
    expected = [
        (1 + logistic(1) - logistic(0)) / 2,
        (1 + logistic(0.5) - logistic(-1)) / 2,
        (1 + logistic(-0.5) - logistic(-3)) / 2,
    ]
    assert calibration.scale is not None
    # The lowest and the highest of the three prompts, between 0 and 1.
    assert calibration.scale[[1, -2], 0] == pytest.approx([min(expected), max(expected)], abs=1e-6)
    assert calibration.quantiles == pytest.approx(np.linspace(0, 1, 201), abs=0.01)
    swapped = tiny(strong_model="small", weak_model="big").calibration
    assert swapped is not None
    assert swapped.scale is not None
    assert swapped.scale[-2, 0] == pytest.approx(1 - min(expected), abs=1e-6)
    assert tiny(calibration_demands=None).calibration is None


def test_a_saved_router_needs_the_embedder_it_was_fitted_on(tmp_path: Path) -> None:
    folder = tiny().save(tmp_path / "mf")
    loaded = MatrixFactorizationRouter.load(folder, embedder=LengthEmbedder())
    assert loaded.win_rate("abcd") == pytest.approx(tiny().win_rate("abcd"))
    assert loaded.calibration is not None
    with pytest.raises(CheckpointError, match="length-2"):
        MatrixFactorizationRouter.load(folder)


def test_a_checkpoint_on_another_releases_embedder_says_what_to_do(tmp_path: Path) -> None:
    embedder = LengthEmbedder()
    embedder.identity = "bundled-0123456789abcdef"
    folder = tiny(embedder=embedder).save(tmp_path / "mf")
    with pytest.raises(
        CheckpointError, match=r"BundledEmbedder\(read_checkpoint\(FOLDER\)\).*or train"
    ):
        MatrixFactorizationRouter.load(folder)
    loaded = MatrixFactorizationRouter.load(folder, embedder=embedder)
    assert loaded.raw_win_rates(["abcd"]) == pytest.approx(tiny().raw_win_rates(["abcd"]))


def test_a_model_that_is_not_trained_is_named_with_its_neighbours() -> None:
    with pytest.raises(UnknownModelError, match=r"'gpt-4oo'.*Did you mean 'gpt-4o'"):
        load_any_router("mf", strong_model="gpt-4oo")
    with pytest.raises(UnknownModelError, match="model_names"):
        load_any_router("mf", weak_model="my-own-model")


def test_two_names_of_one_trained_model_are_no_pair() -> None:
    with pytest.raises(ConfigurationError, match="both stand for the trained model"):
        load_any_router("mf", strong_model="gpt-4o", weak_model="claude-opus-4")


def test_an_option_that_it_does_not_take_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'strong'"):
        load_any_router("mf", strong="gpt-4o")


def test_names_of_ones_own_go_first() -> None:
    names = {"house": "gemini-1.5-flash-002", "gpt-4o": "Meta-Llama-3_1-70B-Instruct"}
    router = load_any_router("mf", strong_model="gpt-4o", weak_model="house", model_names=names)
    assert router.pair == ModelPair("Meta-Llama-3_1-70B-Instruct", "gemini-1.5-flash-002")
    with pytest.raises(UnknownModelError, match="nobody"):
        load_any_router("mf", strong_model="x", model_names={"x": "nobody"})


@pytest.mark.parametrize(
    ("name", "trained"),
    [
        ("gpt-4o", "gemini-1.5-pro-002"),
        ("openai:gpt-4o-mini", "gemini-1.5-flash-002"),
        ("openai/gpt-4o-mini-2024-07-18", "gemini-1.5-flash-002"),
        ("gpt-4-1106-preview", "gpt-4-0613"),
        ("gpt-4.1", "gemini-1.5-pro-002"),
        ("gpt-4.1-nano", "Meta-Llama-3_1-8B-Instruct"),
        ("gpt-3.5-turbo", "gpt-3.5-turbo-0613"),
        ("anthropic:claude-sonnet-4-5", "gemini-1.5-pro-002"),
        ("claude-3-5-haiku-20241022", "gemini-1.5-flash-002"),
        ("claude-haiku-4-5", "gemini-1.5-flash-002"),
        ("anthropic.claude-3-5-sonnet-20240620-v1:0", "gemini-1.5-pro-002"),
        ("us.anthropic.claude-3-haiku-20240307-v1:0", "Qwen1.5-72B-Chat"),
        ("google_genai:gemini-2.5-pro", "gemini-1.5-pro-002"),
        ("gemini/gemini-2.0-flash", "gemini-1.5-flash-002"),
        ("mistralai/Mixtral-8x7B-Instruct-v0.1", "Mixtral-8x7B-Instruct-v0.1"),
        ("mixtral-8x7b-instruct-v0.1", "Mixtral-8x7B-Instruct-v0.1"),
        ("together_ai/meta-llama/Meta-Llama-3.1-8B-Instruct", "Meta-Llama-3_1-8B-Instruct"),
        ("meta-llama/Llama-3.3-70B-Instruct", "Meta-Llama-3_1-70B-Instruct"),
        ("ollama/llama3.1:8b", "llama3.1-8b"),
        ("ollama/llama3", "Meta-Llama-3_1-8B-Instruct"),
        ("Qwen/Qwen2.5-7B-Instruct", "qwen2.5-7b-instruct"),
        ("deepseek-chat", "gemini-1.5-pro-002"),
        ("o3-mini", "gemini-1.5-flash-002"),
        ("gemma-2-9b-it", "gemma-2-9b-it"),
    ],
)
def test_common_names_lead_to_the_nearest_trained_model(name: str, trained: str) -> None:
    assert resolve_model(name, load_any_router("mf").models) == trained


def test_every_name_of_the_table_leads_to_a_trained_model() -> None:
    assert set(NEAREST.values()) <= set(load_any_router("mf").models)


def test_the_default_is_a_large_and_a_small_trained_model() -> None:
    router = load_any_router("mf")
    assert router.pair is not None
    quality = router.quality(["Which planet is the largest?"])[0]
    by_name = dict(zip(router.models, quality, strict=True))
    assert by_name[router.pair.strong] > by_name[router.pair.weak]


def test_hard_requests_in_portuguese_stand_above_a_one_fact_question() -> None:
    capital, navier, vortex = load_any_router("mf").win_rates(
        [
            "Qual é a capital do Brasil?",
            "Descreva a equação de Navier-Stokes",
            "Calcule o vórtice de Burgers–Rott",
        ]
    )
    assert min(navier, vortex) > capital + 0.05


@pytest.mark.parametrize("language", LANGUAGES)
def test_held_out_hard_requests_stand_above_easy_ones(language: str) -> None:
    seeds = [s for s in read_seeds() if s.held_out and s.language == language]
    win_rates = load_any_router("mf").win_rates([seed.prompt for seed in seeds])
    levels = np.array([seed.level for seed in seeds])
    hard, easy = win_rates[levels == "hard"], win_rates[levels == "easy"]
    assert (hard[:, None] > easy).mean() >= 0.9
    assert hard.mean() > win_rates[levels == "medium"].mean() > easy.mean()


@pytest.mark.parametrize(
    "prompt",
    [
        "hi", "Hello!", "good evening", "thanks", "thank you so much!", "ok", "yes", "no", "lol",
        "2+2", "1+1=?", "what is 17*3?", "continue", "go on", "and why?", "fix it",
        "make it shorter", "What is the capital of France?", "Which river flows through Cairo?",
        "tell me a joke", "hola", "¿Qué tal?", "Danke", "weiter", "Bonjour !", "ciao", "Oi!",
        "привет", "спасибо", "你好", "谢谢", "继续", "ありがとう", "続けて", "고마워", "계속해 줘",
        "شكرا", "धन्यवाद",
    ],
)  # fmt: skip
def test_what_people_type_first_stands_in_the_lower_half_of_typical_prompts(prompt: str) -> None:
    assert load_any_router("mf").win_rate(prompt) < 0.5


def test_a_threshold_of_three_tenths_parts_expert_requests_from_geography() -> None:
    router = load_any_router("mf")
    expert = [
        "Derive the Navier-Stokes equations.",
        "Explain the Burgers vortex and the Burgers-Rott solution in fluid dynamics.",
        "Descreva a equação de Navier-Stokes",
        "Calcule o vórtice de Burgers–Rott",
    ]
    facts = [
        "What is the capital of France?",
        "What's the tallest mountain in the world?",
        "Qual é a capital do Brasil?",
        "Qual é o maior rio da África?",
    ]
    assert router.win_rates(expert).min() >= 0.3
    assert router.win_rates(facts).max() < 0.3


def test_length_does_not_carry() -> None:
    router = load_any_router("mf")
    chatter = (
        "Good evening! I hope your day went better than mine, because the bus was late, it rained "
        "and the cat has eaten the cake that my aunt baked for the party. Anyway, before I go to "
        "bed I would like to ask you a tiny thing that my little boy wanted to know at dinner, and "
        "he has been singing about it ever since: what colour is a banana? Thank you so much!"
    )
    terse = ["Derive Stokes' theorem", "Prove NP-hardness of knapsack", "推导薛定谔方程"]
    assert router.win_rate(chatter) < router.win_rates(terse).min()


@pytest.mark.parametrize("strong_share", [0.1, 0.3, 0.5, 0.8])
def test_a_strong_share_holds_on_the_calibration_prompts(strong_share: float) -> None:
    router = load_any_router("mf", weak_model="gemini-1.5-flash")
    assert isinstance(router, MatrixFactorizationRouter)
    demands = router._calibration_demands
    assert demands is not None
    assert len(demands) >= 1000
    quality = router.outcome_model.quality(demands)
    strong, weak = (
        quality[:, router.models.index(model)] for model in (router.pair.strong, router.pair.weak)
    )
    threshold = router_threshold(router, strong_share=strong_share)
    assert threshold == pytest.approx(1 - strong_share)
    assert (router.scaled((1 + strong - weak) / 2) >= threshold).mean() == pytest.approx(
        strong_share, abs=0.01
    )


def test_the_bundled_checkpoints_fit_in_the_wheel_and_say_where_they_come_from() -> None:
    package = Path(load_any_router.__code__.co_filename).parent.parent
    folders = [package / "embedders" / "tables", package / "routers" / "bundled" / "mf"]
    files = [path for folder in folders for path in folder.iterdir()]
    assert sum(path.stat().st_size for path in files) <= 8_000_000
    tables, router = (read_checkpoint(folder) for folder in folders)
    assert "Apache-2.0" in tables.training["provenance"]["word vectors"]
    assert set(router.training["prompts"]) == {"fasteval", "llmrouter", "lmeval", "mmlu_pro"}
    assert router.training["label_budget"] is False
