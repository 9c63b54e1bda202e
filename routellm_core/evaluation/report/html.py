"""The parts of a page that needs nothing else: its frame, its figures, its tables."""

from __future__ import annotations

from html import escape
from pathlib import Path

__all__ = ["document", "figure", "html_row", "html_table"]


def document(title: str, body: str) -> str:
    """Return a whole page, with the style that all reports share.

    Parameters
    ----------
    title
        As text.
    body
        As HTML.
    """
    style = (Path(__file__).parent / "style.css").read_text(encoding="utf-8")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style></head><body>{body}</body></html>\n"
    )


def figure(caption: str, svg: str) -> str:
    """Return a figure; both the caption and the drawing are HTML."""
    return f"<figure><figcaption>{caption}</figcaption>{svg}</figure>"


def html_table(head: list[str], rows: list[str]) -> str:
    """Return a table of the names of its columns, as text, and of rows from `html_row`."""
    cells = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    return (
        f'<div class="table"><table><thead><tr>{cells}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def html_row(name: str, cells: list[str], *, css: str = "") -> str:
    """Return a row: its name as text, its cells as HTML."""
    filled = "".join(f"<td>{cell}</td>" for cell in cells)
    return f'<tr class="{css}"><th scope="row">{escape(name)}</th>{filled}</tr>'
