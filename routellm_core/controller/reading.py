"""Requests and answers in OpenAI's shape, as verifiers read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from routellm_core.answers import Answer, Prompt, ToolCall, read_tokens

if TYPE_CHECKING:
    from collections.abc import Iterable

    from routellm_core.answers import Request, Token

__all__ = ["fields_of", "logprob_fields", "read_answer", "read_delta", "read_prompt"]


def read_prompt(request: Mapping[str, Any], *, text: str, win_rate: float | None) -> Prompt:
    """Return what a request asks.

    Parameters
    ----------
    request
        Its fields; those that are malformed count as missing.
    text
        The user's words.
    win_rate
        In [0, 1]; None when no router was asked.

    Examples
    --------
    >>> read_prompt({"tool_choice": "required"}, text="Hi", win_rate=None).tool_choice
    'required'
    """
    functions = [tool.get("function") for tool in _mappings(request.get("tools"))]
    functions += _mappings(request.get("functions"))
    tools = {
        function["name"]: function.get("parameters") or {"type": "object"}
        for function in _mappings(functions)
        if isinstance(function.get("name"), str)
    }
    return Prompt(
        text,
        win_rate=win_rate,
        messages=tuple(_mappings(request.get("messages"))),
        schema=_schema(request.get("response_format")),
        tools=tools or None,
        tool_choice=_tool_choice(request.get("tool_choice")),
    )


def read_answer(completion: Mapping[str, Any]) -> Answer:
    """Return what the first choice of a `chat.completion` says.

    Examples
    --------
    >>> read_answer({"choices": [{"message": {"content": "4"}, "finish_reason": "stop"}]}).text
    '4'
    """
    choice = _first(completion.get("choices"))
    message = choice.get("message")
    message = message if isinstance(message, Mapping) else {}
    called = [call.get("function") for call in _mappings(message.get("tool_calls"))]
    called.append(message.get("function_call"))
    refusal = message.get("refusal")
    return Answer(
        _text(message.get("content")),
        tokens=read_tokens(choice.get("logprobs")),
        tool_calls=tuple(
            ToolCall(str(function.get("name")), function.get("arguments") or "")
            for function in _mappings(called)
        ),
        finish_reason=choice.get("finish_reason"),
        refusal=refusal if isinstance(refusal, str) else None,
    )


def read_delta(chunk: Mapping[str, Any]) -> tuple[str, tuple[Token, ...]]:
    """Return the text and the tokens that a chunk adds to the first choice."""
    for choice in _mappings(chunk.get("choices")):
        if choice.get("index") in (None, 0):
            delta = choice.get("delta")
            said = delta.get("content") if isinstance(delta, Mapping) else None
            return _text(said), read_tokens(choice.get("logprobs"))
    return "", ()


def fields_of(request: Request) -> dict[str, Any]:
    """Return the fields, without a model, by which a verifier's question is asked."""
    fields: dict[str, Any] = {
        "messages": [dict(message) for message in request.messages],
        "temperature": request.temperature,
    }
    if request.max_tokens is not None:
        fields["max_tokens"] = request.max_tokens
    return {**fields, **logprob_fields(request.top_logprobs)}


def logprob_fields(top_logprobs: int | None) -> dict[str, Any]:
    """Return the fields that ask for log-probabilities; none for None."""
    return {} if top_logprobs is None else {"logprobs": True, "top_logprobs": top_logprobs}


def _schema(form: Any) -> Any:
    """Return the form that an answer must have; None for free text."""
    if not isinstance(form, Mapping):
        return form
    if form.get("type") == "json_object":
        return {"type": "object"}
    stated = form.get("json_schema")
    return stated.get("schema") if isinstance(stated, Mapping) else None


def _tool_choice(choice: Any) -> str | None:
    if isinstance(choice, Mapping):
        function = choice.get("function")
        choice = function.get("name") if isinstance(function, Mapping) else None
    return choice if isinstance(choice, str) else None


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(p["text"] for p in _mappings(content) if isinstance(p.get("text"), str))


def _first(values: Any) -> Mapping[str, Any]:
    return next(iter(_mappings(values)), {})


def _mappings(values: Iterable[Any] | Any) -> list[Mapping[str, Any]]:
    listed = values if isinstance(values, (list, tuple)) else ()
    return [value for value in listed if isinstance(value, Mapping)]
