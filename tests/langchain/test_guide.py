"""The user guide's code runs, block after block, as it stands there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from routellm_core.testing import OpenAIServer

GUIDE = (Path(__file__).parents[2] / "docs" / "langchain.md").read_text("utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", GUIDE, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.loopback
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning:pydantic")
def test_the_guides_code_runs_as_it_stands(
    server: OpenAIServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.setenv("OPENAI_API_BASE", server.base_url)
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    names: dict[str, Any] = {"__name__": "guide"}
    assert len(BLOCKS) == 11
    for block in BLOCKS:
        exec(compile(block, "docs/langchain.md", "exec"), names)
    assert set(server.models_asked()) <= {"gpt-4o", "gpt-4o-mini"}
    assert names["answer"].tool_calls[0]["name"] == "get_weather"
    assert "routellm" in names["result"]["messages"][-1].response_metadata
    assert "heard: Tell me about tides." in capsys.readouterr().out


def test_the_guide_names_every_argument() -> None:
    from langchain_routellm import RoutedChatModel

    internal = {"name", "verbose", "custom_get_token_ids", "profile"}
    for argument in RoutedChatModel.model_fields.keys() - internal:
        assert f"`{argument}`" in GUIDE, argument
