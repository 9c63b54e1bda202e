"""What strategies promise, by each of the Controller's four ways."""

import asyncio
import json
import logging
import time
from typing import Any

import litellm
import pytest
from litellm.integrations.custom_logger import CustomLogger

from routellm_core import Monitor
from routellm_core._litellm import close_loop_clients
from routellm_core.answers import check, judge, logprob, no_refusal, schema
from routellm_core.controller import Controller, Endpoint, RoutingError
from routellm_core.monitoring import Price
from routellm_core.strategies import BestOf, Cascade, Hybrid
from routellm_core.testing import OpenAIServer, ScriptedRouter, Step
from tests.controller.test_controller import EASY, HARD, TOOL, said

pytestmark = pytest.mark.loopback

SECRET = "SENTINEL-OF-A-DRAFT"
REFUSAL = f"I'm sorry, but I can't help with that. {SECRET}"
EXPERTS = {"fast": "openai/small", "coder": "openai/middle", "large": "openai/big"}
REFUSES = Cascade(no_refusal(), accept=0.5)
CLEAN = check(lambda prompt, answer: SECRET not in answer.text, name="clean")
VALID = Cascade(schema(), accept=1.0)
BAD_CALL = Step(tool_calls=(("rain", {"city": SECRET}),))


def controller(upstream: OpenAIServer, strategy: Any = REFUSES, **options: Any) -> Controller:
    options.setdefault("experts", EXPERTS)
    router = ScriptedRouter({HARD: 0.9}, default=0.1)
    return Controller(
        {"mf": router}, api_base=upstream.base_url, api_key="k", strategy=strategy, **options
    )


def run(asked: Any) -> Any:
    """Return what an awaitable gives, in a loop of its own."""

    async def closing() -> Any:
        try:
            return await asked
        finally:
            await close_loop_clients()

    return asyncio.run(closing())


class Asked:
    """An answer by one of the four ways."""

    def __init__(self, client: Controller, way: str, text: str = EASY, **fields: Any) -> None:
        request = {"model": "auto", "messages": said(text), "max_retries": 0, **fields}
        self.chunks: list[Any] = []
        if way == "completion":
            self._whole(client.completion(**request))
        elif way == "acompletion":
            self._whole(run(client.acompletion(**request)))
        elif way == "stream":
            stream = client.completion(**request, stream=True)
            self.record = stream.decision.record()
            self.chunks = list(stream)
        else:
            run(self._stream(client, request))

    def _whole(self, answer: Any) -> None:
        self.record = answer.routellm
        self.whole = answer

    async def _stream(self, client: Controller, request: dict[str, Any]) -> None:
        async with await client.acompletion(**request, stream=True) as stream:
            self.record = stream.decision.record()
            self.chunks = [chunk async for chunk in stream]

    @property
    def text(self) -> str:
        if not self.chunks:
            return str(self.whole.choices[0].message.content)
        deltas = [choice.delta for chunk in self.chunks for choice in chunk.choices]
        return "".join(delta.content or "" for delta in deltas)

    @property
    def shown(self) -> str:
        """Everything that the caller got."""
        if not self.chunks:
            return json.dumps(self.whole.model_dump(), default=str)
        return json.dumps([chunk.model_dump() for chunk in self.chunks], default=str)


WAYS = ["completion", "acompletion", "stream", "astream"]


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_rejected_draft_is_followed_by_the_next_expert_and_shown_nowhere(
    upstream: OpenAIServer, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="routellm_core")
    records: list[Any] = []
    monitor = Monitor(records.append, keep_prompt_chars=100)
    upstream.script(Step(text=REFUSAL), model="small")
    answer = Asked(controller(upstream, monitor=monitor), way)
    monitor.flush()
    assert answer.text == f"middle heard: {EASY}"
    assert upstream.models_asked() == ["small", "middle"]
    assert (answer.record["route"], answer.record["reason"]) == ("coder", "accepted:no_refusal")
    assert [step["outcome"] for step in records[0].steps] == ["rejected", "accepted"]
    for place in (answer.shown, records[0].to_json(), caplog.text):
        assert SECRET not in place


def test_an_accepted_draft_is_the_answer_as_its_model_gave_it(
    upstream: OpenAIServer, way: str
) -> None:
    client = controller(upstream, VALID)
    for fields in ({}, {"tools": [TOOL]}):
        drafted = Asked(client, way, **fields)
        direct = Asked(client, way, **fields, model="fast")
        assert drafted.record["reason"] == "accepted:schema"
        if drafted.chunks:
            one, other = (
                [choice.model_dump() for chunk in asked.chunks for choice in chunk.choices]
                for asked in (drafted, direct)
            )
        else:
            one, other = (asked.whole.choices[0].model_dump() for asked in (drafted, direct))
        assert one == other


def test_no_call_of_a_tool_that_is_not_there_is_given_out(upstream: OpenAIServer, way: str) -> None:
    upstream.script(BAD_CALL, model="small")
    answer = Asked(controller(upstream, VALID), way, tools=[TOOL])
    assert answer.record["route"] == "coder"
    assert '"weather"' in answer.shown
    assert SECRET not in answer.shown


def test_an_answer_of_another_form_is_followed_by_the_next_experts(
    upstream: OpenAIServer, way: str
) -> None:
    form = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    asked = {"type": "json_schema", "json_schema": {"name": "n", "schema": form}}
    upstream.script(Step(text=f'{{"n": "{SECRET}"}}'), model="small")
    answer = Asked(controller(upstream, VALID), way, response_format=asked)
    assert answer.record["route"] == "coder"
    assert set(json.loads(answer.text)) == {"n"}
    assert SECRET not in answer.shown


def test_the_best_of_several_is_given_out_and_the_others_are_not(
    upstream: OpenAIServer, way: str
) -> None:
    upstream.script(Step(text=REFUSAL), model="small")
    upstream.script(Step(text=REFUSAL), model="middle")
    answer = Asked(controller(upstream, BestOf(choose=no_refusal())), way)
    assert answer.text == f"big heard: {EASY}"
    assert sorted(upstream.models_asked()) == ["big", "middle", "small"]
    assert (answer.record["route"], answer.record["reason"]) == ("large", "best_of")
    assert SECRET not in answer.shown


def test_a_hybrid_looks_at_the_draft_where_the_router_is_not_sure(
    upstream: OpenAIServer, way: str
) -> None:
    def reasons(band: tuple[float, float]) -> list[str]:
        strategy = Hybrid(no_refusal(), accept=0.5, band=band)
        client = controller(upstream, strategy, experts={"weak": "openai/a", "strong": "openai/b"})
        return [Asked(client, way, text).record["reason"] for text in (EASY, HARD)]

    assert reasons((0.5, 0.8)) == ["win_rate", "win_rate"]
    assert reasons((0.0, 0.95)) == ["accepted:no_refusal"] * 2
    assert upstream.models_asked() == ["a", "b", "a", "a"]


def test_usage_is_the_answers_own_and_the_record_has_the_sum(
    upstream: OpenAIServer, way: str
) -> None:
    records: list[Any] = []
    prices = {model: Price(model, 1.0, 10.0) for model in EXPERTS.values()}
    monitor = Monitor(records.append, prices=prices)
    upstream.script(Step(text=REFUSAL), model="small")
    fields = {"stream_options": {"include_usage": True}} if "stream" in way else {}
    answer = Asked(controller(upstream, Cascade(CLEAN, accept=0.5), monitor=monitor), way, **fields)
    monitor.flush()
    (record,) = records
    usage = [chunk.usage for chunk in answer.chunks if getattr(chunk, "usage", None)]
    own = usage[-1] if usage else answer.whole.usage
    assert (record.input_tokens, record.output_tokens) == (
        own.prompt_tokens, own.completion_tokens,
    )  # fmt: skip
    draft = record.steps[0]
    assert record.drafts_usd == draft["input_tokens"] + 10.0 * draft["output_tokens"] > 0.0


def test_an_expert_that_fails_is_followed_by_the_next(upstream: OpenAIServer, way: str) -> None:
    upstream.script(Step(status=500), model="small")
    answer = Asked(controller(upstream), way)
    assert answer.record["route"] == "coder"
    upstream.script(Step(status=500), model="middle")
    upstream.script(Step(text="I'm sorry, but I can't help with that."), model="small")
    assert Asked(controller(upstream), way).record["route"] == "large"


def test_the_best_draft_is_the_answer_where_the_last_expert_fails(
    upstream: OpenAIServer, way: str
) -> None:
    upstream.script(Step(text=SECRET), model="small")
    upstream.script(Step(status=500), model="middle")
    upstream.script(Step(status=500), model="big")
    answer = Asked(controller(upstream, Cascade(CLEAN, accept=0.5)), way)
    assert answer.text == SECRET
    assert answer.record["reason"].startswith("best_draft:")


def test_a_judge_is_asked_through_litellm_by_the_name_it_has(
    upstream: OpenAIServer, way: str
) -> None:
    with OpenAIServer() as other:
        for model, place in (("openai/judge", upstream), ("large", other)):
            place.reset()
            strategy = Cascade(judge(model=model), accept=0.5)
            endpoints = {"large": {"api_base": other.base_url, "api_key": "key-large"}}
            client = controller(upstream, strategy, endpoints=endpoints)
            name = "judge" if place is upstream else "big"
            place.script(Step(text='{"score": 5}'), model=name)
            answer = Asked(client, way)
            assert answer.record["reason"] == "accepted:judge"
            assert place.models_asked()[-1] == name
        assert other.requests[-1].headers["authorization"] == "Bearer key-large"


def test_a_verifier_that_reads_logprobs_has_them_asked_for(
    upstream: OpenAIServer, way: str
) -> None:
    Asked(controller(upstream, Cascade(logprob(), accept=0.5)), way)
    first, *_, last = [request.body for request in upstream.requests]
    assert first["logprobs"] is True
    assert "logprobs" not in last


class Callbacks(CustomLogger):
    """What LiteLLM tells whoever traces its calls."""

    def __init__(self) -> None:
        self.tags: list[Any] = []

    def log_success_event(self, kwargs: Any, *_: Any, **__: Any) -> None:
        metadata = kwargs["litellm_params"].get("metadata") or {}
        self.tags.append((kwargs["model"], tuple(metadata.get("tags") or ())))


def test_a_drafts_own_call_is_tagged_and_the_provider_is_not_told(
    upstream: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    callbacks = Callbacks()
    monkeypatch.setattr(litellm, "callbacks", [callbacks])
    upstream.script(*[Step(text=REFUSAL)] * 1, model="small")
    upstream.script(*[Step(text=REFUSAL)] * 1, model="middle")
    Asked(controller(upstream), "completion", metadata={"tags": ["mine"]})
    until = time.monotonic() + 5.0
    while len(callbacks.tags) < 3 and time.monotonic() < until:
        time.sleep(0.01)
    assert sorted(callbacks.tags) == [
        ("big", ("mine",)),
        ("middle", ("mine", "routellm:draft")),
        ("small", ("mine", "routellm:draft")),
    ]
    assert all("metadata" not in request.body for request in upstream.requests)


async def test_a_cancelled_caller_leaves_every_model(upstream: OpenAIServer) -> None:
    for strategy, n_asked in ((REFUSES, 1), (BestOf(choose=no_refusal()), 3)):
        for stream in (False, True):
            upstream.reset()
            upstream.script(*[Step(hang=True)] * 3)
            client = controller(upstream, strategy)
            asked = client.acompletion(model="auto", messages=said(EASY), stream=stream)
            task = asyncio.ensure_future(asked)
            await until(lambda n=n_asked: len(upstream.requests) == n)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await until(lambda: all(r.ended_s is not None for r in upstream.requests))
            assert not any(request.whole for request in upstream.requests)


async def until(condition: Any) -> None:
    end = time.monotonic() + 5.0
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("way", ["stream", "astream"])
def test_a_stream_that_is_not_verified_is_given_out_as_it_comes(
    upstream: OpenAIServer, way: str
) -> None:
    upstream.script(Step(text=REFUSAL), model="small")
    upstream.script(Step(text=REFUSAL), model="middle")
    upstream.script(Step(pieces=("one", " two"), cut_after=2), model="big")
    pieces: list[str] = []

    def read(client: Controller) -> None:
        for chunk in client.completion(model="auto", messages=said(EASY), stream=True):
            pieces.append(chunk.choices[0].delta.content or "")

    async def aread(client: Controller) -> None:
        stream = await client.acompletion(model="auto", messages=said(EASY), stream=True)
        async for chunk in stream:
            pieces.append(chunk.choices[0].delta.content or "")

    with pytest.raises(Exception, match=r"peer closed|payload|MidStream|incomplete"):
        read(controller(upstream)) if way == "stream" else run(aread(controller(upstream)))
    assert "".join(pieces) == "one"


def test_a_threshold_in_the_name_goes_before_the_strategy(upstream: OpenAIServer) -> None:
    client = controller(upstream)
    for model, route in (("router-mf-0.5", "fast"), ("router-mf-0.05", "large")):
        answer = client.completion(model=model, messages=said(EASY))
        assert (answer.routellm["route"], answer.routellm["reason"]) == (route, "win_rate")
    assert client.completion(model="cascade", messages=said(EASY)).routellm["route"] == "fast"
    coder = client.completion(model="coder", messages=said(EASY))
    assert (coder.routellm["route"], coder.routellm["reason"]) == ("coder", "override")
    plain = client.completion(model="openai/middle", messages=said(EASY))
    assert not hasattr(plain, "routellm")


def test_each_expert_has_its_breaker_its_endpoint_and_its_arguments(
    upstream: OpenAIServer,
) -> None:
    with OpenAIServer() as other:
        client = controller(
            upstream,
            breaker=True,
            endpoints={"coder": Endpoint(other.base_url, "key-coder")},
            drop_params={"coder": ["temperature"]},
        )
        upstream.script(*[Step(status=500)] * 9, model="small")
        for _ in range(6):
            client.completion(
                model="auto", messages=said(EASY), temperature=0.5, max_retries=0, num_retries=0
            )
        assert upstream.models_asked() == ["small"] * 5
        assert other.models_asked() == ["middle"] * 6
        assert other.requests[0].headers["authorization"] == "Bearer key-coder"
        assert "temperature" not in other.requests[0].body
        assert upstream.requests[0].body["temperature"] == 0.5
        assert set(client.guards.breakers) == set(EXPERTS)


def test_a_budget_that_the_next_step_would_pass_gives_out_the_draft(
    upstream: OpenAIServer,
) -> None:
    from routellm_core import Budget

    prices = {model: Price(model, 0.0, 1.0) for model in EXPERTS.values()}
    upstream.script(Step(text="I can't help with that."), model="small")
    client = controller(upstream, budget=Budget(1.5, prices=prices, answer_tokens=1))
    answer = client.completion(model="auto", messages=said(EASY))
    assert (answer.routellm["route"], answer.routellm["reason"]) == ("fast", "budget")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"experts": EXPERTS, "strategy": None}, "need a `strategy`"),
        ({"experts": EXPERTS, "strong_model": "openai/big"}, "Pass `experts`, or"),
        ({"strong_model": "openai/big", "experts": None}, "Pass both"),
        ({"experts": {}}, "At least one expert"),
        ({"experts": {"a": 3}}, "must be a name, got int"),
        ({"endpoints": {"nobody": Endpoint()}}, "`endpoints` must be one of 'fast'"),
        ({"endpoints": {"fast": {"key": "hidden"}}}, "must be an `Endpoint`"),
        ({"drop_params": {"weak": ["seed"]}}, "`drop_params` must map"),
        ({"strategy": "cascade"}, "`strategy` must be a `Strategy`, got str"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(
    upstream: OpenAIServer, wrong: dict[str, Any], says: str
) -> None:
    with pytest.raises(RoutingError, match=says) as raised:
        controller(upstream, **{"strategy": REFUSES, **wrong})
    assert "hidden" not in str(raised.value)


def test_a_verifier_of_ones_own_reads_the_conversation_and_the_tools(
    upstream: OpenAIServer, way: str
) -> None:
    seen: list[Any] = []

    def looks(prompt: Any, answer: Any) -> bool:
        seen.append((prompt.text, len(prompt.messages), set(prompt.tools or {}), answer))
        return True

    Asked(controller(upstream, Cascade(check(looks), accept=0.5)), way, tools=[TOOL])
    ((text, n_messages, tools, answer),) = seen
    assert (text, n_messages, tools) == (EASY, 1, {"weather"})
    assert answer.tool_calls[0].name == "weather"
    assert answer.finish_reason == "tool_calls"


TOOL_RESULT = [
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
        ],
    },
    {"role": "tool", "tool_call_id": "1", "content": "Rain"},
]


def test_the_steps_of_a_tool_loop_stay_with_the_expert_that_answered(
    upstream: OpenAIServer, way: str
) -> None:
    client = controller(upstream, VALID)
    upstream.script(BAD_CALL, model="small")
    assert Asked(client, way, tools=[TOOL]).record["route"] == "coder"
    steps = [*said(EASY), *TOOL_RESULT]
    later = Asked(client, way, tools=[TOOL], messages=steps)
    assert (later.record["route"], later.record["reason"]) == ("coder", "sticky")
    assert upstream.models_asked() == ["small", "middle", "middle"]
    anew = Asked(client, way, tools=[TOOL], messages=[*steps, *said("And now?")])
    assert anew.record["route"] == "fast"
    by_threshold = Asked(client, way, messages=steps, model="router-mf-0.5")
    assert by_threshold.record["reason"] == "win_rate"
