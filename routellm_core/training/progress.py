"""Progress bars, on stderr and only when asked for."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["report_epochs", "steps"]

_Step = TypeVar("_Step")


def steps(items: Iterable[_Step], what: str, *, show: bool) -> Iterator[_Step]:
    """Yield the items, with a bar that says how far they are."""
    if not show:
        yield from items
        return
    from rich.console import Console
    from rich.progress import track

    console = Console(file=sys.stderr)
    # Without a terminal rich would leave an empty line in place of the bar.
    hidden = not console.is_terminal
    yield from track(items, description=what, console=console, transient=True, disable=hidden)


def report_epochs(what: str, *, show: bool) -> Callable[[int, float], None] | None:
    """Return what a fit calls after every epoch, or None when nobody wants to see it."""
    if not show:
        return None
    from rich.console import Console

    console = Console(file=sys.stderr)

    def report(epoch: int, loss: float) -> None:
        console.print(f"{what}: epoch {epoch}, validation loss {loss:.4f}", highlight=False)

    return report
