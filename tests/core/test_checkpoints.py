"""A checkpoint is read whole and true, or refused with a reason."""

import json
import pickle
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routellm_core import (
    Calibration,
    Checkpoint,
    CheckpointError,
    CheckpointNotFoundError,
    ConfigurationError,
    ModelPair,
    Router,
    read_checkpoint,
    router_class,
    write_checkpoint,
)

CHECKPOINT = Checkpoint(
    router="random",
    parameters={"seed": 3, "name": "é"},
    tensors={"weights": np.arange(6, dtype=np.float32).reshape(2, 3)},
    pair=ModelPair("large", "small"),
    embedder="hashing-32",
    calibration=Calibration(np.array([0.0, 0.5, 1.0]), n_prompts=9, source="made up"),
    training={"data": "made up"},
)


def canonical(config: dict) -> str:
    content = {key: value for key, value in config.items() if key != "checksum"}
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def edit(folder: Path, *, seal: bool = True, **changes: object) -> None:
    """Change the configuration; sealed, its checksum is right again, as a forger's would be."""
    config = json.loads((folder / "config.json").read_text())
    config.update(changes)
    if seal:
        config["checksum"] = sha256(canonical(config).encode()).hexdigest()
    (folder / "config.json").write_text(json.dumps(config))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_checkpoint(CHECKPOINT, tmp_path / "checkpoint")


def test_what_was_written_is_read(folder: Path) -> None:
    read = read_checkpoint(folder)
    assert (read.router, read.parameters, read.pair) == (
        "random",
        CHECKPOINT.parameters,
        CHECKPOINT.pair,
    )
    assert (read.embedder, read.training) == ("hashing-32", CHECKPOINT.training)
    assert read.calibration is not None
    assert read.calibration.quantiles.tolist() == [0.0, 0.5, 1.0]
    assert (read.calibration.n_prompts, read.calibration.source) == (9, "made up")
    assert list(read.tensors) == ["weights"]
    np.testing.assert_array_equal(read.tensors["weights"], CHECKPOINT.tensors["weights"])


def test_a_checkpoint_may_be_nearly_empty(tmp_path: Path) -> None:
    read = read_checkpoint(write_checkpoint(Checkpoint(router="random"), tmp_path))
    assert (read.pair, read.embedder, read.calibration, dict(read.tensors)) == (
        None,
        None,
        None,
        {},
    )


def test_a_checkpoint_is_replaced_and_leaves_no_other_file(folder: Path) -> None:
    write_checkpoint(Checkpoint(router="mf"), folder)
    assert read_checkpoint(folder).router == "mf"
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]


def test_a_folder_with_other_files_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        write_checkpoint(CHECKPOINT, tmp_path)


def test_settings_that_are_not_json_are_refused_when_written(tmp_path: Path) -> None:
    for bad in (float("nan"), {1, 2}, object()):
        with pytest.raises(ConfigurationError, match="JSON"):
            write_checkpoint(Checkpoint(router="random", parameters={"bad": bad}), tmp_path / "c")


def test_tensors_of_objects_are_refused_when_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="numeric"):
        write_checkpoint(
            Checkpoint(router="random", tensors={"bad": np.array([object()])}), tmp_path / "c"
        )


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_every_single_changed_byte_is_noticed(folder: Path, name: str) -> None:
    path = folder / name
    original = path.read_bytes()
    for index in range(len(original)):
        changed = bytearray(original)
        changed[index] ^= 0x15
        path.write_bytes(bytes(changed))
        with pytest.raises(CheckpointError):
            read_checkpoint(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_no_damage_is_anything_but_a_checkpoint_error(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    folder = write_checkpoint(CHECKPOINT, tmp_path_factory.mktemp("damaged") / "c")
    original = (folder / name).read_bytes()
    start = data.draw(st.integers(0, len(original) - 1))
    junk = data.draw(st.binary(max_size=40))
    keep = data.draw(st.integers(0, len(original) - start))
    damaged = original[:start] + junk + original[start + keep :]
    (folder / name).write_bytes(damaged)
    try:
        read = read_checkpoint(folder)
    except CheckpointError:
        return
    # Only white space between JSON tokens may come or go.
    assert b"".join(damaged.split()) == b"".join(original.split())
    assert (read.router, read.parameters) == (CHECKPOINT.router, CHECKPOINT.parameters)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(CheckpointNotFoundError, match=name):
        read_checkpoint(folder)


def test_a_missing_folder_is_also_a_file_not_found_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_checkpoint(tmp_path / "nowhere")


def test_a_folder_in_place_of_a_file_is_refused(folder: Path) -> None:
    (folder / "config.json").unlink()
    (folder / "config.json").mkdir()
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_checkpoint(folder)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"format": "other"}, "does not say"),
        ({"format_version": 2}, "format version 2"),
        ({"format_version": "1"}, "format version '1'"),
        ({"trust_remote_code": True}, "other keys"),
        ({"router": 7}, "must be names"),
        ({"embedder": ["x"]}, "must be names"),
        ({"parameters": []}, "must be objects"),
        ({"training": None}, "must be objects"),
        ({"pair": {"strong": "a", "weak": "a"}}, "must differ"),
        ({"pair": {"strong": "a"}}, "wrong value"),
        ({"pair": "a/b"}, "wrong value"),
        ({"calibration": {"n_prompts": 1}}, "wrong value"),
        ({"tensors": {"bytes": 1, "sha256": "../../etc/passwd"}}, "does not state"),
        ({"tensors": {"bytes": True, "sha256": "0" * 64}}, "does not state"),
        ({"tensors": {"bytes": 10**18, "sha256": "0" * 64}}, "instead of"),
        ({"tensors": {"bytes": 3, "sha256": "0" * 64}}, "more than the 3"),
        ({"tensors": "model.bin"}, "does not state"),
    ],
)
def test_a_forged_setting_is_refused_for_what_it_is(
    folder: Path, changes: dict, reason: str
) -> None:
    edit(folder, **changes)
    with pytest.raises(CheckpointError, match=reason):
        read_checkpoint(folder)


def test_an_unsealed_edit_is_refused(folder: Path) -> None:
    edit(folder, seal=False, parameters={"seed": 4})
    with pytest.raises(CheckpointError, match="checksum"):
        read_checkpoint(folder)


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"a": 1, "a": 2}', '{"a": NaN}', "[" * 100_000, "\x00", '{"a": 1e999}']
)
def test_what_is_not_our_json_is_refused(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text)
    with pytest.raises(CheckpointError):
        read_checkpoint(folder)


def test_a_huge_configuration_is_refused_unread(folder: Path) -> None:
    with (folder / "config.json").open("wb") as file:
        file.truncate(2**33)
    with pytest.raises(CheckpointError, match="more than"):
        read_checkpoint(folder)


def test_calibration_without_its_quantiles_is_refused(tmp_path: Path) -> None:
    folder = write_checkpoint(Checkpoint(router="random"), tmp_path)
    edit(folder, calibration={"n_prompts": 5, "source": "x"})
    with pytest.raises(CheckpointError, match="quantiles"):
        read_checkpoint(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_link_out_of_the_folder_is_refused(folder: Path, tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    (folder / name).rename(outside)
    (folder / name).symlink_to(outside)
    with pytest.raises(CheckpointError, match="leads out"):
        read_checkpoint(folder)
    assert read_checkpoint(folder, within=tmp_path).router == "random"


def test_a_link_to_itself_is_refused(folder: Path) -> None:
    (folder / "config.json").unlink()
    (folder / "config.json").symlink_to(folder / "config.json")
    with pytest.raises(CheckpointError):
        read_checkpoint(folder)


class Canary:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


def test_a_pickle_in_place_of_tensors_is_not_run(folder: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    blob = pickle.dumps(Canary(canary))
    (folder / "model.safetensors").write_bytes(blob)
    edit(folder, tensors={"bytes": len(blob), "sha256": sha256(blob).hexdigest()})
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_checkpoint(folder)
    assert not canary.exists()
    pickle.loads(blob)
    assert canary.exists()


def test_a_wrong_shape_names_both_shapes() -> None:
    with pytest.raises(CheckpointError, match=r"\('any', 4\), got \(2, 3\)"):
        CHECKPOINT.tensor("weights", shape=(None, 4))
    with pytest.raises(CheckpointError, match="no tensor 'bias'"):
        CHECKPOINT.tensor("bias", shape=(1,))
    assert CHECKPOINT.tensor("weights", shape=(2, None)).shape == (2, 3)


def test_a_tensor_that_is_not_finite_is_refused() -> None:
    checkpoint = Checkpoint(router="random", tensors={"w": np.array([1.0, np.inf])})
    with pytest.raises(CheckpointError, match="infinity"):
        checkpoint.tensor("w", shape=(2,))


def test_another_embedder_is_refused() -> None:
    CHECKPOINT.check_embedder("hashing-32")
    with pytest.raises(CheckpointError, match="'hashing-32', got 'other'"):
        CHECKPOINT.check_embedder("other")


def test_a_checkpoint_of_another_router_says_which(folder: Path, tmp_path: Path) -> None:
    other = write_checkpoint(Checkpoint(router="mf"), tmp_path / "other")
    with pytest.raises(CheckpointError, match="of router 'mf'"):
        router_class("random").load(other)


def test_a_router_without_a_seed_in_its_checkpoint_is_refused(tmp_path: Path) -> None:
    folder = write_checkpoint(Checkpoint(router="random"), tmp_path)
    with pytest.raises(CheckpointError, match="no usable seed"):
        router_class("random").load(folder)


class Unsaved(Router):
    name = "unsaved"

    def _win_rates(self, prompts):
        return np.zeros(len(prompts))


def test_a_router_that_cannot_be_saved_or_loaded_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be saved"):
        Unsaved().save(tmp_path / "c")
    folder = write_checkpoint(Checkpoint(router="unsaved"), tmp_path / "d")
    with pytest.raises(ConfigurationError, match="cannot be loaded"):
        Unsaved.load(folder)
