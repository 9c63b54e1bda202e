"""What must not be seen: keys, prompts, answers; and what must not be believed: a log's lines."""

from __future__ import annotations

import base64
import json
import logging
from urllib.parse import quote

import pytest

from routellm_core.server import read_settings
from routellm_core.server.app import create_app, open_upstreams
from routellm_core.testing import OpenAIServer, ScriptedRouter, Step
from tests.server.conftest import Served, serving

pytestmark = pytest.mark.loopback

SECRET = "sentinel/key+of=provider"
PROMPT = "sentinel prompt é"


def spellings(text: str) -> list[str]:
    half = len(text) // 2
    return [
        text,
        base64.b64encode(text.encode()).decode(),
        quote(text, safe=""),
        json.dumps(text)[1:-1],
        text.encode().hex(),
        text[half:] + text[:half],
    ]


FAULTS = [
    Step(),
    Step(status=500),
    Step(status=429),
    Step(status=401),
    Step(status=400),
    Step(body="{"),
    Step(cut_after=1),
    Step(cut_after=3),
]


def test_no_key_and_no_words_are_logged_counted_or_shown(
    upstream: OpenAIServer, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with serving(upstream, upstream_api_key=SECRET, api_key=SECRET + "2") as served:
        for fault in FAULTS:
            for stream in (False, True):
                upstream.script(fault, fault)
                served.post(PROMPT, stream=stream)
                upstream.reset()
        served.post(PROMPT, model="router-broken-1")
        with served.client() as client:
            metrics = client.get("/metrics").text
            client.post("/v1/chat/completions", content=b"{", headers={"x": "y"})
        app = served.app
        shown = f"{app.state.settings!r}{app.state.settings}{vars(app.state.service)!r}"
        dumped = app.state.settings.model_dump_json() + str(app.state.settings.model_dump())
    written = capfd.readouterr()
    sinks = "".join(
        [caplog.text, metrics, shown, dumped, written.out, written.err]
        + [str(record.__dict__) for record in caplog.records]
    )
    for spelling in [*spellings(SECRET), *spellings(PROMPT)]:
        assert spelling not in sinks
    assert "decision" in caplog.text


def test_a_failing_setting_is_named_without_its_value() -> None:
    with pytest.raises(ValueError, match="timeout_s") as raised:
        read_settings({"timeout_s": SECRET, "api_key": SECRET}, environ={})
    assert SECRET not in str(raised.value)


def test_objects_that_hold_keys_do_not_show_them() -> None:
    flags = {"strong_model": "gpt-a", "weak_model": "gpt-b", "upstream_api_key": SECRET}
    settings = read_settings(flags, environ={})
    upstreams = open_upstreams(settings)
    app = create_app(settings, routers={"mf": ScriptedRouter()}, upstreams=upstreams)
    for thing in (settings, app, app.state.service, *map(vars, upstreams.values())):
        assert SECRET not in repr(thing)


@pytest.mark.parametrize("model", ["a\r\nINFO forged line", "a\x1b[31m", "router-mf-0\n1"])
def test_a_name_cannot_write_lines_of_its_own_into_log_or_headers(
    served: Served, caplog: pytest.LogCaptureFixture, model: str
) -> None:
    caplog.set_level(logging.DEBUG)
    response = served.post(model=model)
    assert response.status_code in (400, 404)
    assert "\n" not in response.text
    for record in caplog.records:
        assert not {"\n", "\r", "\x1b"} & set(record.getMessage())


def test_a_model_whose_name_is_not_ascii_is_told_percent_encoded(upstream: OpenAIServer) -> None:
    with serving(upstream, weak_model="modell-größe\r\nx: y") as served:
        response = served.post()
    assert response.headers["x-routellm-model"] == "modell-gr%C3%B6%C3%9Fe%0D%0Ax: y"
