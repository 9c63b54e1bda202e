"""What models can take, by their names."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from routellm_core import Capabilities, known_capabilities
from routellm_core.controller import Fleet
from routellm_core.testing import ScriptedRouter

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}


@pytest.mark.parametrize("name", ["gpt-3.5-turbo", "openai/gpt-3.5-turbo", "openai:gpt-3.5-turbo"])
def test_a_blind_model_is_known_as_blind_however_it_is_written(name: str) -> None:
    known = known_capabilities(name)
    assert known.modalities == frozenset()
    assert known.tools
    assert known.context_window == 16_385


@pytest.mark.parametrize(
    ("name", "modalities"),
    [
        ("gpt-4o", {"image", "file"}),
        ("anthropic:claude-haiku-4-5", {"image", "file"}),
        ("gemini/gemini-2.5-flash", {"image", "audio", "video", "file"}),
    ],
)
def test_a_model_takes_what_the_table_says(name: str, modalities: set[str]) -> None:
    assert known_capabilities(name).modalities == modalities


@pytest.mark.parametrize("name", ["", "no-such-model", "my_host/gpt-3.5-turbo", "sample_spec"])
def test_what_is_not_known_is_assumed_to_work(name: str) -> None:
    assert known_capabilities(name) == Capabilities()


def test_a_model_that_the_table_denies_tools_has_none() -> None:
    assert not known_capabilities("ollama/codegeex4").tools


def test_nothing_is_asked_of_a_network_nor_of_an_absent_litellm() -> None:
    code = (
        "import sys\n"
        "def refuse(event, arguments):\n"
        "    if event in ('socket.connect', 'socket.getaddrinfo'):\n"
        "        raise RuntimeError(event)\n"
        "sys.addaudithook(refuse)\n"
        "from routellm_core import Capabilities, known_capabilities\n"
        "assert 'litellm' not in sys.modules\n"
        "if sys.argv[1] == 'absent':\n"
        "    sys.modules['litellm'] = None\n"
        "    assert known_capabilities('gpt-3.5-turbo') == Capabilities()\n"
        "else:\n"
        "    assert not known_capabilities('gpt-3.5-turbo').modalities\n"
        "assert sys.modules.get('litellm') is None\n"
    )
    for state in ("present", "absent"):
        subprocess.run([sys.executable, "-c", code, state], check=True, timeout=60)


def decided(**options: Any) -> str:
    fleet = Fleet(
        {"scripted": ScriptedRouter({}, default=0.1)},
        strong_model="openai/gpt-4o",
        weak_model="openai/gpt-3.5-turbo",
        threshold=0.5,
        **options,
    )
    decider, overrides = fleet.plan("auto")
    message = {"role": "user", "content": [{"type": "text", "text": "What is this?"}, IMAGE]}
    return decider.decide(fleet.turn([message], tools=False, decider=decider), overrides).reason


def test_the_controllers_weak_model_gets_no_image_that_it_cannot_see() -> None:
    assert decided() == "capability:image"


def test_what_a_user_says_of_a_model_counts_more_than_the_table() -> None:
    assert decided(weak=Capabilities()) == "win_rate"
