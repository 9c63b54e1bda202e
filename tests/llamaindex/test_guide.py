"""The user guide's code runs, block after block, as it stands there."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.llms import LLM

from llamaindex_routellm import RoutedLLM
from routellm_core.testing import OpenAIServer

GUIDE = (Path(__file__).parents[2] / "docs" / "llamaindex.md").read_text("utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", GUIDE, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.loopback
@pytest.mark.usefixtures("collected", "makers")
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning")
# LlamaIndex's workflows read every attribute of an agent, pydantic's old ones too.
@pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20")
@pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince211")
# LlamaIndex's memory leaves its database open, and LiteLLM its connections.
@pytest.mark.filterwarnings("ignore:.*was deleted before being closed:ResourceWarning")
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
async def test_the_guides_code_runs_as_it_stands(
    server: OpenAIServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.setenv("OPENAI_API_BASE", server.base_url)
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    names: dict[str, Any] = {"__name__": "guide"}
    assert len(BLOCKS) == 8
    for block in BLOCKS:
        code = compile(block, "docs/llamaindex.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        running = eval(code, names)
        if inspect.isawaitable(running):
            await running
    assert set(server.models_asked()) <= {"gpt-4o", "gpt-4o-mini"}
    assert "heard:" in str(names["response"])
    assert "heard: What is 7 + 5?" in str(names["result"])
    assert names["decision"]["router"] == "mf"
    assert names["answer"].additional_kwargs["routellm"]["reason"] == "accepted:no_refusal"
    assert names["llm"].metadata.context_window == 32_000
    assert re.search(r"openai/gpt-4o\S* win_rate\n", capsys.readouterr().out)


def test_the_guide_names_every_argument() -> None:
    for argument in RoutedLLM.model_fields.keys() - LLM.model_fields.keys():
        assert f"`{argument}`" in GUIDE, argument
