"""Rows 35, 37 and 38: files that would run code, take all memory, or lie somewhere else."""

import json
import pickle
import struct
import tracemalloc
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from routellm_core import Checkpoint, RouteLLMError, load_router, read_checkpoint, write_checkpoint
from routellm_core.checkpoints import _checksum

CHECKPOINT = Checkpoint(
    router="random", parameters={"seed": 0}, tensors={"w": np.ones((4, 4), dtype=np.float32)}
)


class Canary:
    """Sing, by writing a file, when somebody unpickles it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    return tmp_path / "the-canary-sang"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_checkpoint(CHECKPOINT, tmp_path / "checkpoint")


def with_tensors(folder: Path, blob: bytes) -> None:
    """Put other bytes in place of the tensors, with sizes and checksums that match."""
    (folder / "model.safetensors").write_bytes(blob)
    config = json.loads((folder / "config.json").read_text())
    config["tensors"] = {"bytes": len(blob), "sha256": sha256(blob).hexdigest()}
    config["checksum"] = _checksum(config)
    (folder / "config.json").write_text(json.dumps(config))


def safetensors(header: object, data: bytes = b"", *, length: int | None = None) -> bytes:
    raw = json.dumps(header).encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw + data


def object_array(path: Path) -> bytes:
    np.save(path, np.array([Canary(path.with_suffix(".sang"))], dtype=object), allow_pickle=True)
    return path.read_bytes()


@pytest.mark.parametrize("name", ["model.pkl", "model.pt", "model.bin", "model.npy", "x.joblib"])
def test_row_35_a_pickle_beside_a_checkpoint_is_not_opened(folder, canary, name: str) -> None:
    (folder / name).write_bytes(pickle.dumps(Canary(canary)))
    assert read_checkpoint(folder).router == "random"
    assert not canary.exists()


@pytest.mark.parametrize("name", ["model.pkl", "pytorch_model.bin", "model.pt"])
@pytest.mark.parametrize("router", ["random", "mf", "bert"])
def test_row_35_a_pickle_in_place_of_a_checkpoint_is_refused(
    tmp_path, canary, name: str, router: str
) -> None:
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / name).write_bytes(pickle.dumps(Canary(canary)))
    for source in (folder, folder / name):
        with pytest.raises((RouteLLMError, NotADirectoryError)):
            load_router(router, checkpoint=source)
    assert not canary.exists()


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"\x00" * 7,
        safetensors({}, length=2**40),
        safetensors({"w": {"dtype": "F32", "shape": [10**9, 10**9], "data_offsets": [0, 4]}}),
        safetensors({"w": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}, b"1234"),
        safetensors({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 10**12]}}, b"1234"),
        safetensors({"w": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}}, b"1234"),
        safetensors({"w": {"dtype": "OBJ", "shape": [1], "data_offsets": [0, 4]}}, b"1234"),
        safetensors([["w"]] * 1000),
        safetensors({f"t{n}": {} for n in range(1000)}),
    ],
    ids=["empty", "short", "endless header", "1e18 numbers", "negative", "offset out", "backwards",
         "objects", "no mapping", "no tensors"],
)  # fmt: skip
def test_row_35_bombs_are_refused_without_taking_memory(folder: Path, blob: bytes) -> None:
    with_tensors(folder, blob)
    tracemalloc.start()
    try:
        with pytest.raises(RouteLLMError):
            read_checkpoint(folder)
        assert tracemalloc.get_traced_memory()[1] < 20 * 2**20
    finally:
        tracemalloc.stop()


def test_row_35_an_array_of_objects_is_not_unpickled(folder: Path, tmp_path: Path) -> None:
    blob = object_array(tmp_path / "objects.npy")
    with_tensors(folder, blob)
    with pytest.raises(RouteLLMError):
        read_checkpoint(folder)
    assert not (tmp_path / "objects.sang").exists()


@pytest.mark.parametrize(
    "name",
    ["../checkpoint", "a/../../x", "/etc/passwd", "C:\\x", "\\\\host\\share", "a\x00b", "~/x", ""],
)
def test_row_37_a_name_that_leads_elsewhere_is_refused(name: str, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((RouteLLMError, ValueError)):
        load_router("mf", checkpoint=name)


def test_row_37_a_link_out_of_the_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.safetensors"
    (folder / "model.safetensors").rename(secret)
    (folder / "model.safetensors").symlink_to(secret)
    with pytest.raises(RouteLLMError, match="leads out"):
        read_checkpoint(folder)


@pytest.mark.parametrize("router", ["bert", "causal_llm"])
def test_row_38_code_that_comes_with_weights_is_not_run(tmp_path, canary, router: str) -> None:
    pytest.importorskip("transformers")
    folder = tmp_path / "published"
    folder.mkdir()
    code = f"from pathlib import Path\nPath({str(canary)!r}).touch()\n"
    for name in ("modeling_x.py", "configuration_x.py", "tokenization_x.py"):
        (folder / name).write_text(code)
    config = {
        "model_type": "x",
        "auto_map": {
            "AutoConfig": "configuration_x.XConfig",
            "AutoModelForSequenceClassification": "modeling_x.XModel",
            "AutoModelForCausalLM": "modeling_x.XModel",
        },
        "trust_remote_code": True,
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"auto_map": {"AutoTokenizer": ["tokenization_x.XTokenizer", None]}})
    )
    with pytest.raises((RouteLLMError, ValueError, OSError, KeyError)):
        load_router(router, checkpoint=folder)
    with pytest.raises((RouteLLMError, TypeError)):
        load_router(router, checkpoint=folder, trust_remote_code=True)
    assert not canary.exists()


def test_the_canary_sings_where_it_is_unpickled(canary: Path) -> None:
    pickle.loads(pickle.dumps(Canary(canary)))
    assert canary.exists()
