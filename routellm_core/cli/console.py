"""How commands speak: results on stdout, everything else on stderr, failures in one line."""

from __future__ import annotations

import json
import os
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
_PIPE_CLOSED = 1  # what rich, click and the Python manual say


class Commands(TyperGroup):
    """Turn what a command raises into what a person or a script expects.

    A `RouteLLMError` is one line on stderr and exit code 1. Ctrl-C, and a reader that closed the
    pipe, as `head` does, end the command without a word.
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
        except BrokenPipeError:
            _drop_stdout()
            raise typer.Exit(_PIPE_CLOSED) from None
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


def _drop_stdout() -> None:
    """Send what is still buffered nowhere, so that the interpreter does not fail at its exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
