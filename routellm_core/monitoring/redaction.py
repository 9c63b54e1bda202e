"""Keep secrets, and what forges log lines, out of logs."""

from __future__ import annotations

import json
import logging
import re
from base64 import b64encode
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["RedactingFilter", "redacted"]

MASK = "[redacted]"

# Log lines may be long and hostile: a pattern that has read a long run needs nothing after it to
# match, or each of the run's beginnings would read it again.
_KEY_LIKE = re.compile(
    r"(?i)\b(?:sk|pk|rk|gsk|xai|hf|ghp|gho|glpat|xox[abprs])[-_][A-Za-z0-9_\-]{12,}"
    r"|\bAIza[A-Za-z0-9_\-]{20,}|\bAKIA[A-Z0-9]{12,}"
    r"|\beyJ[A-Za-z0-9_\-]{8}[A-Za-z0-9_\-.]*"  # '{"' in base64, as JSON web tokens begin
)
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9+/=._~\-]{6,}")
_NAMED = re.compile(
    r"(?i)((?:api[_\-]?key|secret|token|password|authorization)[\"']?\s*[:=]\s*[\"']?)"
    r"(?!bearer\b|basic\b)[^\s\"',;}&]{6,}"
)
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")


class RedactingFilter(logging.Filter):
    """Replace secrets in log records, and escape control characters, before a handler sees them.

    Attach it to a handler, so that the records of every library pass it::

        handler.addFilter(RedactingFilter(secrets=[key]))

    Parameters
    ----------
    secrets
        Replaced wherever they stand: plain, base64, URL-encoded, JSON-escaped or hexadecimal.
        What looks like a provider's key is replaced in any case.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self._pattern = _pattern_of(secrets)

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record's message and traceback; every record passes."""
        try:
            message = record.getMessage()
        except (TypeError, ValueError):
            message = str(record.msg)
        record.msg = redacted(message, self._pattern)
        record.args = None
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = "\n".join(
                redacted(line, self._pattern) for line in record.exc_text.split("\n")
            )
        return True

    def __repr__(self) -> str:
        return "RedactingFilter()"


def redacted(text: str, pattern: re.Pattern[str] | None = None) -> str:
    r"""Return text without what looks like a key, and with control characters escaped.

    Parameters
    ----------
    text
        One line of a log.
    pattern
        What is replaced besides.

    Examples
    --------
    >>> redacted("Authorization: Bearer abcdef123456\n200 OK")
    'Authorization: Bearer [redacted]\\n200 OK'
    """
    if pattern is not None:
        text = pattern.sub(MASK, text)
    text = _BEARER.sub(rf"\1 {MASK}", text)
    text = _KEY_LIKE.sub(MASK, text)
    text = _NAMED.sub(rf"\1{MASK}", text)
    return _CONTROL.sub(lambda found: repr(found.group())[1:-1], text)


def _pattern_of(secrets: Iterable[str]) -> re.Pattern[str] | None:
    """Return what matches any secret in any of the encodings in which it may be logged."""
    forms: set[str] = set()
    for secret in secrets:
        if not secret:
            continue
        raw = secret.encode("utf-8", "surrogatepass")
        forms |= {secret, quote(raw, safe=""), quote_plus(raw), raw.hex(), raw.hex().upper()}
        forms |= {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
        forms |= {ascii(secret)[1:-1], repr(secret)[1:-1]}
        forms |= set(_base64_forms(raw))
    if not forms:
        return None
    return re.compile("|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True)))


def _base64_forms(raw: bytes) -> Iterable[str]:
    """Yield what base64 makes of the bytes at each of the three offsets, without ragged ends."""
    for offset in range(3):
        encoded = b64encode(b"\0" * offset + raw).decode("ascii")
        start = (0, 2, 3)[offset]
        whole = encoded[start:].rstrip("=")
        whole = whole[:-1] if (offset + len(raw)) % 3 else whole
        if len(whole) >= 8:
            yield whole
            yield whole.replace("+", "-").replace("/", "_")
