"""Translate LangChain's messages for the policy, and put the decision on the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    convert_to_messages,
)
from langchain_core.outputs import ChatGeneration, ChatResult, LLMResult
from langchain_core.prompt_values import PromptValue

from langchain_routellm.usage import usage_of
from routellm_core import (
    RECORD_KEY,
    ROLE_NAMES,
    DecisionRecord,
    Modality,
    PastAnswer,
    Role,
    holds_answer,
    is_tool_result_content,
    modalities_of,
    shows_something,
)

__all__ = [
    "LangChainView",
    "finish_reason_in",
    "finish_reason_of",
    "has_content",
    "holds_words",
    "messages_of",
    "past_answer",
    "read_messages",
    "said_of",
    "stamped",
]

_TEXT_BLOCKS = frozenset({"text", "input_text", "text-plain"})
_FINISH_REASONS = ("finish_reason", "stop_reason", "done_reason", "stopReason")


class LangChainView:
    """Read LangChain's messages."""

    __slots__ = ()

    def role(self, message: BaseMessage) -> Role:
        """Return who speaks; a tool's result in the user's name counts as the tool's."""
        if isinstance(message, HumanMessage):
            return "tool" if is_tool_result_content(message.content) else "user"
        if isinstance(message, AIMessage):
            return "assistant"
        if isinstance(message, SystemMessage):
            return "system"
        if isinstance(message, ChatMessage):
            return ROLE_NAMES.get(message.role, "tool")
        return "tool"

    def text(self, message: BaseMessage) -> str:
        """Return the words, text blocks joined by newlines."""
        content = message.content
        if isinstance(content, str):
            return content
        return "\n".join(
            text for text in (_block_text(block) for block in content) if text is not None
        )

    def modalities(self, message: BaseMessage) -> frozenset[Modality]:
        """Return what the message holds besides text."""
        return modalities_of(message.content)

    def record(self, message: BaseMessage) -> Mapping[str, Any] | None:
        """Return the decision record that an assistant message carries, unchecked."""
        record = message.response_metadata.get(RECORD_KEY)
        return record if isinstance(record, Mapping) else None


def read_messages(model_input: LanguageModelInput) -> Sequence[BaseMessage]:
    """Return the messages that a chat model would make of its input.

    Raises
    ------
    ValueError
        If it is none of a prompt value, a string and a sequence of messages, as from any model.
    """
    if isinstance(model_input, str):
        return (HumanMessage.model_construct(content=model_input),)
    if isinstance(model_input, PromptValue):
        return model_input.to_messages()
    if isinstance(model_input, Sequence):
        for message in model_input:
            if not isinstance(message, BaseMessage):
                return convert_to_messages(model_input)
        return model_input  # type: ignore[return-value]
    raise ValueError(
        f"Invalid input type {type(model_input)}. "
        "Must be a PromptValue, str, or list of BaseMessages."
    )


def past_answer(
    messages: Sequence[BaseMessage],
    texts: Sequence[str],  # noqa: ARG001 - the message says it all
    place: int,
) -> PastAnswer | None:
    """Return who gave an earlier answer and what it used, from what it carries."""
    message = messages[place]
    record = message.response_metadata.get(RECORD_KEY)
    if not isinstance(record, Mapping):
        return None
    route, model, at = record.get("route"), record.get("model"), record.get("at")
    if not (isinstance(route, str) and isinstance(model, str) and isinstance(at, (int, float))):
        return None
    return PastAnswer(route, model, float(at), usage_of(message))


def stamped(answer: Any, record: DecisionRecord) -> Any:
    """Return the answer with the record on it, on copies of its messages.

    The message itself may lie in a cache. An answer that is no message, for example a parsed
    object, is returned as it is; beside its raw message the record is put on that.
    """
    if isinstance(answer, BaseMessage):
        copy = answer.model_copy()
        # Straight into the new object: an assignment would cost as much as the copy.
        copy.__dict__["response_metadata"] = {**answer.response_metadata, RECORD_KEY: record}
        copy.model_fields_set.add("response_metadata")
        return copy
    if isinstance(answer, dict) and isinstance(answer.get("raw"), BaseMessage):
        return {**answer, "raw": stamped(answer["raw"], record)}
    if isinstance(answer, (ChatResult, LLMResult)):
        generations = [_stamped_generation(item, record) for item in answer.generations]
        return answer.model_copy(update={"generations": generations})
    return answer


def holds_words(answer: Any) -> bool:
    """Tell whether an answer is a message whose plain text begins with no blank and no tag."""
    return (
        isinstance(answer, AIMessage)
        and isinstance(content := answer.content, str)
        and ((first := content[:1]).isalnum() or not (first.isspace() or first in "<"))
    )


def said_of(answer: Any) -> tuple[bool, str | None]:
    """Return whether a whole answer says something, and its finish reason.

    A parsed object says something, unless it is None.
    """
    messages = messages_of(answer)
    if not messages:
        return answer is not None, None
    return any(_says_something(message) for message in messages), finish_reason_of(messages)


def finish_reason_of(messages: Sequence[Any]) -> str | None:
    """Return the last finish reason among messages or chunks, in the provider's words."""
    for message in reversed(messages):
        reason = finish_reason_in(getattr(message, "response_metadata", None) or {})
        if reason:
            return reason
    return None


def finish_reason_in(metadata: Mapping[str, Any]) -> str | None:
    """Return the finish reason that an answer's metadata holds, in the provider's words."""
    for name in _FINISH_REASONS:
        reason = metadata.get(name)
        if isinstance(reason, str) and reason:
            return reason
    return None


def has_content(chunk: Any) -> bool:
    """Tell whether a streamed chunk shows words, a tool call, or anything that is no message."""
    if not isinstance(chunk, AIMessage):
        return True
    return bool(
        shows_something(chunk.content)
        or chunk.tool_calls
        or (isinstance(chunk, AIMessageChunk) and chunk.tool_call_chunks)
        or any(map(shows_something, chunk.additional_kwargs.values()))
    )


def messages_of(answer: Any) -> list[BaseMessage]:
    """Return the messages that an answer of any kind holds; none for a parsed object."""
    if isinstance(answer, BaseMessage):
        return [answer]
    if isinstance(answer, dict) and isinstance(answer.get("raw"), BaseMessage):
        return [answer["raw"]]
    if isinstance(answer, ChatResult):
        return [generation.message for generation in answer.generations]
    if isinstance(answer, LLMResult):
        return [
            generation.message
            for generations in answer.generations
            for generation in generations
            if isinstance(generation, ChatGeneration)
        ]
    return list(getattr(answer, "result", ()))  # of an agent's model call


def _says_something(message: BaseMessage) -> bool:
    if not isinstance(message, AIMessage):
        return True
    return bool(message.tool_calls or message.invalid_tool_calls) or holds_answer(
        {**message.additional_kwargs, "content": message.content},
        finish_reason=finish_reason_of([message]),
    )


def _stamped_generation(generation: Any, record: DecisionRecord) -> Any:
    if isinstance(generation, list):
        return [_stamped_generation(item, record) for item in generation]
    if not isinstance(generation, ChatGeneration):
        return generation
    return generation.model_copy(update={"message": stamped(generation.message, record)})


def _block_text(block: str | dict[str, Any]) -> str | None:
    if isinstance(block, str):
        return block
    text = block.get("text") if block.get("type") in _TEXT_BLOCKS else None
    return text if isinstance(text, str) else None
