"""Labels of prompts that name the route instead of a winner."""

from __future__ import annotations

__all__ = ["INFERIOR", "SUPERIOR", "read_route"]

SUPERIOR = "ROUTE_TO_SUPERIOR"
"""The label of a prompt that needs the strong model."""
INFERIOR = "ROUTE_TO_INFERIOR"
"""The label of a prompt that the weak model will do for."""


def read_route(text: str) -> str | None:
    """Return the label that a text names, None where it names none or both.

    Examples
    --------
    >>> read_route("ROUTE_TO_INFERIOR.")
    'ROUTE_TO_INFERIOR'
    """
    named = [label for label in (SUPERIOR, INFERIOR) if label in text.upper()]
    return named[0] if len(named) == 1 else None
