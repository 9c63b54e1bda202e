"""Which errors of a model are worth trying another one for.

Errors are told apart by status code, error code and class name, so that no provider's library has
to be imported to know its errors.
"""

from __future__ import annotations

from typing import Any, Literal

from routellm_core.policy.prompt_length import is_prompt_too_long

__all__ = ["Fault", "fault_of", "retry_after_of"]

Fault = Literal["transient", "capacity", "answer", "request", "configuration", "unknown"]
"""Why a call failed.

"transient": the provider is unreachable, slow, overloaded or broken; another try or another model
may work. "capacity": the prompt is too long for this model; a larger one may take it. "answer": the
provider answered with something that is no answer; another model may do better. "request": the
request or its content is at fault; no model would answer. "configuration": the model cannot be
asked as it is set up: its credentials, provider, name or library are missing or wrong, which every
call would meet again and nobody would see if another model answered. "unknown": anything
else, for example a bug.
"""

_TRANSIENT_STATUS = frozenset({408, 409, 425, 429, 529})
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
_CONFIGURATION_STATUS = frozenset({401, 404})
_CONFIGURATION_NAMES = frozenset(
    {
        "AuthenticationError",
        "ConfigurationError",
        "DefaultCredentialsError",
        "ImportError",
        "LiteLLMUnknownProvider",
        "NoCredentialsError",
        "NoRegionError",
        "PartialCredentialsError",
        "ProfileNotFound",
    }
)
# LiteLLM gives what it misses before a request the status 400 or 500. Plain substrings, in lower
# case.
_CONFIGURATION_WORDINGS = (
    "missing credentials",
    "api_key client option must be set",
    "api key not valid",
    "invalid api key",
    "incorrect api key",
    "api_key is not set",
    "api key is not set",
    "api_base is required",
    "llm provider not provided",
    "unmapped llm provider",
    "unable to locate credentials",
    "sdk not found",
    "library must be installed",
    "default credentials were not found",
    "model_not_found",
)
_MISSING_KEY = ("missing", "api key")
_READ_CHARS = 2_000
"""LiteLLM appends a traceback, with source code and paths; what is missing comes before."""
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
    status = _status(error)
    if names & _CAPACITY_NAMES or _is_too_long(error, status):
        return "capacity"
    if names & _REQUEST_NAMES:
        return "request"
    if names & _CONFIGURATION_NAMES or _is_misconfigured(error, status):
        return "configuration"
    if names & _ANSWER_NAMES:
        return "answer"
    if status is not None:
        return "transient" if status >= 500 or status in _TRANSIENT_STATUS else "request"
    if isinstance(error, (ConnectionError, TimeoutError)) or names & _TRANSIENT_NAMES:
        return "transient"
    return "answer" if _is_stumble(error) else "unknown"


def _is_too_long(error: BaseException, status: int | None) -> bool:
    if type(error).__module__ == "builtins":
        return False  # a bug may speak of prompts, too
    message = getattr(error, "message", None)
    text = f"{error} {message}" if isinstance(message, str) else str(error)
    codes = _codes(error) or (None,)
    return any(is_prompt_too_long(status=status, code=code, message=text) for code in codes)


def _is_misconfigured(error: BaseException, status: int | None) -> bool:
    if status in _CONFIGURATION_STATUS:
        return True
    if type(error).__module__ == "builtins" or status not in (None, 400, 500):
        return False
    cause = error.__cause__ or error.__context__
    if cause is not None and type(cause).__name__ in _CONFIGURATION_NAMES - {"ImportError"}:
        return True
    # "Missing Gemini API key", and the same of other providers.
    text = str(error)[:_READ_CHARS].lower()
    begin = text.find(_MISSING_KEY[0])
    if begin >= 0 and _MISSING_KEY[1] in text[begin : begin + 60]:
        return True
    return any(wording in text for wording in _CONFIGURATION_WORDINGS)


def _codes(error: BaseException) -> tuple[object, ...]:
    """Return the codes and types that an error or the body of its answer names."""
    body = getattr(error, "body", None)
    inner = body.get("error", body) if isinstance(body, dict) else None
    said = inner if isinstance(inner, dict) else {}
    named = [getattr(error, name, None) or said.get(name) for name in ("code", "type")]
    return tuple(code for code in named if isinstance(code, str))


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
    response = getattr(error, "response", None)
    # botocore's response is a dictionary; Google's errors have an integer `code`.
    answer = response.get("ResponseMetadata", {}) if isinstance(response, dict) else {}
    candidates = (
        getattr(error, "status_code", None),
        getattr(response, "status_code", None),
        answer.get("HTTPStatusCode"),
        getattr(error, "code", None),
    )
    return next((int(c) for c in candidates if isinstance(c, int) and 400 <= c < 600), None)
