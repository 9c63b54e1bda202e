"""The eight endpoints: complete and chat, whole and streamed, sync and async."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llamaindex_routellm.messages import Words
from llamaindex_routellm.opening import Opening
from llamaindex_routellm.streaming import arelay, relay
from routellm_core import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llama_index.core.base.llms.types import (
        ChatMessage,
        ChatResponse,
        ChatResponseAsyncGen,
        ChatResponseGen,
        CompletionResponse,
        CompletionResponseAsyncGen,
        CompletionResponseGen,
    )

__all__ = ["Chatting"]

_NO_PROMPT: Any = object()
"""The default of `prompt`: LlamaIndex's own models report a missing prompt as a `ValueError`."""


class Chatting(Opening):
    """Call the method of the same name on the model that is chosen."""

    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Return the chosen model's answer."""
        call = self._open_chat(messages, kwargs)
        return call.answer(
            lambda call: call.target.chat(call.adapted(messages), **call.kept(kwargs))
        )

    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Return the chosen model's answer."""
        call = await self._aopen_chat(messages, kwargs)
        return await call.aanswer(
            lambda call: call.target.achat(call.adapted(messages), **call.kept(kwargs))
        )

    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        """Return the chosen model's answer in chunks; it is asked at once."""
        call = self._open_chat(messages, kwargs)
        return relay(
            call, lambda call: call.target.stream_chat(call.adapted(messages), **call.kept(kwargs))
        )

    async def astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponseAsyncGen:
        """Return the chosen model's answer in chunks; it is asked at once."""
        call = await self._aopen_chat(messages, kwargs)
        return await arelay(
            call, lambda call: call.target.astream_chat(call.adapted(messages), **call.kept(kwargs))
        )

    def complete(
        self, prompt: str = _NO_PROMPT, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponse:
        """Return the chosen model's completion."""
        call = self._open_chat(_prompted(prompt), kwargs)
        return call.answer(
            lambda call: call.target.complete(prompt, formatted=formatted, **call.kept(kwargs))
        )

    async def acomplete(
        self, prompt: str = _NO_PROMPT, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponse:
        """Return the chosen model's completion."""
        call = await self._aopen_chat(_prompted(prompt), kwargs)
        return await call.aanswer(
            lambda call: call.target.acomplete(prompt, formatted=formatted, **call.kept(kwargs))
        )

    def stream_complete(
        self, prompt: str = _NO_PROMPT, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseGen:
        """Return the chosen model's completion in chunks; it is asked at once."""
        call = self._open_chat(_prompted(prompt), kwargs)
        return relay(
            call,
            lambda call: call.target.stream_complete(
                prompt, formatted=formatted, **call.kept(kwargs)
            ),
        )

    async def astream_complete(
        self, prompt: str = _NO_PROMPT, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseAsyncGen:
        """Return the chosen model's completion in chunks; it is asked at once."""
        call = await self._aopen_chat(_prompted(prompt), kwargs)
        return await arelay(
            call,
            lambda call: call.target.astream_complete(
                prompt, formatted=formatted, **call.kept(kwargs)
            ),
        )


def _prompted(prompt: str) -> list[Words]:
    """Return the prompt as a conversation.

    Raises
    ------
    ConfigurationError
        If there is no prompt; the message is LlamaIndex's.
    """
    if prompt is _NO_PROMPT:
        raise ConfigurationError("No prompt provided in positional or keyword arguments")
    return [Words("user", prompt)]
