"""A server that fails as it is told to, and applications that have to live with it."""

from __future__ import annotations

import gc
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from routellm_core.testing import FaultServer
from tests.faults.applications import APPLICATIONS, Application


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # The clients keep connections open, and leave it to the garbage collector to close them.
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"))
            item.add_marker(
                pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
            )


@pytest.fixture(autouse=True, scope="module")
def swept() -> Iterator[None]:
    """Collect what the clients left open here, not in whatever test comes next."""
    yield
    gc.collect()


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as running:
        yield running


@pytest.fixture(params=sorted(APPLICATIONS))
def application(request: pytest.FixtureRequest, server: FaultServer) -> Callable[..., Application]:
    """Return what makes one of the applications, with the options of its routed model."""

    def make(**options: Any) -> Application:
        return APPLICATIONS[request.param](server, **options)

    return make


@pytest.fixture
def dead_url() -> str:
    """Return an address where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/v1"
