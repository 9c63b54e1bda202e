"""constraints.txt pins all that the tests' command installs, once, and nothing of one machine."""

import importlib.metadata
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
LINES = [
    line
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if line and not line.startswith("#")
]
PINS = [Requirement(line) for line in LINES]
PYTHONS = ["3.10.13", "3.11.7", "3.12.1", "3.13.0"]


def closure(name: str, *extras: str) -> Iterator[str]:
    """Yield what a distribution needs here, and what that needs."""
    seen: set[tuple[str, str]] = set()
    todo = [(name, extra) for extra in ("", *extras)]
    while todo:
        wanted = todo.pop()
        if wanted in seen:
            continue
        seen.add(wanted)
        yield canonicalize_name(wanted[0])
        for line in importlib.metadata.requires(wanted[0]) or ():
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": wanted[1]}):
                todo += [(canonicalize_name(needed.name), extra) for extra in ("", *needed.extras)]


def pins_on(python: str, **environment: str) -> list[Requirement]:
    here = {
        "python_full_version": python,
        "python_version": python.rpartition(".")[0],
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
        **environment,
    }
    return [pin for pin in PINS if pin.marker is None or pin.marker.evaluate(here)]


def test_every_distribution_that_the_tests_need_is_pinned() -> None:
    pinned = {
        canonicalize_name(pin.name) for pin in PINS if pin.marker is None or pin.marker.evaluate()
    }
    needed = set(closure("routellm-plugins", "dev"))
    assert len(needed) > 100
    assert needed - pinned == {"routellm-plugins"}


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_each_name_has_one_version_on_each_python(python: str, platform: str) -> None:
    names = [canonicalize_name(pin.name) for pin in pins_on(python, sys_platform=platform)]
    assert sorted(names) == sorted(set(names))
    assert {"pytest", "litellm", "langchain-core", "llama-index-core", "torch"} <= set(names)


def test_the_pins_meet_what_the_project_asks_for() -> None:
    pinned = {
        canonicalize_name(pin.name): str(pin.specifier).removeprefix("==")
        for pin in PINS
        if pin.marker is None or pin.marker.evaluate()
    }
    asked = [Requirement(line) for line in importlib.metadata.requires("routellm-plugins") or ()]
    for needed in asked:
        version = pinned.get(canonicalize_name(needed.name))
        if version is not None:
            assert needed.specifier.contains(version, prereleases=True), needed


def test_every_line_is_an_exact_version_without_host_path_or_hash() -> None:
    assert any(line == "torch==2.13.0" for line in LINES)
    for line in LINES:
        assert re.fullmatch(r"[\w.-]+==[\w.]+( ; [^#@]+)?", line), line
    assert not re.search(r"://|--|file:|/", "\n".join(LINES))


def test_the_readmes_test_command_uses_the_pins() -> None:
    commands = re.findall(
        r"^pip install .*pytest.*$", (ROOT / "README.md").read_text(), re.MULTILINE
    )
    assert commands == ['pip install -e ".[dev]" -c constraints.txt && pytest']


def test_random_order_can_be_asked_for() -> None:
    assert "pytest-randomly" in {canonicalize_name(pin.name) for pin in PINS}
    assert "`pytest -p randomly`" in (ROOT / "README.md").read_text()
