"""One way to name a router, at every door."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from llama_index.core.llms import MockLLM
from typer.testing import CliRunner

from langchain_routellm import RoutedChatModel
from llamaindex_routellm import RoutedLLM
from routellm_core import (
    CheckpointError,
    CheckpointNotFoundError,
    ConfigurationError,
    UnknownRouterError,
    check_router,
    load_router,
    resolve_router,
)
from routellm_core.cli.app import app
from routellm_core.cli.benchmarks import open_candidate
from routellm_core.controller import Controller
from routellm_core.routers import read_router_name
from routellm_core.server.app import make_fleet
from routellm_core.server.settings import read_settings

PROMPT = "Hi"


def routed_chat_model(name: str) -> float:
    strong, weak = FakeListChatModel(responses=["s"]), FakeListChatModel(responses=["w"])
    answer = RoutedChatModel(strong=strong, weak=weak, router=name, threshold=0.5).invoke(PROMPT)
    return answer.response_metadata["routellm"]["win_rate"]


def routed_llm(name: str) -> float:
    answer = RoutedLLM(strong=MockLLM(), weak=MockLLM(), router=name, threshold=0.5)
    return answer.complete(PROMPT).additional_kwargs["routellm"]["win_rate"]


def controller(name: str) -> float:
    (router,) = Controller([name], "s", "w").routers.values()
    return router.win_rate(PROMPT)


def server(name: str) -> float:
    fleet = make_fleet(read_settings({"routers": [name]}, environ={}))
    return fleet.decider(None).router.win_rate(PROMPT)


def environment(name: str) -> float:
    fleet = make_fleet(read_settings(environ={"ROUTELLM_ROUTERS": name}))
    return fleet.decider(None).router.win_rate(PROMPT)


def yaml_file(name: str) -> float:
    Path("server.yaml").write_text(f"routers: [{json.dumps(name)}]")
    fleet = make_fleet(read_settings(config="server.yaml", environ={}))
    return fleet.decider(None).router.win_rate(PROMPT)


def route_command(name: str) -> float:
    result = CliRunner().invoke(app, ["route", "--json", "-r", name, PROMPT])
    return json.loads(result.stdout)["win_rate"]


DOORS: dict[str, Callable[[str], float]] = {
    "load_router": lambda name: load_router(name).win_rate(PROMPT),
    "resolve_router": lambda name: resolve_router(name).win_rate(PROMPT),
    "RoutedChatModel": routed_chat_model,
    "RoutedLLM": routed_llm,
    "Controller and chat": controller,
    "serve": server,
    "environment": environment,
    "YAML": yaml_file,
    "route": route_command,
    "evaluate": lambda name: open_candidate(name).router.win_rate(PROMPT),
}
FORMS = {
    "registered": "random",
    "folder": "./mine",
    "bare folder": "mine",
    "absolute folder": "{here}/mine",
    "name=folder": "random=mine",
    "name=absolute folder": "random={here}/mine",
    "hub": "own/router",
    "name=hub": "random=own/router",
}


@pytest.mark.loopback
@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("form", FORMS)
def test_every_door_takes_every_form(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    door: str,
    form: str,
) -> None:
    if "hub" in form:
        request.getfixturevalue("hub")
    monkeypatch.chdir(tmp_path)
    load_router("random", seed=3).save("mine")
    seed = 0 if form == "registered" else 3
    name = FORMS[form].format(here=tmp_path)
    assert DOORS[door](name) == load_router("random", seed=seed).win_rate(PROMPT)


@pytest.mark.parametrize("door", DOORS)
def test_a_name_that_nobody_registered_is_said_with_what_would_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, door: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if door == "route":
        result = CliRunner().invoke(app, ["route", "-r", "rnadom", PROMPT])
        said = " ".join(result.output.split())
    else:
        with pytest.raises(UnknownRouterError) as raised:
            DOORS[door]("rnadom")
        said = str(raised.value)
    assert re.search(r"Did you mean 'random'\?.*folder.*Hub.*NAME=CHECKPOINT", said, re.DOTALL)


def test_a_registered_name_wins_over_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    load_router("random", seed=3).save("random")
    assert load_router("random").seed == 0
    assert load_router("./random").seed == 3


def test_a_folder_wins_over_the_hub_and_over_an_equals_sign(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("own/router", "random=x"):
        load_router("random", seed=5).save(folder)
        assert load_router(folder).seed == 5


def test_home_is_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    load_router("random", seed=3).save(tmp_path / "mine")
    assert load_router("~/mine").seed == 3
    assert load_router("random=~/mine").seed == 3
    assert resolve_router(tmp_path / "mine").seed == 3


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("./nothing", CheckpointNotFoundError, r"'\./nothing' does not exist, or is not a folder"),
        ("random=./nothing", CheckpointNotFoundError, "does not exist"),
        ("rnadom=./nothing", UnknownRouterError, "Did you mean 'random'"),
        ("", UnknownRouterError, "Unknown router ''"),
    ],
)
def test_what_cannot_be_a_router_is_refused_when_the_model_is_made(
    name: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        check_router(name)
    with pytest.raises(error, match=said):
        load_router(name)
    with pytest.raises(error, match=said):
        RoutedLLM(strong=MockLLM(), weak=MockLLM(), router=name)


def test_a_hub_is_not_asked_before_the_router_is_needed() -> None:
    check_router("nobody/nothing")
    check_router("mf=nobody/nothing")


def test_a_folder_that_is_no_checkpoint_says_so(tmp_path: Path) -> None:
    with pytest.raises(CheckpointNotFoundError, match=r"config\.json"):
        check_router(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="NAME=CHECKPOINT"):
        check_router(str(tmp_path))


@pytest.mark.parametrize(
    ("config", "router"),
    [
        ({"architectures": ["XLMRobertaForSequenceClassification"]}, "bert"),
        ({"architectures": ["LlamaForCausalLM"]}, "causal_llm"),
        ({"num_models": 64, "hidden_size": 128}, "mf"),
    ],
)
def test_a_checkpoint_that_routellm_published_is_known_by_its_configuration(
    tmp_path: Path, config: dict[str, object], router: str
) -> None:
    from routellm_core.routers import checkpoint_router

    (tmp_path / "config.json").write_text(json.dumps(config))
    assert checkpoint_router(tmp_path) == router


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("mf", "mf"),
        ("mf=./a", "mf"),
        ("./a/b/", "b"),
        ("own/router", "router"),
    ],
)
def test_requests_name_a_checkpoint_by_its_last_part(name: str, key: str) -> None:
    assert read_router_name(name).key == key


def test_a_folder_answers_to_its_name_in_a_models_name(tmp_path: Path) -> None:
    folder = load_router("random", seed=3).save(tmp_path / "r-mine")
    fleet = Controller([str(folder), "random"], "s", "w").fleet
    assert fleet.plan("router-r-mine-0.4")[0].router.seed == 3
    assert fleet.plan("router-random-0.4")[0].router.seed == 0


def test_two_routers_of_one_name_are_refused(tmp_path: Path) -> None:
    folders = [load_router("random").save(tmp_path / part / "mine") for part in "ab"]
    with pytest.raises(ConfigurationError, match="would be 'mine'"):
        Controller([str(folder) for folder in folders], "s", "w")


@pytest.mark.parametrize("read", [read_router_name, check_router, load_router])
def test_a_built_in_name_is_known_without_a_search_of_the_installed_packages(
    read: Callable[[str], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def searched(**_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("importlib.metadata.entry_points", searched)
    read("random")
