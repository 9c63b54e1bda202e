"""What the loopback server says: scripted steps, and plausible answers where nothing is scripted.

An unscripted answer is a function of the request alone. It calls a tool when one is demanded, or
offered to a user who has no result yet; it fills a JSON schema when one is given; else it says
which model it is and repeats the last user message.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

__all__ = [
    "Answer",
    "Step",
    "ToolCall",
    "answer_request",
    "completion",
    "completion_chunks",
    "unknown_message_field",
]

Json = Mapping[str, Any]
"""A JSON object as it crosses the wire."""


@dataclass(frozen=True, slots=True)
class Step:
    r"""Say what happens to one request.

    Parameters
    ----------
    text
        The answer's words; None for the answer that the request itself suggests.
    tool_calls
        Name and arguments of each tool that the answer calls.
    status
        HTTP status. From 400 on the body is an error as OpenAI words it.
    error_code
        `error.code` of that body.
    headers
        Added to the response.
    delay_s
        Time before the first byte.
    pieces
        The words of a streamed answer, one chunk each; None to split at spaces.
    piece_delay_s
        Time before each streamed chunk.
    cut_after
        Streamed chunks, the first of which only names the role, after which the connection is
        closed without an end; None for a whole answer. 0 closes it right after the headers.
    cut_after_bytes
        Bytes of the response, its head included, after which the connection is closed: anywhere,
        within a line or a character.
    reset
        Whether a connection that is cut is reset rather than closed; alone, at once.
    events
        A stream's raw blocks, sent as they are instead of any answer, without a "[DONE]" of the
        server's own: "data: {...}\n\n", or ": keep-alive\n\n".
    usage
        Whether tokens are counted.
    reasoning_tokens
        Tokens of thinking, which count among those of the answer; None to say nothing of them.
    cached_tokens
        Tokens of the prompt that count as read from a cache; None to say nothing of them.
    body
        Sent as it is instead of any answer.
    hang
        Whether to answer nothing until the client gives up.
    """

    text: str | None = None
    tool_calls: tuple[tuple[str, Json], ...] = ()
    status: int = 200
    error_code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    pieces: tuple[str, ...] | None = None
    piece_delay_s: float = 0.0
    cut_after: int | None = None
    cut_after_bytes: int | None = None
    reset: bool = False
    events: tuple[str, ...] | None = None
    usage: bool = True
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None
    body: str | None = None
    hang: bool = False


@dataclass(frozen=True, slots=True)
class ToolCall:
    """Be one call of a tool: its id, name and JSON arguments."""

    identity: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Be one assistant message, with the pieces in which it is streamed."""

    model: str
    text: str
    pieces: tuple[str, ...]
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Json | None = None


def answer_request(request: Json, step: Step) -> Answer:
    """Return the answer to a chat completion request."""
    model = str(request.get("model"))
    named = step.tool_calls
    text = step.text if step.pieces is None else "".join(step.pieces)
    if text is None and not named:
        text, named = _suggested(request)
    text = text or ""
    calls = tuple(
        ToolCall(_identity(name, arguments, index), name, json.dumps(arguments, ensure_ascii=False))
        for index, (name, arguments) in enumerate(named)
    )
    n_out = len(text.split()) + sum(len(call.arguments) for call in calls)
    n_in = len(json.dumps(request.get("messages", []))) // 4
    n_out += step.reasoning_tokens or 0
    usage: dict[str, Any] = {
        "prompt_tokens": n_in,
        "completion_tokens": n_out,
        "total_tokens": n_in + n_out,
    }
    if step.reasoning_tokens is not None:
        usage["completion_tokens_details"] = {"reasoning_tokens": step.reasoning_tokens}
    if step.cached_tokens is not None:
        usage["prompt_tokens_details"] = {"cached_tokens": step.cached_tokens}
    pieces = step.pieces or tuple(re.findall(r"\S+\s*|\s+", text))
    return Answer(model, text, pieces, calls, usage if step.usage else None)


def completion(answer: Answer) -> dict[str, Any]:
    """Return the answer as one `chat.completion` object."""
    message: dict[str, Any] = {"role": "assistant", "content": answer.text or None}
    if answer.tool_calls:
        message["tool_calls"] = [_wire_call(call) for call in answer.tool_calls]
    choice = {
        "index": 0,
        "message": message,
        "finish_reason": "tool_calls" if answer.tool_calls else "stop",
        "logprobs": None,
    }
    body = {**_envelope(answer, "chat.completion"), "choices": [choice]}
    if answer.usage is not None:
        body["usage"] = answer.usage
    return body


def completion_chunks(answer: Answer, *, usage: bool) -> list[dict[str, Any]]:
    """Return the answer as `chat.completion.chunk` objects: role, content, calls, end, usage."""
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": piece} for piece in answer.pieces]
    for index, call in enumerate(answer.tool_calls):
        start = {**_wire_call(call), "index": index}
        start["function"] = {"name": call.name, "arguments": ""}
        deltas.append({"tool_calls": [start]})
        middle = len(call.arguments) // 2
        for part in (call.arguments[:middle], call.arguments[middle:]):
            deltas.append({"tool_calls": [{"index": index, "function": {"arguments": part}}]})
    envelope = _envelope(answer, "chat.completion.chunk")
    chunks = [
        {**envelope, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        for delta in deltas
    ]
    reason = "tool_calls" if answer.tool_calls else "stop"
    chunks.append({**envelope, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
    if usage and answer.usage is not None:
        chunks.append({**envelope, "choices": [], "usage": answer.usage})
    return chunks


_MESSAGE_FIELDS = frozenset(
    {"role", "content", "name", "tool_calls", "tool_call_id", "refusal", "audio", "function_call"}
)
_CALL_FIELDS = frozenset({"id", "type", "function", "custom"})
_FUNCTION_FIELDS = frozenset({"name", "arguments"})


def unknown_message_field(request: Json) -> str | None:
    """Return the first field of a request's messages that OpenAI's API does not know."""
    for message in request.get("messages") or ():
        calls = message.get("tool_calls") or ()
        found = [
            set(message) - _MESSAGE_FIELDS,
            *(set(call) - _CALL_FIELDS for call in calls),
            *(set(call.get("function") or ()) - _FUNCTION_FIELDS for call in calls),
        ]
        for name in sorted(set().union(*found)):
            return str(name)
    return None


def _envelope(answer: Answer, kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-loopback", "object": kind, "created": 0, "model": answer.model}


def _wire_call(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.identity, "type": "function", "function": function}


def _identity(name: str, arguments: Json, index: int) -> str:
    digest = blake2b(f"{name}{json.dumps(arguments)}{index}".encode(), digest_size=6)
    return f"call_{digest.hexdigest()}"


def _suggested(request: Json) -> tuple[str, tuple[tuple[str, Json], ...]]:
    """Return the words and the tool calls that the request asks for."""
    messages = request.get("messages") or []
    said = _last_user_text(messages)
    # Tools of other kinds, as custom ones or a provider's own search, are offered and not called.
    functions = [tool["function"] for tool in request.get("tools") or [] if "function" in tool]
    tools = {function["name"]: function for function in functions}
    wanted = _wanted_tool(request, tools, messages)
    if wanted is not None:
        schema = tools[wanted].get("parameters") or {"type": "object"}
        return "", ((wanted, _filled(schema, said, schema)),)
    form = request.get("response_format") or {}
    if form.get("type") == "json_schema":
        schema = form["json_schema"]["schema"]
        return json.dumps(_filled(schema, said, schema), ensure_ascii=False), ()
    if form.get("type") == "json_object":
        keys = re.findall(r"[`'\"](\w+)[`'\"]", said) or ["answer"]
        return json.dumps(dict.fromkeys(keys, said), ensure_ascii=False), ()
    return f"{request.get('model')} heard: {said}", ()


def _wanted_tool(request: Json, tools: Json, messages: Sequence[Json]) -> str | None:
    choice = request.get("tool_choice")
    if not tools or choice == "none":
        return None
    if isinstance(choice, Mapping):
        named = (choice.get("function") or {}).get("name")
        return str(named) if named in tools else None
    asked = bool(messages) and messages[-1].get("role") == "user"
    return next(iter(tools)) if choice == "required" or asked else None


def _last_user_text(messages: Sequence[Json]) -> str:
    for message in reversed(messages):
        if message.get("role") == "user":
            content = message.get("content")
            if isinstance(content, str):
                return content
            return "\n".join(part["text"] for part in content or () if part.get("type") == "text")
    return ""


def _filled(schema: Json, said: str, root: Json) -> Any:
    """Return a value that fits a JSON schema, taking numbers and quotes from what was said."""
    if "$ref" in schema:
        return _filled(root["$defs"][schema["$ref"].rsplit("/", 1)[-1]], said, root)
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return _filled(schema[several][0], said, root)
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if kind == "object":
        properties = schema.get("properties") or {}
        return {name: _filled(inner, said, root) for name, inner in properties.items()}
    if kind == "array":
        return [_filled(schema.get("items") or {}, said, root)]
    if kind in ("integer", "number"):
        found = re.search(r"-?\d+", said)
        return int(found.group()) if found else 1
    if kind == "boolean":
        return True
    quoted = re.search(r"['\"]([^'\"]+)['\"]", said)
    return quoted.group(1) if quoted else (said or "text")
