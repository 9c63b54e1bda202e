"""Which errors of a model are worth trying another one for.

Errors are told apart by status code, error code and class name, so that no provider's library has
to be imported to know its errors.
"""

from __future__ import annotations

from typing import Any, Literal

__all__ = ["Fault", "fault_of", "retry_after_of"]

Fault = Literal["transient", "capacity", "answer", "request", "unknown"]
"""Why a call failed.

"transient": the provider is unreachable, slow, overloaded or broken; another try or another model
may work. "capacity": the prompt is too long for this model; a larger one may take it. "answer": the
provider answered with something that is no answer; another model may do better. "request": the
request, its content or its credentials are at fault; no model would answer. "unknown": anything
else, for example a bug.
"""

_TRANSIENT_STATUS = frozenset({408, 409, 425, 429, 529})
_CAPACITY_CODES = frozenset({"context_length_exceeded", "string_above_max_length"})
_CAPACITY_NAMES = frozenset(
    {"ContextWindowExceededError", "ContextOverflowError", "OpenAIContextOverflowError"}
)
_ANSWER_NAMES = frozenset(
    {
        "APIResponseValidationError",
        "EmptyAnswerError",
        "JSONDecodeError",
        "JSONSchemaValidationError",
    }
)
_REQUEST_NAMES = frozenset({"ContentPolicyViolationError", "ContentFilterFinishReasonError"})
_TRANSIENT_NAMES = frozenset(
    {
        "APIConnectionError",
        "APITimeoutError",
        "ConnectError",
        "ConnectTimeout",
        "InternalServerError",
        "OverloadedError",
        "PoolTimeout",
        "RateLimitError",
        "ReadError",
        "ReadTimeout",
        "RemoteProtocolError",
        "ResourceExhausted",
        "ServiceUnavailable",
        "ServiceUnavailableError",
        "Timeout",
        "TimeoutError",
        "TooManyRequests",
        "WriteError",
    }
)


_STUMBLES = (AttributeError, LookupError, TypeError, ValueError)
_LIBRARIES = frozenset(
    {
        "anthropic",
        "cohere",
        "google",
        "litellm",
        "llama_index",
        "mistralai",
        "ollama",
        "openai",
        "pydantic",
    }
)


def fault_of(error: BaseException) -> Fault:
    """Tell why a call failed.

    Examples
    --------
    >>> fault_of(TimeoutError())
    'transient'
    >>> fault_of(ZeroDivisionError())
    'unknown'
    """
    names = {cls.__name__ for cls in type(error).__mro__}
    if names & _CAPACITY_NAMES or getattr(error, "code", None) in _CAPACITY_CODES:
        return "capacity"
    if names & _REQUEST_NAMES:
        return "request"
    if names & _ANSWER_NAMES:
        return "answer"
    status = _status(error)
    if status is not None:
        return "transient" if status >= 500 or status in _TRANSIENT_STATUS else "request"
    if isinstance(error, (ConnectionError, TimeoutError)) or names & _TRANSIENT_NAMES:
        return "transient"
    return "answer" if _is_stumble(error) else "unknown"


def _is_stumble(error: BaseException) -> bool:
    """Return whether a model's own library tripped over its answer, as over one without choices.

    Told from where the error was raised: in anybody else's code it is a bug, to be seen.
    """
    traceback = error.__traceback__
    if traceback is None or not isinstance(error, _STUMBLES):
        return False
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    package = str(traceback.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
    if package.startswith("langchain_"):
        return package != "langchain_routellm"
    return package in _LIBRARIES


def retry_after_of(error: BaseException) -> float | None:
    """Return the pause in seconds that the provider asked for; None when it asked for none.

    Read from the `Retry-After` header of the error's response, in seconds or as an HTTP date.
    """
    value = _header(error, "retry-after")
    if value is None:
        return None
    try:
        pause = float(value)
    except (TypeError, ValueError):
        pause = _seconds_until(str(value))
    return pause if 0.0 <= pause < float("inf") else None


def _header(error: BaseException, name: str) -> Any:
    holders = (
        getattr(getattr(error, "response", None), "headers", None),
        getattr(error, "litellm_response_headers", None),  # LiteLLM's own response has none
    )
    for headers in holders:
        get = getattr(headers, "get", None)
        value = get(name) if get else None
        if value is not None:
            return value
    return None


def _seconds_until(date: str) -> float:
    from datetime import datetime, timezone
    from email.utils import parsedate_to_datetime

    try:
        then = parsedate_to_datetime(date)
    except ValueError:
        return -1.0
    if then.tzinfo is None:
        then = then.replace(tzinfo=timezone.utc)
    return max(0.0, (then - datetime.now(timezone.utc)).total_seconds())


def _status(error: BaseException) -> int | None:
    for holder in (error, getattr(error, "response", None)):
        status = getattr(holder, "status_code", None)
        if isinstance(status, int) and 400 <= status < 600:
            return status
    return None
