"""Imports go down, or stay in the file's own folder."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# The lowest first. A name stands for a module or a folder of `routellm_core`.
LAYERS = [
    ["errors", "types", "_numbers", "_usage"],
    [
        "_optional",
        "_registered",
        "_scales",
        "_warnings",
        "_litellm",
        "_validation",
        "checkpoints",
        "hub",
        "model_table",
    ],
    ["data", "embedders", "ranking"],
    ["routers"],
    ["experts"],
    ["policy", "calibration", "answers", "monitoring"],
    ["plan"],
    ["strategies"],
    ["testing"],
    ["training", "evaluation", "labeling"],
    ["tuning"],
    ["controller", "server"],
    ["cli"],
]  # fmt: skip
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
ADAPTERS = ["langchain_routellm", "llamaindex_routellm"]
# Adapters may use these and nothing deeper.
PUBLIC = {
    "routellm_core", "routellm_core.answers", "routellm_core.experts", "routellm_core.plan",
    "routellm_core.strategies", "routellm_core.testing",
}  # fmt: skip
# Libraries that only an extra installs, or that take long to import.
HEAVY = {
    "accelerate", "datasets", "fastapi", "gradio", "httpx", "huggingface_hub", "langchain",
    "langchain_core", "langchain_litellm", "litellm", "llama_index", "matplotlib", "openai",
    "opentelemetry", "pandas", "peft", "prometheus_client", "pyarrow", "pydantic", "ray",
    "safetensors", "scipy", "sentence_transformers", "sklearn", "torch", "transformers", "uvicorn",
}  # fmt: skip
# Modules that are only reached by somebody who has the library.
MAY_IMPORT_HEAVY = {"server", "cli.demo_langchain", "cli.demo_llamaindex"}


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(tree: ast.Module, *, at_run_time_only: bool = False) -> list[str]:
    """Return the dotted names that a module imports, at the top only or anywhere."""
    found: list[str] = []
    body = [node for node in tree.body if not is_type_checking(node)] if at_run_time_only else None
    nodes = (
        [node for statement in body for node in top_nodes(statement)]
        if body is not None
        else list(ast.walk(tree))
    )
    for node in nodes:
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append(node.module)
    return found


def is_type_checking(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def top_nodes(statement: ast.stmt) -> list[ast.AST]:
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return []
    return list(ast.walk(statement))


@pytest.mark.parametrize("path", modules("routellm_core"), ids=name_of)
def test_imports_go_down_or_stay_in_their_folder(path: Path) -> None:
    name = name_of(path)
    own = name.split(".")[1] if "." in name else None
    for imported in imports(ast.parse(path.read_text())):
        assert imported.split(".")[0] not in ADAPTERS or own == "cli", f"{name} imports {imported}"
        if not imported.startswith("routellm_core.") or own is None:
            continue
        other = imported.split(".")[1]
        assert other in LEVEL, f"{imported} has no layer: add it to LAYERS"
        if other != own:
            same_layer = LEVEL[other] == LEVEL[own]
            assert LEVEL[other] <= LEVEL[own], f"{name} imports {imported}, which is above it"
            assert not same_layer or not imports_back(other, own), f"{own} and {other} are a cycle"


def imports_back(other: str, own: str) -> bool:
    folder = ROOT / "routellm_core" / other
    paths = list(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]
    return any(
        imported.split(".")[:2] == ["routellm_core", own]
        for path in paths
        for imported in imports(ast.parse(path.read_text()))
    )


@pytest.mark.parametrize("path", [p for a in ADAPTERS for p in modules(a)], ids=name_of)
def test_adapters_use_the_public_api_only(path: Path) -> None:
    for imported in imports(ast.parse(path.read_text())):
        if imported.split(".")[0] == "routellm_core":
            assert imported in PUBLIC, f"{name_of(path)} imports {imported}"
        others = [adapter for adapter in ADAPTERS if adapter != name_of(path).split(".")[0]]
        assert imported.split(".")[0] not in others


@pytest.mark.parametrize("path", modules("routellm_core"), ids=name_of)
def test_heavy_libraries_are_imported_where_they_are_used(path: Path) -> None:
    parts = name_of(path).split(".")
    if {".".join(parts[1:2]), ".".join(parts[1:])} & MAY_IMPORT_HEAVY:
        return
    top = {
        name.split(".")[0] for name in imports(ast.parse(path.read_text()), at_run_time_only=True)
    }
    assert not top & HEAVY


@pytest.mark.parametrize(
    "path", [p for package in ["routellm_core", *ADAPTERS] for p in modules(package)], ids=name_of
)
def test_a_module_has_one_subject(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert len(lines) <= 400, f"{len(lines)} lines: split it"
    assert path.name != "utils.py"
