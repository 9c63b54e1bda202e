"""Which web pages may call: those that are named for the API, its own for the playground."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.middleware.cors import CORSMiddleware

from routellm_core.server.errors import ApiError, send_error
from routellm_core.server.paths import is_page

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["ANY", "CrossOrigin", "PageOrigin", "check_origin"]

ANY = "*"

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[a-z0-9_.\[\]:-]+", re.ASCII)
_OWN_PORTS = {"https": 443, "http": 80}
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITE = frozenset({"same-origin", "none"})


class CrossOrigin(CORSMiddleware):
    """Let pages of the named origins call the API from a browser, and read whatever it answers.

    It answers preflights, which come without a key, and marks every other answer: errors and
    streams, too. Cookies and the browser's stored passwords are never invited: a page sends the
    key itself. The playground's pages are for no other page.

    Parameters
    ----------
    app
        The application behind.
    origins
        As `check_origin` takes them; "*" for any.
    """

    def __init__(self, app: ASGIApp, *, origins: Collection[str]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=("GET", "HEAD", "POST"),
            allow_headers=("*",),
            allow_credentials=False,
            expose_headers=("*",),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a preflight, or mark the answer of the application."""
        if is_page(scope):
            await self.app(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


class PageOrigin:
    """Answer 403 to a request for the playground that another site's page makes.

    Such a page can send forms without asking, and a browser that knows the playground's password
    adds it.

    Parameters
    ----------
    app
        The application behind.
    origins, hosts
        Whose pages are trusted besides the playground's own: where a proxy in front changes
        `Host`, the playground's own address.
    """

    def __init__(self, app: ASGIApp, *, origins: Collection[str], hosts: Collection[str]) -> None:
        self._app = app
        self._origins = frozenset(origins) - {ANY}
        self._hosts = frozenset(hosts) - {ANY}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 403."""
        if not is_page(scope) or self._is_own(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await send_error(send, _foreign(scope))
        else:
            await send({"type": "websocket.close", "code": 1008})

    def _is_own(self, scope: Scope) -> bool:
        origin = _header(scope, b"origin")
        if not origin and scope.get("method") in _SAFE:
            return True  # a link, which lets nobody read what it leads to
        site = _header(scope, b"sec-fetch-site")
        if site in _OWN_SITE:
            return True
        if not origin:
            return not site  # a program, and no browser
        if origin in self._origins:
            return True
        try:
            parts = urlsplit(origin)
            return parts.netloc == _header(scope, b"host") or parts.hostname in self._hosts
        except ValueError:
            return False


def check_origin(origin: str) -> str:
    """Return an origin of the setting `cors_origins` as browsers write it.

    Raises
    ------
    ValueError
        If it is neither "*" nor a scheme and a host, with or without a port.

    Examples
    --------
    >>> check_origin("https://App.example.com:443")
    'https://app.example.com'
    """
    lowered = origin.lower()
    if lowered != ANY and not _ORIGIN.fullmatch(lowered):
        raise ValueError(
            f"{origin!r} is no origin: write scheme, host and port, without a path or a slash "
            "at the end, as 'https://app.example.com' or "
            "'http://localhost:3000', or '*' for any"
        )
    for scheme, port in _OWN_PORTS.items():
        if lowered.startswith(f"{scheme}://"):
            lowered = lowered.removesuffix(f":{port}")
    return lowered


def _header(scope: Scope, name: bytes) -> str:
    given = [value for header, value in scope["headers"] if header == name]
    return b", ".join(given).decode("latin-1").lower()


def _foreign(scope: Scope) -> ApiError:
    origin = _header(scope, b"origin")[:100]
    return ApiError(
        f"The playground takes no requests from pages of {origin!r}. Behind a proxy that changes "
        "`Host`, name the playground's own origin in the server's setting `cors_origins`.",
        status=403,
        code="origin_not_allowed",
    )
