"""Which errors of a model are worth trying another one for.

Errors are told apart by status code, error code and class name, so that no provider's library has
to be imported to know its errors.
"""

from __future__ import annotations

from typing import Literal

__all__ = ["Fault", "fault_of"]

Fault = Literal["transient", "capacity", "request", "unknown"]
"""Why a call failed.

"transient": the provider is unreachable, slow, overloaded or broken; another try or another model
may work. "capacity": the prompt is too long for this model; a larger one may take it. "request":
the request or its credentials are at fault; no model would answer. "unknown": anything else, for
example a bug.
"""

_TRANSIENT_STATUS = frozenset({408, 409, 425, 429, 529})
_CAPACITY_CODES = frozenset({"context_length_exceeded", "string_above_max_length"})
_CAPACITY_NAMES = frozenset(
    {"ContextWindowExceededError", "ContextOverflowError", "OpenAIContextOverflowError"}
)
_TRANSIENT_NAMES = frozenset(
    {
        "APIConnectionError",
        "APITimeoutError",
        "ConnectError",
        "ConnectTimeout",
        "EmptyStreamError",
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
        "TooManyRequests",
        "WriteError",
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
    status = _status(error)
    if status is not None:
        return "transient" if status >= 500 or status in _TRANSIENT_STATUS else "request"
    if isinstance(error, (ConnectionError, TimeoutError)) or names & _TRANSIENT_NAMES:
        return "transient"
    return "unknown"


def _status(error: BaseException) -> int | None:
    for holder in (error, getattr(error, "response", None)):
        status = getattr(holder, "status_code", None)
        if isinstance(status, int) and 400 <= status < 600:
            return status
    return None
