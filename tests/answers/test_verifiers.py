"""The protocol of verifiers: scores, steps, combinations, names."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routellm_core import ConfigurationError, VerifierError
from routellm_core.answers import (
    Answer,
    Invocation,
    Prompt,
    Request,
    Score,
    Token,
    ToolCall,
    Verifier,
    Watch,
    all_of,
    any_of,
    first_failing,
    load_verifier,
    mean_of,
    run,
    together,
    verifier_names,
)

VALUES = st.lists(st.integers(0, 4).map(lambda n: n / 4), min_size=1, max_size=4)


class Fixed(Verifier):
    """Scores every answer alike, and rejects a stream that says so."""

    def __init__(self, value: Any, name: str = "fixed") -> None:
        self.value, self.name = value, name

    def _score(self, prompt: Prompt, answer: Answer) -> Score:
        return Score(self.value, f"said {self.value}")

    def watch(self, prompt: Prompt | str, *, accept: float) -> Watch | None:
        return FixedWatch(self.value if self.value < accept else None)


class FixedWatch(Watch):
    def __init__(self, value: float | None) -> None:
        self.value = value

    def feed(self, text: str = "", tokens: Sequence[Token] = ()) -> Score | None:
        return None if self.value is None else Score(self.value, "early")


class Asking(Verifier):
    """Asks a model twice, two questions at a time."""

    name = "asking"

    def _plan(self, prompt: Prompt, answer: Answer) -> Any:
        total = 0.0
        for _ in range(2):
            replies = yield [Request(prompt.conversation(), sample=n) for n in range(2)]
            total += sum(float(reply.text) for reply in replies)
        return Score(total / 4, "mean of four")


def test_a_score_is_made_of_texts_or_of_prompts_and_answers() -> None:
    assert Fixed(0.25).score("p", "a") == Score(0.25, "said 0.25")
    assert Fixed(0.25).score(Prompt("p", win_rate=0.5), Answer("a")) == Score(0.25, "said 0.25")


@pytest.mark.parametrize("bad", [1.5, -0.1, float("nan"), "1"])
def test_a_score_outside_the_unit_interval_is_refused(bad: Any) -> None:
    with pytest.raises(VerifierError, match="must score in"):
        Fixed(bad).score("p", "a")


@pytest.mark.parametrize(("prompt", "answer"), [(1, "a"), ("p", None), ("p", b"a")])
def test_what_is_no_text_is_refused(prompt: Any, answer: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"must be a text or an? `"):
        Fixed(0.5).score(prompt, answer)


def test_wrong_numbers_in_prompts_and_tokens_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="win_rate"):
        Prompt("p", win_rate=30)
    for bad in (0.1, float("-inf"), float("nan")):
        with pytest.raises(ConfigurationError, match="logprob"):
            Token("a", bad)


async def test_a_model_is_asked_through_the_callers_function_sync_and_async() -> None:
    asked: list[Request] = []

    def ask(request: Request) -> str:
        asked.append(request)
        return "0.5"

    async def aask(request: Request) -> Answer:
        await asyncio.sleep(0)
        return Answer(ask(request))

    for score in (
        Asking().score("p", "a", ask=ask),
        await Asking().ascore("p", "a", ask=ask),
        await Asking().ascore("p", "a", ask=aask),
        await Asking().ascore("p", "a", ask=lambda request: aask(request)),
    ):
        assert score == Score(0.5, "mean of four")
    assert len(asked) == 16
    assert asked[0].messages == ({"role": "user", "content": "p"},)


def test_nobody_to_ask_and_an_asynchronous_function_in_a_synchronous_call_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="Pass `ask`"):
        Asking().score("p", "a")

    async def aask(request: Request) -> str:
        return "1"

    with pytest.raises(ConfigurationError, match="`aask` is asynchronous: await `ascore`"):
        Asking().score("p", "a", ask=aask)


async def test_questions_of_one_step_are_asked_together_and_left_together() -> None:
    running, ended = 0, []

    async def aask(request: Request) -> str:
        nonlocal running
        running += 1
        try:
            while running < 2:
                await asyncio.sleep(0)
            if request.sample == 1:
                raise OSError("gone")
            await asyncio.sleep(60)
            return "1"
        finally:
            ended.append(request.sample)

    with pytest.raises(OSError, match="gone"):
        await Asking().ascore("p", "a", ask=aask)
    assert sorted(ended) == [0, 1]


async def test_a_blocking_function_does_not_block_the_event_loop() -> None:
    release = threading.Event()

    class Slow(Verifier):
        name = "slow"

        def _plan(self, prompt: Prompt, answer: Answer) -> Any:
            (came,) = yield [Invocation(release.wait, (30,))]
            return Score(1.0 if came else 0.0, "waited")

    scoring = asyncio.ensure_future(Slow().ascore("p", "a"))
    await asyncio.sleep(0.01)
    release.set()
    assert (await scoring).value == 1.0


def test_an_error_of_the_caller_comes_through_and_closes_the_plan() -> None:
    closed = []

    class Closing(Asking):
        def _plan(self, prompt: Prompt, answer: Answer) -> Any:
            try:
                return (yield from super()._plan(prompt, answer))
            finally:
                closed.append(True)

    def ask(request: Request) -> str:
        raise OSError("no network")

    with pytest.raises(OSError, match="no network"):
        all_of(Fixed(0.5), Closing()).score("p", "a", ask=ask)
    assert closed == [True]


@given(VALUES)
def test_combinations_are_lowest_highest_and_mean(values: list[float]) -> None:
    parts = [Fixed(value, f"v{place}") for place, value in enumerate(values)]
    assert all_of(*parts).score("p", "a").value == min(values)
    assert any_of(*parts).score("p", "a").value == max(values)
    assert mean_of(*parts).score("p", "a").value == pytest.approx(sum(values) / len(values))


def test_a_combination_tells_which_part_decided() -> None:
    parts = [Fixed(0.75, "one"), Fixed(0.25, "two")]
    assert all_of(*parts).score("p", "a").reason == "two: said 0.25"
    assert any_of(*parts).score("p", "a").reason == "one: said 0.75"
    assert mean_of(*parts).score("p", "a").reason == "mean, lowest two: said 0.25"
    assert all_of(*parts).name == "all_of(one, two)"


def test_weights_count_and_are_scaled() -> None:
    parts = [Fixed(1.0), Fixed(0.0)]
    assert mean_of(*parts, weights=[3, 1]).score("p", "a").value == pytest.approx(0.75)
    for bad in ([1], [1, 0], [1, -1], [1, float("inf")]):
        with pytest.raises(ConfigurationError, match="2 positive numbers"):
            mean_of(*parts, weights=bad)


def test_no_model_is_asked_once_the_outcome_is_known() -> None:
    def ask(request: Request) -> str:
        raise AssertionError("asked")

    assert all_of(Asking(), Fixed(0.0)).score("p", "a", ask=ask).value == 0.0
    assert any_of(Asking(), Fixed(1.0)).score("p", "a", ask=ask).value == 1.0
    assert first_failing(Fixed(0.25), Asking()).score("p", "a", ask=ask).value == 0.0


def test_the_first_that_fails_decides_and_else_the_last() -> None:
    gates = first_failing(Fixed(0.75, "one"), Fixed(0.25, "two"), Fixed(0.75, "three"))
    assert gates.score("p", "a") == Score(0.0, "two: said 0.25", 0.25)
    gates = first_failing(Fixed(0.75, "one"), Fixed(0.25, "two"), level=0.75)
    assert gates.score("p", "a") == Score(0.25, "two: said 0.25")
    with pytest.raises(ConfigurationError, match="one number, or 1"):
        first_failing(Fixed(1.0), Fixed(1.0), level=[0.5, 0.5])
    with pytest.raises(ConfigurationError, match="`level` must lie in"):
        first_failing(Fixed(1.0), Fixed(1.0), level=50)


@pytest.mark.parametrize("combine", [all_of, any_of, mean_of, first_failing])
def test_a_combination_of_nothing_or_of_functions_is_refused(combine: Any) -> None:
    with pytest.raises(ConfigurationError, match="at least one verifier"):
        combine()
    with pytest.raises(ConfigurationError, match="Wrap a function in `check`"):
        combine(lambda prompt, answer: True)


@given(VALUES, st.integers(0, 5).map(lambda n: n / 4))
def test_an_early_rejection_of_a_combination_is_right_about_the_end(
    values: list[float], accept: float
) -> None:
    parts = [Fixed(value) for value in values]
    for combined in (
        all_of(*parts),
        any_of(*parts),
        mean_of(*parts),
        first_failing(*parts, level=0.5),
    ):
        watch = combined.watch("p", accept=accept)
        early = None if watch is None else watch.feed("a")
        whole = combined.score("p", "a").value
        if early is not None:
            assert whole < accept + 1e-9
            assert whole <= early.value + 1e-9 or combined.name.startswith("first_failing")
            assert early.value < accept + 1e-9
        elif not combined.name.startswith("mean_of"):
            assert whole >= accept


def test_steps_of_several_plans_are_yielded_together() -> None:
    sizes = []

    def plan(n: int) -> Any:
        for _ in range(n):
            results = yield [Invocation(lambda: n)]
            assert results == [n]
        return n

    def outer() -> Any:
        inner = together([plan(1), plan(3), plan(0)])
        steps = next(inner)
        while True:
            sizes.append(len(steps))
            try:
                steps = inner.send([step.function() for step in steps])
            except StopIteration as end:
                return end.value
        yield

    assert run(outer()) == [1, 3, 0]
    assert sizes == [2, 1, 1]


def test_verifiers_are_made_by_name() -> None:
    assert {"all_of", "any_of", "first_failing", "mean_of"} <= set(verifier_names())
    made = load_verifier("mean_of", Fixed(1.0), Fixed(0.0), weights=[1, 3])
    assert made.score("p", "a").value == pytest.approx(0.25)
    with pytest.raises(ConfigurationError, match="Did you mean 'mean_of'"):
        load_verifier("meanof")
    with pytest.raises(ConfigurationError, match=r"cannot be made: .*'wheights'"):
        load_verifier("mean_of", Fixed(1.0), wheights=[1])


@pytest.mark.parametrize(
    ("target", "message"),
    [("builtins:dict", "makes no `Verifier` but a dict"), ("nowhere:x", "cannot be imported")],
)
def test_a_package_that_registers_something_else_is_told(
    target: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from importlib.metadata import EntryPoint

    point = EntryPoint(name="own", value=target, group="routellm.verifiers")
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [point])
    assert "own" in verifier_names()
    with pytest.raises(ConfigurationError, match=message):
        load_verifier("own")


def test_tool_calls_and_log_probabilities_ride_on_an_answer() -> None:
    answer = Answer("x", tokens=(Token("x", -0.5),), tool_calls=(ToolCall("t", "{}"),))
    assert answer.logprobs == [-0.5]
    assert all_of(Fixed(1.0)).top_logprobs is None
