"""Answers, their models and known answers in a logged row, wherever its log keeps them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from routellm_core.data.messages import CONVERSATION_FIELDS, LoggedMessages
from routellm_core.policy.conversation import speakers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from routellm_core.labeling.calls import Message

__all__ = [
    "answer_in", "answers_of", "conversation", "is_dataset_example", "logged_model", "reference_of",
]  # fmt: skip

_ANSWERS = ("answer", "response", "output", "outputs", "completion", "generation")
_REFERENCES = (
    "reference", "reference_answer", "expected", "expected_output", "expectedOutput",
    "reference_outputs", "ground_truth", "gold", "correct_answer",
)  # fmt: skip
# Where the answer is within what a provider or a framework returned, the surest first. Of
# several samples the first counts.
_SAMPLES = ("choices", "candidates", "generations")
_INNER = (
    "body", *_SAMPLES, "message", "kwargs", "data", "content", "parts", "text", "output", "answer",
    "response", "completion", "result", *CONVERSATION_FIELDS,
)  # fmt: skip
# JSON with one of these is what a provider returned; other JSON may be the answer itself.
_RETURNED = frozenset({*_SAMPLES, *CONVERSATION_FIELDS, "body", "kwargs", "role"})
_MESSAGE_TYPES = ("ai", "constructor", "human", "system", "tool")  # LangChain's
_NO_WORDS = frozenset({"reasoning", "thinking", "redacted_thinking", "tool_use", "function_call"})
_MODELS = ("answered_model", "model", "model_name", "providedModelName", "ls_model_name")
# The model that answered is surer than the one that was asked for, which may be a router.
_MODEL_PLACES = (
    ("response", "body"), ("response",), ("output",), ("outputs",), (), ("body",), ("request",),
    ("request", "body"), ("extra", "invocation_params"), ("extra", "metadata"), ("metadata",),
    ("response_metadata",), ("modelParameters",),
)  # fmt: skip
_SIDES = ("a", "b")
_DEPTH = 10
_VIEW = LoggedMessages()


def answers_of(
    row: Mapping[str, Any],
    messages: Sequence[Mapping[str, Any]] = (),
    *,
    model: str | None = None,
) -> dict[str, str]:
    """Return the answers that a row holds, by model; those of models without a name are left out.

    Parameters
    ----------
    row
        With `answers`, models and their answers; or `model_a`, `answer_a` (`response_a`,
        `conversation_a`) and the same of b; or one answer and its model.
    messages
        The row's conversation, which may end with the answer.
    model
        The name of the model where the row names none.
    """
    found = dict(_several(row))
    for side in _SIDES:
        name = row.get(f"model_{side}")
        text = next(
            (
                text
                for field in ("answer", "response", "conversation")
                if (text := answer_in(row.get(f"{field}_{side}")))
            ),
            "",
        )
        if isinstance(name, str) and name.strip() and text:
            found.setdefault(name.strip(), text)
    name = logged_model(row) or model
    answer = _single(row, messages)
    if name and answer:
        found.setdefault(name, answer)
    return found


def _several(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the models and answers of `answers`: an object, or a list of objects."""
    given = _decoded(row.get("answers"), whatever=True)
    if isinstance(given, Mapping):
        pairs = list(given.items())
    else:
        listed = given if isinstance(given, list) else []
        pairs = [(logged_model(one), one) for one in listed if isinstance(one, Mapping)]
    for name, value in pairs:
        text = answer_in(value)
        if name and text:
            yield str(name).strip(), text


def _single(row: Mapping[str, Any], messages: Sequence[Mapping[str, Any]]) -> str:
    if not is_dataset_example(row):
        for name in _ANSWERS:
            text = _field_words(row, name)
            if text:
                return text
    roles = speakers(messages, _VIEW)
    # Tools that were called, and what they said, stand between the question and the answer.
    if "user" in roles and roles[-1] == "assistant":
        return _VIEW.text(messages[-1]).strip()
    return ""


def logged_model(row: Mapping[str, Any]) -> str:
    """Return the name of the model that answered; "" when the row names none."""
    for place in _MODEL_PLACES:
        found: Any = row
        for part in place:
            inner = found.get(part) if isinstance(found, Mapping) else None
            found = _decoded(inner, whatever=True)
        for name in _MODELS:
            value = found.get(name) if isinstance(found, Mapping) else None
            if isinstance(value, str) and value.strip():
                return value.strip()
    return ""


def reference_of(row: Mapping[str, Any], field: str | None = None) -> str | None:
    """Return the known answer of a row; None when it has none.

    Parameters
    ----------
    row
        With one of the usual names for it, or an example of a LangSmith data set, whose outputs
        are the known answer.
    field
        Its field instead; use dots for nested fields.
    """
    if field is not None:
        found: Any = row
        for part in field.split("."):
            inner = found.get(part) if isinstance(found, Mapping) else None
            found = _decoded(inner, whatever=True)
        return answer_in(found) or None
    names = (*_REFERENCES, "outputs") if is_dataset_example(row) else _REFERENCES
    return next((text for name in names if (text := _field_words(row, name))), None)


def _field_words(row: Mapping[str, Any], name: str) -> str:
    # LangSmith's outputs are an object, which tables hold as JSON.
    return _words(_decoded(row.get(name), whatever=name.endswith("outputs")), depth=0)


def is_dataset_example(row: Mapping[str, Any]) -> bool:
    """Return whether a row is an example of a LangSmith data set, and no run."""
    return "dataset_id" in row and "run_type" not in row


def answer_in(value: Any) -> str:
    """Return the words of an answer as providers, LangChain and Langfuse write it; "" for none.

    Examples
    --------
    >>> answer_in({"choices": [{"message": {"role": "assistant", "content": "Four."}}]})
    'Four.'
    """
    return _words(_decoded(value), depth=0)


def _words(value: Any, *, depth: int) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (str, int, float)):
        return "" if value != value else str(value).strip()  # NaN is an empty cell
    if depth > _DEPTH:
        return ""
    if isinstance(value, list):
        return _list_words(value, depth=depth)
    if not isinstance(value, Mapping) or value.get("type") in _NO_WORDS:
        return ""
    for name in _INNER:
        found = value.get(name)
        if name in _SAMPLES and isinstance(found, list):
            found = next(iter(found), None)
        text = _words(found, depth=depth + 1)
        if text:
            return text
    texts = [one for one in value.values() if isinstance(one, str) and one.strip()]
    return texts[0].strip() if len(value) == 1 and texts else ""


def _list_words(values: list[Any], *, depth: int) -> str:
    """Return the last answer of a list of messages, or the words of blocks of text."""
    if all(isinstance(one, Mapping) and _is_message(one) for one in values):
        values = [one for one in values if _VIEW.role(one) == "assistant"][-1:]
    elif values and isinstance(values[0], list):
        values = values[:1]
    return "\n".join(filter(None, (_words(one, depth=depth + 1) for one in values)))


def _is_message(value: Mapping[str, Any]) -> bool:
    return bool(value.keys() & {"role", "from"}) or value.get("type") in _MESSAGE_TYPES


def _decoded(value: Any, *, whatever: bool = False) -> Any:
    """Return what a text of JSON holds, as tables have it; anything else as it is."""
    if not isinstance(value, str) or value.lstrip()[:1] not in ("[", "{"):
        return value
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return value
    first: Any = found
    while isinstance(first, list) and first:
        first = first[0]
    is_returned = isinstance(first, Mapping) and (whatever or first.keys() & _RETURNED)
    return found if is_returned else value


def conversation(messages: Sequence[Mapping[str, Any]]) -> tuple[Message, ...]:
    """Return a logged conversation up to its last question, as models can be asked it.

    Messages without words, calls of tools and their results are left out: no model can be asked
    them without the tools.
    """
    roles = speakers(messages, _VIEW)
    if "user" not in roles:
        return ()
    last = len(roles) - roles[::-1].index("user")
    return tuple(
        {"role": role, "content": text}
        for message, role in zip(messages[:last], roles[:last], strict=True)
        if role != "tool" and (text := _VIEW.text(message)).strip()
    )
