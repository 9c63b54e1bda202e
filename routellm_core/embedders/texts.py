"""What every embedder does to texts before a library or an API sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["clean_texts"]


def clean_texts(texts: Sequence[str], *, max_chars: int | None = None) -> list[str]:
    r"""Return texts that tokenizers and JSON take.

    A lone surrogate becomes a question mark, a blank text one space, and of a text longer than
    `max_chars` only its first so many characters stay.

    Examples
    --------
    >>> clean_texts(["", "broken \ud800", "long"], max_chars=9)
    [' ', 'broken ?', 'long']
    """
    whole = (text if max_chars is None else text[:max_chars] for text in texts)
    return [text.encode("utf-8", "replace").decode("utf-8") or " " for text in whole]
