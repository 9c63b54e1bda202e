"""How decisions look in a terminal."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING
from unicodedata import category

if TYPE_CHECKING:
    from rich.style import Style
    from rich.text import Text

__all__ = ["bar", "fitted", "one_line", "rate", "route_name", "route_style"]

_STYLES = {"strong": "bold magenta", "weak": "green"}
_EIGHTHS = " ▏▎▍▌▋▊▉"


def route_name(route: str) -> Text:
    """Return a route in its colour."""
    from rich.text import Text

    return Text(route, style=_STYLES.get(route.strip(), "cyan"))


@lru_cache
def route_style(route: str) -> Style:
    """Return a route's colour."""
    from rich.style import Style

    return Style.parse(_STYLES.get(route, "cyan"))


def rate(win_rate: float | None) -> str:
    """Return a win rate with two digits, or a dash where nobody asked for it."""
    return "-" if win_rate is None else f"{win_rate:.2f}"


def one_line(text: str) -> str:
    r"""Return text without line breaks and without what a terminal would obey.

    Only the first 500 characters are looked at.

    Examples
    --------
    >>> one_line("two\n  lines\x1b[2J")
    'two lines [2J'
    """
    head = text[:500]
    if not head.isprintable():
        head = "".join(c if c.isprintable() else " " for c in head)
    return " ".join(head.split())


def fitted(text: str, width: int) -> str:
    """Return text in one line of at most so many terminal cells, cut with an ellipsis.

    Examples
    --------
    >>> fitted("a long prompt", 7), fitted("推导黑洞", 5), fitted("short", 7)
    ('a long…', '推导…', 'short')
    """
    from rich.cells import set_cell_size

    line = one_line(text)
    if _cells(line) <= width:
        return line
    line = set_cell_size(line, max(1, width) - 1)
    while _cells(line) > max(0, width - 1):
        line = line[:-1]
    return line.rstrip() + "…"


def _cells(line: str) -> int:
    """Return how many cells a line takes at most.

    Terminals differ about the spacing marks of Indic scripts: each may take a cell or none.
    """
    from rich.cells import cell_len

    return cell_len(line) + sum(category(c) == "Mc" for c in line if c > "\u0900")


def bar(win_rate: float | None, *, width: int = 10) -> str:
    """Return a win rate as a bar of so many cells at most.

    Examples
    --------
    >>> bar(0.5, width=4)
    '██  '
    """
    eighths = round((win_rate or 0.0) * width * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + _EIGHTHS[rest] * (rest > 0)).ljust(width)
