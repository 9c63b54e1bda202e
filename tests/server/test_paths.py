"""Paths that clients try."""

from __future__ import annotations

import httpx
import pytest

from tests.server.conftest import KEY, Served, body_of

pytestmark = pytest.mark.loopback

HEADERS = {"authorization": f"Bearer {KEY}"}
CHAT = "/v1/chat/completions"


@pytest.mark.parametrize("path", [CHAT, f"{CHAT}/", "/chat/completions", "/chat/completions/"])
def test_chat_is_served_without_a_version_and_with_a_slash(served: Served, path: str) -> None:
    with httpx.Client(base_url=served.url, headers=HEADERS) as client:
        response = client.post(path, json=body_of())
    assert response.status_code == 200
    assert response.json()["choices"][0]["message"]["content"]


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/", "/models", "/models/auto", "/ready"])
def test_head_is_get_without_a_body(served: Served, path: str) -> None:
    with httpx.Client(base_url=served.url, headers=HEADERS) as client:
        whole, head = client.get(path), client.head(path)
    assert (whole.status_code, head.status_code) == (200, 200)
    assert (whole.headers["content-length"], head.content) == (
        head.headers["content-length"],
        b"",
    )


@pytest.mark.parametrize(
    "name",
    [
        "router-{router}-0.5", "router-{router}-share-30", "openai/auto", "auto:latest", "AUTO",
        "models/auto", "Router-{ROUTER}-0.5", "BIG",
    ],
)  # fmt: skip
def test_every_name_that_is_served_can_be_looked_up(served: Served, name: str) -> None:
    with httpx.Client(base_url=served.url, headers=HEADERS) as client:
        listed = [model["id"] for model in client.get("/v1/models").json()["data"]]
        router = next(name for name in listed if name.startswith("router-")).split("-")[1]
        name = name.format(router=router, ROUTER=router.upper())
        answer = client.get(f"/v1/models/{name}")
        unknown = client.get("/v1/models/router-nobody-0.5")
        threshold = client.get(f"/v1/models/router-{router}-7")
    assert (answer.status_code, answer.json()["id"]) == (200, name)
    assert (unknown.status_code, threshold.status_code) == (404, 404)


@pytest.mark.parametrize("path", ["/chat/completions", "/models", "/v1/models/", "/ready/"])
def test_no_spelling_of_a_path_passes_without_the_key(served: Served, path: str) -> None:
    with httpx.Client(base_url=served.url) as client:
        codes = [client.post(path, json=body_of()).status_code, client.head(path).status_code]
    assert codes == [401, 401]


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/embeddings", "/nowhere"])
def test_a_path_that_is_not_served_tells_which_are(serve, path: str) -> None:
    with serve().client() as client:
        answer = client.post(path, json={"model": "auto", "prompt": "Hi"})
    assert answer.status_code == 404
    assert "POST /v1/chat/completions" in answer.json()["error"]["message"]
