"""A server under test, over a pair of scripted models, on this machine's loopback address."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio

from routellm_core import Router
from routellm_core.server import create_app, read_settings
from routellm_core.server.run import DrainingServer, listening, url_of
from routellm_core.testing import OpenAIServer, ScriptedRouter
from tests.server.raw_upstream import wait_until

HARD, EASY = "Prove it.", "Hello!"
KEY = "client-key"


@dataclass(frozen=True)
class Served:
    """A running server and how to reach it."""

    url: str
    app: Any
    server: Any
    key: str | None

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"} if self.key else {}

    def client(self, **options: Any) -> httpx.Client:
        headers = {**self.headers, **options.pop("headers", {})}
        return httpx.Client(base_url=self.url, headers=headers, timeout=20.0, **options)

    def aclient(self, **options: Any) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, headers=self.headers, timeout=20.0, **options)

    def post(self, text: str = EASY, /, model: str = "auto", **fields: Any) -> httpx.Response:
        with self.client() as client:
            return client.post("/v1/chat/completions", json=body_of(text, model=model, **fields))


def body_of(text: str = EASY, /, model: str = "auto", **fields: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], **fields}


@contextmanager
def serving(
    upstream: OpenAIServer | str, *, router: Router | None = None, **settings: Any
) -> Iterator[Served]:
    base_url = upstream if isinstance(upstream, str) else upstream.base_url
    flags = {
        "strong_model": "big",
        "weak_model": "small",
        "base_url": base_url,
        "upstream_api_key": "provider-key",
        "threshold": 0.5,
        "port": 0,
        "grace_s": 2.0,
        **settings,
    }
    read = read_settings(flags, environ={})
    app = create_app(read, routers={"mf": router or ScriptedRouter({HARD: 0.9}, default=0.1)})
    with listening(read) as sock:
        server = DrainingServer(app)
        thread = threading.Thread(target=server.run, args=([sock],))
        thread.start()
        try:
            key = settings.get("api_key")
            yield Served(url_of(sock), app, server, key)
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def process(upstream: OpenAIServer, *flags: str, **environment: str) -> Iterator[Any]:
    """Run `routellm serve`; yield the process and its address."""
    code = "from routellm_core.cli import main; main()"
    command = [sys.executable, "-c", code, "serve", "--routers", "random", "--port", "0"]
    command += ["--strong-model", "openai/big", "--weak-model", "openai/small"]
    command += ["--base-url", upstream.base_url]
    with subprocess.Popen(
        [*command, *flags],
        env={**os.environ, **environment},
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stderr is not None
        try:
            told = ""
            while (found := re.search(r"http://127\.0\.0\.1:\d+", told)) is None:
                line = child.stderr.readline()
                assert line, f"it ended: {told}"
                told += line
            threading.Thread(target=child.stderr.read, daemon=True).start()
            url = found.group()
            wait_until(lambda: is_up(url), seconds=30.0)
            yield child, url
        finally:
            if child.poll() is None:
                child.kill()


def is_up(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health").status_code == 200
    except httpx.TransportError:
        return False


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


@pytest.fixture(scope="package")
def served(upstream: OpenAIServer) -> Iterator[Served]:
    """A server that asks for a key."""
    with serving(upstream, api_key=KEY) as running:
        yield running


@pytest.fixture
def serve(upstream: OpenAIServer) -> Iterator[Callable[..., Served]]:
    """Servers with settings of their own."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(
            serving(settings.pop("upstream", upstream), **settings)
        )
