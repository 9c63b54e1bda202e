"""Regular expressions: none takes more than linear time, whatever text it is given."""

from __future__ import annotations

import ast
import re
import time
from collections.abc import Callable, Iterator
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import pytest

from routellm_core._warnings import THIRD_PARTY_WARNINGS
from routellm_core.monitoring.redaction import RedactingFilter, redacted
from routellm_core.training.bundled import sources

PACKAGES = ("routellm_core", "langchain_routellm", "llamaindex_routellm")
ROOT = Path(__file__).parents[2]

FLOOR_S = 0.05
"""What takes less than this for 100 kB is not looked at: small times say nothing of growth."""
MOST_GROWTH = 30.0
"""Ten times the text takes ten times as long if linear, a hundred times if quadratic."""

# All of these go through the whole text, as `findall` does.
DONE_BY = dict.fromkeys(("search", "sub", "subn", "split", "finditer"), "findall")

# Patterns that the source puts together, by file and function, each with what it puts together.
PUT_TOGETHER: dict[tuple[str, str], list[str]] = {
    ("routellm_core/answers/checks.py", "matches"): [],  # the caller's own
    ("routellm_core/_warnings.py", ""): [
        text for message, _, module in THIRD_PARTY_WARNINGS for text in (message, module)
    ],
    ("routellm_core/monitoring/redaction.py", "_pattern_of"): [
        RedactingFilter(secrets=["a-a-a-b", "sk-aaaaaaaa"])._pattern.pattern  # type: ignore[union-attr]
    ],
    ("routellm_core/training/bundled/sources.py", "task_group"): [
        pattern for _, pattern in sources._GROUPS
    ],
}


def calls_of_re(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Yield every call of a function of `re`, with the name of the function around it."""

    def within(node: ast.AST, around: str) -> Iterator[tuple[str, ast.Call]]:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            around = node.name
        if isinstance(node, ast.Call) and re.match(r"re\.(?!escape|purge)", ast.unparse(node.func)):
            yield around, node
        for child in ast.iter_child_nodes(node):
            yield from within(child, around)

    yield from within(tree, "")


def flags_of(call: ast.Call) -> int:
    named = {word.arg: word.value for word in call.keywords}
    compiles = call.func.attr == "compile"  # type: ignore[attr-defined]
    flags = named.get("flags") or (call.args[1] if compiles and len(call.args) > 1 else None)
    return 0 if flags is None else int(eval(ast.unparse(flags), {"re": re}))


def methods_of(call: ast.Call, tree: ast.AST) -> tuple[str, ...]:
    """Return what is done with a pattern: its method, or those that its name is used with."""
    method = call.func.attr  # type: ignore[attr-defined]
    if method != "compile":
        return (DONE_BY.get(method, method),)
    names = {
        ast.unparse(target)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and node.value is call
        for target in node.targets
    }
    uses = {
        DONE_BY.get(node.attr, node.attr)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in names
    }
    return tuple(sorted(uses)) or ("findall", "fullmatch")


def written() -> Iterator[tuple[str, re.Pattern[Any], tuple[str, ...]]]:
    """Yield the patterns in the source, each with the methods that it is used by.

    A pattern that the source puts together, and that `PUT_TOGETHER` does not know, is a KeyError.
    """
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            file = path.relative_to(ROOT).as_posix()
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for around, call in calls_of_re(tree):
                try:
                    texts = [ast.literal_eval(call.args[0])]
                except ValueError:
                    texts = PUT_TOGETHER[file, around]
                for text in texts:
                    name = f"{file}: {text!r}"[:120]
                    yield name, re.compile(text, flags_of(call)), methods_of(call, tree)


def all_patterns() -> dict[str, tuple[re.Pattern[Any], tuple[str, ...]]]:
    found: dict[tuple[Any, int], tuple[str, re.Pattern[Any], tuple[str, ...]]] = {}
    for name, pattern, methods in written():
        found.setdefault((pattern.pattern, pattern.flags), (name, pattern, methods))
    return {name: (pattern, methods) for name, pattern, methods in found.values()}


PATTERNS = all_patterns()

UNITS = [
    "a", "0", "-", "_", ".", " ", "\n", "\t", "\r\n", "[", "{", "(", '"', "'", "@", "/", "\\", "=",
    ":", "é", "字", "a-", "a ", "a.", "a@", "a=", "a:", "0-", "0.", "- ", ". ", "sk-", "A1_-",
    "\\\"",     "' \"", "[](", "<a", "token ", "key=", "bearer ",
]  # fmt: skip


def units(pattern: str) -> list[str]:
    """Return what is repeated: the same for all, and what a pattern's own literals suggest."""
    words = sorted(set(re.findall(r"[A-Za-z]{2,}|\d+", pattern)))[:24]
    signs = sorted(set(re.findall(r"[^\w\s]", pattern)) - set("?*+^$|"))[:8]
    own = [word + end for word in words for end in ("", "-", "_", " ", "=", ".")]
    return [*UNITS, *own, *map("".join, product(signs, repeat=2))]


def texts(pattern: str, size: int) -> Iterator[str]:
    """Yield texts of one size: a unit again and again, alone and after each literal."""
    for unit in units(pattern):
        yield (unit * (size // len(unit) + 1))[:size]
    for start in re.findall(r"[A-Za-z]{2,}", pattern)[:24]:
        for fill in ("a", " ", "0", "-"):
            yield (start + fill * size)[:size]
            yield (start + fill * size)[: size - 1] + "\n"


def seconds(action: Callable[[], object], tries: int = 1) -> float:
    """Return what an action takes of this thread's own time, at best."""
    best = float("inf")
    for _ in range(tries):
        began = time.thread_time()
        action()
        best = min(best, time.thread_time() - began)
    return best


def grows_too_fast(run: Callable[[int], Callable[[], object]]) -> str | None:
    """Return the times, if ten times the text takes far more than ten times as long."""
    sizes = (1_000, 10_000, 100_000)
    before = seconds(run(sizes[0]))
    for small, size in pairwise(sizes):
        took = seconds(run(size))
        if took > FLOOR_S and took > MOST_GROWTH * before:
            # Once may be the machine's doing; the best of several is not.
            tries = 3 if took < 3.0 else 1
            before, took = seconds(run(small), 5), seconds(run(size), tries)
            if took > FLOOR_S and took > MOST_GROWTH * before:
                return f"{before * 1e3:.1f} ms for {small}, {took * 1e3:.1f} ms for {size}"
        before = took
    return None


def test_what_others_take_of_the_machine_does_not_count() -> None:
    assert seconds(lambda: time.sleep(0.2)) < 0.1


def test_patterns_are_found_wherever_they_are() -> None:
    assert len(PATTERNS) > 20
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            source = path.read_text(encoding="utf-8")
            assert not re.search(r"(?m)^\s*(from re import|import re as|import regex)", source), (
                path
            )


@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_takes_linear_time_whatever_the_text(name: str) -> None:
    pattern, methods = PATTERNS[name]
    source = pattern.pattern.decode() if isinstance(pattern.pattern, bytes) else pattern.pattern
    kinds = list(zip(*(texts(source, size) for size in (1_000, 10_000, 100_000)), strict=True))
    for kind in kinds:
        by_size = dict(zip((1_000, 10_000, 100_000), kind, strict=True))

        def run(size: int, by_size: dict[int, str] = by_size) -> Callable[[], object]:
            text: Any = by_size[size]
            text = text.encode() if isinstance(pattern.pattern, bytes) else text
            return lambda: [getattr(pattern, method)(text) for method in methods]

        times = grows_too_fast(run)
        assert times is None, f"{by_size[1_000][:24]!r} again and again: {times}"


@pytest.mark.parametrize("unit", ["a-", "sk-", "eyJ-", "eyJaaaaaaaa.", "token ", "api_key=", "x_"])
def test_redacting_takes_linear_time(unit: str) -> None:
    times = grows_too_fast(lambda size: lambda: redacted(unit * (size // len(unit))))
    assert times is None, times
