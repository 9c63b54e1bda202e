"""From a request to an answer: decide, ask, and ask the strong model where the weak one fails."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from routellm_core.controller.messages import offers_tools
from routellm_core.controller.reading import fields_of, read_answer
from routellm_core.monitoring.endings import Pricing
from routellm_core.monitoring.monitor import Monitor
from routellm_core.plan import (
    OtherAnswer,
    RetrySettings,
    ShadowSettings,
    adrive,
    astream,
    escalation_filter,
    make_guards,
)
from routellm_core.server.errors import ApiError
from routellm_core.server.events import usage_of
from routellm_core.server.served_call import ServedCall, WholeAnswer
from routellm_core.server.strategy_headers import strategy_headers
from routellm_core.server.upstream import ModelCall

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from routellm_core.answers import Answer as VerifierAnswer
    from routellm_core.answers import Request
    from routellm_core.controller.fleet import Fleet
    from routellm_core.plan import Guards
    from routellm_core.policy import Decider, Overrides, Turn
    from routellm_core.server.requests import ChatRequest
    from routellm_core.server.settings import ServerSettings
    from routellm_core.server.upstream import Upstream
    from routellm_core.types import Decision

__all__ = ["Answer", "ChatService", "EarlyAnswer", "StreamedAnswer"]

_FEW_MESSAGES = 256
_ESCALATE = escalation_filter(None)
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_COMMENT = b": keep-alive\n\n"
_COMMENT_S = 5.0
_SETTLED_BEFORE_S = 1.0
_SHADOW_DRAIN_S = 2.0


@dataclass(frozen=True, slots=True)
class Answer:
    """Be a whole answer: its JSON, and where it comes from."""

    decision: Decision
    body: bytes
    headers: Mapping[str, str]
    """Those of the provider's that a client may see."""


@dataclass(frozen=True, slots=True)
class StreamedAnswer:
    """Be an answer that has begun: where it comes from, and its events from the first one on."""

    decision: Decision
    events: AsyncGenerator[bytes, None]
    headers: Mapping[str, str]
    """Those of the provider's that a client may see."""


class EarlyAnswer:
    """A stream that begins with comments, before its model is settled.

    Parameters
    ----------
    task
        Finds the answer.
    """

    def __init__(self, task: asyncio.Future[StreamedAnswer]) -> None:
        self.decision: Decision | None = None
        """Where the answer comes from, once that is settled."""
        self.headers = _NO_HEADERS
        self.events = self._events(task)

    async def _events(self, task: asyncio.Future[StreamedAnswer]) -> AsyncGenerator[bytes, None]:
        try:
            while not task.done():
                yield _COMMENT
                await asyncio.wait((task,), timeout=_COMMENT_S)
            streamed = task.result()
            self.decision = streamed.decision
            async with aclosing(streamed.events) as events:
                async for block in events:
                    yield block
        finally:
            task.cancel()


class ChatService:
    """Answer chat completion requests.

    Parameters
    ----------
    fleet
        Decides.
    upstreams
        The models, by route; empty to decide only.
    settings
        Retries and the total time.
    open_model
        Opens a model by its name, for verifiers that name one; None for the experts only.
    on_decision
        Told how many seconds each decision took.
    """

    def __init__(
        self,
        fleet: Fleet,
        upstreams: Mapping[str, Upstream],
        settings: ServerSettings,
        *,
        open_model: Callable[[str], Upstream] | None = None,
        on_decision: Callable[[float], None] = lambda _: None,
    ) -> None:
        self.fleet = fleet
        self._upstreams = upstreams
        self._open_model = open_model
        self._verifiers: dict[str, Upstream] = {}
        self._pricing = Pricing()
        self._on_decision = on_decision
        self._escalate_filtered = settings.escalate_filtered
        self._stream_wait_s = settings.stream_wait_s
        self._guards = make_guards(
            retry=RetrySettings(
                retries=settings.retries,
                deadline_s=_deadline_s(settings),
                attempt_timeout_s=settings.attempt_timeout_s,
            ),
            breaker=settings.breaker,
            budget=settings.daily_budget_usd,
            monitor=_monitor(settings),
            shadow=_shadow(settings),
            models=[expert.label for expert in fleet.experts],
            routes=fleet.experts.names,
        )

    @property
    def guards(self) -> Guards:
        """The retries, breakers, budget, monitor and shadow, as they are now."""
        return self._guards

    @property
    def answers(self) -> bool:
        """Whether there are models, so that requests are answered."""
        return bool(self._upstreams)

    async def complete(
        self,
        request: ChatRequest,
        fields: Mapping[str, Any],
        *,
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> Answer:
        """Return the whole answer.

        Raises
        ------
        RouteLLMError
            If there is none.
        """
        call = await self._begun(request, fields, headers)
        try:
            answer = await adrive(call, self._ask)
        except TimeoutError as error:
            raise call.fault(error) from error
        headers = answer.headers
        if call.attempts.step is not None:
            headers = {**headers, **self._settled(call)}
        return Answer(call.decision, answer.reply.body, headers)

    async def stream(
        self,
        request: ChatRequest,
        fields: Mapping[str, Any],
        *,
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> StreamedAnswer:
        """Return an answer whose first content is there, which is when its model is settled.

        Raises
        ------
        RouteLLMError
            If no model got that far.
        """
        call = await self._begun(request, fields, headers)
        blocks = astream(call, self._open)
        try:
            first = await anext(blocks)
        except BaseException as error:
            await call.aclose()
            if isinstance(error, TimeoutError):
                raise call.fault(error) from error
            raise
        told: Mapping[str, str] = call.headers
        if call.attempts.step is not None:
            told = {**told, **self._settled(call)}
        return StreamedAnswer(call.decision, _events(first, blocks, call), told)

    async def stream_early(
        self, request: ChatRequest, fields: Mapping[str, Any], *, headers: Mapping[str, str]
    ) -> StreamedAnswer | EarlyAnswer:
        """Return what `stream` returns or, where that takes long, what begins with comments."""
        if self._stream_wait_s is None:
            return await self.stream(request, fields, headers=headers)
        task = asyncio.ensure_future(self.stream(request, fields, headers=headers))
        try:
            done, _ = await asyncio.wait((task,), timeout=self._stream_wait_s)
        except BaseException:
            task.cancel()
            raise
        return task.result() if done else EarlyAnswer(task)

    async def _begun(
        self, request: ChatRequest, fields: Mapping[str, Any], headers: Mapping[str, str]
    ) -> ServedCall:
        """Decide; return the call that follows."""
        decider, turn, overrides = await self._read(request, fields)
        began = time.perf_counter()
        decision = await decider.adecide(turn, overrides)
        self._on_decision(time.perf_counter() - began)
        by_name = overrides.route is not None
        on_answer = self.fleet.prompt_noter(decider, request.messages)
        attempts = self._guards.begin(
            decision,
            decider=decider,
            # Whoever asks for a model by its name gets no other.
            worth_escalating=_never if by_name else _ESCALATE,
            text=turn.text,
            started_s=began,
            on_answer=on_answer,
        )
        call = ServedCall(
            attempts,
            request,
            fields,
            turn,
            headers=headers,
            counts=self._counts or attempts.step is not None or on_answer is not None,
            by_name=by_name,
            escalate_filtered=self._escalate_filtered,
        )
        if attempts.step is not None:
            call.ask_verifier = partial(self._ask_model, call)
        if attempts.shadow is not None:
            call.ask_other = partial(self._ask_other, asyncio.get_running_loop(), call)
        return call

    def _ask_other(
        self, loop: asyncio.AbstractEventLoop, call: ServedCall, expert: str, *, timeout_s: float
    ) -> OtherAnswer:
        """Ask another expert what a call asked, from a thread, over the loop's connections."""
        asking = self._upstreams[expert].complete(call.sent_beside())
        try:
            future = asyncio.run_coroutine_threadsafe(asking, loop)
        except RuntimeError:  # the loop is closed: the server has stopped
            asking.close()
            raise
        try:
            reply = future.result(timeout_s)
        finally:
            future.cancel()
        return OtherAnswer(read_answer(reply.answer), usage_of(reply.answer))

    async def _read(
        self, request: ChatRequest, fields: Mapping[str, Any]
    ) -> tuple[Decider, Turn, Overrides]:
        """Return who decides a request, about what, and what its model's name settles already.

        Raises
        ------
        ApiError
            If there are no models.
        ConfigurationError
            If the model's name cannot be used.
        """
        decider, overrides = self.fleet.plan(request.model)
        if not self._upstreams:
            raise ApiError(
                "The server was started without models: it decides, and does not answer.",
                status=503,
                code="no_models",
            )
        if self.fleet.experts.own_effort(fields):
            overrides = replace(overrides, own_effort=True)
        offered = {"tools": request.tools, **(request.model_extra or {})}
        read = partial(
            self.fleet.turn,
            request.messages,
            tools=offers_tools(offered),
            decider=decider,
            overrides=overrides,
        )
        # Thousands of messages take longer to read than other requests may wait.
        few = len(request.messages) <= _FEW_MESSAGES
        return decider, read() if few else await asyncio.to_thread(read), overrides

    async def _ask(self, call: ServedCall) -> WholeAnswer:
        sent = call.sent()
        return call.answered(await self._upstreams[call.route].complete(sent), sent)

    async def _open(self, call: ServedCall) -> AsyncGenerator[bytes, None]:
        sent = call.sent()
        return call.read(self._upstreams[call.route].stream(sent), sent)

    def _settled(self, call: ServedCall) -> dict[str, str]:
        """Note whose answer a strategy gives out; return the headers that tell how."""
        self.fleet.note_answer(call.request.messages, call.route)
        return strategy_headers(call.attempts, self._pricing)

    async def _ask_model(self, call: ServedCall, question: Request) -> VerifierAnswer:
        """Ask a model for a verifier: an expert, or one that only the verifier names."""
        named = call.route if question.model is None else str(question.model)
        route = named if named in self._upstreams else self.fleet.route_of(named)
        if route is None and named not in self._verifiers and self._open_model is not None:
            self._verifiers[named] = self._open_model(named)
        upstream = self._verifiers[named] if route is None else self._upstreams[route]
        reply = await upstream.complete(ModelCall(fields_of(question), call.sent().headers))
        return replace(read_answer(reply.answer), usage=usage_of(reply.answer))

    async def aclose(self) -> None:
        """Close every connection to the models, and deliver the records on their way."""
        if self._guards.shadow is not None:
            await asyncio.to_thread(self._guards.shadow.drain, timeout_s=_SHADOW_DRAIN_S)
        for upstream in (*self._upstreams.values(), *self._verifiers.values()):
            await upstream.aclose()
        if self._guards.monitor is not None:
            await asyncio.to_thread(self._guards.monitor.close)

    @property
    def _counts(self) -> bool:
        """Whether anybody wants to know what an answer used."""
        return self._guards.monitor is not None or self._guards.budget is not None


def _deadline_s(settings: ServerSettings) -> float:
    """Return the seconds until an answer is settled, with drafts a little before a timeout."""
    whole = settings.timeout_s
    return whole if settings.strategy is None else max(0.5 * whole, whole - _SETTLED_BEFORE_S)


def _monitor(settings: ServerSettings) -> Monitor | None:
    if settings.record_log is None:
        return None
    return Monitor(settings.record_log, keep_prompt_chars=settings.record_prompt_chars)


def _shadow(settings: ServerSettings) -> ShadowSettings | None:
    if not settings.shadow:
        return None
    return ShadowSettings(
        share=settings.shadow,
        budget_usd=settings.shadow_budget_usd,
        timeout_s=settings.shadow_timeout_s,
    )


def _never(_: BaseException) -> bool:
    return False


async def _events(
    first: bytes, blocks: AsyncGenerator[bytes, None], call: ServedCall
) -> AsyncGenerator[bytes, None]:
    """Yield the answer's events."""
    try:
        async with aclosing(blocks):
            yield first
            async for block in blocks:
                yield block
        await call.farewell()
    finally:
        await call.aclose()
