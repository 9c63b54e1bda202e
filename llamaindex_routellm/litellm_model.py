"""The LLM that a LiteLLM name stands for; importing this imports LiteLLM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import llama_index.llms.litellm

from routellm_core import quiet_litellm

if TYPE_CHECKING:
    from llama_index.core.base.llms.types import (
        ChatMessage,
        ChatResponse,
        ChatResponseAsyncGen,
        ChatResponseGen,
    )

__all__ = ["LiteLLM"]


class LiteLLM(llama_index.llms.litellm.LiteLLM):
    """LlamaIndex's LLM of LiteLLM, for whose failed calls LiteLLM prints no advice.

    Another model may answer such a call, so that there is nothing to be advised on.
    """

    def _chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        with quiet_litellm():
            return super()._chat(messages, **kwargs)

    async def _achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        with quiet_litellm():
            return await super()._achat(messages, **kwargs)

    def _stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        with quiet_litellm():
            chunks = super()._stream_chat(messages, **kwargs)
        return _quietly(chunks)

    async def _astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponseAsyncGen:
        with quiet_litellm():
            chunks = await super()._astream_chat(messages, **kwargs)
        return _aquietly(chunks)


def _quietly(chunks: ChatResponseGen) -> ChatResponseGen:
    with quiet_litellm():
        yield from chunks


async def _aquietly(chunks: ChatResponseAsyncGen) -> ChatResponseAsyncGen:
    with quiet_litellm():
        async for chunk in chunks:
            yield chunk
