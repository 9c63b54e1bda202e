"""Models that are given by LiteLLM's names."""

from __future__ import annotations

from typing import Any

import pytest

from langchain_routellm import RoutedChatModel
from routellm_core.testing import OpenAIServer, ScriptedRouter, Step
from tests.litellm_clients import close_litellm_clients

pytestmark = pytest.mark.loopback

WAYS_IN = ["invoke", "ainvoke", "stream", "astream"]


async def answered(model: Any, way_in: str) -> str:
    """Return the text of an answer."""
    given = getattr(model, way_in)("Hello!")
    if way_in == "ainvoke":
        given = await given
    if way_in == "astream":
        return "".join([chunk.text async for chunk in given])
    return "".join(chunk.text for chunk in given) if way_in == "stream" else str(given.text)


@pytest.mark.parametrize("way_in", WAYS_IN)
async def test_an_answered_call_prints_nothing_and_leaves_litellm_as_it_was(
    server: OpenAIServer, capsys: pytest.CaptureFixture[str], way_in: str
) -> None:
    import litellm

    before = litellm.suppress_debug_info
    model = RoutedChatModel(
        strong="openai/gpt-4o",
        weak="openai/gpt-4o-mini",
        router=ScriptedRouter({}, default=0.2),
        threshold=0.5,
        base_url=server.base_url,
        api_key="test",
        max_retries=0,
    )
    server.script(Step(status=500, headers={"x-should-retry": "false"}), model="gpt-4o-mini")
    assert "gpt-4o heard" in await answered(model, way_in)
    assert "Give Feedback" not in "".join(capsys.readouterr())
    assert litellm.suppress_debug_info == before
    await close_litellm_clients()
