"""`schema`: whether an answer has the form that was asked for, and calls tools that exist."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from routellm_core.answers.content import as_prompt
from routellm_core.answers.schema_forms import form_of, json_value
from routellm_core.answers.verifier import Score, Verifier, Watch, check_level

if TYPE_CHECKING:
    from collections.abc import Sequence

    from routellm_core.answers.content import Answer, Prompt, Token, ToolCall
    from routellm_core.answers.json_prefix import JSONPrefix

__all__ = ["schema"]


def schema(form: Any = None) -> Verifier:
    """Check that a structured answer parses, and that tools are called as they are meant to be.

    An answer of the wanted form scores 1, any other 0. An answer that calls tools is checked
    against the prompt's tools: each call names a tool, its arguments are valid, and the prompt's
    `tool_choice` is kept. Any other answer is checked against the form; where none is asked for,
    it scores 1. A refusal scores 0.

    JSON may stand in one fence of Markdown, and nothing else beside it. A stream is rejected as
    soon as no valid JSON can come of it; of a JSON schema also as soon as a value is of a wrong
    type, no member of `enum`, a name too many or an element too many.

    Parameters
    ----------
    form
        A JSON schema as a mapping, a pydantic model, a `TypedDict`, or any other type that
        pydantic validates. By default each prompt's own `schema`.

    Raises
    ------
    ConfigurationError
        If the form is none of these.
    MissingDependencyError
        If it is a JSON schema, and `jsonschema` is not installed.

    Examples
    --------
    >>> verifier = schema(dict[str, int])
    >>> verifier.score("Count the letters of 'odd'.", '{"o": 1, "d": 2}').value
    1.0
    >>> verifier.score("Count the letters of 'odd'.", '{"o": 1, "d": 2')
    Score(value=0.0, reason='not JSON: it ends too early', raw=None)
    """
    return _SchemaVerifier(form)


class _SchemaVerifier(Verifier):
    name = "schema"

    def __init__(self, form: Any) -> None:
        self._form = None if form is None else form_of(form)

    def _form_for(self, prompt: Prompt) -> Any:
        if self._form is not None or prompt.schema is None:
            return self._form
        return form_of(prompt.schema)

    def _score(self, prompt: Prompt, answer: Answer) -> Score:
        fault = self._fault(prompt, answer)
        return Score(1.0, "valid") if fault is None else Score(0.0, fault)

    def _fault(self, prompt: Prompt, answer: Answer) -> str | None:
        if answer.refusal:
            return "a refusal"
        if answer.tool_calls or prompt.tool_choice not in (None, "auto", "none"):
            return _tools_fault(prompt, answer.tool_calls)
        form = self._form_for(prompt)
        fault: str | None = None if form is None else form.text_fault(answer.text)
        return fault

    def watch(self, prompt: Prompt | str, *, accept: float) -> Watch | None:
        prompt = as_prompt(prompt)
        form = self._form_for(prompt)
        # Where tools may be called, the words beside a call are free.
        if form is None or prompt.tools or check_level(accept) <= 0.0:
            return None
        return _PrefixWatch(form.prefix())


class _PrefixWatch(Watch):
    def __init__(self, prefix: JSONPrefix) -> None:
        self._prefix = prefix

    def feed(self, text: str = "", tokens: Sequence[Token] = ()) -> Score | None:  # noqa: ARG002
        fault = self._prefix.feed(text)
        return None if fault is None else Score(0.0, fault)


def _tools_fault(prompt: Prompt, calls: Sequence[ToolCall]) -> str | None:
    tools, choice = prompt.tools or {}, prompt.tool_choice
    if choice == "none":
        return "calls a tool although it must not"
    if not calls:
        return "calls no tool"
    for call in calls:
        if call.name not in tools:
            return "calls a tool that is not there"
        if choice not in (None, "auto", "any", "required", call.name):
            return "calls another tool than it must"
        fault = _arguments_fault(tools[call.name], call.arguments)
        if fault is not None:
            return f"arguments of {call.name}: {fault}"
    return None


def _arguments_fault(parameters: Any, arguments: Any) -> str | None:
    if isinstance(arguments, str):
        # A tool without parameters is called with nothing by some models.
        arguments, fault = json_value(arguments if arguments.strip() else "{}")
        if fault is not None:
            return fault
    if not isinstance(arguments, dict):
        return "not an object"
    return form_of(parameters).value_fault(arguments)
