"""POST /v1/outcomes: how good an answer was to its user, by the id of its call."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from routellm_core._validation import validation_faults
from routellm_core.errors import RouteLLMError
from routellm_core.monitoring.call_notes import MAX_COMMENT_CHARS, check_call_id
from routellm_core.server.errors import ApiError, api_error, send_error
from routellm_core.server.requests import ClientGone, read_body

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from routellm_core.monitoring.monitor import Monitor
    from routellm_core.server.settings import ServerSettings

__all__ = ["OutcomesEndpoint"]

_MAX_BYTES = 16 * 2**10
_READ_S = 10.0


class _Outcome(BaseModel):
    """What a client sends."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    call_id: Annotated[str, Field(min_length=1, max_length=64)]
    thumb: Literal["up", "down"] | None = None
    score: Annotated[float, Field(ge=0.0, le=1.0, strict=True)] | None = None
    comment: Annotated[str, Field(max_length=MAX_COMMENT_CHARS)] | None = None

    @model_validator(mode="after")
    def _check(self) -> _Outcome:
        if (self.thumb is None) == (self.score is None):
            raise ValueError("pass `thumb`, 'up' or 'down', or a `score` in [0, 1]")
        return self


class OutcomesEndpoint:
    """Write outcomes to the log of calls, as an ASGI application.

    A call may have been answered by another worker, or before a restart: an id that has the form of
    one is taken, and joined to its call where the log is read.

    Parameters
    ----------
    monitor
        Has the log; None where there is none.
    settings
        The most outcomes a second.
    """

    def __init__(self, monitor: Monitor | None, settings: ServerSettings) -> None:
        self._monitor = monitor
        self._bucket = _Bucket(settings.max_outcomes_per_s)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one outcome."""
        try:
            call_id = await self._taken(scope, receive)
        except ClientGone:
            return
        except RouteLLMError as error:
            await send_error(send, api_error(error))
            return
        body = json.dumps({"object": "outcome", "call_id": call_id}).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ]
        await send({"type": "http.response.start", "status": 202, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _taken(self, scope: Scope, receive: Receive) -> str:
        monitor = self._monitor
        if monitor is None:
            raise ApiError(
                "The server keeps no log of calls that outcomes could belong to: start it with "
                "`record_log`.",
                status=404,
                code="no_record_log",
            )
        self._bucket.take()
        try:
            body = await asyncio.wait_for(read_body(scope, receive, limit=_MAX_BYTES), _READ_S)
        except asyncio.TimeoutError:
            raise ApiError("The body took too long.", status=408, code="timeout") from None
        outcome = _parsed(body)
        check_call_id(outcome.call_id)
        score = outcome.thumb if outcome.score is None else outcome.score
        assert score is not None  # noqa: S101 - one of the two was checked
        await asyncio.to_thread(
            monitor.record_outcome, outcome.call_id, score, comment=outcome.comment
        )
        return outcome.call_id


def _parsed(body: bytes) -> _Outcome:
    try:
        return _Outcome.model_validate_json(body)
    except ValidationError as error:
        message = validation_faults(error, whole="The body", mapping="an object")[0]
        raise ApiError(message, code="invalid_value") from None


class _Bucket:
    """Let a number of outcomes a second pass, and as many at once."""

    def __init__(self, per_s: float) -> None:
        self._per_s = per_s
        self._most = self._left = max(1.0, per_s)
        self._at = time.monotonic()

    def take(self) -> None:
        """Take one.

        Raises
        ------
        ApiError
            If there is none.
        """
        now = time.monotonic()
        self._left = min(self._most, self._left + (now - self._at) * self._per_s)
        self._at = now
        if self._left < 1.0:
            raise ApiError(
                f"At most {self._per_s:g} outcomes a second are taken.",
                status=429,
                code="too_many_outcomes",
                headers={"retry-after": "1"},
            )
        self._left -= 1.0
