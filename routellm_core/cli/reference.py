"""The page of every command and option: `python -m routellm_core.cli.reference > docs/cli.md`."""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING, Any

import typer

from routellm_core.cli.app import app

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["reference"]

_HEAD = """\
# Command line

Results go to stdout, everything else to stderr. A failure is one line on stderr and exit code 1;
`routellm --verbose COMMAND` shows its traceback, too. A mistake in the options is one line and exit
code 2; Ctrl-C ends with 130. `--json` writes the same data for machines, one object per line.
`routellm COMMAND --help` says what stands here. RouteLLM's names of options are in
[migrating-from-routellm.md](migrating-from-routellm.md#options)."""


def reference() -> str:
    """Return the help of every command as Markdown."""
    group: Any = typer.main.get_command(app)
    parts = [_HEAD]
    for name, command in group.commands.items():
        parts += [f"## `routellm {name}`", *_help(command)]
    return "\n\n".join(parts) + "\n"


def _help(command: Any) -> Iterator[str]:
    yield inspect.cleandoc(command.help)
    shown = [p for p in command.params if not p.hidden]
    arguments = [p for p in shown if p.param_type_name == "argument"]
    options = [p for p in shown if p.param_type_name == "option"]
    if arguments:
        yield "\n".join(
            ["| argument | |", "| --- | --- |", *(_row(p.metavar, p) for p in arguments)]
        )
    if options:
        rows = [_row(f"{', '.join(p.opts)}{_value_of(p)}", p) for p in options]
        yield "\n".join(["| option | |", "| --- | --- |", *rows])


def _row(name: str, parameter: Any) -> str:
    default = parameter.default
    stated = f" Default: `{getattr(default, 'value', default)}`." if _is_stated(default) else ""
    return f"| `{name}` | {parameter.help}{stated} |"


def _value_of(parameter: Any) -> str:
    return "" if parameter.is_flag else f" {parameter.metavar or 'VALUE'}"


def _is_stated(default: Any) -> bool:
    return default is not None and default is not False and not callable(default)


if __name__ == "__main__":
    sys.stdout.write(reference())
