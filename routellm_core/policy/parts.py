"""What the parts of a message hold besides text, whichever provider named them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from routellm_core.types import Modality

__all__ = ["KNOWN_PARTS", "is_tool_result_content", "modalities_of"]

KNOWN_PARTS: dict[str, Modality | None] = {
    # images: OpenAI, Anthropic, Gemini, vLLM, Assistants, computer use
    "computer_screenshot": "image",
    "image": "image",
    "image_embeds": "image",
    "image_file": "image",
    "image_pil": "image",
    "image_url": "image",
    "input_image": "image",
    # sound
    "audio": "audio",
    "audio_embeds": "audio",
    "audio_url": "audio",
    "input_audio": "audio",
    # moving pictures
    "input_video": "video",
    "video": "video",
    "video_file": "video",
    "video_url": "video",
    # documents; a mime type says more precisely what they are
    "container_upload": "file",
    "document": "file",
    "document_file": "file",
    "document_url": "file",
    "file": "file",
    "file_url": "file",
    "input_document": "file",
    "input_file": "file",
    "media": "file",
    # text, thoughts, calls and marks: nothing besides words
    "cache": None,
    "citation": None,
    "executable_code": None,
    "function_call": None,
    "input_text": None,
    "invalid_tool_call": None,
    "output_text": None,
    "reasoning": None,
    "reasoning_content": None,
    "redacted_thinking": None,
    "refusal": None,
    "server_tool_call": None,
    "server_tool_call_chunk": None,
    "server_tool_use": None,
    "text": None,
    "text-plain": None,
    "thinking": None,
    "tool_call": None,
    "tool_call_chunk": None,
    "tool_use": None,
    # what holds other parts
    "citable": None,
    "computer_call_output": None,
    "function_call_output": None,
    "non_standard": None,
    "search_result": None,
    "server_tool_result": None,
    "tool_result": None,
}
"""By a part's `type`: what it is; None for a part that is words, or holds further parts."""

_INSIDE = ("cited_content", "content", "output", "parts", "source", "toolResult", "value")
"""Where a part holds further parts."""

_CALLS = frozenset(name for name in KNOWN_PARTS if name.endswith(("_call", "_call_chunk", "_use")))
_CALLED = frozenset({"args", "function_call", "functionCall", "input", "tool_use", "toolUse"})
"""Where a part without a type holds a call and its arguments."""
_FILES = ("file", "fileData", "file_data", "inlineData", "inline_data", "source")
"""Where a part says of what type its bytes are."""

_MIME_KEYS = frozenset(
    {"document_mimetype", "image_mimetype", "media_type", "mimeType", "mime_type", "video_mimetype"}
)
_MIMES: Mapping[str, Modality] = {"image": "image", "audio": "audio", "video": "video"}
_DATA_URL = re.compile(r"data:([a-z]{1,20})/", re.IGNORECASE)
_WORDS = re.compile(r"image|audio|video|document|file|pdf|media|screenshot")
_MAX_DEPTH = 6
_NOTHING: frozenset[Modality] = frozenset()


def modalities_of(content: Any) -> frozenset[Modality]:
    """Return what a message's content holds besides text, parts within parts included.

    A part of an unknown type counts as what it carries: by its mime type, a `data:` URL, or the
    names of its keys; else as what its type's name suggests, or what its fields hold.

    Parameters
    ----------
    content
        A message's content: a string, a part, or a list of parts. Anything malformed is empty.

    Examples
    --------
    >>> modalities_of([{"type": "tool_result", "content": [{"type": "image"}]}])
    frozenset({'image'})
    """
    if isinstance(content, str) or not content:
        return _NOTHING
    found: set[Modality] = set()
    level = [content]
    for _ in range(_MAX_DEPTH):
        parts = [part for node in level for part in (node if isinstance(node, list) else [node])]
        level = []
        for part in parts:
            if isinstance(part, list):
                level.append(part)
            elif isinstance(part, Mapping):
                modality = _modality(part)
                if modality is not None:
                    found.add(modality)
                # What a call is made with is not shown to the model as such.
                if str(part.get("type")) not in _CALLS:
                    level += [part[name] for name in _INSIDE if part.get(name)]
        if not level:
            break
    return frozenset(found)


def is_tool_result_content(content: Any) -> bool:
    """Return whether a message in the user's name holds tool results only, as Anthropic has it."""
    return (
        isinstance(content, list)
        and bool(content)
        and all(isinstance(part, Mapping) and part.get("type") == "tool_result" for part in content)
    )


def _modality(part: Mapping[str, Any]) -> Modality | None:
    kind = part.get("type")
    if isinstance(kind, str) and kind in KNOWN_PARTS:
        known = KNOWN_PARTS[kind]
        return (_stated(part) or known) if known == "file" else known
    within = [v for name, v in part.items() if isinstance(v, Mapping) and name not in _CALLED]
    return (
        _stated(part)
        or _by_keys(part)
        or (_by_name(kind) if isinstance(kind, str) else None)
        or next(filter(None, map(_stated_within, within)), None)
    )


def _stated_within(value: Mapping[str, Any]) -> Modality | None:
    """Return what a part's own field says of its bytes, one field deeper included."""
    inner = (_stated(held) for held in value.values() if isinstance(held, Mapping))
    return _stated(value) or next(filter(None, inner), None)


def _stated(part: Mapping[str, Any]) -> Modality | None:
    """Return what mime types and `data:` URLs in a part say; None when they say nothing."""
    carries = False
    for key, value in part.items():
        if isinstance(value, str):
            match = None if key in _MIME_KEYS else _DATA_URL.match(value)
            if match is None and key not in _MIME_KEYS:
                continue
            kind = (match[1] if match else value.partition("/")[0]).lower()
            if kind in _MIMES:
                return _MIMES[kind]
            carries = carries or kind not in ("", "text")
        elif key in _FILES and isinstance(value, Mapping):
            inner = _stated({name: held for name, held in value.items() if isinstance(held, str)})
            if inner is not None and inner != "file":
                return inner
            carries = carries or inner == "file"
    return "file" if carries else None


def _by_keys(part: Mapping[str, Any]) -> Modality | None:
    """Return what the keys of a part name: {"image_url": ...} without a type, or {"image": ...}."""
    for name, value in part.items():
        if value and isinstance(name, str):
            found = KNOWN_PARTS.get(name)
            if found is not None:
                return found
    return None


def _by_name(kind: str) -> Modality | None:
    """Return what a type's name suggests: "image" for "imageblock_v2"."""
    match = _WORDS.search(kind.lower()[:100])
    if match is None:
        return None
    return KNOWN_PARTS.get(match[0]) or ("image" if match[0] == "screenshot" else "file")
