"""The comparison of another project's tests says with its exit code what is not accounted for."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

FOREIGN = {
    "langchain": """
import asyncio
from langchain.agents import create_agent
from langchain.agents.middleware import SummarizationMiddleware
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import HumanMessage

def make():
    return create_agent(model=FakeListChatModel(responses=["Hi"]))

def metadata(state):
    return [message.response_metadata for message in state["messages"]]

def test_reads_answer():
    assert metadata(make().invoke({"messages": ["Hi"]})) == [{}, {}]

def test_reads_async_answer():
    assert metadata(asyncio.run(make().ainvoke({"messages": ["Hi"]}))) == [{}, {}]

def test_reads_direct_answer():
    model = FakeListChatModel(responses=["Hi"])
    middleware = SummarizationMiddleware(model=model, trigger=("messages", 9))
    result = middleware.model._generate([HumanMessage("Hi")])
    assert result.generations[0].message.response_metadata == {}

def test_passes():
    assert make().invoke({"messages": ["Hi"]})["messages"][-1].text == "Hi"
""",
    "llamaindex": """
import asyncio
from llama_index.core import Settings
from llama_index.core.llms import ChatMessage, MockLLM

Settings.llm = MockLLM()

def test_reads_answer():
    assert not Settings.llm.complete("Hi").additional_kwargs

def test_reads_async_answer():
    assert not asyncio.run(Settings.llm.achat([ChatMessage(content="Hi")])).additional_kwargs

def test_reads_stream():
    assert not any(chunk.additional_kwargs for chunk in Settings.llm.stream_complete("Hi"))

def test_passes():
    assert Settings.llm.complete("Hi").text == "Hi"
""",
}


@pytest.fixture
def runner() -> ModuleType:
    spec = importlib.util.spec_from_file_location("foreign_run", Path(__file__).parent / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("routed", "without", "expected", "code"),
    [
        (set(), set(), {}, 0),
        ({"a"}, set(), {}, 0),
        ({"a"}, {"a"}, {}, 1),
        ({"a"}, {"a"}, {"a": "type of the model"}, 0),
        (set(), set(), {"a": "type of the model"}, 1),
        (set(), set(), {"elsewhere": "type of the model"}, 0),
    ],
)
def test_exit_code_tells_what_is_not_accounted_for(
    runner: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    routed: set[str],
    without: set[str],
    expected: dict[str, str],
    code: int,
) -> None:
    monkeypatch.setattr(runner, "HERE", tmp_path)
    (tmp_path / "expected.json").write_text(json.dumps(expected), encoding="utf-8")

    def failures(
        folder: Path, paths: list[str], plugin: str | None, *, record: bool = True
    ) -> tuple[set[str], set[str]]:
        failed = set() if plugin is None else routed if record else without
        return failed, {"a", "b"}

    monkeypatch.setattr(runner, "failures", failures)
    assert runner.main(["langchain", "folder"]) == code


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_test_that_reads_the_record_fails_with_it_alone(
    runner: ModuleType, tmp_path: Path, kind: str
) -> None:
    (tmp_path / "test_it.py").write_text(FOREIGN[kind], encoding="utf-8")
    with_record, ran = runner.failures(tmp_path, [], runner.PLUGINS[kind])
    without, _ = runner.failures(tmp_path, [], runner.PLUGINS[kind], record=False)
    readers = {name for name in ran if name.startswith("test_it::test_reads")}
    assert (with_record, without) == (readers, set())
    assert len(readers) == 3
    assert ran - readers == {"test_it::test_passes"}
