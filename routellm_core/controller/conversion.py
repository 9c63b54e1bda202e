"""A stream as a whole answer, and the reverse, where a model answers in the other form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["chunks_of", "completion_of"]

# Said once, and by some servers again in every chunk; every other text comes in pieces.
_SAID_ONCE = frozenset({"role", "id", "type", "name"})


def chunks_of(completion: Mapping[str, Any], *, usage: bool) -> list[dict[str, Any]]:
    """Return the chunks of a stream that says what a whole answer says.

    Parameters
    ----------
    completion
        A `chat.completion`.
    usage
        Whether the last chunk tells what was used.

    Examples
    --------
    >>> whole = {"choices": [{"index": 0, "message": {"content": "Hi"}, "finish_reason": "stop"}]}
    >>> [chunk["choices"][0]["delta"] for chunk in chunks_of(whole, usage=False)]
    [{'content': 'Hi'}, {}]
    """
    rest = {name: v for name, v in completion.items() if name not in ("choices", "usage")}
    envelope = {**rest, "object": "chat.completion.chunk"}
    chunks = []
    for place, choice in enumerate(completion["choices"]):
        index = choice.get("index", place)
        delta = dict(choice.get("message") or {})
        calls = delta.get("tool_calls")
        if calls:
            delta["tool_calls"] = [{"index": i, **call} for i, call in enumerate(calls)]
        said = {"index": index, "delta": delta, "finish_reason": None}
        if choice.get("logprobs") is not None:
            said["logprobs"] = choice["logprobs"]
        ended = {"index": index, "delta": {}, "finish_reason": choice.get("finish_reason")}
        chunks += [{**envelope, "choices": [said]}, {**envelope, "choices": [ended]}]
    if usage and completion.get("usage") is not None:
        chunks.append({**envelope, "choices": [], "usage": completion["usage"]})
    return chunks


def completion_of(chunks: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the whole answer that the chunks of a stream make.

    Examples
    --------
    >>> def chunk(text, end=None):
    ...     return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": end}]}
    >>> completion_of([chunk("H"), chunk("i", "stop")])["choices"][0]["message"]
    {'role': 'assistant', 'content': 'Hi'}
    """
    whole: dict[str, Any] = {}
    choices: dict[int, dict[str, Any]] = {}
    for chunk in chunks:
        told = {name: v for name, v in chunk.items() if name != "choices" and v is not None}
        whole.update(told)
        for said in chunk.get("choices") or ():
            index = said.get("index") or 0
            empty = {"index": index, "message": {"role": "assistant", "content": None}}
            choice = choices.setdefault(index, {**empty, "finish_reason": None})
            choice["finish_reason"] = said.get("finish_reason") or choice["finish_reason"]
            _add(choice["message"], said.get("delta") or {})
            if said.get("logprobs"):
                _add(choice.setdefault("logprobs", {}), said["logprobs"])
    for choice in choices.values():
        for call in choice["message"].get("tool_calls") or ():
            call.pop("index", None)
    ordered = [choices[index] for index in sorted(choices)]
    return {**whole, "object": "chat.completion", "choices": ordered}


def _add(whole: dict[str, Any], piece: Mapping[str, Any]) -> None:
    """Append a piece to what was said before it; `whole` is changed."""
    for name, value in piece.items():
        before = whole.get(name)
        if value is None:
            whole.setdefault(name, None)
        elif name in _SAID_ONCE:
            whole[name] = before or value
        elif isinstance(value, dict):
            whole[name] = before if isinstance(before, dict) else {}
            _add(whole[name], value)
        elif isinstance(value, list):
            whole[name] = before if isinstance(before, list) else []
            _add_items(whole[name], value)
        elif isinstance(value, str) and isinstance(before, str):
            whole[name] = before + value
        else:
            whole[name] = value


def _add_items(whole: list[Any], items: list[Any]) -> None:
    for item in items:
        index = item.get("index") if isinstance(item, dict) else None
        known = next((w for w in whole if index is not None and w.get("index") == index), None)
        if known is None:
            whole.append(dict(item) if isinstance(item, dict) else item)
        else:
            _add(known, {name: v for name, v in item.items() if name != "index"})
