"""What several models can do together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from llama_index.core.base.llms.types import LLMMetadata, MessageRole
from llama_index.core.constants import DEFAULT_NUM_OUTPUTS

from routellm_core import Capabilities, known_capabilities

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llama_index.core.llms import LLM

__all__ = ["ExpertFacts", "FunctionCalling", "capabilities", "meet", "model_name", "read_experts"]

FunctionCalling = Literal["both", "any"]
"""Whether functions are called when all of the models do that ("both"), or when any does."""


@dataclass(frozen=True, slots=True)
class ExpertFacts:
    """What the models say about themselves, read once.

    Parameters
    ----------
    metadata
        What holds for all of them.
    said
        What each says, by expert.
    system_roles
        By expert, the role that a model expects where all say "system"; None for "system".
    """

    metadata: LLMMetadata
    said: Mapping[str, LLMMetadata]
    system_roles: Mapping[str, MessageRole | None]


def read_experts(models: Mapping[str, LLM], function_calling: FunctionCalling) -> ExpertFacts:
    """Ask the models, the cheapest first, for their metadata, which may be a request for each."""
    said = {name: _said_by(model) for name, model in models.items()}
    together = meet(list(said.values()), function_calling)
    return ExpertFacts(
        metadata=together,
        said=said,
        system_roles={
            name: _translated(says.system_role, together.system_role) for name, says in said.items()
        },
    )


def meet(models: Sequence[LLMMetadata], function_calling: FunctionCalling) -> LLMMetadata:
    """Return metadata on which prompts can be planned whichever model answers.

    The context window is the smallest one. The output is what is left of it when the input may be
    as long as the tightest model allows: window - min(window_i - output_i), so that the room for a
    prompt is never negative.

    Examples
    --------
    >>> together = meet(
    ...     [
    ...         LLMMetadata(context_window=4_096, num_output=-1),
    ...         LLMMetadata(context_window=128_000, num_output=16_384),
    ...     ],
    ...     "both",
    ... )
    >>> together.context_window, together.num_output
    (4096, 256)
    """
    window = min(model.context_window for model in models)
    room = min(model.context_window - _output(model) for model in models)
    calls = [model.is_function_calling_model for model in models]
    roles = {model.system_role for model in models}
    names = ", ".join(model.model_name for model in reversed(models))
    return LLMMetadata(
        context_window=window,
        num_output=window - room,
        is_chat_model=any(model.is_chat_model for model in models),
        is_function_calling_model=any(calls) if function_calling == "any" else all(calls),
        model_name=f"routed({names})",
        system_role=models[0].system_role if len(roles) == 1 else MessageRole.SYSTEM,
    )


def model_name(llm: LLM) -> str:
    """Return the name of a model, for records."""
    for attribute in ("model", "model_name"):
        name = getattr(llm, attribute, None)
        if isinstance(name, str) and name:
            return name
    name = llm.metadata.model_name
    return name if name != LLMMetadata.model_fields["model_name"].default else llm.class_name()


def capabilities(llm: LLM, says: LLMMetadata) -> Capabilities:
    """Return what a model can take. The first time LiteLLM's table is read from disk."""
    return Capabilities(
        modalities=known_capabilities(model_name(llm)).modalities,
        tools=says.is_function_calling_model,
        context_window=says.context_window,
    )


_TOOL_CHATS = (
    "chat_with_tools",
    "achat_with_tools",
    "stream_chat_with_tools",
    "astream_chat_with_tools",
)


def _said_by(llm: LLM) -> LLMMetadata:
    """Return a model's metadata, which claims function calling only with a method for it.

    A model of any class may have the methods of a `FunctionCallingLLM`. A wrapper such as
    LlamaIndex's `StructuredLLM` repeats what its model says, and has none of them.
    """
    says = llm.metadata
    if says.is_function_calling_model and not any(hasattr(llm, name) for name in _TOOL_CHATS):
        return says.model_copy(update={"is_function_calling_model": False})
    return says


def _output(model: LLMMetadata) -> int:
    return model.num_output if model.num_output >= 0 else DEFAULT_NUM_OUTPUTS


def _translated(own: MessageRole, common: MessageRole) -> MessageRole | None:
    return None if own == common else own
