"""Let in only who knows the key."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import TYPE_CHECKING

from routellm_core.server.errors import ApiError, send_error
from routellm_core.server.paths import HEALTH, is_page

if TYPE_CHECKING:
    from pydantic import SecretStr
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["KeyCheck"]


class KeyCheck:
    """Refuse every request without the key, whatever its path, but for /health.

    Programs send it as `Authorization: Bearer KEY`. Browsers ask for it on the playground's pages,
    where it is the password and any name will do.

    Parameters
    ----------
    app
        The application behind.
    key
        What clients must know; None lets anybody in.
    """

    def __init__(self, app: ASGIApp, *, key: SecretStr | None) -> None:
        self._app = app
        self._digest = _digest(key.get_secret_value().encode()) if key else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401."""
        if scope["type"] == "lifespan" or self._may_pass(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await send_error(send, _refusal(scope))
        else:
            await send({"type": "websocket.close", "code": 1008})

    def _may_pass(self, scope: Scope) -> bool:
        if self._digest is None or (scope["type"] == "http" and scope["path"] == HEALTH):
            return True
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        header = given[0] if len(given) == 1 else b""
        scheme, _, credentials = header.partition(b" ")
        scheme = scheme.lower()  # in any case, RFC 9110, section 11.1
        if scheme == b"bearer":
            key = credentials
        elif scheme == b"basic" and is_page(scope):
            key = _password(credentials)
        else:
            key = b""
        # Digests are of one length, so that the time to compare them tells nothing of the key.
        return hmac.compare_digest(_digest(key), self._digest)


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def _password(encoded: bytes) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True).partition(b":")[2]
    except (binascii.Error, ValueError):
        return b""


def _refusal(scope: Scope) -> ApiError:
    scheme = 'Basic realm="routellm", charset="UTF-8"' if is_page(scope) else "Bearer"
    return ApiError(
        "A valid key is needed, sent as 'Authorization: Bearer KEY'.",
        status=401,
        code="invalid_api_key",
        headers={"www-authenticate": scheme},
    )
