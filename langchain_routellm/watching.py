"""Callbacks that show a caller an answer while it is made, beside what a call returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler, BaseCallbackManager
from langchain_core.callbacks.base import LLMManagerMixin
from langchain_core.tracers.base import BaseTracer

from langchain_routellm.messages import has_content
from routellm_core import shows_something

__all__ = ["TokenWatch", "is_empty_block", "shows_tokens", "with_handler"]

_SILENT = LLMManagerMixin.on_llm_new_token


def with_handler(callbacks: Any, handler: BaseCallbackHandler) -> Any:
    """Return a call's callbacks with one handler more, on a copy."""
    if isinstance(callbacks, BaseCallbackManager):
        manager = callbacks.copy()
        manager.add_handler(handler, inherit=True)
        return manager
    return [*(callbacks or ()), handler]


def shows_tokens(callbacks: Any) -> bool:
    """Tell whether a handler may show tokens to somebody; a tracer only keeps them.

    LangGraph streams messages so, and a handler that prints what a model says does.
    """
    handlers = callbacks.handlers if isinstance(callbacks, BaseCallbackManager) else callbacks
    return any(
        hasattr(handler, "tap_output_iter")  # what marks the handlers that stream
        or (
            getattr(type(handler), "on_llm_new_token", _SILENT) is not _SILENT
            and not isinstance(handler, BaseTracer)
        )
        for handler in handlers or ()
    )


class TokenWatch(BaseCallbackHandler):
    """Note the first content that a run reports while it goes on.

    Parameters
    ----------
    noted
        Called at each content.
    """

    run_inline = True  # before the content is handed on

    def __init__(self, noted: Callable[[], None]) -> None:
        self._noted = noted

    def on_llm_new_token(self, token: Any, *, chunk: Any = None, **_: Any) -> None:
        """Note a token, or a chunk of a tool call."""
        message = getattr(chunk, "message", None)
        if shows_something(token) or (message is not None and has_content(message)):
            self._noted()

    def on_stream_event(self, event: Mapping[str, Any], **_: Any) -> None:
        """Note an event of LangChain's third protocol that holds content."""
        kind = str(event.get("event"))
        if kind.startswith("content-block-") and not is_empty_block(event):
            self._noted()


def is_empty_block(event: Mapping[str, Any]) -> bool:
    """Return whether the event is of a text, and adds nothing but blanks to it."""
    if not str(event.get("event")).startswith("content-block-"):
        return False
    block = event.get("content") or event.get("delta") or {}
    kind = str(block.get("type", ""))
    return kind.startswith(("text", "reasoning")) and not (
        shows_something(block.get("text")) or shows_something(block.get("reasoning"))
    )
