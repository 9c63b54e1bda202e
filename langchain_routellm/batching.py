"""Batches: every item is scored in one go, then each is dispatched on its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from time import perf_counter
from typing import Any, NamedTuple

from langchain_core.language_models import LanguageModelInput
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.config import get_config_list

from langchain_routellm.calls import Call
from langchain_routellm.dispatch import Dispatching
from langchain_routellm.routing import Routing
from routellm_core import Decision, Overrides, RouteLLMError, Turn

__all__ = ["BatchDispatching"]

Configs = RunnableConfig | Sequence[RunnableConfig] | None


class _Item(NamedTuple):
    """One item: what was asked, and its decided call or the error that stands in for it."""

    model_input: LanguageModelInput
    call: Call | None
    error: Exception | None


class BatchDispatching(Dispatching):
    """Add the four batch entry points.

    A failing item fails in its own slot. `max_concurrency` holds for both models together.
    """

    def batch(
        self,
        inputs: Sequence[LanguageModelInput],
        config: Configs = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[Any]:
        """Answer every input from the model that the router chooses for it."""
        configs = _configs(config, len(inputs))
        items = self._items(inputs, configs, kwargs)
        return _Items(self).batch(items, configs, return_exceptions=return_exceptions, **kwargs)

    async def abatch(
        self,
        inputs: Sequence[LanguageModelInput],
        config: Configs = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[Any]:
        """Answer every input from the model that the router chooses for it."""
        configs = _configs(config, len(inputs))
        items = await self._aitems(inputs, configs, kwargs)
        return await _Items(self).abatch(
            items, configs, return_exceptions=return_exceptions, **kwargs
        )

    def batch_as_completed(
        self,
        inputs: Sequence[LanguageModelInput],
        config: Configs = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> Iterator[tuple[int, Any]]:
        """Answer as `batch` does; yield each item's index and answer when it is there."""
        configs = _configs(config, len(inputs))
        items = self._items(inputs, configs, kwargs)
        yield from _Items(self).batch_as_completed(  # type: ignore[call-overload]
            items, configs, return_exceptions=return_exceptions, **kwargs
        )

    async def abatch_as_completed(
        self,
        inputs: Sequence[LanguageModelInput],
        config: Configs = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> AsyncIterator[tuple[int, Any]]:
        """Answer as `abatch` does; yield each item's index and answer when it is there."""
        configs = _configs(config, len(inputs))
        items = await self._aitems(inputs, configs, kwargs)
        async for pair in _Items(self).abatch_as_completed(  # type: ignore[call-overload]
            items, configs, return_exceptions=return_exceptions, **kwargs
        ):
            yield pair

    def _items(
        self,
        inputs: Sequence[LanguageModelInput],
        configs: Sequence[RunnableConfig],
        kwargs: Mapping[str, Any],
    ) -> list[_Item]:
        reading = _Reading(self, self._routing(), inputs, configs, kwargs)
        decider = reading.routing.decider
        return reading.items(decider.decide_many(reading.turns, reading.overrides))

    async def _aitems(
        self,
        inputs: Sequence[LanguageModelInput],
        configs: Sequence[RunnableConfig],
        kwargs: Mapping[str, Any],
    ) -> list[_Item]:
        routing = await self._arouting()
        reading = _Reading(self, routing, inputs, configs, kwargs)
        return reading.items(await routing.decider.adecide_many(reading.turns, reading.overrides))


class _Reading:
    """Read a batch for the decider; what cannot be read keeps its error."""

    def __init__(
        self,
        owner: Dispatching,
        routing: Routing,
        inputs: Sequence[LanguageModelInput],
        configs: Sequence[RunnableConfig],
        kwargs: Mapping[str, Any],
    ) -> None:
        self._owner, self._kwargs = owner, kwargs
        tools = owner._offers_tools(kwargs)
        self.routing = routing
        self.turns: list[Turn] = []
        self.overrides: list[Overrides] = []
        self._inputs = inputs
        self._configs = configs
        self._errors: dict[int, Exception] = {}
        self._started_s = perf_counter()
        for index, (model_input, config) in enumerate(zip(inputs, configs, strict=True)):
            try:
                turn = routing.turn(model_input, tools=tools)
                override = routing.overrides(config, kwargs)
            except Exception as error:  # noqa: BLE001 - raised again in the item's own slot
                self._errors[index] = error
                continue
            self.turns.append(turn)
            self.overrides.append(override)

    def items(self, decisions: Sequence[Decision]) -> list[_Item]:
        """Return one item for each input, with the decisions for those that could be read."""
        remaining = iter(zip(decisions, self.turns, strict=True))
        items: list[_Item] = []
        for index, (model_input, config) in enumerate(
            zip(self._inputs, self._configs, strict=True)
        ):
            error = self._errors.get(index)
            call = None
            if error is None:
                try:
                    call = self._call(*next(remaining), model_input, config)
                except RouteLLMError as refused:  # by a breaker or a budget
                    error = refused
            items.append(_Item(model_input, call, error))
        return items

    def _call(
        self,
        decision: Decision,
        turn: Turn,
        model_input: LanguageModelInput,
        config: RunnableConfig,
    ) -> Call:
        owner, routing = self._owner, self.routing
        asked = owner._asked(model_input, self._kwargs) if routing.reads else None
        return routing.call(
            decision, turn, config, self._started_s, asked=asked, target=owner._target
        )


class _Items(Runnable[_Item, Any]):
    """Run decided items, with LangChain's own batching around it."""

    def __init__(self, owner: Dispatching) -> None:
        self._owner = owner

    def invoke(self, input: _Item, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002, ARG002
        if input.call is None:
            raise _error_of(input)
        return self._owner._invoke_call(input.call, input.model_input, kwargs)

    async def ainvoke(
        self,
        input: _Item,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,  # noqa: ARG002 - the call has it
        **kwargs: Any,
    ) -> Any:
        if input.call is None:
            raise _error_of(input)
        return await self._owner._ainvoke_call(input.call, input.model_input, kwargs)


def _error_of(item: _Item) -> Exception:
    return item.error or RuntimeError("A batch item has neither a call nor an error.")


def _configs(config: Configs, n: int) -> list[RunnableConfig]:
    return get_config_list(config, n) if n else []
