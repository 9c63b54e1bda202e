"""From a request to an answer: decide, ask, and ask the strong model where the weak one fails."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from routellm_core.policy import RetrySettings, escalation_filter, make_guards
from routellm_core.server.errors import ApiError, UpstreamError
from routellm_core.server.events import (
    DONE,
    begins_answer,
    event,
    event_json,
    is_last,
    usage_in,
    usage_of,
)
from routellm_core.types import RECORD_KEY

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from routellm_core.controller.fleet import Fleet
    from routellm_core.policy import Attempts
    from routellm_core.server.requests import ChatRequest
    from routellm_core.server.settings import ServerSettings
    from routellm_core.server.upstream import Upstream
    from routellm_core.types import Decision

__all__ = ["Answer", "ChatService", "StreamedAnswer"]

_ESCALATE = escalation_filter(None)


@dataclass(frozen=True, slots=True)
class Answer:
    """Be a whole answer: its JSON, and where it comes from."""

    decision: Decision
    body: bytes


@dataclass(frozen=True, slots=True)
class StreamedAnswer:
    """Be an answer that has begun: where it comes from, and its events from the first one on."""

    decision: Decision
    events: AsyncGenerator[bytes, None]


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
        self._guards = make_guards(
            retry=RetrySettings(retries=settings.retries, deadline_s=settings.timeout_s),
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
        turn = self.fleet.turn(request.messages, tools=bool(request.tools), decider=decider)
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

    async def complete(self, request: ChatRequest, fields: Mapping[str, Any]) -> Answer:
        """Return the whole answer.

        Raises
        ------
        RouteLLMError
            If there is none.
        """
        attempts = await self.decide(request)
        sent = _sent(fields)
        try:
            while True:
                try:
                    body = await self._upstreams[attempts.decision.route].complete(sent)
                except UpstreamError as error:
                    await _next_attempt(attempts, error)
                else:
                    attempts.succeeded(usage_of(json.loads(body)) if self._counts else None)
                    return Answer(attempts.decision, body)
        finally:
            attempts.close()

    async def stream(self, request: ChatRequest, fields: Mapping[str, Any]) -> StreamedAnswer:
        """Return an answer whose first content is there, which is when its model is settled.

        Raises
        ------
        RouteLLMError
            If no model got that far.
        """
        attempts = await self.decide(request)
        sent = _sent(fields)
        wanted = request.routellm is not None and request.routellm.decision
        while True:
            blocks = self._upstreams[attempts.decision.route].stream(sent)
            try:
                held = await _until_content(blocks)
            except UpstreamError as error:
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
                return StreamedAnswer(attempts.decision, _relay(held, blocks, attempts))

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


async def _next_attempt(attempts: Attempts, error: UpstreamError) -> None:
    """Wait for the next attempt, or raise the error if there is none."""
    if not attempts.failed(error):
        raise error
    if attempts.wait_s:
        await asyncio.sleep(attempts.wait_s)


async def _until_content(blocks: AsyncGenerator[bytes, None]) -> bytes:
    """Return the events up to and with the first that says something."""
    held: list[bytes] = []
    async for block in blocks:
        held.append(block)
        for raw in block.split(b"\n\n"):
            if begins_answer(event_json(raw)):
                return b"".join(held)
    raise UpstreamError("The model's stream ended before its first content.", status=502)


async def _relay(
    held: bytes, blocks: AsyncGenerator[bytes, None], attempts: Attempts
) -> AsyncGenerator[bytes, None]:
    """Yield the answer's events, and say so when it ends too early."""
    ended, last, usage = is_last(held), held, usage_in(held)
    try:
        async with aclosing(blocks):
            yield held
            async for block in blocks:
                yield block
                ended, last = ended or is_last(block), block
                usage = usage_in(block) or usage
        if not ended:
            raise UpstreamError("The model's stream ended within its answer.", status=502)
        attempts.succeeded(usage)
    except UpstreamError as error:
        attempts.failed(error, usage)
        raise
    finally:
        attempts.close(usage)
    if not last.endswith(DONE):
        yield DONE


def _with_decision(held: bytes, decision: Decision) -> bytes:
    """Return the events with the decision in the first chunk."""
    events = held.split(b"\n\n")
    for index, raw in enumerate(events):
        chunk = event_json(raw)
        if isinstance(chunk, dict):
            events[index] = event({**chunk, RECORD_KEY: decision.record()}).removesuffix(b"\n\n")
            break
    return b"\n\n".join(events)
