"""Chat with tools: the model that is chosen prepares, answers and parses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.llms.utils import parse_partial_json

from llamaindex_routellm.history import read_calls
from llamaindex_routellm.opening import DECISION_KEY, Opening, PreparedDecision
from llamaindex_routellm.records import record_of, without_record
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

    from llamaindex_routellm.calls import Call

__all__ = ["Tooling"]


class Tooling(Opening):
    """Call the method of the same name on the model that is chosen."""

    def chat_with_tools(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool | None = None,
        allow_parallel_tool_calls: bool | None = None,
        tool_required: bool = False,
        **kwargs: Any,
    ) -> ChatResponse:
        """Return the chosen model's answer or tool calls."""
        options = _options(verbose, allow_parallel_tool_calls, tool_required, kwargs)
        request = _Request(tools, user_msg, chat_history, options)
        call = self._open_chat(request.conversation, options, tools=request.tools)
        answered: ChatResponse = call.answer(lambda call: request.send(call, "chat_with_tools"))
        return answered

    async def achat_with_tools(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool | None = None,
        allow_parallel_tool_calls: bool | None = None,
        tool_required: bool = False,
        **kwargs: Any,
    ) -> ChatResponse:
        """Return the chosen model's answer or tool calls."""
        options = _options(verbose, allow_parallel_tool_calls, tool_required, kwargs)
        request = _Request(tools, user_msg, chat_history, options)
        call = await self._aopen_chat(request.conversation, options, tools=request.tools)
        return await call.aanswer(lambda call: request.send(call, "achat_with_tools"))

    def stream_chat_with_tools(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool | None = None,
        allow_parallel_tool_calls: bool | None = None,
        tool_required: bool = False,
        **kwargs: Any,
    ) -> ChatResponseGen:
        """Return the chosen model's answer or tool calls in chunks; it is asked at once."""
        options = _options(verbose, allow_parallel_tool_calls, tool_required, kwargs)
        request = _Request(tools, user_msg, chat_history, options)
        call = self._open_chat(request.conversation, options, tools=request.tools)
        return relay(
            call,
            lambda call: request.send(call, "stream_chat_with_tools"),
        )

    async def astream_chat_with_tools(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool | None = None,
        allow_parallel_tool_calls: bool | None = None,
        tool_required: bool = False,
        **kwargs: Any,
    ) -> ChatResponseAsyncGen:
        """Return the chosen model's answer or tool calls in chunks; it is asked at once."""
        options = _options(verbose, allow_parallel_tool_calls, tool_required, kwargs)
        request = _Request(tools, user_msg, chat_history, options)
        call = await self._aopen_chat(request.conversation, options, tools=request.tools)
        return await arelay(
            call,
            lambda call: request.send(call, "astream_chat_with_tools"),
        )

    def get_tool_calls_from_response(
        self, response: ChatResponse, error_on_no_tool_call: bool = True, **kwargs: Any
    ) -> list[ToolSelection]:
        """Return the tool calls of a response, as the model that answered reads them."""
        route = (record_of(response) or {}).get("route")
        backing = self._backings().get(route) if isinstance(route, str) else None
        parse = getattr(backing, "get_tool_calls_from_response", None)
        if parse is not None:
            parsed: list[ToolSelection] = parse(
                without_record(response), error_on_no_tool_call=error_on_no_tool_call, **kwargs
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
        verbose: bool | None = None,
        allow_parallel_tool_calls: bool | None = None,
        tool_required: bool = False,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Return the arguments of a chat; the decision is one of them."""
        options = _options(verbose, allow_parallel_tool_calls, tool_required, kwargs)
        request = _Request(tools, user_msg, chat_history, options)
        call = self._open_chat(request.conversation, options, tools=request.tools)
        prepared = request.send(call, "_prepare_chat_with_tools", call.backing)
        decision = PreparedDecision(call.decision, prepared.get(DECISION_KEY))
        return {**prepared, DECISION_KEY: decision}


class _Request:
    """A chat with tools, as the caller asked for it.

    Parameters
    ----------
    tools, user_msg, chat_history
        The caller's.
    options
        Everything else. The options of the routing model are taken out when the call is opened.
    """

    __slots__ = ("_history", "_options", "_user_msg", "conversation", "tools")

    def __init__(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None,
        chat_history: list[ChatMessage] | None,
        options: dict[str, Any],
    ) -> None:
        self.tools = tools
        self._user_msg = user_msg
        self._history = chat_history
        self._options = options
        self.conversation = list(chat_history or ())
        """The caller's history, with the user's message at the end."""
        if isinstance(user_msg, ChatMessage):
            self.conversation.append(user_msg)
        elif user_msg:
            self.conversation.append(ChatMessage(user_msg))

    @property
    def has_tools(self) -> bool:
        """Whether the call needs a model that takes tools."""
        return bool(self.tools)

    def send(self, call: Call, method: str, llm: LLM | None = None) -> Any:
        """Call a model's method; without tools, a model that takes none just chats.

        Parameters
        ----------
        call
            Says whom to ask, and in what words.
        method
            The method's name.
        llm
            The model; the call's, with its handlers, if None.
        """
        llm = call.target if llm is None else llm
        options = dict(call.kept(self._options))
        if self.has_tools or call.takes_tools:
            # A model that is no `FunctionCallingLLM` may lack the arguments that callers leave out.
            if self._user_msg is not None:
                options["user_msg"] = self._user_msg
            if self._history is not None:
                options["chat_history"] = call.adapted(self._history)
            return _method(llm, method)(self.tools, **options)
        messages = call.adapted(self.conversation)
        options = {n: value for n, value in options.items() if n not in _TOOL_OPTIONS}
        if method == "_prepare_chat_with_tools":
            return {"messages": messages, **options}
        return getattr(llm, method.removesuffix("_with_tools"))(messages, **options)


_TOOL_OPTIONS = frozenset(
    {"allow_parallel_tool_calls", "strict", "tool_choice", "tool_required", "verbose"}
)
"""Arguments of the integrations' methods for tools, which their other methods would pass on."""


def _options(
    verbose: bool | None,
    allow_parallel_tool_calls: bool | None,
    tool_required: bool,
    kwargs: dict[str, Any],
) -> dict[str, Any]:
    """Return the options that the caller gave; for others each model has its own defaults."""
    given = {"verbose": verbose, "allow_parallel_tool_calls": allow_parallel_tool_calls}
    options = {name: value for name, value in given.items() if value is not None} | kwargs
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
            f"and {type(llm).__name__} has none. Pass models that call functions."
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
