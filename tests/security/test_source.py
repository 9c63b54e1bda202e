"""What the code may never do, read from the code itself."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("routellm_core", "langchain_routellm", "llamaindex_routellm")
MODULES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]

# Called, these run code that somebody put into a file or a string.
FORBIDDEN = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "pickle.load",
    "pickle.loads", "pickle.Unpickler", "marshal.load", "marshal.loads", "shelve.open",
    "joblib.load", "dill.load", "dill.loads", "cloudpickle.load", "cloudpickle.loads",
    "torch.load", "torch.hub.load", "yaml.load", "yaml.unsafe_load", "yaml.full_load",
    "tempfile.mktemp",
}  # fmt: skip
# The shipped router check unpickles what it has itself just pickled, in memory.
ALLOWED = {("routellm_core/testing/checks.py", "pickle.loads")}


def calls(tree: ast.AST) -> list[ast.Call]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_nothing_runs_code_from_files_or_strings(path: Path) -> None:
    for call in calls(ast.parse(path.read_text())):
        called = ast.unparse(call.func)
        if (name_of(path), called) not in ALLOWED:
            assert called not in FORBIDDEN, f"line {call.lineno}"
        for keyword in call.keywords:
            value = ast.unparse(keyword.value)
            said = f"{keyword.arg}={value}, line {call.lineno}"
            if keyword.arg == "trust_remote_code":
                # Not even a variable: no file and no request can switch it on.
                assert value == "False", said
            if keyword.arg == "allow_pickle":
                assert value == "False", said
            if keyword.arg == "shell":
                assert value == "False", said
            if keyword.arg in ("verify", "verify_ssl"):
                assert value != "False", said


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_numpy_files_are_read_without_pickle(path: Path) -> None:
    for call in calls(ast.parse(path.read_text())):
        if ast.unparse(call.func) in ("np.load", "numpy.load"):
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
            assert given.get("allow_pickle") == "False", f"line {call.lineno}"


def test_the_two_checks_above_can_fail() -> None:
    tree = ast.parse("torch.load(path); f(trust_remote_code=flag)")
    assert [ast.unparse(call.func) for call in calls(tree)] == ["torch.load", "f"]
    assert "torch.load" in FORBIDDEN


def requirements() -> dict[str, str]:
    text = (ROOT / "pyproject.toml").read_text()
    found = re.findall(r'"([A-Za-z0-9][A-Za-z0-9_.-]*)(?:\[[^\]]*\])?\s*([<>=!~][^"]*)"', text)
    return {name.lower(): bounds for name, bounds in found}


def test_every_dependency_has_a_floor() -> None:
    for name, bounds in requirements().items():
        assert ">=" in bounds, f"{name}{bounds}"


def test_versions_that_are_known_to_be_bad_are_excluded() -> None:
    found = requirements()
    assert "!=1.82.7" in found["litellm"]
    assert "!=1.82.8" in found["litellm"]
    # Before torch 2.6 even `weights_only` ran code from a file (CVE-2025-32434).
    assert found["torch"] == ">=2.6"


def test_no_secret_stands_in_the_repository() -> None:
    key = re.compile(r"\b(sk-(proj-)?[A-Za-z0-9]{32,}|hf_[A-Za-z0-9]{30,}|AKIA[A-Z0-9]{16})\b")
    for path in [*MODULES, *sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"]:
        assert key.search(path.read_text()) is None, name_of(path)
