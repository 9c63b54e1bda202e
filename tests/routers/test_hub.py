"""Checkpoints from and for the Hugging Face Hub, with a hub of our own on the loopback address."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from routellm_core import (
    CheckpointError,
    CheckpointNotFoundError,
    ConfigurationError,
    load_router,
)
from routellm_core.hub import find_checkpoint
from routellm_core.routers.publishing import model_card


@pytest.mark.loopback
def test_a_repository_is_fetched_once_and_read_from_the_cache_after(hub) -> None:
    assert load_router("random", checkpoint="own/router").seed == 3
    hub.shutdown()
    hub.server_close()
    assert load_router("random", checkpoint="own/router").seed == 3


@pytest.mark.loopback
def test_neither_code_nor_pickles_are_fetched(hub) -> None:
    found = find_checkpoint("own/router")
    names = sorted(path.name for path in found.path.iterdir())
    assert names == ["config.json", "model.safetensors"]


@pytest.mark.loopback
@pytest.mark.parametrize(
    ("source", "revision", "advice"),
    [
        ("own/missing", None, "Check the name"),
        ("own/gated", None, "Accept them there"),
        ("own/router", "nowhere", "Without `revision`"),
    ],
)
def test_what_the_hub_does_not_give_says_what_to_do(hub, source, revision, advice) -> None:
    with pytest.raises(CheckpointNotFoundError, match=advice):
        load_router("random", checkpoint=source, revision=revision)


@pytest.mark.loopback
def test_an_unreachable_hub_says_what_to_do(hub) -> None:
    hub.shutdown()
    hub.server_close()
    with pytest.raises(CheckpointNotFoundError, match="hf download own/router"):
        load_router("random", checkpoint="own/router")


def test_a_folder_has_no_revision(tmp_path) -> None:
    folder = load_router("random").save(tmp_path / "random")
    with pytest.raises(ConfigurationError, match="`revision` is for repositories"):
        load_router("random", checkpoint=folder, revision="main")


@pytest.mark.parametrize("source", ["nothing-here", "./not/there", "a/b/c"])
def test_a_folder_that_is_not_there_is_said_so(source) -> None:
    with pytest.raises(CheckpointNotFoundError, match="does not exist"):
        load_router("random", checkpoint=source)


class Api:
    """Take an upload and remember its files."""

    def __init__(self, error: Exception | None = None) -> None:
        self.files: dict[str, str] = {}
        self.error = error

    def create_repo(self, repository, *, private, exist_ok, repo_type) -> None:
        self.private = private
        if self.error:
            raise self.error

    def upload_folder(self, *, repo_id, folder_path, commit_message):
        files = [path for path in Path(folder_path).rglob("*") if path.is_file()]
        self.files = {path.relative_to(folder_path).as_posix(): path.read_bytes() for path in files}
        return SimpleNamespace(commit_url=f"https://hub/{repo_id}/commit/1")


def test_a_router_is_uploaded_with_its_card_and_privately() -> None:
    api = Api()
    url = load_router("random", seed=3).push_to_hub("own/router", api=api)
    assert url == "https://hub/own/router/commit/1"
    assert sorted(api.files) == ["README.md", "config.json", "model.safetensors"]
    assert b'load_router("random", checkpoint="own/router")' in api.files["README.md"]
    assert api.private


def test_a_refused_upload_says_what_to_do() -> None:
    with pytest.raises(CheckpointError, match="hf auth login"):
        load_router("random").push_to_hub("own/router", api=Api(OSError("no route")))


def test_a_card_tells_pair_embedder_and_training() -> None:
    from routellm_core import Checkpoint, ModelPair

    card = model_card(
        Checkpoint(
            "knn",
            pair=ModelPair("big", "small"),
            embedder="litellm:text-embedding-3-small",
            training={"license": "apache-2.0", "apgr": 0.7},
        )
    )
    for part in [
        "license: apache-2.0",
        "| strong model | big |",
        "embedding-3-small",
        '"apgr": 0.7',
    ]:
        assert part in card


@pytest.mark.parametrize(
    ("router", "embedder", "needed"),
    [
        ("knn", None, True),
        ("knn", "bundled", False),
        ("bert", None, False),
        ("ensemble", None, False),
        ("of-a-package-that-is-not-here", None, False),
    ],
)
def test_a_card_asks_for_an_embedder_only_where_one_is_needed(router, embedder, needed) -> None:
    from routellm_core import Checkpoint, ModelPair

    card = model_card(Checkpoint(router, pair=ModelPair("big", "small"), embedder=embedder))
    assert (", embedder=embedder)" in card) == needed


def test_an_ensemble_is_uploaded_with_its_members() -> None:
    api = Api()
    load_router("ensemble", members=["mf", "random"]).push_to_hub("own/router", api=api)
    assert "members/mf/config.json" in api.files
    assert "members/random/model.safetensors" in api.files
