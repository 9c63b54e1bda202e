"""Who is let in."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable

import httpx
import pytest

from routellm_core.server import read_settings
from routellm_core.server.app import create_app
from routellm_core.testing import ScriptedRouter
from tests.server.conftest import KEY, Served, body_of

pytestmark = pytest.mark.loopback

WRONG: list[list[tuple[bytes, bytes]]] = [
    [],
    [(b"authorization", b"")],
    [(b"authorization", b"Bearer wrong")],
    [(b"authorization", KEY.encode())],
    [(b"authorization", b"Token " + KEY.encode())],
    [(b"authorization", b"bearer" + KEY.encode())],
    [(b"authorization", b"Bearer  " + KEY.encode())],
    [(b"authorization", b"Bearer " + KEY.encode() + b"x")],
    [(b"authorization", "Bearer schlüssel".encode())],
    [(b"authorization", b"Bearer \xff\xfe")],
    [(b"authorization", b"Bearer " + b"k" * 60_000)],
    [(b"authorization", b"Basic " + base64.b64encode(b"user:" + KEY.encode()))],
    [(b"authorization", b"Basic ***")],
    [(b"authorization", b"Bearer " + KEY.encode())] * 2,
    [(b"x-api-key", KEY.encode())],
]


@pytest.mark.parametrize("headers", WRONG, ids=range(len(WRONG)))
def test_whoever_lacks_the_key_gets_the_same_401(
    served: Served, headers: list[tuple[bytes, bytes]]
) -> None:
    with httpx.Client(base_url=served.url) as client:
        response = client.post("/v1/chat/completions", json=body_of(), headers=headers)
        nothing = client.post("/v1/chat/completions", json=body_of())
    assert response.status_code == 401
    assert response.json() == nothing.json()
    assert response.json()["error"]["code"] == "invalid_api_key"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_a_scheme_is_read_in_any_case(served: Served, scheme: str) -> None:
    headers = {"authorization": f"{scheme} {KEY}"}
    with httpx.Client(base_url=served.url) as client:
        response = client.post("/v1/chat/completions", json=body_of(), headers=headers)
    assert response.status_code == 200


def test_digests_of_one_length_are_compared_whatever_was_sent(
    monkeypatch: pytest.MonkeyPatch, served: Served
) -> None:
    lengths: list[tuple[int, int]] = []
    compare = hmac.compare_digest

    def spy(a: bytes, b: bytes) -> bool:
        lengths.append((len(a), len(b)))
        return compare(a, b)

    monkeypatch.setattr(hmac, "compare_digest", spy)
    for headers in [*WRONG, [(b"authorization", b"Bearer " + KEY.encode())]]:
        with httpx.Client(base_url=served.url) as client:
            client.get("/v1/models", headers=headers)
    assert lengths == [(32, 32)] * (len(WRONG) + 1)


PATHS = ["/", "/nope", "/metrics", "/ready", "/docs", "/redoc", "/openapi.json", "/v1/models"]
PATHS += [
    "/v1/chat/completions",
    "/health/",
    "/healthz",
    "//health",
    "/playground",
]


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize("path", PATHS)
def test_without_the_key_there_is_nothing_but_health(
    served: Served, method: str, path: str
) -> None:
    with httpx.Client(base_url=served.url) as client:
        assert client.request(method, path).status_code == 401


def test_every_route_there_is_asks_for_the_key(served: Served) -> None:
    with httpx.Client(base_url=served.url) as client:
        for route in served.app.routes:
            path = getattr(route, "path", "/").replace("{name:path}", "x")
            if path != "/health":
                assert client.get(path).status_code == 401, path


def test_health_is_open_and_says_nothing(served: Served) -> None:
    response = httpx.get(f"{served.url}/health")
    assert response.status_code == 200
    assert response.json() == {"status": "ok"}


def test_with_the_key_everything_answers(served: Served) -> None:
    with served.client() as client:
        assert client.get("/ready").json() == {"status": "ready"}
        assert "routellm_requests_total" in client.get("/metrics").text
        assert client.get("/v1/models").status_code == 200
        assert client.get("/nope").status_code == 404
        assert client.get("/nope").json()["error"]["type"] == "not_found_error"
        assert client.get("/docs").status_code == 404, "documentation pages load code from afar"
        assert client.get("/v1/chat/completions").status_code == 405


def test_without_a_key_set_anybody_on_this_machine_may_ask(serve: Callable[..., Served]) -> None:
    assert serve().post().status_code == 200


def test_two_apps_know_nothing_of_each_other() -> None:
    first, second = (
        create_app(read_settings(environ={}), routers={"mf": ScriptedRouter()}) for _ in range(2)
    )
    assert first.state.drain is not second.state.drain
    assert first.state.meters is not second.state.meters
