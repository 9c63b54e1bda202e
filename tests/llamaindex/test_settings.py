"""What a `RoutedLLM` takes, says about itself, and carries to other processes."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from llama_index.core import Settings
from llama_index.core.base.llms.types import LLMMetadata, MessageRole
from llama_index.core.extractors import TitleExtractor
from llama_index.core.indices.prompt_helper import PromptHelper
from llama_index.core.ingestion.pipeline import get_transformation_hash
from llama_index.core.llms import ChatMessage, MockLLM
from llama_index.core.llms.utils import resolve_llm
from llama_index.core.prompts import PromptTemplate
from llama_index.core.schema import TextNode
from llama_index.core.tools import FunctionTool

import llamaindex_routellm
from llamaindex_routellm import RoutedLLM
from routellm_core import Calibration, ConfigurationError, Router, UnknownRouterError
from routellm_core.routers.random import RandomRouter
from routellm_core.testing import ScriptedRouter

HARD, EASY = "Prove that 7 is odd.", "What is 7 + 5?"
KEY = "sk-do-not-show-me"


def routed(strong: Any, weak: Any, **options: Any) -> RoutedLLM:
    return RoutedLLM(
        strong=strong, weak=weak, **{"router": RandomRouter(), "threshold": 0.5, **options}
    )


def test_the_package_offers_the_model() -> None:
    assert llamaindex_routellm.__all__ == ["RoutedLLM"]
    names = [cls.__name__ for cls in RoutedLLM.__mro__]
    assert "BaseLLM" in names
    assert "FunctionCallingLLM" in names


def test_it_is_a_model_to_llamaindex(strong, weak) -> None:
    llm = routed(strong, weak)
    Settings.llm = llm
    assert Settings.llm is llm
    assert resolve_llm(llm) is llm


# Arguments


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"treshold": 0.5}, "no argument 'treshold'"),
        ({"threshold": 1.5}, "must be a number in"),
        ({"threshold": None, "strong_share": 0.0}, "must lie in"),
        ({"strong_share": 0.3}, "not both"),
        ({"threshold": None, "min_quality": 95}, "must lie in"),
        ({"threshold": None, "max_cost": -1.0}, "must be a positive number"),
        ({"call_tokens": (500, 100)}, "`max_cost` only"),
        ({"function_calling": "all"}, "must be 'both' or 'any'"),
        ({"routing_text": "first"}, "must be one of"),
        ({"on_router_error": "fast"}, "on_router_error.* 'strong' or 'weak'"),
        ({"system_prompt": 3}, "`system_prompt` must be a text"),
        ({"strong": 3}, "must be a LlamaIndex `LLM`"),
        ({"weak": " "}, "must be a LlamaIndex `LLM`"),
        ({"router": 3}, "must be a `Router`"),
        ({"remember": -1}, "at least 0"),
        ({"drop_params": {"small": ["seed"]}}, "`drop_params` must map"),
        ({"drop_params": {"weak": "seed"}}, "`drop_params` must map"),
    ],
)
@pytest.mark.parametrize("router", [ScriptedRouter(), "random"])
def test_an_argument_that_cannot_be_used_is_refused(
    strong, weak, router, arguments: dict[str, Any], message: str
) -> None:
    values = {"strong": strong, "weak": weak, "router": router, "threshold": 0.5, **arguments}
    with pytest.raises(ConfigurationError, match=message):
        RoutedLLM(**values)


def test_an_unknown_router_is_refused_at_once(strong, weak) -> None:
    with pytest.raises(UnknownRouterError, match="rnadom"):
        routed(strong, weak, router="rnadom")


def test_a_share_of_calls_can_be_asked_for(strong, weak) -> None:
    llm = routed(strong, weak, threshold=None, strong_share=0.25)
    records = [llm.complete(f"{n}").additional_kwargs["routellm"] for n in range(200)]
    assert records[0]["threshold"] == pytest.approx(0.75)
    share = sum(record["route"] == "strong" for record in records) / 200
    assert 0.15 < share < 0.35


def test_a_setting_that_is_changed_takes_effect(llm: RoutedLLM, saying) -> None:
    assert llm.complete(EASY).additional_kwargs["routellm"]["route"] == "weak"
    llm.threshold = 0.0
    assert llm.complete(EASY).additional_kwargs["routellm"]["route"] == "strong"
    assert llm.metadata.context_window == 4096
    llm.strong = saying(model="new", window=100)
    assert llm.metadata.context_window == 100
    assert llm.complete(EASY).additional_kwargs["routellm"]["model"] == "new"


def test_dropped_arguments_are_checked_wherever_they_are_set(llm: RoutedLLM) -> None:
    llm.drop_params = {"weak": ("seed", "logprobs")}  # type: ignore[dict-item]
    assert llm.drop_params == {"weak": ["logprobs", "seed"]}
    copied = llm.model_copy(update={"drop_params": None})
    assert copied.drop_params == {}
    assert llm.to_dict()["drop_params"] == {"weak": ["logprobs", "seed"]}
    for change in (
        lambda: setattr(llm, "drop_params", ["seed"]),
        lambda: llm.model_copy(update={"drop_params": {"weak": 3}}),
    ):
        with pytest.raises(ConfigurationError, match="`drop_params` must map"):
            change()


def test_a_copy_has_settings_of_its_own(llm: RoutedLLM) -> None:
    llm.complete(EASY)
    strict = llm.model_copy(update={"threshold": 0.0})
    assert strict.complete(EASY).additional_kwargs["routellm"]["route"] == "strong"
    assert llm.complete(EASY).additional_kwargs["routellm"]["route"] == "weak"
    assert copy.deepcopy(llm).complete(EASY).text == llm.complete(EASY).text


def test_a_named_router_is_loaded_once_at_the_first_calls(strong, weak, monkeypatch) -> None:
    loads: list[Router] = []

    def load_slowly(**options: Any) -> Router:
        threading.Event().wait(0.2)
        loads.append(ScriptedRouter(default=0.9))
        return loads[-1]

    llm = routed(strong, weak, router="random")
    monkeypatch.setattr(RandomRouter, "default", load_slowly)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(llm.complete, [HARD] * 8))
    assert {answer.text for answer in answers} == {strong.words}
    assert len(loads) == 1


# Strings


def test_a_string_is_a_litellm_model_that_gives_up_soon(strong, monkeypatch) -> None:
    from llama_index.llms.litellm import LiteLLM

    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    llm = routed(strong, "openai/gpt-4o-mini")
    assert isinstance(llm.weak, LiteLLM)
    assert llm.weak.model == "openai/gpt-4o-mini"
    # One try, because another model is there; LiteLLM's 10 would sleep for 70 s before it.
    assert llm.weak.max_retries == 1
    assert routed("openai/gpt-4o", strong).strong.max_retries == 3
    assert routed(strong, "openai/gpt-4o-mini", fallback=False).weak.max_retries == 3


def test_its_models_can_be_read_and_are_made_once(strong, monkeypatch) -> None:
    from llama_index.llms.litellm import LiteLLM

    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    made: list[str] = []

    class Counted(LiteLLM):
        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            made.append(self.model)

    monkeypatch.setattr("llama_index.llms.litellm.LiteLLM", Counted)
    llm = routed(strong, "openai/gpt-4o-mini")
    for _ in range(2):
        models = llm.models
        assert list(models) == ["strong", "weak"]
        assert models["strong"] is strong
        assert models["weak"] is llm.weak
        llm.metadata.context_window  # noqa: B018 - whoever reads it makes no further model
    assert made == ["openai/gpt-4o-mini"]
    with pytest.raises(TypeError):
        llm.models["weak"] = strong  # type: ignore[index]
    with pytest.raises(AttributeError):
        llm.models = {}  # type: ignore[misc,assignment]
    llm.weak = strong
    assert llm.models["weak"] is strong


def test_a_name_makes_a_model_wherever_a_model_is_set(strong, weak, monkeypatch) -> None:
    from llama_index.llms.litellm import LiteLLM

    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    llm = routed(strong, weak)
    llm.strong = "openai/gpt-4o"  # type: ignore[assignment]
    copied = llm.model_copy(update={"weak": "openai/gpt-4o-mini", "fallback": False})
    for model, tries in ((llm.strong, 3), (copied.weak, 3)):
        assert isinstance(model, LiteLLM)
        assert model.max_retries == tries
    assert llm.model_copy(update={"weak": "openai/gpt-4o-mini"}).weak.max_retries == 1
    assert llm.weak is weak
    for change in (
        lambda: setattr(llm, "weak", 3),
        lambda: llm.model_copy(update={"weak": 3}),
    ):
        with pytest.raises(ConfigurationError, match="`weak` must be a LlamaIndex `LLM`"):
            change()


# Metadata


@pytest.mark.parametrize(
    ("strong_says", "weak_says", "window", "output"),
    [
        ((128_000, 16_384), (4_096, 256), 4_096, 256),
        ((128_000, -1), (4_096, -1), 4_096, 256),
        ((8_192, 6_000), (4_096, 256), 4_096, 1_904),
        ((4_096, 1_024), (4_096, 1_024), 4_096, 1_024),
    ],
)
def test_both_models_have_room_for_what_is_planned(
    saying, strong_says, weak_says, window: int, output: int
) -> None:
    strong, weak = (saying(window=w, output=o) for w, o in (strong_says, weak_says))
    metadata = routed(strong, weak).metadata
    assert (metadata.context_window, metadata.num_output) == (window, output)
    for w, o in (strong_says, weak_says):
        assert metadata.context_window - metadata.num_output <= w - (256 if o == -1 else o)


def test_a_prompt_helper_never_finds_negative_room(saying) -> None:
    strong = saying(window=128_000, output=16_384)
    llm = routed(strong, saying(window=4_096, output=256))
    helper = PromptHelper.from_llm_metadata(llm.metadata)
    chunks = helper.repack(PromptTemplate("Hm: {context_str}"), ["word " * 100], llm=llm)
    assert len(chunks) == 1


@pytest.mark.parametrize(
    ("mode", "strong_calls", "weak_calls", "calls"),
    [("both", True, False, False), ("any", True, False, True), ("both", True, True, True)],
)
def test_the_pair_calls_functions_as_asked(saying, mode, strong_calls, weak_calls, calls) -> None:
    strong, weak = saying(calls_functions=strong_calls), saying(calls_functions=weak_calls)
    llm = routed(strong, weak, function_calling=mode)
    assert llm.metadata.is_function_calling_model is calls


def test_a_pair_with_a_chat_model_is_a_chat_model(saying) -> None:
    assert routed(saying(is_chat=True), saying(is_chat=False)).metadata.is_chat_model


def test_calls_with_tools_go_to_the_model_that_takes_them(saying, router) -> None:
    strong, weak = saying(model="big"), saying(model="small", calls_functions=False)
    llm = routed(strong, weak, router=router, function_calling="any")
    tool = FunctionTool.from_defaults(lambda: 1, name="one", description="One.")
    record = llm.chat_with_tools([tool], EASY).additional_kwargs["routellm"]
    assert (record["route"], record["reason"]) == ("strong", "capability:tools")


def test_tools_for_a_pair_that_cannot_call_them_are_refused() -> None:
    llm = routed(MockLLM(), MockLLM())
    tool = FunctionTool.from_defaults(lambda: 1, name="one", description="One.")
    with pytest.raises(ConfigurationError, match="FunctionCallingLLM"):
        llm.chat_with_tools([tool], EASY)


def test_metadata_is_asked_for_once(saying, router) -> None:
    asked: list[int] = []

    class Asking(saying):  # type: ignore[misc,valid-type]
        @property
        def metadata(self) -> LLMMetadata:
            asked.append(1)
            return super().metadata

    llm = routed(Asking(), Asking(), router=router)
    for _ in range(3):
        assert llm.metadata.context_window == 4096
        llm.complete(EASY)
    assert len(asked) == 2 + len(llm.weak.asked)  # The callbacks of each call ask once, too.


def test_system_messages_get_the_role_that_each_model_expects(saying, router) -> None:
    class Cohere(saying):  # type: ignore[misc,valid-type]
        @property
        def metadata(self) -> LLMMetadata:
            return super().metadata.model_copy(update={"system_role": MessageRole.CHATBOT})

    strong, weak = saying(), Cohere()
    llm = routed(strong, weak, router=router)
    assert llm.metadata.system_role == MessageRole.SYSTEM
    system = ChatMessage("Be kind.", role="system")
    for question in (HARD, EASY):
        llm.chat([system, ChatMessage(question)])
    assert strong.heard[0][0].role == MessageRole.SYSTEM
    assert weak.heard[0][0].role == MessageRole.CHATBOT
    assert system.role == MessageRole.SYSTEM


# What it says about itself


def with_keys(makers, saying) -> RoutedLLM:
    from llama_index.llms.openai_like import OpenAILike

    strong = OpenAILike(
        model="gpt-4o", api_key=KEY, default_headers={"Authorization": f"Bearer {KEY}"}
    )
    from llama_index.llms.litellm import LiteLLM

    return routed(strong, LiteLLM(model="openai/gpt-4o-mini", api_key=KEY))


def test_no_key_is_shown_or_dumped(makers, saying) -> None:
    llm = with_keys(makers, saying)
    shown = [repr(llm), str(llm), str(llm.to_dict()), llm.to_json(), str(llm.to_payload())]
    shown += [str(TitleExtractor(llm=llm).to_dict()), str(llm.model_dump(mode="json"))]
    for text in shown:
        assert KEY not in text
    assert llm.strong.api_key == KEY


def test_it_shows_its_models_router_and_threshold(strong, weak) -> None:
    shown = repr(routed(strong, weak, threshold=0.25))
    assert shown == (
        "RoutedLLM(strong='big', weak='small', router='random', threshold=0.25, strong_share=None)"
    )


def test_its_dump_is_stable_json_with_both_models_settings(makers, saying) -> None:
    llm = with_keys(makers, saying)
    dump = llm.to_dict()
    assert json.loads(json.dumps(dump)) == json.loads(llm.to_json())
    assert dump == with_keys(makers, saying).to_dict()
    assert dump["strong"]["model"] == "gpt-4o"
    assert dump["strong"]["class_name"] == "OpenAILike"
    assert dump["weak"]["max_retries"] == 10
    assert (dump["class_name"], dump["router"], dump["threshold"]) == ("routed_llm", "random", 0.5)


def test_what_decides_is_part_of_the_ingestion_hash(strong, weak) -> None:
    def hash_of(**options: Any) -> str:
        extractor = TitleExtractor(llm=routed(strong, weak, **options))
        return get_transformation_hash([TextNode(text="Seven.")], extractor)

    assert hash_of() == hash_of()
    others = [hash_of(threshold=0.4), hash_of(router=ScriptedRouter()), hash_of(sticky=False)]
    others.append(hash_of(routing_text=len))
    assert len({hash_of(), *others}) == 5


# Other processes


def test_a_pickled_model_routes_the_same(makers, saying, strong, weak) -> None:
    llm = routed(strong, weak, strong_share=0.3, threshold=None, sticky=False)
    llm.complete(EASY)
    copied = pickle.loads(pickle.dumps(llm))
    for question in (HARD, EASY, "Why?"):
        direct = llm.complete(question).additional_kwargs["routellm"]
        assert copied.complete(question).additional_kwargs["routellm"] == direct
    assert copied.sticky is False
    keyed = pickle.loads(pickle.dumps(with_keys(makers, saying)))
    assert keyed.strong.api_key == KEY


class Unpicklable(RandomRouter):
    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()


@pytest.mark.parametrize(
    ("options", "name"),
    [({"router": Unpicklable()}, "router"), ({"routing_text": lambda _: ""}, "routing_text")],
)
def test_what_cannot_be_pickled_is_said_not_dropped(strong, weak, options, name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"`{name}` .* cannot be pickled"):
        pickle.dumps(routed(strong, weak, **options))


class Calibrated(ScriptedRouter):
    """A router whose calibration knows outcomes, and no tokens."""

    @property
    def calibration(self) -> Calibration:
        return Calibration(
            np.array([0.0, 0.5, 1.0]),
            n_prompts=3,
            source="made up",
            quality_floors=np.array([[0.9, 0.7], [0.95, 0.2]]),
        )


def test_a_quality_floor_becomes_the_threshold_that_was_shown_to_keep_it(strong, weak) -> None:
    llm = routed(strong, weak, router=Calibrated(default=0.5), threshold=None, min_quality=0.93)
    assert llm.complete("x").additional_kwargs["routellm"]["threshold"] == 0.2
    assert "min_quality=0.93" in repr(llm)


def test_a_cost_becomes_a_threshold_at_the_models_prices(strong, weak) -> None:
    cost = {"threshold": None, "max_cost": 0.001, "call_tokens": (500, 100)}
    named = [type(strong)(model=name, words=name) for name in ("gpt-4o", "gpt-4o-mini")]
    llm = routed(*named, router=Calibrated(default=0.5), **cost)
    # By the price table, a call costs $0.00225 or $0.000135: 41 % may be strong.
    expected = 1 - (0.001 - 0.000135) / (0.00225 - 0.000135)
    threshold = llm.complete("x").additional_kwargs["routellm"]["threshold"]
    assert threshold == pytest.approx(expected)
    unknown = routed(strong, weak, router=Calibrated(), **cost)
    with pytest.raises(ConfigurationError, match="price table does not know"):
        unknown.complete("x")


READS_ON_THE_LOOP = """
import asyncio, sys, threading
from llama_index.core.llms import ChatMessage, MockLLM
from llamaindex_routellm import RoutedLLM
from routellm_core import load_router

router = sys.argv[1] if sys.argv[1] == "mf" else load_router(sys.argv[1])
opened = []

def watch(event, arguments):
    # Python's own imports aside.
    if event == "open" and on_loop and threading.current_thread() is threading.main_thread():
        if not str(arguments[0]).endswith((".py", ".pyc", ".so")):
            opened.append(str(arguments[0]))

async def main():
    global on_loop
    on_loop = True
    llm = RoutedLLM(strong=MockLLM(), weak=MockLLM(), router=router, threshold=0.7)
    assert llm.metadata.context_window  # agents ask for it before their first call
    await llm.achat([ChatMessage(content="Hi")])
    await llm.acomplete("Hi")
    on_loop = False

on_loop = False
sys.addaudithook(watch)
asyncio.run(main())
print(opened)
"""


@pytest.mark.parametrize("router", ["mf", "random"])
def test_made_and_called_in_an_event_loop_it_reads_no_file_there(router: str) -> None:
    """By the router's name, and with a router that was loaded before."""
    done = subprocess.run(
        [sys.executable, "-c", READS_ON_THE_LOOP, router],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr
