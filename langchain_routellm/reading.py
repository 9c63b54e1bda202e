"""A call's input and answers, as verifiers read them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add
from typing import Any, NamedTuple

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage, convert_to_openai_messages
from langchain_core.utils.function_calling import convert_to_json_schema, convert_to_openai_tool
from pydantic import BaseModel

from langchain_routellm.messages import finish_reason_of, messages_of, read_messages
from langchain_routellm.tools import BoundTools
from routellm_core.answers import Answer, Prompt, ToolCall, read_tokens

__all__ = ["Asked", "Structured", "merged_chunks", "read_answer", "read_prompt"]


class Asked(NamedTuple):
    """What a call was asked, before a verifier reads it.

    Parameters
    ----------
    model_input
        As the caller gave it.
    arguments
        The call's: its tools among them.
    schema
        What a structured answer must fit; None for free text.
    more_tools
        Schemas of tools that are called for a structured answer, by name.
    """

    model_input: LanguageModelInput
    arguments: Mapping[str, Any]
    schema: Any = None
    more_tools: Mapping[str, Any] = {}


class Structured(NamedTuple):
    """A draft of a structured answer.

    Parameters
    ----------
    raw
        The model's message.
    parsed
        What it was parsed to; None where it could not be.
    error
        Why it could not be parsed.
    """

    raw: BaseMessage
    parsed: Any
    error: BaseException | None

    def given(self, *, include_raw: bool) -> Any:
        """Return the answer in the caller's form.

        Raises
        ------
        Exception
            The parser's, if the caller does not take the raw message instead.
        """
        if include_raw:
            return {"raw": self.raw, "parsed": self.parsed, "parsing_error": self.error}
        if self.error is not None:
            raise self.error
        return self.parsed


def read_prompt(asked: Asked, text: str, win_rate: float | None) -> Prompt:
    """Return what was asked.

    Parameters
    ----------
    asked
        The call's input.
    text
        What was routed.
    win_rate
        The router's.
    """
    arguments = asked.arguments
    tools = arguments.get("tools")
    options: Mapping[str, Any] = tools.options if isinstance(tools, BoundTools) else arguments
    named = {**_tool_schemas(tools or ()), **asked.more_tools}
    messages = convert_to_openai_messages(list(read_messages(asked.model_input)))
    return Prompt(
        text=text,
        win_rate=win_rate,
        messages=tuple(messages),
        schema=_form(asked.schema),
        tools=named or None,
        tool_choice=_choice(options.get("tool_choice"), named),
    )


def read_answer(answer: Any) -> Answer:
    """Return an answer as verifiers read it; of a structured one, the object as JSON."""
    if isinstance(answer, Structured):
        return _structured_answer(answer)
    messages = [message for message in messages_of(answer) if isinstance(message, AIMessage)]
    if not messages:
        return Answer(_as_text(answer))
    return _message_answer(messages[0])


def merged_chunks(chunks: Sequence[Any]) -> Any:
    """Return the answer that chunks make up."""
    return chunks[0] if len(chunks) == 1 else reduce(add, chunks) if chunks else None


def _as_text(parsed: Any) -> str:
    if isinstance(parsed, BaseModel):
        return parsed.model_dump_json()
    return json.dumps(parsed, default=str) if isinstance(parsed, (dict, list)) else str(parsed)


def _message_answer(message: AIMessage) -> Answer:
    calls = [ToolCall(call["name"], call["args"]) for call in message.tool_calls]
    calls += [
        ToolCall(call["name"] or "", call["args"] or "") for call in message.invalid_tool_calls
    ]
    refusal = message.additional_kwargs.get("refusal")
    return Answer(
        str(message.text),
        tokens=read_tokens(message),
        tool_calls=tuple(calls),
        finish_reason=finish_reason_of([message]),
        refusal=refusal if isinstance(refusal, str) else None,
    )


def _structured_answer(answer: Structured) -> Answer:
    read = _message_answer(answer.raw) if isinstance(answer.raw, AIMessage) else Answer("")
    text = read.text
    if read.tool_calls:
        arguments = read.tool_calls[0].arguments
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    if answer.error is not None or answer.parsed is None:
        text = ""  # whatever it is, its own model's parser cannot read it
    return Answer(text, read.tokens, (), read.finish_reason, read.refusal)


def _tool_schemas(tools: Sequence[Any]) -> dict[str, Any]:
    """Return the schemas of tools' arguments by name; one of a provider's own kind takes all."""
    named: dict[str, Any] = {}
    for tool in tools:
        shown = tool if isinstance(tool, dict) else convert_to_openai_tool(tool)
        function = shown.get("function", shown)
        name = function.get("name") or shown.get("type")
        if isinstance(name, str):
            named[name] = function.get("parameters") or function.get("input_schema") or {}
    return named


def _form(schema: Any) -> Any:
    """Return a schema as verifiers know it: what pydantic reads, as pydantic reads it."""
    if schema is None or (isinstance(schema, type) and issubclass(schema, BaseModel)):
        return schema
    return convert_to_json_schema(schema)


def _choice(choice: Any, tools: Mapping[str, Any]) -> str | None:
    """Return a choice of tools as verifiers know it; None where it is of an unknown kind."""
    if isinstance(choice, dict):
        choice = (choice.get("function") or choice).get("name") or choice.get("type")
    if choice is True:
        return "required"
    known = isinstance(choice, str) and choice in {"auto", "none", "required", "any", *tools}
    return choice if known else None
