import io
import tracemalloc
from collections.abc import Iterator

import pytest

from routellm_core.cli.prompts import PromptReader, json_field
from routellm_core.errors import PromptError


def read(data: bytes, **options: object) -> list[tuple[int, str]]:
    reader = PromptReader(io.BytesIO(data), **options)
    return [(prompt.line, prompt.text) for batch in reader for prompt in batch]


class Endless(io.RawIOBase):
    """Bytes without an end, of which it counts what was asked for."""

    def __init__(self, line: bytes) -> None:
        self.line = line
        self.n_lines = 0

    def read1(self, size: int) -> bytes:
        n = max(1, size // len(self.line))
        self.n_lines += n
        return self.line * n


def test_lines_are_prompts_with_their_numbers() -> None:
    assert read(b"one\ntwo\n") == [(1, "one"), (2, "two")]


def test_the_last_line_needs_no_newline() -> None:
    assert read(b"one\ntwo") == [(1, "one"), (2, "two")]


def test_blank_lines_are_passed_over_but_counted() -> None:
    assert read(b"\none\n \t\n\r\nfive\n") == [(2, "one"), (5, "five")]


def test_windows_line_ends_and_byte_order_marks_are_not_part_of_a_prompt() -> None:
    assert read("\ufeffone\r\ntwo\r\n".encode()) == [(1, "one"), (2, "two")]


def test_only_a_newline_ends_a_line() -> None:
    assert read("a\u2028b\x0bc\x85d\n".encode()) == [(1, "a\u2028b\x0bc\x85d")]


def test_an_empty_input_holds_no_prompts() -> None:
    assert read(b"") == []


def test_a_line_longer_than_a_chunk_stays_whole() -> None:
    long = "ü" * 1_000_000
    assert read(f"a\n{long}\nb".encode()) == [(1, "a"), (2, long), (3, "b")]


def test_a_field_of_each_json_line_is_the_prompt() -> None:
    data = b'{"q": "one", "n": 1}\n\n{"q": "two\\nlines"}\n'
    assert read(data, parse=json_field("q")) == [(1, "one"), (3, "two\nlines")]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"{", "not JSON"),
        (b'"text"', "not an object, but text"),
        (b"[1]", "not an object, but a list"),
        (b"null", "not an object, but null"),
        (b'{"p": "x"}', "no field 'prompt'"),
        (b'{"prompt": 3}', "field 'prompt' is not text, but a number"),
        (b'{"prompt": null}', "field 'prompt' is not text, but null"),
        (b'{"prompt": "\xff"}', "not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_a_line_without_a_prompt_is_left_out_and_remembered(line: bytes, why: str) -> None:
    data = b'{"prompt": "one"}\n' + line + b'\n{"prompt": "three"}\n'
    reader = PromptReader(io.BytesIO(data), parse=json_field("prompt"))
    assert [p.text for batch in reader for p in batch] == ["one", "three"]
    assert (reader.n_bad, reader.first_bad[0].line) == (1, 2)
    assert reader.first_bad[0].why.startswith(why)


def test_ten_bad_lines_are_remembered_and_all_are_counted() -> None:
    reader = PromptReader(io.BytesIO(b"{\n" * 1_000), parse=json_field("prompt"))
    assert list(reader) == []
    assert reader.n_bad == 1_000
    assert [bad.line for bad in reader.first_bad] == list(range(1, 11))


def test_a_strict_reader_stops_at_the_first_bad_line_after_the_prompts_before_it() -> None:
    data = b'{"prompt": "one"}\n{\n{"prompt": "three"}\n'
    reader = PromptReader(
        io.BytesIO(data), parse=json_field("prompt"), strict=True, source="'x.jsonl'"
    )
    batches: Iterator = iter(reader)
    assert [prompt.text for prompt in next(batches)] == ["one"]
    with pytest.raises(PromptError, match=r"Line 2 of 'x.jsonl' holds no prompt: not JSON"):
        next(batches)


def test_an_endless_input_is_read_no_further_than_asked() -> None:
    stream = Endless(b"a prompt of thirty characters\n")
    batches = iter(PromptReader(stream))
    first = next(batches)
    assert stream.n_lines == len(first)
    next(batches)
    assert stream.n_lines < 3 * len(first)


def test_memory_does_not_grow_with_the_input() -> None:
    batches = iter(PromptReader(Endless(b"a prompt of thirty characters\n")))
    next(batches)
    tracemalloc.start()
    try:
        for _ in range(3):
            next(batches)
        tracemalloc.reset_peak()
        early = tracemalloc.get_traced_memory()[1]
        for _ in range(30):
            next(batches)
        late = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert late < 2 * early + 1_000_000


def test_a_pipe_is_not_kept_waiting_for_more() -> None:
    class Slow(io.RawIOBase):
        written = iter([b"one\ntw", b"o\n", b""])

        def read1(self, size: int) -> bytes:
            return next(self.written)

    batches = iter(PromptReader(Slow()))
    assert [prompt.text for prompt in next(batches)] == ["one"]
    assert [prompt.text for prompt in next(batches)] == ["two"]
