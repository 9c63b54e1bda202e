"""Whatever messages hold, they are read, or refused as what they are: nothing crashes."""

import json
from contextlib import suppress

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessage, ChatMessage, HumanMessage, SystemMessage, ToolMessage
from llama_index.core.base.llms.types import ChatMessage as LlamaMessage
from llama_index.core.base.llms.types import ImageBlock, TextBlock
from llama_index.core.llms import MockLLM

from langchain_routellm import RoutedChatModel
from llamaindex_routellm import RoutedLLM
from routellm_core import CallRecord, DataError, RouteLLMError, Turn, make_decider, read_turn
from routellm_core.controller.messages import OpenAIView
from routellm_core.testing import ScriptedRouter

FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])

text = st.text(alphabet=st.characters(exclude_categories=()), max_size=30)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=12,
)
kinds = st.sampled_from(
    ["text", "image_url", "image", "input_audio", "file", "tool_result", "thinking", "x"]
)
blocks = st.one_of(
    text,
    st.fixed_dictionaries(
        {"type": kinds}, optional={"text": values, "mime_type": text, "x": values}
    ),
    st.dictionaries(text, values, max_size=3),
)
contents = text | st.lists(blocks, max_size=4)


@FUZZ
@given(
    st.lists(
        st.fixed_dictionaries(
            {"role": st.sampled_from(["system", "user", "assistant", "tool", "x"]) | values},
            optional={"content": contents | values, "tool_calls": values, "routellm": values},
        ),
        max_size=5,
    )
)
def test_any_openai_messages_become_a_turn_or_a_clear_error(messages: list) -> None:
    decider = make_decider(router=ScriptedRouter(), strong_model="big", weak_model="small")
    try:
        turn = read_turn(messages, OpenAIView())
    except RouteLLMError:
        return
    assert isinstance(turn, Turn)
    assert decider.decide(turn).route in ("strong", "weak")


@FUZZ
@given(
    st.lists(
        st.one_of(
            st.builds(HumanMessage, content=contents),
            st.builds(SystemMessage, content=contents),
            st.builds(ChatMessage, content=contents, role=text),
            st.builds(ToolMessage, content=contents, tool_call_id=text),
            st.builds(
                AIMessage,
                content=contents,
                response_metadata=st.fixed_dictionaries({}, optional={"routellm": values}),
            ),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_any_langchain_messages_are_routed(messages: list) -> None:
    routed = RoutedChatModel(
        strong=FakeListChatModel(responses=["strong"]),
        weak=FakeListChatModel(responses=["weak"]),
        router=ScriptedRouter(default=0.1),
        threshold=0.5,
    )
    routing = routed._routing()
    decision = routing.decider.decide(routing.turn(messages, tools=False))
    assert decision.route in ("strong", "weak")
    assert not decision.reason.startswith("router_error")
    json.dumps(decision.record())


llama_blocks = st.builds(TextBlock, text=text) | st.builds(
    ImageBlock, url=st.just("http://127.0.0.1/x.png")
)


@FUZZ
@given(
    st.lists(
        st.builds(
            LlamaMessage,
            role=st.sampled_from(["system", "user", "assistant", "tool"]),
            blocks=st.lists(llama_blocks, max_size=4),
            additional_kwargs=st.dictionaries(text, values, max_size=2),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_any_llamaindex_messages_are_routed(messages: list) -> None:
    routed = RoutedLLM(
        strong=MockLLM(max_tokens=1),
        weak=MockLLM(max_tokens=1),
        router=ScriptedRouter(default=0.1),
        threshold=0.5,
    )
    call = routed._open_chat(messages, {})
    assert call.decision.route in ("strong", "weak")
    assert not call.decision.reason.startswith("router_error")
    json.dumps(call.decision.record())


@FUZZ
@given(st.binary(max_size=200) | values.map(lambda value: json.dumps(value).encode()))
def test_any_line_of_a_log_is_a_record_or_a_data_error(line: bytes) -> None:
    with suppress(DataError):
        CallRecord.from_json(line)
