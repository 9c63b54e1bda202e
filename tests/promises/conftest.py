"""Applications to hold the promises to: those of the fault tests, and the server."""

from __future__ import annotations

import gc
import inspect
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI

from langchain_routellm import RoutedChatModel
from llamaindex_routellm import RoutedLLM
from routellm_core import RetrySettings
from routellm_core.testing import FaultServer
from tests.faults.applications import APPLICATIONS, Application
from tests.litellm_clients import close_litellm_clients
from tests.server.conftest import serving
from tests.server.raw_upstream import wait_until


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


class ServerApplication(Application):
    """Ask the server through OpenAI's client."""

    name = "server"

    def __init__(self, server: FaultServer, stack: ExitStack, log: Path, **options: Any) -> None:
        self._stack, self._log = stack, log
        super().__init__(server, **options)

    def _make(self, **options: Any) -> AsyncOpenAI:
        retry: RetrySettings = options.pop("retry", RetrySettings())
        options.pop("monitor")
        settings = {
            "retries": retry.retries,
            "attempt_timeout_s": retry.attempt_timeout_s,
            "breaker": False,
            **options,
        }
        given = {name: value for name, value in settings.items() if value is not None}
        served = self._stack.enter_context(
            serving(self.server, record_log=str(self._log), timeout_s=self.timeout_s, **given)
        )
        return AsyncOpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0)

    def record(self) -> Any:
        # A stream's record is written after its last byte.
        wait_until(lambda: self._log.exists() and len(self._lines()) == self.n_asked)
        return SimpleNamespace(**json.loads(self._lines()[-1]))

    def _lines(self) -> list[str]:
        return self._log.read_text("utf-8").splitlines()


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as running:
        yield running


@pytest.fixture
async def application(server: FaultServer, tmp_path: Path) -> Any:
    """Return what makes an application by its name, with options of its routed model."""
    with ExitStack() as stack:
        made: list[Application] = []

        def make(name: str, **options: Any) -> Application:
            if name == "server":
                made.append(ServerApplication(server, stack, tmp_path / "calls.jsonl", **options))
            else:
                # Its own, which can be closed: those of langchain-openai are shared by address.
                clients = {"http_client": httpx.Client(), "http_async_client": httpx.AsyncClient()}
                made.append(APPLICATIONS[name](server, http_clients=clients, **options))
            return made[-1]

        yield make
        for app in made:
            await closed(app.model)
        await close_litellm_clients()


async def closed(model: Any) -> None:
    """Close the connections of a model's clients, which nobody else would."""
    if isinstance(model, AsyncOpenAI):
        await model.close()
    elif isinstance(model, RoutedChatModel):
        for chat in model.models.values():
            chat.root_client.close()
            await chat.root_async_client.close()
    elif isinstance(model, RoutedLLM):
        for llm in (model.strong, model.weak):
            for client in filter(None, (llm._client, llm._aclient)):
                closing = client.close()
                if inspect.isawaitable(closing):
                    await closing


MakeApplication = Callable[..., Application]
