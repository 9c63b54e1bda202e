"""A page in a real browser against the server, where one is installed."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from routellm_core.testing import OpenAIServer
from tests.server.conftest import EASY, HARD, KEY, Served, body_of

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)

pytestmark = [
    pytest.mark.loopback,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed"),
]

PAGE = """<!doctype html><script>
const served = %s, key = %s, bodies = %s;
const ask = (path, options = {}) => fetch(served + path, {
  ...options, headers: {"authorization": "Bearer " + key, "content-type": "application/json"}});
const chat = body => ask("/v1/chat/completions", {method: "POST", body: JSON.stringify(body)});
const steps = {
  models: async () => (await (await ask("/v1/models")).json()).data[0].id,
  route: async () => (await chat(bodies.whole)).headers.get("x-routellm-route"),
  said: async () => (await (await chat(bodies.whole)).json()).choices[0].message.content,
  end: async () => (await (await chat(bodies.streamed)).text()).slice(-14),
  error: async () => (await (await chat(bodies.unknown)).json()).error.code,
  refused: async () => (await fetch(served + "/v1/models")).status,
  form: async () => {
    const form = new FormData();
    form.append("files", new Blob(["x"]), "a.txt");
    await fetch(served + "/playground/gradio_api/upload",
                {method: "POST", mode: "no-cors", body: form});
    return "sent";
  },
};
(async () => {
  const told = {};
  for (const [name, step] of Object.entries(steps)) {
    try { told[name] = await step(); } catch (error) { told[name] = String(error); }
  }
  await fetch("/told", {method: "POST", body: JSON.stringify(told)});
})();
</script>"""


class Site(HTTPServer):
    """A site of another origin, with one page that tells what it got."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.page = b""
        self.told: dict[str, Any] | None = None
        self.done = threading.Event()
        self.origin = f"http://127.0.0.1:{self.server_port}"

    def visit(self, served: Served, folder: Path) -> dict[str, Any]:
        """Open the page in the browser; return what it tells."""
        bodies = {
            "whole": body_of(HARD),
            "streamed": body_of(EASY, stream=True),
            "unknown": body_of(model="gpt-9"),
        }
        self.page = (PAGE % tuple(map(json.dumps, (served.url, KEY, bodies)))).encode()
        thread = threading.Thread(target=self.serve_forever)
        thread.start()
        assert BROWSER is not None
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        flags += ["--remote-debugging-port=0", "--no-first-run", f"--user-data-dir={folder}"]
        try:
            with subprocess.Popen(
                [BROWSER, *flags, f"{self.origin}/"],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            ) as browser:
                came = self.done.wait(timeout=60.0)
                browser.kill()
        finally:
            self.shutdown()
            thread.join()
            self.server_close()
        assert came, "the browser did not run the page"
        assert self.told is not None
        return self.told


class _Answers(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        self._answer(self.server.page if self.path == "/" else b"")

    def do_POST(self) -> None:
        self.server.told = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self._answer(b"")
        self.server.done.set()

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


FAILED = "TypeError: Failed to fetch"


def test_a_page_that_is_let_in_asks_streams_and_reads_errors(
    serve: Callable[..., Served], tmp_path: Path
) -> None:
    site = Site()
    served = serve(api_key=KEY, cors_origins=[site.origin])
    assert site.visit(served, tmp_path) == {
        "models": "auto",
        "route": "strong",
        "said": f"big heard: {HARD}",
        "end": "data: [DONE]\n\n",
        "error": "model_not_found",
        "refused": 401,
        "form": "sent",
    }


def test_a_page_of_which_the_server_knows_nothing_gets_nothing(
    serve: Callable[..., Served],
    upstream: OpenAIServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    uploads = tmp_path / "uploads"
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(uploads))
    served = serve(cors_origins=["https://app.example.com"], playground=True)
    told = Site().visit(served, tmp_path / "profile")
    assert told.pop("form") == "sent"
    assert set(told.values()) == {FAILED}
    assert upstream.requests == []
    assert not list(uploads.rglob("*.txt")), "a form is sent unasked, and refused"
