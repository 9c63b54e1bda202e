"""A hub of our own on the loopback address."""

import json
import threading
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from routellm_core import load_router

COMMIT = "c" * 40


class Hub(BaseHTTPRequestHandler):
    """Serve the repository `own/router` from a folder."""

    folder: Path
    requests: list[str]

    def log_message(self, *_) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        self.requests.append(self.path)
        path = self.path.split("?")[0]
        if path.startswith("/api/models/own/router/"):
            if path.endswith("/revision/nowhere"):
                return self.reply(404, b"", {"X-Error-Code": "RevisionNotFound"})
            files = sorted(self.folder.iterdir())
            if "/tree/" in path:
                rows = [
                    {"type": "file", "path": f.name, "size": f.stat().st_size, "oid": f.name}
                    for f in files
                ]
                return self.reply(200, json.dumps(rows).encode())
            content = {
                "id": "own/router",
                "sha": COMMIT,
                "siblings": [{"rfilename": file.name} for file in files],
            }
            return self.reply(200, json.dumps(content).encode())
        if path.startswith(f"/own/router/resolve/{COMMIT}/"):
            content = (self.folder / path.rsplit("/", 1)[1]).read_bytes()
            return self.reply(
                200,
                content if body else b"",
                {"ETag": f'"{sha256(content).hexdigest()}"', "X-Repo-Commit": COMMIT},
                length=len(content),
            )
        code = "GatedRepo" if "gated" in path else "RepoNotFound"
        return self.reply(403 if "gated" in path else 404, b"", {"X-Error-Code": code})

    def reply(self, status, content, headers=None, *, length=None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    from huggingface_hub import constants

    Hub.folder = load_router("random", seed=3).save(tmp_path / "repository")
    (Hub.folder / "code.py").write_text("raise SystemExit")
    (Hub.folder / "pytorch_model.bin").write_bytes(b"pickle")
    Hub.requests = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    yield server
    server.shutdown()
    server.server_close()
    thread.join()
