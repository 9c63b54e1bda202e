"""From a conversation to a decision, and what follows a failure."""

import asyncio
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pytest

from routellm_core import (
    Attempts,
    Capabilities,
    ConfigurationError,
    Decider,
    Decision,
    Overrides,
    RoutingPolicy,
    Turn,
    check_routing_text,
    escalation_filter,
    fault_of,
    make_decider,
    read_turn,
)
from routellm_core.experts import ExpertTable
from routellm_core.testing import ScriptedRouter


@dataclass
class Message:
    role: str
    text: str = ""
    record: Mapping[str, Any] | None = None
    modalities: frozenset = frozenset()


class View:
    def role(self, message):
        return message.role

    def text(self, message):
        return message.text

    def modalities(self, message):
        return message.modalities

    def record(self, message):
        return message.record


def turn(*messages: Message, **options: Any) -> Turn:
    return read_turn(messages, View(), **options)


USER, SYSTEM = Message("user", "Why?"), Message("system", "Be brief.")
STRONG = {"route": "strong", "win_rate": 0.9, "threshold": 0.5}
MODELS = {"strong_model": "big", "weak_model": "small"}
POLICY = RoutingPolicy(threshold=0.5, router="scripted", experts=ExpertTable.of_pair(**MODELS))


# Conversations


def test_the_last_user_message_is_routed() -> None:
    assert turn(SYSTEM, Message("user", "First"), Message("assistant", "A"), USER).text == "Why?"


def test_all_user_messages_or_everything_can_be_routed() -> None:
    messages = [SYSTEM, Message("user", "First"), Message("assistant", "A"), USER]
    assert turn(*messages, routing_text="all_user").text == "First\nWhy?"
    assert turn(*messages, routing_text="conversation").text == "Be brief.\nFirst\nA\nWhy?"


def test_a_conversation_without_a_user_is_routed_whole() -> None:
    assert turn(SYSTEM, Message("assistant", "A")).text == "Be brief.\nA"
    assert turn().text == ""


def test_the_record_of_this_turn_is_found_through_a_tool_loop() -> None:
    loop = [USER, Message("assistant", record=STRONG), Message("tool", "42")]
    assert turn(*loop).record == STRONG
    assert turn(*loop, Message("assistant", record=None), Message("tool")).record == STRONG


def test_the_latest_record_of_a_turn_counts() -> None:
    weak = {"route": "weak"}
    assert (
        turn(USER, Message("assistant", record=weak), Message("assistant", record=STRONG)).record
        == STRONG
    )


def test_an_earlier_turn_does_not_bind_the_next() -> None:
    assert turn(USER, Message("assistant", record=STRONG), Message("user", "And?")).record is None


def test_an_answer_without_any_user_message_binds_nothing() -> None:
    assert turn(SYSTEM, Message("assistant", record=STRONG)).record is None


def test_what_any_message_holds_besides_text_is_noticed() -> None:
    image = Message("user", "Look", modalities=frozenset({"image"}))
    assert turn(image, Message("assistant", "Nice"), USER).modalities == {"image"}


def test_bytes_are_counted_only_when_characters_could_exceed_the_window() -> None:
    assert turn(Message("user", "é" * 10)).n_bytes == 0
    assert turn(Message("user", "é" * 10), small_window=10).n_bytes == 0
    assert turn(Message("user", "é" * 11), small_window=10).n_bytes == 22
    assert turn(Message("user", "\ud800" * 11), small_window=10).n_bytes == 11


@pytest.mark.parametrize("bad", ["last", "", None, 3])
def test_an_unknown_routing_text_is_refused(bad: object) -> None:
    with pytest.raises(ConfigurationError, match="'last_user', 'all_user', 'conversation'"):
        check_routing_text(bad)
    assert check_routing_text("all_user") == "all_user"


# The order of a decision


def test_a_tie_goes_to_the_strong_model() -> None:
    assert POLICY.after_scoring(0.5).route == "strong"
    assert POLICY.after_scoring(np.nextafter(0.5, 0)).route == "weak"


def test_a_decision_of_a_call_keeps_everything_else() -> None:
    made = Decision(*[object() for _ in fields(Decision)])  # type: ignore[arg-type]
    assert made.of_call("c1") == replace(made, call_id="c1")


def test_a_decision_names_everything_it_was_made_of() -> None:
    assert POLICY.after_scoring(0.25).record() == {
        "route": "weak",
        "model": "small",
        "win_rate": 0.25,
        "threshold": 0.5,
        "router": "scripted",
        "reason": "win_rate",
    }
    metadata = POLICY.after_scoring(0.75).metadata()
    assert (metadata["routellm_route"], metadata["routellm_model"]) == ("strong", "big")
    assert {key.removeprefix("routellm_") for key in metadata} == set(
        POLICY.after_scoring(0.1).record()
    )


NO_IMAGES = replace(
    POLICY, experts=ExpertTable.of_pair(**MODELS, weak=Capabilities(modalities=frozenset()))
)
LOOKING = Turn("Look", record={"route": "weak"}, modalities=frozenset({"image"}))


def test_an_override_goes_before_everything() -> None:
    decision = NO_IMAGES.before_scoring(LOOKING, Overrides(route="weak"))
    assert decision is not None
    assert (decision.route, decision.reason, decision.model) == ("weak", "override", "small")


def test_a_missing_capability_goes_before_stickiness() -> None:
    decision = NO_IMAGES.before_scoring(LOOKING)
    assert decision is not None
    assert (decision.route, decision.reason) == ("strong", "capability:image")


def test_a_strong_model_that_cannot_take_a_call_leaves_it_to_the_weak_one() -> None:
    policy = replace(
        POLICY, experts=ExpertTable.of_pair(**MODELS, strong=Capabilities(tools=False))
    )
    decision = policy.before_scoring(Turn("Add", tools=True))
    assert decision is not None
    assert (decision.route, decision.reason) == ("weak", "capability:tools")


def test_what_both_models_lack_decides_nothing() -> None:
    blind = Capabilities(modalities=frozenset())
    policy = replace(POLICY, experts=ExpertTable.of_pair(**MODELS, strong=blind, weak=blind))
    assert policy.before_scoring(Turn("Look", modalities=frozenset({"image"}))) is None


def test_a_prompt_too_long_for_the_weak_model_goes_to_the_strong_one() -> None:
    experts = ExpertTable.of_pair(
        **MODELS,
        weak=Capabilities(context_window=10),
        strong=Capabilities(context_window=1000),
    )
    policy = replace(POLICY, experts=experts)
    assert policy.small_window == 10
    long = turn(Message("user", "x" * 41), small_window=policy.small_window)
    decision = policy.before_scoring(long)
    assert decision is not None
    assert decision.reason == "capability:context_window"
    assert policy.before_scoring(turn(Message("user", "x" * 40), small_window=10)) is None


def test_a_turn_keeps_its_route_and_its_win_rate() -> None:
    decision = POLICY.before_scoring(Turn("Why?", record={**STRONG, "model": "forged"}))
    assert decision == Decision("strong", "big", 0.9, 0.5, "scripted", "sticky")
    assert replace(POLICY, sticky=False).before_scoring(Turn("Why?", record=STRONG)) is None


@pytest.mark.parametrize(
    "record", [{}, {"route": "expert"}, {"route": None}, {"route": ["strong"]}, {"route": {}}]
)
def test_a_record_that_names_no_route_is_ignored(record: dict) -> None:
    assert POLICY.before_scoring(Turn("Why?", record=record)) is None


@pytest.mark.parametrize("win_rate", [float("nan"), 7.0, "0.5", True, None])
def test_a_forged_win_rate_is_dropped(win_rate: object) -> None:
    decision = POLICY.before_scoring(Turn("?", record={"route": "weak", "win_rate": win_rate}))
    assert decision is not None
    assert (decision.route, decision.win_rate) == ("weak", None)


@pytest.mark.parametrize("text", ["", " \n\t"])
def test_no_words_mean_the_strong_model_unless_told_otherwise(text: str) -> None:
    decision = POLICY.before_scoring(Turn(text))
    assert decision is not None
    assert (decision.route, decision.reason) == ("strong", "empty_prompt")
    weak = replace(POLICY, on_empty_prompt="weak").before_scoring(Turn(text))
    assert weak is not None
    assert weak.route == "weak"


@pytest.mark.parametrize("field", ["on_router_error", "on_empty_prompt"])
def test_a_default_route_must_be_a_route(field: str) -> None:
    with pytest.raises(
        ConfigurationError, match=f"`{field}` must be 'strong' or 'weak', got 'best'"
    ):
        RoutingPolicy(threshold=0.5, router="x", **{field: "best"})


# Overrides


def test_overrides_are_read_from_a_calls_settings() -> None:
    assert Overrides.of({"thread_id": 1}) == Overrides()
    assert Overrides.of({"routellm_route": "weak"}) == Overrides(route="weak")
    assert Overrides.of({"routellm_threshold": 1}) == Overrides(threshold=1.0)
    assert Overrides.of({"routellm_threshold": np.float32(0.5)}) == Overrides(threshold=0.5)


@pytest.mark.parametrize("bad", ["best", "STRONG", 1, ["weak"], {}])
def test_an_override_to_no_route_raises(bad: object) -> None:
    with pytest.raises(ConfigurationError, match="`routellm_route` must be"):
        Overrides.of({"routellm_route": bad})


@pytest.mark.parametrize("bad", [-0.1, 1.1, float("nan"), float("inf"), "0.5", True, [0.5], "x"])
def test_a_threshold_that_is_none_raises(bad: object) -> None:
    with pytest.raises(
        ConfigurationError, match=r"`routellm_threshold` must be a number in \[0, 1\]"
    ):
        Overrides.of({"routellm_threshold": bad})
    with pytest.raises(ConfigurationError, match="`threshold` must be a number"):
        RoutingPolicy(threshold=bad, router="x")


def test_an_overridden_threshold_decides_and_is_recorded() -> None:
    decision = POLICY.after_scoring(0.6, Overrides(threshold=0.7))
    assert (decision.route, decision.threshold) == ("weak", 0.7)


# Router and policy together


@pytest.mark.parametrize(
    ("router", "reason"),
    [
        (ScriptedRouter(error=ZeroDivisionError()), "router_error:ZeroDivisionError"),
        (ScriptedRouter(default=float("nan")), "router_error:RouterError"),
        (ScriptedRouter(default=float("inf")), "router_error:RouterError"),
        (ScriptedRouter(default=-1.0), "router_error:RouterError"),
    ],
)
async def test_a_router_fault_is_recorded_and_goes_to_the_strong_model(router, reason) -> None:
    for policy, route in [(POLICY, "strong"), (replace(POLICY, on_router_error="weak"), "weak")]:
        decider = Decider(router, policy)
        decisions = [
            decider.decide(Turn("x")),
            await decider.adecide(Turn("x")),
            *decider.decide_many([Turn("x")], [Overrides()]),
            *(await decider.adecide_many([Turn("x")], [Overrides()])),
        ]
        for decision in decisions:
            assert (decision.route, decision.reason, decision.win_rate) == (route, reason, None)
            json.dumps(decision.record(), allow_nan=False)


async def test_cancelling_a_decision_is_not_a_router_fault() -> None:
    class Slow(ScriptedRouter):
        async def awin_rates(self, prompts):
            await asyncio.sleep(60)

    task = asyncio.create_task(Decider(Slow(), POLICY).adecide(Turn("x")))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_batch_is_scored_once_and_only_where_a_score_is_needed() -> None:
    turns = [Turn("a"), Turn(""), Turn("b"), Turn("c", record=STRONG), Turn("d")]
    overrides = [*[Overrides()] * 4, Overrides(route="weak")]
    table = {"a": 0.9, "b": 0.1}
    expected = [
        ("strong", "win_rate"),
        ("strong", "empty_prompt"),
        ("weak", "win_rate"),
        ("strong", "sticky"),
        ("weak", "override"),
    ]
    for run in ("sync", "async"):
        router = ScriptedRouter(table)
        decider = Decider(router, POLICY)
        decisions = (
            decider.decide_many(turns, overrides)
            if run == "sync"
            else await decider.adecide_many(turns, overrides)
        )
        assert [(d.route, d.reason) for d in decisions] == expected
        assert router.prompts == ["a", "b"]
        assert type(decisions[0].win_rate) is float


async def test_one_bad_prompt_costs_no_other_its_win_rate() -> None:
    turns, overrides = [Turn("good"), Turn("bad")], [Overrides()] * 2
    decider = Decider(ScriptedRouter({"good": 0.1, "bad": float("nan")}), POLICY)
    for decisions in (
        decider.decide_many(turns, overrides),
        await decider.adecide_many(turns, overrides),
    ):
        assert [d.reason for d in decisions] == ["win_rate", "router_error:RouterError"]
        assert [d.route for d in decisions] == ["weak", "strong"]


def test_settings_become_a_decider() -> None:
    decider = make_decider(
        router=ScriptedRouter({"x": 0.69}),
        strong_share=0.3,
        strong_model="big",
        weak_model="small",
        weak=Capabilities(tools=False),
    )
    assert decider.decide(Turn("x")).route == "weak"
    assert decider.decide(Turn("x", tools=True)).reason == "capability:tools"


# Faults and attempts


class StatusError(Exception):
    def __init__(self, status_code=None, code=None):
        self.status_code, self.code = status_code, code


class ResponseError(Exception):
    def __init__(self, status_code):
        self.response = StatusError(status_code)


class RateLimitError(Exception):
    pass


class ContextWindowExceededError(Exception):
    status_code = 400


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        *[(StatusError(s), "transient") for s in (408, 409, 425, 429, 500, 502, 503, 504, 529)],
        *[(StatusError(s), "request") for s in (400, 403, 413, 422)],
        *[(StatusError(s), "configuration") for s in (401, 404)],
        (ResponseError(503), "transient"),
        (ResponseError(401), "configuration"),
        (StatusError(400, "context_length_exceeded"), "capacity"),
        (ContextWindowExceededError(), "capacity"),
        (RateLimitError(), "transient"),
        (ConnectionRefusedError(), "transient"),
        (TimeoutError(), "transient"),
        (ValueError("bug"), "unknown"),
        (StatusError(200), "unknown"),
        (StatusError("429"), "unknown"),
        (KeyboardInterrupt(), "unknown"),
    ],
)
def test_errors_are_told_apart(error: BaseException, fault: str) -> None:
    assert fault_of(error) == fault


WEAK = POLICY.after_scoring(0.1)


def attempts(decision=WEAK, escalate_on=None) -> Attempts:
    return Attempts(
        decision, experts=POLICY.experts, worth_escalating=escalation_filter(escalate_on)
    )


def test_a_weak_model_that_fails_is_followed_by_the_strong_one_once(caplog) -> None:
    machine = attempts()
    assert machine.may_escalate
    with caplog.at_level(logging.WARNING, "routellm_core"):
        assert machine.failed(RateLimitError("secret prompt"))
    assert machine.decision == replace(
        WEAK, route="strong", model="big", reason="escalation:RateLimitError"
    )
    assert "RateLimitError" in caplog.text
    assert "secret" not in caplog.text
    assert not machine.may_escalate
    assert not machine.failed(RateLimitError())


def test_the_strong_model_never_downgrades() -> None:
    assert not attempts(POLICY.after_scoring(0.9)).failed(TimeoutError())


def test_after_the_commit_point_every_error_is_final() -> None:
    machine = attempts()
    machine.commit()
    assert not machine.failed(TimeoutError())
    assert machine.decision == WEAK


def test_a_bug_or_a_bad_request_is_not_escalated() -> None:
    assert not attempts().failed(ValueError())
    assert not attempts().failed(StatusError(401))


def test_named_errors_are_escalated_and_no_others() -> None:
    assert attempts(escalate_on=(ValueError,)).failed(UnicodeDecodeError("a", b"", 0, 1, ""))
    assert not attempts(escalate_on=(ValueError,)).failed(TimeoutError())
    assert not attempts(escalate_on=()).failed(TimeoutError())


@pytest.mark.parametrize("error", [asyncio.CancelledError(), KeyboardInterrupt(), GeneratorExit()])
def test_a_cancellation_is_never_escalated(error: BaseException) -> None:
    assert not attempts(escalate_on=(BaseException,)).failed(error)
