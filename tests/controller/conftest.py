"""A pair of scripted models, reached as a user's models are."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from routellm_core.testing import OpenAIServer


@pytest_asyncio.fixture(autouse=True, scope="session", loop_scope="session")
async def _running_loop() -> AsyncIterator[None]:
    """Begin the loop before LiteLLM does: where none is set it sets one, and never closes it."""
    yield


@pytest.fixture(scope="package")
def upstream() -> Iterator[OpenAIServer]:
    with OpenAIServer() as server:
        yield server


@pytest.fixture(autouse=True)
def _fresh(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("loopback"):
        request.getfixturevalue("upstream").reset()
