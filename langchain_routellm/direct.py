"""The older entry points, `generate` and `_generate`, for those who still call them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from time import perf_counter
from typing import Any, cast

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatResult, LLMResult
from langchain_core.runnables import RunnableBinding, RunnableConfig, ensure_config

from langchain_routellm.calls import Call
from langchain_routellm.dispatch import Dispatching
from routellm_core.plan import adrive, drive

__all__ = ["DirectCalls"]


class DirectCalls(Dispatching):
    """Add `generate`, `agenerate` and the hooks below them.

    `generate` opens the target's own runs, one for each list of messages; `_generate` runs inside
    whatever run its caller has opened.
    """

    def generate(
        self,
        messages: list[list[BaseMessage]],
        stop: list[str] | None = None,
        callbacks: Any = None,
        **kwargs: Any,
    ) -> LLMResult:
        """Answer each list of messages from the model that the router chooses for it."""
        settings, kwargs = _split(callbacks, kwargs)
        calls = self._calls(messages, settings, kwargs)
        results = [
            self._generate_call(call, item, {**kwargs, "stop": stop})
            for call, item in zip(calls, messages, strict=True)
        ]
        return _joined(results)

    async def agenerate(
        self,
        messages: list[list[BaseMessage]],
        stop: list[str] | None = None,
        callbacks: Any = None,
        **kwargs: Any,
    ) -> LLMResult:
        """Answer each list of messages from the model that the router chooses for it."""
        settings, kwargs = _split(callbacks, kwargs)
        calls = await self._acalls(messages, settings, kwargs)
        tasks = [
            self._agenerate_call(call, item, {**kwargs, "stop": stop})
            for call, item in zip(calls, messages, strict=True)
        ]
        return _joined(await asyncio.gather(*tasks))

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> ChatResult:
        call = self._begin(messages, None, kwargs)
        kwargs["stop"] = stop

        def ask(call: Call) -> ChatResult:
            model, rest = self._model(call, kwargs)
            # The caller's run shows tokens as they come, and a draft's are not shown.
            manager = None if call.is_draft else run_manager
            result = model._generate(_given(call, messages), run_manager=manager, **rest)
            call.note_usage(result)
            return result

        return cast("ChatResult", call.signed(drive(call, ask)))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> ChatResult:
        call = await self._abegin(messages, None, kwargs)
        kwargs["stop"] = stop

        async def ask(call: Call) -> ChatResult:
            model, rest = self._model(call, kwargs)
            manager = None if call.is_draft else run_manager
            result = await model._agenerate(_given(call, messages), run_manager=manager, **rest)
            call.note_usage(result)
            return result

        return cast("ChatResult", call.signed(await adrive(call, ask)))

    def _calls(
        self, messages: Sequence[list[BaseMessage]], config: RunnableConfig, kwargs: dict[str, Any]
    ) -> list[Call]:
        routing, started_s = self._routing(), perf_counter()
        tools, overrides = self._offers_tools(kwargs), routing.overrides(config, kwargs)
        turns = [routing.turn(item, tools=tools) for item in messages]
        decisions = routing.decider.decide_many(turns, [overrides] * len(turns))
        return [
            routing.call(
                decision,
                turn,
                config,
                started_s,
                asked=self._asked(item, kwargs),
                target=self._target,
            )
            for decision, turn, item in zip(decisions, turns, messages, strict=True)
        ]

    async def _acalls(
        self, messages: Sequence[list[BaseMessage]], config: RunnableConfig, kwargs: dict[str, Any]
    ) -> list[Call]:
        routing, started_s = await self._arouting(), perf_counter()
        tools, overrides = self._offers_tools(kwargs), routing.overrides(config, kwargs)
        turns = [routing.turn(item, tools=tools) for item in messages]
        decisions = await routing.decider.adecide_many(turns, [overrides] * len(turns))
        return [
            routing.call(
                decision,
                turn,
                config,
                started_s,
                asked=self._asked(item, kwargs),
                target=self._target,
            )
            for decision, turn, item in zip(decisions, turns, messages, strict=True)
        ]

    def _generate_call(self, call: Call, messages: list[BaseMessage], kwargs: Any) -> LLMResult:
        def ask(call: Call) -> LLMResult:
            model, rest = self._model(call, kwargs)
            return model.generate([_given(call, messages)], **_run_arguments(call), **rest)

        answer = drive(call, ask)
        call.show()
        return cast("LLMResult", call.signed(answer))

    async def _agenerate_call(
        self, call: Call, messages: list[BaseMessage], kwargs: Any
    ) -> LLMResult:
        def ask(call: Call) -> Awaitable[LLMResult]:
            model, rest = self._model(call, kwargs)
            return model.agenerate([_given(call, messages)], **_run_arguments(call), **rest)

        answer = await adrive(call, ask)
        await call.ashow()
        return cast("LLMResult", call.signed(answer))

    def _model(self, call: Call, kwargs: dict[str, Any]) -> tuple[BaseChatModel, dict[str, Any]]:
        """Return the chat model itself, with what a binding around it would add."""
        target, rest = self._target(call.route, kwargs, draft=call.is_draft)
        while isinstance(target, RunnableBinding):
            rest = {**target.kwargs, **rest}
            target = target.bound
        return cast("BaseChatModel", target), call.kept(rest)


def _split(callbacks: Any, kwargs: dict[str, Any]) -> tuple[RunnableConfig, dict[str, Any]]:
    """Part what belongs to the run from what belongs to the model."""
    names = ("tags", "metadata", "run_name", "run_id")
    given = {name: kwargs[name] for name in names if kwargs.get(name) is not None}
    if callbacks is not None:
        given["callbacks"] = callbacks
    rest = {name: value for name, value in kwargs.items() if name not in names}
    return ensure_config(cast("RunnableConfig", given)), rest


def _given(call: Call, messages: list[BaseMessage]) -> list[BaseMessage]:
    return cast("list[BaseMessage]", call.given(messages))


def _run_arguments(call: Call) -> dict[str, Any]:
    config = call.config()
    names = ("callbacks", "tags", "metadata", "run_name", "run_id")
    return {name: config.get(name) for name in names}


def _joined(results: Sequence[LLMResult]) -> LLMResult:
    """Return the results as one; what the provider says of a call is only kept for a single one."""
    runs = [run for result in results for run in result.run or ()]
    return LLMResult(
        generations=[generations for result in results for generations in result.generations],
        llm_output=results[0].llm_output if len(results) == 1 else {},
        run=runs or None,
    )
