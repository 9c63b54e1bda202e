"""How commands speak: results on stdout, everything else on stderr, failures in one line."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from routellm_core.cli.failures import failure_line
from routellm_core.cli.routellm_options import with_our_names
from routellm_core.cli.usage import UsageError, is_help, usage_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.console import Console

__all__ = ["Commands", "notes", "print_json", "results"]

_FAILED = 1
_MISUSED = 2
_INTERRUPTED = 130  # 128 + SIGINT, as shells count


class Commands(TyperGroup):
    """Turn what a command raises into what a person or a script expects.

    A failure is one line on stderr and exit code 1; a mistake in the options is one line and exit
    code 2. With `--verbose` the traceback comes before the line. Ctrl-C ends the command without a
    word; so does, by Typer's and rich's own care, a reader that closed the pipe, as `head` does.
    """

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        """Read the options before the command."""
        try:
            return super().make_context(*arguments, **options)
        except UsageError as error:
            if is_help(error):
                raise
            _refuse(usage_line(error))
            raise typer.Exit(_MISUSED) from None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command, and take RouteLLM's names of its options for ours."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command, with_our_names(name or "", rest)

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command."""
        try:
            with _data_reports():
                value = super().invoke(ctx)
            sys.stdout.flush()
        except UsageError as error:
            command = self.commands.get(ctx.invoked_subcommand or "")
            name, parameters = (command.name, command.params) if command else ("", [])
            _refuse(usage_line(error, command=name or "", parameters=parameters))
            raise typer.Exit(_MISUSED) from None
        except KeyboardInterrupt:
            raise typer.Exit(_INTERRUPTED) from None
        except Exception as error:
            line = failure_line(error)
            if line is None:
                raise
            if ctx.params.get("verbose"):
                traceback.print_exception(error)
            _refuse(line)
            raise typer.Exit(_FAILED) from None
        return value


def results() -> Console:
    """Return the console of a command's result: stdout, as it is now."""
    from rich.console import Console

    return Console(file=sys.stdout, highlight=False)


def notes() -> Console:
    """Return the console of everything else: stderr, as it is now."""
    from rich.console import Console

    return Console(file=sys.stderr, highlight=False)


class _Notes(logging.Handler):
    """Print log records as notes."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record's message."""
        notes().print(record.getMessage(), style="yellow", markup=False, soft_wrap=True)


@contextmanager
def _data_reports() -> Iterator[None]:
    """Show what is logged of the files that a command reads: once, whichever command it is."""
    logger = logging.getLogger("routellm_core.data")
    handler = _Notes(level=logging.WARNING)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def print_json(value: Mapping[str, Any]) -> None:
    """Write one line of JSON to stdout."""
    utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    text = json.dumps(value, ensure_ascii=not utf8)
    try:
        sys.stdout.write(text + "\n")
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can say only escaped
        sys.stdout.write(json.dumps(value) + "\n")


def _refuse(line: str) -> None:
    from rich.text import Text

    printable = "".join(c if c.isprintable() else " " for c in line)
    said = Text("Error:", style="bold red").append(f" {printable}", "not bold default")
    notes().print(said, soft_wrap=True)
