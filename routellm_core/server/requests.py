"""Read a request's body within limits, and check what the server has to understand of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

from pydantic import BaseModel, ConfigDict, Field, StrictBool, ValidationError

from routellm_core.server.errors import ApiError

if TYPE_CHECKING:
    from starlette.types import Receive, Scope

    from routellm_core.server.settings import ServerSettings

__all__ = ["ChatRequest", "ClientGone", "parse_chat", "read_body"]


class ClientGone(Exception):  # noqa: N818 - no error of anybody's
    """Be raised when the client left before its request was complete."""


class _Wish(BaseModel):
    """What a request asks of the router."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    decision: StrictBool = False
    """Whether the answer's body holds the decision."""


class ChatRequest(BaseModel):
    """Be what the server reads of a chat completion request; everything else passes through."""

    model_config = ConfigDict(extra="allow", hide_input_in_errors=True)

    model: Annotated[str, Field(min_length=1, max_length=512)]
    messages: Annotated[list[dict[str, Any]], Field(min_length=1)]
    stream: StrictBool | None = None
    tools: list[dict[str, Any]] | None = None
    routellm: _Wish | None = None


async def read_body(scope: Scope, receive: Receive, *, limit: int) -> bytes:
    """Return a JSON request's body, holding no more of it than the limit.

    Raises
    ------
    ApiError
        If it is too long, compressed, or not announced as JSON.
    ClientGone
        If the client left.
    """
    headers = {name: value for name, value in scope["headers"] if name in _READ}
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    # Asked for, because a web page can send anything but this to a server on its reader's machine.
    if kind != b"application/json":
        raise ApiError("The content type must be application/json.", status=415)
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise ApiError("A compressed body is not accepted.", status=415)
    announced = headers.get(b"content-length", b"0")
    if len(announced) > 15 or int(announced) > limit:
        _too_long(limit)
    parts: list[bytes] = []
    n_bytes = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        parts.append(message.get("body", b""))
        n_bytes += len(parts[-1])
        if n_bytes > limit:
            _too_long(limit)
        if not message.get("more_body"):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def parse_chat(body: bytes, settings: ServerSettings) -> tuple[ChatRequest, dict[str, Any]]:
    """Return what the server reads of a request, and all of its fields.

    Raises
    ------
    ApiError
        If the body is not JSON, is nested too deeply, or lacks what is needed.
    """
    try:
        fields = _DECODER.decode(body.decode("utf-8"))
    except RecursionError:
        raise _too_deep(settings.max_json_depth) from None
    except ValueError as error:
        raise ApiError(f"The body is not JSON: {error}.", code="invalid_json") from None
    if _depth_exceeds(fields, body, settings.max_json_depth):
        raise _too_deep(settings.max_json_depth)
    try:
        return ChatRequest.model_validate(fields), fields
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, fault["loc"]))
        message = f"{where or 'The body'}: {fault['msg']}."
        raise ApiError(message, code="invalid_value", param=where or None) from None


_READ = frozenset({b"content-type", b"content-encoding", b"content-length"})


def _too_long(limit: int) -> NoReturn:
    raise ApiError(
        f"The body must not exceed {limit} bytes.",
        status=413,
        code="body_too_long",
        headers={"connection": "close"},
    )


def _too_deep(limit: int) -> ApiError:
    return ApiError(f"The JSON must not be nested deeper than {limit}.", code="json_too_deep")


def _depth_exceeds(value: Any, body: bytes, limit: int) -> bool:
    if body.count(b"[") + body.count(b"{") <= limit or not isinstance(value, (dict, list)):
        return False
    level: list[Any] = [value]
    for _ in range(limit):
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, (dict, list))
        ]
        if not level:
            return False
    return True


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        _no_number(text[:20])
    return number


_DECODER = json.JSONDecoder(parse_constant=_no_number, parse_float=_finite)
