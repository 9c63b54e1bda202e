"""Agents: the outcome of a direct model, one decision a turn, and no tool run twice."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import pytest
from llama_index.core import Document, SummaryIndex
from llama_index.core.agent.workflow import (
    AgentWorkflow,
    CodeActAgent,
    FunctionAgent,
    ReActAgent,
)
from llama_index.core.llms import LLM
from llama_index.core.tools import QueryEngineTool
from llama_index.core.workflow import Context

from llamaindex_routellm import RoutedLLM
from routellm_core.testing import OpenAIServer, ScriptedRouter, Step

pytestmark = [
    pytest.mark.loopback,
    pytest.mark.usefixtures("collected"),
    # LiteLLM's response objects, serialised by pydantic.
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning"),
    # LlamaIndex's workflows read every attribute of an agent, pydantic's old ones too.
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20"),
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince211"),
    # LlamaIndex's ReAct agent asks a question that its workflows retired.
    pytest.mark.filterwarnings("ignore:is_running called from within a step:DeprecationWarning"),
    # LlamaIndex's memory cannot be serialised under pydantic 2.14.
    pytest.mark.filterwarnings("ignore:Skipping serialization of known unserializable key"),
    # LlamaIndex's memory leaves its database open.
    pytest.mark.filterwarnings("ignore:.*was deleted before being closed:ResourceWarning"),
]

HARD, EASY = "Prove that 7 is odd.", "What is 7 + 5?"
BOTH = pytest.mark.parametrize(("question", "model"), [(HARD, "gpt-4o"), (EASY, "gpt-4o-mini")])
STREAMING = pytest.mark.parametrize("streaming", [False, True])


class Sums:
    """A tool that knows how often it ran."""

    def __init__(self) -> None:
        self.n_runs = 0

    def tools(self) -> list[Any]:
        def add(a: int, b: int) -> int:
            """Add two numbers."""
            self.n_runs += 1
            return a + b

        return [add]


def run_code(code: str) -> str:
    """Run the code of a test and return what it prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(code, {})
    return out.getvalue()


def function_agent(llm: LLM, sums: Sums, streaming: bool) -> Any:
    return FunctionAgent(llm=llm, tools=sums.tools(), streaming=streaming)


def react_agent(llm: LLM, sums: Sums, streaming: bool) -> Any:
    return ReActAgent(llm=llm, tools=sums.tools(), streaming=streaming)


def code_act_agent(llm: LLM, sums: Sums, streaming: bool) -> Any:
    def execute(code: str) -> str:
        """Execute code."""
        sums.n_runs += 1
        return run_code(code)

    return CodeActAgent(code_execute_fn=execute, llm=llm, streaming=streaming)


def workflow(llm: LLM, sums: Sums, streaming: bool) -> Any:
    first = FunctionAgent(
        name="Greeter",
        description="Greets.",
        llm=llm,
        can_handoff_to=["Adder"],
        streaming=streaming,
    )
    second = FunctionAgent(
        name="Adder", description="Adds.", llm=llm, tools=sums.tools(), streaming=streaming
    )
    return AgentWorkflow(agents=[first, second], root_agent="Greeter", initial_state={"n": 0})


CALL_ADD = Step(tool_calls=(("add", {"a": 7, "b": 5}),))
SCRIPTS: dict[Any, tuple[Step, ...]] = {
    function_agent: (CALL_ADD, Step(text="It is 12.")),
    react_agent: (
        Step(text='Thought: I add.\nAction: add\nAction Input: {"a": 7, "b": 5}'),
        Step(text="Thought: I know.\nAnswer: It is 12."),
    ),
    code_act_agent: (
        Step(text="I compute.\n<execute>\nprint(7 + 5)\n</execute>"),
        Step(text="It is 12."),
    ),
    workflow: (
        Step(tool_calls=(("handoff", {"to_agent": "Adder", "reason": "It is a sum."}),)),
        CALL_ADD,
        Step(text="It is 12."),
    ),
}
AGENTS = pytest.mark.parametrize("make", list(SCRIPTS), ids=lambda make: make.__name__)
PAIRS = pytest.mark.parametrize(
    ("strong", "weak"),
    [
        ("OpenAILike", "OpenAILike"),
        ("OpenAILike", "LiteLLM"),
        ("LiteLLM", "OpenAILike"),
        ("LiteLLM", "LiteLLM"),
    ],
)


@pytest.fixture
def pair(server: OpenAIServer, makers, router: ScriptedRouter):
    def make(strong: str, weak: str) -> RoutedLLM:
        return RoutedLLM(
            strong=makers[strong](server, "gpt-4o"),
            weak=makers[weak](server, "gpt-4o-mini"),
            router=router,
            threshold=0.5,
        )

    return make


@AGENTS
@STREAMING
@BOTH
async def test_an_agent_works_as_with_the_chosen_model(
    pair, makers, server, router, make, streaming: bool, question: str, model: str
) -> None:
    answers, asked = [], []
    for llm in (pair("OpenAILike", "OpenAILike"), makers["OpenAILike"](server, model)):
        sums = Sums()
        server.reset()
        server.script(*SCRIPTS[make])
        answers.append(str(await make(llm, sums, streaming).run(question)))
        asked.append([request.body for request in server.requests])
        assert sums.n_runs == 1
    assert answers == ["It is 12."] * 2 or answers[0] == answers[1]
    assert [body["model"] for body in asked[0]] == [model] * len(SCRIPTS[make])
    assert [without_ids(body) for body in asked[0]] == [without_ids(body) for body in asked[1]]
    assert router.prompts == [question]


def without_ids(body: Any) -> str:
    """Return a request as text; agents' own ids of tool calls are random."""
    import json
    import re

    return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "<id>", json.dumps(body))


@AGENTS
@STREAMING
@PAIRS
async def test_an_agent_that_meets_a_fault_changes_models_and_runs_no_tool_twice(
    pair, server, router, make, streaming: bool, strong: str, weak: str
) -> None:
    sums = Sums()
    server.script(*[Step(status=500)] * 9, model="gpt-4o-mini")
    server.script(*SCRIPTS[make])
    answer = await make(pair(strong, weak), sums, streaming).run(EASY)
    assert "It is 12." in str(answer)
    assert sums.n_runs == 1
    assert router.prompts == [EASY]


@STREAMING
@PAIRS
async def test_a_conversation_with_an_agent_is_decided_turn_by_turn(
    pair, server, router, streaming: bool, strong: str, weak: str
) -> None:
    sums = Sums()
    agent = function_agent(pair(strong, weak), sums, streaming)
    context = Context(agent)
    for question in (EASY, HARD, EASY + " Again?"):
        server.script(*SCRIPTS[function_agent])
        assert str(await agent.run(question, ctx=context)) == "It is 12."
    assert server.models_asked() == ["gpt-4o-mini"] * 2 + ["gpt-4o"] * 2 + ["gpt-4o-mini"] * 2
    assert router.prompts == [EASY, HARD, EASY + " Again?"]
    assert sums.n_runs == 3


async def test_after_a_fault_the_model_that_called_the_tool_goes_on(pair, server, router) -> None:
    sums = Sums()
    server.script(Step(status=500), model="gpt-4o-mini")
    server.script(*SCRIPTS[function_agent])
    await function_agent(pair("OpenAILike", "OpenAILike"), sums, True).run(EASY)
    assert server.models_asked() == ["gpt-4o-mini", "gpt-4o", "gpt-4o"]


async def test_a_react_agent_that_is_told_to_try_again_stays_with_its_model(
    pair, server, router
) -> None:
    sums = Sums()
    server.script(Step(text=""), *SCRIPTS[react_agent])
    answer = await react_agent(pair("OpenAILike", "OpenAILike"), sums, False).run(HARD)
    assert "It is 12." in str(answer)
    assert set(server.models_asked()) == {"gpt-4o"}
    assert router.prompts == [HARD]


@BOTH
async def test_a_query_engine_that_an_agent_uses_as_a_tool_belongs_to_the_agents_turn(
    routed: RoutedLLM, server: OpenAIServer, router: ScriptedRouter, question: str, model: str
) -> None:
    index = SummaryIndex.from_documents([Document(text="Seven is a prime.")])
    engine = index.as_query_engine(llm=routed)
    tool = QueryEngineTool.from_defaults(engine, name="numbers", description="About numbers.")
    call = ("numbers", {"input": "Is 7 odd, in one word?"})
    server.script(Step(tool_calls=(call,)), Step(text="Odd."), Step(text="It is odd."))
    agent = FunctionAgent(tools=[tool], llm=routed)
    assert str(await agent.run(question)) == "It is odd."
    assert server.models_asked() == [model] * 3
    assert router.prompts == [question]
