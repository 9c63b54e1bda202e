"""HTTP on the wire: uvicorn's fast parser, which by itself reads headers of any length."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from routellm_core.server.errors import error_body

if TYPE_CHECKING:
    import asyncio

__all__ = ["MAX_HEADER_BYTES", "http_protocol"]

MAX_HEADER_BYTES = 64 * 2**10
"""A request with longer headers gets 431 and is disconnected."""


def http_protocol() -> type[asyncio.Protocol] | str:
    """Return the fastest HTTP parser that is installed, with headers of limited length."""
    try:
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
    except ImportError:
        return "h11"  # which has such a limit

    class LimitedProtocol(HttpToolsProtocol):
        """Count what comes before the end of a request's headers."""

        _n_header_bytes = 0
        _in_headers = True

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self._in_headers and not self.transport.is_closing():
                self._n_header_bytes += len(data)
                if self._n_header_bytes > MAX_HEADER_BYTES:
                    self.transport.write(_TOO_LONG)
                    self.transport.close()

        def on_message_begin(self) -> None:
            self._in_headers, self._n_header_bytes = True, 0
            super().on_message_begin()

        def on_headers_complete(self) -> Any:
            self._in_headers = False
            return super().on_headers_complete()

    return LimitedProtocol


_BODY = error_body(f"The headers must not exceed {MAX_HEADER_BYTES} bytes.", status=431)
_TOO_LONG = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/json\r\n"
    b"connection: close\r\ncontent-length: " + str(len(_BODY)).encode() + b"\r\n\r\n" + _BODY
)
