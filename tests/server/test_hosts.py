"""Under which names the server answers: a page with a name of its own must not get through."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from routellm_core.errors import ConfigurationError
from routellm_core.server import create_app, read_settings
from routellm_core.testing import OpenAIServer, ScriptedRouter
from tests.server.conftest import KEY, Served, body_of, process

pytestmark = pytest.mark.loopback

CHAT = "/v1/chat/completions"
NO_HOST = ()


def ask(
    served: Served | str, hosts: str | tuple[str, ...], path: str = CHAT, **headers: str
) -> tuple[int, Any]:
    """Ask over a socket of its own, with these `Host` headers; return the status and the body."""
    address = urlsplit(served if isinstance(served, str) else served.url)
    body = json.dumps(body_of()).encode() if path == CHAT else b""
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=20.0)
    try:
        connection.putrequest("POST" if body else "GET", path, skip_host=True)
        for host in (hosts,) if isinstance(hosts, str) else hosts:
            connection.putheader("Host", host)
        sent = {"content-type": "application/json", "content-length": str(len(body)), **headers}
        for name, value in sent.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        response = connection.getresponse()
        read = response.read()
    finally:
        connection.close()
    return response.status, json.loads(read) if read[:1] == b"{" else read


FORGED: list[str | tuple[str, ...]] = [
    "evil.example",
    "evil.example:6060",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "evil-localhost",
    "evil.localhost",
    "localhost@evil.example",
    "user:localhost@evil.example",
    "localhost evil.example",
    "localhost:6060:evil.example",
    "[::1].evil.example",
    "192.168.1.5",
    "2130706433",
    "lоcalhost".encode().decode("latin-1"),
    "",
    "x" * 10_000,
    ("localhost", "evil.example"),
    ("evil.example", "localhost"),
    NO_HOST,
]


@pytest.mark.parametrize("hosts", FORGED, ids=lambda hosts: str(hosts)[:30])
def test_a_page_that_points_its_own_name_at_this_machine_gets_nothing(
    serve: Callable[..., Served], upstream: OpenAIServer, hosts: str | tuple[str, ...]
) -> None:
    status, body = ask(serve(), hosts, origin="http://evil.example:6060")
    assert status == 421
    assert body["error"]["code"] == "host_not_allowed"
    assert body["error"]["type"] == "invalid_request_error"
    assert len(body["error"]["message"]) < 400
    assert upstream.requests == []


def test_the_error_names_the_host_and_the_setting(serve: Callable[..., Served]) -> None:
    message = ask(serve(), "evil.example:80")[1]["error"]["message"]
    for told in ("'evil.example:80'", "`allowed_hosts`", "ROUTELLM_ALLOWED_HOSTS", "--allowed-"):
        assert told in message


def test_no_path_but_health_answers_under_another_name(serve: Callable[..., Served]) -> None:
    served = serve(playground=True)
    paths = {getattr(route, "path", "/").replace("{name:path}", "x") for route in served.app.routes}
    paths |= {"/", "/nope", "/playground/", "/playground/config", "/health/", "//health"}
    for path in paths - {"/health", CHAT}:
        assert ask(served, "evil.example", path)[0] == 421, path
    assert ask(served, "evil.example", "/health") == (200, {"status": "ok"})


@pytest.mark.parametrize(
    "host",
    ["localhost", "LocalHost:1", "localhost.", "127.0.0.1", "127.0.0.1:6060", "[::1]", "[::1]:9"],
)
def test_this_machines_names_are_answered_with_any_port(
    serve: Callable[..., Served], host: str
) -> None:
    assert ask(serve(), host)[0] == 200


def test_a_server_on_the_other_loopback_address_is_asked_by_it(
    serve: Callable[..., Served],
) -> None:
    try:
        served = serve(host="::1")
    except ConfigurationError:
        pytest.skip("this machine has no IPv6")
    assert ask(served, "[::1]:6060")[0] == 200
    assert ask(served, "evil.example")[0] == 421


async def status_of(app: Any, url: str, host: str) -> int:
    """Ask an application that came by an address, without a socket."""
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=url) as client:
        return (await client.get("/v1/models", headers={"host": host})).status_code


def made(**settings: Any) -> Any:
    read = read_settings(settings, environ={})
    return create_app(read, routers={"mf": ScriptedRouter()})


@pytest.mark.parametrize("bound", ["127.8.8.8", "192.168.1.5", "test"])
async def test_the_address_that_a_connection_came_in_by_is_a_name(bound: str) -> None:
    app = made()
    assert await status_of(app, f"http://{bound}:6060", f"{bound}:6060") == 200
    assert await status_of(app, f"http://{bound}:6060", "evil.example") == 421


def test_names_that_are_set_are_answered_and_no_others(serve: Callable[..., Served]) -> None:
    names = ["LLM.Example.com", "*.corp.example", "192.168.1.5", "[fd00::1]"]
    served = serve(allowed_hosts=names)
    for host in ("llm.example.com:80", "a.b.corp.example", "192.168.1.5:1", "[fd00::1]:1"):
        assert ask(served, host)[0] == 200, host
    assert ask(served, "localhost")[0] == 200
    for host in ("corp.example", "evilcorp.example", "x.llm.example.com", "192.168.1.50"):
        assert ask(served, host)[0] == 421, host


def test_any_name_can_be_allowed(serve: Callable[..., Served]) -> None:
    assert ask(serve(allowed_hosts="*"), "evil.example")[0] == 200


def test_a_server_that_asks_for_a_key_has_any_name_until_some_are_set(
    serve: Callable[..., Served],
) -> None:
    key = {"authorization": f"Bearer {KEY}"}
    assert ask(serve(api_key=KEY), "llm.example.com", **key)[0] == 200
    named = serve(api_key=KEY, allowed_hosts=["llm.example.com"])
    assert ask(named, "llm.example.com", **key)[0] == 200
    assert ask(named, "evil.example", **key)[0] == 421
    assert ask(named, "evil.example")[0] == 421, "before the key is looked at"


async def test_beyond_this_machine_a_server_has_any_name_until_some_are_set() -> None:
    app = made(host="0.0.0.0", insecure=True)
    assert await status_of(app, "http://127.0.0.1", "llm.example.com") == 200
    named = made(host="0.0.0.0", insecure=True, allowed_hosts=["llm.example.com"])
    for host in ("llm.example.com", "localhost", "127.0.0.1:1"):
        assert await status_of(named, "http://127.0.0.1", host) == 200, host
    assert await status_of(named, "http://127.0.0.1", "evil.example") == 421


def test_names_come_from_flags_the_environment_and_yaml(upstream: OpenAIServer, tmp_path) -> None:
    file = tmp_path / "server.yaml"
    file.write_text("allowed_hosts: [a.example, '*.b.example']\n")
    assert read_settings(config=file, environ={}).allowed_hosts == ("a.example", "*.b.example")
    environ = {"ROUTELLM_ALLOWED_HOSTS": "a.example, 10.0.0.7,"}
    assert read_settings(environ=environ).allowed_hosts == ("a.example", "10.0.0.7")
    with process(upstream, "--allowed-hosts", "a.example,b.example") as (_, url):
        assert [ask(url, f"{name}.example", "/v1/models")[0] for name in "abc"] == [200, 200, 421]


@pytest.mark.parametrize(
    "name",
    ["http://a.example", "a.example:80", "a.example/", "*.", "a*.example", "cafe:80", "é.example"],
)
def test_a_name_that_is_none_is_refused_with_what_to_write(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"`allowed_hosts.*is no host: write a name"):
        read_settings({"allowed_hosts": [name]}, environ={})
