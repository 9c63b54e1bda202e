"""Texts on their way to a model, and verdicts on their way back."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from routellm_core.monitoring.redaction import redacted

__all__ = ["json_in", "sendable", "shortened"]

_BREAKS = re.compile(r"([\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]+)")
_OBJECT = re.compile(r"\{[^{}]{0,2000}\}")


def sendable(text: str, *, redact: bool) -> str:
    r"""Return a text for a model, without what looks like a key or a password.

    Half surrogate pairs, which no request can carry, become question marks.

    Examples
    --------
    >>> sendable("My key:\n sk-abcdefghijklmnop", redact=True)
    'My key:\n [redacted]'
    """
    text = text.encode("utf-8", "replace").decode("utf-8")
    if not redact:
        return text
    # The log's redaction escapes control characters, which are kept here.
    parts = _BREAKS.split(text)
    return "".join(part if n % 2 else redacted(part) for n, part in enumerate(parts))


def shortened(text: str, *, max_chars: int) -> str:
    r"""Return a text without its middle when it is longer than a judge is to read.

    Examples
    --------
    >>> shortened("abcdefghij", max_chars=4)
    'ab\n[... 6 characters left out ...]\nij'
    """
    if len(text) <= max_chars:
        return text
    half = max_chars // 2
    left_out = len(text) - 2 * half
    return f"{text[:half]}\n[... {left_out} characters left out ...]\n{text[-half:]}"


def json_in(text: str) -> Mapping[str, Any] | None:
    """Return the JSON object without inner ones that a text holds; None for none, or several.

    Objects that are equal count as one. A judge that repeats the choices states none of them.

    Examples
    --------
    >>> json_in('Well: {"better": "A"}.')
    {'better': 'A'}
    >>> json_in('Is it {"better": "A"} or {"better": "B"}?') is None
    True
    """
    found: list[Mapping[str, Any]] = []
    for part in _OBJECT.findall(text):
        try:
            value = json.loads(part)
        except ValueError:
            continue
        if value not in found:
            found.append(value)
    return found[0] if len(found) == 1 else None
