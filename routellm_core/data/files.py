"""Text out of the files that people have: compressed, with byte order marks, of any line ends."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import re
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from routellm_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["decompressed", "format_of", "line_batches", "opened", "text_file", "undecodable"]

_CHUNK_BYTES = 256 * 1024
_COMPRESSED: dict[bytes, Callable[..., object]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
_SUFFIXES = frozenset({".gz", ".gzip", ".bz2", ".xz"})
# By the first bytes: what is not text, and what makes text of it.
_NOT_TEXT = {
    b"PK\x03\x04": "a ZIP archive or an Excel file: unpack it, or export it as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel file: export it as CSV",
    b"\x28\xb5\x2f\xfd": "compressed with Zstandard: unpack it with `unzstd`",
    b"PAR1": "Parquet: let its name end in .parquet",
    b"\x80\x04\x95": "a pickle, which can run code and is not read: write it as JSON lines",
    b"%PDF": "a PDF: extract its text",
}
# UTF-32's little-endian mark begins with UTF-16's.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_ESCAPED = re.compile("[\udc80-\udcff]")
_DAMAGE = (EOFError, OSError, zlib.error, lzma.LZMAError, UnicodeDecodeError)


def format_of(name: str | Path) -> str:
    """Return the suffix that tells a file's format, in lower case.

    Suffixes of a compression, and the numbers that rotation of logs appends, are not looked at.

    Examples
    --------
    >>> format_of("calls.JSONL.gz"), format_of("calls.csv.2"), format_of("calls")
    ('.jsonl', '.csv', '')
    """
    path = Path(name)
    while path.suffix.lower() in _SUFFIXES or path.suffix[1:].isdigit():
        path = path.with_suffix("")
    return path.suffix.lower()


@contextmanager
def opened(path: str | Path) -> Iterator[BinaryIO]:
    """Open a file for reading, decompressed.

    Raises
    ------
    DataError
        If it cannot be opened, or is of a kind that holds no text.
    """
    try:
        file = Path(path).open("rb")  # noqa: SIM115 - a failure to open is told from one to read
    except OSError as error:
        raise DataError(f"Cannot read {str(path)!r}: {error.strerror}.") from error
    with file:
        yield decompressed(file, name=repr(str(path)))


def decompressed(stream: BinaryIO, *, name: str) -> BinaryIO:
    """Return a stream's bytes, unpacked if they are compressed with gzip, bzip2 or xz.

    The first bytes say so, not the name, so that a pipe may be compressed as well.

    Raises
    ------
    DataError
        If the first bytes are those of a kind of file that is not text.
    """
    peekable = _peekable(stream)
    head = _head(peekable, name)
    for magic, unpack in _COMPRESSED.items():
        if head.startswith(magic):
            return cast("BinaryIO", unpack(peekable, "rb"))
    for magic, what in _NOT_TEXT.items():
        if head.startswith(magic):
            raise DataError(f"{name} is {what}.")
    return peekable


def line_batches(stream: BinaryIO, *, name: str) -> Iterator[list[str]]:
    r"""Yield the lines of a stream without their ends, \n, \r\n or \r, as they arrive.

    A batch is what one read completed: from a pipe, what its writer has written so far. Bytes that
    are not text in the stream's encoding are kept for `undecodable` to find.

    Raises
    ------
    DataError
        If the stream is damaged.
    """
    peekable = _peekable(stream)
    encoding, errors = _encoding(peekable, name)
    decoder = io.IncrementalNewlineDecoder(
        codecs.getincrementaldecoder(encoding)(errors), translate=True
    )
    read = getattr(peekable, "read1", peekable.read)
    begun: list[str] = []
    try:
        while True:
            chunk = read(_CHUNK_BYTES)
            text = decoder.decode(chunk, final=not chunk)
            first, newline, rest = text.partition("\n")
            begun.append(first)
            if newline:
                *lines, last = rest.split("\n")
                yield ["".join(begun), *lines]
                begun = [last]
            if not chunk:
                break
    except _DAMAGE as error:
        raise _damaged(name, error) from error
    if any(begun):
        yield ["".join(begun)]


def text_file(stream: BinaryIO, *, name: str) -> io.TextIOWrapper:
    """Return a stream as text with its line ends as they are, which CSV may hold in a field."""
    peekable = _peekable(stream)
    encoding, errors = _encoding(peekable, name)
    return io.TextIOWrapper(peekable, encoding=encoding, errors=errors, newline="")


def undecodable(text: str) -> str:
    r"""Return what is wrong with a text whose bytes could not be decoded; "" when nothing is.

    Examples
    --------
    >>> undecodable(b"caf\xe9".decode("utf-8", "surrogateescape"))
    'byte 0xe9 in column 4 is not UTF-8; save the file as UTF-8, as `iconv -f LATIN1 -t UTF-8` does'
    """
    found = None if text.isascii() else _ESCAPED.search(text)
    if found is None:
        return ""
    return (
        f"byte {hex(ord(found.group()) - 0xDC00)} in column {found.start() + 1} is not UTF-8; "
        "save the file as UTF-8, as `iconv -f LATIN1 -t UTF-8` does"
    )


def _encoding(stream: BinaryIO, name: str) -> tuple[str, str]:
    """Return the encoding that a byte order mark says, and how to treat what does not fit it."""
    head = _head(stream, name)
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            # Only UTF-8 can carry a foreign byte through to its line.
            return encoding, "surrogateescape" if encoding == "utf-8-sig" else "strict"
    if b"\x00" in head:
        raise DataError(
            f"{name} is not text, or UTF-16 without a byte order mark: save it as UTF-8."
        )
    return "utf-8", "surrogateescape"


def _peekable(stream: BinaryIO) -> BinaryIO:
    return stream if hasattr(stream, "peek") else io.BufferedReader(cast("io.RawIOBase", stream))


def _head(stream: BinaryIO, name: str) -> bytes:
    try:
        return bytes(stream.peek(8)[:8])  # type: ignore[attr-defined]
    except _DAMAGE as error:
        raise _damaged(name, error) from error


def _damaged(name: str, error: Exception) -> DataError:
    return DataError(f"{name} is damaged, or not what its first bytes say: {error}.")
