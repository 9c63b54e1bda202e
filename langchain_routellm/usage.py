"""What an answer used: read from the model's own run, whatever chain stands around it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, LLMResult

from routellm_core import Usage, read_usage, sum_usage

__all__ = ["UsageReader", "usage_of"]


class UsageReader(BaseCallbackHandler):
    """Add up the tokens of the model runs of one call."""

    run_inline = True  # in the call's own thread, and before its answer is handed on

    def __init__(self) -> None:
        self._found: list[Usage] = []

    @property
    def usage(self) -> Usage | None:
        """What was used so far; None when no run said so."""
        return _sum(self._found)

    def forget(self) -> None:
        """Begin anew, for another attempt."""
        self._found.clear()

    def on_llm_end(self, response: LLMResult, **kwargs: Any) -> None:  # noqa: ARG002
        """Note one run's tokens."""
        for generations in response.generations:
            self.note(generations)

    def note(self, generations: Iterable[Any]) -> None:
        """Note the tokens of one answer."""
        for generation in generations:
            if isinstance(generation, ChatGeneration):
                found = usage_of(generation.message)
                if found is not None:
                    self._found.append(found)


def usage_of(message: Any) -> Usage | None:
    """Return what a message says of its tokens and its model; None when it says nothing."""
    if not isinstance(message, AIMessage):
        return None
    counts = message.usage_metadata
    model = message.response_metadata.get("model_name")
    model = _once(model) if isinstance(model, str) else None
    if counts is None:
        return None if model is None else Usage(model=model)
    return read_usage(counts, model=model)


def _once(name: str) -> str:
    """Return a model's name once: LangChain joins the names that a stream's chunks have."""
    period = (name + name).find(name, 1)
    return name[:period]


def _sum(found: list[Usage]) -> Usage | None:
    if not found:
        return None
    counted = [one for one in found if one.input_tokens is not None]
    model = found[-1].model
    if not counted:
        return Usage(model=model)
    return replace(sum_usage(counted), model=model)
