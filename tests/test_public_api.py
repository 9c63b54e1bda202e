"""What is exported is what `__all__` says, and importing it does nothing else."""

import importlib
import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGES = ["routellm_core", "langchain_routellm", "llamaindex_routellm"]


@pytest.mark.parametrize("package", PACKAGES)
def test_all_lists_exactly_what_is_there_in_order(package: str) -> None:
    module = importlib.import_module(package)
    submodules = {
        path.stem for path in Path(str(module.__file__)).parent.iterdir() if path.suffix == ".py"
    } | {path.name for path in Path(str(module.__file__)).parent.iterdir() if path.is_dir()}
    public = {name for name in vars(module) if not name.startswith("_")} - submodules
    assert public == set(module.__all__)
    assert module.__all__ == sorted(module.__all__, key=isort_style)


def isort_style(name: str) -> tuple[int, str]:
    """Constants, then classes, then functions: the order that ruff keeps."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_class_and_function_has_a_docstring(package: str) -> None:
    module = importlib.import_module(package)
    for name in module.__all__:
        value = getattr(module, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert inspect.getdoc(value), f"{package}.{name} has no docstring"


def test_importing_the_core_loads_numpy_and_nothing_heavier() -> None:
    code = (
        "import sys, json, routellm_core; "
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout
    loaded = set(json.loads(out))
    heavy = {"torch", "litellm", "pandas", "transformers", "langchain_core", "llama_index"}
    heavy |= {"pydantic", "huggingface_hub", "typer", "rich", "scipy", "sklearn", "safetensors"}
    assert "numpy" in loaded
    assert not loaded & heavy


def test_importing_the_core_leaves_the_process_as_it_was() -> None:
    code = """
import logging, os, random
import numpy
before = dict(os.environ), random.getstate(), numpy.random.get_state()[1].tolist()
handlers = list(logging.getLogger().handlers), logging.getLogger("routellm_core").handlers
import routellm_core
after = dict(os.environ), random.getstate(), numpy.random.get_state()[1].tolist()
assert before == after
assert handlers == (list(logging.getLogger().handlers), [])
"""
    subprocess.run([sys.executable, "-c", code], check=True)
