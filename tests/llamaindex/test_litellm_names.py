"""Models that are given by LiteLLM's names."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core.llms import ChatMessage

from llamaindex_routellm import RoutedLLM
from llamaindex_routellm.history import dialect_of
from routellm_core.testing import OpenAIServer, ScriptedRouter, Step
from tests.litellm_clients import close_litellm_clients

pytestmark = pytest.mark.loopback

WAYS_IN = ["chat", "achat", "stream_chat", "astream_chat", "complete", "acomplete"]


async def answered(llm: Any, way_in: str) -> str:
    """Return the text of an answer, or of the last chunk of one."""
    given = getattr(llm, way_in)([ChatMessage("Hello!")] if "chat" in way_in else "Hello!")
    if way_in.startswith("a"):
        given = await given
    if way_in == "astream_chat":
        return str([chunk async for chunk in given][-1])
    return str(list(given)[-1] if way_in == "stream_chat" else given)


@pytest.fixture
def named(server: OpenAIServer, monkeypatch: pytest.MonkeyPatch) -> RoutedLLM:
    monkeypatch.setenv("OPENAI_API_BASE", server.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "test")
    router = ScriptedRouter({}, default=0.2)
    return RoutedLLM(
        strong="openai/gpt-4o", weak="openai/gpt-4o-mini", router=router, threshold=0.5
    )


@pytest.mark.parametrize("way_in", WAYS_IN)
async def test_an_answered_call_prints_nothing_and_leaves_litellm_as_it_was(
    named: RoutedLLM, server: OpenAIServer, capsys: pytest.CaptureFixture[str], way_in: str
) -> None:
    import litellm

    before = litellm.suppress_debug_info
    server.script(Step(status=500, headers={"x-should-retry": "false"}), model="gpt-4o-mini")
    assert "gpt-4o heard" in await answered(named, way_in)
    assert "Give Feedback" not in "".join(capsys.readouterr())
    assert litellm.suppress_debug_info == before
    await close_litellm_clients()


def test_a_model_by_name_speaks_litellms_dialect(named: RoutedLLM) -> None:
    assert dialect_of(named.weak) == "litellm"
