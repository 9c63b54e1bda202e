"""Model names that ask for a router."""

from collections.abc import Callable

import pytest

from routellm_core.controller import Fleet, RoutedName, read_model_name
from routellm_core.controller.calls import read_call
from routellm_core.errors import ConfigurationError, UnknownModelError, UnknownRouterError
from routellm_core.policy import Overrides
from routellm_core.testing import ScriptedRouter


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("router-mf-0.116", RoutedName("mf", threshold=0.116)),
        ("router-mf-1e-3", RoutedName("mf", threshold=0.001)),
        ("router-mf-0", RoutedName("mf", threshold=0.0)),
        ("router-sw_ranking-1", RoutedName("sw_ranking", threshold=1.0)),
        ("router-mf-share-30", RoutedName("mf", strong_share=0.3)),
        ("router-my-own-0.5", RoutedName("my-own", threshold=0.5)),
        ("router-my-own-share-100", RoutedName("my-own", strong_share=1.0)),
        ("router-MF-0.5", RoutedName("mf", threshold=0.5)),
        ("Router-Mf-0.5", RoutedName("mf", threshold=0.5)),
        ("ROUTER-MY-OWN-SHARE-30", RoutedName("my-own", strong_share=0.3)),
    ],
)
def test_a_routed_name_holds_a_router_and_a_number(name: str, expected: RoutedName) -> None:
    assert read_model_name(name, routers=["mf", "sw_ranking", "my", "my-own"]) == expected


@pytest.mark.parametrize("name", ["gpt-4o", "gpt-4-turbo", "auto", "", "Router-fm-0.5", "router"])
def test_any_other_name_is_a_models(name: str) -> None:
    assert read_model_name(name, routers=["mf"]) is None


@pytest.mark.parametrize(
    "name",
    [
        "router-mf-",
        "router-mf-x",
        "router-mf-0.3-extra",
        "router-mf-1.5",
        "router-mf--0.1",
        "router-mf-nan",
        "router-mf-inf",
        "router-mf-share-0",
        "router-mf-share-101",
        "router-mf-share-nan",
        "router-mf-share-",
        "router-mf-\u0660.\u0665",
        "router-mf-\uff10.\uff15",
        "router-mf-share-\u0663\u0660",
        "router-mf-0_1",
        "router-mf- 0.5",
        "router-mf-0.5\n",
        "router-mf-+0.5",
    ],
)
def test_a_number_that_cannot_be_used_is_refused_with_the_name(name: str) -> None:
    with pytest.raises(ConfigurationError, match="mf"):
        read_model_name(name, routers=["mf"])


@pytest.mark.parametrize("name", ["router-fm-0.5", "router-mf", "router-", "router--"])
def test_a_router_that_is_not_loaded_is_named_beside_those_that_are(name: str) -> None:
    with pytest.raises(UnknownRouterError, match="Loaded routers: mf, random"):
        read_model_name(name, routers=["random", "mf"])


MESSAGES = [{"role": "user", "content": "Hi"}]


@pytest.fixture
def fleet() -> Fleet:
    return Fleet({"mf": ScriptedRouter()}, strong_model="big", weak_model="ollama/small:latest")


def test_two_routers_that_differ_in_case_only_are_told_apart_by_it() -> None:
    routers = ["mf", "MF", "m"]
    assert read_model_name("router-MF-0.5", routers=routers) == RoutedName("MF", threshold=0.5)
    assert read_model_name("router-mf-0.5", routers=routers) == RoutedName("mf", threshold=0.5)
    with pytest.raises(UnknownRouterError):
        read_model_name("router-Mf-0.5", routers=routers)


@pytest.mark.parametrize(
    "written",
    [
        "{}",
        " {} ",
        "openai/{}",
        "openai:{}",
        "{}:latest",
        "{}\n",
        "models/{}",
        "OpenAI/{}:Latest",
        " models/{}:latest",
    ],
)
@pytest.mark.parametrize("letters", [str, str.upper, str.title])
@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        ("auto", Overrides()),
        ("router-mf-0.25", Overrides(threshold=0.25)),
        ("big", Overrides(route="strong")),
    ],
)
def test_what_clients_add_to_a_name_is_taken_off(
    fleet: Fleet, written: str, letters: Callable[[str], str], name: str, overrides: Overrides
) -> None:
    model = written.format(letters(name))
    assert fleet.plan(model)[1] == overrides
    if name != "big":
        request = {"model": model, "messages": MESSAGES}
        call = read_call(fleet, request, router=None, threshold=None)
        assert call is not None
        assert call.overrides == overrides


def test_a_served_name_is_taken_as_it_is(fleet: Fleet) -> None:
    assert fleet.plan("ollama/small:latest")[1] == Overrides(route="weak")


def test_models_own_names_go_before_every_other_reading() -> None:
    fleet = Fleet({"mf": ScriptedRouter()}, strong_model="Auto", weak_model="router-mf-0.5")
    assert fleet.plan("Auto")[1] == Overrides(route="strong")
    assert fleet.plan("auto")[1] == Overrides()
    assert fleet.plan("router-mf-0.5")[1] == Overrides(route="weak")
    assert not fleet.is_routed("router-mf-0.5")
    with pytest.raises(UnknownModelError):  # either could be meant
        fleet.plan("AUTO")


@pytest.mark.parametrize(
    "name", ["openrouter/auto", "azure/auto", "my/router-mf-0.5", "auto:7b", "Autos"]
)
def test_another_providers_model_is_not_taken_for_a_routed_one(fleet: Fleet, name: str) -> None:
    request = {"model": name, "messages": MESSAGES}
    assert read_call(fleet, request, router=None, threshold=None) is None
    with pytest.raises(UnknownModelError):
        fleet.plan(name)
