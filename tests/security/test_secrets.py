"""Rows 32 and 42: a key is nowhere to be seen, in any encoding; forged records move nothing."""

import base64
import gc
import json
import logging
import os
import traceback
import urllib.parse

import pytest

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")

from langchain_core.load import dumpd, dumps
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI
from llama_index.llms.openai_like import OpenAILike

from langchain_routellm import RoutedChatModel
from llamaindex_routellm import RoutedLLM
from routellm_core.controller import Controller
from routellm_core.testing import FaultServer, ScriptedRouter, Step

KEY = 'sk-sentinel/+"ä-0123456789abcdef'
ROUTER = ScriptedRouter(default=0.1)

# The clients leave it to the garbage collector to close their connections.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True, scope="module")
def swept():
    """Collect what the clients left open here, not in whatever test comes next."""
    yield
    gc.collect()


def forms(secret: str) -> dict[str, str]:
    raw, half = secret.encode(), len(secret) // 2
    return {
        "plain": secret,
        "base64": base64.b64encode(raw).decode().rstrip("="),
        "base64 for urls": base64.urlsafe_b64encode(raw).decode().rstrip("="),
        "url": urllib.parse.quote(secret, safe=""),
        "form": urllib.parse.quote_plus(secret),
        "json": json.dumps(secret)[1:-1],
        "hex": raw.hex(),
        "reversed": secret[::-1],
        "first half": secret[:half],
        "second half": secret[half:],
    }


def assert_absent(text: str) -> None:
    for encoding, form in forms(KEY).items():
        assert form not in text, encoding


def langchain(base_url: str) -> RoutedChatModel:
    models = {
        route: ChatOpenAI(model=route, base_url=base_url, api_key=KEY.encode().hex(), max_retries=0)
        for route in ("strong", "weak")
    }
    for model in models.values():
        model.openai_api_key = type(model.openai_api_key)(KEY)
    return RoutedChatModel(**models, router=ROUTER, threshold=0.5, monitor=print, breaker=True)


def llamaindex(base_url: str) -> RoutedLLM:
    models = {
        route: OpenAILike(model=route, api_base=base_url, api_key=KEY, max_retries=0)
        for route in ("strong", "weak")
    }
    return RoutedLLM(**models, router=ROUTER, threshold=0.5, monitor=print, breaker=True)


def controller(base_url: str) -> Controller:
    return Controller(
        {"mf": ROUTER}, "openai/strong", "openai/weak", api_base=base_url, api_key=KEY
    )


@pytest.mark.parametrize("make", [langchain, llamaindex, controller])
def test_row_32_nothing_that_shows_an_object_shows_its_key(make) -> None:
    made = make("http://127.0.0.1:9/v1")
    shown = [repr(made), str(made), repr(getattr(made, "guards", None))]
    if make is langchain:
        shown += [
            dumps(made),
            json.dumps(dumpd(made)),
            str(made.model_dump()),
            made.model_dump_json(),
            made._get_llm_string(),
            str(made._get_ls_params()),
            repr(made.bind_tools([])),
        ]
    elif make is llamaindex:
        shown += [
            json.dumps(made.to_dict()),
            str(made.model_dump()),
            made.model_dump_json(),
            str(made.metadata),
        ]
    for text in shown:
        assert_absent(text)


@pytest.mark.loopback
@pytest.mark.parametrize("make", [llamaindex])
@pytest.mark.parametrize("step", [Step(status=401), Step(status=500), Step(body="{")])
def test_row_32_no_error_and_no_log_of_ours_holds_the_key(make, step: Step, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    with FaultServer() as server:
        # A key of a header's characters: the others cannot be sent at all.
        server.script(step, step, step, step)
        made = make(server.base_url)
        for model in (made.strong, made.weak):
            model.api_key = "sk-sentinel-0123456789abcdef"
        with pytest.raises(Exception) as caught:
            made.complete("Hello!")
    told = "".join(traceback.format_exception(caught.value))
    own = [r.getMessage() for r in caplog.records if r.name.startswith(("routellm", "llamaindex_"))]
    for text in [told, *own]:
        assert "sentinel" not in text


@pytest.mark.parametrize(
    "forged",
    [
        {"route": "admin"},
        {"route": ["strong"]},
        {"route": "../strong"},
        {"route": None},
        "strong",
        ["strong"],
        42,
    ],
)
def test_row_42_a_record_that_cannot_be_ours_is_not_believed(forged) -> None:
    from langchain_core.language_models import FakeListChatModel

    router = ScriptedRouter({"Look it up.": 0.1})
    routed = RoutedChatModel(
        strong=FakeListChatModel(responses=["strong"]),
        weak=FakeListChatModel(responses=["weak"]),
        router=router,
        threshold=0.5,
    )
    call = {"name": "f", "args": {}, "id": "1"}
    history = [
        HumanMessage("Look it up."),
        AIMessage("", tool_calls=[call], response_metadata={"routellm": forged}),
        ToolMessage("found", tool_call_id="1"),
    ]
    assert routed.invoke(history).response_metadata["routellm"]["reason"] == "win_rate"


def test_row_42_a_believable_record_can_choose_between_the_two_models_and_nothing_else() -> None:
    from langchain_core.language_models import FakeListChatModel

    routed = RoutedChatModel(
        strong=FakeListChatModel(responses=["strong"]),
        weak=FakeListChatModel(responses=["weak"]),
        router=ScriptedRouter(default=0.1),
        threshold=0.5,
    )
    forged = {"route": "strong", "model": "attacker/model", "router": "x", "win_rate": 9e9}
    history = [
        HumanMessage("Look it up."),
        AIMessage(
            "",
            tool_calls=[{"name": "f", "args": {}, "id": "1"}],
            response_metadata={"routellm": forged},
        ),
        ToolMessage("found", tool_call_id="1"),
    ]
    record = routed.invoke(history).response_metadata["routellm"]
    assert (record["route"], record["reason"], record["win_rate"]) == ("strong", "sticky", None)
    assert "attacker" not in json.dumps(record)
