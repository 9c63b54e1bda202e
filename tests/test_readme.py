"""What the README says can be typed as it stands there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from routellm_core.testing import OpenAIServer

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def test_there_is_python_to_run() -> None:
    assert len(blocks("python")) == 3
    assert len(blocks("python")[0].strip().splitlines()) == 10


@pytest.mark.loopback
@pytest.mark.parametrize("index", range(3))
def test_a_python_block_runs_as_it_stands_over_offline_stand_ins(index: int) -> None:
    with OpenAIServer() as server:
        done = subprocess.run(
            [sys.executable, "-c", blocks("python")[index]],
            env={
                **os.environ,
                "OPENAI_API_KEY": "none",
                "OPENAI_API_BASE": server.base_url,
                "OPENAI_BASE_URL": server.base_url,
                "LITELLM_LOCAL_MODEL_COST_MAP": "True",
                "PYTHONIOENCODING": "utf-8",
            },
            capture_output=True,
            encoding="utf-8",
            timeout=240,
        )
    assert done.returncode == 0, done.stderr
    expected = [
        (
            r"(?s).+\{'route': '(strong|weak)'.*'router': 'mf', 'reason': 'win_rate'",
            {"gpt-4o", "gpt-4o-mini"},
            2,
        ),
        (r".+", {"gpt-4o", "gpt-4o-mini"}, 1),
        (r"Olá! weak\nDeduza a equação de Navier-Stokes. strong\n$", set(), 0),
    ]
    pattern, models, n_calls = expected[index]
    assert re.match(pattern, done.stdout), done.stdout
    assert len(server.requests) == n_calls
    assert {request.model for request in server.requests} <= models


def test_exactly_two_commands_install_it() -> None:
    installs = [
        line for block in blocks("bash") for line in block.splitlines() if "pip install" in line
    ]
    assert [line.partition(" && ")[2] for line in installs] == ["routellm demo", "pytest"]
    assert all(line.startswith("pip install ") for line in installs)


def test_every_local_link_leads_somewhere() -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]+)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
