"""Another model is asked after the answer: on every way in, and in nobody's sight."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler

from routellm_core import Monitor, ShadowSettings
from routellm_core.labeling import read_logged_prompts
from routellm_core.testing import Step
from tests.faults.applications import EASY, PRICES
from tests.promises.ways_in import WAYS, Way
from tests.server.raw_upstream import wait_until

pytestmark = pytest.mark.loopback

every_way = pytest.mark.parametrize("way", WAYS, ids=str)
TALKER = {way.application: way for way in reversed(WAYS)}
one_way_each = pytest.mark.parametrize("way", TALKER.values(), ids=str)


def options(way: Way, log: Path, *, kept: int = 10_000, **settings: Any) -> dict[str, Any]:
    """Return what makes an application whose every call has a shadow."""
    if way.application == "server":
        named = {f"shadow_{name}": value for name, value in settings.items()}
        return {"shadow": 1.0, "record_prompt_chars": kept, **named}
    monitor = Monitor(log, prices=PRICES, keep_prompt_chars=kept)
    return {"monitor": monitor, "shadow": ShadowSettings(share=1.0, **settings)}


def lines(log: Path, kind: str | None) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    return [row for row in rows if row.get("kind") == kind]


def shadow_of(app: Any, way: Way, log: Path) -> dict[str, Any]:
    """Return the line of the last shadow, once it is there."""
    if way.application != "server":
        assert app.model.guards.shadow.drain(timeout_s=10.0)
    wait_until(lambda: log.exists() and bool(lines(log, "shadow")))
    return lines(log, "shadow")[-1]


@every_way
async def test_the_other_model_is_asked_the_same_and_both_answers_are_kept(
    application, way: Way, tmp_path: Path
) -> None:
    log = tmp_path / "calls.jsonl"
    app = application(way.application, **options(way, log))
    assert await way(app, EASY) == f"small heard: {EASY}"
    shadow = shadow_of(app, way, log)
    assert app.asked() == ["small", "big"]
    [record] = [row for row in lines(log, None) if row["call_id"] == shadow["call_id"]]
    assert (record["route"], record["shadow_share"]) == ("weak", 1.0)
    assert (shadow["outcome"], shadow["route"], shadow["share"]) == ("answered", "strong", 1.0)
    assert shadow["answers"] == {record["model"]: f"small heard: {EASY}",
                                 shadow["model"]: f"big heard: {EASY}"}  # fmt: skip
    # As `routellm label` reads it: one prompt, and no call left to pay for.
    [prompt] = read_logged_prompts(log).prompts
    assert prompt.prompt == EASY
    assert prompt.named(["big", "small"]).answers == {
        "small": f"small heard: {EASY}",
        "big": f"big heard: {EASY}",
    }


@every_way
async def test_a_shadow_that_fails_is_the_callers_in_nothing(
    application, way: Way, tmp_path: Path
) -> None:
    log = tmp_path / "calls.jsonl"
    app = application(way.application, **options(way, log))
    app.server.script(Step(status=500), model="big")
    assert await way(app, EASY) == f"small heard: {EASY}"
    shadow = shadow_of(app, way, log)
    assert shadow["outcome"] == "failed"
    assert shadow["error"]
    assert "answers" not in shadow
    assert lines(log, None)[-1]["outcome"] == "answered"


@one_way_each
async def test_no_text_is_kept_that_the_log_was_not_allowed_to_keep(
    application, way: Way, tmp_path: Path
) -> None:
    log = tmp_path / "calls.jsonl"
    app = application(way.application, **options(way, log, kept=0))
    await way(app, EASY)
    assert shadow_of(app, way, log)["outcome"] == "answered"
    assert EASY not in log.read_text()
    assert "heard" not in log.read_text()


@one_way_each
async def test_a_text_longer_than_the_log_may_keep_is_not_kept_in_part(
    application, way: Way, tmp_path: Path
) -> None:
    log = tmp_path / "calls.jsonl"
    app = application(way.application, **options(way, log, kept=len(EASY)))
    await way(app, EASY)
    assert "answers" not in shadow_of(app, way, log)


class Starts(BaseCallbackHandler):
    """Count the runs that a handler sees."""

    def __init__(self) -> None:
        self.models: list[str] = []

    def on_chat_model_start(self, serialized: Any, messages: Any, **kwargs: Any) -> None:
        self.models.append(kwargs["invocation_params"]["model_name"])


async def test_no_callback_of_langchain_sees_a_shadow(application, tmp_path: Path) -> None:
    log, way = tmp_path / "calls.jsonl", TALKER["langchain"]
    app = application("langchain", **options(way, log))
    callers, models = Starts(), Starts()
    app.model.callbacks = [models]
    app.model.invoke(EASY, {"callbacks": [callers]})
    assert shadow_of(app, way, log)["outcome"] == "answered"
    assert (callers.models, models.models) == (["small"], ["small"])


class Events(BaseEventHandler):
    """Collect the events that instrumentation sees."""

    seen: list[Any]

    @classmethod
    def class_name(cls) -> str:
        return "Events"

    def handle(self, event: Any, **kwargs: Any) -> None:
        self.seen.append(event)


@pytest.mark.parametrize("way", [w for w in WAYS if w.application == "llamaindex"], ids=str)
async def test_no_handler_of_llamaindex_sees_a_shadow(
    application, way: Way, tmp_path: Path
) -> None:
    log, counter, events = tmp_path / "calls.jsonl", TokenCountingHandler(), Events(seen=[])
    app = application("llamaindex", **options(way, log))
    app.model.callback_manager = CallbackManager([counter])
    app.model.strong.callback_manager = CallbackManager([counter])
    dispatcher = get_dispatcher()
    dispatcher.add_event_handler(events)
    try:
        await way(app, EASY)
        n_seen = len(events.seen), len(counter.llm_token_counts)
        assert n_seen[0] > 0
        assert shadow_of(app, way, log)["outcome"] == "answered"
        assert (len(events.seen), len(counter.llm_token_counts)) == n_seen
    finally:
        dispatcher.event_handlers.remove(events)


async def test_no_callback_of_litellm_sees_a_shadow(application, tmp_path: Path) -> None:
    import litellm
    from litellm.integrations.custom_logger import CustomLogger

    seen: list[str] = []

    class Logger(CustomLogger):
        def log_pre_api_call(self, model: Any, messages: Any, kwargs: Any) -> None:
            seen.append(f"before {model}")

        def log_success_event(self, kwargs: Any, **rest: Any) -> None:
            seen.append(f"after {kwargs['model']}")

        async def async_log_success_event(self, kwargs: Any, **rest: Any) -> None:
            seen.append(f"after {kwargs['model']}")

        async def async_log_failure_event(self, kwargs: Any, **rest: Any) -> None:
            seen.append(f"failed {kwargs['model']}")

        def log_failure_event(self, kwargs: Any, **rest: Any) -> None:
            seen.append(f"failed {kwargs['model']}")

    log, way = tmp_path / "calls.jsonl", TALKER["controller"]
    app = application("controller", **options(way, log))
    logger = Logger()

    async def ask() -> None:
        await app.model.acompletion(model="auto", messages=[{"role": "user", "content": EASY}])
        await asyncio.sleep(0.5)  # for LiteLLM's own worker, which tells the callbacks

    litellm.callbacks.append(logger)
    try:
        await ask()
        assert "after small" in seen
        assert shadow_of(app, way, log)["outcome"] == "answered"
        app.server.script(Step(status=500), model="big")
        app.model.completion(model="router-mf-0.5", messages=[{"role": "user", "content": EASY}])
        # LiteLLM tells the callbacks of a synchronous call in a thread of its own.
        deadline = time.monotonic() + 10.0
        while seen.count("after small") < 2 and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        assert seen.count("after small") == 2
        app.model.guards.shadow.drain(timeout_s=10.0)
        assert lines(log, "shadow")[-1]["outcome"] == "failed"
        assert not [what for what in seen if "big" in what]
    finally:
        for name in ("callbacks", "success_callback", "failure_callback", "input_callback",
                     "_async_success_callback", "_async_failure_callback"):  # fmt: skip
            registered = getattr(litellm, name)
            if logger in registered:
                registered.remove(logger)


async def test_messages_that_the_caller_adds_later_are_no_part_of_a_shadow(
    application, tmp_path: Path
) -> None:
    for name in ("langchain", "controller", "llamaindex"):
        log, way = tmp_path / f"{name}.jsonl", TALKER[name]
        app = application(name, **options(way, log))
        if name == "controller":
            messages: Any = [{"role": "user", "content": EASY}]
            app.model.completion(model="auto", messages=messages)
            messages.append({"role": "assistant", "content": "Later."})
        elif name == "langchain":
            from langchain_core.messages import AIMessage, HumanMessage

            messages = [HumanMessage(EASY)]
            app.model.invoke(messages)
            messages.append(AIMessage("Later."))
        else:
            from llama_index.core.llms import ChatMessage

            messages = [ChatMessage(EASY)]
            app.model.chat(messages)
            messages.append(ChatMessage("Later.", role="assistant"))
        shadow = shadow_of(app, way, log)
        assert shadow["answers"][shadow["model"]] == f"big heard: {EASY}"
        assert "messages" not in shadow
