"""Answer only to the names that the server is meant to have."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from routellm_core.server.errors import ApiError, send_error
from routellm_core.server.paths import HEALTH

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from routellm_core.server.settings import ServerSettings

__all__ = ["HostCheck", "check_host", "host_of"]

ANY = "*"

_OWN = frozenset({"localhost", "127.0.0.1", "::1"})
"""Names that no other site's page can make a browser send here."""

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::[0-9]{0,5})?", re.IGNORECASE | re.ASCII)
_NAME = re.compile(r"(\*\.)?[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?", re.ASCII)
_SHOWN_CHARS = 100


class HostCheck:
    """Answer 421 to a request whose `Host` is no name of this server's.

    A web page may point a name of its own at a visitor's loopback address. The browser then takes
    this server for the page's own site and lets the page ask and read. Only the `Host` gives it
    away. A key stops such a page as well, and beyond the loopback address a server has names that
    it does not know, so that without `allowed_hosts` only servers on the loopback address that
    ask for no key check. /health, where probes come by any name, is always answered.

    Parameters
    ----------
    app
        The application behind.
    settings
        Names, address and key of the server.
    """

    def __init__(self, app: ASGIApp, *, settings: ServerSettings) -> None:
        self._app = app
        allowed = settings.allowed_hosts
        is_open = settings.api_key is not None or not settings.is_local
        self._any = ANY in allowed or (is_open and not allowed)
        self._names = _OWN | {settings.host.lower(), *allowed}
        self._endings = tuple(name[1:] for name in allowed if name.startswith("*."))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 421."""
        if scope["type"] == "lifespan" or self._any or self._is_ours(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await send_error(send, _misdirected(scope))
        else:
            await send({"type": "websocket.close", "code": 1008})

    def _is_ours(self, scope: Scope) -> bool:
        if scope["type"] == "http" and scope["path"] == HEALTH:
            return True
        host = host_of(_given(scope))
        if host is None:
            return False
        # The address that the connection came in by is a number, and no page's own name.
        bound = scope.get("server")
        return (
            host in self._names
            or host.endswith(self._endings)
            or (bound is not None and host == bound[0].lower())
        )


def host_of(header: str) -> str | None:
    """Return the host of a `Host` header, in lower case; None where there is none.

    Examples
    --------
    >>> host_of("LocalHost:6060"), host_of("[::1]:6060"), host_of("a b")
    ('localhost', '::1', None)
    """
    found = _HOST.fullmatch(header)
    return found[1].strip("[]").lower().removesuffix(".") if found else None


def check_host(name: str) -> str:
    """Return a name of the setting `allowed_hosts`, in lower case and without brackets.

    Raises
    ------
    ValueError
        If it is neither a host's name, an address, nor "*" with or without the end of a name.
    """
    host = name.lower().removeprefix("[").removesuffix("]")
    if host == ANY or _NAME.fullmatch(host):
        return host
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        raise ValueError(
            f"{name!r} is no host: write a name or an address without scheme and port, as "
            "'llm.example.com', '*.example.com' or '192.168.1.5', or '*' for any"
        ) from None


def _given(scope: Scope) -> str:
    given = [value for name, value in scope["headers"] if name == b"host"]
    return given[0].decode("latin-1") if len(given) == 1 else ""


def _misdirected(scope: Scope) -> ApiError:
    given = [value for name, value in scope["headers"] if name == b"host"]
    shown = b", ".join(given).decode("latin-1")[:_SHOWN_CHARS]
    return ApiError(
        f"The host {shown!r} is not served here. Ask for localhost or 127.0.0.1, or add the "
        "host's name to the server's setting `allowed_hosts` (ROUTELLM_ALLOWED_HOSTS, "
        "--allowed-hosts).",
        status=421,
        code="host_not_allowed",
    )
