"""The command line: one line per command, and how every command fails."""

from __future__ import annotations

from typing import Annotated

import typer

from routellm_core.cli.adapt import adapt
from routellm_core.cli.add_model import add_model
from routellm_core.cli.analyze import analyze
from routellm_core.cli.calibrate import calibrate
from routellm_core.cli.chat import chat
from routellm_core.cli.compare import compare
from routellm_core.cli.console import Commands
from routellm_core.cli.demo import demo
from routellm_core.cli.evaluate import evaluate
from routellm_core.cli.label import label
from routellm_core.cli.monitor import monitor
from routellm_core.cli.replay import replay
from routellm_core.cli.route import route
from routellm_core.cli.routers import routers
from routellm_core.cli.serve import playground, serve
from routellm_core.cli.train import train
from routellm_core.cli.tune import tune
from routellm_core.cli.verify import verify

__all__ = ["app", "main"]

app = typer.Typer(
    name="routellm",
    cls=Commands,
    help="Send each prompt to a strong or a weak model, by how much it needs the strong one.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
# A command's module imports typer, rich and what is light of routellm_core at its top, and
# everything heavier inside its functions: whoever runs one command waits for no other.
app.command("route")(route)
app.command("routers")(routers)
app.command("demo")(demo)
app.command("chat")(chat)
app.command("serve")(serve)
app.command("playground")(playground)
app.command("monitor")(monitor)
app.command("replay")(replay)
app.command("tune")(tune)
app.command("analyze")(analyze)
app.command("label")(label)
app.command("adapt")(adapt)
app.command("train")(train)
app.command("add-model")(add_model)
app.command("evaluate")(evaluate)
app.command("calibrate")(calibrate)
app.command("compare")(compare)
app.command("verify")(verify)


@app.callback()
def routellm(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            is_eager=True,
            callback=lambda value: _version() if value else None,
            help="Show the version and exit.",
        ),
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option("--verbose", help="Show the traceback of a failure, before its one line."),
    ] = False,
) -> None:
    """Send each prompt to a strong or a weak model, by how much it needs the strong one."""


def main() -> None:
    """Run the command that the process's arguments name, and exit."""
    app()


def _version() -> None:
    from importlib.metadata import version

    typer.echo(f"routellm-plugins {version('routellm-plugins')}")
    raise typer.Exit
