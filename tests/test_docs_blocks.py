"""Every block of Python in the documentation runs; every `routellm` command line is one."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import pytest
import typer

from routellm_core import load_router
from routellm_core.cli import app
from routellm_core.testing import OpenAIServer

ROOT = Path(__file__).parent.parent
PAGES = {
    path.name: path.read_text("utf-8") for path in [*ROOT.glob("docs/*.md"), ROOT / "README.md"]
}
# Pages whose answers are looked at, too, by a test of their own.
RUN_ELSEWHERE = {
    "README.md": "tests/test_readme.py",
    "answers.md": "tests/answers/test_guide.py",
    "langchain.md": "tests/langchain/test_guide.py",
    "llamaindex.md": "tests/llamaindex/test_guide.py",
}

MODELS = ["gpt-4-1106-preview", "mixtral-8x7b-instruct-v0.1", "another"]

LOOPBACK_ONLY = """
import socket as _socket
_connect = _socket.socket.connect
def _guarded(self, address):
    if self.family != _socket.AF_UNIX and address[0] not in ("127.0.0.1", "localhost", "::1"):
        raise RuntimeError(f"a documented block connects to {address!r}")
    return _connect(self, address)
_socket.socket.connect = _guarded
"""


def blocks(page: str, *languages: str) -> list[str]:
    kinds = "|".join(languages)
    return re.findall(rf"^```(?:{kinds})\n(.*?)^```", PAGES[page], re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the files that pages name."""
    battles = [
        {
            "prompt": f"Prompt {i}",
            "model_a": MODELS[i % 3],
            "model_b": MODELS[(i + 1) % 3],
            "winner": ("model_a", "model_b", "tie")[(i // 3) % 3],
        }
        for i in range(30)
    ]
    outcomes = [
        {
            "prompt": f"{'Prove' if i % 2 else 'Say'} number {i}",
            "model": model,
            "quality": 1.0 if model == "gpt-4o" else float(i % 2 == 0),
        }
        for i in range(120)
        for model in ("gpt-4o", "gpt-4o-mini")
    ]
    for name, rows in (("battles", battles), ("outcomes", outcomes)):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    np.save(tmp_path / "embeddings.npy", np.random.default_rng(0).normal(size=(30, 256)))
    return tmp_path


def python_pages() -> list[str]:
    return sorted(page for page in PAGES if blocks(page, "python") and page not in RUN_ELSEWHERE)


@pytest.mark.loopback
@pytest.mark.parametrize("page", python_pages())
def test_the_python_of_a_page_runs_from_top_to_bottom(page: str, folder: Path) -> None:
    with OpenAIServer() as server:
        code = LOOPBACK_ONLY + "\n".join(blocks(page, "python"))
        done = subprocess.run(
            [sys.executable, "-c", code.replace("http://127.0.0.1:6060/v1", server.base_url)],
            env={
                **os.environ,
                "OPENAI_API_KEY": "none",
                "OPENAI_API_BASE": server.base_url,
                "OPENAI_BASE_URL": server.base_url,
                "LITELLM_LOCAL_MODEL_COST_MAP": "True",
                "TOGETHERAI_API_KEY": "none",
                "TOGETHER_AI_API_BASE": server.base_url,
                "HF_HUB_OFFLINE": "1",
            },
            cwd=folder,
            capture_output=True,
            encoding="utf-8",
            timeout=240,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("page", RUN_ELSEWHERE)
def test_a_page_that_runs_elsewhere_runs_there(page: str) -> None:
    assert page in (ROOT / RUN_ELSEWHERE[page]).read_text("utf-8")
    assert blocks(page, "python")


def command_lines() -> Iterator[tuple[str, str]]:
    for page in sorted(PAGES):
        for block in blocks(page, "bash", "console", "sh"):
            for line in block.replace("\\\n", " ").splitlines():
                for part in re.sub(r"\s#.*", "", line).removeprefix("$ ").split("&&"):
                    if part.strip().startswith("routellm "):
                        yield page, part.strip()


@pytest.mark.parametrize(("page", "line"), list(command_lines()))
def test_a_documented_command_line_is_one(page: str, line: str) -> None:
    group = typer.main.get_command(app)
    name, *arguments = shlex.split(line.partition("|")[0])[1:]
    command = group.get_command(click.Context(group), name)
    assert command is not None, f"{page}: there is no `routellm {name}`"
    try:
        command.make_context(name, arguments)
    except Exception as error:  # noqa: BLE001 - typer's classes are its own, and private
        # Files of the example need not be here; anything else is a mistake on the page.
        if "does not exist" not in str(getattr(error, "message", error)):
            pytest.fail(f"{page}: {line}: {error!r}")


ROUTELLM_DEFAULT = 0.11593
"""A threshold of RouteLLM's own router: the page that names it says so."""

THRESHOLD = re.compile(r"(?:threshold[\"']?\s*[=:]\s*|--threshold[ =]|-t |router-mf-)(0?\.\d+)")


def thresholds() -> Iterator[tuple[str, float]]:
    for page in sorted(set(PAGES) - {"changelog.md", "cli.md", "results.md"}):
        for found in THRESHOLD.findall(PAGES[page]):
            if float(found) != ROUTELLM_DEFAULT:
                yield page, float(found)


@pytest.mark.parametrize(("page", "threshold"), sorted(set(thresholds())))
def test_a_threshold_in_a_guide_divides_the_calls(page: str, threshold: float) -> None:
    calibration = load_router("mf").calibration
    assert calibration is not None
    assert 0.01 <= (calibration.quantiles >= threshold).mean() <= 0.99, (
        page,
        threshold,
    )


def test_guides_name_thresholds() -> None:
    assert len(set(thresholds())) >= 5
