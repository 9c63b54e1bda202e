"""A warning about another library's own code is no fault of a call."""

import subprocess
import sys
import warnings

import pytest

from routellm_core._warnings import ignore_third_party_warnings
from routellm_core.experts import ExpertTable
from routellm_core.plan.attempts import Attempts
from routellm_core.types import Decision

PREAMBLE = """
import asyncio, os, warnings
from routellm_core.testing import OpenAIServer
server = OpenAIServer().start()
os.environ.update(OPENAI_API_KEY="k", OPENAI_API_BASE=server.base_url,
                  OPENAI_BASE_URL=server.base_url, LITELLM_LOCAL_MODEL_COST_MAP="True")
MODELS = {"strong": "openai/gpt-4o", "weak": "openai/gpt-4o-mini"}
MESSAGES = [{"role": "user", "content": "Hi"}]
async def joined(chunks):
    return [chunk async for chunk in chunks]
"""

WAYS = {
    "langchain": """
from langchain_routellm import RoutedChatModel
llm = RoutedChatModel(**MODELS)
warnings.simplefilter("error")
assert "".join(chunk.text for chunk in llm.stream("Hi"))
assert llm.invoke("Hi").text
assert asyncio.run(joined(llm.astream("Hi")))
""",
    "llamaindex": """
from llamaindex_routellm import RoutedLLM
llm = RoutedLLM(**MODELS)
warnings.simplefilter("error")
assert list(llm.stream_complete("Hi"))[-1].text
assert llm.complete("Hi").text
async def run(): return await joined(await llm.astream_complete("Hi"))
assert asyncio.run(run())
""",
    "controller": """
from routellm_core.controller import Controller
controller = Controller(["mf"], MODELS["strong"], MODELS["weak"])
warnings.simplefilter("error")
ask = {"model": "router-mf-0.65", "messages": MESSAGES}
assert list(controller.completion(**ask, stream=True))
assert controller.completion(**ask).choices[0].message.content
""",
}


@pytest.mark.parametrize("way", WAYS)
def test_a_call_through_litellm_answers_where_every_warning_is_an_error(way: str) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            PREAMBLE + WAYS[way] + "print('answered', flush=True)\nos._exit(0)\n",
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.splitlines()[-1:] == ["answered"], done.stderr[-2000:]


PAIR = ExpertTable.of_pair(strong_model="s", weak_model="w")


def named(typed_dict: str) -> str:
    return f"Item 'index' on TypedDict class '{typed_dict}' is using the `ReadOnly` qualifier."


def warn_in(module: str, message: str, category: type[Warning] = UserWarning) -> None:
    warnings.warn_explicit(message, category, "file.py", 1, module=module)


def test_a_call_ignores_the_named_warnings_also_after_its_filters_were_reset() -> None:
    decision = Decision("weak", "w", 0.1, 0.5, "mf", "win_rate")
    for _ in range(2):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            Attempts(decision, experts=PAIR, worth_escalating=lambda error: False)
            warn_in("pydantic._internal._generate_schema", named("ChatCompletionThinkingBlock"))


@pytest.mark.parametrize(
    ("module", "message", "category"),
    [
        ("app", named("Mine"), UserWarning),
        ("pydantic._internal._generate_schema", "Something else.", UserWarning),
        ("pydantic._internal._generate_schema", named("Mine"), DeprecationWarning),
    ],
)
def test_every_other_warning_stays_an_error(
    module: str, message: str, category: type[Warning]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ignore_third_party_warnings()
        with pytest.raises(category):
            warn_in(module, message, category)


def test_asking_twice_adds_no_second_filter() -> None:
    with warnings.catch_warnings():
        ignore_third_party_warnings()
        before = list(warnings.filters)
        warnings.simplefilter("error")
        ignore_third_party_warnings()
        assert len(warnings.filters) <= len(before) + 1
        assert warnings.filters[0] == before[0]
