"""The chat model that a LiteLLM name stands for; importing this imports LiteLLM."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import langchain_litellm
from langchain_core.outputs import ChatGenerationChunk, ChatResult

from routellm_core import quiet_litellm

__all__ = ["ChatLiteLLM"]


class ChatLiteLLM(langchain_litellm.ChatLiteLLM):
    """LangChain's chat model of LiteLLM, for whose failed calls LiteLLM prints no advice.

    Another model may answer such a call, so that there is nothing to be advised on.
    """

    def _generate(self, *given: Any, **named: Any) -> ChatResult:
        with quiet_litellm():
            return super()._generate(*given, **named)

    async def _agenerate(self, *given: Any, **named: Any) -> ChatResult:
        with quiet_litellm():
            return await super()._agenerate(*given, **named)

    def _stream(self, *given: Any, **named: Any) -> Iterator[ChatGenerationChunk]:
        with quiet_litellm():
            yield from super()._stream(*given, **named)

    async def _astream(self, *given: Any, **named: Any) -> AsyncIterator[ChatGenerationChunk]:
        with quiet_litellm():
            async for chunk in super()._astream(*given, **named):
                yield chunk
