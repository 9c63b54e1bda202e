"""Read a request's body within limits, and check what the server has to understand of it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

from pydantic import BaseModel, ConfigDict, Field, StrictBool, ValidationError

from routellm_core._validation import validation_faults
from routellm_core.server.errors import ApiError

if TYPE_CHECKING:
    from starlette.types import Receive, Scope

    from routellm_core.server.settings import ServerSettings

# Fields of LiteLLM, of its proxy and of other gateways that choose where a request goes, with whose
# key, or whether it is answered at all: the server's to set, and not a client's.
_SERVERS_OWN = frozenset(
    {
        "additional_headers", "api_base", "api_key", "api_key_env", "api_type", "api_version",
        "base_url", "callbacks", "client", "client_id", "client_secret",
        "configurable_clientside_auth_params", "context_window_fallback_dict", "credentials",
        "custom_llm_provider", "default_headers", "default_query", "deployment_id",
        "dynamic_params", "endpoint", "extra_body", "extra_headers", "extra_query",
        "failure_callback", "fallback_models", "fallbacks", "headers", "host", "http_client",
        "http_headers", "httpx_client", "kv_transfer_params", "model_alias_map", "model_list",
        "models", "organization", "project", "provider_specific_header", "proxies", "proxy",
        "proxy_server_request", "region_name", "secret_fields", "shared_session", "silent_model",
        "ssl_verify", "success_callback", "tenant_id", "use_litellm_proxy", "user_config",
    }
)  # fmt: skip
_SERVERS_OWN_BEGINNINGS = (
    "_litellm_", "aws_", "azure_", "bootstrap_", "litellm_", "mock_", "s3_", "token_exchange_",
    "vertex_", "watsonx_",
)  # fmt: skip
_SERVERS_OWN_ENDINGS = (
    "_access_key", "_api_base", "_api_key", "_api_url", "_base_url", "_endpoint", "_host",
    "_identity_token", "_issuer_url", "_secret", "_secret_key", "_token_file", "_token_url",
)  # fmt: skip

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
        If the body is not JSON, is nested too deeply, holds too much, or lacks what is needed.
    """
    if _values_exceed(body, settings.max_json_values):
        raise _too_many("values", None, settings.max_json_values)
    try:
        fields = _DECODER.decode(body.decode("utf-8"))
        if b"\\ud" in body or b"\\uD" in body:
            fields = _encodable(fields)
    except RecursionError:
        raise _too_deep(settings.max_json_depth) from None
    except ValueError as error:
        raise ApiError(f"The body is not JSON: {error}.", code="invalid_json") from None
    if _depth_exceeds(fields, body, settings.max_json_depth):
        raise _too_deep(settings.max_json_depth)
    if isinstance(fields, dict):
        _check_counts(fields, settings)
        _check_fields(fields)
    try:
        return ChatRequest.model_validate(fields), fields
    except ValidationError as error:
        message = validation_faults(error, whole="The body", mapping="an object")[0]
        where = ".".join(map(str, error.errors(include_url=False, include_input=False)[0]["loc"]))
        raise ApiError(message, code="invalid_value", param=where or None) from None


_SIGNS = re.compile(rb'\\.|["\[{,]', re.DOTALL)
_BACKSLASH = 0x5C
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


def _too_many(what: str, n: int | None, limit: int) -> ApiError:
    found = f"{n}" if n is not None else f"more than {limit}"
    return ApiError(
        f"The request has {found} {what}; at most {limit} are accepted.",
        status=413,
        code=f"too_many_{what.replace(' ', '_')}",
    )


def _values_exceed(body: bytes, limit: int) -> bool:
    """Return whether JSON holds too many values to parse: parsing stops every other request."""
    if sum(map(body.count, (b",", b"[", b"{"))) < limit:
        return False
    n_values, in_string = 1, False
    for found in _SIGNS.finditer(body):
        sign = found[0]
        if sign == b'"':
            in_string = not in_string
        elif not in_string and sign[0] != _BACKSLASH:
            n_values += 1
            if n_values > limit:
                return True
    return False


def _encodable(value: Any) -> Any:
    """Return a value with "?" for every half of a surrogate pair, which no UTF-8 can hold.

    Only an escape can bring one into JSON. Clients of providers fail to send it, which looks like a
    failure of the model.
    """
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_encodable(item) for item in value]
    if isinstance(value, dict):
        return {_encodable(name): _encodable(item) for name, item in value.items()}
    return value


def _check_counts(fields: dict[str, Any], settings: ServerSettings) -> None:
    messages = fields.get("messages")
    contents = [m.get("content") for m in _items(messages) if isinstance(m, dict)]
    for what, n, limit in (
        ("messages", len(_items(messages)), settings.max_messages),
        ("content parts", sum(len(_items(c)) for c in contents), settings.max_parts),
        ("tools", len(_items(fields.get("tools"))), settings.max_tools),
        ("functions", len(_items(fields.get("functions"))), settings.max_tools),
    ):
        if n > limit:
            raise _too_many(what, n, limit)


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _check_fields(fields: dict[str, Any]) -> None:
    """Refuse what would make a request go elsewhere, or under another name."""
    for name in fields:
        lowered = name.lower()
        if (
            lowered in _SERVERS_OWN
            or lowered.startswith(_SERVERS_OWN_BEGINNINGS)
            or lowered.endswith(_SERVERS_OWN_ENDINGS)
        ):
            raise ApiError(
                f"The field {name[:64]!r} is not a client's to set: it belongs to the server's "
                "configuration.",
                code="unsupported_parameter",
                param=name[:64],
            )


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
