"""Controller: one model at two efforts is a pair."""

from __future__ import annotations

from typing import Any

import pytest

from routellm_core import CallRecord, ConfigurationError
from routellm_core.answers import no_refusal
from routellm_core.controller import Controller
from routellm_core.experts import Variant, effort_pair
from routellm_core.strategies import Cascade
from routellm_core.testing import OpenAIServer, ScriptedRouter, Step
from tests.effort.conftest import EASY, HARD, MODEL, efforts

pytestmark = pytest.mark.loopback
NAME = f"openai/{MODEL}"
LOW, HIGH = f"{NAME} (reasoning_effort=low)", f"{NAME} (reasoning_effort=high)"
TOOL = {
    "type": "function",
    "function": {
        "name": "add",
        "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}},
    },
}


def controller(server: OpenAIServer, router: ScriptedRouter, **options: Any) -> Controller:
    given = {"experts": effort_pair(NAME), "api_base": server.base_url, "api_key": "any"}
    return Controller({"mf": router}, **{**given, "threshold": 0.5, **options})


def ask(client: Controller, text: str, **fields: Any) -> Any:
    messages = [{"role": "user", "content": text}]
    return client.completion(model="auto", messages=messages, **fields)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {
            "experts": None,
            "strong_model": Variant(NAME, reasoning_effort="high"),
            "weak_model": Variant(NAME, reasoning_effort="low"),
        },
    ],
    ids=["experts", "strong and weak"],
)
def test_each_expert_is_asked_at_its_own_effort(
    upstream: OpenAIServer, router: ScriptedRouter, given: dict[str, Any]
) -> None:
    client = controller(upstream, router, **given)
    answers = [ask(client, text) for text in (EASY, HARD)]
    list(ask(client, EASY, stream=True))
    ask(client, HARD, tools=[TOOL])
    assert efforts(upstream) == ["low", "high", "low", "high"]
    assert [answer.routellm["model"] for answer in answers] == [LOW, HIGH]
    assert set(upstream.models_asked()) == {MODEL}
    assert client.model_counts == {"scripted": {LOW: 2, HIGH: 2}}
    assert client.route(HARD, "mf", 0.5) == HIGH


async def test_so_it_is_without_blocking(upstream: OpenAIServer, router: ScriptedRouter) -> None:
    client = controller(upstream, router)
    await client.acompletion(model="auto", messages=[{"role": "user", "content": HARD}])
    assert efforts(upstream) == ["high"]


@pytest.mark.parametrize("text", [EASY, HARD])
def test_a_calls_own_effort_goes_before_the_experts(
    upstream: OpenAIServer, router: ScriptedRouter, text: str
) -> None:
    answer = ask(controller(upstream, router), text, reasoning_effort="medium")
    assert efforts(upstream) == ["medium"]
    assert (answer.routellm["route"], answer.routellm["reason"]) == ("weak", "own_effort")


def test_a_model_that_is_named_by_its_label_is_asked_so(
    upstream: OpenAIServer, router: ScriptedRouter
) -> None:
    client = controller(
        upstream, router, strategy=Cascade(no_refusal(), accept=0.5),
        experts={"quick": Variant(NAME, reasoning_effort="low"), "deep": NAME},
    )  # fmt: skip
    messages = [{"role": "user", "content": EASY}]
    for name in ("quick", "deep"):
        client.completion(model=name, messages=messages)
    assert efforts(upstream) == ["low", None]


def test_a_cascade_asks_for_more_thought_where_a_draft_is_rejected(
    upstream: OpenAIServer, router: ScriptedRouter
) -> None:
    records: list[CallRecord] = []
    client = controller(
        upstream, router, strategy=Cascade(no_refusal(), accept=0.5), monitor=records.append
    )
    upstream.script(Step(text="I'm sorry, but I can't help with that."), Step(text="Twelve."))
    answer = ask(client, EASY)
    client.guards.monitor.close()
    assert answer.choices[0].message.content == "Twelve."
    assert efforts(upstream) == ["low", "high"]
    assert [step["model"] for step in records[0].steps or ()] == [LOW, HIGH]


def test_the_pair_is_told_apart_in_records_and_its_reasoning_is_paid_for(
    upstream: OpenAIServer, router: ScriptedRouter
) -> None:
    records: list[CallRecord] = []
    client = controller(
        upstream, router, monitor=records.append, answer_tokens={"weak": 100, "strong": 1_100}
    )
    upstream.script(*[Step(text="Twelve it is", reasoning_tokens=97)] * 2)
    ask(client, EASY)
    ask(client, EASY, reasoning_effort="medium")
    client.guards.monitor.close()
    routed, own = records
    assert (routed.model, routed.strong_model, routed.weak_model) == (LOW, HIGH, LOW)
    assert (routed.output_tokens, routed.reasoning_tokens) == (100, 97)
    assert routed.cost_usd == pytest.approx(1.1e-6 * routed.input_tokens + 4.4e-6 * 100)
    assert routed.saved_usd == pytest.approx(4.4e-6 * 1_000)
    assert own.saved_usd == 0.0  # the caller's effort: the strong expert would have cost the same


def test_what_was_saved_is_unknown_where_nobody_knows_the_other_efforts_length(
    upstream: OpenAIServer, router: ScriptedRouter
) -> None:
    records: list[CallRecord] = []
    client = controller(upstream, router, monitor=records.append)
    ask(client, EASY)
    ask(client, HARD)
    client.guards.monitor.close()
    assert [record.saved_usd for record in records] == [None, 0.0]
    assert all(record.cost_usd for record in records)


def test_arguments_that_one_effort_does_not_take_are_left_out_for_it(
    upstream: OpenAIServer, router: ScriptedRouter
) -> None:
    client = controller(upstream, router, drop_params={"strong": ["temperature"]})
    for text in (EASY, HARD):
        ask(client, text, temperature=1)
    assert [request.body.get("temperature") for request in upstream.requests] == [1, None]


def test_two_experts_that_are_the_same_are_refused(
    upstream: OpenAIServer, router: ScriptedRouter
) -> None:
    same = {"weak": NAME, "strong": NAME}
    with pytest.raises(ConfigurationError, match=r"same model.*nothing to route"):
        controller(upstream, router, experts=same)
    with pytest.raises(ConfigurationError, match=r"same model.*nothing to route"):
        controller(
            upstream,
            router,
            experts={"weak": Variant(NAME, top_p=1), "strong": Variant(NAME, top_p=1)},
        )
    controller(
        upstream, router, experts=same, endpoints={"weak": {"api_base": "http://127.0.0.1:9/v1"}}
    )
