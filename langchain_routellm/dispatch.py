"""Route at the level of a Runnable: decide, then call the target, and open no run of one's own."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing, closing
from time import perf_counter
from typing import Any, cast

from langchain_core.language_models import LanguageModelInput
from langchain_core.runnables import Runnable, RunnableConfig, ensure_config
from langchain_core.runnables.utils import ConfigurableFieldSpec

from langchain_routellm.calls import Call
from langchain_routellm.consuming import ConsumedRunnable
from langchain_routellm.reading import Asked, Structured
from langchain_routellm.routing import Routing
from routellm_core.plan import adrive, astream, drive, stream

__all__ = ["Dispatching", "offers_tools"]


class Dispatching:
    """Give a Runnable its entry points: each decides once and calls the target of the same name.

    A subclass says how to decide, and which Runnable and arguments stand behind a route.
    """

    @abstractmethod
    def _routing(self) -> Routing:
        """Return how calls are decided; the first time this may load a router."""

    @abstractmethod
    async def _arouting(self) -> Routing:
        """Return how calls are decided without blocking the event loop."""

    @abstractmethod
    def _target(
        self, route: str, kwargs: dict[str, Any], *, draft: bool = False
    ) -> tuple[Runnable[Any, Any], dict[str, Any]]:
        """Return the Runnable of a route and the arguments to call it with.

        Parameters
        ----------
        route
            The name of an expert.
        kwargs
            The call's arguments.
        draft
            Whether the answer may be rejected.
        """

    def _asked(self, model_input: LanguageModelInput, kwargs: Mapping[str, Any]) -> Asked:
        """Return a call's input for verifiers."""
        return Asked(model_input, kwargs)

    def _signed(self, call: Call, answer: Any) -> Any:
        """Return an answer in the caller's form, with its call's record."""
        return call.signed(answer)

    def _offers_tools(self, kwargs: Mapping[str, Any]) -> bool:
        return offers_tools(kwargs)

    def _signed_chunk(self, call: Call, chunk: Any) -> Any:
        """Return a chunk in the caller's form; a whole structured answer has no record yet."""
        return self._signed(call, chunk) if isinstance(chunk, Structured) else chunk

    def _drafted(self, call: Call, answer: Any) -> Any:  # noqa: ARG002 - for structured answers
        """Return an answer in the form in which it is verified."""
        return answer

    def _streamed(
        self, call: Call, target: Runnable[Any, Any], model_input: Any, rest: dict[str, Any]
    ) -> Iterator[Any]:
        """Open a target's stream."""
        return target.stream(model_input, call.config(), **rest)

    def _astreamed(
        self, call: Call, target: Runnable[Any, Any], model_input: Any, rest: dict[str, Any]
    ) -> AsyncIterator[Any]:
        """Open a target's stream."""
        return target.astream(model_input, call.config(), **rest)

    @property
    def config_specs(self) -> list[ConfigurableFieldSpec]:
        """What a call's `configurable` may hold."""
        return [
            ConfigurableFieldSpec(
                id="routellm_route",
                annotation=str,
                name="Route",
                description="The name of an expert, 'strong' or 'weak' of a pair: go there.",
                default=None,
                is_shared=True,
            ),
            ConfigurableFieldSpec(
                id="routellm_threshold",
                annotation=float,
                name="Threshold",
                description="In [0, 1]: the threshold of this call.",
                default=None,
                is_shared=True,
            ),
        ]

    def _begin(
        self,
        model_input: LanguageModelInput,
        config: RunnableConfig | None,
        kwargs: dict[str, Any],
        *,
        kind: type[Call] = Call,
    ) -> Call:
        routing = self._routing()
        complete = ensure_config(config)
        started_s = perf_counter()
        turn = routing.turn(model_input, tools=self._offers_tools(kwargs))
        decision = routing.decider.decide(turn, routing.overrides(complete, kwargs))
        asked = self._asked(model_input, kwargs) if routing.reads else None
        return routing.call(
            decision, turn, complete, started_s, asked=asked, target=self._target, kind=kind
        )

    async def _abegin(
        self,
        model_input: LanguageModelInput,
        config: RunnableConfig | None,
        kwargs: dict[str, Any],
        *,
        kind: type[Call] = Call,
    ) -> Call:
        routing = await self._arouting()
        complete = ensure_config(config)
        started_s = perf_counter()
        turn = routing.turn(model_input, tools=self._offers_tools(kwargs))
        decision = await routing.decider.adecide(turn, routing.overrides(complete, kwargs))
        asked = self._asked(model_input, kwargs) if routing.reads else None
        return routing.call(
            decision, turn, complete, started_s, asked=asked, target=self._target, kind=kind
        )

    def invoke(
        self,
        input: LanguageModelInput,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> Any:
        """Answer from the model that the router chooses."""
        return self._invoke_call(self._begin(input, config, kwargs), input, kwargs)

    def _invoke_call(
        self, call: Call, model_input: LanguageModelInput, kwargs: dict[str, Any]
    ) -> Any:
        def ask(call: Call) -> Any:
            target, rest = self._target(call.route, kwargs, draft=call.is_draft)
            return self._drafted(
                call, target.invoke(call.given(model_input), call.config(), **call.kept(rest))
            )

        answer = drive(call, ask)
        call.show()
        return self._signed(call, answer)

    async def ainvoke(
        self,
        input: LanguageModelInput,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> Any:
        """Answer from the model that the router chooses."""
        return await self._ainvoke_call(await self._abegin(input, config, kwargs), input, kwargs)

    async def _ainvoke_call(
        self, call: Call, model_input: LanguageModelInput, kwargs: dict[str, Any]
    ) -> Any:
        async def ask(call: Call) -> Any:
            target, rest = self._target(call.route, kwargs, draft=call.is_draft)
            return self._drafted(
                call,
                await target.ainvoke(call.given(model_input), call.config(), **call.kept(rest)),
            )

        answer = await adrive(call, ask)
        await call.ashow()
        return self._signed(call, answer)

    def stream(
        self,
        input: LanguageModelInput,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> Iterator[Any]:
        """Stream the answer of the model that the router chooses."""
        return self._routed_stream(input, config, kwargs)

    def _routed_stream(
        self,
        model_input: LanguageModelInput,
        config: RunnableConfig | None,
        kwargs: dict[str, Any],
    ) -> Iterator[Any]:
        """Stream a call, which is begun when the first chunk is asked for."""

        def open_(call: Call) -> Iterator[Any]:
            target, rest = self._target(call.route, kwargs, draft=call.is_draft)
            if call.drafting is not None:
                return self._streamed(call, target, call.given(model_input), call.kept(rest))
            return target.stream(call.given(model_input), call.config(), **call.kept(rest))

        call = self._begin(model_input, config, kwargs)
        if call.drafting is None:
            yield from stream(call, open_)
            return
        with closing(stream(call, open_)) as chunks:
            for chunk in chunks:
                call.show()
                yield self._signed_chunk(call, chunk)

    def astream(
        self,
        input: LanguageModelInput,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[Any]:
        """Stream the answer of the model that the router chooses."""
        return self._routed_astream(input, config, kwargs)

    def astream_events(
        self,
        input: Any,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        *,
        version: Any = "v2",
        **kwargs: Any,
    ) -> Any:
        """Stream the events of the chosen model's run, and of those before it that failed."""
        events = super() if version != "v2" else ConsumedRunnable(cast("Any", self))
        return cast("Any", events).astream_events(input, config, version=version, **kwargs)

    async def _routed_astream(
        self,
        model_input: LanguageModelInput,
        config: RunnableConfig | None,
        kwargs: dict[str, Any],
    ) -> AsyncGenerator[Any, None]:
        """Stream a call, which is begun when the first chunk is asked for."""

        async def open_(call: Call) -> AsyncIterator[Any]:
            target, rest = self._target(call.route, kwargs, draft=call.is_draft)
            if call.drafting is not None:
                return self._astreamed(call, target, call.given(model_input), call.kept(rest))
            return target.astream(call.given(model_input), call.config(), **call.kept(rest))

        call = await self._abegin(model_input, config, kwargs)
        async with aclosing(astream(call, open_)) as chunks:
            async for chunk in chunks:
                if call.drafting is not None:
                    await call.ashow()
                    chunk = self._signed_chunk(call, chunk)
                yield chunk


def offers_tools(kwargs: Mapping[str, Any]) -> bool:
    """Tell whether a call's arguments offer tools, bound by us or by hand."""
    return bool(kwargs.get("tools") or kwargs.get("functions"))
