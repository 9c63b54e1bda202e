"""RouteLLM's published matrix factorization, read as it is."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tiny_checkpoints import TableEmbedder, published_mf

from routellm_core import CheckpointError, ConfigurationError, UnknownModelError
from routellm_core.routers._battle_model import PUBLISHED_MODELS
from routellm_core.routers.mf import MatrixFactorizationRouter

EMBEDDER = TableEmbedder({"p": list(np.linspace(-1, 1, 12)), "q": [0.3] * 12})


def loaded(folder, **options):
    return MatrixFactorizationRouter.load(folder, embedder=EMBEDDER, **options)


def changed(folder, *, tensors=None, **config):
    path = folder / "model.safetensors"
    found = load_file(path)
    for name, value in (tensors or {}).items():
        found.pop(name)
        if value is not None:
            found[value[0]] = np.ascontiguousarray(value[1])
    save_file(found, path)
    stored = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**stored, **config}))
    return folder


def test_the_win_rate_is_the_published_formula(tmp_path) -> None:
    folder = published_mf(tmp_path / "mf")
    tensors = load_file(folder / "model.safetensors")
    router = loaded(folder, strong_model="palm-2", weak_model="vicuna-7b")
    rows = tensors["P.weight"] / np.linalg.norm(tensors["P.weight"], axis=1, keepdims=True)
    demands = tensors["text_proj.0.weight"] @ np.array(EMBEDDER.table["p"])
    scores = (rows * demands) @ tensors["classifier.0.weight"][0]
    strong, weak = (PUBLISHED_MODELS.index(model) for model in ("palm-2", "vicuna-7b"))
    expected = 1.0 / (1.0 + np.exp(scores[weak] - scores[strong]))
    assert router.win_rate("p") == pytest.approx(expected, abs=1e-6)


def test_the_default_pair_is_the_published_one(tmp_path) -> None:
    pair = loaded(published_mf(tmp_path / "mf")).pair
    assert (pair.strong, pair.weak) == ("gpt-4-1106-preview", "mixtral-8x7b-instruct-v0.1")


def test_swapped_models_have_the_complement(tmp_path) -> None:
    folder = published_mf(tmp_path / "mf")
    there = loaded(folder, strong_model="palm-2", weak_model="yi-34b-chat").win_rates(["p", "q"])
    back = loaded(folder, strong_model="yi-34b-chat", weak_model="palm-2").win_rates(["p", "q"])
    np.testing.assert_allclose(there + back, 1.0)


def test_a_projection_under_its_training_name_is_read(tmp_path) -> None:
    folder = published_mf(tmp_path / "mf")
    expected = loaded(folder).win_rate("p")
    weight = load_file(folder / "model.safetensors")["text_proj.0.weight"]
    changed(folder, tensors={"text_proj.0.weight": ("text_proj.weight", weight)})
    assert loaded(folder).win_rate("p") == expected


def test_a_checkpoint_without_a_projection_is_read(tmp_path) -> None:
    router = MatrixFactorizationRouter.load(
        published_mf(tmp_path / "mf", use_proj=False), embedder=TableEmbedder({"p": [0.5] * 8})
    )
    assert 0.0 < router.win_rate("p") < 1.0


def test_saved_again_it_is_in_our_format_and_scores_the_same(tmp_path) -> None:
    router = loaded(published_mf(tmp_path / "mf"))
    again = loaded(router.save(tmp_path / "ours"))
    assert json.loads((tmp_path / "ours" / "config.json").read_text())["format"]
    assert again.pair == router.pair
    assert again.win_rate("p") == pytest.approx(router.win_rate("p"), abs=1e-7)


def test_it_compares_models_and_grades_none(tmp_path) -> None:
    with pytest.raises(ConfigurationError, match="no `quality`"):
        loaded(published_mf(tmp_path / "mf")).quality(["p"])


def test_a_model_that_it_does_not_know_is_refused(tmp_path) -> None:
    with pytest.raises(UnknownModelError, match="gpt-9"):
        loaded(published_mf(tmp_path / "mf"), strong_model="gpt-9")


@pytest.mark.parametrize(
    "change",
    [
        {"num_models": 63},
        {"tensors": {"P.weight": None}},
        {"tensors": {"classifier.0.weight": ("classifier.0.weight", np.ones((1, 3)))}},
        {"tensors": {"P.weight": ("P.weight", np.full((64, 8), np.nan))}},
        {"tensors": {"text_proj.0.weight": ("text_proj.0.weight", np.ones((3, 12)))}},
    ],
)
def test_a_damaged_one_is_refused(tmp_path, change) -> None:
    with pytest.raises(CheckpointError):
        loaded(changed(published_mf(tmp_path / "mf"), **change))
