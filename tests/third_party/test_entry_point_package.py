"""A router in a package of its own is found by name and keeps the contract."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "acme-routers"
version = "1.0"
dependencies = ["routellm-plugins"]

[project.entry-points."routellm.routers"]
acme_length = "acme_routers:LengthRouter"

[tool.hatch.build.targets.wheel]
packages = ["acme_routers"]
"""

MODULE = '''
"""A router of somebody else's."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from routellm_core import Checkpoint, ConfigurationError, Router


class LengthRouter(Router):
    """Guess that longer prompts need the stronger model."""

    name: ClassVar[str] = "acme_length"

    def __init__(self, *, scale_chars: float = 400.0) -> None:
        if not scale_chars > 0.0:
            raise ConfigurationError(f"`scale_chars` must be positive, got {scale_chars!r}.")
        self.scale_chars = scale_chars

    def _win_rates(self, prompts: Any) -> Any:
        lengths = np.array([len(prompt) for prompt in prompts], dtype=np.float64)
        return -np.expm1(-lengths / self.scale_chars)

    def _to_checkpoint(self) -> Checkpoint:
        return Checkpoint(router=self.name, parameters={"scale_chars": self.scale_chars})

    @classmethod
    def _from_checkpoint(cls, checkpoint: Checkpoint, **options: Any) -> LengthRouter:
        return cls(scale_chars=checkpoint.parameters["scale_chars"], **options)
'''

TESTS = """
import pytest

from routellm_core import load_router, router_names
from routellm_core.testing import ROUTER_CHECKS


@pytest.mark.parametrize("check", ROUTER_CHECKS, ids=lambda check: check.__name__)
def test_the_router_keeps_the_contract(check):
    check(load_router("acme_length", scale_chars=50.0))


def test_it_stands_among_the_others():
    assert {"acme_length", "random"} <= set(router_names())


def test_its_checkpoint_loads_by_name(tmp_path):
    folder = load_router("acme_length", scale_chars=50.0).save(tmp_path / "saved")
    assert load_router("acme_length", checkpoint=folder).scale_chars == 50.0
"""


def run(*command: str, cwd: Path, path: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(path), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *command], cwd=cwd, env=environment, capture_output=True, text=True,
        check=False, timeout=300,
    )  # fmt: skip


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the package's wheel and install it into a folder of its own, without an index."""
    pytest.importorskip("hatchling")
    source = tmp_path_factory.mktemp("source")
    (source / "pyproject.toml").write_text(PYPROJECT)
    (source / "acme_routers").mkdir()
    (source / "acme_routers" / "__init__.py").write_text(MODULE)
    site = tmp_path_factory.mktemp("site")
    result = run(
        "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation",
        "--target", str(site), str(source), cwd=source, path=Path(),
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return site


def test_an_installed_package_adds_a_router_that_passes_every_check(
    installed: Path, tmp_path: Path
) -> None:
    (tmp_path / "test_acme.py").write_text(TESTS)
    result = run("-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path), cwd=tmp_path,
                 path=installed)  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    assert "14 passed" in result.stdout


def test_the_command_line_lists_it(installed: Path, tmp_path: Path) -> None:
    code = "from routellm_core.cli import main; main()"
    result = run("-c", code, "routers", "--json", cwd=tmp_path, path=installed)
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert {row["router"]: row["ready"] for row in rows}["acme_length"]
