"""The comparison of another project's tests says with its exit code what is not accounted for."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("foreign_run", Path(__file__).parent / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "HERE", tmp_path)
    return module


@pytest.mark.parametrize(
    ("routed", "without", "expected", "code"),
    [
        (set(), set(), {}, 0),
        ({"a"}, set(), {}, 0),
        ({"a"}, {"a"}, {}, 1),
        ({"a"}, {"a"}, {"a": "type of the model"}, 0),
        (set(), set(), {"a": "type of the model"}, 1),
        (set(), set(), {"elsewhere": "type of the model"}, 0),
    ],
)
def test_exit_code_tells_what_is_not_accounted_for(
    runner: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    routed: set[str],
    without: set[str],
    expected: dict[str, str],
    code: int,
) -> None:
    (tmp_path / "expected.json").write_text(json.dumps(expected), encoding="utf-8")

    def failures(
        folder: Path, paths: list[str], plugin: str | None, *, record: bool = True
    ) -> tuple[set[str], set[str]]:
        failed = set() if plugin is None else routed if record else without
        return failed, {"a", "b"}

    monkeypatch.setattr(runner, "failures", failures)
    assert runner.main(["langchain", "folder"]) == code
