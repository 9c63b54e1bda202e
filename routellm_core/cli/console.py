"""How commands speak: results on stdout, everything else on stderr, failures in one line."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from routellm_core.errors import RouteLLMError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

__all__ = ["Commands", "notes", "print_json", "results"]

_INTERRUPTED = 130  # 128 + SIGINT, as shells count


class Commands(TyperGroup):
    """Turn what a command raises into what a person or a script expects.

    A `RouteLLMError` is one line on stderr and exit code 1. Ctrl-C ends the command without a word,
    and so does, by Typer's and rich's own care, a reader that closed the pipe, as `head` does.
    """

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command."""
        try:
            value = super().invoke(ctx)
            sys.stdout.flush()
        except RouteLLMError as error:
            notes().print(f"[bold red]Error:[/] {_one_line(error)}", soft_wrap=True)
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            raise typer.Exit(_INTERRUPTED) from None
        return value


def results() -> Console:
    """Return the console of a command's result: stdout, as it is now."""
    from rich.console import Console

    return Console(file=sys.stdout, highlight=False)


def notes() -> Console:
    """Return the console of everything else: stderr, as it is now."""
    from rich.console import Console

    return Console(file=sys.stderr, highlight=False)


def print_json(value: Mapping[str, Any]) -> None:
    """Write one line of JSON to stdout."""
    utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    text = json.dumps(value, ensure_ascii=not utf8)
    try:
        sys.stdout.write(text + "\n")
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can say only escaped
        sys.stdout.write(json.dumps(value) + "\n")


def _one_line(error: RouteLLMError) -> str:
    from rich.markup import escape

    return escape(" ".join(str(error).split()))
