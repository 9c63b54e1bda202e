"""What messages hold besides text, under every provider's names."""

from __future__ import annotations

from typing import Any

import pytest

from routellm_core import read_turn
from routellm_core.controller import OpenAIView
from routellm_core.policy import modalities_of

PNG, WAV, PDF = "data:image/png;base64,AA==", "data:audio/wav;base64,AA==", "data:application/pdf,A"
URL = "https://example.org/x"

PARTS: list[tuple[str, dict[str, Any]]] = [
    ("image", {"type": "image_url", "image_url": {"url": PNG}}),
    ("image", {"image_url": {"url": PNG}}),
    ("image", {"type": "image_url", "image_url": URL}),
    ("image", {"type": "input_image", "image_url": URL}),
    ("image", {"type": "image_file", "image_file": {"file_id": "f"}}),
    ("image", {"type": "image", "source": {"type": "base64", "media_type": "image/png"}}),
    ("image", {"type": "image_pil", "image_pil": None}),
    ("image", {"inline_data": {"mime_type": "image/png", "data": "AA=="}}),
    ("image", {"inlineData": {"mimeType": "image/png", "data": "AA=="}}),
    ("image", {"image": {"format": "png", "source": {"bytes": "AA=="}}}),
    ("image", {"image": URL}),
    ("image", {"type": "file", "file": {"file_data": PNG}}),
    ("image", {"type": "media", "mime_type": "image/png", "data": "AA=="}),
    ("image", {"type": "picture", "media_type": "image/webp", "data": "AA=="}),
    ("image", {"type": "new_image_part", "id": "f"}),
    ("image", {"type": "blob", "url": PNG}),
    ("image", {"type": "resource", "resource": {"uri": "a://b", "mimeType": "image/png"}}),
    ("image", {"type": "vision", "vision": {"url": PNG}}),
    ("audio", {"type": "sound", "sound": {"data": {"mime_type": "audio/wav"}}}),
    ("file", {"type": "resource", "resource": {"uri": "a://b", "mimeType": "application/pdf"}}),
    ("image", {"type": "tool_result", "content": [{"type": "image", "source": {}}]}),
    ("image", {"toolResult": {"content": [{"image": {"format": "png", "source": {}}}]}}),
    ("image", {"type": "function_call_output", "output": [{"type": "input_image"}]}),
    ("image", {"type": "computer_call_output", "output": {"type": "computer_screenshot"}}),
    ("image", {"type": "non_standard", "value": {"type": "image_url", "image_url": URL}}),
    ("image", {"type": "search_result", "content": [{"type": "tool_result", "content": [
        {"type": "image_url", "image_url": URL}]}]}),
    ("audio", {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}),
    ("audio", {"type": "audio_url", "audio_url": {"url": URL}}),
    ("audio", {"audio_url": {"url": URL}}),
    ("audio", {"type": "blob", "url": WAV}),
    ("audio", {"type": "media", "mime_type": "AUDIO/wav"}),
    ("video", {"type": "input_video", "input_video": URL}),
    ("video", {"type": "video_url", "video_url": {"url": URL}}),
    ("video", {"video": [URL]}),
    ("video", {"file_data": {"mime_type": "video/mp4", "file_uri": "gs://x"}}),
    ("file", {"type": "document_url", "document_url": URL}),
    ("file", {"document_url": URL}),
    ("file", {"type": "document", "source": {"type": "base64", "media_type": "application/pdf"}}),
    ("file", {"type": "file", "file": {"file_id": "f"}}),
    ("file", {"type": "input_file", "file_url": URL}),
    ("file", {"type": "blob", "url": PDF}),
    ("file", {"type": "blob", "mime_type": "application/pdf"}),
    ("file", {"type": "container_upload", "file_id": "f"}),
    ("file", {"document": {"format": "pdf", "source": {"bytes": "AA=="}}}),
]  # fmt: skip

WORDS: list[Any] = [
    "data:image/png;base64,AA==",
    {"type": "text", "text": PNG},
    {"type": "input_text", "text": "image"},
    {"type": "thinking", "thinking": "An image.", "signature": "x"},
    {"type": "tool_use", "id": "1", "name": "see", "input": {"image_url": PNG}},
    {"type": "tool_call", "name": "see", "args": {"image": PNG}},
    {"functionCall": {"name": "see", "args": {"image": PNG}}},
    {"toolUse": {"name": "see", "input": {"image": PNG}}},
    {"type": "tool_result", "content": "an image"},
    {"type": "refusal", "refusal": "No video."},
    {"type": "text", "text": "x", "image_url": None},
    {"type": "mystery", "of": "the sea"},
    {"type": "mystery", "mime_type": "", "text": "data:"},
    {"type": "mystery", "mime_type": "text/plain"},
    {"type": "resource", "resource": {"uri": "a://b", "mimeType": "text/plain", "text": "image"}},
    {"type": "mystery", "of": {"the": "sea"}},
    {"type": []},
    {"type": {"image": 1}},
    {1: 2},
    [[]],
    [None, 3],
    3,
    None,
]


@pytest.mark.parametrize(("modality", "part"), PARTS)
def test_a_part_counts_as_what_it_carries(modality: str, part: dict[str, Any]) -> None:
    assert modalities_of([{"type": "text", "text": "What is this?"}, part]) == {modality}


@pytest.mark.parametrize("role", ["user", "tool"])
@pytest.mark.parametrize(("modality", "part"), PARTS)
def test_so_it_does_for_the_controller_and_the_server(
    modality: str, part: dict[str, Any], role: str
) -> None:
    assert read_turn([{"role": role, "content": [part]}], OpenAIView()).modalities == {modality}


@pytest.mark.parametrize("content", WORDS)
def test_words_are_words(content: Any) -> None:
    assert modalities_of(content) == frozenset()
    assert modalities_of([content]) == frozenset()


def test_a_document_of_pictures_is_both() -> None:
    source = {"type": "content", "content": [{"type": "image", "source": {}}]}
    assert modalities_of([{"type": "document", "source": source}]) == {"file", "image"}


def test_nesting_is_read_to_a_bound_and_no_further() -> None:
    part: Any = {"type": "image"}
    for _ in range(100_000):
        part = {"type": "tool_result", "content": [part]}
    assert modalities_of([part]) == frozenset()
