"""Query engines, chat engines and pipelines: the outcome of a direct model, one decision a turn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import llama_index.core
import pytest
from llama_index.core import Document, Settings, SummaryIndex, VectorStoreIndex
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.chat_engine.types import ChatMode
from llama_index.core.extractors import KeywordExtractor, TitleExtractor
from llama_index.core.ingestion import IngestionCache, IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.query_engine import RouterQueryEngine, SubQuestionQueryEngine
from llama_index.core.question_gen import LLMQuestionGenerator
from llama_index.core.response_synthesizers import ResponseMode, get_response_synthesizer
from llama_index.core.selectors import LLMSingleSelector
from llama_index.core.tools import QueryEngineTool

from llamaindex_routellm import RoutedLLM
from routellm_core.testing import OpenAIServer, Step

pytestmark = [
    pytest.mark.loopback,
    pytest.mark.usefixtures("collected"),
    # LlamaIndex's memory leaves its database open.
    pytest.mark.filterwarnings("ignore:.*was deleted before being closed:ResourceWarning"),
]

HARD, EASY = "Prove that 7 is odd.", "What is 7 + 5?"
STREAMABLE = [mode for mode in ResponseMode if "accumulate" not in mode.value]
MODES = [ChatMode.SIMPLE, ChatMode.CONTEXT, ChatMode.CONDENSE_PLUS_CONTEXT, ChatMode.BEST]
BOTH = pytest.mark.parametrize(("question", "model"), [(HARD, "gpt-4o"), (EASY, "gpt-4o-mini")])


@pytest.fixture
def index() -> VectorStoreIndex:
    text = "Seven is a prime. A query may say: Query: no. " * 40
    return VectorStoreIndex.from_documents([Document(text=text), Document(text=text)])


@pytest.fixture
def direct(server: OpenAIServer, makers):
    """Make the model that should have answered."""
    return lambda model: makers["OpenAILike"](server, model)


@pytest.mark.parametrize("mode", list(ResponseMode), ids=lambda mode: mode.value)
@BOTH
async def test_a_query_is_answered_as_by_the_chosen_model(
    index, routed: RoutedLLM, direct, server, router, mode, question: str, model: str
) -> None:
    answers, requests = [], []
    for llm in (routed, direct(model)):
        Settings.llm = llm
        engine = index.as_query_engine(llm=llm, response_mode=mode)
        answers += [str(engine.query(question)), str(await engine.aquery(question))]
        requests.append([request.body for request in server.requests])
        server.reset()
    assert answers[:2] == answers[2:]
    assert requests[0] == requests[1]
    assert router.prompts == ([question] if requests[0] else [])


# LlamaIndex leaves OpenAI's stream open at the end of a synchronous query, of a direct model too;
# Python 3.13 says so.
@pytest.mark.filterwarnings("ignore:coroutine method 'aclose' of 'AsyncStream:RuntimeWarning")
@pytest.mark.parametrize("mode", STREAMABLE, ids=lambda mode: mode.value)
@BOTH
async def test_a_streamed_query_is_answered_as_by_the_chosen_model(
    index, routed: RoutedLLM, direct, router, mode, question: str, model: str
) -> None:
    answers = []
    for llm in (routed, direct(model)):
        Settings.llm = llm
        engine = index.as_query_engine(llm=llm, response_mode=mode, streaming=True)
        answers.append(str(engine.query(question)))
        answers.append(str(await engine.aquery(question)))
    assert answers[:2] == answers[2:]
    assert len(router.prompts) <= 1


async def test_chunks_that_are_summarised_together_are_one_turn(makers, server, router) -> None:
    llm = RoutedLLM(
        strong=makers["OpenAILike"](server, "gpt-4o", context_window=700),
        weak=makers["OpenAILike"](server, "gpt-4o-mini", context_window=700),
        router=router,
        threshold=0.5,
    )
    documents = [Document(text=f"{n} " + "is a number. " * 60) for n in range(6)]
    engine = SummaryIndex.from_documents(documents).as_query_engine(
        llm=llm, response_mode=ResponseMode.TREE_SUMMARIZE, use_async=True
    )
    server.script(*[Step(text="Numbers.")] * 20)
    await engine.aquery(HARD)
    assert len(server.requests) > 2
    assert set(server.models_asked()) == {"gpt-4o"}
    assert router.prompts == [HARD]


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
@pytest.mark.parametrize("stream", [False, True])
def test_a_chat_changes_models_turn_by_turn(
    index, routed: RoutedLLM, direct, server, router, mode, stream: bool
) -> None:
    history = [ChatMessage("Hi"), ChatMessage("Hello.", role="assistant")]
    for question, model in ((HARD, "gpt-4o"), (EASY, "gpt-4o-mini")):
        answers = []
        for llm in (routed, direct(model)):
            engine = index.as_chat_engine(chat_mode=mode, llm=llm)
            if stream:
                answer: Any = engine.stream_chat(question, chat_history=list(history))
                answers.append("".join(answer.response_gen))
            else:
                answers.append(str(engine.chat(question, chat_history=list(history))))
        assert answers[0] == answers[1]
        assert set(server.models_asked()) == {model}
        server.reset()
    assert router.prompts == [HARD, EASY]


@pytest.mark.parametrize("mode", [ChatMode.SIMPLE, ChatMode.CONTEXT], ids=lambda mode: mode.value)
def test_a_follow_up_in_a_chat_is_decided_by_what_it_continues(
    index, routed: RoutedLLM, server, router, mode
) -> None:
    engine = index.as_chat_engine(chat_mode=mode, llm=routed)
    history = [ChatMessage(HARD), ChatMessage("7 is 2 * 3 + 1.", role="assistant")]
    engine.chat("and why?", chat_history=history)
    assert server.models_asked() == ["gpt-4o"]
    assert router.prompts == [HARD]


def test_a_follow_up_that_an_engine_writes_out_is_decided_by_the_written_question(
    index, routed: RoutedLLM, server, router
) -> None:
    engine = index.as_chat_engine(chat_mode=ChatMode.CONDENSE_QUESTION, llm=routed)
    history = [ChatMessage(HARD), ChatMessage("7 is 2 * 3 + 1.", role="assistant")]
    server.script(Step(text=HARD), Step(text="It is 2 * 3 + 1."))
    assert str(engine.chat("and why?", chat_history=history)) == "It is 2 * 3 + 1."
    assert server.models_asked()[-1] == "gpt-4o"
    assert router.prompts[-1] == HARD


@BOTH
@pytest.mark.parametrize("stream", [False, True])
def test_a_question_that_an_engine_rewrites_is_decided_by_the_users_words(
    index, routed: RoutedLLM, direct, server, router, question, model, stream: bool
) -> None:
    history = [ChatMessage("Hi"), ChatMessage("Hello.", role="assistant")]
    answers = []
    for llm in (routed, direct(model)):
        engine = index.as_chat_engine(chat_mode=ChatMode.CONDENSE_QUESTION, llm=llm)
        server.script(Step(text="What of the number 7?"), Step(text="It is 2 * 3 + 1."))
        if stream:
            answer: Any = engine.stream_chat(question, chat_history=list(history))
            answers.append("".join(answer.response_gen))
        else:
            answers.append(str(engine.chat(question, chat_history=list(history))))
    assert answers[0] == answers[1] == "It is 2 * 3 + 1."
    assert set(server.models_asked()) == {model}
    assert router.prompts == [question]


async def test_what_another_user_asks_in_chat_is_not_taken_for_a_rewritten_question(
    index, routed: RoutedLLM, server, router
) -> None:
    engine = index.as_chat_engine(chat_mode=ChatMode.CONDENSE_QUESTION, llm=routed)
    history = [ChatMessage("Hi"), ChatMessage("Hello.", role="assistant")]
    server.script(Step(text=EASY), Step(text="It is 2 * 3 + 1."))
    await engine.achat(HARD, chat_history=history)
    routed.chat([ChatMessage(EASY)])
    assert server.models_asked() == ["gpt-4o", "gpt-4o", "gpt-4o-mini"]
    assert router.prompts == [HARD, EASY]


@BOTH
def test_an_engine_is_chosen_and_asked_in_one_decision(
    index, routed: RoutedLLM, direct, server, router, question: str, model: str
) -> None:
    answers = []
    for llm in (routed, direct(model)):
        tools = [
            QueryEngineTool.from_defaults(index.as_query_engine(llm=llm), description=about)
            for about in ("About odd numbers.", "About sums.")
        ]
        engine = RouterQueryEngine(
            selector=LLMSingleSelector.from_defaults(llm=llm), query_engine_tools=tools, llm=llm
        )
        server.script(Step(text='[{"choice": 2, "reason": "It is a sum."}]'))
        answers.append(str(engine.query(question)))
    assert answers[0] == answers[1]
    assert set(server.models_asked()) == {model}
    assert router.prompts == [question]


@BOTH
@pytest.mark.parametrize("use_async", [False, True])
async def test_sub_questions_are_decided_by_the_users_words(
    index, routed: RoutedLLM, direct, server, router, question, model, use_async: bool
) -> None:
    answers = []
    for llm in (routed, direct(model)):
        tool = QueryEngineTool.from_defaults(
            index.as_query_engine(llm=llm), name="numbers", description="About numbers."
        )
        engine = SubQuestionQueryEngine.from_defaults(
            query_engine_tools=[tool],
            llm=llm,
            response_synthesizer=get_response_synthesizer(llm=llm),
            question_gen=LLMQuestionGenerator.from_defaults(llm=llm),
            use_async=False,
            verbose=False,
        )
        asked = ", ".join(
            f'{{"tool_name": "numbers", "sub_question": "Is \\"{n}\\" odd?"}}' for n in (7, 8)
        )
        server.script(Step(text=f'```json\n{{"items": [{asked}]}}\n```'))
        answers.append(str(await engine.aquery(question) if use_async else engine.query(question)))
    assert answers[0] == answers[1]
    # The question is taken apart, its two parts are asked, and the whole is answered.
    assert server.models_asked() == [model] * 8
    assert router.prompts == [question]


def pipeline(llm: Any, **options: Any) -> IngestionPipeline:
    transformations = [
        SentenceSplitter(chunk_size=64, chunk_overlap=0),
        TitleExtractor(llm=llm, num_workers=1),
        KeywordExtractor(llm=llm, num_workers=1),
    ]
    return IngestionPipeline(transformations=transformations, **options)


DOCUMENTS = [Document(text=f"{n} is a number. " * 10, id_=str(n)) for n in range(4)]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.usefixtures("current_loop")
def test_worker_processes_ingest_as_one_process_does(
    routed: RoutedLLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    # LlamaIndex brings the splitter's tokens along, but a worker would look for them online, and a
    # pool waits for ever for a worker that failed.
    static = Path(llama_index.core.__file__).parent / "_static"
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(static / "tiktoken_cache"))
    alone = pipeline(routed).run(documents=DOCUMENTS)
    shared = pipeline(routed).run(documents=DOCUMENTS, num_workers=2)
    assert [node.metadata for node in shared] == [node.metadata for node in alone]
    assert "document_title" in shared[0].metadata


@pytest.mark.usefixtures("current_loop")
def test_what_was_ingested_with_another_threshold_is_ingested_again(
    routed: RoutedLLM, server
) -> None:
    cache = IngestionCache()
    for expected in (True, False):
        server.reset()
        pipeline(routed, cache=cache).run(documents=DOCUMENTS)
        assert bool(server.requests) is expected
    routed.threshold = 0.0
    pipeline(routed, cache=cache).run(documents=DOCUMENTS)
    assert set(server.models_asked()) == {"gpt-4o"}
