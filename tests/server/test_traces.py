"""A client's trace goes on in the model's server, whichever way the model is reached."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from routellm_core.testing import OpenAIServer
from tests.server.conftest import EASY, HARD, Served, body_of, process, serving

pytestmark = pytest.mark.loopback

NAMES = ("traceparent", "tracestate", "baggage")
PARENT = f"00-{'1' * 32}-{'2' * 16}-01"
OTHER = f"00-{'3' * 32}-{'2' * 16}-00"
TRACE = {"traceparent": PARENT, "tracestate": "a=b,c=d", "baggage": "user=7;p=1,b=%20"}

Sent = list[tuple[str, str | bytes]]

CASES: dict[str, tuple[Sent, dict[str, str]]] = {
    "all three": (list(TRACE.items()), TRACE),
    "in any case": ([(name.title(), value) for name, value in TRACE.items()], TRACE),
    "a later version": (
        [("traceparent", f"cc{PARENT[2:]}-more")],
        {"traceparent": f"cc{PARENT[2:]}-more"},
    ),
    "in several headers": (
        [
            ("traceparent", PARENT),
            ("tracestate", "a=b"),
            ("baggage", "x=1"),
            ("tracestate", ""),
            ("baggage", "y=2"),
            ("tracestate", "c=d"),
        ],
        {"traceparent": PARENT, "tracestate": "a=b,c=d", "baggage": "x=1,y=2"},
    ),
    "baggage alone": ([("baggage", "x=1")], {"baggage": "x=1"}),
    "state alone": ([("tracestate", "a=b")], {}),
    "two parents": ([("traceparent", PARENT), ("traceparent", OTHER), ("tracestate", "a=b")], {}),
    "no parent": ([("traceparent", "hello"), ("tracestate", "a=b")], {}),
    "upper case": ([("traceparent", PARENT.replace("1", "A"))], {}),
    "no version": ([("traceparent", f"ff{PARENT[2:]}")], {}),
    "zeros": ([("traceparent", PARENT.replace("1", "0"))], {}),
    "no ASCII": (
        [("traceparent", PARENT), ("tracestate", b"a=\xe9"), ("baggage", "x=é".encode())],
        {"traceparent": PARENT},
    ),
    "digits of other scripts": ([("traceparent", PARENT.replace("2", "٢").encode())], {}),
    "long": (
        [("traceparent", PARENT), ("tracestate", "a=" + "b" * 511), ("baggage", "x" * 8193)],
        {"traceparent": PARENT},
    ),
    "as long as it may be": (
        [("traceparent", PARENT), ("tracestate", "a=" + "b" * 510), ("baggage", "x" * 8192)],
        {"traceparent": PARENT, "tracestate": "a=" + "b" * 510, "baggage": "x" * 8192},
    ),
    "empty": ([(name, "") for name in NAMES], {}),
}


@pytest.fixture(scope="module")
def ways(upstream: OpenAIServer) -> Iterator[dict[str, Served]]:
    """Servers that ask by OpenAI's protocol and through LiteLLM."""
    litellm = {
        "ROUTELLM_STRONG_UPSTREAM": "litellm",
        "ROUTELLM_WEAK_UPSTREAM": "litellm",
        "ROUTELLM_UPSTREAM_API_KEY": "provider-key",
    }
    with serving(upstream) as direct, process(upstream, **litellm) as (_, url):
        yield {"openai": direct, "litellm": Served(url, app=None, server=None, key=None)}


@pytest.mark.parametrize("way", ["openai", "litellm"])
@pytest.mark.parametrize("case", CASES)
def test_what_is_valid_goes_on_and_nothing_else_fails_the_call(
    ways: dict[str, Served], upstream: OpenAIServer, way: str, case: str
) -> None:
    sent, expected = CASES[case]
    for stream in (False, True):
        with httpx.Client(base_url=ways[way].url, timeout=20.0) as client:
            body = body_of(HARD, stream=stream)
            response = client.post("/v1/chat/completions", json=body, headers=sent)
        assert response.status_code == 200, response.text
        (request,) = upstream.requests
        got = {name: request.headers[name] for name in NAMES if name in request.headers}
        assert got == expected
        assert not set(NAMES) & set(request.body)
        upstream.reset()


class Provider(ThreadingHTTPServer):
    """A provider with an API of its own, which refuses every request and notes it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Refusal)
        self.requests: list[tuple[str, Any, Any]] = []
        self.base_url = f"http://127.0.0.1:{self.server_port}"

    def __enter__(self) -> Provider:
        self._thread = threading.Thread(target=self.serve_forever)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Refusal(BaseHTTPRequestHandler):
    server: Provider

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.requests.append((self.path, self.headers, body))
        answer = b'{"error": {"message": "No.", "type": "invalid_request_error"}}'
        self.send_response(400)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


def test_a_trace_goes_on_to_providers_with_an_api_of_their_own(upstream: OpenAIServer) -> None:
    strong, weak = "anthropic/claude-sonnet-4-5", "azure_ai/some-model"
    with Provider() as provider:
        flags = ["--strong-model", strong, "--weak-model", weak, "--base-url", provider.base_url]
        with process(upstream, *flags, ROUTELLM_UPSTREAM_API_KEY="k") as (_, url):
            for model in (strong, weak):
                for stream in (False, True):
                    body = body_of(EASY, model=model, stream=stream)
                    answer = httpx.post(
                        f"{url}/v1/chat/completions", json=body, headers=TRACE, timeout=30.0
                    )
                    assert answer.status_code == 400, answer.text
    assert len(provider.requests) == 4
    for path, headers, body in provider.requests:
        assert {name: headers[name] for name in NAMES} == TRACE, path
        assert PARENT not in json.dumps(body), f"{path}: in the body as well"
