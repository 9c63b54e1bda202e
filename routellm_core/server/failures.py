"""Answer also where the application fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from routellm_core.server.errors import ApiError, send_error

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["FailureAnswer"]


class FailureAnswer:
    """Answer 500 where the application raises before its answer begins, and let the error go on.

    Starlette's own answer passes by every other middleware, and a page of another origin could
    not read it.

    Parameters
    ----------
    app
        The application behind.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_begun = False

        async def noted(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except Exception:
            if not has_begun:
                error = ApiError("The server failed.", status=500, code="server_error")
                await send_error(send, error)
            raise
