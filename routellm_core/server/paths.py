"""Serve paths as clients write them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["HEALTH", "ClientPaths", "is_page"]

HEALTH = "/health"
"""The one path that is open to everybody, under any name."""

_VERSION = "/v1"
_VERSIONED = ("/chat/completions", "/models", "/outcomes")
_PAGE = "/playground"


class ClientPaths:
    """Take paths without /v1 or with a slash at the end, and HEAD wherever GET is taken.

    Clients build the address of a call from a base URL that users write with or without the
    version and the slash. A redirect would not do: many clients do not send a POST again.

    Parameters
    ----------
    app
        The application behind.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on under the path that is served."""
        if scope["type"] != "http" or is_page(scope):
            await self._app(scope, receive, send)
            return
        path = _served(scope["path"])
        if path != scope["path"]:
            scope = {**scope, "path": path, "raw_path": path.encode()}
        if scope["method"] == "HEAD":
            scope, send = {**scope, "method": "GET"}, _without_body(send)
        await self._app(scope, receive, send)


def is_page(scope: Scope) -> bool:
    """Return whether a request is for the playground or what belongs to it."""
    path: str = scope.get("path", "")
    return path == _PAGE or path.startswith(f"{_PAGE}/")


def _served(path: str) -> str:
    path = path.rstrip("/") or "/"
    is_versioned = any(path == known or path.startswith(f"{known}/") for known in _VERSIONED)
    return _VERSION + path if is_versioned else path


def _without_body(send: Send) -> Send:
    async def headers_only(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return headers_only
