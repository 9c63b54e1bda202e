"""Routing as agent middleware, for those who compose their agents of middleware."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from time import sleep
from typing import Any

from langchain.agents.middleware import AgentMiddleware, ModelRequest, ModelResponse
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import ensure_config
from langchain_core.runnables.config import var_child_runnable_config

from langchain_routellm.chat_model import RoutedChatModel
from langchain_routellm.messages import stamped
from langchain_routellm.routing import Call

__all__ = ["RoutingMiddleware"]


class RoutingMiddleware(AgentMiddleware[Any, Any, Any]):
    """Choose the agent's model anew for every user turn.

    The rules are those of `RoutedChatModel`; here the agent sees the chosen model itself, so that
    each keeps its own way of structured output. The agent's `model` is never called.

    Parameters
    ----------
    arguments
        Those of `RoutedChatModel`.

    Examples
    --------
    ::

        agent = create_agent(
            "openai:gpt-4o",
            tools=[search],
            middleware=[RoutingMiddleware(strong="openai:gpt-4o", weak="openai:gpt-4o-mini")],
        )
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__()
        self.routed = RoutedChatModel(**arguments)
        """The routed model that decides."""

    def wrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], ModelResponse[Any]],
    ) -> ModelResponse[Any]:
        """Send the request to the model that the router chooses."""
        call = self.routed._begin(_messages(request), None, {"tools": request.tools})
        while True:
            try:
                with _run_config(call):
                    response = handler(self._routed(call, request))
            except BaseException as error:  # `failed` knows what is worth another attempt
                if not call.failed(error):
                    raise
                sleep(call.wait_s)
            else:
                return _stamped_response(call, response)

    async def awrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]],
    ) -> ModelResponse[Any]:
        """Send the request to the model that the router chooses."""
        call = await self.routed._abegin(_messages(request), None, {"tools": request.tools})
        while True:
            try:
                with _run_config(call):
                    response = await call.within(handler(self._routed(call, request)))
            except BaseException as error:  # `failed` knows what is worth another attempt
                if not call.failed(error):
                    raise
                await asyncio.sleep(call.wait_s)
            else:
                return _stamped_response(call, response)

    def _routed(self, call: Call, request: ModelRequest[Any]) -> ModelRequest[Any]:
        return request.override(model=self.routed._backing().models[call.route])


def _messages(request: ModelRequest[Any]) -> list[BaseMessage]:
    system = [] if request.system_message is None else [request.system_message]
    return [*system, *request.messages]


@contextmanager
def _run_config(call: Call) -> Iterator[None]:
    """Give the decision to the run that the handler opens: it reads the surrounding config."""
    token = var_child_runnable_config.set(ensure_config(call.config()))
    try:
        yield
    finally:
        var_child_runnable_config.reset(token)


def _stamped_response(call: Call, response: ModelResponse[Any]) -> ModelResponse[Any]:
    call.succeeded()
    record = call.decision.record()
    result = [
        stamped(message, record) if isinstance(message, AIMessage) else message
        for message in response.result
    ]
    return ModelResponse(result=result, structured_response=response.structured_response)
