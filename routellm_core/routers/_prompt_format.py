"""From a prompt to the text that a causal language model of the router continues."""

from __future__ import annotations

from dataclasses import dataclass
from string import Formatter
from typing import TYPE_CHECKING, Any

from routellm_core.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LLAMA_3", "PromptFormat", "fill_template"]

_FIELDS = ("system_turn", "user_turn", "answer_start", "system", "classifier")


@dataclass(frozen=True, slots=True)
class PromptFormat:
    """How a question is asked.

    Parameters
    ----------
    system_turn, user_turn
        What stands around a message of that role; `{instruction}` stands for the message.
    answer_start
        What follows the last message.
    system
        The system message; none when blank.
    classifier
        The user's message; `{question}` stands for the prompt.
    """

    system_turn: str
    user_turn: str
    answer_start: str
    system: str
    classifier: str

    def text(self, prompt: str) -> str:
        """Return the text for a prompt. Messages are stripped, as RouteLLM does."""
        question = fill_template(self.classifier, "question", prompt).strip()
        text = fill_template(self.user_turn, "instruction", question) + self.answer_start
        if self.system.strip():
            text = fill_template(self.system_turn, "instruction", self.system.strip()) + text
        return text

    def to_json(self) -> dict[str, str]:
        """Return the fields as JSON values."""
        return {name: getattr(self, name) for name in _FIELDS}

    @classmethod
    def from_json(cls, fields: Any) -> PromptFormat:
        """Return the format of JSON values.

        Raises
        ------
        CheckpointError
            If a field is missing or no text.
        """
        if not isinstance(fields, dict) or set(fields) != set(_FIELDS):
            raise CheckpointError(f"A prompt format has the fields {_FIELDS}, got {fields!r}.")
        values: Mapping[str, Any] = fields
        if not all(isinstance(value, str) for value in values.values()):
            raise CheckpointError("A prompt format's fields must be texts.")
        return cls(**values)


LLAMA_3 = PromptFormat(
    system_turn="<|start_header_id|>system<|end_header_id|>\n\n{instruction}<|eot_id|>",
    user_turn="<|start_header_id|>user<|end_header_id|>\n\n{instruction}<|eot_id|>",
    answer_start="",
    system="",
    classifier="{question}",
)
"""Llama 3's turns, which RouteLLM's published checkpoint was fitted with."""


def fill_template(template: str, name: str, value: str) -> str:
    """Put a value where `{name}` stands; `{{` and `}}` are braces.

    A template from a checkpoint may only name that one field: nothing else is looked up.

    Raises
    ------
    CheckpointError
        If the template is broken or names anything else.

    Examples
    --------
    >>> fill_template("{{x}} {question}?", "question", "why")
    '{x} why?'
    """
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        raise CheckpointError(f"The template {template!r} is broken: {error}") from error
    text = []
    for literal, field, spec, conversion in parts:
        text.append(literal)
        if field is None:
            continue
        if field != name or spec or conversion:
            raise CheckpointError(f"The template {template!r} may name {{{name}}} only.")
        text.append(value)
    return "".join(text)
