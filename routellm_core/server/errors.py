"""Errors as OpenAI words them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from routellm_core.errors import (
    BudgetExceededError,
    CircuitOpenError,
    ConfigurationError,
    EmptyAnswerError,
    RouteLLMError,
    UnknownModelError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import Send

__all__ = [
    "ApiError",
    "NoAnswerError",
    "UpstreamError",
    "all_words",
    "api_error",
    "error_body",
    "reported_error",
    "send_error",
]

_TYPES = {
    401: "authentication_error",
    404: "not_found_error",
    429: "rate_limit_error",
}


class ApiError(RouteLLMError):
    """Report what an HTTP client did wrong, or what went wrong for it.

    Parameters
    ----------
    message
        A sentence for the client.
    status
        HTTP status.
    code, param
        OpenAI's fields of these names.
    headers
        Added to the response.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status_code = status
        self.code = code
        self.param = param
        self.headers = dict(headers or {})

    def body(self) -> bytes:
        """Return the JSON that OpenAI's clients expect."""
        return error_body(str(self), status=self.status_code, code=self.code, param=self.param)


class UpstreamError(ApiError):
    """Report a model that failed; the status and code tell the policy what to try next.

    Parameters
    ----------
    message, status, code, headers
        See `ApiError`.
    reported
        The body that the model's provider sent, if a client may see it as it is.
    kind
        The error's type in the provider's words.
    words
        All that the provider said, where a gateway repeats another's error within its own.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
        reported: bytes | None = None,
        kind: str | None = None,
        words: str = "",
    ) -> None:
        super().__init__(message, status=status, code=code, headers=headers)
        self.reported = reported
        # Read by the policy, as the attributes of these names of providers' own errors are.
        self.type = kind
        self.message = words or message

    @property
    def response(self) -> UpstreamError:
        """The holder of `headers`, where the policy looks for a pause that was asked for."""
        return self

    def body(self) -> bytes:
        """Return the provider's own words where there are any."""
        return self.reported if self.reported is not None else super().body()


class NoAnswerError(UpstreamError, EmptyAnswerError):
    """Report a model that answered with something that is no answer.

    Parameters
    ----------
    message
        A sentence for the client.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message, status=502, code="empty_answer")


def error_body(
    message: str, *, status: int, code: str | None = None, param: str | None = None
) -> bytes:
    """Return an error as JSON: `{"error": {"message", "type", "param", "code"}}`.

    Examples
    --------
    >>> error_body("No.", status=404)
    b'{"error": {"message": "No.", "type": "not_found_error", "param": null, "code": null}}'
    """
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    error = {"message": message, "type": kind, "param": param, "code": code}
    return json.dumps({"error": error}).encode()


async def send_error(send: Send, error: ApiError) -> None:
    """Answer a request with an error, from an ASGI application or one around it."""
    body = error.body()
    told = {**error.headers, "content-type": "application/json", "content-length": str(len(body))}
    headers = [(name.encode(), value.encode()) for name, value in told.items()]
    await send({"type": "http.response.start", "status": error.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def api_error(error: RouteLLMError) -> ApiError:
    """Return what a client is told about one of the project's errors."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, UnknownModelError):
        return ApiError(str(error), status=404, code="model_not_found", param="model")
    if isinstance(error, ConfigurationError):
        return ApiError(str(error), status=400, code="invalid_value", param="model")
    if isinstance(error, CircuitOpenError):
        return ApiError(
            str(error), status=503, code="models_unavailable", headers={"retry-after": "1"}
        )
    if isinstance(error, BudgetExceededError):
        return ApiError(str(error), status=429, code="insufficient_quota")
    if isinstance(error, EmptyAnswerError):
        return ApiError(str(error), status=502, code="empty_answer")
    return ApiError("The server failed.", status=500, code="server_error")


def reported_error(parsed: Any) -> Mapping[str, Any] | None:
    """Return the error object of a provider's answer; None when it has none.

    Examples
    --------
    >>> reported_error({"object": "error", "message": "No.", "code": 40303})
    {'message': 'No.', 'type': None, 'param': None, 'code': 40303}
    >>> reported_error({"detail": [{"loc": ["body", "n"], "msg": "too many"}]})["message"]
    'body.n: too many'
    >>> reported_error({"choices": []}) is None
    True
    """
    if isinstance(parsed, list) and len(parsed) == 1:  # as Gemini wraps it
        parsed = parsed[0]
    if not isinstance(parsed, dict):
        return None
    error = parsed.get("error")
    if isinstance(error, dict):
        return error if "message" in error else {**error, "message": _words(error)}
    if isinstance(error, str) and error:
        return {"message": error}
    if "choices" in parsed or not any(name in parsed for name in _WORDS):
        return None
    return {"message": _words(parsed), **{name: parsed.get(name) for name in _ASIDE}}


_WORDS = ("message", "detail", "msg", "errors", "error_message")
"""Where servers other than OpenAI's put an error's words."""

_ASIDE = ("type", "param", "code")

_REQUESTS = frozenset({"input", "messages", "prompt"})
"""Where an error repeats the request."""

_MAX_DEPTH = 4


def all_words(error: Mapping[str, Any]) -> str:
    r"""Return every text of an error, one a line, but for what it repeats of the request.

    Examples
    --------
    >>> all_words({"message": "No.", "code": 400, "metadata": {"raw": "Too long."}})
    'No.\nToo long.'
    """
    found: list[str] = []
    level: list[Any] = [error]
    for _ in range(_MAX_DEPTH):
        level = [
            child
            for node in level
            for child in (
                [value for name, value in node.items() if name not in _REQUESTS]
                if isinstance(node, dict)
                else node
            )
        ]
        found += [child for child in level if isinstance(child, str)]
        level = [child for child in level if isinstance(child, (dict, list))]
    return "\n".join(found)


def _words(value: Any) -> str:
    """Return the words of an error of any shape."""
    if isinstance(value, list):
        return "; ".join(_words(item) for item in value)
    if not isinstance(value, dict):
        return str(value)
    said = next((value[name] for name in _WORDS if value.get(name)), None)
    if said is None:
        return json.dumps(value)
    where = value.get("loc")
    place = ".".join(map(str, where)) + ": " if isinstance(where, list) else ""
    return place + _words(said)
