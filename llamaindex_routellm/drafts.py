"""What verifiers read: what was asked, and an answer that is not given out yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse
from pydantic import BaseModel

from llamaindex_routellm.answers import finish_reason_of
from llamaindex_routellm.copies import with_field
from llamaindex_routellm.history import call_as_json, read_calls
from llamaindex_routellm.messages import Words, text_of
from llamaindex_routellm.prompts import selected
from routellm_core import look_up
from routellm_core.answers import Answer, Prompt, Token, ToolCall, read_tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llama_index.core.prompts import BasePromptTemplate

__all__ = ["Wanted", "Whole", "answer_read", "delta_of", "joined", "messages_of", "prompt_read"]


class Wanted(NamedTuple):
    """What a call asks for besides words.

    Parameters
    ----------
    schema
        The class of a structured answer; None for words.
    tools
        LlamaIndex's tools, or their descriptions for a provider.
    tool_choice
        As the caller gave it, for any provider.
    template, values
        A prompt that the model fills in, where no messages are known.
    """

    schema: Any = None
    tools: Sequence[Any] = ()
    tool_choice: Any = None
    template: BasePromptTemplate | None = None
    values: Mapping[str, Any] = {}


class Whole(NamedTuple):
    """A whole answer, put together from chunks.

    Parameters
    ----------
    answer
        With all that was said.
    tokens
        Of every chunk.
    finish_reason
        The last that any chunk tells, in the provider's words.
    """

    answer: Any
    tokens: tuple[Token, ...]
    finish_reason: str | None = None


def prompt_read(
    wanted: Wanted,
    *,
    text: str,
    win_rate: float | None,
    conversation: Sequence[ChatMessage | Words],
    llm: Any,
) -> Prompt:
    """Return what was asked, as verifiers read it; media are left out."""
    if wanted.template is not None:
        conversation = selected(wanted.template, llm).format_messages(llm=llm, **wanted.values)
    messages = tuple(map(_as_openai, conversation))
    said = [message["content"] for message in messages if message["role"] == "user"]
    return Prompt(
        text or (said[-1] if said else ""),
        win_rate=win_rate,
        messages=messages,
        schema=wanted.schema,
        tools=_tools(wanted.tools) or None,
        tool_choice=_tool_choice(wanted.tool_choice),
    )


def _as_openai(message: ChatMessage | Words) -> dict[str, Any]:
    if isinstance(message, Words):
        return {"role": message.speaker, "content": message.words}
    said: dict[str, Any] = {"role": message.role.value, "content": text_of(message)}
    calls = read_calls(message)
    if calls:
        said["tool_calls"] = [call_as_json(call) for call in calls]
    identity = message.additional_kwargs.get("tool_call_id")
    if identity is not None:
        said["tool_call_id"] = identity
    return said


def _tools(tools: Sequence[Any]) -> dict[str, Any]:
    """Return the schemas of tools' arguments by their names."""
    found: dict[str, Any] = {}
    for tool in tools:
        metadata = getattr(tool, "metadata", None)
        if metadata is not None:
            schema = metadata.fn_schema
            found[metadata.get_name()] = (
                metadata.get_parameters_dict() if schema is None else schema
            )
            continue
        # OpenAI's shape, or the flat one of Anthropic and OpenAI's Responses.
        described = look_up(tool, "function") or tool
        name = look_up(described, "name")
        schema = look_up(described, "parameters") or look_up(described, "input_schema")
        if isinstance(name, str):
            found[name] = schema or {}
    return found


def _tool_choice(choice: Any) -> str | None:
    if isinstance(choice, Mapping):
        choice = look_up(look_up(choice, "function") or choice, "name") or choice.get("type")
    return choice if isinstance(choice, str) else None


def answer_read(answer: Any) -> Answer:
    """Return an answer as verifiers read it; an object as its JSON."""
    tokens: tuple[Token, ...] | None = None
    reason: str | None = None
    if isinstance(answer, Whole):
        answer, tokens, reason = answer
    if isinstance(answer, BaseModel) and not isinstance(answer, (ChatResponse, CompletionResponse)):
        return Answer(answer.model_dump_json())
    if not isinstance(answer, (ChatResponse, CompletionResponse)):
        return Answer(str(answer))
    tokens = read_tokens(answer) if tokens is None else tokens
    reason = reason or finish_reason_of(answer)
    if isinstance(answer, CompletionResponse):
        return Answer(answer.text, tokens, finish_reason=reason)
    choices = look_up(answer.raw, "choices")
    message = look_up(choices[0], "message") if isinstance(choices, list) and choices else None
    return Answer(
        text_of(answer.message),
        tokens,
        tuple(ToolCall(call.name, call.arguments) for call in read_calls(answer.message)),
        reason,
        look_up(message, "refusal") or None,
    )


def joined(chunks: Sequence[Any]) -> Whole:
    """Return the whole answer of a stream: words are joined, a response is its last chunk.

    A response that holds only its own words, not those before, gets all of them.
    """
    if not chunks:
        return Whole("", ())
    last = chunks[-1]
    if isinstance(last, str):
        return Whole("".join(map(str, chunks)), ())
    if not isinstance(last, (ChatResponse, CompletionResponse)):
        return Whole(last, ())
    said = "".join(chunk.delta or "" for chunk in chunks)
    if isinstance(last, CompletionResponse):
        if not last.text and said:
            last = with_field(last, "text", said)
    elif not last.message.blocks and said:
        last = with_field(last, "message", ChatMessage(said, role=last.message.role))
    return Whole(last, tuple(token for chunk in chunks for token in read_tokens(chunk)))


def delta_of(chunk: Any, *, with_tokens: bool) -> tuple[str, Sequence[Token]]:
    """Return the text and, if they are wanted, the tokens that a chunk adds."""
    if isinstance(chunk, (ChatResponse, CompletionResponse)):
        return chunk.delta or "", read_tokens(chunk) if with_tokens else ()
    return (chunk if isinstance(chunk, str) else ""), ()


def messages_of(messages: Sequence[Mapping[str, Any]]) -> list[ChatMessage]:
    """Return the words of messages in OpenAI's shape as LlamaIndex's."""
    return [
        ChatMessage(str(message.get("content") or ""), role=message.get("role", "user"))
        for message in messages
        if message.get("content")
    ]
