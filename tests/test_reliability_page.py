"""The page of promises names a test for every row, and every test it names exists."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "reliability.md").read_text()
ROWS = dict(re.findall(r"^\| (\d+) \|(.*)$", PAGE, re.MULTILINE))
NOT_APPLICABLE = {"46"}


def names_in(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds)}


def test_all_48_rows_are_there() -> None:
    assert list(ROWS) == [str(n) for n in range(1, 49)]


def test_every_row_names_tests_that_exist() -> None:
    for number, row in ROWS.items():
        named = re.findall(r"`([\w/.]*)::(\w+)`", row)
        assert named or number in NOT_APPLICABLE, f"row {number} names no test"
        path = ""
        for stated, name in named:
            path = stated or path
            assert name in names_in(path), f"row {number}: {path} has no {name}"
