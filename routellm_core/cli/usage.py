"""Mistakes in a command's options, each as one line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import typer

from routellm_core._numbers import percent_hint
from routellm_core.cli.routellm_options import SCRIPTS, answer_to
from routellm_core.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["UsageError", "is_help", "usage_line"]

UsageError: type[Exception] = typer.BadParameter.__mro__[1]
"""What typer raises for a mistake in the options: its own class, or click's in older versions."""

_FRACTIONS = ("SHARE", "RATE")
_COERCED = re.compile(r"^(It|`\d+`):? ")


def is_help(error: Exception) -> bool:
    """Return whether an error only carries the help that a bare `routellm` shows."""
    return type(error).__name__ == "NoArgsIsHelpError"


def usage_line(error: Any, *, command: str = "", parameters: Sequence[Any] = ()) -> str:
    """Return what is wrong with the options, what is accepted, and where to read on.

    Parameters
    ----------
    error
        A `UsageError`.
    command, parameters
        The command whose options were read, "" for the options before it, and what it takes.
    """
    kind = type(error).__name__
    where = f"routellm {command}".rstrip()
    said = " ".join(str(error.format_message()).split()).rstrip(".")
    unknown = re.match(r"No such command '(.*?)'", said)
    if kind == "NoSuchOption":
        fault = _unknown_option(error, command, f"`{where}`")
    elif kind == "MissingParameter":
        fault = f"`{where}` needs {_joined(_missing(error))}."
    elif kind == "BadParameter":
        fault = _bad_value(error)
    elif kind == "BadOptionUsage":
        fault = _without_value(error, parameters) or f"{said}."
    elif unknown:
        fault = _unknown_command(unknown[1], error.ctx)
        where = "routellm"
    else:
        fault = f"`{where}`: {said}."
    return f"{fault} See `{where} --help`."


def _unknown_option(error: Any, command: str, where: str) -> str:
    option = error.option_name
    fault = f"{where} has no option {option!r}."
    if option == "--verbose" and command:
        return f"{fault} It goes before the command: `routellm --verbose {command}`."
    answer = answer_to(command, option)
    if answer:
        return f"{fault} {answer}"
    return f"{fault}{did_you_mean(option, list(error.possibilities or []))}"


def _unknown_command(name: str, context: Any) -> str:
    fault = f"`routellm` has no command {name!r}."
    if name.removeprefix("routellm.") in SCRIPTS:
        return f"{fault} That is `routellm {SCRIPTS[name.removeprefix('routellm.')]}`."
    return f"{fault}{did_you_mean(name, list(context.command.commands))}"


def _missing(error: Any) -> list[str]:
    """Return every parameter that is needed and was not given; typer stops at the first one."""
    given = error.ctx.params
    needed = [p for p in error.ctx.command.params if p.required and p.name not in given]
    return [_name(parameter, value=True) for parameter in needed]


def _without_value(error: Any, parameters: Sequence[Any]) -> str:
    """Return what an option that came without its value takes; "" for one that takes none."""
    for parameter in parameters:
        if error.option_name in parameter.opts and parameter.metavar:
            return f"`{error.option_name}` needs {parameter.metavar} after it."
    return ""


def _bad_value(error: Any) -> str:
    from routellm_core._validation import validation_faults

    name = _name(error.param) if error.param is not None else str(error.param_hint)
    cause: Any = error.__cause__
    if not hasattr(cause, "errors"):
        return f"{name}: {str(error.message).rstrip('.')}."
    said = _COERCED.sub("", validation_faults(cause)[0])
    value = cause.errors(include_url=False)[0]["input"]
    hint = _share_hint(value) if error.param.metavar in _FRACTIONS else ""
    return f"{name}{' ' if said.startswith('must') else ': '}{said}{hint}"


def _share_hint(value: object) -> str:
    """Return "Did you mean 0.3?" for "30%"."""
    text = str(value).strip()
    try:
        return percent_hint(float(text[:-1])) if text.endswith("%") else ""
    except ValueError:
        return ""


def _name(parameter: Any, *, value: bool = False) -> str:
    """Return how messages name an option or argument, with what it takes."""
    if parameter.param_type_name == "argument":
        return f"`{parameter.metavar}`"
    takes = f" {parameter.metavar}" if value and parameter.metavar else ""
    return f"`{max(parameter.opts, key=len)}{takes}`"


def _joined(names: Iterable[str]) -> str:
    *head, last = names
    return f"{', '.join(head)} and {last}" if head else last
