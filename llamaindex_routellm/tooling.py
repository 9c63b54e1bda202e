"""Chat with tools: the model that is chosen prepares, answers and parses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.llms.utils import parse_partial_json

from llamaindex_routellm.calls import record_of
from llamaindex_routellm.history import read_calls
from llamaindex_routellm.opening import DECISION_KEY, Opening
from llamaindex_routellm.streaming import arelay, relay
from routellm_core import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llama_index.core.base.llms.types import (
        ChatResponse,
        ChatResponseAsyncGen,
        ChatResponseGen,
    )
    from llama_index.core.llms import LLM
    from llama_index.core.tools.types import BaseTool

__all__ = ["Tooling"]


class Tooling(Opening):
    """Call the method of the same name on the model that is chosen."""

    def chat_with_tools(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool = False,
        tool_required: bool = False,
        **kwargs: Any,
    ) -> ChatResponse:
        """Return the chosen model's answer or tool calls."""
        request = _Request(user_msg, chat_history)
        options = _options(verbose, allow_parallel_tool_calls, tool_required, kwargs)
        call = self._open_chat(request.conversation, options, tools=bool(tools))
        answered: ChatResponse = call.answer(
            lambda llm: _method(llm, "chat_with_tools")(
                tools, user_msg, call.adapted(request.history), **options
            )
        )
        return answered

    async def achat_with_tools(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool = False,
        tool_required: bool = False,
        **kwargs: Any,
    ) -> ChatResponse:
        """Return the chosen model's answer or tool calls."""
        request = _Request(user_msg, chat_history)
        options = _options(verbose, allow_parallel_tool_calls, tool_required, kwargs)
        call = await self._aopen_chat(request.conversation, options, tools=bool(tools))
        return await call.aanswer(
            lambda llm: _method(llm, "achat_with_tools")(
                tools, user_msg, call.adapted(request.history), **options
            )
        )

    def stream_chat_with_tools(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool = False,
        tool_required: bool = False,
        **kwargs: Any,
    ) -> ChatResponseGen:
        """Return the chosen model's answer or tool calls in chunks; it is asked at once."""
        request = _Request(user_msg, chat_history)
        options = _options(verbose, allow_parallel_tool_calls, tool_required, kwargs)
        call = self._open_chat(request.conversation, options, tools=bool(tools))
        return relay(
            call,
            lambda llm: _method(llm, "stream_chat_with_tools")(
                tools, user_msg, call.adapted(request.history), **options
            ),
        )

    async def astream_chat_with_tools(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool = False,
        tool_required: bool = False,
        **kwargs: Any,
    ) -> ChatResponseAsyncGen:
        """Return the chosen model's answer or tool calls in chunks; it is asked at once."""
        request = _Request(user_msg, chat_history)
        options = _options(verbose, allow_parallel_tool_calls, tool_required, kwargs)
        call = await self._aopen_chat(request.conversation, options, tools=bool(tools))
        return await arelay(
            call,
            lambda llm: _method(llm, "astream_chat_with_tools")(
                tools, user_msg, call.adapted(request.history), **options
            ),
        )

    def get_tool_calls_from_response(
        self, response: ChatResponse, error_on_no_tool_call: bool = True, **kwargs: Any
    ) -> list[ToolSelection]:
        """Return the tool calls of a response, as the model that answered reads them."""
        route = (record_of(response) or {}).get("route")
        backing = {"strong": self.strong, "weak": self.weak}.get(str(route))
        parse = getattr(backing, "get_tool_calls_from_response", None)
        if parse is not None:
            parsed: list[ToolSelection] = parse(
                response, error_on_no_tool_call=error_on_no_tool_call, **kwargs
            )
            return parsed
        selections = _selections(response.message)
        if not selections and error_on_no_tool_call:
            raise ValueError("Expected at least one tool call, but got 0 tool calls.")
        return selections

    def _prepare_chat_with_tools(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool = False,
        tool_required: bool = False,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Return the arguments of a chat; the decision is one of them."""
        request = _Request(user_msg, chat_history)
        options = _options(verbose, allow_parallel_tool_calls, tool_required, kwargs)
        call = self._open_chat(request.conversation, options, tools=bool(tools))
        prepared = _method(call.backing, "_prepare_chat_with_tools")(
            tools, user_msg, call.adapted(request.history), **options
        )
        return {**prepared, DECISION_KEY: call.decision}


class _Request:
    """What was asked: the caller's history, and it with the user's message at the end."""

    __slots__ = ("conversation", "history")

    def __init__(
        self,
        user_msg: str | ChatMessage | None,
        chat_history: list[ChatMessage] | None,
    ) -> None:
        self.history: Sequence[ChatMessage] = chat_history or ()
        self.conversation = list(self.history)
        if isinstance(user_msg, ChatMessage):
            self.conversation.append(user_msg)
        elif user_msg:
            self.conversation.append(ChatMessage(user_msg))


def _options(
    verbose: bool,
    allow_parallel_tool_calls: bool,
    tool_required: bool,
    kwargs: dict[str, Any],
) -> dict[str, Any]:
    options = {
        "verbose": verbose,
        "allow_parallel_tool_calls": allow_parallel_tool_calls,
        **kwargs,
    }
    if tool_required:
        # Integrations that are older than this argument do not take it.
        options["tool_required"] = True
    return options


def _method(llm: LLM, name: str) -> Callable[..., Any]:
    """Return a model's own method for tools, whichever class it has it from.

    Raises
    ------
    ConfigurationError
        If the model has no such method.
    """
    method = getattr(llm, name, None)
    if method is None:
        raise ConfigurationError(
            f"Tools need a model with the method `{name}`, as every `FunctionCallingLLM` has it, "
            f"and {type(llm).__name__} has none. Pass models that call functions as `strong` and "
            "`weak`."
        )
    return method  # type: ignore[no-any-return]


def _selections(message: ChatMessage) -> list[ToolSelection]:
    """Read tool calls that carry no record, whichever integration wrote them."""
    selections = []
    for call in read_calls(message):
        arguments: Any = call.arguments
        if isinstance(arguments, str):
            try:
                arguments = parse_partial_json(arguments)
            except ValueError:
                arguments = {}
        selections.append(
            ToolSelection(tool_id=call.identity or "", tool_name=call.name, tool_kwargs=arguments)
        )
    return selections
