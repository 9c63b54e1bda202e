"""The log filter: secrets in every encoding, and forged lines."""

import base64
import io
import json
import logging
import urllib.parse

import pytest

from routellm_core import RedactingFilter

SECRET = 'pässword/with+all "kinds" \\of'
ENCODED = {
    "plain": SECRET,
    "json": json.dumps(SECRET)[1:-1],
    "url": urllib.parse.quote(SECRET, safe=""),
    "form": urllib.parse.quote_plus(SECRET),
    "hex": SECRET.encode().hex(),
    "base64": base64.b64encode(SECRET.encode()).decode(),
    "base64 after one byte": base64.b64encode(b"x" + SECRET.encode()).decode(),
    "base64 in a header": base64.b64encode(f"user:{SECRET}".encode()).decode(),
    "base64 for urls": base64.urlsafe_b64encode(SECRET.encode()).decode(),
}


@pytest.fixture
def logged():
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(RedactingFilter(secrets=[SECRET]))
    logger = logging.getLogger("tests.redaction")
    logger.addHandler(handler)
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    yield logger, stream
    logger.removeHandler(handler)


@pytest.mark.parametrize("encoding", ENCODED)
def test_a_secret_is_masked_in_every_encoding(logged, encoding: str) -> None:
    logger, stream = logged
    logger.info("value=<%s> end", ENCODED[encoding])
    assert "[redacted]" in stream.getvalue()
    inner = ENCODED[encoding][6:-8]
    assert inner not in stream.getvalue()
    assert stream.getvalue().endswith("> end\n")


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer abcdefghijklmnop",
        "{'authorization': 'Basic dXNlcjpwYXNz'}",
        "key sk-proj-abcdefghijklmnop1234 leaked",
        "api_key=abcdefghijklmnop&x=1",
        '{"OPENAI_API_KEY": "abcdefghijklmnop"}',
        "AIzaSyabcdefghijklmnop-qrstuvwxyz",
    ],
)
def test_what_looks_like_a_key_is_masked_unasked(logged, text: str) -> None:
    logger, stream = logged
    logger.info(text)
    for part in ("abcdefghijklmnop", "dXNlcjpwYXNz"):
        assert part not in stream.getvalue()
    assert "[redacted]" in stream.getvalue()


def test_a_traceback_is_masked(logged) -> None:
    logger, stream = logged
    try:
        raise ValueError(f"cannot log in with {SECRET}")
    except ValueError:
        logger.exception("failed")
    assert "ValueError" in stream.getvalue()
    assert SECRET not in stream.getvalue()


def test_nothing_logged_can_forge_a_line(logged) -> None:
    logger, stream = logged
    logger.info("model %s", "gpt\r\n2026-01-01 CRITICAL forged \x1b[31m\u2028")
    assert len(stream.getvalue().splitlines()) == 1
    assert "\x1b" not in stream.getvalue()


def test_ordinary_lines_stay_as_they_are(logged) -> None:
    logger, stream = logged
    logger.info("Model %r is passed over; trying %r, %d tokens.", "gpt-4o-mini", "gpt-4o", 512)
    assert stream.getvalue() == (
        "Model 'gpt-4o-mini' is passed over; trying 'gpt-4o', 512 tokens.\n"
    )


def test_a_message_with_wrong_arguments_is_still_logged(logged) -> None:
    logger, stream = logged
    logger.info("%d items", "many")
    assert stream.getvalue() == "%d items\n"
