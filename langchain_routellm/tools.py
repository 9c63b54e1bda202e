"""Tools bound to all models at once, each in its own format."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import (
    Runnable,
    RunnableBinding,
    RunnableParallel,
    RunnableSequence,
)
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool

__all__ = ["BoundTools", "Tool", "ToolBinder", "chat_model_in"]

Tool: TypeAlias = dict[str, Any] | type | Callable[..., Any] | BaseTool
"""What can be bound. Not a string: LangChain resolves the hints of `bind_tools` at run time."""

_MAX_CACHED = 16


def chat_model_in(
    target: Runnable[Any, Any], arguments: Mapping[str, Any]
) -> tuple[BaseChatModel, dict[str, Any]]:
    """Return the chat model within a binding or a chain, with the arguments that these add.

    Raises
    ------
    NotImplementedError
        If the chain does not begin with a chat model.
    """
    rest = dict(arguments)
    while not isinstance(target, BaseChatModel):
        if isinstance(target, RunnableBinding):
            rest = {**target.kwargs, **rest}
            target = target.bound
        elif isinstance(target, RunnableSequence):
            target = target.first
        elif isinstance(target, RunnableParallel) and "raw" in target.steps__:
            target = target.steps__["raw"]
        else:
            raise NotImplementedError(f"No chat model stands first in a {type(target).__name__}.")
    rest.pop("ls_structured_output_format", None)
    return target, rest


class BoundTools(list[Any]):
    """List tools for those who look, and hold each model's own binding for those who call.

    LangGraph reads the list; only the bindings are ever sent. A binding is made when its route is
    first taken. The list must not be changed.

    Parameters
    ----------
    models
        The model by route.
    tools
        What the user bound.
    options
        The arguments of `bind_tools` besides the tools.
    drops
        By route, names of arguments that its model is not given.
    drafts
        By route, the model for answers that may be rejected.
    """

    def __init__(
        self,
        models: Mapping[str, BaseChatModel],
        tools: Sequence[Tool],
        options: Mapping[str, Any],
        drops: Mapping[str, frozenset[str]],
        drafts: Mapping[str, BaseChatModel],
    ) -> None:
        self._drops = drops
        self._models = models
        self._drafts = drafts
        self.given = tuple(tools)
        """What the user bound."""
        self.options = dict(options)
        """The arguments of `bind_tools` besides the tools."""
        self._bindings: dict[tuple[str, bool], Runnable[Any, Any]] = {}
        super().__init__(self._readable())

    def __reduce__(self) -> tuple[Any, ...]:
        held = dict(self._models), self.given, self.options, self._drops, dict(self._drafts)
        return type(self), held

    def __deepcopy__(self, memo: dict[int, Any]) -> BoundTools:
        # Never changed, and models with open connections cannot be copied.
        return self

    def binding(self, route: str, *, draft: bool = False) -> Runnable[Any, Any]:
        """Return the model of a route with the tools bound by its own `bind_tools`."""
        binding = self._bindings.get((route, draft))
        if binding is None:
            dropped = self._drops.get(route, ())
            options = {key: value for key, value in self.options.items() if key not in dropped}
            model = (self._drafts if draft else self._models)[route]
            binding = self._bindings[route, draft] = model.bind_tools(self.given, **options)
        return binding

    def _readable(self) -> list[Any]:
        """Return the tools as the first model that takes any has them, else in OpenAI's format."""
        for position, route in enumerate(self._models):
            try:
                binding = self.binding(route)
            except NotImplementedError:
                if position == len(self._models) - 1:
                    raise
                continue
            shown = binding.kwargs.get("tools") if isinstance(binding, RunnableBinding) else None
            if isinstance(shown, list) and all(isinstance(tool, dict) for tool in shown):
                return shown
            break
        return [
            tool if isinstance(tool, dict) and "type" in tool else convert_to_openai_tool(tool)
            for tool in self.given
        ]


class ToolBinder:
    """Bind tools to several models, and remember it: agents bind the same ones at every step.

    Parameters
    ----------
    models
        The model by route.
    drops
        By route, names of arguments that its model is not given.
    drafts
        By route, the model for answers that may be rejected.
    """

    def __init__(
        self,
        models: Mapping[str, BaseChatModel],
        drops: Mapping[str, frozenset[str]],
        drafts: Mapping[str, BaseChatModel],
    ) -> None:
        self._drops = drops
        self._drafts = drafts
        self._models = models
        self._known: dict[Any, tuple[Sequence[Tool], BoundTools]] = {}

    def bind(self, tools: Sequence[Tool], options: Mapping[str, Any]) -> BoundTools:
        """Return the bound tools, the same object for the same tools and options."""
        try:
            key = (tuple(_fingerprint(tool) for tool in tools), _json(options))
        except TypeError:
            return BoundTools(self._models, tools, options, self._drops, self._drafts)
        known = self._known.get(key)
        if known is not None:
            return known[1]
        bound = BoundTools(self._models, tools, options, self._drops, self._drafts)
        # The tools are kept with their entry, so that no other object gets their identity.
        kept = self._known
        if len(kept) >= _MAX_CACHED:
            kept = {}
        self._known = {**kept, key: (tuple(tools), bound)}
        return bound


def _fingerprint(tool: Tool) -> Any:
    """Return what must be equal for an earlier conversion of the tool to be good still."""
    if isinstance(tool, BaseTool):
        return id(tool), tool.name, tool.description, id(tool.args_schema)
    return _json(tool) if isinstance(tool, dict) else id(tool)


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True) if value else ""
