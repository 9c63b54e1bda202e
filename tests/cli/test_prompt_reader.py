import io
import tracemalloc
from collections.abc import Iterator

import pytest

from routellm_core.cli.prompts import PromptReader
from routellm_core.data.rows import stream_batches
from routellm_core.errors import DataError, PromptError
from routellm_core.evaluation.logged_calls import prompt_of


def reader_of(
    stream: object, suffix: str = ".txt", *, field: str | None = None, **options: object
) -> PromptReader:
    rows = stream_batches(stream, suffix, name="the stream")
    return PromptReader(rows, prompt_of=lambda row: prompt_of(row, field)[0], **options)


def read(data: bytes, suffix: str = ".txt", **options: object) -> list[tuple[int, str]]:
    reader = reader_of(io.BytesIO(data), suffix, **options)
    return [(prompt.line, prompt.text) for batch in reader for prompt in batch]


class Endless(io.RawIOBase):
    """Bytes without an end, of which it counts what was asked for."""

    def __init__(self, line: bytes) -> None:
        self.line = line
        self.n_lines = 0

    def peek(self, size: int) -> bytes:
        return self.line

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


def test_only_a_newline_or_a_carriage_return_ends_a_line() -> None:
    assert read("a\u2028b\x0bc\x85d\n".encode()) == [(1, "a\u2028b\x0bc\x85d")]


@pytest.mark.parametrize("data", [b"", b"\n \n"])
def test_an_empty_input_is_an_error(data: bytes) -> None:
    with pytest.raises(DataError, match=r"No prompts in the input\. It is empty\."):
        read(data)


def test_a_line_longer_than_a_chunk_stays_whole() -> None:
    long = "ü" * 1_000_000
    assert read(f"a\n{long}\nb".encode()) == [(1, "a"), (2, long), (3, "b")]


def test_a_field_of_each_json_line_is_the_prompt() -> None:
    data = b'{"q": "one", "n": 1}\n\n{"q": "two\\nlines"}\n'
    assert read(data, ".jsonl", field="q") == [(1, "one"), (3, "two\nlines")]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"{", "not valid JSON"),
        (b'"text"', "the row must be an object, got str"),
        (b"[1]", "the row must be an object, got list"),
        (b"null", "the row must be an object, got NoneType"),
        (b'{"p": "x"}', "the row has no prompt in a field that is known. Its fields: p"),
        (b'{"prompt": 3}', "the row has no prompt"),
        (b'{"prompt": null}', "the row has no prompt"),
        (b'{"prompt": "\xff"}', "byte 0xff in column 13 is not UTF-8"),
        (b"[" * 100_000, "not valid JSON"),
    ],
)
def test_a_line_without_a_prompt_is_left_out_and_counted(line: bytes, why: str) -> None:
    data = b'{"prompt": "one"}\n' + line + b'\n{"prompt": "three"}\n'
    reader = reader_of(io.BytesIO(data), ".jsonl")
    assert [p.text for batch in reader for p in batch] == ["one", "three"]
    [bad] = reader.bad.report(reader.n).shown
    assert bad.lines == (2,)
    assert bad.reason.startswith(why)


def test_all_bad_lines_are_counted_and_the_first_five_named() -> None:
    reader = reader_of(io.BytesIO(b'{"prompt": "x"}\n' + b"{\n" * 1_000), ".jsonl")
    assert len(list(reader)) == 1
    [bad] = reader.bad.report(reader.n).shown
    assert (bad.n, bad.lines) == (1_000, (2, 3, 4, 5, 6))


def test_a_strict_reader_stops_at_the_first_bad_line_after_the_prompts_before_it() -> None:
    data = b'{"prompt": "one"}\n{\n{"prompt": "three"}\n'
    reader = reader_of(io.BytesIO(data), ".jsonl", strict=True, source="'x.jsonl'")
    batches: Iterator = iter(reader)
    assert [prompt.text for prompt in next(batches)] == ["one"]
    with pytest.raises(PromptError, match=r"Line 2 of 'x.jsonl' holds no prompt: not valid JSON"):
        next(batches)


def test_an_endless_input_is_read_no_further_than_asked() -> None:
    stream = Endless(b"a prompt of thirty characters\n")
    batches = iter(reader_of(stream))
    first = next(batches)
    assert stream.n_lines == len(first)
    next(batches)
    assert stream.n_lines < 3 * len(first)


def test_memory_does_not_grow_with_the_input() -> None:
    batches = iter(reader_of(Endless(b"a prompt of thirty characters\n")))
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

        def peek(self, size: int) -> bytes:
            return b"one"

        def read1(self, size: int) -> bytes:
            return next(self.written)

    batches = iter(reader_of(Slow()))
    assert [prompt.text for prompt in next(batches)] == ["one"]
    assert [prompt.text for prompt in next(batches)] == ["two"]
