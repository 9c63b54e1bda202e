"""An ensemble: its mean by hand, its members in one folder, and what it refuses."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from routellm_core import (
    CheckpointError,
    CheckpointNotFoundError,
    ConfigurationError,
    ModelPair,
    Router,
    RouterError,
    UnknownRouterError,
    load_router,
    read_checkpoint,
    router_threshold,
    write_checkpoint,
)
from routellm_core.calibration import calibration_of, with_calibration
from routellm_core.hub import CheckpointFolder
from routellm_core.routers.ensemble import EnsembleRouter
from routellm_core.routers.knn import KNNRouter
from routellm_core.routers.random import RandomRouter
from routellm_core.routers.similarity import CosineIndex
from routellm_core.testing import HashingEmbedder, ScriptedRouter

PAIR = ModelPair("big", "small")
WORDS = ["prove it", "hello there", "sum two numbers", "name a lake"]
PROMPTS = ["prove that it is so", "hello", ""]


class CountingEmbedder(HashingEmbedder):
    """Count what is embedded."""

    def __init__(self, *, dimension: int = 8) -> None:
        super().__init__(dimension=dimension)
        self.calls = 0

    def embed(self, texts):
        self.calls += 1
        return super().embed(texts)


class WaitingEmbedder(CountingEmbedder):
    """Embed on the event loop only."""

    def embed(self, texts):
        raise AssertionError("embedded in a thread")

    async def aembed(self, texts):
        return CountingEmbedder.embed(self, texts)


class Constant(ScriptedRouter):
    def __init__(self, win_rate: float, pair: ModelPair | None = None) -> None:
        super().__init__(default=win_rate)
        self._pair = pair

    @property
    def pair(self) -> ModelPair | None:
        return self._pair


def knn(embedder, *, k: int = 1, pair: ModelPair = PAIR) -> KNNRouter:
    quality = np.array([[1.0, 0.0, 1.0], [1.0, 1.0, 0.0], [1.0, 0.5, 0.0], [0.0, 1.0, 1.0]])
    index = CosineIndex.of(HashingEmbedder(dimension=embedder.dimension).embed(WORDS))
    models = ["big", "small", "third"]
    return KNNRouter(index=index, quality=quality, k=k, embedder=embedder, models=models, pair=pair)


def saved(folder: Path, embedder=None) -> Path:
    embedder = embedder or HashingEmbedder(dimension=8)
    members = {"near": knn(embedder), "far": knn(embedder, k=4), "chance": RandomRouter(seed=1)}
    return EnsembleRouter(members, weights=[2, 1, 1]).save(folder)


# What it computes


def test_the_win_rate_is_the_mean_and_weights_are_scaled_to_sum_to_one() -> None:
    members = [Constant(0.2), Constant(0.8), Constant(0.5)]
    assert EnsembleRouter(members).win_rate("x") == pytest.approx(0.5)
    router = EnsembleRouter(members, weights=[3.0, 1.0, 0.0])
    assert router.weights == (0.75, 0.25, 0.0)
    assert router.win_rate("x") == pytest.approx(0.35)


def test_members_that_are_all_sure_give_one_and_no_more() -> None:
    router = EnsembleRouter([Constant(1.0)] * 7, weights=[0.1, 0.2, 0.3, 0.7, 0.9, 1.1, 0.3])
    assert router.win_rate("x") == 1.0


def test_a_member_of_weight_zero_is_not_asked() -> None:
    silent = Constant(0.5)
    router = EnsembleRouter({"one": Constant(0.3), "silent": silent}, weights=[1.0, 0.0])
    assert router.win_rate("x") == pytest.approx(0.3)
    assert silent.prompts == []


def test_members_over_one_embedder_share_its_vectors() -> None:
    embedder, twin, other = CountingEmbedder(), CountingEmbedder(), CountingEmbedder(dimension=16)
    members = [knn(embedder), knn(twin, k=2), knn(embedder, k=3), knn(other)]
    expected = np.mean([member.win_rates(PROMPTS) for member in members], axis=0)
    for each in (embedder, twin, other):
        each.calls = 0
    np.testing.assert_allclose(EnsembleRouter(members).win_rates(PROMPTS), expected, atol=1e-12)
    # Embedders of the same identity are one.
    assert (embedder.calls, twin.calls, other.calls) == (1, 0, 1)


async def test_an_async_embedder_is_waited_for_once_and_without_a_thread() -> None:
    embedder, plain = WaitingEmbedder(), CountingEmbedder(dimension=16)
    members = [knn(embedder), knn(embedder, k=2), knn(plain), RandomRouter(seed=3)]
    router = EnsembleRouter(members)
    found = await router.awin_rates(PROMPTS)
    assert (embedder.calls, plain.calls) == (1, 1)
    same = [knn(CountingEmbedder()), knn(CountingEmbedder(), k=2), *members[2:]]
    np.testing.assert_allclose(found, EnsembleRouter(same).win_rates(PROMPTS), atol=1e-12)
    assert (await router.awin_rates([])).shape == (0,)


def test_a_member_that_breaks_the_contract_is_named() -> None:
    router = EnsembleRouter({"fine": Constant(0.5), "broken": Constant(float("nan"))})
    with pytest.raises(RouterError, match="scripted"):
        router.win_rate("x")

    class Broken(KNNRouter):
        def _score(self, embeddings):
            return np.full(len(embeddings), 1.5)

    broken = knn(HashingEmbedder(dimension=8))
    broken.__class__ = Broken
    with pytest.raises(RouterError, match=r"'wrong' must return win rates in \[0, 1\], got 1.5"):
        EnsembleRouter({"wrong": broken}).win_rate("x")


def test_an_ensemble_can_be_a_member() -> None:
    embedder = CountingEmbedder()
    inner = EnsembleRouter([knn(embedder), Constant(0.5)])
    outer = EnsembleRouter([inner, Constant(0.0)])
    assert outer.win_rate("hello") == pytest.approx(inner.win_rate("hello") / 2)
    assert outer.embedders == (embedder,)


# What it refuses


def test_members_for_different_pairs_are_refused_and_named() -> None:
    members = {
        "any": Constant(0.1),
        "first": Constant(0.1, PAIR),
        "second": Constant(0.1, ModelPair("big", "tiny")),
    }
    with pytest.raises(
        ConfigurationError, match="'first' is for 'big' over 'small', and 'second' for 'big' over"
    ):
        EnsembleRouter(members)
    del members["second"]
    assert EnsembleRouter(members).pair == PAIR
    assert EnsembleRouter([Constant(0.1)]).pair is None


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0], r"one number for each of 2 members, got shape \(1,\)"),
        ([1.0, -0.5], "at least 0, got -0.5 at index 1"),
        ([1.0, float("nan")], "finite and at least 0, got nan"),
        ([0.0, 0.0], "must not all be 0"),
        (["a", "b"], "must be 2 numbers"),
    ],
)
def test_weights_that_cannot_be_used_are_refused(weights, message) -> None:
    with pytest.raises(ConfigurationError, match=message):
        EnsembleRouter([Constant(0.1), Constant(0.2)], weights=weights)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([], "at least one member"),
        ({}, "at least one member"),
        ("mf", "must be a sequence of routers"),
        (Constant(0.1), "must be a sequence of routers"),
        (["mf"], "must be a `Router`, got 'mf'"),
        ({"../up": Constant(0.1)}, "got '../up'"),
        ({"": Constant(0.1)}, "got ''"),
        ({"dot.": Constant(0.1)}, "got 'dot.'"),
        ({"a" * 65: Constant(0.1)}, "1 to 64"),
        ({"A": Constant(0.1), "a": Constant(0.2)}, "differ in more than case, got A, a"),
    ],
)
def test_members_that_cannot_be_used_are_refused(members, message) -> None:
    with pytest.raises(ConfigurationError, match=message):
        EnsembleRouter(members)


def test_routers_in_a_sequence_are_named_by_their_kind() -> None:
    router = EnsembleRouter([RandomRouter(seed=1), Constant(0.1), RandomRouter(seed=2)])
    assert list(router.members) == ["random", "scripted", "random-2"]


# By name


def test_members_are_named_as_routers_are_named_everywhere(tmp_path: Path) -> None:
    folder = RandomRouter(seed=7).save(tmp_path / "seventh")
    spaced = RandomRouter(seed=8).save(tmp_path / "with a blank")
    router = load_router("ensemble", members=["mf", str(folder), str(spaced), RandomRouter()])
    assert list(router.members) == ["mf", "seventh", "router", "random"]
    assert router.pair == load_router("mf").pair
    by_name = load_router("ensemble", members={"a": "random", "b": str(folder)}, weights=[1, 3])
    assert [member.seed for member in by_name.members.values()] == [0, 7]


def test_an_unknown_member_is_named() -> None:
    with pytest.raises(UnknownRouterError, match=r"'rnadom'. Did you mean 'random'"):
        load_router("ensemble", members=["mf", "rnadom"])
    with pytest.raises(ConfigurationError, match="must be a sequence of routers"):
        load_router("ensemble", members="mf")
    with pytest.raises(ConfigurationError, match="Pass `checkpoint`, or `members`"):
        load_router("ensemble")


# Its folder


def test_one_folder_holds_the_ensemble_and_its_members(tmp_path: Path) -> None:
    folder = saved(tmp_path / "all", HashingEmbedder(dimension=8))
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json", "members", "model.safetensors",
    ]  # fmt: skip
    embedder = CountingEmbedder()
    router = load_router(str(folder), embedder=embedder)
    assert isinstance(router, EnsembleRouter)
    assert (list(router.members), router.weights) == (["near", "far", "chance"], (0.5, 0.25, 0.25))
    assert router.pair == PAIR
    assert router.checkpoint_id is not None
    assert read_checkpoint(folder).embedder == "hashing-8"
    embedder.calls = 0
    router.win_rates(PROMPTS)
    assert embedder.calls == 1
    # Each member is a checkpoint of its own.
    alone = load_router(str(folder / "members" / "near"), embedder=embedder)
    assert alone.win_rate("hello") == router.members["near"].win_rate("hello")


def test_a_member_that_was_changed_swapped_or_lost_is_refused(tmp_path: Path) -> None:
    embedder = HashingEmbedder(dimension=8)

    def load(folder: Path) -> Router:
        return load_router("ensemble", checkpoint=folder, embedder=embedder)

    swapped = saved(tmp_path / "swapped") / "members"
    (swapped / "near").rename(swapped / "other")
    (swapped / "far").rename(swapped / "near")
    (swapped / "other").rename(swapped / "far")
    with pytest.raises(CheckpointError, match=r"'near'.*not the one that was saved"):
        load(swapped.parent)
    tensors = saved(tmp_path / "tensors")
    path = tensors / "members" / "far" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(CheckpointError, match=r"checksum of its model.safetensors"):
        load(tensors)
    other = saved(tmp_path / "other")
    RandomRouter(seed=9).save(other / "members" / "chance")
    with pytest.raises(CheckpointError, match=r"'chance'.*not the one that was saved"):
        load(other)
    lost = saved(tmp_path / "lost")
    (lost / "members" / "chance" / "config.json").unlink()
    with pytest.raises(CheckpointNotFoundError, match="chance"):
        load(lost)


def test_a_member_lies_in_the_folder_and_leads_nowhere_else(tmp_path: Path) -> None:
    folder = saved(tmp_path / "all")
    outside = tmp_path / "outside"
    (folder / "members" / "chance").rename(outside)
    (folder / "members" / "chance").symlink_to(outside)
    with pytest.raises(CheckpointError, match="leads out of its checkpoint folder"):
        load_router("ensemble", checkpoint=folder, embedder=HashingEmbedder(dimension=8))
    # A circle ends at the checksum.
    (folder / "members" / "chance").unlink()
    (folder / "members" / "chance").symlink_to("..")
    with pytest.raises(CheckpointError, match="not the one that was saved"):
        load_router("ensemble", checkpoint=folder, embedder=HashingEmbedder(dimension=8))


def test_a_folder_of_links_to_blobs_loads_as_the_hubs_cache_has_them(tmp_path: Path) -> None:
    folder = saved(tmp_path / "saved")
    root = tmp_path / "models--own--router"
    snapshot, blobs = root / "snapshots" / "commit", root / "blobs"
    blobs.mkdir(parents=True)
    for number, path in enumerate(sorted(p for p in folder.rglob("*") if p.is_file())):
        (blobs / str(number)).write_bytes(path.read_bytes())
        link = snapshot / path.relative_to(folder)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(blobs / str(number))
    router = EnsembleRouter._from_folder(
        CheckpointFolder(snapshot, root), embedder=HashingEmbedder(dimension=8)
    )
    assert list(router.members) == ["near", "far", "chance"]


@pytest.mark.parametrize(
    "members",
    [
        None,
        [],
        ["near"],
        [{"name": "near", "router": "knn"}],
        [{"name": "../near", "router": "knn", "checksum": "0"}],
        [{"name": "near", "router": "knn", "checksum": "0"}] * 2,
    ],
)
def test_a_damaged_list_of_members_is_refused(members, tmp_path: Path) -> None:
    folder = saved(tmp_path / "all")
    write_checkpoint(replace(read_checkpoint(folder), parameters={"members": members}), folder)
    with pytest.raises(CheckpointError, match="must list the name, the router and the checksum"):
        load_router("ensemble", checkpoint=folder)


def test_weights_that_do_not_sum_to_one_are_damaged(tmp_path: Path) -> None:
    folder = saved(tmp_path / "all")
    for weights in ([0.5, 0.5, 0.5], [1.5, -0.5, 0.0]):
        tensors = {"weights": np.array(weights)}
        write_checkpoint(replace(read_checkpoint(folder), tensors=tensors), folder)
        with pytest.raises(CheckpointError, match="sum to 1"):
            load_router("ensemble", checkpoint=folder, embedder=HashingEmbedder(dimension=8))


def test_a_member_of_a_kind_that_is_not_installed_is_named(tmp_path: Path) -> None:
    folder = saved(tmp_path / "all")
    stored = read_checkpoint(folder)
    rows = [{**row, "router": "acme"} for row in stored.parameters["members"]]
    write_checkpoint(replace(stored, parameters={"members": rows}), folder)
    with pytest.raises(UnknownRouterError, match=r"Member 'near' of .* Unknown router 'acme'"):
        load_router("ensemble", checkpoint=folder)


def test_saving_again_replaces_the_members(tmp_path: Path) -> None:
    folder = saved(tmp_path / "all")
    EnsembleRouter({"only": RandomRouter(seed=4)}).save(folder)
    assert [path.name for path in (folder / "members").iterdir()] == ["only"]
    assert load_router(str(folder)).members["only"].seed == 4
    assert not list(folder.glob(".*"))


def test_a_member_that_cannot_be_saved_is_named_and_nothing_is_left_or_lost(
    tmp_path: Path,
) -> None:
    ensemble = EnsembleRouter({"fine": RandomRouter(), "scripted": Constant(0.5)})
    with pytest.raises(ConfigurationError, match="Member 'scripted' cannot be saved"):
        ensemble.save(tmp_path / "new")
    assert not (tmp_path / "new").exists()
    folder = saved(tmp_path / "old")
    before = sorted(folder.rglob("*"))
    with pytest.raises(ConfigurationError):
        ensemble.save(folder)
    assert sorted(folder.rglob("*")) == before
    load_router(str(folder), embedder=HashingEmbedder(dimension=8))


def test_files_of_others_are_not_overwritten_and_those_of_a_killed_write_are(
    tmp_path: Path,
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        EnsembleRouter([RandomRouter()]).save(tmp_path)
    killed = tmp_path / "killed"
    (killed / ".members.ab12cd34" / "new").mkdir(parents=True)
    (killed / ".model.safetensors.ab12cd34").write_bytes(b"")
    assert load_router(str(EnsembleRouter([RandomRouter()]).save(killed))).weights == (1.0,)


def test_another_pair_is_asked_of_every_member_that_has_one(tmp_path: Path) -> None:
    embedder = HashingEmbedder(dimension=8)
    folder = saved(tmp_path / "all", embedder)
    router = load_router(
        "ensemble", checkpoint=folder, embedder=embedder, strong_model="third", weak_model="small"
    )
    assert router.pair == ModelPair("third", "small")
    assert router.members["near"].pair == ModelPair("third", "small")


def test_an_embedder_that_no_member_was_fitted_on_is_refused(tmp_path: Path) -> None:
    folder = saved(tmp_path / "all")
    with pytest.raises(CheckpointError, match="has to be passed"):
        load_router("ensemble", checkpoint=folder)
    with pytest.raises(CheckpointError, match="has to be passed"):
        load_router("ensemble", checkpoint=folder, embedder=HashingEmbedder(dimension=9))
    both = (HashingEmbedder(dimension=8), HashingEmbedder(dimension=9))
    with pytest.raises(CheckpointError, match=r"\['hashing-8'\], got 'hashing-9'"):
        load_router("ensemble", checkpoint=folder, embedder=both)
    with pytest.raises(ConfigurationError, match="keyword argument 'seed'"):
        load_router("ensemble", checkpoint=folder, seed=1)


def test_members_of_several_embedders_are_saved_and_loaded_with_each(tmp_path: Path) -> None:
    small, large = HashingEmbedder(dimension=8), HashingEmbedder(dimension=16)
    inner = EnsembleRouter([knn(large, k=2), RandomRouter(seed=5)])
    router = EnsembleRouter({"small": knn(small), "inner": inner})
    folder = router.save(tmp_path / "all")
    loaded = load_router("ensemble", checkpoint=folder, embedder=[large, small])
    np.testing.assert_allclose(loaded.win_rates(PROMPTS), router.win_rates(PROMPTS), atol=1e-9)
    copy = pickle.loads(pickle.dumps(loaded))
    np.testing.assert_array_equal(copy.win_rates(PROMPTS), loaded.win_rates(PROMPTS))


def test_a_calibration_is_stored_and_holds_for_its_pair_only(tmp_path: Path) -> None:
    embedder = HashingEmbedder(dimension=8)
    router = load_router("ensemble", checkpoint=saved(tmp_path / "all"), embedder=embedder)
    assert router.calibration is None
    calibration = calibration_of(np.linspace(0.0, 1.0, 11), source="eleven numbers")
    folder = with_calibration(router, calibration, tmp_path / "calibrated")
    loaded = load_router("ensemble", checkpoint=folder, embedder=embedder)
    assert router_threshold(loaded, strong_share=0.3) == pytest.approx(0.7)
    other = load_router("ensemble", checkpoint=folder, embedder=embedder, weak_model="third")
    assert other.calibration is None


def test_the_folder_tells_a_tampered_list_of_members(tmp_path: Path) -> None:
    folder = saved(tmp_path / "all")
    config = json.loads((folder / "config.json").read_text())
    config["parameters"]["members"].pop()
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=r"checksum of its config.json does not match"):
        load_router("ensemble", checkpoint=folder)
