"""One model on this machine's loopback address, asked at two efforts."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator

# Before anything imports LiteLLM, which would otherwise ask the network for its price table.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")

import pytest
import pytest_asyncio

from routellm_core.testing import OpenAIServer, ScriptedRouter
from tests.litellm_clients import close_litellm_clients

HARD, EASY = "Prove that 7 is odd.", "What is 7 + 5?"
MODEL = "o4-mini"
LOW, HIGH = f"{MODEL} (reasoning_effort=low)", f"{MODEL} (reasoning_effort=high)"


@pytest.fixture
def router() -> ScriptedRouter:
    return ScriptedRouter({HARD: 0.9}, default=0.1)


@pytest.fixture(scope="package")
def upstream() -> Iterator[OpenAIServer]:
    with OpenAIServer() as server:
        yield server


@pytest.fixture(autouse=True)
def _fresh(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("loopback"):
        request.getfixturevalue("upstream").reset()


@pytest_asyncio.fixture(autouse=True, scope="session", loop_scope="session")
async def _litellm_clients() -> AsyncIterator[None]:
    yield
    await close_litellm_clients()


def efforts(server: OpenAIServer) -> list[object]:
    """Return the effort of every request, in order of arrival."""
    return [request.body.get("reasoning_effort") for request in server.requests]
