"""Every registered router passes every shipped check."""

from collections.abc import Callable
from pathlib import Path

import pytest

from routellm_core import Router, load_router, router_names
from routellm_core.testing import ROUTER_CHECKS

# One way to make each router, without a network.
CASES: dict[str, Callable[[Path], Router]] = {
    "random": lambda _: load_router("random", seed=5),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("checkpoints")


@pytest.fixture(scope="module", params=sorted(CASES))
def router(request: pytest.FixtureRequest, folder: Path) -> Router:
    return CASES[request.param](folder)


@pytest.mark.parametrize("check", ROUTER_CHECKS, ids=lambda check: check.__name__)
def test_router_keeps_the_contract(router: Router, check: Callable[[Router], None]) -> None:
    check(router)


def test_every_registered_router_has_a_case() -> None:
    assert set(CASES) == set(router_names())


@pytest.mark.parametrize("name", sorted(CASES))
def test_every_registered_router_has_its_section_in_the_docs(name: str) -> None:
    text = (Path(__file__).parent.parent / "docs" / "routers.md").read_text()
    assert f"## `{name}`" in text
