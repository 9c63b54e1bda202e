"""From a request to an answer: decide, ask, and ask the strong model where the weak one fails."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from routellm_core.controller.messages import offers_tools
from routellm_core.plan import RetrySettings, escalation_filter, make_guards
from routellm_core.policy import holds_answer, unusable_answer, unusable_answer_error
from routellm_core.server.errors import ApiError, NoAnswerError, UpstreamError
from routellm_core.server.events import (
    DONE,
    StreamProgress,
    begins_answer,
    event,
    event_json,
    usage_of,
)
from routellm_core.server.upstream import ModelCall
from routellm_core.types import RECORD_KEY

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from routellm_core.controller.fleet import Fleet
    from routellm_core.plan import Attempts
    from routellm_core.server.requests import ChatRequest
    from routellm_core.server.settings import ServerSettings
    from routellm_core.server.upstream import Upstream
    from routellm_core.types import Decision

__all__ = ["Answer", "ChatService", "EarlyAnswer", "StreamedAnswer"]

_FEW_MESSAGES = 256
_ESCALATE = escalation_filter(None)
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_FAREWELL_S = 0.5
_COMMENT = b": keep-alive\n\n"
_COMMENT_S = 5.0


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
    on_decision
        Told how many seconds each decision took.
    """

    def __init__(
        self,
        fleet: Fleet,
        upstreams: Mapping[str, Upstream],
        settings: ServerSettings,
        *,
        on_decision: Callable[[float], None] = lambda _: None,
    ) -> None:
        self.fleet = fleet
        self._upstreams = upstreams
        self._on_decision = on_decision
        self._escalate_filtered = settings.escalate_filtered
        self._stream_wait_s = settings.stream_wait_s
        self._guards = make_guards(
            retry=RetrySettings(
                retries=settings.retries,
                deadline_s=settings.timeout_s,
                attempt_timeout_s=settings.attempt_timeout_s,
            ),
            breaker=settings.breaker,
            budget=settings.daily_budget_usd,
            monitor=settings.record_log,
            models=(fleet.strong_model, fleet.weak_model),
        )

    @property
    def answers(self) -> bool:
        """Whether there are models, so that requests are answered."""
        return bool(self._upstreams)

    async def decide(self, request: ChatRequest) -> Attempts:
        """Return the machine that follows a request, with its first decision.

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
        offered = {"tools": request.tools, **(request.model_extra or {})}
        read = partial(
            self.fleet.turn, request.messages, tools=offers_tools(offered), decider=decider
        )
        # Thousands of messages take longer to read than other requests may wait.
        few = len(request.messages) <= _FEW_MESSAGES
        turn = read() if few else await asyncio.to_thread(read)
        began = time.perf_counter()
        decision = await decider.adecide(turn, overrides)
        self._on_decision(time.perf_counter() - began)
        by_name = overrides.route is not None
        return self._guards.begin(
            decision,
            decider=decider,
            # Whoever asks for a model by its name gets no other.
            worth_escalating=_never if by_name else _ESCALATE,
            text=turn.text,
            started_s=began,
        )

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
        attempts = await self.decide(request)
        call = ModelCall(_sent(fields), headers)
        try:
            while True:
                try:
                    upstream = self._upstreams[attempts.decision.route]
                    reply = await attempts.within(upstream.complete(call))
                    self._check(reply.answer, attempts)
                except (UpstreamError, TimeoutError) as error:
                    await _next_attempt(attempts, error)
                else:
                    attempts.succeeded(usage_of(reply.answer) if self._counts else None)
                    return Answer(attempts.decision, reply.body, call.answer_headers)
        finally:
            attempts.close()

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
        attempts = await self.decide(request)
        return await self._settled(request, ModelCall(_sent(fields), headers), attempts)

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

    async def _settled(
        self, request: ChatRequest, call: ModelCall, attempts: Attempts
    ) -> StreamedAnswer:
        """Ask until there is content."""
        wanted = request.routellm is not None and request.routellm.decision
        n_choices = call.fields.get("n")
        while True:
            blocks = self._upstreams[attempts.decision.route].stream(call)
            progress = StreamProgress(n_choices if isinstance(n_choices, int) else 1)
            try:
                held = await attempts.within(self._until_content(blocks, progress, attempts))
            except (UpstreamError, TimeoutError) as error:
                await blocks.aclose()
                await _next_attempt(attempts, error)
            except BaseException:
                await blocks.aclose()
                attempts.close()
                raise
            else:
                attempts.commit()
                if wanted:
                    held = _with_decision(held, attempts.decision)
                events = _relay(held, blocks, progress, attempts)
                return StreamedAnswer(attempts.decision, events, call.answer_headers)

    async def _until_content(
        self, blocks: AsyncGenerator[bytes, None], progress: StreamProgress, attempts: Attempts
    ) -> bytes:
        """Return the events up to and with the first that says something."""
        held: list[bytes] = []
        async for block in blocks:
            held.append(progress.read(block))
            if any(begins_answer(event_json(raw)) for raw in held[-1].split(b"\n\n")):
                self._refuse(True, progress.finish_reason, attempts)
                return b"".join(held)
            if progress.done:
                break
        self._refuse(False, progress.finish_reason, attempts)
        if progress.finish_reason is None:
            raise NoAnswerError("The model's stream ended before its first content.")
        return b"".join(held)

    def _check(self, answer: Mapping[str, Any], attempts: Attempts) -> None:
        """Refuse an answer without choices, and one that another model should give."""
        choices = [choice for choice in answer["choices"] if isinstance(choice, dict)]
        if not choices:
            raise NoAnswerError("The model's answer has no choices.")
        messages = [choice.get("message") for choice in choices]
        said = any(holds_answer(m) for m in messages if isinstance(m, dict))
        self._refuse(said, choices[0].get("finish_reason"), attempts)

    def _refuse(self, has_content: bool, finish_reason: str | None, attempts: Attempts) -> None:
        """Refuse an unusable answer where another model may give one."""
        why = unusable_answer(
            has_content=has_content,
            finish_reason=finish_reason,
            escalate_filtered=self._escalate_filtered,
        )
        by_name = attempts.decision.reason == "override"
        if why is not None and attempts.may_escalate and not by_name:
            raise NoAnswerError(str(unusable_answer_error(attempts.decision.model, why)))

    async def aclose(self) -> None:
        """Close every connection to the models, and deliver the records on their way."""
        for upstream in self._upstreams.values():
            await upstream.aclose()
        if self._guards.monitor is not None:
            await asyncio.to_thread(self._guards.monitor.close)

    @property
    def _counts(self) -> bool:
        """Whether anybody wants to know what an answer used."""
        return self._guards.monitor is not None or self._guards.budget is not None


def _never(_: BaseException) -> bool:
    return False


def _sent(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name != RECORD_KEY}


async def _next_attempt(attempts: Attempts, error: UpstreamError | TimeoutError) -> None:
    """Wait for the next attempt, or raise the error if there is none."""
    if isinstance(error, TimeoutError):
        error = UpstreamError(f"The {attempts.decision.route} model took too long.", status=504)
    if not attempts.failed(error):
        raise error
    if attempts.wait_s:
        await asyncio.sleep(attempts.wait_s)


async def _relay(
    held: bytes,
    blocks: AsyncGenerator[bytes, None],
    progress: StreamProgress,
    attempts: Attempts,
) -> AsyncGenerator[bytes, None]:
    """Yield the answer's events, and say so when it ends too early."""
    try:
        async with aclosing(blocks):
            yield held
            while not progress.done and (block := await anext(blocks, b"")):
                yield progress.read(block)
            if not progress.complete:
                raise UpstreamError("The model's stream ended within its answer.", status=502)
            attempts.succeeded(progress.usage)
            if not progress.done:
                yield DONE
            with suppress(UpstreamError, asyncio.TimeoutError):
                # To the end, after which the connection serves the next answer.
                await asyncio.wait_for(anext(blocks, None), _FAREWELL_S)
    except UpstreamError as error:
        attempts.failed(error, progress.usage)
        raise
    finally:
        attempts.close(progress.usage)


def _with_decision(held: bytes, decision: Decision) -> bytes:
    """Return the events with the decision in the first chunk."""
    events = held.split(b"\n\n")
    for index, raw in enumerate(events):
        chunk = event_json(raw)
        if isinstance(chunk, dict):
            events[index] = event({**chunk, RECORD_KEY: decision.record()}).removesuffix(b"\n\n")
            break
    return b"\n\n".join(events)
