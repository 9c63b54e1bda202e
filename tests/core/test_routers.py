"""What every router gets from the base class and the registry."""

import asyncio
import threading
from importlib.metadata import EntryPoint, EntryPoints

import numpy as np
import pytest

from routellm_core import (
    ConfigurationError,
    PromptError,
    Router,
    RouterError,
    UnknownRouterError,
    load_router,
    router_class,
    router_names,
)
from routellm_core.testing import HashingEmbedder, ScriptedRouter


class Returning(Router):
    """Return whatever it was told."""

    name = "returning"

    def __init__(self, value):
        self.value = value

    def _win_rates(self, prompts):
        return self.value


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ([0.1], "shape"),
        ([[0.1, 0.2]], "shape"),
        (0.5, "shape"),
        ([0.1, float("nan")], "nan"),
        ([float("inf"), 0.1], "inf"),
        ([0.1, 1.1], "1.1"),
        ([-0.1, 0.1], "-0.1"),
        (["a", "b"], "numbers"),
        (None, "shape|numbers"),
    ],
)
def test_a_router_that_breaks_its_contract_is_found_out(value: object, complaint: str) -> None:
    with pytest.raises(RouterError, match=complaint):
        Returning(value).win_rates(["a", "b"])


def test_integers_and_float32_become_float64() -> None:
    assert Returning([0, 1]).win_rates(["a", "b"]).dtype == np.float64
    assert Returning(np.array([0.5, 1], np.float32)).win_rates(["a", "b"]).dtype == np.float64


def test_any_iterable_of_prompts_will_do() -> None:
    assert Returning([0.1, 0.2]).win_rates(p for p in ["a", "b"]).tolist() == [0.1, 0.2]
    assert Returning([0.1, 0.2]).win_rates(np.array(["a", "b"])).tolist() == [0.1, 0.2]


def test_what_is_no_prompt_is_named_with_its_place() -> None:
    with pytest.raises(PromptError, match="NoneType at index 1"):
        Returning([0.1]).win_rates(["a", None])
    with pytest.raises(PromptError, match="one string"):
        Returning([0.1]).win_rates("a")
    with pytest.raises(PromptError, match="int"):
        Returning([0.1]).win_rates(3)


class WhichThread(ScriptedRouter):
    thread: threading.Thread

    def _win_rates(self, prompts):
        self.thread = threading.current_thread()
        return super()._win_rates(prompts)


async def test_an_inline_router_scores_one_prompt_without_a_thread_and_a_batch_in_one() -> None:
    router = WhichThread()
    await router.awin_rate("a")
    assert router.thread is threading.main_thread()
    await router.awin_rates(["a", "b"])
    assert router.thread is not threading.main_thread()


async def test_a_router_that_is_not_inline_never_runs_on_the_event_loop() -> None:
    router = WhichThread()
    router.inline = False
    await asyncio.wait_for(router.awin_rate("a"), 5)
    assert router.thread is not threading.main_thread()


def test_an_unknown_router_gets_a_suggestion() -> None:
    with pytest.raises(
        UnknownRouterError, match=r"'ranodm'\. Did you mean 'random'\? Known routers"
    ):
        load_router("ranodm")
    with pytest.raises(UnknownRouterError, match=r"'xyzzy'\. Known routers"):
        load_router("xyzzy")
    with pytest.raises(ValueError, match="Unknown router"):
        load_router("xyzzy")


def test_a_misspelt_option_is_an_error_that_names_it() -> None:
    with pytest.raises(ConfigurationError, match="sed"):
        load_router("random", sed=1)


@pytest.mark.parametrize("seed", [-1, 2**64, 1.0, "1", True, None])
def test_a_seed_that_is_none_is_refused(seed: object) -> None:
    with pytest.raises(ConfigurationError, match="seed"):
        load_router("random", seed=seed)


def test_random_win_rates_are_uniform_and_independent_between_seeds() -> None:
    prompts = [f"prompt {i}" for i in range(20_000)]
    first = load_router("random", seed=1).win_rates(prompts)
    second = load_router("random", seed=2).win_rates(prompts)
    histogram, _ = np.histogram(first, bins=10, range=(0, 1))
    # Standard deviation of a bin's count is 42; five of them either way.
    assert np.abs(histogram - 2_000).max() < 212
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.04


def register(monkeypatch: pytest.MonkeyPatch, **targets: str) -> None:
    points = EntryPoints(
        EntryPoint(name, target, "routellm.routers") for name, target in targets.items()
    )
    monkeypatch.setattr(
        "importlib.metadata.entry_points", lambda *, group: points.select(group=group)
    )


def test_an_installed_package_registers_a_router_by_entry_point(monkeypatch) -> None:
    register(monkeypatch, scripted="routellm_core.testing:ScriptedRouter")
    assert "scripted" in router_names()
    assert router_class("scripted") is ScriptedRouter
    assert load_router("scripted", default=0.25).win_rate("x") == 0.25


def test_a_package_cannot_take_over_a_built_in_name(monkeypatch) -> None:
    register(monkeypatch, random="routellm_core.testing:ScriptedRouter")
    assert router_class("random") is not ScriptedRouter


@pytest.mark.parametrize(
    "target",
    ["no_such_module:X", "routellm_core.testing:Missing", "routellm_core.testing:ROUTER_CHECKS"],
)
def test_a_bad_entry_point_names_router_and_target(monkeypatch, target: str) -> None:
    register(monkeypatch, broken=target)
    with pytest.raises(ConfigurationError, match=f"'broken' is registered as '{target}'"):
        router_class("broken")


def test_a_hashing_embedder_gives_unit_vectors_and_zero_for_blank_text() -> None:
    vectors = HashingEmbedder(dimension=16).embed(["one two", "", "one two"])
    assert vectors.shape == (3, 16)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), [1.0, 0.0, 1.0], atol=1e-6)
    np.testing.assert_array_equal(vectors[0], vectors[2])


def test_an_embedder_needs_a_dimension() -> None:
    with pytest.raises(ConfigurationError, match="dimension"):
        HashingEmbedder(dimension=0)
