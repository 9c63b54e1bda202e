"""What a routed model is made of, and what it refuses."""

from __future__ import annotations

import copy
import inspect
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from langchain_core.language_models import FakeListChatModel
from langchain_core.load import dumps
from langchain_openai import ChatOpenAI

from langchain_routellm import RoutedChatModel, RoutingMiddleware
from routellm_core import (
    Calibration,
    ConfigurationError,
    MissingDependencyError,
    RouteLLMError,
    Router,
    UnknownRouterError,
    load_router,
    resolve_router,
)
from routellm_core.testing import ScriptedRouter

Make = Callable[..., RoutedChatModel]

KEY = "sk-sentinel-0123456789"
NAMES = {"strong": "openai:gpt-4o", "weak": "openai:gpt-4o-mini"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"thresold": 0.5}, "no argument 'thresold'"),
        ({"threshold": 1.5}, "`threshold` must be a number in"),
        ({"threshold": float("nan")}, "`threshold` must be a number in"),
        ({"threshold": "0.5"}, "`threshold` must be a number in"),
        ({"threshold": None, "strong_share": 0.0}, "`strong_share` must lie in"),
        ({"threshold": None, "strong_share": 30}, "`strong_share` must lie in"),
        ({"strong_share": 0.5}, "not both"),
        ({"threshold": None, "min_quality": 95}, "`min_quality` must lie in"),
        ({"threshold": None, "max_cost": -1.0}, "`max_cost` must be a positive"),
        ({"min_quality": 0.9}, "not both"),
        ({"call_tokens": (500, 100)}, "`max_cost` only"),
        ({"routing_text": "first"}, "`routing_text` must be one of"),
        ({"on_router_error": "none"}, "`on_router_error` must be"),
        ({"on_empty_prompt": None}, "`on_empty_prompt` must be"),
        ({"escalate_on": TimeoutError}, "`escalate_on` must be None or a tuple"),
        ({"escalate_on": (TimeoutError, 500)}, "`escalate_on` must be None or a tuple"),
        ({"router": 3}, "`router` must be a `Router`"),
        ({"strong": 3}, "`strong` must be a chat model"),
        ({"strong": "gpt"}, "No provider can be told"),
        ({"temperature": "hot"}, "`temperature`"),
        ({"sticky": "perhaps"}, "`sticky`"),
        ({"timeout": 5.0}, "`timeout` cannot be set on the ready `strong` model"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_wrong_argument_is_its_own_clear_error(
    make: Make, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make(**arguments)


def test_a_missing_model_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="`weak` is missing"):
        RoutedChatModel(strong="openai:gpt-4o", router=ScriptedRouter())


def test_an_unknown_router_is_refused_at_once(make: Make) -> None:
    with pytest.raises(UnknownRouterError, match=r"Unknown router 'rnadom'.*random"):
        make(router="rnadom")


@pytest.mark.parametrize("bind", ["bind", "with_retry", "with_config", "with_fallbacks"])
def test_what_is_bound_to_a_backing_model_would_be_lost_and_is_refused(
    make: Make, fake: Any, bind: str
) -> None:
    arguments: dict[str, Any] = {"with_fallbacks": {"fallbacks": [fake()]}}.get(bind, {})
    with pytest.raises(ConfigurationError, match="`weak` must be a"):
        make(weak=getattr(fake(), bind)(**arguments))


def test_a_missing_provider_package_says_what_to_install() -> None:
    with pytest.raises(MissingDependencyError, match="langchain-fireworks"):
        RoutedChatModel(
            strong="fireworks:x", weak="fireworks:y", router=ScriptedRouter(), threshold=0.5
        )


def test_without_langchain_the_import_names_the_extra() -> None:
    code = "import sys; sys.modules['langchain_core'] = None\nimport langchain_routellm"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert "pip install 'routellm-plugins[langchain]'" in done.stderr.splitlines()[-1]


# Models from strings


def test_a_provider_and_a_model_make_the_providers_own_class() -> None:
    routed = RoutedChatModel(**NAMES, router=ScriptedRouter(), api_key=KEY, temperature=0.3)
    assert isinstance(routed._backing().strong, ChatOpenAI)
    assert routed._backing().strong.model_name == "gpt-4o"
    assert routed._backing().weak.temperature == 0.3


@pytest.mark.parametrize(
    ("name", "class_name"),
    [
        ("openrouter/meta/llama-3-8b:free", "ChatLiteLLM"),
        ("mistral/mistral-small", "ChatLiteLLM"),
        ("openai:org/model", "ChatOpenAI"),
    ],
)
def test_a_slash_before_any_colon_means_litellm(name: str, class_name: str) -> None:
    routed = RoutedChatModel(strong=name, weak="openai/b", router=ScriptedRouter(), api_key=KEY)
    assert type(routed._backing().strong).__name__ == class_name


def test_litellm_gets_every_setting_under_its_own_name() -> None:
    settings = {"timeout": 3.0, "stop": ["x"], "max_retries": 1, "base_url": "http://127.0.0.1/v1"}
    routed = RoutedChatModel(
        strong="openai/a", weak="openai/b", router=ScriptedRouter(), api_key=KEY, **settings
    )
    model = routed._backing().weak
    assert (model.request_timeout, model.max_retries, model.api_key) == (3.0, 1, KEY)
    assert (model.api_base, model.model_kwargs) == ("http://127.0.0.1/v1", {"stop": ["x"]})


# Settings


def test_settings_go_to_private_copies(make: Make, fake: Any) -> None:
    weak = fake(temperature=0.9)
    routed = make(weak=weak, temperature=0.1, cache=False, disable_streaming=True, stop=["x"])
    private = routed._backing().weak
    assert (private.temperature, private.cache, private.stop) == (0.1, False, ["x"])
    assert private.disable_streaming is True
    assert (weak.temperature, weak.cache, weak.disable_streaming) == (0.9, None, False)
    assert routed.weak is weak


def test_a_private_copy_has_a_cache_key_of_its_own(make: Make) -> None:
    client = ChatOpenAI(model="gpt-4o", api_key=KEY)
    plain = client._get_llm_string()
    assert make(weak=client, temperature=0.1)._backing().weak._get_llm_string() != plain


def test_without_settings_the_users_own_model_is_called(make: Make, fake: Any) -> None:
    weak = fake(temperature=0.9, cache=False)
    assert make(weak=weak)._backing().weak is weak


def test_a_setting_that_a_ready_model_lacks_is_an_error(make: Make) -> None:
    plain = FakeListChatModel(responses=["hi"])
    with pytest.raises(ConfigurationError, match="`temperature` cannot be set"):
        make(weak=plain, temperature=0.5)


def test_an_assigned_field_counts_from_the_next_call(make: Make) -> None:
    routed = make()
    assert routed.invoke("Hi").response_metadata["routellm"]["route"] == "weak"
    routed.threshold = 0.05
    assert routed.invoke("Hi").response_metadata["routellm"]["route"] == "strong"
    copied = routed.model_copy(update={"threshold": 0.5})
    assert copied.invoke("Hi").response_metadata["routellm"]["route"] == "weak"


# The router


def test_the_default_router_is_the_bundled_one_loaded_at_the_first_call(
    monkeypatch: pytest.MonkeyPatch, fake: Any
) -> None:
    loads: list[Any] = []

    def counted(name: Any) -> Router:
        loads.append(name)
        return resolve_router(name)

    monkeypatch.setattr("langchain_routellm.chat_model.resolve_router", counted)
    routed = RoutedChatModel(strong=fake(), weak=fake())
    assert loads == []
    records = [routed.invoke("Hi").response_metadata["routellm"] for _ in range(2)]
    assert loads == ["mf"]
    assert [record["router"] for record in records] == ["mf"] * 2
    assert records[0]["reason"] == "win_rate"


def test_middleware_takes_and_checks_the_same_arguments(fake: Any) -> None:
    with pytest.raises(ConfigurationError, match="no argument 'thresold'"):
        RoutingMiddleware(strong=fake(), weak=fake(), thresold=0.5)


def test_a_named_router_is_loaded_at_the_first_call_and_once(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[str] = []

    def slow_load(name: Any) -> Router:
        loads.append(name)
        threading.Event().wait(0.02)
        return load_router("random")

    monkeypatch.setattr("langchain_routellm.chat_model.resolve_router", slow_load)
    routed = make(router="random")
    loads.clear()
    threads = [threading.Thread(target=routed.invoke, args=("Hi",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loads == ["random"]
    assert len(routed.weak.calls) + len(routed.strong.calls) == 8


def test_a_failed_load_is_tried_again(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[Any] = [OSError("disk"), load_router("random")]

    def flaky_load(_: Any) -> Router:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    routed = make(router="random")
    monkeypatch.setattr("langchain_routellm.chat_model.resolve_router", flaky_load)
    with pytest.raises(OSError, match="disk"):
        routed.invoke("Hi")
    assert routed.invoke("Hi").text


def test_a_strong_share_is_turned_into_a_threshold(make: Make) -> None:
    routed = make(threshold=None, strong_share=0.25)
    assert routed.invoke("Hi").response_metadata["routellm"]["threshold"] == 0.75


# Pickling and secrets


def test_models_from_strings_are_made_anew_where_they_are_unpickled() -> None:
    routed = RoutedChatModel(**NAMES, router="random", api_key=KEY, temperature=0.3)
    copy = pickle.loads(pickle.dumps(routed))
    assert copy._backing().weak.temperature == 0.3
    assert copy._backing().weak.openai_api_key.get_secret_value() == KEY


def test_an_unserialisable_router_is_a_clear_error(make: Make) -> None:
    class Unserialisable(ScriptedRouter):
        """Hold a lock."""

        def __init__(self) -> None:
            super().__init__()
            self.lock = threading.Lock()

    with pytest.raises(ConfigurationError, match="The `router`, a Unserialisable, cannot be pick"):
        pickle.dumps(make(router=Unserialisable()))


def test_an_unserialisable_model_is_a_clear_error(make: Make) -> None:
    client = ChatOpenAI(model="gpt-4o", api_key=KEY)
    with pytest.raises(ConfigurationError, match="The `strong`, a ChatOpenAI, cannot be pickled"):
        pickle.dumps(make(strong=client, router="random"))


def test_no_secret_is_shown(make: Make, fake: Any) -> None:
    class Leaky(fake):
        secret: str = ""

    routed = make(weak=Leaky(model="weak", secret=KEY))
    assert KEY in repr(routed.weak)
    named = RoutedChatModel(**NAMES, router="random", api_key=KEY)
    slashed = RoutedChatModel(
        strong="openrouter/a/b", weak="openrouter/a/c", router="random", api_key=KEY
    )
    for model in (routed, named, slashed):
        shown = [repr(model), str(model), repr(model.model_dump()), model.model_dump_json()]
        shown += [dumps(model), repr(model._identifying_params), repr(model._get_ls_params())]
        assert KEY not in "".join(shown)


def test_errors_do_not_show_the_key() -> None:
    with pytest.raises(RouteLLMError) as caught:
        RoutedChatModel(**NAMES, api_key=KEY, router="random", temperature="hot")
    assert KEY not in str(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__


# How others see it


def test_it_has_no_name_from_which_agents_guess_what_it_can_do(make: Make) -> None:
    routed = make()
    assert not hasattr(routed, "model_name")
    assert not hasattr(routed, "model")


def test_its_parameters_for_traces_honour_the_calls_model(make: Make) -> None:
    params = make()._get_ls_params(model="other", stop=["x"])
    assert params["ls_model_name"] == "other"
    assert params["ls_stop"] == ["x"]


def test_the_provider_and_type_of_both_models_are_the_routed_ones(make: Make) -> None:
    strong, weak = (ChatOpenAI(model=name, api_key="k") for name in ("gpt-4o", "gpt-4o-mini"))
    routed = make(strong=strong, weak=weak)
    assert routed._get_ls_params()["ls_provider"] == strong._get_ls_params()["ls_provider"]
    assert routed._get_ls_params()["ls_model_name"] == "gpt-4o|gpt-4o-mini"
    assert routed._llm_type == strong._llm_type


def test_models_of_two_providers_have_neither_provider_nor_type(make: Make) -> None:
    weak = FakeListChatModel(responses=["Hi"])
    routed = make(strong=ChatOpenAI(model="gpt-4o", api_key="k"), weak=weak)
    assert routed._get_ls_params()["ls_provider"] == routed._llm_type == "routellm"


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, lambda m: m.model_copy(deep=True)])
def test_a_used_model_can_be_copied(make: Make, way: Callable[[Any], Any]) -> None:
    routed = make(breaker=True, budget=10.0)
    routed.invoke("Hi")
    copied = way(routed)
    assert copied.invoke("Hi").text == routed.invoke("Hi").text


@pytest.mark.parametrize("profile", ["none", ["text"], object()])
def test_a_profile_that_is_no_mapping_says_nothing(make: Make, fake: Any, profile: Any) -> None:
    strong = fake()
    strong.__dict__["profile"] = profile
    assert make(strong=strong).invoke("Hi").text


def test_tokens_are_counted_by_the_strong_model(make: Make, fake: Any) -> None:
    strong = fake(custom_get_token_ids=lambda text: list(range(len(text))))
    routed = make(strong=strong)
    assert routed.get_num_tokens("abc") == 3
    assert routed.get_token_ids("ab") == [0, 1]
    assert routed.get_num_tokens_from_messages([]) == 0


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


def test_a_quality_floor_becomes_the_threshold_that_was_shown_to_keep_it(
    make: Make,
) -> None:
    model = make(router=Calibrated(default=0.5), threshold=None, min_quality=0.93)
    assert model.invoke("x").response_metadata["routellm"]["threshold"] == 0.2


def test_a_cost_becomes_a_threshold_at_the_models_prices(make: Make) -> None:
    fake = type(make().strong)
    strong, weak = (fake(model=name) for name in ("gpt-4o", "gpt-4o-mini"))
    model = make(
        strong=strong,
        weak=weak,
        router=Calibrated(default=0.5),
        threshold=None,
        max_cost=0.001,
        call_tokens=(500, 100),
    )
    record = model.invoke("x").response_metadata["routellm"]
    # By the price table, a call costs $0.00225 or $0.000135: 41 % may be strong.
    assert record["threshold"] == pytest.approx(1 - (0.001 - 0.000135) / (0.00225 - 0.000135))
    with pytest.raises(ConfigurationError, match="price table does not know"):
        make(router=Calibrated(), threshold=None, max_cost=0.001, call_tokens=(500, 100))


def test_the_models_that_are_called_can_be_had() -> None:
    routed = RoutedChatModel(strong="openai:gpt-4o", weak="openai:gpt-4o-mini", api_key=KEY)
    assert routed.strong == "openai:gpt-4o"
    assert [model.model_name for model in routed.models.values()] == ["gpt-4o", "gpt-4o-mini"]
    assert routed.models["weak"] is routed.models["weak"]
    with pytest.raises(TypeError):
        routed.models["weak"] = routed.models["strong"]


@pytest.mark.parametrize("name", ["temperature", "max_tokens", "stop"])
def test_a_setting_that_is_assigned_later_reaches_the_models_that_have_it(
    fake: Any, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """As evaluation libraries assign a temperature to any model that has the attribute."""
    value = ["."] if name == "stop" else 1
    routed = RoutedChatModel(
        strong=fake(), weak=FakeListChatModel(responses=["Hello!"]), router="random", threshold=1.0
    )
    setattr(routed, name, value)
    assert routed.invoke("Hi").text == "Hello!"
    assert getattr(routed.models["strong"], name) == value
    [said] = [record.getMessage() for record in caplog.records]
    assert f"`{name}`" in said
    assert "weak" in said
    copy = pickle.loads(pickle.dumps(routed.model_copy()))
    assert copy.invoke("Hi").text == "Hello!"


def test_the_routers_deadline_can_be_set(fake: Any) -> None:
    class Slow(ScriptedRouter):
        """Take a while."""

        inline = False

        def _win_rates(self, prompts: Any) -> Any:
            time.sleep(0.2)
            return super()._win_rates(prompts)

    def reason(**arguments: Any) -> str:
        routed = RoutedChatModel(
            strong=fake(), weak=fake(), router=Slow(default=0.1), threshold=0.5, **arguments
        )
        return str(routed.invoke("Hi").response_metadata["routellm"]["reason"])

    assert reason(router_deadline_s=0.01) == "router_error:TimeoutError"
    assert reason(router_deadline_s=None) == "win_rate"
    with pytest.raises(ConfigurationError, match="router_deadline_s"):
        reason(router_deadline_s=0.0)


def test_both_frameworks_and_the_server_have_one_router_deadline() -> None:
    from llamaindex_routellm import RoutedLLM
    from routellm_core import DEFAULT_ROUTER_DEADLINE_S
    from routellm_core.policy import make_decider
    from routellm_core.server.settings import ServerSettings

    defaults = [
        model.model_fields["router_deadline_s"].default
        for model in (RoutedChatModel, RoutedLLM, ServerSettings)
    ]
    given = inspect.signature(make_decider).parameters["router_deadline_s"].default
    assert {*defaults, given} == {DEFAULT_ROUTER_DEADLINE_S}


def test_arguments_that_a_model_does_not_take_are_left_out(fake: Any) -> None:
    def weather(city: str) -> str:
        """Get the weather of a city."""
        return city

    routed = RoutedChatModel(
        strong=fake(),
        weak=fake(),
        router="random",
        temperature=0.5,
        drop_params={"weak": ["temperature", "seed", "stop", "parallel_tool_calls"]},
    )
    assert [model.temperature for model in routed.models.values()] == [0.5, None]
    tools = routed.bind_tools([weather], parallel_tool_calls=False)
    for route, model in routed.models.items():
        config = {"configurable": {"routellm_route": route}}
        routed.invoke("Hi", config, seed=7, stop=["."])
        tools.invoke("Hi", config)
        first, second = model.calls[-2:]
        kept = route == "strong"
        assert (first.get("seed"), first["stop"]) == ((7, ["."]) if kept else (None, None))
        assert ("parallel_tool_calls" in second) is kept
        assert second["tools"]


@pytest.mark.parametrize(
    "wrong", [["temperature"], {"weak": "temperature"}, {"cheap": []}, {"weak": ["messages"]}]
)
def test_drop_params_of_another_form_are_refused(fake: Any, wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="drop_params"):
        RoutedChatModel(strong=fake(), weak=fake(), router="random", drop_params=wrong)


READS_ON_THE_LOOP = """
import asyncio, sys, threading
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_routellm import RoutedChatModel
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
    strong, weak = FakeListChatModel(responses=["s"]), FakeListChatModel(responses=["w"])
    on_loop = True
    model = RoutedChatModel(strong=strong, weak=weak, router=router, threshold=0.7)
    await model.ainvoke("Hi")
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
