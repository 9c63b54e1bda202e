"""The headers by which a trace goes on in the model's server: W3C's Trace Context and Baggage."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Scope

__all__ = ["trace_headers"]

_PARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-[!-~]*)?", re.ASCII
)
_LISTED = re.compile(r"[\t -~]+", re.ASCII)
_LONGEST = {"traceparent": 512, "tracestate": 512, "baggage": 8192}
"""Characters; a longer one is left out, as both specifications allow."""


def trace_headers(scope: Scope) -> dict[str, str]:
    """Return a request's `traceparent`, `tracestate` and `baggage`, as far as they are valid.

    A list that was sent in several headers becomes one. Without one valid `traceparent` there is
    no `tracestate`. Nothing but printable ASCII goes on: clients of providers refuse to send the
    rest, which would look like a fault of the model.

    References
    ----------
    W3C, Trace Context, level 1, sections 3.2 and 3.3; W3C, Baggage, section 3.

    Examples
    --------
    >>> headers = [(b"traceparent", b"nonsense"), (b"baggage", b"a=1"), (b"baggage", b"b=2")]
    >>> trace_headers({"headers": headers})
    {'baggage': 'a=1,b=2'}
    """
    found: dict[str, list[str]] = {name: [] for name in _LONGEST}
    for raw, value in scope["headers"]:
        values = found.get(raw.decode("latin-1"))
        if values is not None:
            values.append(value.decode("latin-1").strip(" \t"))
    # Two parents make a value that is none.
    sent = {name: ",".join(filter(None, values)) for name, values in found.items()}
    kept = {
        name: value
        for name, value in sent.items()
        if len(value) <= _LONGEST[name]
        and (_PARENT if name == "traceparent" else _LISTED).fullmatch(value)
    }
    if "traceparent" not in kept:
        kept.pop("tracestate", None)
    return kept
