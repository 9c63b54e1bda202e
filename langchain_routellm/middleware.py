"""Routing as agent middleware, for those who compose their agents of middleware."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from langchain.agents.middleware import AgentMiddleware, ModelRequest, ModelResponse
from langchain.agents.structured_output import AutoStrategy, StructuredOutputError, ToolStrategy
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import ensure_config
from langchain_core.runnables.config import var_child_runnable_config

from langchain_routellm.backing import model_label
from langchain_routellm.cache_marks import unmarked_message
from langchain_routellm.calls import Call
from langchain_routellm.chat_model import RoutedChatModel
from langchain_routellm.reading import Asked
from routellm_core import EmptyAnswerError
from routellm_core.plan import adrive, drive

__all__ = ["RoutingMiddleware"]

logger = logging.getLogger(__name__)

_MAX_FAILED = 16


class RoutingMiddleware(AgentMiddleware[Any, Any, Any]):
    """Choose the agent's model anew for every user turn.

    The rules are those of `RoutedChatModel`; here the agent sees the chosen model itself, so that
    each keeps its own way of structured output. Give the agent one of the two models. A request
    for another model, which other middleware has put there, passes as it is; so does one for the
    weak model that follows a failed one, as from a fallback. The order of the middleware does not
    matter.

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
        self._foreign: set[str] = set()
        # A context variable would not do: LangChain runs each middleware in a context of its own.
        self._failed_states: tuple[Any, ...] = ()

    def wrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], ModelResponse[Any]],
    ) -> ModelResponse[Any]:
        """Send the request to the model that the router chooses."""
        if not self._is_ours(request):
            return handler(request)
        call = self.routed._begin(_messages(request), None, _arguments(request))
        _note_asked(call, request)

        def ask(call: Call) -> ModelResponse[Any]:
            with _run_config(call), _rejecting(call):
                return handler(self._routed(call, request))

        with self._noting_failure(request):
            response = drive(call, ask)
            call.show()
            return _stamped_response(call, response)

    async def awrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]],
    ) -> ModelResponse[Any]:
        """Send the request to the model that the router chooses."""
        if not self._is_ours(request):
            return await handler(request)
        call = await self.routed._abegin(_messages(request), None, _arguments(request))
        _note_asked(call, request)

        async def ask(call: Call) -> ModelResponse[Any]:
            with _run_config(call), _rejecting(call):
                return await handler(self._routed(call, request))

        with self._noting_failure(request):
            response = await adrive(call, ask)
            await call.ashow()
            return _stamped_response(call, response)

    def _is_ours(self, request: ModelRequest[Any]) -> bool:
        """Return whether the request's model is the agent's own, not other middleware's choice."""
        models = self.routed._backing()
        route = models.route_of(request.model)
        if route is None:
            self._note_foreign(model_label(request.model))
            return False
        return models.models[route] is models.strong or not self._has_failed(request)

    def _has_failed(self, request: ModelRequest[Any]) -> bool:
        return any(state is request.state for state in self._failed_states)

    @contextmanager
    def _noting_failure(self, request: ModelRequest[Any]) -> Iterator[None]:
        """Remember of a step that it failed: what is asked next in it is a fallback's choice."""
        try:
            yield
        except Exception:
            self._failed_states = (*self._failed_states[1 - _MAX_FAILED :], request.state)
            raise

    def _note_foreign(self, label: str) -> None:
        """Say once of each model that it is not routed: it may be the agent's by mistake."""
        if label in self._foreign:
            return
        self._foreign.add(label)
        labels = self.routed._backing().labels
        logger.warning(
            "Requests for model %r are not routed: `RoutingMiddleware` has %s. If that is the "
            "agent's own model, give the agent one of these.",
            label,
            " and ".join(map(repr, labels.values())),
        )

    def _routed(self, call: Call, request: ModelRequest[Any]) -> ModelRequest[Any]:
        models = self.routed._backing().for_call(request.model_settings)
        settings = models.taken(call.route, request.model_settings)
        model = (models.drafts if call.is_draft else models.models)[call.route]
        if call.route not in call.unmarked:
            return request.override(model=model, model_settings=settings)
        system = request.system_message
        return request.override(
            model=model,
            model_settings=call.kept(settings),
            system_message=None if system is None else unmarked_message(system),
            messages=[unmarked_message(message) for message in request.messages],
        )


def _note_asked(call: Call, request: ModelRequest[Any]) -> None:
    """Tell a call that may have drafts of the tools that its answer may call."""
    if call.drafting is None:
        return
    wanted: Any = request.response_format
    if isinstance(wanted, AutoStrategy):
        wanted = ToolStrategy(wanted.schema)
    specs = wanted.schema_specs if isinstance(wanted, ToolStrategy) else ()
    call.drafting.asked = Asked(
        _messages(request),
        {"tools": request.tools, "tool_choice": request.tool_choice},
        more_tools={spec.name: spec.json_schema for spec in specs},
    )


@contextmanager
def _rejecting(call: Call) -> Iterator[None]:
    """Reject a draft whose structured answer the agent cannot parse."""
    try:
        yield
    except StructuredOutputError as error:
        if not call.is_draft:
            raise
        raise EmptyAnswerError(
            f"Model {call.decision.model!r} gave a structured answer that is not valid."
        ) from error


def _arguments(request: ModelRequest[Any]) -> dict[str, Any]:
    return {**request.model_settings, "tools": request.tools}


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
    result = [
        call.signed(message) if isinstance(message, AIMessage) else message
        for message in response.result
    ]
    return ModelResponse(result=result, structured_response=response.structured_response)
