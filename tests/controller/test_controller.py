"""The drop-in for RouteLLM's Controller, over LiteLLM and a scripted upstream."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from routellm_core.controller import Controller, RoutingError
from routellm_core.errors import UnknownRouterError
from routellm_core.testing import OpenAIServer, ScriptedRouter, Step

pytestmark = pytest.mark.loopback

STRONG, WEAK = "openai/big", "openai/small"
HARD, EASY = "Prove it.", "Hello!"
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


def said(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


@pytest.fixture
def client(upstream: OpenAIServer) -> Controller:
    router = ScriptedRouter({HARD: 0.9}, default=0.1)
    return Controller(
        {"mf": router}, STRONG, WEAK, api_base=upstream.base_url, api_key="k", threshold=0.5
    )


def test_a_name_routes_as_in_routellm(client: Controller, upstream: OpenAIServer) -> None:
    create = client.chat.completions.create
    weak = create(model="router-mf-0.5", messages=said(EASY))
    strong = create(model="router-mf-0.5", messages=said(HARD))
    assert weak.choices[0].message.content == "small heard: Hello!"
    assert strong.choices[0].message.content == "big heard: Prove it."
    assert upstream.models_asked() == ["small", "big"]
    assert weak.routellm["route"] == "weak"
    assert strong.routellm["win_rate"] == 0.9
    assert client.model_counts["scripted"] == {WEAK: 1, STRONG: 1}


def test_router_and_threshold_stand_for_the_name(client: Controller) -> None:
    answer = client.completion(router="mf", threshold=0.05, messages=said(EASY))
    assert answer.routellm["model"] == STRONG
    assert answer.routellm["threshold"] == 0.05


def test_a_share_is_a_threshold_of_the_routers_calibration(client: Controller) -> None:
    answer = client.completion(model="router-mf-share-30", messages=said(EASY))
    assert answer.routellm["threshold"] == pytest.approx(0.7)


async def test_the_async_door_gives_the_same(client: Controller) -> None:
    answer = await client.chat.completions.acreate(model="auto", messages=said(HARD))
    assert answer.choices[0].message.content == "big heard: Prove it."


@pytest.mark.parametrize("model", [STRONG, WEAK, "openai/third"])
def test_a_plain_model_name_passes_through(
    model: str, client: Controller, upstream: OpenAIServer
) -> None:
    answer = client.completion(model=model, messages=said(HARD))
    assert upstream.models_asked() == [model.removeprefix("openai/")]
    assert not hasattr(answer, "routellm")
    assert not client.model_counts


def test_a_stream_tells_its_decision_and_its_words(client: Controller) -> None:
    stream = client.completion(model="router-mf-0.5", messages=said(EASY), stream=True)
    assert stream.decision.route == "weak"
    words = [chunk.choices[0].delta.content or "" for chunk in stream]
    assert "".join(words) == "small heard: Hello!"


async def test_an_async_stream_does_so_too(client: Controller) -> None:
    stream = await client.acompletion(model="router-mf-0.5", messages=said(HARD), stream=True)
    assert stream.decision.route == "strong"
    words = [chunk.choices[0].delta.content or "" async for chunk in stream]
    assert "".join(words) == "big heard: Prove it."


def test_tools_structured_output_and_images_pass_through(
    client: Controller, upstream: OpenAIServer
) -> None:
    called = client.completion(model="router-mf-0.5", messages=said(EASY), tools=[TOOL])
    assert called.choices[0].message.tool_calls[0].function.name == "weather"
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": True}}
    filled = client.completion(model="router-mf-0.5", messages=said(EASY), response_format=form)
    assert set(json.loads(filled.choices[0].message.content)) == {"n"}
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    parts = [{"type": "text", "text": HARD}, image]
    client.completion(model="router-mf-0.5", messages=[{"role": "user", "content": parts}])
    bodies = [request.body for request in upstream.requests]
    assert bodies[0]["tools"] == [TOOL]
    assert bodies[1]["response_format"] == form
    assert bodies[2]["messages"][0]["content"] == parts
    assert bodies[2]["model"] == "big"


@pytest.mark.parametrize(
    ("step", "stream"),
    [(Step(status=500), False), (Step(status=500), True), (Step(cut_after=1), True)],
)
def test_a_weak_model_that_fails_is_followed_by_the_strong_one(
    client: Controller, upstream: OpenAIServer, step: Step, stream: bool
) -> None:
    upstream.script(*[step] * 3, model="small")
    answer = client.completion(
        model="router-mf-0.5", messages=said(EASY), stream=stream, max_retries=0
    )
    reason = answer.decision.reason if stream else answer.routellm["reason"]
    assert reason.startswith("escalation:")
    assert upstream.models_asked()[-1] == "big"


async def test_a_bad_request_is_raised_as_it_is(client: Controller, upstream: OpenAIServer) -> None:
    upstream.script(Step(status=400))
    with pytest.raises(Exception, match="Scripted error 400"):
        await client.acompletion(model="router-mf-0.5", messages=said(EASY))
    assert upstream.models_asked() == ["small"]


def test_after_the_first_content_an_error_is_final(
    client: Controller, upstream: OpenAIServer
) -> None:
    upstream.script(Step(cut_after=3), model="small")
    stream = client.completion(model="router-mf-0.5", messages=said(EASY), stream=True)
    with pytest.raises(Exception, match="peer closed"):
        list(stream)
    assert upstream.models_asked() == ["small"]


def test_each_model_is_reached_with_its_own_address_and_key(upstream: OpenAIServer) -> None:
    with OpenAIServer() as other:
        client = Controller(
            {"mf": ScriptedRouter({HARD: 1.0})},
            STRONG,
            WEAK,
            strong_api_base=other.base_url,
            strong_api_key="key-strong",
            weak_api_base=upstream.base_url,
            weak_api_key="key-weak",
        )
        client.completion(model="router-mf-0.5", messages=said(HARD))
        client.completion(model="router-mf-0.5", messages=said(EASY))
        assert other.requests[0].headers["authorization"] == "Bearer key-strong"
        assert upstream.requests[0].headers["authorization"] == "Bearer key-weak"


def test_route_and_win_rates_need_no_model(client: Controller, upstream: OpenAIServer) -> None:
    assert client.route(HARD, "mf", 0.5) == STRONG
    assert client.route(EASY, router="mf", threshold=0.5) == WEAK
    assert client.batch_calculate_win_rate([EASY, HARD], "mf").tolist() == [0.1, 0.9]
    assert upstream.requests == []


def test_a_series_of_prompts_gives_a_series_of_win_rates(client: Controller) -> None:
    pandas = pytest.importorskip("pandas")
    prompts = pandas.Series([HARD, EASY], index=["b", "a"], name="prompt")
    win_rates = client.batch_calculate_win_rate(prompts=prompts, router="mf")
    assert win_rates.to_dict() == {"b": 0.9, "a": 0.1}


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": "router-mf-2"},
        {"model": "router-bert-0.5"},
        {"model": "router-mf-much"},
        {"router": "mf"},
        {"threshold": 0.5},
        {"router": "mf", "threshold": 1.5},
        {},
    ],
)
def test_what_routellm_refuses_is_a_routing_error(client: Controller, wrong: Any) -> None:
    with pytest.raises(RoutingError):
        client.completion(messages=said(EASY), **wrong)


def test_a_router_that_is_not_loaded_is_refused(client: Controller) -> None:
    with pytest.raises(UnknownRouterError, match="Loaded routers: mf"):
        client.route(EASY, "bert", 0.5)


def test_a_key_is_not_shown(client: Controller) -> None:
    secret = Controller({"mf": ScriptedRouter()}, STRONG, WEAK, api_key="sentinel-key")
    assert "sentinel-key" not in repr(secret) + repr(vars(secret))


def test_routers_load_from_names_and_a_configuration_of_either_spelling(tmp_path: Path) -> None:
    bare = Controller(routers=["random"], strong_model=STRONG, weak_model=WEAK)
    folder = bare.routers["random"].save(tmp_path / "checkpoint")
    file = tmp_path / "config.yaml"
    file.write_text(f"random:\n  checkpoint_path: {folder}\n")
    prompts = [EASY, HARD]
    expected = bare.batch_calculate_win_rate(prompts, "random")
    for config in (file, str(file), {"random": {"checkpoint": str(folder)}}, {"mf": {}}):
        client = Controller(["random"], STRONG, WEAK, config)
        assert np.array_equal(client.batch_calculate_win_rate(prompts, "random"), expected)


def test_a_list_of_data_sets_is_refused_with_what_to_do_instead() -> None:
    config = {"sw_ranking": {"arena_battle_datasets": ["a/b", "c/d"]}}
    with pytest.raises(RoutingError, match="routellm train sw_ranking"):
        Controller(["sw_ranking"], STRONG, WEAK, config=config)


@pytest.mark.parametrize("text", ["- a\n", "random: 3\n", "a: [\n", "just words\n"])
def test_a_configuration_of_another_form_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    with pytest.raises(RoutingError):
        Controller(["random"], STRONG, WEAK, config=file)


@pytest.mark.parametrize("option", ["checkpoint_path", "checkpoint", "strong_model", "weak_model"])
def test_an_option_of_a_router_that_is_no_text_is_named(option: str) -> None:
    key = option.removesuffix("_path")
    with pytest.raises(RoutingError, match=f"`{key}` of router 'mf' must be a text, got 3"):
        Controller(["mf"], STRONG, WEAK, config={"mf": {option: 3}})


def test_a_configuration_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RoutingError, match="Cannot read"):
        Controller(["random"], STRONG, WEAK, config=tmp_path / "none.yaml")


def answered(content: str | None, reason: str) -> Step:
    message = {"role": "assistant", "content": content}
    choice = {"index": 0, "message": message, "finish_reason": reason}
    return Step(body=json.dumps({"id": "1", "object": "chat.completion", "choices": [choice]}))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "stop"),
        ("", "stop"),
        ("", "length"),
        ("  \n", "stop"),
        ("<think>\nHm.", "length"),
        ("<think>Hm.</think>\n", "stop"),
    ],
)
async def test_an_empty_answer_of_the_weak_model_is_followed_by_the_strong_one(
    client: Controller, upstream: OpenAIServer, content: str | None, reason: str
) -> None:
    upstream.script(*[answered(content, reason)] * 2, model="small")
    assert client.completion(model="auto", messages=said(EASY)).routellm["route"] == "strong"
    answer = await client.acompletion(model="auto", messages=said(EASY))
    assert answer.choices[0].message.content == "big heard: Hello!"
    upstream.script(answered(content, reason), model="big")
    passed_on = client.completion(model="auto", messages=said(HARD)).choices[0].message
    told = (passed_on.get("reasoning_content") or "") + (passed_on.content or "")
    assert told.strip("\n ") in (content or "")


def streamed(*words: str) -> Step:
    chunks = [{"index": 0, "delta": {"content": word}, "finish_reason": None} for word in words]
    chunks.append({"index": 0, "delta": {}, "finish_reason": "stop"})
    told = [json.dumps({"id": "1", "choices": [choice]}) for choice in chunks]
    return Step(events=tuple(f"data: {line}\n\n" for line in [*told, "[DONE]"]))


def words_of(chunks: Any) -> str:
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


async def test_a_stream_of_blanks_is_followed_by_the_strong_model_and_its_own_is_passed_on(
    client: Controller, upstream: OpenAIServer
) -> None:
    upstream.script(*[streamed(" ", "\n")] * 2, model="small")
    upstream.script(*[streamed(" ", "\n")] * 2, model="big")
    request: dict[str, Any] = {"model": "auto", "messages": said(EASY), "stream": True}
    assert words_of(client.completion(**request)) == " \n"
    chunks = await client.acompletion(**request)
    assert words_of([chunk async for chunk in chunks]) == " \n"
    assert upstream.models_asked() == ["small", "big"] * 2


def test_blanks_before_words_are_streamed(client: Controller, upstream: OpenAIServer) -> None:
    upstream.script(streamed(" ", "\n", "Hi"), model="small")
    chunks = client.completion(model="auto", messages=said(EASY), stream=True)
    assert words_of(chunks) == " \nHi"
    assert upstream.models_asked() == ["small"]


@pytest.mark.parametrize(("setting", "asked"), [(False, ["small"]), (True, ["small", "big"])])
def test_a_filtered_answer_is_followed_by_the_strong_one_where_that_is_set(
    upstream: OpenAIServer, setting: bool, asked: list[str]
) -> None:
    client = Controller(
        {"mf": ScriptedRouter(default=0.1)},
        STRONG,
        WEAK,
        api_base=upstream.base_url,
        api_key="k",
        threshold=0.5,
        escalate_filtered=setting,
    )
    upstream.script(answered(None, "content_filter"), model="small")
    client.completion(model="auto", messages=said(EASY))
    assert upstream.models_asked() == asked


def test_what_a_model_does_not_take_is_left_out_for_it_alone(upstream: OpenAIServer) -> None:
    client = Controller(
        {"mf": ScriptedRouter({HARD: 0.9}, default=0.1)},
        STRONG,
        WEAK,
        api_base=upstream.base_url,
        api_key="k",
        threshold=0.5,
        drop_params={"weak": ["temperature"]},
    )
    for text in (EASY, HARD):
        client.completion(model="auto", messages=said(text), temperature=0.5)
    weak, strong = upstream.requests
    assert "temperature" not in weak.body
    assert strong.body["temperature"] == 0.5


def test_drop_params_of_another_form_are_refused() -> None:
    wrongs: list[Any] = [{"small": ["seed"]}, {"weak": "seed"}]
    wrongs += [{"weak": None}, {"weak": 3}, {"weak": [3]}, {"weak": {"seed": 1}}, ["seed"], "weak"]
    for wrong in wrongs:
        with pytest.raises(RoutingError, match="drop_params"):
            Controller({"mf": ScriptedRouter()}, STRONG, WEAK, drop_params=wrong)


def test_an_answered_call_prints_nothing_and_leaves_litellm_as_it_was(
    client: Controller, upstream: OpenAIServer, capsys: pytest.CaptureFixture[str]
) -> None:
    import litellm

    before = litellm.suppress_debug_info
    upstream.script(Step(status=500), Step(status=500), model="small")
    client.completion(model="auto", messages=said(EASY), max_retries=0)
    list(client.completion(model="auto", messages=said(EASY), stream=True, max_retries=0))
    assert "Give Feedback" not in "".join(capsys.readouterr())
    assert litellm.suppress_debug_info == before


@pytest.mark.parametrize("stream", [False, True])
def test_an_empty_answer_that_no_other_model_may_replace_is_passed_on(
    upstream: OpenAIServer, stream: bool
) -> None:
    options: dict[str, Any] = {"api_base": upstream.base_url, "api_key": "k", "escalate_on": ()}
    client = Controller({"mf": ScriptedRouter({}, default=0.1)}, STRONG, WEAK, **options)
    upstream.script(Step(text=""), model="small")
    answer = client.completion(model="auto", messages=said(EASY), stream=stream)
    if stream:
        assert not any(choice.delta.content for chunk in answer for choice in chunk.choices)
    else:
        assert not answer.choices[0].message.content
    assert upstream.models_asked() == ["small"]
