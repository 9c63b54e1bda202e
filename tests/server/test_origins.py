"""Which web pages may call: none by default, and the playground no page but its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from routellm_core.errors import ConfigurationError
from routellm_core.server import create_app, read_settings
from routellm_core.testing import OpenAIServer, ScriptedRouter, Step
from tests.server.conftest import EASY, HARD, KEY, Served, body_of, process

pytestmark = pytest.mark.loopback

CHAT = "/v1/chat/completions"
PAGE = "https://app.example.com"
EVIL = "https://evil.example"
ASKED = {
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type,x-stainless-os",
}


def preflight(served: Served, origin: str, path: str = CHAT, **asked: str) -> httpx.Response:
    return httpx.options(served.url + path, headers={"origin": origin, **ASKED, **asked})


def allowed(response: httpx.Response) -> str | None:
    assert "access-control-allow-credentials" not in response.headers
    return response.headers.get("access-control-allow-origin")


def test_by_default_no_page_is_let_in(serve: Callable[..., Served]) -> None:
    served = serve()
    assert preflight(served, PAGE).status_code == 405
    with served.client(headers={"origin": PAGE}) as client:
        answers = [client.get("/v1/models"), client.post(CHAT, json=body_of())]
    for response in [preflight(served, PAGE), *answers]:
        assert not [name for name in response.headers if name.startswith("access-control")]


@pytest.mark.parametrize("origins", [[PAGE, "http://localhost:3000"], "*"])
@pytest.mark.parametrize("path", [CHAT, "/chat/completions", "/v1/models", "/nope"])
def test_a_preflight_needs_no_key(serve: Callable[..., Served], origins: Any, path: str) -> None:
    response = preflight(serve(api_key=KEY, cors_origins=origins), PAGE, path)
    assert response.status_code == 200
    assert allowed(response) == ("*" if origins == "*" else PAGE)
    assert "POST" in response.headers["access-control-allow-methods"]
    names = response.headers["access-control-allow-headers"].split(",")
    assert {"authorization", "content-type", "x-stainless-os"} <= {name.strip() for name in names}


@pytest.mark.parametrize(
    "origin", [EVIL, "null", f"{PAGE}.evil.example", f"{PAGE}:8443", "http://app.example.com", ""]
)
def test_another_page_is_not_let_in(serve: Callable[..., Served], origin: str) -> None:
    served = serve(api_key=KEY, cors_origins=[PAGE])
    assert allowed(preflight(served, origin)) is None
    with served.client(headers={"origin": origin}) as client:
        assert allowed(client.post(CHAT, json=body_of())) is None
    assert preflight(served, origin).status_code != 200


def test_other_methods_are_not_let_in(serve: Callable[..., Served]) -> None:
    asked = {"access-control-request-method": "DELETE"}
    assert preflight(serve(cors_origins=[PAGE]), PAGE, **asked).status_code == 400


@pytest.mark.parametrize("origins", [PAGE, "*"])
def test_a_page_that_is_let_in_reads_every_answer(
    serve: Callable[..., Served], upstream: OpenAIServer, origins: str
) -> None:
    served = serve(api_key=KEY, cors_origins=origins)
    shown = origins

    def read(response: httpx.Response, status: int) -> httpx.Response:
        assert response.status_code == status, response.text
        assert allowed(response) == shown
        assert response.headers["access-control-expose-headers"] == "*"
        assert (shown == "*") or "origin" in response.headers["vary"].lower()
        return response

    with served.client(headers={"origin": PAGE}) as client:
        for path in ("/v1/models", "/health", "/ready", "/metrics"):
            read(client.get(path), 200)
        read(client.head("/v1/models"), 200)
        whole = read(client.post(CHAT, json=body_of(HARD)), 200)
        assert whole.headers["x-routellm-route"] == "strong"
        streamed = read(client.post(CHAT, json=body_of(EASY, stream=True)), 200)
        assert streamed.text.endswith("data: [DONE]\n\n")
        upstream.script(Step(pieces=("a", "b", "c"), cut_after=3), model="small")
        assert "error" in read(client.post(CHAT, json=body_of(EASY, stream=True)), 200).text
        read(client.get("/nope"), 404)
        read(client.get(CHAT), 405)
        read(client.post(CHAT, json={}), 400)
        read(client.post(CHAT, json=body_of(model="gpt-9")), 404)
        read(client.post(CHAT, content=b"{}"), 415)
        upstream.script(Step(status=429), model="big")
        read(client.post(CHAT, json=body_of(HARD)), 429)
        read(client.get("/v1/models", headers={"authorization": "Bearer wrong"}), 401)


def test_a_page_reads_which_host_is_not_served(serve: Callable[..., Served]) -> None:
    served = serve(cors_origins=[PAGE])
    with served.client(headers={"origin": PAGE, "host": "evil.example"}) as client:
        response = client.get("/v1/models")
    assert (response.status_code, allowed(response)) == (421, PAGE)


async def test_a_page_reads_that_the_server_failed() -> None:
    settings = read_settings({"cors_origins": PAGE}, environ={})
    app = create_app(settings, routers={"mf": ScriptedRouter()})

    def fail() -> str:
        raise RuntimeError("a bug")

    app.state.meters.exposition = fail
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        response = await client.get("/metrics", headers={"origin": PAGE})
    assert (response.status_code, allowed(response)) == (500, PAGE)
    assert response.json()["error"]["code"] == "server_error"
    with pytest.raises(RuntimeError, match="a bug"):  # which the server logs
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://127.0.0.1"
        ) as client:
            await client.get("/metrics")


def test_origins_come_from_flags_the_environment_and_yaml(
    upstream: OpenAIServer, tmp_path: Any
) -> None:
    file = tmp_path / "server.yaml"
    file.write_text(f"cors_origins: [{PAGE}]\n")
    assert read_settings(config=file, environ={}).cors_origins == (PAGE,)
    file.write_text("cors_origins: '*'\ninsecure: true\n")
    assert read_settings(config=file, environ={}).cors_origins == ("*",)
    environ = {"ROUTELLM_CORS_ORIGINS": f"{PAGE}, http://localhost:3000,"}
    read = read_settings(environ=environ)
    assert read.cors_origins == (PAGE, "http://localhost:3000")
    with process(upstream, "--cors-origins", f"{PAGE},{EVIL}") as (_, url):
        for origin in (PAGE, EVIL):
            headers = {"origin": origin}
            assert allowed(httpx.get(f"{url}/v1/models", headers=headers)) == origin


@pytest.mark.parametrize(
    "origin",
    ["app.example.com", f"{PAGE}/", f"{PAGE}/x", "null", "https://*.example.com", "https://é.com"],
)
def test_an_origin_that_is_none_is_refused_with_what_to_write(origin: str) -> None:
    with pytest.raises(ConfigurationError, match=r"`cors_origins.*is no origin: write scheme"):
        read_settings({"cors_origins": [origin]}, environ={})


def test_any_page_is_let_in_with_a_key_or_a_word_only() -> None:
    with pytest.raises(ConfigurationError, match="let any web page spend yours"):
        read_settings({"cors_origins": "*"}, environ={})
    assert read_settings({"cors_origins": "*", "insecure": True}, environ={})
    assert read_settings({"cors_origins": "*"}, environ={"ROUTELLM_API_KEY": "k"})


JOIN = "/playground/gradio_api/queue/join"
UPLOAD = "/playground/gradio_api/upload"


def play(served: Served, path: str = UPLOAD, **headers: str) -> httpx.Response:
    """Send what a page can send without asking: a form with a file."""
    files = {"files": ("a.txt", b"x")}
    auth = ("anybody", KEY) if served.key else None
    return httpx.post(served.url + path, files=files, headers=headers, auth=auth)


@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": EVIL},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"origin": EVIL, "sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "cross-site"},
        {"origin": "http://localhost:1", "sec-fetch-site": "same-site"},
        {"origin": EVIL, "host": "llm.example.com"},
    ],
    ids=str,
)
def test_no_other_page_drives_the_playground(
    serve: Callable[..., Served], key: str | None, headers: dict[str, str]
) -> None:
    served = serve(api_key=key, playground=True, cors_origins=["http://other.example"])
    response = play(served, **headers)
    assert response.status_code == (403 if key or "host" not in headers else 421)
    assert not [name for name in response.headers if name.startswith("access-control")]
    origin = headers.get("origin")
    if origin is not None:
        sent = {**headers, **ASKED}
        answer = httpx.options(served.url + JOIN, headers=sent)
        assert "access-control-allow-origin" not in answer.headers or answer.status_code != 200


@pytest.mark.parametrize("key", [None, KEY])
def test_its_own_page_and_programs_drive_the_playground(
    serve: Callable[..., Served], key: str | None
) -> None:
    served = serve(
        api_key=key,
        playground=True,
        allowed_hosts=["play.example.com"],
        cors_origins=["https://other.example", "*"] if key else ["https://other.example"],
    )
    assert play(served).status_code == 200
    for headers in (
        {"origin": served.url},
        {"origin": served.url, "sec-fetch-site": "same-origin"},
        {"origin": "https://play.example.com"},
        {"origin": "https://other.example"},
    ):
        assert play(served, **headers).status_code == 200, headers
    if key:
        assert play(served, origin=EVIL).status_code == 403, "'*' is for the API alone"
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    auth = ("anybody", KEY) if key else None
    page = httpx.get(f"{served.url}/playground/", headers=link, auth=auth)
    assert page.status_code == 200, "a link from another site leads to the page"


def test_a_refused_page_is_named_with_the_setting(serve: Callable[..., Served]) -> None:
    error = play(serve(playground=True), origin=EVIL).json()["error"]
    assert error["code"] == "origin_not_allowed"
    assert EVIL in error["message"]
    assert "`cors_origins`" in error["message"]
